"""Spans in the history's database: kept, bounded, erased."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from holdfast_protocol.limits import READERS_MAX
from holdfast_protocol.replies import ReaderRow
from holdfast_server.chats import Chats
from holdfast_server.stores.base import Key, key_of
from tests.support.histories import Histories
from tests.support.journals import ANN, BOB, Clock, answered, asked


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def chats(histories: Histories, tmp_path: Path, clock: Clock) -> AsyncIterator[Chats]:
    chats = Chats(histories.at(tmp_path / "history.db"), now_ms=clock, undo_s=0)
    await chats.start()
    yield chats
    await chats.close()


def span(since: int, **fields: object) -> ReaderRow:
    given = {"connection": f"c{since}", "door": "websocket", "until": since + 1, "start": 0, "end": 9}
    return ReaderRow(since=since, **{**given, **fields})  # type: ignore[arg-type]


async def test_spans_add_up_and_are_bounded(chats: Chats) -> None:
    """What comes later is added, the same again is not, and the latest READERS_MAX stay; owners are apart."""
    rows, hers, his = chats.reader_rows, key_of(ANN, "r"), key_of(BOB, "r")
    await rows.add({hers: [span(1), span(2)], his: [span(7)]}, ())
    await rows.add({hers: [span(2), span(3)]}, ())
    assert [row.since for row in await rows.of(hers)] == [1, 2, 3]
    await rows.add({hers: [span(number) for number in range(10, 10 + READERS_MAX)]}, ())
    kept = await rows.of(hers)
    assert (len(kept), kept[0].since) == (READERS_MAX, 10)
    assert await rows.of(his) == [span(7)]
    assert await rows.of(key_of(ANN, "other")) == []


async def test_what_is_gone_goes(chats: Chats) -> None:
    """A request that is gone is not kept, though the same call brings spans of it; more than a statement takes at once."""
    rows = chats.reader_rows
    keys = [key_of(ANN, f"r{number:03}") for number in range(450)]
    await rows.add({key: [span(1)] for key in keys}, ())
    await rows.add({keys[0]: [span(2)], keys[449]: [span(2)]}, keys[:449])
    assert await rows.page(None, 10) == [keys[449]]
    assert [row.since for row in await rows.of(keys[449])] == [1, 2]


async def test_pages_go_through_all(chats: Chats) -> None:
    """Every request with spans is on one page, in the order of the keys, whoever's it is."""
    rows = chats.reader_rows
    keys = sorted(key_of(owner, f"r{number}") for owner in (ANN, BOB) for number in range(3))
    await rows.add({key: [span(1)] for key in keys}, ())
    got: list[Key] = []
    while page := await rows.page(got[-1] if got else None, 4):
        got += page
    assert got == keys


async def test_a_row_that_cannot_be_read_is_as_good_as_none(
    chats: Chats, histories: Histories, tmp_path: Path
) -> None:
    """Damage costs the spans of one request, and the next ones are kept again."""
    rows, key = chats.reader_rows, key_of(ANN, "r")
    await rows.add({key: [span(1)]}, ())
    with closing(sqlite3.connect(histories.file(tmp_path / "history.db"), isolation_level=None)) as file:
        file.execute("UPDATE readers SET spans = x'00ff'")
    assert await rows.of(key) == []
    await rows.add({key: [span(2)]}, ())
    assert await rows.of(key) == [span(2)]


async def test_they_are_erased_with_their_chat(chats: Chats, clock: Clock) -> None:
    """When a chat's journals are known to be gone, nothing says any more who followed them."""
    await chats.project_sealed(answered(asked("r1"), "answer"))
    rows, key = chats.reader_rows, key_of(ANN, "r1")
    await rows.add({key: [span(1)], key_of(BOB, "r1"): [span(1)]}, ())
    await chats.delete_chat(ANN, "chat")
    clock.now += 1_000
    ((owner, request_ids),) = await chats.erase_due()
    await chats.erased(owner, request_ids)
    assert await rows.page(None, 10) == [key_of(BOB, "r1")]
