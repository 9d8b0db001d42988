"""What a failover or a torn connection loses: replies, the end of a journal, a whole one; and what readers then see."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest

from holdfast_protocol import events as ev
from holdfast_server.stores.base import (
    Account,
    Fenced,
    JournalSealed,
    StorageFull,
    Unavailable,
    UnknownRequest,
)
from holdfast_server.stores.log import Log
from holdfast_server.stores.redis import follow
from holdfast_server.stores.redis.keys import prefix_of
from holdfast_server.stores.redis.link import Call
from tests.support.journals import Clock
from tests.support.proxy import CutAfter, FaultProxy
from tests.support.redis_rig import RedisServer
from tests.support.redis_stores import peers, photograph, put_back, same, stored, until
from tests.support.scribe import cancelled, decision, key, steer, text_of

pytestmark = [pytest.mark.needs("redis-server")]


async def forget(server: RedisServer, request_id: str = "r1") -> None:
    """The journal is gone from Redis, without a trace."""
    prefix = prefix_of(key(request_id))
    await server.do("DEL", *(f"{prefix}:{name}" for name in "heiafb"))


async def test_torn_connections_lose_and_double_nothing(redis_server: RedisServer) -> None:
    """Connections torn again and again, at any byte: every event is there once, in order, for everybody."""
    dice = random.Random(7)
    async with FaultProxy("127.0.0.1", redis_server.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        long = {"lease_s": 60}  # torn at any byte, renewals may fail for as long as a lease
        async with (
            peers(url, Clock(), 1, **long) as (a,),
            peers(redis_server.url, Clock(), 1, **long) as (b,),
        ):
            held = await a.running()
            seen = await b.store.log(key())
            proxy.plan = lambda number: CutAfter(dice.randrange(500, 6000), "down", "rst")
            for turn in range(60):
                if turn % 6 == 0:
                    await proxy.cut()
                held.say(f"{turn}.")
                if turn % 2:
                    await asyncio.wait_for(held.writer.flush(), 20)
            proxy.plan = None
            await proxy.cut()
            await asyncio.wait_for(held.complete(), 20)
            assert proxy.counts.cut > 10
            assert text_of(held.log) == "".join(f"{turn}." for turn in range(60))
            await asyncio.wait_for(seen.wait_sealed(), 20)
            assert same(seen, held.log)


async def test_a_lost_reply_doubles_nothing(redis_server: RedisServer) -> None:
    """1. Redis does it. 2. Its reply is lost. 3. The same call again finds it done: for output, waits, seals and inputs."""
    async with peers(redis_server.url, Clock(), 1) as (a,):
        held = await a.running()
        answers: list[bytes] = []
        lost: set[bytes] = set()
        link = a.store._link
        through = link.call_many

        async def deaf(calls: Sequence[Call]) -> list[Any]:
            got: list[Any] = await through(calls)
            for place, call in enumerate(calls):
                if call.function in {"append", "finish", "park", "input", "release", "seal", "restore"}:
                    answers.append(got[place][0])
                    if repr((call.function, call.args[1:6])).encode() not in lost:
                        lost.add(repr((call.function, call.args[1:6])).encode())
                        got[place] = Unavailable("The reply was lost.")
            return got

        link.call_many = deaf  # type: ignore[method-assign]
        for word in ("one ", "two "):
            held.say(word)
            await asyncio.wait_for(held.writer.flush(), 20)
        assert answers == [b"OK", b"DUP"] * 2
        assert await a.store.put_input(key(), steer())
        await a.store.park(held.claim, 1, held.wait())
        assert await a.store.put_input(key(), decision())
        again = await a.claim()
        await a.store.release(again.claim)
        last = await a.claim()
        await last.begin("handed_over")
        sealed = await a.store.seal(key(), cancelled())
        assert sealed is held.log
        kinds = [type(event) for event in sealed.events if not isinstance(event, ev.Delta)]
        assert kinds == [ev.Accepted, ev.Started, ev.PartStarted, ev.Waiting, ev.Started, ev.Cancelled]
        assert text_of(sealed) == "one two "
        assert len(sealed.inbox) == 2


async def test_a_lost_journal_is_written_again(redis_server: RedisServer) -> None:
    """Gone from Redis while it is written: its writer writes all of it again, the same to the byte, and goes on."""
    async with peers(redis_server.url, Clock(), 2) as (a, b):
        held = await a.running()
        seen = await b.store.log(key())
        await b.store.put_input(key(), steer())
        await a.store.account(key(), Account(term=1, running_ms=3))
        for word in ("one ", "two ", "three "):
            held.say(word)
            await held.writer.flush()
        await until(lambda: seen.tail == held.log.tail and held.log.inbox)
        before = await stored(redis_server, key())
        await forget(redis_server)
        held.say("four")
        await asyncio.wait_for(held.writer.flush(), 10)
        after = await stored(redis_server, key())
        assert after[: len(before)] == before
        assert len(after) == len(before) + 1
        await until(lambda: seen.tail == held.log.tail)
        assert not seen.lost
        await held.complete()
        fresh = await b.store.log(key())
        assert fresh is seen
        await asyncio.wait_for(seen.wait_sealed(), 10)
        async with peers(redis_server.url, Clock(), 1) as (c,):
            read = await c.store.log(key())
            assert same(read, held.log)
            assert read.inbox == held.log.inbox
            assert [account.running_ms for account in await c.store.accounts(key())] == [3]
            assert (await c.store.head(key())).status == "completed"


async def test_a_lost_journal_is_written_again_without_a_word(redis_server: RedisServer) -> None:
    """A writer that has nothing to say sees by its own look that the store lost its journal, and writes it again."""
    async with peers(redis_server.url, Clock(), 1) as (a,):
        held = await a.running()
        before, version = await stored(redis_server, key()), held.log.version
        await forget(redis_server)
        await until(lambda: held.log.version > version)
        assert await stored(redis_server, key()) == before
        await held.complete()


async def test_the_end_of_a_journal_is_written_again(redis_server: RedisServer) -> None:
    """Redis went back in time, to before some of the output, and before the claim: the writer fills in what is missing, and a
    follower sees no difference."""
    async with peers(redis_server.url, Clock(), 2) as (a, b):
        log = await a.open()
        unclaimed = await photograph(redis_server)
        held = await a.claim()
        await held.begin()
        held.say("kept ")
        await held.writer.flush()
        seen = await b.store.log(key())
        shorter = await photograph(redis_server)
        for old in (shorter, unclaimed):
            held.say("lost ")
            await held.writer.flush()
            before = await stored(redis_server, key())
            await until(lambda: seen.tail == held.log.tail)
            await put_back(redis_server, old)
            held.say("new ")
            await asyncio.wait_for(held.writer.flush(), 10)
            assert (await stored(redis_server, key()))[: len(before)] == before
        await held.complete()
        await asyncio.wait_for(seen.wait_sealed(), 10)
        assert log is held.log
        assert same(seen, held.log)
        assert text_of(seen) == "kept lost new lost new "


async def test_a_park_after_a_loss(redis_server: RedisServer) -> None:
    """Parking what the store has just lost writes it again first; the wait can be decided."""
    async with peers(redis_server.url, Clock(), 2) as (a, b):
        held = await a.running()
        await forget(redis_server)
        await a.store.park(held.claim, 0, held.wait())
        assert await b.store.put_input(key(), decision())
        await asyncio.wait_for(b.store.claimable(), 10)
        assert (await b.claim()).claim.how == "resumed"


async def test_what_nobody_can_write_again_is_lost(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader of a journal that the store lost, and that no node writes, is told so; it does not wait for ever."""
    monkeypatch.setattr(follow, "GRACE_S", 0.5)
    async with peers(redis_server.url, Clock(), 1, lease_s=0.5) as (a,):
        log = await a.open()
        lost: list[Log] = []
        a.store.observe_lost(lost.append)
        await forget(redis_server)
        await asyncio.wait_for(log.wait_sealed(), 10)
        assert (log.erased, log.lost, lost) == (True, True, [log])
        with pytest.raises(UnknownRequest):
            await a.store.log(key())


