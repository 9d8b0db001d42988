"""The commit queue over a disk that stands still, refuses, and forgets to answer."""

from __future__ import annotations

import asyncio

import pytest

from holdfast_protocol import events as ev
from holdfast_protocol.errors import IllegalEvent
from holdfast_server.stores.base import (
    Account,
    Change,
    Fenced,
    JournalSealed,
    Key,
    StorageFull,
    Unavailable,
    UnknownRequest,
)
from holdfast_server.stores.disk import Found
from holdfast_server.stores.embedded import EmbeddedStore
from tests.support.disks import KeptDisk
from tests.support.journals import Clock
from tests.support.scribe import Held, Scribe, cancelled, key, text_of
from tests.support.simloop import SimLoop


class Desk:
    """A store over a disk that obeys."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.disk = KeptDisk()
        self.store = EmbeddedStore(self.disk, now_ms=self.clock)
        self.scribe = Scribe(self.store, self.clock)

    async def again(self) -> Desk:
        """Another process over what the disk holds."""
        desk = Desk()
        desk.disk = self.disk
        desk.store = EmbeddedStore(self.disk, now_ms=desk.clock)
        desk.scribe = Scribe(desk.store, desk.clock)
        await desk.store.start()
        return desk


@pytest.fixture
async def desk() -> Desk:
    desk = Desk()
    await desk.store.start()
    return desk


async def turns(count: int = 5) -> None:
    """Let the loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_turn_of_the_loop_is_one_commit(desk: Desk) -> None:
    """What is written in one turn goes to the disk together."""
    held = [await desk.scribe.running(f"r{number}") for number in range(20)]
    before = len(desk.disk.batches)
    for one in held:
        one.say("a", "b", "c")
    await asyncio.gather(*(one.writer.flush() for one in held), desk.scribe.open("new"))
    assert len(desk.disk.batches) == before + 1
    assert len(desk.disk.batches[-1].entries) == 21


async def test_the_commit_in_flight_is_the_window(desk: Desk) -> None:
    """A first token goes at once; what comes while it is written is one event of the next commit."""
    held = await desk.scribe.running()
    desk.disk.hold()
    held.say("first")
    await desk.disk.held()
    for word in ("second ", "third ", "fourth"):
        held.say(word)
        await turns()
    assert text_of(held.log) == ""
    desk.disk.go()
    await held.writer.flush()
    deltas = [event.text for event in held.log.events if isinstance(event, ev.Delta)]
    assert deltas == ["first", "second third fourth"]


async def test_nothing_is_seen_before_it_is_durable(desk: Desk) -> None:
    """While the disk stands still no reader sees the event, and nobody is told that it holds (I4)."""
    held = await desk.scribe.running()
    tail = held.log.tail
    told: list[Change] = []
    desk.store.observe(told.extend)
    desk.disk.hold()
    held.say("x")
    flush = asyncio.ensure_future(held.writer.flush())
    opened = asyncio.ensure_future(desk.scribe.open("new"))
    await desk.disk.held()
    await turns()
    assert (held.log.tail, told, flush.done(), opened.done()) == (tail, [], False, False)
    assert desk.store.live(key("new")) is None
    desk.disk.go()
    await asyncio.gather(flush, opened)
    assert held.log.tail == tail + 1
    assert [(change.log.key.request_id, change.state) for change in told] == [("r1", False), ("new", True)]


async def test_a_zombie_is_fenced_at_the_barrier(desk: Desk) -> None:
    """1. A is handed over behind its back. 2. The disk stands still while B's claim is written. 3. A, which has not been
    told, puts and flushes. 4. The disk goes on. 5. A's batch is judged after B's claim: nothing of it is added (I3)."""
    a = await desk.scribe.running()
    await desk.store.release(a.claim)
    desk.disk.hold()
    claim = asyncio.ensure_future(desk.scribe.claim())
    await desk.disk.held()
    a.say("zombie")
    flush = asyncio.ensure_future(a.writer.flush())
    await turns()
    desk.disk.go()
    b = await claim
    with pytest.raises(Fenced):
        await flush
    await b.begin("handed_over")
    b.say("alive")
    await b.writer.flush()
    assert text_of(b.log) == "alive"
    assert (await (await desk.again()).store.log(key())).events == b.log.events


async def test_a_refused_commit_changes_nothing(desk: Desk) -> None:
    """Every call of the batch fails with the disk's reason, and each may be repeated with full effect."""
    await desk.scribe.open("old")
    desk.disk.refusals = [Unavailable("no")] * 1
    ends = await asyncio.gather(
        desk.scribe.open("new"),
        desk.store.claim(),
        desk.store.seal(key("old"), cancelled()),
        desk.store.seal(key("old"), cancelled()),
        return_exceptions=True,
    )
    assert [type(end) for end in ends] == [Unavailable] * 4
    assert desk.store.live(key("new")) is None
    assert not (await desk.store.log(key("old"))).sealed
    assert (await desk.scribe.claim()).key == key("old")
    await desk.scribe.open("new")
    assert (await desk.scribe.claim()).key == key("new")


