"""The five older dialects on a real port: what is asked, what a poller is told, what is refused, and to whom nothing is told."""

import asyncio
from functools import partial
from typing import Any

import pytest

from holdfast_protocol import events as ev
from holdfast_server.stores.base import StoreError
from tests.support.dialect_story import ENDS, ERRORS
from tests.support.dialects_rig import ANSWER, DialectsRig, begin, complete, visiting, work
from tests.support.http_door import come_true
from tests.support.journals import ANN

SOURCES = [{"id": "s1", "url": "https://example.org/a", "title": "A"}]
ACTIONS = [{"label": "Send"}]
CALLS = [{
    "id": "c1", "name": "workflow_tool", "arguments": {"action": "create"}, "result": "made", "status": "done",
    "success": True,
}]  # fmt: skip
STARTS: dict[str, Any] = {
    "async_chat": ("/api/chat/async", {"message": "Hello?"}),
    "workflow_jobs": ("/ai-demo/chat/send", {"message": "Hello?", "async": True}),
    "chat_tasks": ("/chat/?async_mode=true", {"message": "Hello?"}),
    "invoke": ("/invoke_endpoint", {"messages": [{"role": "user", "content": "Hello?"}]}),
}
VIEWS = (
    "/api/chat/async/{}/status",
    "/ai-demo/workflow/status/workflow_{}",
    "/chat/task/{}",
    "/api/requests/{}/status",
)
STATUSES = {
    "queued": ["pending", "processing", "PENDING", "queued"],
    "running": ["processing", "processing", "STARTED", "streaming"],
    "completed": ["completed", "completed", "SUCCESS", "completed"],
    "failed": ["failed", "failed", "FAILURE", "failed"],
    "cancelled": ["failed", "failed", "FAILURE", "cancelled"],
    "timed_out": ["failed", "failed", "FAILURE", "failed"],
    "interrupted": ["failed", "failed", "FAILURE", "failed"],
}


LONG = "x" * 600_000
TOLD = [{"role": "user", "content": LONG}]


@pytest.fixture
async def ann(tmp_path):
    """Ann's way to the door."""
    async with visiting(DialectsRig(tmp_path)) as caller:
        yield caller


async def started(ann, dialect="async_chat", headers=None, **more):
    """A request that was begun in a dialect; its id."""
    path, body = STARTS[dialect]
    reply = await ann.call("POST", path, {**body, **more}, headers)
    assert reply.status == 200, reply.body
    return reply.headers["X-Request-Id"]


async def views(ann, request_id):
    """What each dialect says of a request."""
    said = []
    for path in VIEWS:
        reply = await ann.call("GET", path.format(request_id))
        assert reply.status == 200, reply.body
        assert reply.headers["Cache-Control"] == "no-store"
        said.append(reply.body)
    said[1] = said[1]["data"]
    return said


async def statuses(ann, request_id):
    """Its status in each dialect."""
    return [view["status"] for view in await views(ann, request_id)]


async def test_each_dialect_begins_as_it_was_written_down(ann):
    """The replies to a start have the documented fields, and all their ids are those of the request."""
    told = {}
    for dialect, (path, body) in STARTS.items():
        reply = await ann.call("POST", path, body)
        assert reply.status == 200
        told[dialect] = (reply.body, reply.headers["X-Request-Id"])
    body, name = told["async_chat"]
    assert body == {"chat_id": name, "status": "pending", "message": "Chat processing started in background"}
    body, name = told["workflow_jobs"]
    job, base = f"workflow_{name}", ann.rig.base
    assert body == {
        "success": True, "async": True, "job_id": job, "status": "processing",
        "message": "Your request is being processed...",
        "stream_url": f"{base}/ai-demo/workflow/stream/{job}",
        "status_url": f"{base}/ai-demo/workflow/status/{job}",
    }  # fmt: skip
    body, name = told["chat_tasks"]
    session = body.pop("session_id")
    assert body == {"message": "Processing...", "data": None, "draft": None, "task_id": name}
    assert (await ann.rig.requests.find(ANN, name)).record.chat_id == session == f"session_{name}"[:64]
    body, name = told["invoke"]
    assert body == {"request_id": name, "status": "processing"}


