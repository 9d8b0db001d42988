"""The pen of a term: merging, cutting, keeping what is not durable."""

from __future__ import annotations

import asyncio

import pytest

from holdfast_protocol import events as ev
from holdfast_protocol.errors import IllegalEvent
from holdfast_server.stores.base import Claim, Fenced, JournalSealed
from holdfast_server.stores.writer import WRITER_PENDING_BYTES_MAX, Writer
from tests.support.journals import asked, opened


def pen() -> tuple[Writer, list[Writer]]:
    """A writer of a journal that runs, and the list of its calls for a commit."""
    log = opened(asked("r1"))
    log.extend(
        [ev.Started(at=1, attempt=1, term=1, nonce="0badcafe"), ev.PartStarted(at=1, part=0, kind="text")]
    )
    calls: list[Writer] = []
    writer = Writer(Claim(log, 1, "0badcafe", log.tail, "first"), calls.append)
    return writer, calls


def delta(text: str, part: int = 0, at: int = 2) -> ev.Delta:
    return ev.Delta(at=at, part=part, text=text)


def test_neighbours_of_one_part_become_one() -> None:
    """Deltas merge while nothing of another part or kind is between them; the first one's time stands."""
    writer, _ = pen()
    for event in (delta("a", at=3), delta("b", at=4), delta("c", 1, at=5), delta("d", at=6)):
        writer.put(event)
    assert writer.take() == [delta("ab", at=3), delta("c", 1, at=5), delta("d", at=6)]


def test_it_asks_for_a_commit_each_time_until_it_is_queued() -> None:
    """A put marks the writer dirty; while the queue has it, puts cost no call."""
    writer, calls = pen()
    writer.put(delta("a"))
    writer.queued = True
    writer.put(delta("b"))
    assert calls == [writer]


def test_what_failed_goes_first_again() -> None:
    """Taken events stay until they are durable, and are never merged with later ones."""
    writer, _ = pen()
    writer.put(delta("a"))
    assert writer.take() == [delta("a")]
    writer.put(delta("b"))
    assert writer.take() == [delta("a"), delta("b")]
    writer.committed()
    assert writer.take() == []


def test_long_text_is_cut_between_code_points() -> None:
    """A delta that would be over its size is closed at the last code point that fits."""
    writer, _ = pen()
    writer.put(delta("a"))
    writer.put(delta("𝄞" * 4096 + "z"))
    events = writer.take()
    texts = [event.text for event in events if isinstance(event, ev.Delta)]
    assert texts == ["a" + "𝄞" * 4095, "𝄞z"]


def test_room_counts_what_is_not_durable() -> None:
    """What is with the disk still takes up room."""
    writer, _ = pen()
    writer.put(delta("x" * WRITER_PENDING_BYTES_MAX))
    writer.take()
    assert writer.congested
    writer.committed()
    assert not writer.congested


async def test_flush_waits_for_the_commit_that_took_it() -> None:
    """A flush is for what was put before it, not for an earlier commit in flight."""
    writer, _ = pen()
    await writer.flush()
    writer.put(delta("a"))
    writer.take()
    first = asyncio.ensure_future(writer.flush())
    await asyncio.sleep(0)
    writer.put(delta("b"))
    second = asyncio.ensure_future(writer.flush())
    await asyncio.sleep(0)
    writer.committed()
    await asyncio.wait_for(first, 5)
    await asyncio.sleep(0)
    assert not second.done()
    writer.take()
    writer.committed()
    await asyncio.wait_for(second, 5)


async def test_a_failed_pen_tells_everybody() -> None:
    """Who waits and who puts later hears why; what was pending is dropped."""
    writer, _ = pen()
    writer.put(delta("x" * WRITER_PENDING_BYTES_MAX))
    waiting = [asyncio.ensure_future(writer.flush()), asyncio.ensure_future(writer.room())]
    await asyncio.sleep(0)
    writer.fail(JournalSealed("cancelled"))
    writer.fail(Fenced("later"))
    for end in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(end, JournalSealed)
    with pytest.raises(JournalSealed) as caught:
        writer.put(delta("y"))
    assert caught.value.status == "cancelled"
    assert not writer.congested
    assert not writer.unsettled


def test_the_lifecycle_holds_for_what_is_pending() -> None:
    """An event that could not follow is the caller's bug, and is told at once."""
    writer, _ = pen()
    writer.put(ev.Completed(at=3, code="stop"))
    with pytest.raises(IllegalEvent):
        writer.put(delta("after the end"))
