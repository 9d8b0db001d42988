"""The AI SDK door's rows of the table of doors: version 7 over HTTP and over its socket, versions 5 and 6, and a chat's messages."""

import asyncio

import pytest

from holdfast_server.doors.ai_sdk.loading import Shown
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
from tests.support.door_table import CHAT, HALF, QUESTION, WAIT_S, Line, Reader, polling, read, table, tell
from tests.support.http_door import come_true

DROPPING = [(superseded_whole, "Right"), (superseded_behind_checkpoint, "One Right")]


@pytest.fixture
async def rig(tmp_path):
    """All doors."""
    async with table(tmp_path) as rig:
        yield rig


def over_http(version):
    async def follow(line):
        query = {"last": QUESTION} | ({} if version is None else {"ai": version})
        async with line.rig.ann.open("GET", f"/api/chat/{CHAT}/stream", params=query) as response:
            async for fields, data in line.sse(response):
                assert not fields
                line.put(data)
        assert line.frames.pop() == "[DONE]"

    return follow


async def over_socket(line):
    frame = {"type": "resume", "requestId": "s1", "id": CHAT, "headers": {}, "body": {"last": QUESTION}}
    async with line.rig.session.ws_connect(f"{line.rig.base}/api/chat/ws") as ws:
        await ws.send_json(frame)
        assert (await ws.receive_json())["type"] == "start"
        while (frame := await ws.receive_json())["type"] == "chunk":
            assert frame["sequence"] == len(line.frames)
            line.put(frame["chunk"])
        assert frame == {"type": "end", "requestId": "s1"}


async def ask_messages(line):
    reply = await line.rig.ann.call("GET", f"/api/chat/{CHAT}/messages")
    return reply.body[1:]


STREAMS = {
    "7": Reader(over_http("7"), waits="data-wait"),
    "7-socket": Reader(over_socket, waits="data-wait"),
    "5": Reader(over_http(None), waits="data-wait"),
}
MESSAGES = Reader(polling(ask_messages), "")
doors = pytest.mark.parametrize("door", STREAMS)


def parts(line):
    """What `useChat` shows after these chunks: a part that `reset-step` took back is not there."""
    shown = Shown()
    for chunk in line.frames:
        if chunk["type"] == "reset-step":
            shown.parts = [part for part in shown.parts if part["type"] == "step-start"]
        shown.take(chunk)
    return shown.parts


def text(line):
    """The text that is shown."""
    return "".join(part["text"] for part in parts(line) if part["type"] == "text")


def ends(line):
    """The last chunk."""
    return line.frames[-1]


def has(line, kind):
    """The chunks of a kind."""
    return [chunk for chunk in line.frames if chunk["type"] == kind]


@doors
@pytest.mark.parametrize(("happening", "stands"), DROPPING)
async def test_superseded(rig, door, happening, stands):
    """From 7 on a step is taken back, and what stands is told; before, the stream ends in an error. Whoever comes later is told what
    stands, and nothing of the rest."""
    told = await tell(rig, STREAMS[door], happening)
    if door == "5":
        assert ends(told.there)["type"] == "error"
        assert text(told.there) == "One half"
    else:
        assert len(has(told.there, "reset-step")) == 1
        assert (text(told.there), ends(told.there)["type"]) == (stands, "finish")
    for line in (told.back, told.new):
        assert (text(line), ends(line)["type"]) == (stands, "finish")
        assert not has(line, "reset-step")


@doors
async def test_the_next_read_has_what_stands(rig, door):
    """Who comes while the new attempt is at work is told what stands, and goes on with it; nothing of the old is left."""
    await rig.asked()
    await rig.begun()
    await rig.anew("none")
    await rig.part("Right")

    async def more(line):
        await come_true(lambda: line.says("Right"))
        await rig.part(" away")
        await rig.completed()

    line = Line(rig, STREAMS[door])
    async with asyncio.timeout(WAIT_S):
        await asyncio.gather(line.reader.read(line), more(line))
    assert (text(line), ends(line)["type"]) == ("Right away", "finish")
    assert not line.says(HALF)