async def test_a_poller_sees_the_documented_statuses_in_order(ann):
    """From the queue to the end, in every dialect at once, with the text so far where the dialect shows it."""
    name = await started(ann)
    assert await statuses(ann, name) == STATUSES["queued"]
    pen = await ann.rig.bare_pen(name)
    await begin(pen)
    assert await statuses(ann, name) == STATUSES["running"]
    await work(pen)
    chat, job, task, request = await views(ann, name)
    assert [view["status"] for view in (chat, job, task, request)] == STATUSES["running"]
    assert (chat["result"], chat["error"]) == (None, None)
    assert (job["progress"], job["message"]) == (25, "Tool finished: workflow_tool")
    assert (task["progress"], task["result"]) == (25.0, None)
    assert (request["partial_content"], request["partial_response"]) == (ANSWER, ANSWER)
    assert (request["content"], request["final_response"], request["completed_at"]) == (None, None, None)
    await complete(pen)
    assert await statuses(ann, name) == STATUSES["completed"]


async def test_every_field_of_an_answer_is_there(ann):
    """Steps, calls, the agent's values, sources, actions, percent and text are told as the dialects have them."""
    name = await started(ann, "invoke", chat_id="their-chat")
    pen = await ann.rig.bare_pen(name)
    await begin(pen)
    await work(pen)
    await complete(pen)
    chat, job, task, request = await views(ann, name)
    assert [(step["type"], step["message"]) for step in chat["progress"]] == [
        ("created", "Chat session created"),
        ("agent_loaded", "Loaded agent: demo"),
        ("llm_call_start", "Calling LLM for response generation"),
        ("reading", "Processing step 2 of 4..."),
        ("tool_execution", "Executing tool: workflow_tool (create)"),
        ("tool_result", "Tool finished: workflow_tool"),
        ("completed", "Response is complete"),
    ]
    assert all(set(step) == {"timestamp", "type", "message"} for step in chat["progress"])
    created, updated = chat.pop("created_at"), chat.pop("updated_at")
    assert created.endswith("Z")
    assert created <= updated
    del chat["progress"]
    assert chat == {
        "chat_id": name, "status": "completed", "error": None,
        "result": {
            "message": ANSWER, "tool_calls": CALLS, "success": True, "workflow_generated": {"steps": 2},
            "actions": ACTIONS, "draft": {"body": "Dear"},
        },
    }  # fmt: skip
    assert job == {
        "job_id": f"workflow_{name}", "status": "completed", "progress": 100, "message": "Response is complete",
        "updated_at": updated, "response": ANSWER, "actions": ACTIONS, "sources": SOURCES,
    }  # fmt: skip
    result = task.pop("result")
    assert task == {"task_id": name, "status": "SUCCESS", "error": None, "progress": 100.0}
    assert (result["message"], result["draft"]) == (ANSWER, {"body": "Dear"})
    assert result["data"] == {"workflow_generated": {"steps": 2}, "actions": ACTIONS}
    assert request == {
        "id": name, "request_id": name, "chat_id": "their-chat", "user_message": "Hello?", "status": "completed",
        "partial_content": ANSWER, "partial_response": ANSWER, "content": ANSWER, "final_response": ANSWER,
        "trace_id": name, "error": None, "created_at": created, "completed_at": updated,
    }  # fmt: skip


@pytest.mark.parametrize("ending", ENDS)
async def test_bad_ends_are_told_in_the_words_that_pollers_know(ann, ending):
    """Failed, cancelled, timed out and interrupted: each has the status at which the dialect's clients stop, and why."""
    name = await started(ann)
    pen = await ann.rig.pen(name)
    await pen.say("I made ")
    await pen.put(ENDS[ending])
    told = await views(ann, name)
    assert [view["status"] for view in told] == STATUSES[ending]
    assert [view["error"] for view in told] == [ERRORS[ending]] * 4
    assert told[0]["result"] == {"message": "I made ", "tool_calls": [], "success": False}


async def test_a_request_of_any_door_can_be_asked_after(ann):
    """What came by the native API, in a chat, is told in every dialect, with the chat's id where one is shown."""
    await ann.submit("native-1", chat_id="c1")
    pen = await ann.rig.pen("native-1")
    await pen.say("Hi.")
    await pen.end()
    assert await statuses(ann, "native-1") == STATUSES["completed"]
    *_, request = await views(ann, "native-1")
    assert (request["chat_id"], request["user_message"], request["content"]) == ("c1", "Hello?", "Hi.")


