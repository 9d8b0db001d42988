"""The rows of the five older dialects in the table of doors."""

import asyncio

import pytest

from tests.support.door_happenings import (
    TOO_LONG,
    ended,
    gone_on_with,
    handed_over,
    of_a_later_release,
    parked,
    purged,
    stopped,
    superseded_behind_checkpoint,
    superseded_whole,
    too_long,
    waited_for,
    waited_for_in_vain,
)
from tests.support.door_table import CHAT, HALF, ID, KEEP_ALIVE_S, Reader, polling, read, table, tell

WAITS = "Waiting for a decision: approval"


@pytest.fixture
async def rig(tmp_path):
    """All doors."""
    async with table(tmp_path) as rig:
        yield rig


# -- who reads -----------------------------------------------------------------------------------------------


def status_at(path):
    async def ask(line):
        reply = await line.rig.ann.call("GET", path)
        assert reply.status == 200
        return reply.body

    return polling(ask)


async def over_jobs_stream(line):
    async with line.rig.ann.open("GET", f"/ai-demo/workflow/stream/workflow_{ID}") as response:
        ids = []
        async for fields, data in line.sse(response):
            line.put(data)
            ids.append(fields.get("id"))
    assert ids == [None] * (len(ids) - 1) + ["end"]


async def over_invoke_socket(line):
    async with line.rig.session.ws_connect(f"{line.rig.base}/requests/{ID}/stream") as ws:
        while not line.frames or line.frames[-1]["completed_at"] is None:
            try:
                line.put(await ws.receive_json(timeout=2 * KEEP_ALIVE_S))
            except TimeoutError:
                assert not ws.closed
                line.alive += 1


def execute(rig):
    body = {"deployment_name": "demo", "query": "Hello?"}
    return rig.ann.open("POST", "/api/workflows/execute/stream", {"Idempotency-Key": ID}, json=body)


async def ask_by_executing(rig):
    async with execute(rig) as response:
        return response.headers["X-Request-Id"]


async def over_workflow_stream(line):
    async with execute(line.rig) as response:
        async for fields, data in line.sse(response):
            assert not fields
            line.put(data)


READERS = {
    "async_chat": Reader(status_at(f"/api/chat/async/{ID}/status"), "llm_call_start", WAITS),
    "workflow_jobs-stream": Reader(over_jobs_stream, "processing", WAITS),
    "workflow_jobs": Reader(status_at(f"/ai-demo/workflow/status/workflow_{ID}"), "processing", WAITS),
    "chat_tasks": Reader(status_at(f"/chat/task/{ID}"), "STARTED"),
    "invoke": Reader(status_at(f"/api/requests/{ID}/status")),
    "invoke-socket": Reader(over_invoke_socket),
    "workflow_stream": Reader(over_workflow_stream, ask=ask_by_executing),
}
dialects = pytest.mark.parametrize("dialect", READERS)

BAD_ENDS = {
    "async_chat": {"cancelled": "failed"},
    "workflow_jobs-stream": {"cancelled": "failed"},
    "workflow_jobs": {"cancelled": "failed"},
    "chat_tasks": {"completed": "SUCCESS", "failed": "FAILURE", "cancelled": "FAILURE"},
    "workflow_stream": {"failed": "error", "cancelled": "error"},
}
"""What a dialect calls an outcome, where it does not call it by its name."""


def said_by(dialect, line):
    """What the reader has in the end: the status, the text (None: the dialect shows no text of what went wrong), the error."""
    last = line.frames[-1]
    if dialect == "async_chat":
        return last["status"], last["result"]["message"], last["error"]
    if dialect == "workflow_jobs":
        return last["data"]["status"], last["data"]["response"], last["data"].get("error")
    if dialect == "workflow_jobs-stream":
        return last["status"], last["response"], last.get("error")
    if dialect == "chat_tasks":
        return last["status"], None if last["result"] is None else last["result"]["message"], last["error"]
    if dialect.startswith("invoke"):
        return last["status"], last["partial_content"], last["error"]
    text = ""
    for chunk in line.frames:
        text = chunk["data"] if chunk["status"] == "started" else text + chunk["data"]
    return last["status"], text, last["error"]


def check(dialect, told, text, outcome="completed", error=None):
    """All readers end with the same."""
    status = BAD_ENDS.get(dialect, {}).get(outcome, outcome)
    if dialect == "chat_tasks" and outcome != "completed":
        text = None
    for line in (told.there, told.new):
        assert said_by(dialect, line) == (status, text, error)
    if not dialect.startswith("workflow"):
        assert told.there.frames[-1] == told.new.frames[-1]


