"""Several nodes on one Redis: what one writes the others show at once, whole, and once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest

from holdfast_protocol import events as ev
from holdfast_server.stores.base import (
    Account,
    Fenced,
    JournalSealed,
    Key,
    Record,
    Summary,
    TooManyOpen,
    UnknownRequest,
)
from holdfast_server.stores.redis import follow, store
from tests.support.journals import ANN, BOB, Clock
from tests.support.redis_rig import RedisServer
from tests.support.redis_stores import Peer, peers, same, stored, until
from tests.support.scribe import cancelled, decision, key, steer, text_of

pytestmark = [pytest.mark.needs("redis-server")]

Two = tuple[Peer, Peer]


@pytest.fixture
async def two(redis_server: RedisServer) -> AsyncIterator[Two]:
    """Two nodes of one database."""
    async with peers(redis_server.url, Clock(), 2) as (a, b):
        yield a, b


@pytest.fixture
def no_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes that never look by themselves: what they see, they were told."""
    monkeypatch.setattr(follow, "TICK_S", 3600)


@pytest.mark.usefixtures("no_tick")
async def test_a_follower_shows_what_is_written_elsewhere(two: Two) -> None:
    """Every event of another node's answer reaches a follower by message, whole and in order, and ends its waits."""
    a, b = two
    await a.open()
    seen = await b.store.log(key())
    grown: list[tuple[int, int]] = []
    b.store.observe(lambda changes: grown.extend((c.start, c.end) for c in changes if c.end > c.start))
    held = await a.claim()
    await held.begin()
    for turn in range(20):
        held.say(f"{turn} ")
        await held.writer.flush()
    await held.complete()
    await asyncio.wait_for(seen.wait_sealed(), 10)
    assert same(seen, held.log)
    assert text_of(seen) == "".join(f"{turn} " for turn in range(20))
    assert [start for start, _ in grown] == [1, *(end for _, end in grown[:-1])]
    assert (seen.version, seen.lease) == (held.log.version, False)


@pytest.mark.usefixtures("no_tick")
async def test_a_large_batch_is_read_where_the_message_has_no_room(two: Two) -> None:
    """Output above what a message carries is read instead, at once."""
    a, b = two
    held = await a.running()
    seen = await b.store.log(key())
    held.say("x" * 60_000)
    await held.writer.flush()
    await until(lambda: seen.tail == held.log.tail)
    assert same(seen, held.log)


async def test_what_no_message_told_is_seen_by_the_tick(two: Two) -> None:
    """A node that hears nothing any more sees changes within its own look at the store."""
    a, b = two
    held = await a.running()
    seen = await b.store.log(key())
    b.store._messages.take = lambda channel, data: None  # type: ignore[method-assign]
    held.say("unheard")
    await held.complete()
    await asyncio.wait_for(seen.wait_sealed(), 10)
    assert same(seen, held.log)


@pytest.mark.usefixtures("no_tick")
async def test_a_seal_by_another_node_stops_the_writer(two: Two) -> None:
    """To cancel works from everywhere: the node that runs it is told, and what it puts later is refused whole."""
    a, b = two
    held = await a.running()
    held.say("before")
    await held.writer.flush()
    sealed = await b.store.seal(key(), cancelled())
    await asyncio.wait_for(held.log.wait_sealed(), 10)
    assert a.store._claims.running == 0, "its slot is not free"
    held.say("after")
    with pytest.raises(JournalSealed) as caught:
        await held.writer.flush()
    assert caught.value.status == "cancelled"
    assert text_of(held.log) == text_of(sealed) == "before"
    assert same(held.log, sealed)


async def test_a_late_append_is_refused_whole(two: Two, redis_server: RedisServer) -> None:
    """What a writer had under way when another node cancelled is in the store with nothing of it."""
    a, b = two
    held = await a.running()
    a.store._messages.take = lambda channel, data: None  # type: ignore[method-assign]  # it does not know yet
    await b.store.seal(key(), cancelled())
    held.say("late")
    held.writer.put(ev.PartDone(at=6, part=0))
    with pytest.raises(JournalSealed):
        await held.writer.flush()
    assert held.log.status == "cancelled"
    assert len(await stored(redis_server, key())) == 3
    assert b"late" not in b"".join(events for _, events in await stored(redis_server, key()))


async def test_opening_through_both_at_once_gives_one(two: Two) -> None:
    """The same submission at two nodes is one request, and exactly one of them made it."""
    a, b = two
    logs = await asyncio.gather(*(node.open() for _ in range(5) for node in (a, b)))
    assert {log.number for log in logs} == {logs[0].number}
    assert len({id(log) for log in logs}) == 2
    assert await a.ids() == await b.ids() == ["r1"]