def test_running_answers_outlive_a_full_disk() -> None:
    """Submits fail while the disk is full; what runs waits in its pen within the bound, and goes on by itself."""

    async def scenario() -> tuple[str, str, list[str | None], bool]:
        desk = Desk()
        await desk.store.start()
        held = await desk.scribe.running()
        desk.disk.refusals = [StorageFull("full")] * 6
        held.say("kept ")
        await asyncio.sleep(0.01)
        trouble = [desk.store.trouble]
        with pytest.raises(StorageFull):
            await desk.scribe.open("new")
        held.say("x" * 70_000)
        congested = held.writer.congested
        await held.writer.flush()
        trouble.append(desk.store.trouble)
        await held.complete()
        again = await desk.again()
        return text_of(held.log), text_of(await again.store.log(key())), trouble, congested

    shown, stored, trouble, congested = SimLoop(seed=1).run(scenario())
    assert shown == stored == "kept " + "x" * 70_000
    assert trouble == ["full", None]
    assert congested


async def test_a_lost_reply_is_not_a_second_event(desk: Desk) -> None:
    """The commit held, its answer was lost: it is repeated under its number, and the log has each event once (I1)."""
    held = await desk.scribe.running()
    desk.disk.lose_reply = True
    held.say("once")
    await held.writer.flush()
    assert text_of(held.log) == "once"
    again = await desk.again()
    log = await again.store.log(key())
    assert log.events == held.log.events


async def test_a_commit_whose_reply_was_lost_is_overwritten(desk: Desk) -> None:
    """What was refused and yet written is not there after a start, if something else was committed since."""
    desk.disk.lose_reply = True
    with pytest.raises(Unavailable):
        await desk.scribe.open("ghost")
    await desk.scribe.open("real")
    again = await desk.again()
    assert await again.scribe.ids() == ["real"]


async def test_marks_after_a_packing_whose_reply_was_lost(desk: Desk) -> None:
    """A journal that is packed on the disk but not for the store keeps what is written to it later."""
    await desk.scribe.ended(chat_id="c")
    desk.disk.lose_reply = True
    with pytest.raises(Unavailable):
        await desk.store.compact()
    await desk.store.projected([key()])
    again = await desk.again()
    assert await again.store.unprojected(5) == []
    assert (await again.store.log(key())).projected


async def test_what_only_frees_goes_first_on_a_full_disk(desk: Desk) -> None:
    """After the disk was full, erasing is not held up by what needs room."""
    held = await desk.scribe.running("r1")
    await desk.scribe.ended("old")
    desk.disk.refusals = [StorageFull("full")]
    held.say("waits")
    await turns()
    before = len(desk.disk.batches)
    calls = [
        desk.store.account(key(), Account(term=1)),
        desk.store.erase([key("old")]),
        desk.scribe.open("new"),
    ]
    await asyncio.gather(*calls)
    made = desk.disk.batches[before:]
    assert [batch.frees for batch in made][:2] == [True, False]
    assert made[0].removed == [key("old")]
    assert len(made[0].entries) == 1
    await held.writer.flush()
    assert text_of(held.log) == "waits"


