"""The rows of OpenAI's doors in the table of doors: Responses as stream, socket and object, and Chat Completions."""

import pytest

from holdfast_server.projections import versions
from tests.support.door_happenings import (
    TOO_LONG,
    WAIT_ID,
    ended,
    gone_on_with,
    handed_over,
    of_a_later_release,
    purged,
    stopped,
    superseded_behind_checkpoint,
    superseded_whole,
    too_long,
    waited_for,
    waited_for_in_vain,
)
from tests.support.door_table import HALF, Line, Reader, polling, read, table, tell

DROPPING = [(superseded_whole, "Right", 2), (superseded_behind_checkpoint, "One Right", 1)]
"""What happens, what stands then, and how many items were dropped."""


@pytest.fixture
async def rig(tmp_path):
    """All doors."""
    async with table(tmp_path) as rig:
        yield rig


# -- Responses -----------------------------------------------------------------------------------------------


def take(line, event):
    """An event of a response; its number is where the reader can come back to."""
    line.put(event)
    line.place = event.get("sequence_number", line.place)


def over_sse(ours):
    async def follow(line):
        query = {"stream": "true"} | ({} if line.place is None else {"starting_after": str(line.place)})
        query |= {"include": "holdfast.events"} if ours else {}
        async with line.rig.ann.open("GET", "/v1/responses/resp_r1", params=query) as response:
            line.status = response.status
            if response.status != 200:
                line.put(await response.json())
                return
            async for fields, data in line.sse(response):
                assert fields == {"event": data["type"]}
                take(line, data)

    return follow


async def over_socket(line):
    frame = {"type": "response.subscribe", "response_id": "resp_r1", "include": ["holdfast.events"]}
    frame |= {} if line.place is None else {"starting_after": line.place}
    url = line.rig.base + "/v1/responses"
    async with line.rig.session.ws_connect(url) as ws:
        await ws.send_json(frame)
        while True:
            event = await ws.receive_json()
            take(line, event)
            line.status = event.get("status", 200)
            if "error" in event or event["type"] in ENDS:
                return


async def ask_object(line):
    reply = await line.rig.ann.call("GET", "/v1/responses/resp_r1")
    assert reply.status == 200
    return reply.body


ENDS = ("response.completed", "response.incomplete", "response.failed")
STREAMS = {
    "sse": Reader(over_sse(False)),
    "sse-with-ours": Reader(over_sse(True), waits="holdfast.waiting"),
    "socket": Reader(over_socket, waits="holdfast.waiting"),
}
OBJECT = Reader(polling(ask_object))
doors = pytest.mark.parametrize("door", STREAMS)


def shown(response):
    """The text of the items that stand."""
    return "".join(content["text"] for item in response["output"] for content in item["content"])


def of(line, kind):
    """The events of this kind."""
    return [event for event in line.frames if event["type"] == kind]


def check(rig, told, text, *, status="completed"):
    """Who was there and who is new are told the same; who comes back is told what is left of it; the last event has the object,
    in which is what stands."""
    assert told.there.frames == told.new.frames
    held = len(told.new.frames) - len(told.back.frames)
    assert held > 0
    assert told.back.frames == told.new.frames[held:]
    last = told.new.frames[-1]
    assert last["type"] == (
        f"response.{status}" if status in ("completed", "failed") else "response.incomplete"
    )
    assert (last["response"]["status"], shown(last["response"])) == (status, text)
    numbers = [event["sequence_number"] for event in told.new.frames]
    if told.there.reader is STREAMS["sse"]:
        assert numbers == sorted(set(numbers))
        assert not any(event["type"].startswith("holdfast.") for event in told.new.frames)
    else:
        assert numbers == list(range(len(numbers)))


@doors
@pytest.mark.parametrize(("happening", "text", "dropped"), DROPPING)
async def test_responses_superseded(rig, door, happening, text, dropped):
    """The item that was open ends incomplete, new items follow under new ids, and the last event's object lists those that
    stand. Who asks for it is told which do not."""
    told = await tell(rig, STREAMS[door], happening)
    check(rig, told, text)
    done = of(told.there, "response.output_item.done")
    assert [event["item"]["status"] for event in done] == ["completed", "incomplete", "completed"]
    assert len({event["item"]["id"] for event in done}) == 3
    assert len({event["output_index"] for event in done}) == 3
    ours = of(told.there, "holdfast.superseded")
    if door != "sse":
        assert [event["item_ids"] for event in ours] == [[e["item"]["id"] for e in done[2 - dropped : 2]]]


