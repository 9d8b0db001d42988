"""Ends that come from outside: they stand whatever a failover loses, and the run they end gives back what it had at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from holdfast_server.stores.base import JournalSealed, Unavailable
from holdfast_server.stores.log import Log
from holdfast_server.stores.redis import follow
from holdfast_server.stores.redis.book import ClaimRow
from holdfast_server.stores.redis.keys import prefix_of
from holdfast_server.stores.redis.link import Link
from holdfast_server.stores.redis.store import RedisStore
from tests.support.journals import Clock
from tests.support.redis_rig import RedisServer
from tests.support.redis_stores import peers, photograph, put_back, same, stored, until
from tests.support.scribe import cancelled, key, text_of

pytestmark = [pytest.mark.needs("redis-server")]


async def status(server: RedisServer) -> bytes:
    """What Redis holds it to be."""
    return bytes(await server.do("HGET", f"{prefix_of(key())}:h", "st"))


async def until_status(server: RedisServer, wanted: bytes) -> None:
    """Return when Redis holds it to be that. Raises: TimeoutError."""
    async with asyncio.timeout(10):
        while await status(server) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def _nothing(**_: Any) -> None:
    """A look that sees nothing."""


def _unheard(channel: str, data: bytes) -> None:
    """A message that is lost."""


# -- a failover that loses the end -----------------------------------------------------------------------------------


@pytest.mark.parametrize("claimed", [True, False])
async def test_a_cancel_that_was_acknowledged_stands(redis_server: RedisServer, *, claimed: bool) -> None:
    """1. One node runs it, or nobody does; another cancels it. 2. A failover loses the end, and some of the answer. 3. The
    node that cancelled writes both again, the same to the byte, and nobody claims it."""
    async with peers(redis_server.url, Clock(), 2) as (a, b):
        await a.open()
        held = await a.claim() if claimed else None
        if held is not None:
            await held.begin()
        old = await photograph(redis_server)
        if held is not None:
            held.say("shown")
            await held.writer.flush()
        sealed = await b.store.seal(key(), cancelled())
        seen = await a.store.log(key())
        await asyncio.wait_for(seen.wait_sealed(), 10)
        before = await stored(redis_server, key())
        await put_back(redis_server, old)
        await until_status(redis_server, b"cancelled")
        assert await stored(redis_server, key()) == before
        assert text_of(sealed) == ("shown" if claimed else "")
        await asyncio.sleep(follow.TICK_S * 1.2)
        assert same(sealed, seen)
        assert not sealed.lost
        assert not seen.lost
        assert [await node.store.claim() for node in (a, b)] == [None, None]
        assert a.store._claims.running == 0


async def test_a_cancel_stands_though_another_went_on(redis_server: RedisServer) -> None:
    """1. A failover loses a cancel. 2. Before it is written again, another node claims the request and writes. 3. It is
    cancelled there too; whoever saw the first end is told that its log is not the one."""
    async with peers(redis_server.url, Clock(), 1) as (b,):
        await b.open()
        old = await photograph(redis_server)
        sealed = await b.store.seal(key(), cancelled())
        lost: list[Log] = []
        b.store.observe_lost(lost.append)
        look, b.store._follow.look = b.store._follow.look, _nothing  # type: ignore[method-assign]
        take, b.store._messages.take = b.store._messages.take, _unheard  # type: ignore[method-assign]
        await put_back(redis_server, old)
        async with peers(redis_server.url, Clock(), 1) as (c,):
            await asyncio.wait_for(c.store.claimable(), 10)
            held = await c.claim()
            await held.begin()
            held.say("gone on")
            await held.writer.flush()
            b.store._follow.look, b.store._messages.take = look, take  # type: ignore[method-assign]
            await asyncio.wait_for(held.log.wait_sealed(), 10)
            assert await status(redis_server) == b"cancelled"
            assert text_of(held.log) == "gone on"
            await until(lambda: sealed.lost)
            assert lost == [sealed]
            assert text_of(await b.store.log(key())) == "gone on"
            await until(lambda: c.store._claims.running == 0)


async def test_a_cancel_stands_though_its_run_went_on(redis_server: RedisServer) -> None:
    """The run never heard of the cancel, and after the failover wrote beyond it under the same term: it is ended then."""
    async with peers(redis_server.url, Clock(), 2) as (a, b):
        held = await a.running()
        old = await photograph(redis_server)
        a.store._follow.look = _nothing  # type: ignore[method-assign]
        a.store._messages.take = _unheard  # type: ignore[method-assign]
        take, b.store._messages.take = b.store._messages.take, _unheard  # type: ignore[method-assign]
        look, b.store._follow.look = b.store._follow.look, _nothing  # type: ignore[method-assign]
        sealed = await b.store.seal(key(), cancelled())
        await put_back(redis_server, old)
        for word in ("one ", "two"):
            held.say(word)
            await held.writer.flush()
        b.store._follow.look, b.store._messages.take = look, take  # type: ignore[method-assign]
        await until_status(redis_server, b"cancelled")
        held.say("three")
        with pytest.raises(JournalSealed):
            await held.writer.flush()
        await until(lambda: sealed.lost)
        read = await b.store.log(key())
        assert (text_of(read), read.status) == ("one two", "cancelled")
        assert same(read, held.log)


async def test_an_end_is_kept_for_a_while_only(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was ended long ago, or before many others, is asked after no more."""
    from holdfast_server.stores.redis import ends

    monkeypatch.setattr(ends, "ENDED_MAX", 3)
    async with peers(redis_server.url, Clock(), 1) as (a,):
        logs = [await a.open(f"r{number}") for number in range(5)]
        for log in logs:
            await a.store.seal(log.key, cancelled())
        place = a.store._shelf.place
        assert [place(log).ended_at is None for log in logs] == [True, True, False, False, False]
        monkeypatch.setattr(ends, "ENDED_S", 0.0)
        await a.open("last")
        await a.store.seal(key("last"), cancelled())
        assert all(place(log).ended_at is None for log in logs)