async def test_a_parked_request_is_decided_and_resumed_elsewhere(two: Two) -> None:
    """The inbox is one for all nodes, whoever parked, decided and goes on."""
    a, b = two
    parked = await a.parked()
    assert await b.store.put_input(key(), decision())
    assert not await a.store.put_input(key(), decision())
    await until(lambda: parked.log.inbox and not parked.log.parked)
    await asyncio.wait_for(b.store.claimable(), 10)
    again = await b.claim()
    assert (again.claim.how, again.claim.term, again.log.inbox[0].value) == ("resumed", 2, "yes")
    await again.begin("resumed")
    await again.complete()
    await asyncio.wait_for(parked.log.wait_sealed(), 10)
    assert same(parked.log, again.log)


@pytest.mark.usefixtures("no_tick")
async def test_an_input_reaches_the_node_that_runs(two: Two) -> None:
    """What is said to a running request through another node is in its inbox by message."""
    a, b = two
    held = await a.running()
    await b.store.put_input(key(), steer())
    await until(lambda: len(held.log.inbox) == 1)
    assert held.log.inbox[0] == steer()


async def test_a_release_hands_over_to_another_node(two: Two) -> None:
    """What one node gives back another takes up, under a new term, with every event; the old pen is dead."""
    a, b = two
    held = await a.running()
    held.say("so far")
    await a.store.release(held.claim)
    await asyncio.wait_for(b.store.claimable(), 10)
    taken = await b.claim()
    assert (taken.claim.how, taken.claim.term) == ("handed_over", 2)
    assert text_of(taken.log) == "so far"
    held.say("from the grave")
    with pytest.raises(Fenced):
        await held.writer.flush()
    await until(lambda: held.log.term == 2)
    assert same(held.log, taken.log)


@pytest.mark.usefixtures("no_tick")
async def test_erasing_elsewhere_ends_readers_and_writers(two: Two) -> None:
    """A chat that another node deleted is gone here at once, and its writer is fenced."""
    a, b = two
    done = await a.ended("done")
    held = await a.running("going")
    await b.store.erase([key("done"), key("going")])
    await until(lambda: done.erased and held.log.erased)
    assert not held.log.lost
    held.say("more")
    with pytest.raises((Fenced, JournalSealed)):
        await held.writer.flush()
    for node in two:
        with pytest.raises(UnknownRequest):
            await node.store.log(key("going"))


@pytest.mark.usefixtures("no_tick")
async def test_rows_of_a_watched_owner_are_told(two: Two) -> None:
    """A node that watches an owner hears of each change of state by others, of logs that it does not hold, and of the end."""
    a, b = two
    rows: list[tuple[Summary, bool]] = []
    b.store.observe_rows(lambda row, removed: rows.append((row, removed)))
    b.store.watch(ANN)
    await b.ids()  # asked after the watch, answered after it
    await a.ended("r2", chat_id="c")
    await a.open("bobs", owner=BOB)
    await a.store.erase([key("r2")])
    await until(lambda: rows and rows[-1][1])
    assert {row.key for row, _ in rows} == {key("r2")}
    assert [row.status for row, _ in rows][-2:] == ["completed", "completed"]
    versions = [row.version for row, removed in rows if not removed]
    assert versions == sorted(set(versions))
    assert rows[-2][0].outcome is not None


async def test_small_messages_reach_every_node(two: Two) -> None:
    """What one node publishes all are told, itself too, by topic."""
    got: list[tuple[str, bytes]] = []
    for name, node in zip("ab", two, strict=True):
        node.store.observe_message("told", lambda body, name=name: got.append((name, body)))  # type: ignore[misc]
    await two[0].store.publish("told", b"\x00 with spaces \n")
    await two[0].store.publish("other", b"")
    await until(lambda: len(got) == 2)
    assert sorted(got) == [("a", b"\x00 with spaces \n"), ("b", b"\x00 with spaces \n")]


async def test_a_small_value_is_taken_once(two: Two) -> None:
    """Of all who ask for it exactly one gets it; when its time is over nobody does."""
    a, b = two
    await a.store.put_once("ticket", b"ann", 60)
    got = await asyncio.gather(*(node.store.take_once("ticket") for _ in range(5) for node in two))
    assert sorted(got, key=bool)[-2:] == [None, b"ann"]
    await a.store.put_once("short", b"x", 0.001)
    await asyncio.sleep(0.05)
    assert await b.store.take_once("short") is None


async def test_what_the_history_lacks_of_an_owner(two: Two) -> None:
    """An opened or ended request of a chat is on the owner's list until the history has that version."""
    a, b = two
    await a.open("r1", chat_id="c")
    await a.open("loose", chat_id=None)
    [(marked, version)] = await b.store.dirty(ANN)
    assert marked == key("r1")
    await a.store.seal(key("r1"), cancelled())
    await b.store.clean([(marked, version)])  # too late: it has ended since
    [(marked, newer)] = await b.store.dirty(ANN)
    assert newer > version
    await b.store.clean([(marked, newer)])
    assert await a.store.dirty(ANN) == []


