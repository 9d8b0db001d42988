"""The AI SDK's HTTP transport on a real port: what is asked, under which id and where in the chat, and what comes back."""

import asyncio

import pytest

from holdfast_protocol import events as ev
from holdfast_server.agents.base import Profile
from tests.support.ai_sdk_rig import AiRig, assistant, chunks_of, text_of, user, visiting, whole
from tests.support.journals import ANN

HELLO = [user("q1", "Hello?")]


@pytest.fixture
async def ann(tmp_path):
    """Ann's way to a door with little patience."""
    async with visiting(AiRig(tmp_path, reception={"keep_alive_s": 0.05})) as guest:
        yield guest


async def answered(ann, request_id, text="Hi."):
    """Let the request be answered."""
    pen = await ann.rig.pen(request_id)
    await pen.say(text)
    await finish(pen)


async def finish(pen, outcome=None):
    """End what a pen writes."""
    now = pen.desk.now_ms()
    await pen.put(
        *([] if outcome else [ev.PartDone(at=now, part=0)]), outcome or ev.Completed(at=now, code="stop")
    )


async def test_an_answer_is_streamed_as_the_ai_sdk_has_it(ann):
    """The headers name the protocol and the request, the message has the request's id, and the stream ends with [DONE]."""
    async with ann.ask("c1", HELLO) as response:
        assert response.status == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["x-vercel-ai-ui-message-stream"] == "v1"
        assert response.headers["x-accel-buffering"] == "no"
        assert "no-cache" in response.headers["cache-control"]
        request_id = response.headers["x-request-id"]
        await answered(ann, request_id, "Hi, Ann.")
        chunks = await whole(response)
    assert chunks[0] | {"messageMetadata": 0} == {
        "type": "start",
        "messageId": request_id,
        "messageMetadata": 0,
    }
    assert text_of(chunks) == "Hi, Ann."
    assert chunks[-1]["type"] == "finish"
    assert chunks[-1]["finishReason"] == "stop"


async def test_hanging_up_ends_nothing_and_a_return_tells_what_stands_and_what_comes(ann):
    """The request goes on; GET begins with all that there is, in one piece, and ends as the answer does; then it is 204."""
    async with ann.ask("c1", HELLO) as response:
        request_id = response.headers["x-request-id"]
        pen = await ann.rig.pen(request_id)
        await pen.say("He", "l", "lo")
        async for chunk in chunks_of(response):
            if chunk["type"] == "text-delta":
                break
    async with ann.open("GET", "/api/chat/c1/stream") as response:
        assert response.status == 200
        assert response.headers["x-request-id"] == request_id
        seen = []
        async for chunk in chunks_of(response):
            if chunk is None:
                break
            seen.append(chunk)
            if chunk["type"] == "text-delta" and text_of(seen) == chunk["delta"]:
                assert chunk["delta"] == "Hello"
                await pen.say(", Ann")
                await finish(pen)
    assert seen[0]["messageId"] == request_id
    assert text_of(seen) == "Hello, Ann"
    assert seen[-1]["type"] == "finish"
    for path in ("c1/stream", "nobody/stream", "c1/stream?last=other&ai=7&agent=demo"):
        reply = await ann.call("GET", f"/api/chat/{path}")
        assert (reply.status, reply.body, reply.headers["Cache-Control"]) == (204, b"", "no-store")
    async with ann.open("GET", "/api/chat/c1/stream?last=q1") as response:
        assert text_of(await whole(response)) == "Hello, Ann"


async def test_an_answer_that_ends_between_loading_and_coming_back_is_in_one_of_them(ann):
    """What the messages left out because it ran is told to who comes back, once, though it has ended by then."""
    request_id = await ann.asked("c1", HELLO)
    assert [message["id"] for message in (await ann.call("GET", "/api/chat/c1/messages")).body] == ["q1"]
    await answered(ann, request_id)
    async with ann.open("GET", "/api/chat/c1/stream") as response:
        assert text_of(await whole(response)) == "Hi."
    assert (await ann.call("GET", "/api/chat/c1/stream")).status == 204
    assert [one["id"] for one in (await ann.call("GET", "/api/chat/c1/messages")).body] == ["q1", request_id]
    assert (await ann.call("GET", "/api/chat/c1/stream")).status == 204


