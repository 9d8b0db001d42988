"""What a store promises that outlives its process: all that was acknowledged is there again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from holdfast_server.stores.base import Account, Fenced, JournalSealed, Store
from tests.conformance.store_suite import StoreBench
from tests.support.journals import Clock
from tests.support.scribe import Scribe, cancelled, decision, key, steer, text_of

Reopen = Callable[[], Awaitable[Scribe]]


class DurableSuite(StoreBench):
    """Close and open again; a crash is left to tests that kill."""

    @pytest.fixture
    async def reopen(self, tmp_path: Path, clock: Clock) -> AsyncIterator[Reopen]:
        stores: list[Store] = []

        async def again() -> Scribe:
            if stores:
                await stores[-1].close()
            stores.append(self.make(tmp_path, clock))
            await stores[-1].start()
            return Scribe(stores[-1], clock)

        yield again
        await stores[-1].close()

    async def test_every_state_survives(self, reopen: Reopen) -> None:
        """Queued, running, waiting, decided, ended and packed requests are what they were."""
        scribe = await reopen()
        await scribe.ended("packed", "one ", "two", chat_id="c")
        await scribe.store.compact()
        await scribe.ended("ended", "three")
        running = await scribe.running("running")
        running.say("so far")
        await running.writer.flush()
        await scribe.parked("parked")
        await scribe.parked("decided")
        await scribe.store.put_input(key("decided"), decision())
        await scribe.open("queued", text="what?")
        await scribe.store.account(key("ended"), Account(term=1, running_ms=3))
        names = ["packed", "ended", "running", "parked", "decided", "queued"]
        before = {name: await scribe.store.log(key(name)) for name in names}
        scribe = await reopen()
        assert await scribe.ids() == names[::-1]
        for name in names:
            log = await scribe.store.log(key(name))
            was = before[name]
            assert log.events == was.events
            assert log.chain == was.chain
            assert (log.status, log.term, log.attempt, log.parked) == (
                was.status,
                was.term,
                was.attempt,
                was.parked,
            )
            assert (log.version, log.inbox, log.inbox_seen) == (was.version, was.inbox, was.inbox_seen)
            assert (log.record, log.waiting) == (was.record, was.waiting)
        assert (await scribe.store.accounts(key("ended")))[0].running_ms == 3

    async def test_a_head_brings_nothing_into_memory(self, reopen: Reopen) -> None:
        """The row of a packed journal is enough; the journal stays where it is."""
        scribe = await reopen()
        await scribe.ended("r1", "text")
        await scribe.store.compact()
        scribe = await reopen()
        head = await scribe.store.head(key())
        assert (head.status, head.attempt) == ("completed", 1)
        assert scribe.store.live(key()) is None

    async def test_every_lease_is_void_at_once(self, reopen: Reopen) -> None:
        """After a start what ran is claimable without a wait, as recovered, under a higher term; the parked is not."""
        scribe = await reopen()
        await scribe.parked("parked")
        old = await scribe.running("running")
        handed = await scribe.running("handed")
        await scribe.store.release(handed.claim)
        await scribe.open("queued")
        scribe = await reopen()
        claims = [await scribe.claim() for _ in range(3)]
        assert [(held.key.request_id, held.claim.how, held.claim.term) for held in claims] == [
            ("running", "recovered", old.claim.term + 1),
            ("handed", "handed_over", 2),
            ("queued", "first", 1),
        ]
        assert await scribe.store.claim() is None

    async def test_waits_and_orders_survive(self, reopen: Reopen, clock: Clock) -> None:
        """An expiry, a `not_before` and an `after` hold across a start."""
        scribe = await reopen()
        await scribe.parked("parked", expires_at=clock.now + 100)
        await scribe.open("late", not_before=clock.now + 200)
        await scribe.open("follower", after="late")
        scribe = await reopen()
        assert await scribe.store.claim() is None
        clock.now += 100
        assert (await scribe.claim()).key == key("parked")
        clock.now += 100
        late = await scribe.claim()
        assert late.key == key("late")
        await scribe.store.seal(late.key, cancelled())
        assert (await scribe.claim()).key == key("follower")

    async def test_what_was_removed_stays_removed(self, reopen: Reopen) -> None:
        """Erased and purged journals do not come back, and their ids are free."""
        scribe = await reopen()
        await scribe.parked("long")
        await scribe.ended("purged")
        await scribe.store.purge(2**50, 0)
        await scribe.running("erased")
        await scribe.store.erase([key("erased")])
        await scribe.ended("again", "old")
        await scribe.store.erase([key("again")])
        await scribe.ended("again", "new")
        scribe = await reopen()
        assert await scribe.ids() == ["again", "long"]
        assert text_of(await scribe.store.log(key("again"))) == "new"

    async def test_marks_survive(self, reopen: Reopen) -> None:
        """What the history has taken stays marked, whether the mark came before the packing or after it."""
        scribe = await reopen()
        for name in ("before", "after", "hot", "not"):
            await scribe.ended(name, chat_id="c")
            if name == "before":
                await scribe.store.projected([key(name)])
            if name == "after":
                await scribe.store.compact()
        await scribe.store.projected([key("after"), key("hot")])
        scribe = await reopen()
        assert [log.key.request_id for log in await scribe.store.unprojected(9)] == ["not"]

    async def test_a_long_wait_does_not_hold_what_others_wrote(self, reopen: Reopen) -> None:
        """After an erasure what stays is written anew, and is whole after another start."""
        scribe = await reopen()
        await scribe.parked("parked")
        await scribe.ended("gone", "secret")
        await scribe.store.erase([key("gone")])
        await scribe.store.put_input(key("parked"), steer())
        await scribe.store.account(key("parked"), Account(term=1, running_ms=3))
        await scribe.store.compact()
        was = await scribe.store.log(key("parked"))
        for _ in range(2):
            scribe = await reopen()
            log = await scribe.store.log(key("parked"))
            assert (log.events, log.chain, log.inbox) == (was.events, was.chain, was.inbox)
            assert (log.parked, log.version) == (was.parked, was.version)
            assert (await scribe.store.accounts(key("parked")))[0].running_ms == 3
        assert (await scribe.claim()).claim.how == "resumed"

    async def test_a_pen_of_the_boot_before_is_dead(self, reopen: Reopen) -> None:
        """A term of an earlier boot cannot be used on the store that came after it (I3)."""
        scribe = await reopen()
        old = await scribe.running()
        scribe = await reopen()
        log = await scribe.store.log(key())
        ghost = old.claim._replace(log=log)
        for call in (scribe.store.release(ghost), scribe.store.park(ghost, 0, old.wait())):
            with pytest.raises((Fenced, JournalSealed)):
                await call