async def test_another_past_is_lost_at_once(redis_server: RedisServer) -> None:
    """Where another term went on from an older copy, readers of what was lost are told, and get the new journal when they ask;
    the writer of what was lost is fenced."""
    async with peers(redis_server.url, Clock(), 2) as (a, b):
        await a.open()
        old = await photograph(redis_server)
        held = await a.claim()
        await held.begin()
        held.say("never happened")
        await held.writer.flush()
        seen = await b.store.log(key())
        assert text_of(seen) == "never happened"
        lost: list[Log] = []
        b.store.observe_lost(lost.append)
        a.store._messages.take = lambda channel, data: None  # type: ignore[method-assign]
        a.store._follow.look = _nothing  # type: ignore[method-assign]  # it stands still
        await put_back(redis_server, old)
        await asyncio.wait_for(b.store.claimable(), 10)
        claim = await b.store.claim()
        assert claim is not None
        assert claim.log is not seen
        assert lost == [seen]
        writer = b.store.writer(claim)
        writer.put(ev.Started(at=4, attempt=1, term=claim.term, nonce=claim.nonce))
        writer.put(ev.Completed(at=6, code="stop"))
        await writer.flush()
        assert text_of(await b.store.log(key())) == ""
        held.say("still there")
        with pytest.raises((Fenced, JournalSealed)):
            await held.writer.flush()


