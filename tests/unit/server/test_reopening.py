"""What was accepted and is not among the live journals is opened again, whoever lost it; nothing else is touched."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import pytest

from holdfast_protocol.events import Accepted, Cancelled
from holdfast_protocol.lifecycle import Status
from holdfast_server import reopening
from holdfast_server.reopening import AFTER_MS, ENDED_MS, Reopening
from holdfast_server.stores.base import Key, Owner, Record, Unavailable, UnknownRequest, key_of
from holdfast_server.stores.memory import MemoryStore
from tests.support.journals import Clock, accepted_of, asked


class Rows:
    """Acceptances in memory: when each was accepted, until it is noted as ended."""

    def __init__(self) -> None:
        self.open: dict[Key, tuple[int, Record]] = {}
        self.asked = 0

    async def open_keys(
        self, before_ms: int, limit: int, after: tuple[int, Key] | None = None
    ) -> list[tuple[int, Key]]:
        self.asked += 1
        places = sorted(((at, key) for key, (at, _) in self.open.items() if at < before_ms), reverse=True)
        return [place for place in places if after is None or place < after][:limit]

    async def hold(self, key: Key) -> tuple[Record, Accepted] | None:
        found = self.open.get(key)
        return None if found is None else (found[1], accepted_of(found[1]))

    async def ended(self, keys: Sequence[Key]) -> None:
        for key in keys:
            del self.open[key]


class World:
    """A store, what was accepted, and the sweep."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore(now_ms=self.clock)
        self.rows = Rows()
        self.answered: dict[Key, Status] = {}
        self.marks: dict[Key, str] = {}  # of erasures
        self.sweep = Reopening(
            self.rows, self.store, reopen=self.reopen, purged_status=self.purged_status, now_ms=self.clock,
            nonce=lambda: "0000beef",
        )  # fmt: skip

    async def reopen(self, record: Record, accepted: Accepted, past: str) -> str | None:
        mark = self.marks.get(record.key)
        if mark is not None and mark != past:
            return mark
        await self.store.open(record, accepted)
        return None

    async def purged_status(self, owner: Owner, request_id: str) -> tuple[Status, str | None]:
        status = self.answered.get(key_of(owner, request_id))
        if status is None:
            raise UnknownRequest(request_id)
        return status, None

    def accept(self, name: str) -> Record:
        record = asked(name, at=self.clock.now)
        self.rows.open[record.key] = (self.clock.now, record)
        return record

    async def open(self, name: str) -> Record:
        record = self.accept(name)
        await self.store.open(record, accepted_of(record))
        return record


@pytest.fixture
async def world():
    made = World()
    await made.store.start()
    yield made
    await made.store.close()


async def test_what_is_missing_is_opened_again(world):
    """Once whoever accepted it has had time for it; as another journal, with a nonce of its own."""
    there, missing = await world.open("there"), world.accept("missing")
    await world.sweep.sweep()
    with pytest.raises(UnknownRequest):
        await world.store.log(missing.key)
    world.clock.now += AFTER_MS + 1
    await world.sweep.sweep()  # whoever runs it may be about to write it again
    with pytest.raises(UnknownRequest):
        await world.store.log(missing.key)
    await world.sweep.sweep()
    log = await world.store.log(missing.key)
    assert (log.record, log.chain[0].nonce) == (missing, "0000beef")
    assert (await world.store.log(there.key)).chain[0].nonce == accepted_of(there).nonce


async def test_what_ended_long_ago_is_noted(world):
    """Not before the history has it, and some time has passed in which a failover could still take its end."""
    record = await world.open("r")
    world.clock.now += AFTER_MS + 1
    await world.store.seal(record.key, Cancelled(at=world.clock.now, code="user", message="Stopped."))
    world.clock.now += ENDED_MS + 1
    await world.sweep.sweep()
    assert record.key in world.rows.open
    await world.store.projected([record.key])
    await world.sweep.sweep()
    assert record.key not in world.rows.open


async def test_the_newest_are_looked_at_each_time_and_the_others_in_turn(world, monkeypatch):
    """After a loss all of them are."""
    monkeypatch.setattr(reopening, "NEWEST", 2)
    monkeypatch.setattr(reopening, "IN_TURN", 2)
    monkeypatch.setattr(reopening, "IDLE_PAGES", 1)
    for number in range(9):
        await world.open(f"r{number}")
        world.clock.now += 1
    world.clock.now += AFTER_MS + 1
    await world.sweep.sweep()  # the first looks at everything
    oldest = [key for _, key in await world.rows.open_keys(world.clock.now, 100)][-1]
    await world.store.erase([oldest])

    looks = 0
    while world.rows.open:
        looks += 1
        known = set(world.rows.open)
        before = world.rows.asked
        await world.sweep.sweep()
        assert world.rows.asked - before == 2
        if world.store.live(oldest) is not None or looks > 6:
            break
        assert set(world.rows.open) == known
    assert looks <= 6