async def test_a_silent_line_is_kept_alive(ann):
    """While nothing comes, a comment of one line does, which no parser takes for an event."""
    async with ann.ask("c1", HELLO) as response:
        raw = b""
        async with asyncio.timeout(5):
            while raw.count(b": alive\n") < 2:
                raw += await response.content.readany()
        assert b": alive\n\n" not in raw


async def test_the_same_question_again_is_the_same_request(ann):
    """Sent again while it runs, at the same time, or after its end, a question is one request with one answer."""
    ids = await asyncio.gather(*(ann.asked("c1", HELLO) for _ in range(4)))
    assert len(set(ids)) == 1
    assert await ann.asked("c1", HELLO) == ids[0]
    await answered(ann, ids[0])
    async with ann.ask("c1", HELLO) as response:
        assert response.headers["x-request-id"] == ids[0]
        assert text_of(await whole(response)) == "Hi."
    assert await ann.asked("c2", HELLO) != ids[0]


async def test_regenerating_makes_another_answer_each_time(ann):
    """Once an answer is there the next is made beside it, under the same question; asked again while it runs, it is that one."""
    first = await ann.asked("c1", HELLO)
    await answered(ann, first, "One.")
    second = await ann.asked("c1", HELLO, trigger="regenerate-message")
    assert await ann.asked("c1", HELLO, trigger="regenerate-message") == second
    await answered(ann, second, "Two.")
    third = await ann.asked("c1", HELLO, trigger="regenerate-message", messageId=second)
    assert len({first, second, third}) == 3
    await answered(ann, third, "Three.")
    rows = (await ann.rig.requests.list_messages(ANN, "c1", 50, None))[0]
    assert {row.parent_id for row in rows if row.role == "assistant"} == {"q1"}
    assert [row.text for row in rows if row.role == "user"] == ["Hello?"]


async def test_an_answer_that_came_to_nothing_is_made_again(ann):
    """The question sent again after a failure is asked once more, and that answer is then the one of the question."""
    first = await ann.asked("c1", HELLO)
    pen = await ann.rig.pen(first)
    await finish(pen, ev.Failed(at=1, code="upstream", message="No answer."))
    second = await ann.asked("c1", HELLO)
    assert second != first
    await answered(ann, second)
    assert await ann.asked("c1", HELLO) == second


async def test_a_key_of_the_clients_wins(ann):
    """With an Idempotency-Key, or `requestId` in the body, the request has that id; the key of something else is refused."""
    assert await ann.asked("c1", HELLO, requestId="mine-1") == "mine-1"
    assert await ann.asked("c1", HELLO, requestId="mine-1") == "mine-1"
    status, error = await ann.refused("c1", [user("q2", "Other?")], requestId="mine-1")
    assert (status, error["code"]) == (409, "request_conflict")
    await answered(ann, "mine-1")
    assert await ann.asked("c1", HELLO, requestId="mine-2", trigger="regenerate-message") == "mine-2"
    await ann.submit("theirs")
    status, error = await ann.refused("c1", HELLO, requestId="theirs")
    assert (status, error["code"]) == (409, "request_conflict")


async def test_what_the_page_shows_is_what_the_agent_is_told(ann):
    """A question goes under the last message before it that the server has; what it never took is passed over."""
    first = await ann.asked("c1", [assistant("greeting", "Welcome!"), user("q1", "Hello?")])
    await answered(ann, first)
    before = [
        assistant("greeting", "Welcome!"),
        user("q1", "Hello?"),
        assistant(first, "Hi."),
        user("lost", "What?"),
    ]
    second = await ann.asked("c1", [*before, user("q2", "And now?")])
    log = await ann.rig.requests.find(ANN, second)
    assert (log.record.message_id, log.record.parent_id) == ("q2", first)
    told = await ann.rig.requests.history(log.record)
    assert [message.text for message in told][::2] == ["Hello?", "And now?"]


