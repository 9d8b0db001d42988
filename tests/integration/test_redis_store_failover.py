"""The store where Redis is more than one process: a real failover that loses writes, a cluster of masters, and one server of
several that hangs or is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog

from holdfast_server.stores.base import Key, Owner, Unavailable, UnknownRequest
from holdfast_server.stores.redis.keys import tag_of
from holdfast_server.stores.redis.link import Call
from tests.support.journals import Clock
from tests.support.redis_nodes import owners_apart
from tests.support.redis_rig import RedisServer
from tests.support.redis_rig_more import ClusterRig, SentinelRig
from tests.support.redis_stores import Peer, peers, same, until
from tests.support.scribe import Held, key, text_of

pytestmark = [pytest.mark.needs("redis-server")]


async def test_a_failover_that_loses_writes_is_mended(tmp_path: Path) -> None:
    """1. The replica falls behind. 2. The master takes more, which is shown. 3. The replica is made master. 4. The writer
    writes the rest again and goes on: no reader sees less than it saw, and nothing is there twice."""
    async with SentinelRig(tmp_path / "sentinel") as rig, peers(rig.url, Clock(), 2, lease_s=20) as (a, b):
        held = await a.running()
        held.say("replicated ")
        await held.writer.flush()
        seen = await b.store.log(key())
        await rig.cut()
        held.say("lost ")
        await held.writer.flush()
        await until(lambda: seen.tail == held.log.tail)
        await rig.promote()
        held.say("after")
        await asyncio.wait_for(held.complete(), 30)
        await asyncio.wait_for(seen.wait_sealed(), 30)
        assert same(seen, held.log)
        assert text_of(seen) == "replicated lost after"
        assert not seen.lost
        async with peers(rig.url, Clock(), 1) as (c,):
            read = await c.store.log(
                key()
            )  # the end may have gone to the old master, and be on its way again
            await until(lambda: same(read, held.log))


async def test_many_owners_over_a_cluster(tmp_path: Path) -> None:
    """Owners lie on different masters; each one's requests are opened, claimed, followed, listed and purged all the same."""
    owners = [Owner("acme", f"user-{number}") for number in range(24)]
    async with ClusterRig(tmp_path / "cluster") as rig, peers(rig.url, Clock(), 2) as (a, b):
        await asyncio.gather(*(a.open("r1", owner=owner) for owner in owners))
        seen = [await b.store.log(key("r1", owner)) for owner in owners]
        held: list[Held] = []
        while len(held) < len(owners):
            await asyncio.wait_for(a.store.claimable(), 10)
            if (claim := await a.store.claim()) is not None:
                held.append(Held(claim, a.store.writer(claim)))
        await asyncio.gather(*(one.begin() for one in held))
        for one in held:
            one.say(one.key.user)
        await asyncio.gather(*(one.complete() for one in held))
        await asyncio.wait_for(asyncio.gather(*(log.wait_sealed() for log in seen)), 10)
        assert {text_of(log) for log in seen} == {owner.user for owner in owners}
        listed: list[Key] = []
        mark: str | None = None
        while True:
            rows, mark = await b.store.summaries(None, active=False, chat_id=None, limit=7, before=mark)
            listed += [row.key for row in rows]
            if mark is None:
                break
        assert sorted(listed) == sorted(key("r1", owner) for owner in owners)
        await b.store.projected(listed)
        assert await a.store.purge(2**50, 2**50) == len(owners)
        assert await b.ids(None) == []


async def test_idle_nodes_know_that_one_of_many_takes_nothing(tmp_path: Path) -> None:
    """A node that writes nothing says within moments that one of the masters is full, and later that it is not."""
    async with ClusterRig(tmp_path / "cluster") as rig, peers(rig.url, Clock(), 1) as (idle,):
        heard: list[str | None] = []

        def changed() -> bool:
            """Whether what it says is not what it said."""
            heard.append(idle.store.trouble)
            return bool(heard[-1]) != bool(heard[0])

        for limit in ("1", "0"):
            heard[:] = [idle.store.trouble]
            await rig.servers[2].do("CONFIG", "SET", "maxmemory", limit)
            await until(changed)
            assert limit == "0" or "maxmemory" in str(heard[-1])


def split(peer: Peer, hung: str = "", away: str = "") -> asyncio.Event:
    """As if each shard had a server of its own: that of `hung` says nothing until the event, that of `away` is not there."""
    through, go_on = peer.store._link.call_many, asyncio.Event()

    async def parted(calls: Sequence[Call]) -> list[Any]:
        if any(call.tag == hung for call in calls):
            await go_on.wait()
        answers = await through([call for call in calls if call.tag != away])
        taken = iter(answers)
        return [Unavailable("away") if call.tag == away else next(taken) for call in calls]

    peer.store._link.call_many = parted  # type: ignore[method-assign]
    peer.store._link.server_of = lambda tag: tag  # type: ignore[method-assign]
    return go_on