def steps(line):
    """What is told of the work, of all that was ever told."""
    return str(line.frames)


# -- what happens --------------------------------------------------------------------------------------------


@dialects
@pytest.mark.parametrize(
    ("happening", "text"), [(superseded_whole, "Right"), (superseded_behind_checkpoint, "One Right")]
)
async def test_superseded(rig, dialect, happening, text):
    """Who shows whole texts shows what stands; a workflow's stream says `started` again, with what stands of the text."""
    told = await tell(rig, READERS[dialect], happening)
    check(dialect, told, text)
    if dialect == "workflow_stream":
        begun = [chunk["data"] for chunk in told.there.frames if chunk["status"] == "started"]
        assert begun == ["", text.removesuffix("Right")]
        assert told.new.frames == told.there.frames
    if dialect in ("async_chat", "workflow_jobs-stream"):
        assert "Trying again (attempt 2)" in steps(told.there)


@dialects
async def test_gone_on_with(rig, dialect):
    """The text grows on; where steps are told, one says so."""
    told = await tell(rig, READERS[dialect], gone_on_with)
    check(dialect, told, "One half and more")
    if dialect == "workflow_stream":
        assert [chunk["status"] for chunk in told.there.frames].count("started") == 1
    if dialect in ("async_chat", "workflow_jobs-stream"):
        assert "Going on where it stood" in steps(told.there)


@dialects
@pytest.mark.parametrize("happening", [waited_for, waited_for_in_vain])
async def test_waited_for(rig, dialect, happening):
    """It goes on being processed; where steps are told, one is that a decision is waited for, and one what came of it; the answer
    follows."""
    told = await tell(rig, READERS[dialect], happening)
    check(dialect, told, "One halfAfter")
    if dialect in ("async_chat", "workflow_jobs-stream"):
        assert ("No decision came in time" in steps(told.there)) == (happening is waited_for_in_vain)
        assert ("'Decided'" in steps(told.there)) == (happening is waited_for)


@dialects
async def test_stopped(rig, dialect):
    """A bad end, by the name that the dialect has for it; what was shown stands where it shows it."""
    check(dialect, await tell(rig, READERS[dialect], stopped), "One half", "cancelled", "Stopped.")


@dialects
async def test_too_long(rig, dialect):
    """Failed, for that reason; what was shown stands where it shows it."""
    check(dialect, await tell(rig, READERS[dialect], too_long), "One half", "failed", TOO_LONG)


@dialects
async def test_purged(rig, dialect):
    """What was in a chat is told from the history, whichever door it came by; a workflow's request is in none, and its call asks
    anew."""
    reader = READERS[dialect]
    told = await tell(rig, reader, ended)
    await purged(rig)
    if reader.ask is not None:
        assert (await rig.ann.call("GET", f"/v1/requests/{ID}")).status == 404
        assert await reader.ask(rig) == ID
        assert rig.journal.live(rig.pen_.log.key).status == "queued"
        return
    line = await read(rig, reader)
    assert said_by(dialect, line) == said_by(dialect, told.new)


@dialects
async def test_handed_over(rig, dialect):
    """Nobody sees that a drained server's successor goes on."""
    told = await tell(rig, READERS[dialect], handed_over)
    check(dialect, told, "One half and more")
    assert "Going on" not in steps(told.there)
    if dialect == "workflow_stream":
        assert [chunk["status"] for chunk in told.there.frames].count("started") == 1


@dialects
async def test_of_a_later_release(rig, dialect):
    """Events of kinds that nobody here knows are passed over."""
    told = await tell(rig, READERS[dialect], of_a_later_release)
    check(dialect, told, "One halfAfter")
    assert "hologram" not in steps(told.there)


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/ai-demo/chat/send", {"message": "Hello?", "session_id": CHAT}, "job_id"),
        ("/chat/", {"message": "Hello?", "session_id": CHAT}, "task_id"),
    ],
)
async def test_a_call_that_waits_is_told_of_a_wait_for_a_person(rig, path, body, named):
    """Who waits for the answer is told at once where to ask after it."""
    call = asyncio.create_task(rig.ann.call("POST", path, body, {"Idempotency-Key": ID}))
    await rig.begun(ID)
    assert not call.done()
    await parked(rig)
    reply = await asyncio.wait_for(call, 10)
    assert (reply.status, reply.body[named].removeprefix("workflow_")) == (200, ID)
    assert HALF not in str(reply.body)
