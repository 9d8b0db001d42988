"""The native HTTP API, events: one log as SSE, NDJSON and pages, cut and gone on from anywhere, through any door."""

import asyncio
import json

import pytest

from tests.support.door import Client
from tests.support.http_door import (
    NDJSON,
    SSE,
    HttpRig,
    Reading,
    answered,
    come_true,
    events_path,
    frames_of,
    http_serving,
    lines_of,
    put,
    read_sse,
)


@pytest.fixture
async def ann(tmp_path):
    """A server, and ann's way to it."""
    async with http_serving(HttpRig(tmp_path)) as caller:
        yield caller


async def test_every_format_shows_the_same(ann):
    """SSE, NDJSON and pages of one log fold to one transcript, end at one cursor, and say the same digest."""
    log = await answered(ann, "r1")
    _, sse = await read_sse(ann, events_path("r1"))
    lines, page = Reading(), Reading()
    async with ann.open("GET", events_path("r1"), {"Accept": NDJSON}) as response:
        assert response.content_type == NDJSON
        async for line in lines_of(response):
            lines.ndjson(line)
    page.page((await ann.call("GET", events_path("r1"))).body)
    assert sse.transcript == lines.transcript == page.transcript == log.fold().transcript()
    assert sse.cursor == lines.cursor == page.cursor == str(log.cursor())
    assert sse.arrivals == lines.arrivals == page.arrivals
    assert sse.sealed
    assert sse.resets == ["start"]


async def test_formats_can_be_named_in_the_address(ann):
    """`format` wins over Accept, for who cannot set it."""
    await answered(ann, "r1")
    for name, media in (("sse", SSE), ("ndjson", NDJSON), ("json", "application/json")):
        reply = await ann.call("GET", events_path("r1", format=name), headers={"Accept": "text/html"})
        assert reply.headers["Content-Type"].split(";")[0] == media
        assert "Accept" in reply.headers["Vary"]


async def test_a_stream_is_cut_at_every_event(ann):
    """Cut after every frame and gone on with Last-Event-ID, a reader gets every event once: ids are dense, bytes equal."""
    log = await answered(ann, "r1")
    start = str(log.cursor(0))
    whole, reading = await read_sse(ann, events_path("r1", cursor=start))
    ids = [int(frame.id.split("-")[0]) for frame in whole]
    assert ids == [*range(1, log.tail + 1), log.tail]
    assert [frame.kind for frame in whole[-2:]] == ["completed", "caught_up"]
    for cut in range(1, len(whole) - 1):
        first, held = await read_sse(ann, events_path("r1", cursor=start), count=cut)
        rest, held = await read_sse(
            ann, events_path("r1", cursor=start), {"Last-Event-ID": held.cursor}, reading=held
        )
        assert [*first, *rest] == whole, cut
        assert held.events == reading.events
        assert held.resets == []


async def test_a_stream_follows_what_is_written(ann):
    """A reader at the tail is told so, then gets each event as it comes, the end included; the connection then ends."""
    await ann.submit("r1")
    pen = await ann.rig.pen("r1")
    reading = Reading()
    texts = iter(["a", "b", "c"])
    async with ann.open("GET", events_path("r1", cursor=str(pen.log.cursor(0))), {"Accept": SSE}) as response:
        assert response.headers["X-Accel-Buffering"] == "no"
        assert "no-transform" in response.headers["Cache-Control"]
        async for frame in frames_of(response):
            reading.sse(frame)
            if frame.kind in ("caught_up", "delta") and not reading.sealed:
                text = next(texts, None)
                await (pen.end() if text is None else pen.say(text))
    assert reading.transcript.text == "abc"
    assert [arrival["sealed"] for arrival in reading.arrivals] == [False, True]


async def test_event_source_is_stopped_at_the_end(ann):
    """A reader that has it all and comes back with Last-Event-ID gets 204, which EventSource obeys; before that, not."""
    log = await answered(ann, "r1")
    frames, reading = await read_sse(ann, events_path("r1"))
    assert frames[-1].id == str(log.cursor())
    reply = await ann.call("GET", events_path("r1"), headers={"Accept": SSE, "Last-Event-ID": frames[-1].id})
    assert (reply.status, reply.body) == (204, b"")
    before = str(log.cursor(log.tail - 1))
    frames, _ = await read_sse(ann, events_path("r1"), {"Last-Event-ID": before})
    assert [frame.kind for frame in frames] == ["completed", "caught_up"]
    frames, _ = await read_sse(ann, events_path("r1", cursor=reading.cursor))
    assert [frame.kind for frame in frames] == ["caught_up"]