async def test_a_server_that_hangs_holds_up_no_other(redis_server: RedisServer) -> None:
    """What is written on others goes on, while one says nothing; what was for that one is written when it does."""
    ann, bob = owners_apart(2)
    async with peers(redis_server.url, Clock(), 1, lease_s=20) as (a,):
        hers, his = await a.running(owner=ann), await a.running(owner=bob)
        go_on = split(a, hung=tag_of(ann))
        hers.say("one ")
        waiting = asyncio.ensure_future(hers.writer.flush())
        await asyncio.sleep(0.05)
        for _ in range(3):
            his.say("more ")
            await asyncio.wait_for(his.writer.flush(), 5)
        assert not waiting.done()
        hers.say("two")
        go_on.set()
        await asyncio.wait_for(waiting, 5)
        await asyncio.wait_for(hers.writer.flush(), 5)
        assert (text_of(hers.log), text_of(his.log)) == ("one two", "more more more ")


async def test_one_call_of_a_journal_at_a_time_though_its_slot_moves(redis_server: RedisServer) -> None:
    """1. An append hangs on a server. 2. Another server gets the slot. 3. What is put meanwhile waits for the first."""
    async with peers(redis_server.url, Clock(), 1, lease_s=20) as (a,):
        held = await a.running()
        through, go_on = a.store._link.call_many, asyncio.Event()
        under_way: list[int] = [0, 0]

        async def slow(calls: Sequence[Call]) -> list[Any]:
            if not any(call.function == "append" for call in calls):
                return await through(calls)
            under_way[0] += 1
            under_way[1] = max(under_way)
            await go_on.wait()
            answers = await through(calls)
            under_way[0] -= 1
            return answers

        a.store._link.call_many = slow  # type: ignore[method-assign]
        held.say("one ")
        await until(lambda: under_way[0])
        a.store._link.server_of = lambda tag: "another"  # type: ignore[method-assign]
        held.say("two ")
        await asyncio.sleep(0.05)
        go_on.set()
        await asyncio.wait_for(held.writer.flush(), 5)
        held.say("three")
        await asyncio.wait_for(held.complete(), 5)
        assert under_way == [0, 1]
        assert text_of(held.log) == "one two three"
        assert a.store.trouble is None


async def test_what_a_server_keeps_that_is_away_is_passed_over(redis_server: RedisServer) -> None:
    """What is done for all owners is done for those whose server is there, and for the others once theirs is back; what must be
    known of all is not told by some."""
    ann, bob = owners_apart(2)
    both = [key(owner=ann), key(owner=bob)]
    async with peers(redis_server.url, Clock(), 2, lease_s=20) as (a, b):
        for owner in (ann, bob):
            await a.ended(owner=owner, chat_id="chat")
        for owner in (ann, bob):
            await a.open("waits", owner=owner)
        assert await a.store.count_open() == 2
        through = a.store._link.call_many
        split(a, away=tag_of(ann))
        split(b, away=tag_of(ann))
        with structlog.testing.capture_logs() as said:
            assert [log.key for log in await a.store.unprojected(10)] == both[1:]
            await a.store.projected(both)
            assert await a.store.unprojected(10) == []
        assert [line["log_level"] for line in said] == ["warning"]
        assert await a.store.compact() == 1
        assert await a.store.purge(0, 0) == 0  # the oldest may be there
        assert await a.store.purge(2**50, 2**50) == 1
        waiting = [key("waits", owner) for owner in (ann, bob)]
        assert list(await a.store.spots(waiting)) == waiting[1:]
        with pytest.raises(Unavailable):
            await a.store.spots(waiting[:1])

        await a.open("more", owner=bob)
        assert await a.store.count_open() == 3  # hers as it was
        with pytest.raises(Unavailable):
            await b.store.count_open()  # it was never asked
        with pytest.raises(Unavailable):
            await a.store.erase(waiting)
        with pytest.raises(UnknownRequest):
            await a.store.head(waiting[1])

        a.store._link.call_many = through  # type: ignore[method-assign]
        assert [log.key for log in await a.store.unprojected(10)] == both[:1]
        await a.store.projected(both[:1])
        assert await a.store.purge(2**50, 2**50) == 1
        assert await a.store.count_open() == 2