async def test_an_edited_question_is_a_branch(ann):
    """The AI SDK keeps the id of an edited message; here it stands beside the old one, and what follows goes under it."""
    first = await ann.asked("c1", HELLO)
    await answered(ann, first)
    edited = [user("q1", "Hello, you?")]
    second = await ann.asked("c1", edited, messageId="q1")
    record = (await ann.rig.requests.find(ANN, second)).record
    assert record.message_id != "q1"
    assert (record.text, record.parent_id) == ("Hello, you?", None)
    await answered(ann, second)
    again = await ann.asked("c1", edited, messageId="q1")
    assert again not in (first, second)
    await answered(ann, again)
    anew = await ann.asked("c1", edited, trigger="regenerate-message")
    assert (await ann.rig.requests.find(ANN, anew)).record.message_id == record.message_id
    # The answer never came, so the page has the question alone.
    third = await ann.asked("c1", [*edited, user("q2", "More")])
    assert (await ann.rig.requests.find(ANN, third)).record.parent_id == record.message_id


async def test_ids_of_messages_need_only_differ_within_their_chat(ann):
    """The same message id in another chat, or one that is no id here, gets another name at the server."""
    await ann.asked("c1", HELLO)
    second = await ann.asked("c2", HELLO)
    assert await ann.asked("c2", HELLO) == second
    third = await ann.asked("c3", [user("msg/1 ü", "Hello?")])
    assert await ann.asked("c3", [user("msg/1 ü", "Hello?")]) == third


async def test_only_the_last_message_may_be_sent(ann):
    """With `message` instead of `messages` the question goes under the newest message of the chat."""
    first = await ann.asked("c1", HELLO)
    await answered(ann, first)
    second = await ann.asked("c1", [], message=user("q2", "And?"))
    assert (await ann.rig.requests.find(ANN, second)).record.parent_id == first


async def test_a_question_waits_for_the_answer_that_it_follows(ann):
    """Asked under an answer that still runs, a question is taken, and runs after it."""
    first = await ann.asked("c1", HELLO)
    pen = await ann.rig.pen(first)
    second = await ann.asked("c1", [*HELLO, assistant(first, "H"), user("q2", "More?")])
    record = (await ann.rig.requests.find(ANN, second)).record
    assert (record.parent_id, record.after) == (first, first)
    await finish(pen)


async def test_agent_options_and_instructions_come_from_the_body(ann):
    """`agent`, or `model`, names the agent, in the body or the address; `options` go to it, `system` to this request alone."""
    request_id = await ann.asked("c1", HELLO, model="demo", options={"seed": 1}, system="Be brief.")
    record = (await ann.rig.requests.find(ANN, request_id)).record
    assert (record.agent, record.options) == ("demo", {"seed": 1})
    assert [message.text for message in await ann.rig.requests.history(record)] == ["Be brief.", "Hello?"]
    for more in ({"agent": "none"}, {"query": "?agent=none"}):
        status, error = await ann.refused("c2", HELLO, **more)
        assert (status, error["code"]) == (404, "unknown_agent")


async def test_a_chat_that_began_elsewhere_stays_the_clients(ann):
    """The whole conversation goes along, nothing of it becomes history, and what runs is found by the chat's id."""
    told = [
        {"id": "s", "role": "system", "parts": [{"type": "text", "text": "Be kind."}]},
        user("a", "Hello?"),
        assistant("b", "Hi."),
        user("c", "And?"),
    ]
    request_id = await ann.asked("old", told)
    log = await ann.rig.requests.find(ANN, request_id)
    assert log.record.chat_id is None
    assert [(m.role, m.text) for m in log.record.messages] == [
        ("system", "Be kind."), ("user", "Hello?"), ("assistant", "Hi."), ("user", "And?"),
    ]  # fmt: skip
    assert await ann.asked("old", told) == request_id
    async with ann.open("GET", "/api/chat/old/stream") as response:
        assert response.headers["x-request-id"] == request_id
        await answered(ann, request_id, "So.")
        assert text_of(await whole(response)) == "So."
    assert (await ann.call("GET", "/api/chat/old/messages")).body == []
    assert await ann.asked("old", told) == request_id
    assert await ann.asked("old", told, trigger="regenerate-message") != request_id
    here = await ann.asked("here", told, history="server")
    assert (await ann.rig.requests.find(ANN, here)).record.chat_id == "here"