@doors
@pytest.mark.parametrize(
    ("happening", "stands"), [(gone_on_with, "One half and more"), (handed_over, "One half and more")]
)
async def test_gone_on_with(rig, door, happening, stands):
    """The text grows on; that another attempt or another server writes it shows in no part."""
    told = await tell(rig, STREAMS[door], happening)
    for line in (told.there, told.new):
        assert (text(line), ends(line)["type"]) == (stands, "finish")
        assert len(has(line, "text-start")) == 2
    attempts = {chunk["messageMetadata"]["attempt"] for chunk in has(told.there, "message-metadata")}
    assert (2 in attempts) == (happening is gone_on_with)


@doors
@pytest.mark.parametrize("happening", [waited_for, waited_for_in_vain])
async def test_waited_for(rig, door, happening):
    """A `data-wait` part shows what is asked, and then what came of it; the answer follows on the same line."""
    told = await tell(rig, STREAMS[door], happening)
    first, *_, last = has(told.there, "data-wait")
    assert first["id"] == last["id"]
    assert (first["data"]["wait_id"], first["data"]["body"], first["data"]["state"]) == (
        WAIT_ID,
        {"pay": 5},
        "open",
    )
    assert last["data"]["state"] == ("expired" if happening is waited_for_in_vain else "decided")
    for line in (told.there, told.new):
        assert (text(line), ends(line)["type"]) == ("One halfAfter", "finish")
    assert parts(told.there) == parts(told.new)


@doors
async def test_stopped(rig, door):
    """`abort` ends the stream, and what was shown stands."""
    told = await tell(rig, STREAMS[door], stopped)
    for line in (told.there, told.new):
        assert ends(line) == {"type": "abort", "reason": "Stopped."}
        assert text(line) == "One half"


@doors
async def test_too_long(rig, door):
    """An `error` says so after what was shown."""
    told = await tell(rig, STREAMS[door], too_long)
    for line in (told.there, told.new):
        assert ends(line) == {"type": "error", "errorText": TOO_LONG}
        assert text(line) == "One half"


@doors
async def test_purged(rig, door):
    """The answer is told from the history, whole."""
    told = await tell(rig, STREAMS[door], ended)
    await purged(rig)
    line = await read(rig, STREAMS[door])
    assert parts(line) == parts(told.new)
    assert ends(line) == ends(told.new)


@doors
async def test_of_a_later_release(rig, door):
    """Events of kinds that nobody here knows make no chunk."""
    told = await tell(rig, STREAMS[door], of_a_later_release)
    for line in (told.there, told.new):
        assert (text(line), ends(line)["type"]) == ("One halfAfter", "finish")
        assert not line.says("hologram")


async def test_ahead(rig):
    """The AI SDK's streams have no places: a socket that is sent one says so, and tells nothing."""
    await tell(rig, STREAMS["7-socket"], ended)
    async with rig.session.ws_connect(f"{rig.base}/api/chat/ws") as ws:
        frame = {"type": "resume", "requestId": "s1", "id": CHAT, "headers": {}, "body": {}}
        await ws.send_json(frame | {"lastSequence": 10_000})
        refused = await ws.receive_json()
    assert refused["type"] == "error"
    assert "lastSequence" in refused["errorText"]


@pytest.mark.parametrize(
    ("happening", "status", "stands"),
    [
        *((happening, "completed", stands) for happening, stands in DROPPING),
        (gone_on_with, "completed", "One half and more"),
        (waited_for, "completed", "One halfAfter"),
        (stopped, "cancelled", "One half"),
        (too_long, "failed", "One half"),
        (of_a_later_release, "completed", "One halfAfter"),
    ],
)
async def test_messages(rig, happening, status, stands):
    """While it runs, or waits for a person, the answer is left out; then it is there, as it stands, and after the purge too."""
    told = await tell(rig, MESSAGES, happening)
    assert told.there.frames[:-1] == [[]]
    [message] = told.there.frames[-1]
    assert message["metadata"]["status"] == status
    assert "".join(part["text"] for part in message["parts"] if part["type"] == "text") == stands
    await purged(rig)
    assert (await read(rig, MESSAGES)).frames == [[message]]