# -- what the run had ------------------------------------------------------------------------------------------------


async def test_a_held_log_that_another_ends_gives_its_token_back_at_once(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No look and no renewal is waited for: the message is enough, whether it comes before or after something was put."""
    monkeypatch.setattr(follow, "TICK_S", 3600.0)
    async with peers(redis_server.url, Clock(), 2, agents_max={"demo": 1}, lease_s=600) as (a, b):
        for turn in range(2):
            held = await a.running(f"r{turn}")
            if turn:
                held.say("under way")
            await b.store.seal(held.key, cancelled())
            await until(lambda: a.store._claims.running == 0)
            assert not a.store._claims._tokens._used["demo"]


async def test_one_that_ends_while_it_is_claimed_is_not_held(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancel between the claim and its first word leaves no slot taken, though nobody ever writes under that claim."""
    async with peers(redis_server.url, Clock(), 2, lease_s=600) as (a, b):
        await a.open()
        through = a.store._claims.claim

        async def slow() -> ClaimRow | None:
            row = await through()
            await b.store.seal(key(), cancelled())
            return row

        monkeypatch.setattr(a.store._claims, "claim", slow)
        claim = await a.store.claim()
        assert claim is not None
        assert claim.log.sealed
        assert a.store._claims.running == 0


# -- a store that does not start -------------------------------------------------------------------------------------


async def test_a_store_that_cannot_start_leaves_nothing_running(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever came to it meanwhile is let go: no task of it goes on, and no connection stays."""
    async with peers(redis_server.url, Clock(), 1) as (a,):
        await a.open()
        store = RedisStore(redis_server.url, now_ms=Clock())
        real = Link.call

        async def failing(link: Link, function: str, *args: Any) -> Any:
            if link is getattr(store, "_link", None) and function == "beat":
                log = await store._follow.load(key())
                monkeypatch.setattr(store._calls, "many", lambda calls: asyncio.Event().wait())
                store._follow.stale(log)
                await asyncio.sleep(0.01)
                assert _tasks_of(store)
                raise Unavailable("no")
            return await real(link, function, *args)

        monkeypatch.setattr(Link, "call", failing)
        with pytest.raises(Unavailable):
            await store.start()
        assert not _tasks_of(store)


def _tasks_of(store: RedisStore) -> list[asyncio.Task[Any]]:
    parts = (
        store._follow,
        store._calls,
        store._terms,
        store._appends,
        store._claims,
        store._claims._presence,
    )
    return [task for part in parts for task in part._tasks._tasks if not task.done()]