async def test_results_of_the_pages_own_tools_go_on_where_the_client_keeps_the_chat(ann):
    """The call and its result go along, and the answer goes on in the same message; a chat of the server's says what to do."""
    call = {
        "type": "tool-look", "toolCallId": "call~2", "state": "output-available", "input": {"q": 1}, "output": {"found": 2},
    }  # fmt: skip
    told = [user("a", "Look!"), assistant("b", "Let me see.", call)]
    async with ann.ask("old", told, messageId="b") as response:
        request_id = response.headers["x-request-id"]
        await answered(ann, request_id, "Two.")
        chunks = await whole(response)
    assert chunks[0]["messageId"] == "b"
    messages = (await ann.rig.requests.find(ANN, request_id)).record.messages
    assert [(m.role, m.text, m.call_id) for m in messages] == [
        ("user", "Look!", None), ("assistant", "Let me see.", None), ("tool", '{"found":2}', "call"),
    ]  # fmt: skip
    assert messages[1].tool_calls[0].arguments == '{"q":1}'
    assert await ann.asked("old", told, messageId="b") == request_id
    first = await ann.asked("c1", [user("q", "Look!")])
    await answered(ann, first)
    status, error = await ann.refused("c1", [user("q", "Look!"), assistant(first, "Hi.", call)])
    assert (status, error["param"]) == (400, "messages[1]")
    assert "history" in error["message"]


async def test_stop_cancels_what_runs_in_the_chat(ann):
    """POST stop ends the running request, or the one that is named; its stream ends in `abort`."""
    async with ann.ask("c1", HELLO) as response:
        request_id = response.headers["x-request-id"]
        other = await ann.call("POST", "/api/chat/c1/stop", {"activeStreamId": "another"})
        assert (other.status, other.body) == (200, {"stopped": 0})
        assert (await ann.call("POST", "/api/chat/c1/stop", {"activeStreamId": request_id})).body == {
            "stopped": 1
        }
        assert (await whole(response))[-1]["type"] == "abort"
    assert (await ann.call("POST", "/api/chat/c1/stop")).body == {"stopped": 0}
    assert (await ann.call("GET", "/api/chat/c1/messages")).body[1]["metadata"]["status"] == "cancelled"


async def test_a_chat_is_another_owners(ann):
    """What is ann's cannot be read, resumed or stopped by bob, and who has no token gets nowhere."""
    await ann.asked("c1", HELLO)
    bob = ann.user("bob-token")
    assert (await bob.call("GET", "/api/chat/c1/stream")).status == 204
    assert (await bob.call("GET", "/api/chat/c1/messages")).body == []
    assert (await bob.call("POST", "/api/chat/c1/stop")).body == {"stopped": 0}
    for method, path in (
        ("POST", "/api/chat"),
        ("GET", "/api/chat/c1/stream"),
        ("GET", "/api/chat/c1/messages"),
    ):
        assert (await ann.user(None).call(method, path)).code == "unauthenticated"


async def test_an_attempt_that_drops_text_resets_the_step_or_breaks_off(ann):
    """An AI SDK 7 that says so is told anew; any other stream ends in an error, and the next one tells what stands."""
    async with ann.ask("c1", HELLO) as new, ann.ask("c1", HELLO, query="") as old:
        request_id = new.headers["x-request-id"]
        pen = await ann.rig.pen(request_id)
        await pen.say("Wrong")
        for response in (new, old):
            async for chunk in chunks_of(response):
                if chunk["type"] == "text-delta":
                    break
        await pen.begin("none")
        await pen.say("Right")
        chunks = await whole(old)
        assert chunks[-1]["type"] == "error"
        async with ann.open("GET", "/api/chat/c1/stream") as again:
            await finish(pen)
            assert text_of(await whole(again)) == "Right"
        chunks = await whole(new)
    assert "reset-step" in [chunk["type"] for chunk in chunks]
    assert text_of(chunks) == "Right"