async def test_the_first_words_of_a_stream_are_how_to_come_back(ann):
    """`retry` is there once, at the beginning."""
    await answered(ann, "r1")
    reply = await ann.call("GET", events_path("r1", format="sse"))
    assert reply.body.startswith(b"retry: 1000\nevent: ")
    assert reply.body.count(b"retry:") == 1


async def test_only_the_end_of_a_snapshot_has_a_place(ann):
    """A snapshot's events but the last carry no id, in SSE and in NDJSON: cut in its middle, a reader begins it anew."""
    await answered(ann, "r1")
    frames, _ = await read_sse(ann, events_path("r1"))
    assert [frame.kind for frame in frames[:2]] == ["snapshot", "accepted"]
    placed = [frame.kind for frame in frames if frame.id is not None]
    assert placed == ["completed", "caught_up"]
    async with ann.open("GET", events_path("r1"), {"Accept": NDJSON}) as response:
        lines = [line async for line in lines_of(response)]
    assert [line["event"]["type"] for line in lines if line.get("cursor")] == ["completed"]


@pytest.mark.parametrize("media", ["sse", "ndjson", "json"])
async def test_a_cursor_that_is_not_good_gets_a_snapshot(ann, media):
    """A cursor of another log, one ahead, and one behind dropped output are each told why, and nothing is lost (I6)."""
    await ann.submit("r1")
    pen = await ann.rig.pen("r1")
    await pen.say("dropped")
    stale = str(pen.log.cursor())
    pen.part = 0
    await pen.begin(keep="none")
    await pen.say("stands")
    await pen.end()
    tail = pen.log.cursor()
    other = f"{tail.offset}-{tail.term}.ffffffff"
    ahead = f"{tail.offset + 1}-{tail.term}.{tail.nonce}"
    for cursor, reason in ((stale, "superseded"), (other, "unknown_epoch"), (ahead, "ahead")):
        reading = Reading()
        reply = await ann.call("GET", events_path("r1", cursor=cursor, format=media))
        put(reading, media, reply.body)
        assert reading.resets == [reason]
        assert reading.transcript.text == "stands"
        assert reading.sealed


async def test_a_reader_in_mid_stream_sees_an_attempt_dropped(ann):
    """Who follows live is shown the new attempt as events, and holds what stands at the end."""
    await ann.submit("r1")
    pen = await ann.rig.pen("r1")
    await pen.say("dropped")
    reading = Reading()
    async with ann.open("GET", events_path("r1", cursor=str(pen.log.cursor(0))), {"Accept": SSE}) as response:
        async for frame in frames_of(response):
            reading.sse(frame)
            if frame.kind == "caught_up" and not reading.sealed:
                await pen.begin(keep="none")
                await pen.say("stands")
                await pen.end()
    assert reading.resets == []
    assert reading.transcript.text == "stands"


async def test_a_reader_far_behind_gets_merged_events(ann):
    """Thousands of deltas come as few events whose spans add up, in every format; each has a place to come back to."""
    texts = [f"{number} " for number in range(3_000)]
    log = await answered(ann, "r1", *texts)
    start = str(log.cursor(0))
    frames, sse = await read_sse(ann, events_path("r1", cursor=start))
    assert len(frames) < 400
    assert sse.transcript.text == "".join(texts)
    middle = frames[4]
    assert middle.data["span"] > 1
    rest, _ = await read_sse(ann, events_path("r1"), {"Last-Event-ID": middle.id})
    assert rest[-1] == frames[-1]
    pages = Reading()
    pages.cursor = start
    count = 0
    while not pages.sealed:
        pages.page((await ann.call("GET", events_path("r1", cursor=pages.cursor, limit=1_000))).body)
        count += 1
    assert count == 4
    assert pages.transcript == sse.transcript == log.fold().transcript()


async def test_pages_are_bounded_in_bytes(ann):
    """A long answer comes in pages of bounded text, each with the cursor behind it."""
    log = await answered(ann, "r1", *(["x" * 16_000] * 40))
    pages = Reading()
    pages.cursor = str(log.cursor(0))
    sizes = []
    while not pages.sealed:
        async with ann.open("GET", events_path("r1", cursor=pages.cursor)) as response:
            raw = await response.read()
        sizes.append(len(raw))
        pages.page(json.loads(raw))
    assert len(sizes) == 3
    assert max(sizes) < 300_000
    assert pages.resets == []


