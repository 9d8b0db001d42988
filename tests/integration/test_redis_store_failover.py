"""The store where Redis is more than one process: a real failover that loses writes, and a cluster of masters."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from holdfast_server.stores.base import Key, Owner
from tests.support.journals import Clock
from tests.support.redis_rig_more import ClusterRig, SentinelRig
from tests.support.redis_stores import peers, same, until
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
