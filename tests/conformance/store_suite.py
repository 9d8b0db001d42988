"""What every store promises: subclass it, say how one is made, and all of it runs against yours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast_protocol import events as ev
from holdfast_protocol.errors import IllegalEvent
from holdfast_server.stores.base import (
    Change,
    Fenced,
    InboxUnread,
    JournalSealed,
    NotWaiting,
    RequestConflict,
    Store,
    UnknownRequest,
)  # fmt: skip
from holdfast_server.stores.writer import WRITER_PENDING_BYTES_MAX
from tests.support.journals import ANN, BOB, Clock
from tests.support.scribe import Scribe, cancelled, decision, key, steer, text_of


class StoreBench:
    """How a store is made, for the suites below."""

    def make(self, folder: Path, clock: Clock) -> Store:
        """A store that is not started; a durable one keeps its data in `folder`."""
        raise NotImplementedError

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    async def store(self, tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
        store = self.make(tmp_path, clock)
        await store.start()
        yield store
        await store.close()

    @pytest.fixture
    def scribe(self, store: Store, clock: Clock) -> Scribe:
        return Scribe(store, clock)


class StoreSuite(StoreBench):
    """The port's promises, one by one."""

    # -- open ------------------------------------------------------------------------------------------------

    async def test_opening_again_finds_the_same_journal(self, store: Store, scribe: Scribe) -> None:
        """The same submit, however often and at the same time, is one request."""
        logs = await asyncio.gather(*(scribe.open() for _ in range(20)))
        assert len({id(log) for log in logs}) == 1
        assert logs[0].tail == 1
        assert await scribe.open() is logs[0]

    async def test_another_body_under_the_same_id_is_refused(self, store: Store, scribe: Scribe) -> None:
        """An id is used for one body, while it runs and after it was packed."""
        await scribe.ended()
        with pytest.raises(RequestConflict):
            await scribe.open(body_hash=b"another")
        await store.compact()
        with pytest.raises(RequestConflict):
            await scribe.open(body_hash=b"another")
        assert (await scribe.open()).sealed

    async def test_the_same_id_of_two_owners_is_two_requests(self, store: Store, scribe: Scribe) -> None:
        """A stranger's journal is simply not there (I9)."""
        anns = await scribe.open("r1", owner=ANN)
        assert await scribe.ids(BOB) == []
        with pytest.raises(UnknownRequest):
            await store.seal(key("r1", BOB), cancelled())
        bobs = await scribe.open("r1", owner=BOB)
        assert bobs is not anns
        await store.seal(bobs.key, cancelled())
        assert not anns.sealed

    async def test_what_is_not_there_is_unknown(self, store: Store) -> None:
        """No call takes an unknown key for another one."""
        with pytest.raises(UnknownRequest):
            await store.log(key())
        with pytest.raises(UnknownRequest):
            await store.put_input(key(), steer())
        assert store.live(key()) is None

    # -- append and seal -------------------------------------------------------------------------------------

    async def test_offsets_are_dense_under_concurrent_writers(self, store: Store, scribe: Scribe) -> None:
        """Every writer's events are in its own journal, whole, in order (I1)."""
        everyone = [await scribe.running(f"r{number}") for number in range(8)]
        seen: list[Change] = []
        store.observe(seen.extend)
        for turn in range(10):
            for number, held in enumerate(everyone):
                held.say(f"{number}.{turn} ")
            await asyncio.gather(*(held.writer.flush() for held in everyone[turn % 3 :]))
        await asyncio.gather(*(held.complete() for held in everyone))
        for number, held in enumerate(everyone):
            assert text_of(held.log) == "".join(f"{number}.{turn} " for turn in range(10))
            spans = [(change.start, change.end) for change in seen if change.log is held.log]
            assert [start for start, _ in spans] == [3, *(end for _, end in spans[:-1])]
            assert spans[-1][1] == held.log.tail

    async def test_the_last_output_and_the_seal_are_one_step(self, store: Store, scribe: Scribe) -> None:
        """A journal is sealed together with what was put before its outcome (I2)."""
        held = await scribe.running()
        tails: list[tuple[bool, str]] = []
        store.observe(lambda changes: tails.append((held.log.sealed, text_of(held.log))))
        held.say("all of it")
        await held.complete()
        assert tails == [(True, "all of it")]
        assert isinstance(held.log.events[-1], ev.Completed)

    async def test_nothing_follows_the_outcome(self, store: Store, scribe: Scribe) -> None:
        """After the seal every append is refused, and whole (I2)."""
        held = await scribe.running()
        await store.seal(held.key, cancelled())
        held.say("too late")
        with pytest.raises(JournalSealed) as caught:
            await held.writer.flush()
        assert caught.value.status == "cancelled"
        with pytest.raises(JournalSealed):
            held.say("still")
        with pytest.raises(JournalSealed):
            await store.park(held.claim, 0, held.wait())
        assert [type(event) for event in held.log.events[-2:]] == [ev.PartStarted, ev.Cancelled]

    async def test_of_many_seals_one_holds(self, store: Store, scribe: Scribe) -> None:
        """Cancel from two devices, and an answer that ends: one outcome, and the others are told which."""
        held = await scribe.running()
        held.writer.put(ev.PartDone(at=6, part=0))
        held.writer.put(ev.Completed(at=6, code="stop"))
        ends = await asyncio.gather(
            held.writer.flush(),
            *(store.seal(held.key, cancelled()) for _ in range(3)),
            return_exceptions=True,
        )
        lost = [end for end in ends if isinstance(end, JournalSealed)]
        assert len(lost) == 3
        assert {end.status for end in lost} == {held.log.status}
        assert sum(isinstance(event, ev.OUTCOMES) for event in held.log.events) == 1

    async def test_a_request_that_never_started_can_be_cancelled(self, store: Store, scribe: Scribe) -> None:
        """To cancel is to seal, at any time."""
        log = await scribe.open()
        assert await store.seal(log.key, cancelled()) is log
        assert await store.claim() is None

    async def test_one_refusal_leaves_its_neighbours_alone(self, store: Store, scribe: Scribe) -> None:
        """What is refused in a commit fails by itself."""
        held = await scribe.running("r1")
        await scribe.open("r2")
        held.say("kept")
        ends = await asyncio.gather(
            scribe.open("r3"),
            store.seal(key("nobody"), cancelled()),
            scribe.open("r2", body_hash=b"x"),
            held.writer.flush(),
            store.seal(key("r2"), cancelled()),
            return_exceptions=True,
        )
        kinds = [type(end) for end in ends]
        assert kinds[1:4] == [UnknownRequest, RequestConflict, type(None)]
        assert text_of(held.log) == "kept"
        assert store.live(key("r3")) is not None
        assert (await store.log(key("r2"))).status == "cancelled"

    # -- terms -----------------------------------------------------------------------------------------------

    async def test_a_zombie_writes_nothing(self, store: Store, scribe: Scribe) -> None:
        """Once a later term exists, nothing of an earlier one is added, by any way (I3). 1. A holds the journal. 2. It is
        handed over behind A's back. 3. B claims. 4. A goes on."""
        a = await scribe.running()
        await store.release(a.claim)
        b = await scribe.claim()
        assert (b.claim.how, b.claim.term, b.claim.start) == ("handed_over", 2, 3)
        tail = b.log.tail
        a.say("from the grave")
        for attempt in (
            a.writer.flush(),
            store.park(a.claim, 0, a.wait()),
            store.release(a.claim),
        ):
            with pytest.raises(Fenced):
                await attempt
        assert b.log.tail == tail
        await b.begin("handed_over")
        b.say("alive")
        await b.writer.flush()
        assert text_of(b.log) == "alive"

    async def test_cursors_of_an_earlier_term_stay_good(self, store: Store, scribe: Scribe) -> None:
        """A hand-over sends nobody back to the start: the chain knows every term's epoch."""
        a = await scribe.running()
        before = a.log.cursor()
        await store.release(a.claim)
        b = await scribe.claim()
        await b.begin("handed_over")
        assert b.log.check(before) is None
        assert [epoch.start for epoch in b.log.chain] == [0, 1, 3]
        assert b.log.check(before._replace(offset=4)) == "ahead"
        assert b.log.check(before._replace(nonce="ffffffff")) == "unknown_epoch"

    # -- claims ----------------------------------------------------------------------------------------------

    async def test_the_oldest_is_claimed_first_and_once(self, store: Store, scribe: Scribe) -> None:
        """Claims go by age, and no journal has two holders."""
        for number in range(5):
            await scribe.open(f"r{number}")
        claims = await asyncio.gather(*(store.claim() for _ in range(8)))
        got = [claim.log.key.request_id for claim in claims if claim is not None]
        assert got == [f"r{number}" for number in range(5)]
        assert {claim.how for claim in claims if claim is not None} == {"first"}

    async def test_not_before_holds_a_claim_back(self, store: Store, scribe: Scribe, clock: Clock) -> None:
        """A request that asks for later is not claimed sooner."""
        await scribe.open("late", not_before=clock.now + 50)
        await scribe.open("now")
        assert (await scribe.claim()).key == key("now")
        assert await store.claim() is None
        clock.now += 50
        await asyncio.wait_for(store.claimable(), 10)
        assert (await scribe.claim()).key == key("late")

    async def test_after_waits_for_the_seal_of_the_one_before(self, store: Store, scribe: Scribe) -> None:
        """A request that follows another is claimable when that one is sealed, and at once if it is not there."""
        first = await scribe.running("first")
        await scribe.open("second", after="first")
        await scribe.open("third", after="nobody")
        assert (await scribe.claim()).key == key("third")
        assert await store.claim() is None
        waiter = asyncio.ensure_future(store.claimable())
        await asyncio.sleep(0)
        await first.complete()
        await asyncio.wait_for(waiter, 10)
        assert (await scribe.claim()).key == key("second")

    async def test_claimable_waits_for_the_level(self, store: Store, scribe: Scribe) -> None:
        """Whoever looks after the change has missed nothing, whoever waits is woken (I7)."""
        await scribe.open("r1")
        await asyncio.wait_for(store.claimable(), 10)
        await asyncio.wait_for(store.claimable(), 10)
        await scribe.claim()
        waiters = [asyncio.ensure_future(store.claimable()) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(waiter.done() for waiter in waiters)
        await scribe.open("r2")
        await asyncio.wait_for(asyncio.gather(*waiters), 10)

    async def test_a_cancelled_claim_gives_its_journal_back(self, store: Store, scribe: Scribe) -> None:
        """A lease that nobody received is not lost."""
        await scribe.open()
        claim = asyncio.ensure_future(store.claim())
        await asyncio.sleep(0)
        claim.cancel()
        await asyncio.gather(claim, return_exceptions=True)
        await asyncio.wait_for(store.claimable(), 10)
        assert (await scribe.claim()).key == key()

    # -- parking and the inbox -------------------------------------------------------------------------------

    async def test_a_parked_request_holds_nothing_until_decided(self, store: Store, scribe: Scribe) -> None:
        """Parked, it is not claimable; the decision makes it so in the same step, and it is resumed."""
        held = await scribe.parked()
        assert held.log.status == "waiting"
        assert await store.claim() is None
        assert await store.put_input(key(), decision())
        again = await scribe.claim()
        assert (again.claim.how, again.log.inbox[0].value) == ("resumed", "yes")

    async def test_park_sees_what_came_in(self, store: Store, scribe: Scribe) -> None:
        """An input that the owner has not read stops the park, so it is never slept over."""
        held = await scribe.running()
        await store.put_input(key(), steer())
        with pytest.raises(InboxUnread):
            await store.park(held.claim, 0, held.wait())
        assert held.log.status == "running"
        await store.park(held.claim, 1, held.wait())
        assert held.log.inbox_seen == 1

    async def test_park_and_an_input_at_once_end_awake(self, store: Store, scribe: Scribe) -> None:
        """Whichever comes first, the input is seen: the park fails, or the request is claimable."""
        for number in range(6):
            held = await scribe.running(f"r{number}")
            calls = [store.park(held.claim, 0, held.wait()), store.put_input(held.key, steer())]
            ends = await asyncio.gather(*(calls if number % 2 else calls[::-1]), return_exceptions=True)
            if any(isinstance(end, InboxUnread) for end in ends):
                await store.release(held.claim)
            assert (await scribe.claim()).key == held.key

    async def test_a_decision_must_be_for_what_was_shown(self, store: Store, scribe: Scribe) -> None:
        """Only the open wait can be decided, with its digest, and only in one way."""
        held = await scribe.running()
        with pytest.raises(NotWaiting):
            await store.put_input(key(), decision())
        await store.park(held.claim, 0, held.wait())
        with pytest.raises(NotWaiting):
            await store.put_input(key(), decision("w2"))
        with pytest.raises(NotWaiting):
            await store.put_input(key(), decision(digest="changed"))
        assert await store.put_input(key(), decision()) is True
        assert await store.put_input(key(), decision()) is False
        with pytest.raises(NotWaiting):
            await store.put_input(key(), decision(value="no"))
        assert len(held.log.inbox) == 1

    async def test_a_decided_wait_is_closed(self, store: Store, scribe: Scribe) -> None:
        """Once the writer has taken the decision, repeating it is harmless, and the wait's id cannot come again."""
        await scribe.parked()
        await store.put_input(key(), decision())
        held = await scribe.claim()
        await held.begin("resumed")
        held.writer.put(ev.Decided(at=8, part=1, wait_id="w1", decision="yes"))
        await held.writer.flush()
        assert held.log.waiting is None
        assert await store.put_input(key(), decision()) is False
        with pytest.raises(IllegalEvent, match="decided before"):
            await store.park(held.claim, 1, held.wait(part=2))
        await held.complete()
        assert await store.put_input(key(), decision()) is False
        with pytest.raises(JournalSealed):
            await store.put_input(key(), steer())
        await store.compact()
        assert await store.put_input(key(), decision()) is False

    async def test_a_wait_that_expires_is_claimable(self, store: Store, scribe: Scribe, clock: Clock) -> None:
        """Nobody has to come for a wait to end: its time does."""
        await scribe.parked(expires_at=clock.now + 100)
        assert await store.claim() is None
        clock.now += 100
        await asyncio.wait_for(store.claimable(), 10)
        assert (await scribe.claim()).claim.how == "resumed"

    # -- readers ---------------------------------------------------------------------------------------------

    async def test_a_reader_held_before_its_wait_misses_nothing(self, store: Store, scribe: Scribe) -> None:
        """1. A reader looks at the tail. 2. It is held. 3. An append commits. 4. It begins to wait, and returns (I7)."""
        held = await scribe.running()
        past = held.log.tail - 1
        assert held.log.tail > past
        looked = held.log.tail
        held.say("in between")
        await held.writer.flush()
        await asyncio.wait_for(held.log.wait(looked - 1), 10)
        await asyncio.wait_for(held.log.wait(looked), 10)
        waiting = asyncio.ensure_future(held.log.wait(held.log.tail))
        sealed = asyncio.ensure_future(held.log.wait_sealed())
        await asyncio.sleep(0)
        assert not waiting.done()
        await store.seal(held.key, cancelled())
        await asyncio.wait_for(asyncio.gather(waiting, sealed), 10)

    # -- the pen ---------------------------------------------------------------------------------------------

    async def test_text_is_merged_and_cut_but_never_changed(self, store: Store, scribe: Scribe) -> None:
        """However it is put, the bytes are the same; no event is over its size, and cuts fall between code points."""
        held = await scribe.running()
        texts = ["a", "é", "漢" * 9000, "𝄞" * 5000, "", "z" * 40_000, "e\u0301"]
        held.say(*texts)
        await held.writer.flush()
        deltas = [event for event in held.log.events if isinstance(event, ev.Delta)]
        assert "".join(event.text for event in deltas) == "".join(texts)
        assert all(len(event.text.encode()) <= 16 * 1024 for event in deltas)
        assert len(deltas) == -(-len("".join(texts).encode()) // (16 * 1024))
        assert {event.span for event in deltas} == {1}

    async def test_progress_takes_the_place_of_its_neighbour(self, store: Store, scribe: Scribe) -> None:
        """Steps of one part that nobody has seen yet become the last of them."""
        held = await scribe.running()
        for step in range(5):
            held.writer.put(ev.Progress(at=5, part=1, id="p", label="reading", step=step))
        held.say("x")
        held.writer.put(ev.Progress(at=5, part=1, id="p", label="reading", step=9))
        await held.writer.flush()
        steps = [event.step for event in held.log.events if isinstance(event, ev.Progress)]
        assert steps == [4, 9]

    async def test_a_full_pen_says_so_until_the_commit(self, store: Store, scribe: Scribe) -> None:
        """Above its bound a writer is congested; the commit gives room again."""
        held = await scribe.running()
        congested = [held.writer.congested]
        held.say("x" * WRITER_PENDING_BYTES_MAX)
        congested.append(held.writer.congested)
        await asyncio.wait_for(held.writer.room(), 10)
        congested.append(held.writer.congested)
        assert congested == [False, True, False]
        assert len(text_of(held.log)) == WRITER_PENDING_BYTES_MAX