async def _nothing(*, everything: bool = False) -> None:
    """Does not look."""


async def test_an_erased_journal_is_not_written_again(redis_server: RedisServer) -> None:
    """What was erased does not come back by a writer that had not heard of it."""
    async with peers(redis_server.url, Clock(), 2) as (a, b):
        held = await a.running()
        a.store._messages.take = lambda channel, data: None  # type: ignore[method-assign]
        await b.store.erase([key()])
        held.say("back again")
        with pytest.raises((Fenced, JournalSealed)):
            await held.writer.flush()
        assert held.log.erased
        assert await stored(redis_server, key()) == []


async def test_a_seal_after_a_loss_is_the_end(redis_server: RedisServer) -> None:
    """Cancelled on an older copy before the writer noticed: the outcome stands, and readers of more than it are told."""
    async with peers(redis_server.url, Clock(), 2) as (a, b):
        held = await a.running()
        old = await photograph(redis_server)
        held.say("more than is left")
        await held.writer.flush()
        seen = await b.store.log(key())
        a.store._follow.look = _nothing  # type: ignore[method-assign]
        a.store._messages.take = lambda channel, data: None  # type: ignore[method-assign]
        await put_back(redis_server, old)
        async with peers(redis_server.url, Clock(), 1) as (c,):
            sealed = await c.store.seal(key(), cancelled())
            assert text_of(sealed) == ""
        await asyncio.wait_for(seen.wait_sealed(), 10)
        assert seen.lost
        held.say("and more")
        with pytest.raises((Fenced, JournalSealed)):
            await held.writer.flush()


async def test_it_goes_on_after_a_restart_of_redis(redis_server: RedisServer) -> None:
    """Redis dies and comes back: what was put meanwhile is written then, and nobody notices more than a pause."""
    async with peers(redis_server.url, Clock(), 2) as (a, b):
        held = await a.running()
        seen = await b.store.log(key())
        held.say("before ")
        await held.writer.flush()
        await redis_server.kill()
        held.say("meanwhile ")
        await until(lambda: a.store.trouble is not None)
        await redis_server.start()
        await asyncio.wait_for(held.writer.flush(), 20)
        held.say("after")
        await asyncio.wait_for(held.complete(), 20)
        assert a.store.trouble is None
        await asyncio.wait_for(seen.wait_sealed(), 20)
        assert same(seen, held.log)
        assert text_of(seen) == "before meanwhile after"


async def test_a_full_redis_is_waited_out(redis_server: RedisServer) -> None:
    """What a writer has put waits while Redis has no memory, and the store says why; ending requests still works then."""
    async with peers(redis_server.url, Clock(), 1) as (a,):
        held = await a.running()
        await a.open("other")
        await redis_server.do("CONFIG", "SET", "maxmemory", "1")
        try:
            held.say("later")
            await until(lambda: a.store.trouble is not None)
            assert "maxmemory" in str(a.store.trouble)
            assert (await a.store.seal(key("other"), cancelled())).sealed
            with pytest.raises(StorageFull):
                await a.open("new")
        finally:
            await redis_server.do("CONFIG", "SET", "maxmemory", "0")
        await asyncio.wait_for(held.complete(), 10)
        assert text_of(held.log) == "later"


async def test_an_end_that_was_lost_is_written_again(redis_server: RedisServer) -> None:
    """The outcome was shown, and Redis went back to before it: the node that wrote it writes it again, with what went before."""
    async with peers(redis_server.url, Clock(), 2) as (a, b):
        held = await a.running()
        seen = await b.store.log(key())
        running = await photograph(redis_server)
        held.say("the answer")
        await held.complete()
        await asyncio.wait_for(seen.wait_sealed(), 10)
        before = await stored(redis_server, key())
        for old in (running, {}):
            await put_back(redis_server, old)
            async with asyncio.timeout(10):
                while await stored(redis_server, key()) != before:  # noqa: ASYNC110 - Redis tells nobody
                    await asyncio.sleep(0.05)
            assert (await b.store.head(key())).status == "completed"
            assert await stored(redis_server, key()) == before
        assert not seen.lost
        assert await b.store.claim() is None
        assert await a.ids(active=True) == []
