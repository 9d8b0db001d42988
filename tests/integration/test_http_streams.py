"""The native HTTP API, streams: asked for in the same call, with a ticket, cut by the reader, by a deletion, by the server."""

import asyncio
import json

import msgspec
import pytest

from holdfast_protocol import events as ev
from holdfast_server.config import Config, DoorsSection
from holdfast_server.entrance import Entrance
from holdfast_server.identity import TokenIdentity
from tests.support.door import TOKENS
from tests.support.http_door import (
    NDJSON,
    SSE,
    TEXTS,
    HttpRig,
    Reading,
    answer_events,
    answered,
    come_true,
    events_path,
    frames_of,
    http_serving,
    lines_of,
    read_sse,
)


@pytest.fixture
async def ann(tmp_path):
    """A server, and ann's way to it."""
    async with http_serving(HttpRig(tmp_path)) as caller:
        yield caller


async def test_a_deletion_is_told_to_those_who_follow(ann):
    """Who follows a request that is deleted sees it end, or that it is gone; who comes later finds nothing."""
    await ann.submit("r1")
    pen = await ann.rig.pen("r1")
    reading = Reading()
    poll = asyncio.create_task(ann.call("GET", events_path("r1", cursor=str(pen.log.cursor()), wait=30)))
    async with ann.open("GET", events_path("r1"), {"Accept": SSE}) as response:
        await come_true(lambda: len(pen.log._waiters) == 2)
        assert (await ann.call("DELETE", "/v1/requests/r1")).status == 204
        async for frame in frames_of(response):
            reading.sse(frame)
    assert reading.gone or reading.transcript.status == "cancelled"
    polled = await poll
    assert polled.code == "unknown_request" or polled.body["events"][0]["type"] == "cancelled"
    assert (await ann.call("GET", events_path("r1"))).code == "unknown_request"


@pytest.mark.parametrize("media", [SSE, NDJSON])
async def test_what_is_erased_under_a_reader_is_gone(ann, media):
    """A journal that goes without an end is told as `gone`, and the stream ends."""
    await ann.submit("r1")
    pen = await ann.rig.pen("r1")
    reading = Reading()
    async with ann.open("GET", events_path("r1"), {"Accept": media}) as response:
        await come_true(lambda: bool(pen.log._waiters))
        pen.log.erased = True
        pen.log.wake()
        if media == SSE:
            async for frame in frames_of(response):
                reading.sse(frame)
        else:
            async for line in lines_of(response):
                reading.ndjson(line)
    assert reading.gone


async def test_a_question_is_streamed_at_once(ann):
    """A submit that accepts a stream is answered with the request's events from its start, and where they are."""
    for media, number in ((SSE, 1), (NDJSON, 2)):
        reading = Reading()
        request_id = f"r{number}"
        body = json.dumps({"request_id": request_id, "text": "Hello?"})
        async with ann.open("POST", "/v1/requests", {"Accept": media}, data=body) as response:
            assert response.status == 200
            assert response.content_type == media
            assert response.headers["Location"] == f"/v1/requests/{request_id}"
            pen = await ann.rig.pen(request_id)
            await pen.put(*answer_events(ann.rig.now_ms(), *TEXTS))
            if media == SSE:
                async for frame in frames_of(response):
                    reading.sse(frame)
            else:
                async for line in lines_of(response):
                    reading.ndjson(line)
        assert reading.resets == []
        assert reading.transcript == pen.log.fold().transcript()


async def test_a_ticket_lets_a_browser_in(ann):
    """A ticket is bought with a token and opens one stream of its owner's, without a header."""
    await answered(ann, "r1")
    bought = await ann.call("POST", "/v1/tickets")
    assert bought.status == 201
    ticket = bought.body["ticket"]
    nobody = ann.user(None)
    assert (await nobody.call("GET", events_path("r1", format="sse"))).status == 401
    reply = await nobody.call("GET", events_path("r1", format="sse", ticket=ticket))
    assert reply.status == 200
    assert (await nobody.call("GET", events_path("r1", format="sse", ticket=ticket))).status == 401


async def test_a_reader_that_goes_costs_nothing(ann):
    """A stream that is cut by its reader leaves the request alone, and is among those who followed it."""
    await ann.submit("r1")
    pen = await ann.rig.pen("r1")
    await pen.say("on")
    await read_sse(ann, events_path("r1"), {"User-Agent": "reader/1"}, count=2)
    await pen.say(" and on")
    await pen.end()
    inspected = await ann.call("GET", "/v1/requests/r1/inspect")
    assert pen.log.status == "completed"
    assert [(row["door"], row["client"]) for row in inspected.body["readers"]] == [("http", "reader/1")]


async def test_a_server_that_closes_ends_streams_where_they_are(ann):
    """When the server restarts a stream ends without an end of the log, and a poll answers with what there is."""
    await ann.submit("r1")
    pen = await ann.rig.pen("r1")
    reading = Reading()
    poll = asyncio.create_task(ann.call("GET", events_path("r1", cursor=str(pen.log.cursor()), wait=30)))
    async with ann.open("GET", events_path("r1"), {"Accept": SSE}) as response:
        await come_true(lambda: len(pen.log._waiters) == 2)
        ann.rig.reception.close()
        async for frame in frames_of(response):
            reading.sse(frame)
    assert not reading.sealed
    assert (await poll).body["events"] == []


async def test_events_of_later_releases_are_passed_on(ann):
    """An event of a kind that this release does not know is shown as it is, and a line break in its kind stays in it."""
    await ann.submit("r1")
    pen = await ann.rig.pen("r1")
    plain = {"type": "glow\ndata: x", "at": 1, "part": 1, "hue": "red"}
    raw = msgspec.msgpack.encode(plain)
    pen.log.extend([ev.Unknown(at=1, type="glow\ndata: x", part=1, raw=raw)])
    page = await ann.call("GET", events_path("r1", cursor=str(pen.log.cursor(pen.log.tail - 1))))
    assert page.body["events"] == [plain]
    path = events_path("r1", cursor=str(pen.log.cursor(pen.log.tail - 1)))
    async with ann.open("GET", path, {"Accept": SSE}) as response:
        async for frame in frames_of(response):
            assert (frame.kind, frame.data) == ("glow data: x", plain)
            break


@pytest.mark.parametrize(
    "doors", [{"http": True}, {"openai": True}, {"ai_sdk": True}, {"dialects": True}, {}]
)
async def test_tickets_are_sold_at_every_door(tmp_path, doors):
    """Browsers get a ticket from a server with any HTTP door, whether the native one is among them or not."""
    rig = HttpRig(tmp_path)
    closed = dict.fromkeys(("http", "openai", "ai_sdk", "dialects"), False)
    entrance = Entrance(
        Config(doors=DoorsSection(**{**closed, **doors})),
        rig.requests,
        TokenIdentity(TOKENS.items()),
        agents=[],
        durability="process",
    )
    rig.http, rig.reception = entrance, _Guarded()  # type: ignore[assignment]
    async with http_serving(rig) as ann:
        assert (await ann.call("POST", "/v1/tickets")).status == (201 if doors else 404)


class _Guarded:
    """In place of the rig's reception: the entrance guards its own."""

    def guard(self, app):
        """Nothing is left to do."""

    def close(self):
        """Nothing is left to do."""