async def test_a_chat_that_is_deleted_breaks_off_with_a_word(ann):
    """Deleting the chat ends its stream, and nothing more can be asked in it."""
    async with ann.ask("c1", HELLO) as response:
        await ann.rig.requests.delete_chat(ANN, "c1")
        assert (await whole(response))[-1]["type"] in ("abort", "error")
    status, error = await ann.refused("c1", HELLO)
    assert (status, error["code"]) == (404, "unknown_chat")
    told = [user("a", "Hello?"), assistant("b", "Hi."), user("c", "And?")]
    assert (await ann.refused("c1", told))[1]["code"] == "unknown_chat"


async def test_a_server_that_closes_breaks_the_stream_off(ann):
    """The end of the server must look like a lost line, and not like the end of the answer."""
    async with ann.ask("c1", HELLO) as response:
        pen = await ann.rig.pen(response.headers["x-request-id"])
        await pen.say("Hal")
        seen = []
        with pytest.raises(Exception, match=r"(?i)payload|transfer|reset|peer|disconnect"):  # noqa: PT012
            async for chunk in chunks_of(response):
                seen.append(chunk)
                if chunk is None or chunk["type"] == "text-delta":
                    ann.rig.reception.close()
        assert None not in seen


WRONG = [
    ("a b", HELLO, {}, "id", "invalid"),
    ("c1", [], {}, "messages", "invalid"),
    ("c1", [assistant("a", "Hi.")], {}, "messages[0]", "invalid"),
    ("c1", [user("q", "  ")], {}, "messages[0]", "invalid"),
    ("c1", [{"id": "q", "role": "user", "parts": [{"type": "file", "url": "data:,x"}]}], {}, "messages[0].parts[0]", "unsupported_part"),
    ("c1", [{"id": "q", "role": "user", "parts": [{"type": "tool-x"}]}], {}, "messages[0].parts[0]", "unsupported_part"),
    ("c1", [{"id": "q", "role": "user", "parts": [{"type": "text"}]}], {}, "messages[0].parts[0].text", "invalid"),
    ("c1", [{"id": "q", "role": "boss", "parts": []}], {}, "messages[0].role", "invalid"),
    ("c1", [{"role": "user", "parts": []}], {}, "messages[0].id", "missing_parameter"),
    ("c1", HELLO, {"trigger": "resume-stream"}, "trigger", "invalid"),
    ("c1", HELLO, {"requestId": "a/b"}, "requestId", "invalid"),
    ("c1", HELLO, {"options": [1]}, "options", "invalid"),
    ("c1", HELLO, {"history": "nobody"}, "history", "invalid"),
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_cannot_be_asked_is_refused_by_name(ann, wrong):
    """The refusal has the shape of all doors, and names the field."""
    chat_id, messages, more, param, code = wrong
    status, error = await ann.refused(chat_id, messages, **more)
    assert (status, error["param"], error["code"]) == (400, param, code)
    assert error["message"]


async def test_unknown_words_and_options_are_refused_by_name(ann):
    """Of the address `agent` and `ai` are read, and options are the agent's; anything else is not ignored."""
    ann.rig.requests.profiles["demo"] = Profile(name="demo", options=frozenset({"seed"}))
    for param, wrong in (("options.sed", {"options": {"sed": 1}}), ("agnet", {"query": "?ai=7&agnet=demo"})):
        assert (await ann.refused("c1", HELLO, **wrong))[1]["param"] == param
    for call in (("POST", "stop?all=true"), ("GET", "stream?zz=1"), ("GET", "messages?zz=1")):
        assert (await ann.call(call[0], f"/api/chat/c1/{call[1]}")).code == "unknown_parameter"


async def test_fields_of_an_applications_own_do_no_harm(ann):
    """The body of a transport is the application's too: what is not known is passed over."""
    await ann.asked("c1", HELLO, sessionId="x", deep={"a": [1]})