async def test_a_bug_in_a_batch_does_not_stop_the_queue(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that no disk should raise fails that commit, and the next one is formed."""

    async def broken(_: object) -> None:
        raise KeyError("bug")

    with monkeypatch.context() as patch:
        patch.setattr(desk.disk, "commit", broken)
        with pytest.raises(Unavailable):
            await desk.scribe.open()
    await desk.scribe.open()


async def test_what_cannot_be_stored_is_refused_at_the_door(desk: Desk) -> None:
    """A value that the codec cannot write never reaches a commit, where it would fail its neighbours."""
    held = await desk.scribe.running()
    with pytest.raises(IllegalEvent):
        held.say("half a pair: \ud83d")
    with pytest.raises(IllegalEvent):
        held.writer.put(ev.Data(at=1, part=1, id="d", name="n", data=object()))
    with pytest.raises(IllegalEvent):
        held.writer.put(ev.ToolResult(at=1, part=0, output="x" * 300_000))
    with pytest.raises(IllegalEvent):
        held.writer.put(held.wait())
    with pytest.raises(IllegalEvent):
        await desk.scribe.open("r2", options={"x": "\ud83d"})
    await held.complete()


async def test_an_owner_runs_no_more_than_its_share(desk: Desk) -> None:
    """Above an owner's bound its requests wait for one of its own to stop, while others' are claimed."""
    store = EmbeddedStore(KeptDisk(), now_ms=desk.clock, owner_running_max=2)
    await store.start()
    scribe = Scribe(store, desk.clock)
    for number in range(5):
        await scribe.open(f"a{number}")
    held: list[Held] = [await scribe.claim(), await scribe.claim()]
    assert await store.claim() is None
    waiter = asyncio.ensure_future(store.claimable())
    await turns()
    assert not waiter.done()
    await store.seal(key("a2"), cancelled())
    await store.seal(held[0].key, cancelled())
    await asyncio.wait_for(waiter, 5)
    third = await scribe.claim()
    assert third.key == key("a3")
    assert await store.claim() is None
    await store.release(third.claim)
    again = await scribe.claim()
    assert again.key in (key("a3"), key("a4"))
    assert await store.claim() is None
    await store.erase([held[1].key, again.key])
    assert await store.claim() is not None


async def test_closing_finishes_what_was_handed_in(desk: Desk) -> None:
    """Close commits what was put, then refuses."""
    held = await desk.scribe.running()
    held.say("last words")
    opened = asyncio.ensure_future(desk.scribe.open("new"))
    await turns(1)
    await desk.store.close()
    await opened
    assert text_of(held.log) == "last words"
    with pytest.raises(Unavailable):
        await desk.scribe.open("newer")
    held.say("unheard")
    with pytest.raises(Unavailable):
        await held.writer.flush()
    assert (await (await desk.again()).scribe.ids()) == ["new", "r1"]


async def test_closing_over_a_dead_disk_ends(desk: Desk) -> None:
    """A disk that refuses for good does not hold the end up."""
    held = await desk.scribe.running()
    desk.disk.refusals = [Unavailable("dead")] * 1000
    held.say("lost")
    await turns()
    await asyncio.wait_for(desk.store.close(), 5)
    with pytest.raises(Unavailable):
        await held.writer.flush()


async def test_an_observer_that_fails_harms_nobody(desk: Desk) -> None:
    """An observer's bug is logged; the commit holds, and the next observer is told."""
    told: list[Change] = []

    def broken(changes: object) -> None:
        raise ValueError

    desk.store.observe(broken)
    desk.store.observe(told.extend)
    await desk.scribe.open()
    assert len(told) == 1


async def test_a_seal_that_was_not_written_seals_nothing(desk: Desk) -> None:
    """A writer is not told of an outcome that the disk refused."""
    held = await desk.scribe.running()
    desk.disk.refusals = [Unavailable("no")]
    with pytest.raises(Unavailable):
        await desk.store.seal(key(), cancelled())
    held.say("goes on")
    await held.complete()
    assert held.log.status == "completed"
    with pytest.raises(JournalSealed):
        await desk.store.seal(key(), cancelled())


async def test_a_claim_whose_caller_went_away_is_given_back(desk: Desk) -> None:
    """1. A claim is being written. 2. Its caller is cancelled. 3. It is written. 4. The lease is given back at once."""
    await desk.scribe.open()
    desk.disk.hold()
    claim = asyncio.ensure_future(desk.store.claim())
    await desk.disk.held()
    claim.cancel()
    await asyncio.gather(claim, return_exceptions=True)
    desk.disk.go()
    await asyncio.wait_for(desk.store.claimable(), 5)
    assert (await desk.scribe.claim()).claim.term == 2


async def test_a_journal_erased_while_it_is_read_is_not_there(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1. A reader has the row of a packed journal. 2. The journal is erased. 3. The reader goes on: it finds nothing."""
    store = EmbeddedStore(desk.disk, now_ms=desk.clock, memory_bytes_max=0)
    await store.start()
    scribe = Scribe(store, desk.clock)
    await scribe.ended("r1", "secret")
    await store.compact()
    found, go = asyncio.Event(), asyncio.Event()
    find = desk.disk.find

    async def slow(wanted: Key) -> Found | None:
        row = await find(wanted)
        found.set()
        await go.wait()
        return row

    monkeypatch.setattr(desk.disk, "find", slow)
    reader = asyncio.ensure_future(store.log(key()))
    await found.wait()
    await store.erase([key()])
    go.set()
    with pytest.raises(UnknownRequest):
        await reader


async def test_opening_while_it_is_packed_finds_it(desk: Desk) -> None:
    """A submit that is repeated in the very commit that packs its journal is still the same request."""
    store = EmbeddedStore(desk.disk, now_ms=desk.clock, memory_bytes_max=0)
    await store.start()
    scribe = Scribe(store, desk.clock)
    await scribe.ended("r1", "text")
    packed, log = await asyncio.gather(store.compact(), scribe.open("r1"))
    assert packed == 1
    assert text_of(log) == "text"
    assert await scribe.ids() == ["r1"]
