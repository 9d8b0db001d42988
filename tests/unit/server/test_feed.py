"""The feed: whole rows with rising versions, and a place for every cursor."""

from contextlib import AsyncExitStack

import pytest

from tests.support.parts import ADA, EVE, ask, parts_in


@pytest.fixture
async def make(tmp_path):
    """Make parts with their own bounds."""
    async with AsyncExitStack() as stack:

        async def start(**bounds):
            folder = tmp_path / str(len(list(tmp_path.iterdir())))
            folder.mkdir()
            return await stack.enter_async_context(parts_in(folder, **bounds))

        yield start


@pytest.fixture
async def bench(make):
    """Parts."""
    return await make()


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
    for _ in range(1_005):
        bench.feed.chat_changed(ADA, None)
    assert bench.feed.place(ADA, "0-0.00000000").reset == "purged"
    assert bench.feed.read(ADA, 0, 10) is None
    assert bench.feed.place(ADA, "1005-0.00000000").reset is None