async def test_deleting_ends_what_runs_and_then_it_is_gone(ann):
    """DELETE cancels and erases: the writer is stopped, no dialect knows the id any more, and a second DELETE is 404."""
    name = await started(ann)
    pen = await ann.rig.pen(name)
    reply = await ann.call("DELETE", f"/api/chat/async/{name}")
    assert (reply.status, reply.body) == (
        200,
        {"chat_id": name, "status": "deleted", "message": "Chat session deleted"},
    )
    with pytest.raises(StoreError):
        await pen.say("too late")
    for path in VIEWS:
        assert (await ann.call("GET", path.format(name))).code == "unknown_request"
    assert (await ann.call("DELETE", f"/api/chat/async/{name}")).status == 404


async def test_nobody_is_told_of_others_requests(ann):
    """Another user's id, one that never was and one that cannot be are the same 404 everywhere, deletion included."""
    name = await started(ann)
    bob = ann.user("bob-token")
    streams = ("/ai-demo/workflow/stream/workflow_{}", "/requests/{}/stream", "/api/requests/{}/stream")
    told = set()
    for caller, asked in ((bob, name), (ann, "nobody"), (ann, "no%0Abody"), (ann, "%F0%9F%99%82")):
        for path in (*VIEWS, *streams):
            reply = await caller.call("GET", path.format(asked))
            assert reply.status == 404, (path, asked)
            told.add(str(reply.body))
        assert (await caller.call("DELETE", f"/api/chat/async/{asked}")).status == 404
    assert len(told) == 1
    assert (await ann.call("GET", f"/ai-demo/workflow/status/{name}")).status == 404  # not a job's name
    assert await statuses(ann, name) == STATUSES["queued"]
    for path in VIEWS:
        assert (await ann.user(None).call("GET", path.format(name))).code == "unauthenticated"


async def test_a_caller_who_waits_gets_the_answer(ann):
    """Without `async` the reply is the answer itself, in both dialects that have it."""
    jobs = asyncio.create_task(
        ann.call("POST", "/ai-demo/chat/send", {"message": "Hi"}, {"Idempotency-Key": "jobs"})
    )
    chat = asyncio.create_task(ann.call("POST", "/chat", {"message": "Hi"}, {"Idempotency-Key": "chat"}))
    for name in ("jobs", "chat"):
        pen = await ann.rig.bare_pen(name)
        await begin(pen)
        await work(pen)
        await complete(pen)
        await come_true(partial(getattr, pen.log, "sealed"))
        reply = await {"jobs": jobs, "chat": chat}[name]
        assert reply.status == 200
        if name == "jobs":
            assert reply.body == {
                "success": True, "response": ANSWER, "actions": ACTIONS, "sources": SOURCES,
            }  # fmt: skip
        else:
            assert reply.body == {
                "session_id": "session_chat", "message": ANSWER, "task_id": None, "draft": {"body": "Dear"},
                "data": {"workflow_generated": {"steps": 2}, "actions": ACTIONS},
            }  # fmt: skip


@pytest.mark.parametrize("ending", ENDS)
async def test_a_caller_who_waits_is_told_of_a_bad_end(ann, ending):
    """`success` is false with the reason; where the dialect has no such field, the status and the error say so."""
    jobs = asyncio.create_task(
        ann.call("POST", "/ai-demo/chat/send", {"message": "Hi"}, {"Idempotency-Key": "jobs"})
    )
    pen = await ann.rig.pen("jobs")
    await pen.say("I made ")
    await pen.put(ENDS[ending])
    reply = await jobs
    assert (reply.status, reply.body["success"], reply.body["error"]) == (200, False, ERRORS[ending])
    assert reply.body["response"] == "I made "
    chat = asyncio.create_task(ann.call("POST", "/chat/", {"message": "Hi"}, {"Idempotency-Key": "chat"}))
    pen = await ann.rig.pen("chat")
    await pen.say("I made ")
    await pen.put(ENDS[ending])
    reply = await chat
    assert reply.status == {"failed": 500, "timed_out": 504, "interrupted": 503, "cancelled": 409}[ending]
    assert reply.headers["x-should-retry"] == "false"
    assert reply.body["error"]["message"] == ERRORS[ending]
    assert reply.body["error"]["code"] == ENDS[ending].code
    assert (reply.body["message"], reply.body["session_id"]) == ("I made ", "session_chat")