async def test_an_owner_has_so_many_open(redis_server: RedisServer) -> None:
    """Above the quota opening is refused, through any node; one that ends makes room, and what is there is found."""
    async with peers(redis_server.url, Clock(), 2, owner_open_max=2) as (a, b):
        await a.open("r1")
        await b.open("r2")
        with pytest.raises(TooManyOpen):
            await b.open("r3")
        assert (await a.open("r2")).key == key("r2")
        await a.store.seal(key("r1"), cancelled())
        await b.open("r3")
        await a.store.erase([key("r3")])
        await a.open("r4")


class Accepted:
    """Acceptances in memory."""

    def __init__(self) -> None:
        self.rows: dict[Key, tuple[Record, ev.Accepted] | None] = {}

        self.marks: dict[Key, int] = {}

    async def accept(self, record: Record, accepted: ev.Accepted) -> int:
        new = record.key not in self.rows
        self.rows.setdefault(record.key, (record, accepted))
        self.marks[record.key] = self.marks.get(record.key, 0) + 1
        return self.marks[record.key] if new else 0

    async def take_back(self, key: Key, mark: int) -> bool:
        if self.marks[key] != mark:
            return False
        await self.forget([key])
        return True

    async def of(self, key: Key) -> tuple[Record, ev.Accepted] | None:
        return self.rows.get(key)

    async def ended(self, keys: Sequence[Key]) -> None:
        self.rows.update(dict.fromkeys(keys))

    async def forget(self, keys: Sequence[Key]) -> None:
        for gone in keys:
            self.rows.pop(gone, None)

    async def open_before(self, before_ms: int, limit: int) -> list[tuple[Record, ev.Accepted]]:
        return [row for row in self.rows.values() if row is not None]


async def test_a_request_is_accepted_before_it_is_opened(redis_server: RedisServer) -> None:
    """What was accepted and lost can be opened again; what has ended and was purged is not done twice; what was erased may
    come again."""
    rows = Accepted()
    async with peers(redis_server.url, Clock(), 1, acceptances=rows) as (a,):
        log = await a.ended("r1")
        record, accepted = log.record, log.events[0]
        assert isinstance(accepted, ev.Accepted)
        assert rows.rows[key("r1")] is not None
        assert not (await a.store.open(record, accepted)).created
        await a.store.purge(2**50, 2**50)
        assert rows.rows[key("r1")] is None
        with pytest.raises(UnknownRequest):
            await a.store.open(record, accepted)
        lost = await a.open("r2")
        await redis_server.do("FLUSHDB")
        again = await a.store.open(lost.record, msgspec.structs.replace(accepted, nonce="0badcafe"))
        assert not again.created
        await a.store.erase([key("r1")])
        assert (await a.store.open(record, accepted)).created


async def test_upkeep_by_several_nodes_at_once(two: Two) -> None:
    """Packing and purging at the same time from two nodes does everything once; readers keep what they read."""
    a, b = two
    logs = [await a.ended(f"r{number}", "some text") for number in range(6)]
    counts = await asyncio.gather(a.store.compact(), b.store.compact())
    assert sum(counts) == 6
    read = await b.store.log(key("r3"))
    assert same(read, logs[3])
    await b.store.account(key("r3"), Account(term=1, running_ms=4))
    assert (await a.store.accounts(key("r3")))[0].running_ms == 4
    assert sum(await asyncio.gather(a.store.purge(2**50, 2**50), b.store.purge(2**50, 2**50))) == 6
    assert await a.ids() == []
    assert text_of(read) == "some text"
    assert not read.erased


def test_no_id_of_an_entry_is_left_to_redis() -> None:
    """Every entry's id says its term and its end: nothing in Lua appends with an id that Redis makes up."""
    sources = sorted(Path(store.__file__).parent.glob("*.lua"))
    adds = [line for source in sources for line in source.read_text().splitlines() if "XADD" in line.upper()]
    assert len(sources) >= 5
    assert adds
    assert [line for line in adds if "'*'" in line or '"*"' in line] == []


@pytest.mark.usefixtures("no_tick")
async def test_what_a_new_term_wrote_is_shown_under_its_epoch(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A follower that missed an input shows what the next term writes at once, and with that term's cursors."""
    a, b = two
    await a.open()
    seen = await b.store.log(key())
    held = await a.claim()
    await held.begin()
    held.writer.put(ev.PartDone(at=6, part=0))
    await held.writer.flush()
    await a.store.park(held.claim, 0, held.wait())
    await until(lambda: seen.parked)
    take = b.store._messages.take
    monkeypatch.setattr(b.store._messages, "take", lambda channel, data: None)
    await a.store.put_input(key(), decision())
    again = await a.claim()
    await asyncio.sleep(0.1)  # whatever was told until now is lost on its way
    shown: list[tuple[int, int]] = []
    b.store.observe(lambda changes: shown.extend((c.end, c.log.cursor(c.end).term) for c in changes))
    monkeypatch.setattr(b.store._messages, "take", take)
    await again.begin("resumed")
    await until(lambda: seen.tail == held.log.tail)
    assert shown
    assert {term for end, term in shown if end > again.claim.start} == {2}
