"""Refusals that are final, erasures that last, clocks that differ, and nodes that were only away: what the Redis store says of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from holdfast_protocol import events as ev
from holdfast_server.stores.base import (
    Claim,
    Damaged,
    JournalSealed,
    Key,
    StorageFull,
    TooManyOpen,
    Unavailable,
    UnknownRequest,
)
from holdfast_server.stores.redis import terms
from holdfast_server.stores.redis.keys import prefix_of
from holdfast_server.stores.redis.link import Call
from holdfast_server.stores.redis.store import RedisStore
from tests.integration.test_redis_store import Accepted
from tests.support.journals import ANN, Clock, accepted_of, asked
from tests.support.redis_rig import RedisServer
from tests.support.redis_stores import Peer, peers, put_back, until
from tests.support.scribe import Scribe, decision, key, text_of

pytestmark = [pytest.mark.needs("redis-server")]

LEASE_S = 0.6


class Stubborn(Accepted):
    """Acceptances that cannot be taken back."""

    async def forget(self, keys: Sequence[Key]) -> None:
        raise Unavailable("The history does not answer.")


def full(peer: Peer, *before: BaseException) -> None:
    """Redis takes no request: the first calls end with these, the others find it full."""
    through, first = peer.store._link.call_many, list(before)

    async def refusing(calls: Sequence[Call]) -> list[Any]:
        if any(call.function == "open" for call in calls):
            return [first.pop(0) if first else StorageFull("full") for _ in calls]
        return await through(calls)

    peer.store._link.call_many = refusing  # type: ignore[method-assign]


async def test_what_was_refused_as_full_does_not_run_later(redis_server: RedisServer) -> None:
    """A definite no takes the acceptance back; where that fails, or it had been accepted before, nothing definite is said."""
    rows = Accepted()
    async with peers(redis_server.url, Clock(), 1, acceptances=rows) as (a,):
        full(a)
        with pytest.raises(StorageFull):
            await a.open("r1")
        assert key("r1") not in rows.rows
        record = asked("r2")
        await rows.accept(record, accepted_of(record))
        with pytest.raises(Unavailable) as refused:
            await a.open("r2")
        assert not isinstance(refused.value, StorageFull)
        assert key("r2") in rows.rows
    async with peers(redis_server.url, Clock(), 1, acceptances=Stubborn()) as (a,):
        full(a)
        with pytest.raises(Unavailable) as refused:
            await a.open("r3")
        assert not isinstance(refused.value, StorageFull)


async def test_full_after_no_answer_says_nothing_definite(redis_server: RedisServer) -> None:
    """The first call may have been done although the next finds Redis full: the acceptance stays."""
    rows = Accepted()
    async with peers(redis_server.url, Clock(), 1, acceptances=rows) as (a,):
        full(a, Unavailable("cut"))
        with pytest.raises(Unavailable) as refused:
            await a.open("r1")
        assert not isinstance(refused.value, StorageFull)
        assert key("r1") in rows.rows


async def test_a_quota_never_refuses_for_good_what_stays_accepted(redis_server: RedisServer) -> None:
    """Where the acceptance is older, or cannot be taken back, it will be opened later, and nobody is told otherwise."""
    rows = Accepted()
    async with peers(redis_server.url, Clock(), 1, acceptances=rows, owner_open_max=1) as (a,):
        await a.open("r1")
        with pytest.raises(TooManyOpen):
            await a.open("r2")
        assert key("r2") not in rows.rows
        record = asked("r2")
        await rows.accept(record, accepted_of(record))
        with pytest.raises(Unavailable):
            await a.open("r2")
        rows.forget = Stubborn().forget  # type: ignore[method-assign]
        with pytest.raises(Unavailable):
            await a.open("r3")


async def test_a_refusal_leaves_what_another_node_has_acknowledged(redis_server: RedisServer) -> None:
    """Between a node's refusal and its taking back of the acceptance another one finds it, has room, and acknowledges: it stays
    accepted, nothing definite is said, and what was opened is what stands in the acceptance."""
    rows = Accepted()
    async with peers(redis_server.url, Clock(), 2, acceptances=rows, owner_open_max=1) as (a, b):
        before = await a.open("r0")
        through = rows.take_back
        record = asked("r1", text="as the first node heard it")

        async def meanwhile(key: Key, mark: int) -> bool:
            await b.store.seal(before.key, ev.Cancelled(at=1, code="user", message="Stopped."))
            twin = asked("r1", text="as the second node heard it")
            assert not (await b.store.open(twin, accepted_of(twin))).created
            return await through(key, mark)

        rows.take_back = meanwhile  # type: ignore[method-assign]
        with pytest.raises(Unavailable) as refused:
            await a.store.open(record, accepted_of(record))
        assert not isinstance(refused.value, TooManyOpen)
        assert rows.rows[key("r1")] == (record, accepted_of(record))
        assert (await b.store.log(key("r1"))).record == record


async def test_what_was_erased_is_not_opened_again(redis_server: RedisServer) -> None:
    """The sweep has read the acceptance as the erasure completes: it opens nothing, and accepts nothing anew. What the owner
    submitted under that id since is another request, and is opened again if it is lost."""
    rows = Accepted()
    async with peers(redis_server.url, Clock(), 1, acceptances=rows) as (a,):
        old = await a.open("r1")
        read = await rows.of(key("r1"))
        assert read is not None
        await a.store.erase([key("r1")])
        mark = await a.store.reopen(*read)
        assert mark is not None
        assert rows.rows == {}
        with pytest.raises(UnknownRequest):
            await a.store.log(key("r1"))
        await a.open("r1")
        await redis_server.do("DEL", f"{prefix_of(key('r1'))}:h", f"{prefix_of(key('r1'))}:e")
        assert await a.store.reopen(*read, mark) is None
        assert (await a.store.log(key("r1"))).record == old.record


async def test_an_id_used_again_can_be_written_again(redis_server: RedisServer) -> None:
    """After an erasure the id's next journal survives a loss as any other; the erased one stays gone."""
    async with peers(redis_server.url, Clock(), 1) as (a,):
        await a.open()
        await a.store.erase([key()])
        held = await a.running()
        held.say("one ")
        await held.writer.flush()
        mark = await redis_server.do("GET", f"{prefix_of(key())}:x")
        await put_back(redis_server, {})
        await redis_server.do("SET", f"{prefix_of(key())}:x", mark)
        held.say("two")
        await asyncio.wait_for(held.writer.flush(), 10)
        assert text_of(await a.store.log(key())) == "one two"
        await a.store.erase([key()])
        held.say("three")
        with pytest.raises(JournalSealed):
            await asyncio.wait_for(held.writer.flush(), 10)
        assert await redis_server.do("EXISTS", f"{prefix_of(key())}:h") == 0