async def test_a_poll_waits_for_what_comes(ann):
    """With nothing beyond the cursor a poll waits: it answers with the next event, at once with what is there, and empty
    when the time is up."""
    await ann.submit("r1")
    pen = await ann.rig.pen("r1")
    tail = str(pen.log.cursor())
    empty = (await ann.call("GET", events_path("r1", cursor=tail))).body
    assert (empty["events"], empty["cursor"], empty["sealed"]) == ([], tail, False)
    assert empty["caught_up"]["cursor"] == tail
    brief = await ann.call("GET", events_path("r1", cursor=tail, wait=0.05))
    assert brief.body == empty
    waiting = asyncio.create_task(ann.call("GET", events_path("r1", cursor=tail, wait=30)))
    await come_true(lambda: bool(pen.log._waiters))
    await pen.say("there")
    page = (await waiting).body
    assert [event["text"] for event in page["events"]] == ["there"]
    await pen.end()
    at_once = await ann.call("GET", events_path("r1", cursor=page["cursor"], wait=30))
    assert at_once.body["sealed"]
    nothing = await ann.call("GET", events_path("r1", cursor=at_once.body["cursor"], wait=30))
    assert nothing.body["events"] == []
    assert nothing.body["sealed"]


async def test_the_door_is_changed_in_mid_answer(ann):
    """WebSocket, SSE, long-poll, NDJSON and the WebSocket again, each with the cursor of the one before: nothing is lost,
    nothing is there twice."""
    reading = Reading()
    await ann.submit("r1")
    pen = await ann.rig.pen("r1")
    async with ann.rig.connect() as ws:
        client = Client(ws)
        await client.ask("subscribe", request_id="r1")
        await client.until("caught_up")
        await pen.say("web")
        await client.until("page")
    for push in client.pushes:
        reading.push(push)
    assert reading.transcript.text == "web"
    resets = list(reading.resets)
    await pen.say("socket ", "sse")
    frames, _ = await read_sse(
        ann, events_path("r1"), {"Last-Event-ID": reading.cursor}, count=2, reading=reading
    )
    assert [frame.kind for frame in frames] == ["delta", "delta"]
    await pen.say(" poll")
    reading.page((await ann.call("GET", events_path("r1", cursor=reading.cursor))).body)
    await pen.say(" lines")
    async with ann.open("GET", events_path("r1", cursor=reading.cursor), {"Accept": NDJSON}) as response:
        async for line in lines_of(response):
            reading.ndjson(line)
            break
    await pen.say(" end")
    await pen.end()
    async with ann.rig.connect() as ws:
        client = Client(ws)
        await client.ask("subscribe", request_id="r1", cursor=reading.cursor)
        await client.until("caught_up", sealed=True)
    for push in client.pushes:
        reading.push(push)
    assert reading.resets == resets == ["start"]
    assert reading.transcript == pen.log.fold().transcript()
    assert reading.transcript.text == "websocket sse poll lines end"


async def test_what_was_purged_is_shown_from_the_history(ann):
    """After the purge of its journal an old cursor gets a snapshot that says so, and the reader ends with the answer."""
    log = await answered(ann, "r1", chat_id="c1")
    old = str(log.cursor(3))
    text = log.fold().transcript().text
    await ann.rig.projector.catch_up(log.key.owner)
    assert await ann.rig.store.purge(ann.rig.now_ms() + 1, 0) == 1
    for media in ("sse", "ndjson", "json"):
        reading = Reading()
        put(reading, media, (await ann.call("GET", events_path("r1", cursor=old, format=media))).body)
        assert reading.resets == ["purged"]
        assert reading.transcript.text == text
        assert reading.sealed
        again = await ann.call(
            "GET", events_path("r1", format=media), headers={"Last-Event-ID": reading.cursor}
        )
        assert again.status == (204 if media == "sse" else 200)


async def test_what_is_said_of_a_request_names_it(tmp_path):
    """X-Request-Id is on every answer about one request, streams too, and on no other."""
    async with http_serving(HttpRig(tmp_path)) as ann:
        asked = await ann.call("POST", "/v1/requests", {"text": "x"}, {"Idempotency-Key": "r1"})
        assert asked.headers["X-Request-Id"] == "r1"
        for path in ("", "/events", "/inspect", "/log", "/webhooks"):
            assert (await ann.call("GET", f"/v1/requests/r1{path}")).headers["X-Request-Id"] == "r1", path
        async with ann.open("GET", "/v1/requests/r1/events?format=sse") as response:
            assert response.headers["X-Request-Id"] == "r1"
        assert "X-Request-Id" not in (await ann.call("GET", "/v1/requests")).headers


async def test_a_conflict_names_what_was_used_twice(tmp_path):
    """Who sends another body under the same key is told whether it was the header's or the body's."""
    async with http_serving(HttpRig(tmp_path)) as ann:
        await ann.submit("r1")
        for body, headers, param in (
            ({"text": "y"}, {"Idempotency-Key": "r1"}, "Idempotency-Key"),
            ({"text": "y", "request_id": "r1"}, {}, "request_id"),
        ):
            error = (await ann.call("POST", "/v1/requests", body, headers)).body["error"]
            assert (error["code"], error["param"]) == ("request_conflict", param)