async def test_a_caller_who_cannot_wait_any_longer_gets_a_job(tmp_path):
    """After the longest wait, and at once if the run waits for a person, the reply is that of the asynchronous way."""
    async with visiting(DialectsRig(tmp_path, desk={"wait_max_s": 0.05})) as ann:
        reply = await ann.call("POST", "/ai-demo/chat/send", {"message": "Hi"})
        assert (reply.body["async"], reply.body["status"]) == (True, "processing")
        reply = await ann.call("POST", "/chat/", {"message": "Hi"})
        assert reply.body["message"] == "Processing..."
        assert (await ann.call("GET", f"/chat/task/{reply.body['task_id']}")).body["status"] == "PENDING"
    (tmp_path / "patient").mkdir()
    async with visiting(DialectsRig(tmp_path / "patient")) as ann:
        asking = asyncio.create_task(
            ann.call("POST", "/chat/", {"message": "Hi"}, {"Idempotency-Key": "chat"})
        )
        pen: Any = await ann.rig.pen("chat")
        now = ann.rig.now_ms()
        await pen.put(ev.PartDone(at=now, part=0))
        wait = ev.Waiting(at=now, part=1, wait_id="w", kind="approval", digest="d")
        await ann.rig.store.park(pen._claim, 0, wait)
        assert (await asking).body["task_id"] == "chat"


async def test_the_same_key_is_the_same_request(ann):
    """Sent again with its Idempotency-Key a start finds its request, session and all; with another body it is 409."""
    key = {"Idempotency-Key": "once"}
    first = await ann.call("POST", "/chat/?async_mode=true", {"message": "Hi"}, key)
    again = await ann.call("POST", "/chat/?async_mode=true", {"message": "Hi"}, key)
    assert first.body == again.body
    other = await ann.call("POST", "/chat/?async_mode=true", {"message": "Ho"}, key)
    assert (other.status, other.code) == (409, "request_conflict")
    assert other.body["error"]["param"] == "Idempotency-Key"
    assert (await ann.call("POST", "/api/chat/async", {"message": "Hi"}, key)).status == 409


async def test_histories_and_bounds_reach_the_agent(ann):
    """Histories in either spelling, the named agent, and the dialect's own longest run are in the request."""
    name = await started(
        ann, agent_id="strict",
        chat_history=[{"actor": "Human", "message": "Before"}, {"role": "ai", "content": "Indeed"}],
    )  # fmt: skip
    record = (await ann.rig.requests.find(ANN, name)).record
    assert (record.agent, record.text, record.deadlines.total_s) == ("strict", "Hello?", 90)
    assert [(message.role, message.text) for message in record.messages] == [
        ("user", "Before"),
        ("assistant", "Indeed"),
    ]
    name = await started(ann, "workflow_jobs", actions=True, intelligent_rag=False)
    record = (await ann.rig.requests.find(ANN, name)).record
    assert (record.deadlines.total_s, record.options) == (120, {"actions": True, "intelligent_rag": False})


async def test_a_session_is_a_chat_and_its_agent_answers(ann):
    """Messages of a session follow each other in a chat; its agent is asked, and that agent's options count."""
    await ann.call("POST", "/v1/chats", {"chat_id": "s1", "agent": "strict"})
    first = await started(ann, "chat_tasks", session_id="s1")
    pen = await ann.rig.pen(first)
    await pen.say("Hello.")
    await pen.end()
    name = await started(ann, "workflow_jobs", session_id="s1", memory=True, actions=True)
    record = (await ann.rig.requests.find(ANN, name)).record
    assert (record.chat_id, record.agent, record.parent_id) == ("s1", "strict", first)
    assert record.options == {}
    reply = await ann.call("POST", "/chat/", {"message": "Hi", "session_id": "s1", "role": "clerk"})
    assert (reply.status, reply.body["error"]["param"]) == (400, "role")
    name = await started(ann, "workflow_jobs", session_id="s1", memory=False, actions=True)
    record = (await ann.rig.requests.find(ANN, name)).record
    assert (record.chat_id, record.agent, record.options) == (None, "demo", {"actions": True})