@doors
async def test_responses_gone_on_with(rig, door):
    """An attempt that keeps everything goes on in the same item, unseen."""
    told = await tell(rig, STREAMS[door], gone_on_with)
    check(rig, told, "One half and more")
    assert len(of(told.there, "response.in_progress")) == 1
    assert len(of(told.there, "response.output_item.added")) == 2


@doors
@pytest.mark.parametrize("happening", [waited_for, waited_for_in_vain])
async def test_responses_waited_for(rig, door, happening):
    """The stream lives on, and ends with the answer, without a new connection; events of ours tell of the wait who asked for
    them."""
    told = await tell(rig, STREAMS[door], happening)
    check(rig, told, "One halfAfter")
    if door != "sse":
        [waiting], [decided] = of(told.back, "holdfast.waiting"), of(told.back, "holdfast.decided")
        assert waiting["wait_id"] == decided["wait_id"] == WAIT_ID
        assert decided["expired"] == (happening is waited_for_in_vain)


@doors
async def test_responses_stopped(rig, door):
    """The last event is `response.incomplete`, and its object's status `cancelled`."""
    check(rig, await tell(rig, STREAMS[door], stopped), "One half", status="cancelled")


@doors
async def test_responses_too_long(rig, door):
    """The last event is `response.failed`; the object says why, and has what was shown."""
    told = await tell(rig, STREAMS[door], too_long)
    check(rig, told, "One half", status="failed")
    response = told.new.frames[-1]["response"]
    assert response["error"] == {"code": "server_error", "message": TOO_LONG}
    assert (response["holdfast"]["code"], response["holdfast"]["retryable"]) == ("too_long", False)


@doors
async def test_responses_purged(rig, door):
    """There is no stream any more, from any place."""
    reader = STREAMS[door]
    await tell(rig, reader, ended)
    await purged(rig)
    for place in (None, 1, 10_000):
        refused(await read(rig, reader, place), 410, "purged")


@doors
async def test_responses_ahead(rig, door):
    """A number that was never given is an error, and no empty stream."""
    reader = STREAMS[door]
    told = await tell(rig, reader, ended)
    refused(await read(rig, reader, told.there.place + 1), 400, "cursor_ahead")


@doors
async def test_responses_handed_over(rig, door):
    """Nobody sees that a drained server's successor goes on."""
    told = await tell(rig, STREAMS[door], handed_over)
    check(rig, told, "One half and more")
    assert len(of(told.there, "response.output_item.added")) == 2
    assert len(of(told.there, "response.in_progress")) == 1


@doors
async def test_responses_of_a_later_release(rig, door):
    """Events of kinds that nobody here knows make none."""
    told = await tell(rig, STREAMS[door], of_a_later_release)
    check(rig, told, "One halfAfter")
    assert len(of(told.there, "response.output_item.added")) == 3
    assert not told.there.says("hologram")


def refused(line, status, code):
    """The one thing that was told is this error."""
    assert (line.status, [frame["error"]["code"] for frame in line.frames]) == (status, [code])


@pytest.mark.parametrize(
    ("happening", "status", "text"),
    [
        *((happening, "completed", text) for happening, text, _ in DROPPING),
        (gone_on_with, "completed", "One half and more"),
        (waited_for, "completed", "One halfAfter"),
        (waited_for_in_vain, "completed", "One halfAfter"),
        (stopped, "cancelled", "One half"),
        (too_long, "failed", "One half"),
        (handed_over, "completed", "One half and more"),
        (of_a_later_release, "completed", "One halfAfter"),
    ],
)
async def test_the_response_itself(rig, happening, status, text):
    """The object has what stands, and is `in_progress` until there is an outcome, also while a person is waited for."""
    told = await tell(rig, OBJECT, happening)
    last = told.new.frames[-1]
    assert told.there.frames[-1] == last
    assert (last["status"], shown(last)) == (status, text)
    assert {frame["status"] for frame in told.there.frames[:-1]} == {"in_progress"}


@pytest.mark.parametrize("happening", [ended, stopped, too_long])
async def test_the_response_itself_purged(rig, happening):
    """Its object is made from the history, with all that it showed, and how it ended."""
    told = await tell(rig, OBJECT, happening)
    await purged(rig)
    after = (await read(rig, OBJECT)).frames[-1]
    before = told.new.frames[-1]
    assert shown(after) == shown(before) == "One half"
    if happening is ended:
        assert [item["status"] for item in after["output"]] == ["completed"] * 2
    assert {**after, "output": None} == {**before, "output": None}


# -- Chat Completions ----------------------------------------------------------------------------------------


async def over_chunks(line):
    path = "/v1/chat/completions/chatcmpl-r1?stream=true"
    async with line.rig.ann.open("GET", path) as response:
        async for fields, data in line.sse(response):
            assert not fields
            line.put(data)