async def test_what_the_history_has_answered_is_not_done_again(world):
    """Its journal is lost shortly after its end: it is noted as ended, and not opened."""
    record = world.accept("r")
    world.answered[record.key] = "completed"
    world.clock.now += AFTER_MS + 1
    await world.sweep.sweep()
    await world.sweep.sweep()
    assert record.key not in world.rows.open
    with pytest.raises(UnknownRequest):
        await world.store.log(record.key)


async def test_what_was_erased_as_it_was_looked_at_is_left_alone(world, monkeypatch):
    """Between the look at its acceptance and its opening it is erased; what was accepted since is opened."""
    gone, since = world.accept("gone"), world.accept("since")
    world.marks = {gone.key: "7", since.key: "8"}
    world.clock.now += AFTER_MS + 1
    await world.sweep.sweep()
    hold = world.rows.hold

    async def erasing(key):
        found = await hold(key)
        if key == gone.key:
            world.rows.open.pop(key, None)
        return found

    monkeypatch.setattr(world.rows, "hold", erasing)
    await world.sweep.sweep()
    with pytest.raises(UnknownRequest):
        await world.store.log(gone.key)
    assert (await world.store.log(since.key)).record == since


async def test_rows_are_noted_as_fast_as_requests_end(world, monkeypatch):
    """However many are over behind the newest, one sweep notes them; where little is over it stops."""
    monkeypatch.setattr(reopening, "NEWEST", 2)
    monkeypatch.setattr(reopening, "IN_TURN", 2)
    monkeypatch.setattr(reopening, "IDLE_PAGES", 2)
    for number in range(20):
        record = await world.open(f"r{number:02}")
        world.clock.now += 1
        if number < 12:
            await world.store.seal(record.key, Cancelled(at=world.clock.now, code="user", message="Stopped."))
            await world.store.projected([record.key])
    world.sweep._all = False
    world.clock.now += ENDED_MS + 1
    await world.sweep.sweep()  # two newest, and two pages of which nothing is over
    assert len(world.rows.open) == 20
    await world.sweep.sweep()
    assert len(world.rows.open) == 8


async def test_what_is_away_keeps_nobody_waiting(world, monkeypatch):
    """Where the store cannot say of one, the others are opened again all the same, the sweep says so, and that one's turn
    comes."""
    away, there = world.accept("away"), world.accept("there")
    world.clock.now += AFTER_MS + 1
    head = world.store.head
    for _ in range(2):
        with monkeypatch.context() as patch:

            async def refusing(key):
                if key == away.key:
                    raise Unavailable("its server is away")
                return await head(key)

            patch.setattr(world.store, "head", refusing)
            with pytest.raises(Unavailable):
                await world.sweep.sweep()
    assert (await world.store.log(there.key)).record == there
    await world.sweep.sweep()
    await world.sweep.sweep()
    assert (await world.store.log(away.key)).record == away


async def test_a_second_look_that_fails_is_made_again(world, monkeypatch):
    """What was missing once, and of which the store cannot say then, is opened as soon as it can."""
    record = world.accept("r")
    world.clock.now += AFTER_MS + 1
    await world.sweep.sweep()
    with monkeypatch.context() as patch:

        async def refusing(_):
            raise Unavailable("its server is away")

        patch.setattr(world.store, "head", refusing)
        with pytest.raises(Unavailable):
            await world.sweep.sweep()
    await world.sweep.sweep()
    assert (await world.store.log(record.key)).record == record


@pytest.mark.parametrize("newest", [20, 4])
async def test_a_sweep_that_is_slow_goes_on_where_it_stopped(world, monkeypatch, newest):
    """Where one that is away is waited for, those behind it are looked at by the next sweeps, among the newest and beyond."""
    for name, value in {
        "NEWEST": newest,
        "IN_TURN": 6,
        "AT_ONCE": 1,
        "IDLE_PAGES": 1,
        "SWEEP_S": 0.0,
    }.items():
        monkeypatch.setattr(reopening, name, value)
    records = []
    for number in range(12):
        records.append(world.accept(f"r{number}"))
        world.clock.now += 1
    away = {records[5].key, records[-1].key}  # the newest, and one in the middle
    head = world.store.head

    async def refusing(key):
        if key in away:
            await asyncio.sleep(0.001)
            raise Unavailable("its server is away")
        return await head(key)

    monkeypatch.setattr(world.store, "head", refusing)
    world.clock.now += AFTER_MS + 1
    for _ in range(40):
        with contextlib.suppress(Unavailable):
            await world.sweep.sweep()
    there = {record.key for record in records if world.store.live(record.key) is not None}
    assert there == {record.key for record in records} - away