@pytest.mark.parametrize(
    ("path", "body", "code", "param"),
    [
        ("/api/chat/async", {"message": " "}, "invalid", "message"),
        ("/api/chat/async", {}, "missing_parameter", "message"),
        ("/api/chat/async", {"message": "x", "voice": 1}, "unknown_parameter", "voice"),
        ("/api/chat/async", {"message": "x", "agent_id": "who"}, "unknown_agent", "agent_id"),
        ("/api/chat/async", {"message": "x", "chat_history": [{"role": "dog", "content": "w"}]}, "invalid",
         "chat_history[0]"),
        ("/ai-demo/chat/send", {"message": "x", "memory": True}, "invalid", "memory"),
        ("/ai-demo/chat/send", {"message": "x", "async": "yes"}, "invalid", "async"),
        ("/chat/", {"message": "x", "media": ["data:,"]}, "invalid", "media"),
        ("/api/chat/async?voice=1", {"message": "x"}, "unknown_parameter", "voice"),
        ("/ai-demo/chat/send?async=true", {"message": "x"}, "unknown_parameter", "async"),
        ("/chat/?async_mod=true", {"message": "x"}, "unknown_parameter", "async_mod"),
        ("/api/workflows/execute/stream?a=1", {"deployment_name": "demo", "query": "x"}, "unknown_parameter", "a"),
        ("/chat/?async_mode=maybe", {"message": "x"}, "invalid", "async_mode"),
        ("/invoke_endpoint", {"messages": []}, "invalid", "messages"),
        ("/api/invoke_endpoint", {"messages": [{"role": "user"}]}, "invalid", "messages[0]"),
        ("/api/workflows/execute/stream", {"deployment_name": "who", "query": "x"}, "unknown_agent",
         "deployment_name"),
        ("/api/workflows/execute/stream",
         {"deployment_name": "strict", "query": "x", "runtime_overrides": {"top": 1}}, "invalid",
         "runtime_overrides"),
        ("/api/chat/async", {"message": LONG}, "too_large", "message"),
        ("/api/chat/async", {"message": "x", "chat_history": TOLD}, "too_large", "chat_history"),
        ("/invoke_endpoint", {"messages": TOLD}, "too_large", "messages"),
        ("/api/workflows/execute/stream", {"deployment_name": "demo", "query": LONG}, "too_large", "query"),
    ],
)  # fmt: skip
async def test_what_cannot_be_honoured_is_refused_by_its_name(ann, path, body, code, param):
    """Nothing is ignored in silence: the error has the one shape, names the field, and no request was made."""
    reply = await ann.call("POST", path, body)
    assert (reply.status, reply.code) == ({"unknown_agent": 404, "too_large": 413}.get(code, 400), code)
    assert reply.body["error"]["param"] == param
    rows, _ = await ann.rig.requests.list_requests(ANN, False, None, 10, None)
    assert rows == []


async def test_what_a_view_does_not_know_is_refused_by_its_name(ann):
    """Nothing in the address is ignored in silence by those who look, stream or delete either."""
    request_id = await started(ann)
    looks = [("GET", path.format(request_id)) for path in VIEWS]
    looks += [("GET", f"/requests/{request_id}/stream"), ("DELETE", f"/api/chat/async/{request_id}")]
    for method, path in looks:
        reply = await ann.call(method, f"{path}?tail=5")
        assert (reply.status, reply.code, reply.body["error"]["param"]) == (400, "unknown_parameter", "tail")
    await views(ann, request_id)


async def test_unknown_paths_of_the_dialects_are_told_in_the_one_shape(ann):
    """Beside a dialect's addresses there is JSON that says so; a wrong method names the right ones."""
    for path in ("/chat/nothing", "/ai-demo/nothing", "/requests/x", "/api/requests/x", "/invoke_endpoint/x"):
        assert (await ann.call("GET", path)).code == "not_found"
    reply = await ann.call("GET", "/invoke_endpoint")
    assert (reply.status, reply.headers["Allow"]) == (405, "OPTIONS,POST")