async def ask_completion(line):
    reply = await line.rig.ann.call("GET", "/v1/chat/completions/chatcmpl-r1")
    return reply.status, reply.body


CHUNKS = Reader(over_chunks)
COMPLETION = Reader(polling(ask_completion), "pending")


def said(line):
    """The text of the chunks."""
    chunks = [frame for frame in line.frames if frame != "[DONE]" and "error" not in frame]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


@pytest.mark.parametrize(("happening", "text", "_"), DROPPING)
async def test_completions_superseded(rig, happening, text, _):
    """Who was shown what does not stand is told an error, and no [DONE]; who comes after it, what stands alone."""
    told = await tell(rig, CHUNKS, happening)
    assert told.there.frames[-1]["error"]["code"] == "attempt_superseded"
    assert said(told.there) == "One half"
    for line in (told.back, told.new):
        assert (said(line), line.frames[-1]) == (text, "[DONE]")


@pytest.mark.parametrize(
    ("happening", "text"),
    [
        (gone_on_with, "One half and more"),
        (waited_for, "One halfAfter"),
        (waited_for_in_vain, "One halfAfter"),
        (handed_over, "One half and more"),
        (of_a_later_release, "One halfAfter"),
    ],
)
async def test_completions_unmoved(rig, happening, text):
    """An attempt that keeps everything, a wait for a person, a hand-over and unknown events are not seen: the line lives, and the
    answer comes on it to its end."""
    told = await tell(rig, CHUNKS, happening)
    for line in (told.there, told.new):
        assert (said(line), line.frames[-1]) == (text, "[DONE]")
        assert all(frame["object"] == "chat.completion.chunk" for frame in line.frames[:-1])
        assert not line.says("hologram")


@pytest.mark.parametrize(
    ("happening", "code", "message"), [(stopped, "cancelled", "Stopped."), (too_long, "too_long", TOO_LONG)]
)
async def test_completions_that_end_badly(rig, happening, code, message):
    """Stopped or too long, the stream ends with an error that says so, after what was shown, and without [DONE]."""
    told = await tell(rig, CHUNKS, happening)
    for line in (told.there, told.new):
        error = line.frames[-1]["error"]
        assert (said(line), error["code"], error["message"]) == ("One half", code, message)


async def test_completions_purged(rig):
    """The completion is made from the history, as object and as chunks."""
    before = await tell(rig, COMPLETION, ended)
    await purged(rig)
    assert (await read(rig, COMPLETION)).frames == before.new.frames
    line = await read(rig, CHUNKS)
    assert (said(line), line.frames[-1]) == ("One half", "[DONE]")


@pytest.mark.parametrize(
    ("happening", "status", "told_of"),
    [
        (superseded_whole, 200, "Right"),
        (waited_for, 200, "One halfAfter"),
        (stopped, 409, "user"),
        (too_long, 500, "too_long"),
    ],
)
async def test_the_completion_itself(rig, happening, status, told_of):
    """Pending until there is an outcome; then what stands, or an error with the outcome's code."""
    told = await tell(rig, COMPLETION, happening)
    assert [frame[0] for frame in told.there.frames] == [409, status]
    body = told.new.frames[-1][1]
    assert told_of == (body["error"]["code"] if status != 200 else body["choices"][0]["message"]["content"])


# -- numbers of another release ----------------------------------------------------------------------------------


async def test_a_log_of_another_projection_version(rig, monkeypatch):
    """Numbered doors refuse a log that was opened under a version which is not here; its object, and all other doors, are as
    ever."""
    monkeypatch.setitem(versions.VERSIONS, "responses", 99)
    told = await tell(rig, OBJECT, ended)
    assert rig.pen_.log.events[0].projections == {"responses": 99}
    for reader in STREAMS.values():
        for place in (None, 1):
            refused(await read(rig, reader, place), 410, "projection_unknown")
    assert shown(told.new.frames[-1]) == "One half"
    assert said(await read(rig, CHUNKS)) == "One half"
    for path in ("/v1/requests/r1", "/v1/requests/r1/events?format=json", "/api/chat/c1/messages"):
        assert HALF in str((await rig.ann.call("GET", path)).body)
    for path in ("/api/chat/async/r1/status", "/chat/task/r1", "/api/requests/r1/status"):
        assert "One half" in str((await rig.ann.call("GET", path)).body)
    for path in (
        "/v1/requests/r1/events",
        "/api/chat/c1/stream?last=q1",
        "/ai-demo/workflow/stream/workflow_r1",
    ):
        async with rig.ann.open("GET", path, {"Accept": "text/event-stream"}) as response:
            line = Line(rig, CHUNKS)
            assert [data async for _, data in line.sse(response)]