async def test_a_wait_ends_by_the_clock_of_redis(redis_server: RedisServer) -> None:
    """A node without a clock of its own asks Redis whether a wait is over."""
    clock = Clock()
    store = RedisStore(redis_server.url)
    await store.start()
    try:
        scribe = Scribe(store, clock)
        store._now_ms = store._outside._now_ms = lambda: 2**52  # far ahead
        seconds, _ = await redis_server.do("TIME")
        clock.now = int(seconds) * 1000
        held = await scribe.running()
        held.writer.put(ev.PartDone(at=6, part=0))
        await held.writer.flush()
        await store.park(held.claim, 0, held.wait(expires_at=clock.now + 60_000))
        assert await store.put_input(key(), decision())
    finally:
        await store.close()


async def test_what_cannot_be_read_is_given_up(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that this node could not read so many times ends as failed, with the code `damaged`."""
    monkeypatch.setattr(terms, "DAMAGED_S", 0.02)
    monkeypatch.setattr(terms, "DAMAGED_MAX", 3, raising=False)
    async with peers(redis_server.url, Clock(), 2) as (a, b):
        await b.open()

        async def damaged(_: Key) -> Any:
            raise Damaged("It cannot be read.")

        a.store._follow.load = damaged  # type: ignore[assignment, method-assign]
        log = await b.store.log(key())
        async with asyncio.timeout(10):
            while not log.sealed:
                try:
                    claim: Claim | None = await a.store.claim()
                    assert claim is None
                except Damaged:
                    pass
                await asyncio.sleep(0.01)
        assert (log.status, log.outcome.code) == ("failed", "damaged")  # type: ignore[union-attr]
        assert log.term == 3


@pytest.fixture
async def away(redis_server: RedisServer) -> AsyncIterator[list[Peer]]:
    async with peers(redis_server.url, Clock(), 2, lease_s=LEASE_S) as made:
        yield made


async def cut_off(node: Peer, other: Peer) -> None:
    """The node cannot reach Redis until the other has taken what it ran."""
    log = await other.store.log(key())
    through = node.store._link.call_many

    async def nowhere(calls: Sequence[Call]) -> list[Any]:
        return [Unavailable("cut") for _ in calls]

    node.store._link.call_many = nowhere  # type: ignore[method-assign]
    await until(lambda: not log.lease)
    node.store._link.call_many = through  # type: ignore[method-assign]


async def test_who_was_only_away_did_not_die(away: list[Peer], redis_server: RedisServer) -> None:
    """A request that runs alone on a node which is cut off and comes back is not counted as having killed it, ever."""
    a, b = away
    await b.store.drain()
    held = await a.running()
    hash_ = f"{prefix_of(key())}:h"
    await redis_server.do("HSET", hash_, "deaths", "2")
    await a.store.release(held.claim)
    log = await b.store.log(key())
    for _ in range(3):
        async with asyncio.timeout(10):
            await a.store.claimable()
            claim = await a.store.claim()
        assert claim is not None
        assert claim.alone
        await cut_off(a, b)
        async with asyncio.timeout(10):
            while await redis_server.do("HGET", hash_, "sdeaths") != b"0":  # noqa: ASYNC110 - Redis tells nobody
                await asyncio.sleep(0.02)
        a.store._appends.let_go(claim)
    await asyncio.sleep(4 * LEASE_S)
    assert not log.sealed


async def test_who_could_not_be_watched_is_looked_at_again(redis_server: RedisServer) -> None:
    """The call that asks to be told of an owner fails: once a later one is through, whoever watches is told to look."""
    async with peers(redis_server.url, Clock(), 1) as (a,):
        gaps: list[bool] = []
        a.store.observe_gap(lambda: gaps.append(True))
        through, cut = a.store._link.call_many, [True]

        async def failing(calls: Sequence[Call]) -> list[Any]:
            if cut and any(call.function == "watch" for call in calls):
                cut.clear()
                return [Unavailable("cut") for _ in calls]
            return await through(calls)

        a.store._link.call_many = failing  # type: ignore[method-assign]
        a.store.watch(ANN)
        await until(lambda: not cut)
        await until(lambda: gaps, 3)


async def test_an_answer_ends_though_redis_is_full(redis_server: RedisServer) -> None:
    """What ends a request makes room sooner or later, so it is taken; other output waits."""
    async with peers(redis_server.url, Clock(), 1) as (a,):
        ends, waits = await a.running("r1"), await a.running("r2")
        await redis_server.do("CONFIG", "SET", "maxmemory", "1")
        try:
            await asyncio.wait_for(ends.complete(), 5)
            assert ends.log.status == "completed"
            waits.say("more")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(waits.writer.flush(), 0.3)
        finally:
            await redis_server.do("CONFIG", "SET", "maxmemory", "0")
        await asyncio.wait_for(waits.writer.flush(), 10)


async def test_nobody_waits_for_ever_for_a_reader_that_failed(redis_server: RedisServer) -> None:
    """Whatever stops the reader, also the store's end: who waits for it is told."""
    async with peers(redis_server.url, Clock(), 1) as (a,):
        log = await a.open()

        async def broken(calls: Sequence[Call]) -> list[Any]:
            raise asyncio.CancelledError

        a.store._calls.many = broken  # type: ignore[method-assign]
        with pytest.raises(Unavailable):
            await asyncio.wait_for(a.store._follow.sync(log), 5)
        await a.store._follow.close()
        with pytest.raises(Unavailable):
            await asyncio.wait_for(a.store._follow.sync(log), 5)


@pytest.mark.parametrize("method", ["_call", "_landed", "grow"])
async def test_a_round_that_fails_is_made_again(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Whatever a bug of ours makes of one answer's turn, it and its neighbours end, every byte once."""
    async with peers(redis_server.url, Clock(), 2, lease_s=20) as (a, b):
        helds = [await a.running(f"r{number}") for number in range(3)]
        of: Any = a.store._shelf if method == "grow" else a.store._appends
        real, failures = getattr(of, method), [RuntimeError("a bug"), RuntimeError("the same")]

        def buggy(*arguments: Any) -> Any:
            if method == "grow":  # it fails with half of its work done
                real(*arguments)
            if failures:
                raise failures.pop()
            return real(*arguments)

        monkeypatch.setattr(of, method, buggy)
        for held in helds:
            held.say("once")
        async with asyncio.timeout(20):
            await asyncio.gather(*(held.complete() for held in helds))
            for number in range(3):
                log = await b.store.log(key(f"r{number}"))
                await log.wait_sealed()
                assert text_of(log) == "once"
