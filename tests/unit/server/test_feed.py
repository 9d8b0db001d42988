"""The feed: whole rows with rising versions, and a place for every cursor."""

import asyncio

from holdfast_protocol.pushes import FeedChat
from holdfast_protocol.replies import ChatRow
from holdfast_server import feed as module
from holdfast_server.feed import EVENTS_MAX, Feed
from holdfast_server.stores.base import Owner
from tests.support.parts import ADA, EVE, ask


async def test_the_feed_tells_of_chats_and_requests(bench):
    """Whole rows with rising versions; a reader with a cursor gets what it missed, another a snapshot."""
    start = bench.feed.place(ADA, None)
    assert start.reset == "start"
    cursor = bench.feed.cursor(ADA)
    await bench.requests.submit(ADA, ask(request_id="r1", text="Why is the sky blue?"))
    await bench.answer()
    await bench.projector.catch_up()
    position = bench.feed.place(ADA, cursor)
    assert position.reset is None
    read = bench.feed.read(ADA, position.offset, 100)
    assert read is not None
    requests = [event.request for event in read[0] if hasattr(event, "request")]
    chats = [event.chat for event in read[0] if hasattr(event, "chat")]
    assert (requests[0].status, requests[-1].status) == ("queued", "completed")
    assert [row.version for row in requests] == sorted({row.version for row in requests})
    assert chats[-1].title == "Why is the sky blue?"
    rows, _ = await bench.feed.snapshot(ADA)
    assert [type(row).__name__ for row in rows] == ["FeedChat"]
    assert bench.feed.tail(EVE) == 0


async def test_a_feed_cursor_that_does_not_belong_is_told_so(bench):
    """Another life, ahead, or behind what is kept."""
    assert bench.feed.place(ADA, "0-0.ffffffff").reset == "unknown_epoch"
    assert bench.feed.place(ADA, "5-0.00000000").reset == "ahead"
    for _ in range(EVENTS_MAX + 5):
        bench.feed.chat_changed(ADA, CHAT)
    assert bench.feed.place(ADA, "0-0.00000000").reset == "purged"
    assert bench.feed.read(ADA, 0, 10) is None
    assert bench.feed.place(ADA, f"{EVENTS_MAX + 5}-0.00000000").reset is None


CHAT = ChatRow(chat_id="c", version=1, title="t")


async def test_a_user_whom_nobody_watches_costs_nothing(bench):
    """A change alone makes no ring; one begins with the first device that asks, at what the snapshot then shows."""
    await bench.requests.submit(ADA, ask(request_id="r1"))
    await bench.projector.catch_up(ADA)
    assert (bench.feed._watched, dict(bench.feed._unwatched)) == ({}, {})
    start = bench.feed.place(ADA, None)
    bench.feed.chat_changed(ADA, CHAT)
    assert bench.feed.read(ADA, start.offset, 10) == ([FeedChat(chat=CHAT)], start.offset + 1)


async def test_watched_rings_stay_and_of_the_others_the_latest_used(bench, monkeypatch):
    """1. Ada is watched, Eve was, before others. 2. More others come than are kept. 3. Eve's cursor is of another life,
    also for who holds its offset; Ada's is good. 4. Ada is let go, and is kept like the others. Red if an offset is good
    in two rings."""
    monkeypatch.setattr(module, "UNWATCHED_MAX", 2)
    nonces = iter(f"{number:08x}" for number in range(100))
    feed = Feed(bench.journal, bench.requests.first_chats, nonce=lambda: next(nonces))
    feed.hold(ADA)
    eve = feed.place(EVE, None)
    cursors = {owner: feed.cursor(owner) for owner in (ADA, EVE)}
    for number in range(2):
        feed.place(Owner("", f"other{number}"), None)
    feed.chat_changed(ADA, CHAT)
    feed.chat_changed(EVE, CHAT)
    assert feed.place(EVE, cursors[EVE]).reset == "unknown_epoch"
    feed.chat_changed(EVE, CHAT)
    assert feed.read(EVE, eve.offset, 10) is None
    assert feed.place(ADA, cursors[ADA]).reset is None
    feed.let_go(ADA)
    assert feed.place(ADA, cursors[ADA]).reset is None
    for number in range(2):
        feed.place(Owner("", f"other{number}"), None)
    assert feed.place(ADA, cursors[ADA]).reset == "unknown_epoch"


async def test_a_ring_is_held_until_the_last_lets_go(bench):
    """Two watch one user; the one that goes leaves the ring to the other."""
    for _ in range(2):
        bench.feed.hold(ADA)
    bench.feed.let_go(ADA)
    assert set(bench.feed._watched) == {ADA}
    bench.feed.let_go(ADA)
    assert (bench.feed._watched, set(bench.feed._unwatched)) == ({}, {ADA})


async def test_waiting_for_an_entry(bench):
    """It is for a level: at once if there is more, else when it comes; who gives up leaves nothing."""
    offset = bench.feed.tail(ADA)
    waiting, given_up = (asyncio.ensure_future(bench.feed.wait(ADA, offset)) for _ in range(2))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    bench.feed.chat_changed(ADA, CHAT)
    await waiting
    await bench.feed.wait(ADA, offset)
    assert not bench.feed._waiters
