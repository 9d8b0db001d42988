"""The native doors' rows of the table of doors: what they say when they cannot simply go on."""

from typing import Any

import msgspec
import pytest

from holdfast_protocol import events as ev
from holdfast_server.projections.webhook import webhook_body
from holdfast_server.reels import asked_of
from tests.support.door import Client
from tests.support.door_happenings import (
    DIGEST,
    TOO_LONG,
    WAIT_ID,
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
from tests.support.door_table import HALF, Reader, polling, read, table, tell
from tests.support.http_door import Frame, Reading


@pytest.fixture
async def rig(tmp_path):
    """All doors."""
    async with table(tmp_path) as rig:
        yield rig


def reading_of(line):
    """The reader's log, which is kept with its line."""
    if line.reading is None:
        line.reading = Reading(cursor=line.place)
    return line.reading


def note(line):
    """Where the reader could come back to, once it is shown the answer that goes on."""
    line.place = line.reading.cursor


async def over_websocket(line):
    reading = reading_of(line)
    async with line.rig.connect() as ws:
        client = Client(ws)
        await client.ask("hello")
        place = {} if line.place is None else {"cursor": line.place}
        reply = await client.ask("subscribe", request_id="r1", **place)
        assert reply["type"] == "subscribed", reply
        for push in client.pushes:
            take_push(line, push)
        while not reading.sealed:
            take_push(line, await client.next())


def take_push(line, push):
    line.reading.push(push)
    line.put(push)
    note(line)


async def over_sse(line):
    reading = reading_of(line)
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": line.place} if line.place else {})
    async with line.rig.ann.open("GET", "/v1/requests/r1/events", headers) as response:
        async for fields, data in line.sse(response):
            reading.sse(Frame(fields["event"], fields.get("id"), data))
            line.put({fields["event"]: data})
            note(line)


async def over_ndjson(line):
    reading = reading_of(line)
    query = {"format": "ndjson"} | ({"cursor": line.place} if line.place else {})
    async with line.rig.ann.open("GET", "/v1/requests/r1/events", params=query) as response:
        assert response.status == 200
        async for raw in response.content:
            if raw == b"\n":
                line.alive += 1
                continue
            value = msgspec.json.decode(raw)
            reading.ndjson(value)
            line.put(value)
            note(line)


async def over_long_poll(line):
    reading = reading_of(line)
    while not reading.sealed:
        query = {"wait": "5"} | ({"cursor": reading.cursor} if reading.cursor else {})
        async with line.rig.ann.open("GET", "/v1/requests/r1/events", params=query) as response:
            page = await response.json()
        reading.page(page)
        line.put(page)
        note(line)


ARRIVED = "caught_up"
READERS = {
    "websocket": Reader(over_websocket, ARRIVED, '"waiting"'),
    "sse": Reader(over_sse, ARRIVED, '"waiting"'),
    "ndjson": Reader(over_ndjson, ARRIVED, '"waiting"'),
    "long-poll": Reader(over_long_poll, ARRIVED, '"waiting"'),
}
doors = pytest.mark.parametrize("door", READERS)


def has(line, kind):
    """The events of this kind that stand in what the reader holds."""
    return [event for event in line.reading.events if isinstance(event, kind)]


def check(told, text, status="completed", came_back=(), there=("start",)):
    """All three hold the same; `came_back`: why the one that came back had to begin anew, if it had to; `there`: as what the one who
    was there may have begun."""
    assert told.there.reading.resets in (["start"], list(there))
    assert told.back.reading.resets == list(came_back)
    assert told.new.reading.resets == ["start"]
    assert told.there.reading.transcript == told.new.reading.transcript
    assert (told.new.reading.transcript.text, told.new.reading.transcript.status) == (text, status)
    if came_back:
        assert told.back.reading.transcript == told.new.reading.transcript
    else:  # it holds what it had, and is told the rest
        held = len(told.there.reading.events) - len(told.back.reading.events)
        assert held > 0
        assert told.back.reading.events == told.there.reading.events[held:]


@doors
@pytest.mark.parametrize(
    ("happening", "text"), [(superseded_whole, "Right"), (superseded_behind_checkpoint, "One Right")]
)
async def test_superseded(rig, door, happening, text):
    """Who is there is told `started` with what it keeps, or, over the WebSocket, where it is not at the tail at that moment, gets a
    snapshot that says so; as does who comes back to what was dropped."""
    told: Any = await tell(rig, READERS[door], happening)
    started = has(told.there, ev.Started)[-1]
    assert (started.attempt, started.keep == "none") == (2, text == "Right")
    assert started.keep != "all"
    late = ["start", "superseded"] if door == "websocket" else ["start"]
    check(told, text, came_back=["superseded"], there=late)


@doors
async def test_gone_on_with(rig, door):
    """An attempt that keeps everything is an event like others: nobody begins anew."""
    told: Any = await tell(rig, READERS[door], gone_on_with)
    check(told, "One half and more")
    assert has(told.back, ev.Started)[0].keep == "all"


@doors
@pytest.mark.parametrize("happening", [waited_for, waited_for_in_vain])
async def test_waited_for(rig, door, happening):
    """`waiting` has what is asked; the line goes on; `decided` says what came of it, and the answer follows on the same line."""
    told: Any = await tell(rig, READERS[door], happening)
    check(told, "One halfAfter")
    for line in (told.there, told.back):
        [waiting], [decided] = has(line, ev.Waiting), has(line, ev.Decided)
        assert (waiting.wait_id, waiting.digest, waiting.body) == (WAIT_ID, DIGEST, {"pay": 5})
        assert decided.expired == (happening is waited_for_in_vain)


@doors
async def test_stopped(rig, door):
    """`cancelled` is the last event, and what was shown stands."""
    told: Any = await tell(rig, READERS[door], stopped)
    check(told, "One half", "cancelled")
    assert [type(line.reading.events[-1]) for line in (told.there, told.back, told.new)] == [ev.Cancelled] * 3


@doors
async def test_too_long(rig, door):
    """`failed` with the code `too_long`, and what was shown stands."""
    told: Any = await tell(rig, READERS[door], too_long)
    check(told, "One half", "failed")
    for line in (told.there, told.back, told.new):
        last = line.reading.events[-1]
        assert (last.code, last.message, last.retryable) == ("too_long", TOO_LONG, False)


@doors
async def test_purged(rig, door):
    """A place from before the purge gets a snapshot that says so; with and without one there is the answer, from the history."""
    reader = READERS[door]
    told: Any = await tell(rig, reader, ended)
    place = str(rig.pen_.log.cursor(5))
    await purged(rig)
    back, new = await read(rig, reader, place), await read(rig, reader)
    assert (back.reading.resets, new.reading.resets) == (["purged"], ["start"])
    shown = [line.reading.transcript.text for line in (told.there, back, new)]
    assert shown == ["One half"] * 3


@doors
async def test_ahead(rig, door):
    """A place that the log has not come to, or of another life of it, gets a snapshot that says so."""
    told: Any = await tell(rig, READERS[door], ended)
    offset, epoch = str(rig.pen_.log.cursor()).split("-")
    for place, reason in ((f"{int(offset) + 5}-{epoch}", "ahead"), (f"{offset}-9.deadbeef", "unknown_epoch")):
        line = await read(rig, READERS[door], place)
        assert line.reading.resets == [reason]
        assert line.reading.transcript == told.there.reading.transcript


@doors
async def test_handed_over(rig, door):
    """A drained server's successor goes on in the same attempt: one `started` more, which drops nothing."""
    told: Any = await tell(rig, READERS[door], handed_over)
    check(told, "One half and more")
    assert [event.attempt for event in has(told.back, ev.Started)] == [1]


@doors
async def test_of_a_later_release(rig, door):
    """Events of kinds that nobody here knows are handed on as they are, and readers that do not know them either skip them."""
    told: Any = await tell(rig, READERS[door], of_a_later_release)
    check(told, "One halfAfter")
    assert [event.type for event in has(told.back, ev.Unknown)] == ["glow", "hologram", "hologram"]


# -- the status, and webhooks ------------------------------------------------------------------------------------


async def ask_status(line):
    reply = await line.rig.ann.call("GET", "/v1/requests/r1")
    assert reply.status == 200
    return {name: reply.body[name] for name in ("status", "text", "attempt", "waiting", "result", "error")}


STATUS = Reader(polling(ask_status), HALF, WAIT_ID)
SHOWN = [
    (superseded_whole, "completed", "Right"),
    (superseded_behind_checkpoint, "completed", "One Right"),
    (gone_on_with, "completed", "One half and more"),
    (waited_for, "completed", "One halfAfter"),
    (waited_for_in_vain, "completed", "One halfAfter"),
    (stopped, "cancelled", "One half"),
    (too_long, "failed", "One half"),
    (handed_over, "completed", "One half and more"),
    (of_a_later_release, "completed", "One halfAfter"),
]


@pytest.mark.parametrize(("happening", "status", "text"), SHOWN)
async def test_status_and_webhook(rig, happening, status, text):
    """A status shows the text that stands, what is waited for while it is, and the outcome; a webhook tells the outcome and that
    text, once."""
    told: Any = await tell(rig, STATUS, happening)
    last = told.there.frames[-1]
    assert told.new.frames == [last]
    assert (last["status"], last["text"]) == (status, text)
    assert (last["result"] is not None) == (status == "completed")
    if status != "completed":
        assert last["error"]["code"] == {"cancelled": "user", "failed": "too_long"}[status]
    waits = [frame["waiting"] for frame in told.there.frames if frame["status"] == "waiting"]
    assert bool(waits) == (happening in (waited_for, waited_for_in_vain))
    log = rig.pen_.log
    body = webhook_body(asked_of(log), log.fold().transcript(), url="http://x", text_bytes_max=100)
    assert (body["type"], body["data"]["text"]) == (f"request.{status}", text)
    assert all(
        (wait["wait_id"], wait["digest"], wait["body"]) == (WAIT_ID, DIGEST, {"pay": 5}) for wait in waits
    )


async def test_status_purged(rig):
    """It is made from the history, and is the same."""
    told: Any = await tell(rig, STATUS, ended)
    await purged(rig)
    assert (await read(rig, STATUS)).frames == told.new.frames


async def test_a_call_that_waits_is_told_of_a_wait_for_a_person(rig):
    """A submit that waits for its answer is told at once that a person is waited for: 202, `waiting`."""
    body = {"request_id": "r1", "text": "Hello?"}
    await rig.ann.submit("r1")
    await rig.begun("r1")
    await parked(rig)
    reply = await rig.ann.call("POST", "/v1/requests", body, {"Prefer": "wait=30"})
    assert (reply.status, reply.body["status"]) == (202, "waiting")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/requests/r1",
        "/v1/requests/r1/events",
        "/v1/responses/resp_r1",
        "/v1/responses/resp_r1?stream=true",
        "/v1/chat/completions/chatcmpl-r1",
        "/v1/chat/completions/chatcmpl-r1?stream=true",
        "/api/chat/async/r1/status",
        "/ai-demo/workflow/stream/workflow_r1",
        "/ai-demo/workflow/status/workflow_r1",
        "/chat/task/r1",
        "/api/requests/r1/status",
        "/requests/r1/stream",
    ],
)
async def test_purged_without_a_chat(rig, path):
    """What was in no chat is in no history: after the purge no door knows it, and none says that it has ended empty."""
    await rig.asked(chat_id=None)
    await rig.begun("r1")
    await ended(rig, None)
    await purged(rig)
    reply = await rig.ann.call("GET", path)
    assert (reply.status, "not_found" in reply.code or "unknown" in reply.code) == (404, True)
