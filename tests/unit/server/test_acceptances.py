"""Where nodes that share a store accept requests: the same key once, the body until it has its outcome, the hash for longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from holdfast_server.chats import Chats
from holdfast_server.history.acceptances import AcceptanceRows
from holdfast_server.stores.base import RequestConflict
from tests.support.histories import Histories
from tests.support.journals import ANN, BOB, Clock, accepted_of, answered, asked


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def chats(histories: Histories, tmp_path: Path, clock: Clock) -> AsyncIterator[Chats]:
    chats = Chats(histories.at(tmp_path / "history.db"), now_ms=clock, undo_s=0)
    await chats.start()
    yield chats
    await chats.close()


@pytest.fixture
def rows(chats: Chats) -> AcceptanceRows:
    return chats.acceptances


async def test_the_same_request_is_accepted_once(rows: AcceptanceRows) -> None:
    """The first is new, the same again is not, another one under its id is refused; another owner's is another."""
    record = asked("r")
    assert await rows.accept(record, accepted_of(record))
    assert not await rows.accept(record, accepted_of(record))
    with pytest.raises(RequestConflict):
        await rows.accept(replace(record, body_hash=b"x" * 32), accepted_of(record))
    his = asked("r", owner=BOB)
    assert await rows.accept(his, accepted_of(his))


async def test_of_many_at_once_one_is_first(rows: AcceptanceRows) -> None:
    """However many hand in the same request at the same time, one of them is told that it is new."""
    record = asked("r")
    told = await asyncio.gather(*(rows.accept(record, accepted_of(record)) for _ in range(20)))
    assert sorted(map(bool, told)) == [False] * 19 + [True]


async def test_what_is_open_is_handed_out_whole(rows: AcceptanceRows, clock: Clock) -> None:
    """Those accepted before a time and not noted as ended, oldest first, as they were handed in, within a bound."""
    records = [asked(f"r{number}", "text with \x00 and \ud7ff") for number in range(3)]
    for record in reversed(records):
        clock.now += 10
        await rows.accept(record, accepted_of(record))
    assert await rows.open_before(clock.now, 10) == [(one, accepted_of(one)) for one in records[:0:-1]]
    assert await rows.open_before(clock.now + 1, 1) == [(records[2], accepted_of(records[2]))]
    await rows.ended([records[2].key, records[0].key])
    await rows.ended([records[2].key])
    assert [record for record, _ in await rows.open_before(clock.now + 1, 10)] == [records[1]]


async def test_what_ended_is_known_by_its_hash(rows: AcceptanceRows) -> None:
    """A request that has its outcome is still the same request, and still another one's id is taken."""
    record = asked("r")
    await rows.accept(record, accepted_of(record))
    await rows.ended([record.key])
    assert not await rows.accept(record, accepted_of(record))
    with pytest.raises(RequestConflict):
        await rows.accept(replace(record, body_hash=b"x" * 32), accepted_of(record))


async def test_what_somebody_else_has_found_is_not_taken_back(rows: AcceptanceRows, clock: Clock) -> None:
    """Whoever accepted it may take it back, once, as long as nobody was told since that it is there, or holds it; what was
    accepted after that is another's."""
    record = asked("r")
    mark = await rows.accept(record, accepted_of(record))
    assert await rows.take_back(record.key, mark)
    assert not await rows.take_back(record.key, mark)
    clock.now += 1
    mark = await rows.accept(record, accepted_of(record))
    assert not await rows.accept(record, accepted_of(record))
    assert not await rows.take_back(record.key, mark)
    assert await rows.of(record.key) == (record, accepted_of(record))
    held = asked("held")
    mark = await rows.accept(held, accepted_of(held))
    assert await rows.hold(held.key) == (held, accepted_of(held))
    assert not await rows.take_back(held.key, mark)
    await rows.ended([held.key])
    assert await rows.hold(held.key) is None
    assert await rows.hold(asked("never").key) is None


async def test_of_those_who_take_it_back_and_find_it_one_wins(rows: AcceptanceRows, clock: Clock) -> None:
    """At the same time one takes back what it accepted and others ask for the same: afterwards it is there, and if it was taken
    back one of the others is told that it is new."""
    for number in range(10):
        record = asked(f"r{number}")
        mark = await rows.accept(record, accepted_of(record))
        clock.now += 1
        first, gone, second = await asyncio.gather(
            rows.accept(record, accepted_of(record)), rows.take_back(record.key, mark), rows.accept(record, accepted_of(record))
        )  # fmt: skip
        assert gone == bool(first or second)
        assert await rows.of(record.key) is not None


async def test_what_is_forgotten_is_new_again(rows: AcceptanceRows) -> None:
    """An id whose request was erased is free; more than a statement takes at once."""
    records = [asked(f"r{number}") for number in range(450)]
    for record in records[:3]:
        await rows.accept(record, accepted_of(record))
    await rows.forget([record.key for record in records])
    assert await rows.open_before(2**60, 10) == []
    assert await rows.accept(records[0], accepted_of(records[0]))


async def test_old_ones_go_unless_the_history_has_their_answers(
    chats: Chats, rows: AcceptanceRows, clock: Clock
) -> None:
    """A sweep forgets what ended long ago without an answer in a chat; that of a chat goes when it is erased."""
    kept, gone, running = asked("kept"), asked("gone", chat_id=None), asked("running", chat_id=None)
    for record in (kept, gone, running):
        await rows.accept(record, accepted_of(record))
    await chats.project_sealed(answered(kept))
    await rows.ended([kept.key, gone.key])
    await rows.sweep(clock.now)
    assert not await rows.accept(gone, accepted_of(gone))
    await rows.sweep(clock.now + 1)
    assert await rows.accept(gone, accepted_of(gone))
    for record in (kept, running):
        assert not await rows.accept(record, accepted_of(record))
    await chats.delete_chat(ANN, "chat")
    ((owner, request_ids),) = await chats.erase_due()
    await chats.erased(owner, request_ids)
    assert await rows.accept(kept, accepted_of(kept))
