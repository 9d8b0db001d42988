"""The store keeps its promises where Redis is a cluster of masters, and where sentinels say which server it is."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from holdfast_server.stores.base import Claim, Store, Summary
from holdfast_server.stores.redis.keys import tag_of
from holdfast_server.stores.redis.store import RedisStore
from tests.conformance.store_suite import StoreSuite
from tests.support.journals import Clock
from tests.support.redis_nodes import cluster_on, owners_apart, until
from tests.support.redis_rig_more import ClusterRig, SentinelRig
from tests.support.scribe import cancelled, key

pytestmark = [pytest.mark.needs("redis-server")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def masters(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ClusterRig]:
    """Three masters; what tests write stays."""
    async with ClusterRig(tmp_path_factory.mktemp("cluster")) as rig:
        yield rig


@pytest.fixture
async def empty(masters: ClusterRig) -> ClusterRig:
    """The same, without keys."""
    for server in masters.servers:
        await server.do("FLUSHALL")
    return masters


class TestClusterStore(StoreSuite):
    """The suite over three masters."""

    @pytest.fixture(autouse=True)
    def _masters(self, empty: ClusterRig) -> None:
        self.url = empty.url

    def make(self, folder: Path, clock: Clock) -> Store:
        return RedisStore(self.url, now_ms=clock)


async def test_a_store_by_its_sentinels(tmp_path: Path) -> None:
    """A request's whole life, on two nodes that know nothing but the sentinels."""
    async with SentinelRig(tmp_path / "sentinel") as rig, cluster_on(rig.url) as nodes:
        one, two = await nodes.node(), await nodes.node()
        await one.scribe.open()
        held = await two.claim()
        seen = await one.store.log(key())
        await held.begin()
        await two.store.park(held.claim, 0, held.wait())
        await one.store.seal(key(), cancelled())
        await asyncio.wait_for(seen.wait_sealed(), 10)
        assert seen.status == "cancelled"


async def test_claims_and_limits_hold_over_masters(empty: ClusterRig) -> None:
    """Whichever master an owner's requests lie on: each goes to one node, of an agent never more run than may, and what a dead
    node ran is taken."""
    owners = owners_apart(12)
    assert {await empty.owner(_slot(tag_of(owner))) for owner in owners} == {0, 1, 2}
    async with cluster_on(empty.url) as nodes:
        one, two = [await nodes.node(agents_max={"slow": 3}) for _ in range(2)]
        for owner in owners:
            await one.scribe.open("free", owner=owner)
            await one.scribe.open("slow", owner=owner, agent="slow")
        mine: list[Claim] = []
        others: list[Claim] = []
        async with asyncio.timeout(15):
            while len(mine) + len(others) < 15:  # a token may be on its way from one to the other
                for node, claims in ((one, mine), (two, others)):
                    claims.extend(await node.claims(4))
        assert len({claim.log.key for claim in mine + others}) == 15
        assert Counter(claim.log.key.request_id for claim in mine + others) == {"free": 12, "slow": 3}
        assert [await node.store.claim() for node in (one, two)] == [None, None]
        await one.cut()
        again: list[Claim] = []
        async with asyncio.timeout(15):
            while len(again) < len(mine):
                await two.store.claimable()
                again += await two.claims(30)
        assert mine
        assert others
        recovered = Counter(claim.log.key.request_id for claim in again if claim.term == 2)
        assert recovered["free"] == sum(claim.log.key.request_id == "free" for claim in mine)


async def test_messages_reach_nodes_on_any_master(empty: ClusterRig) -> None:
    """What is told of journals, of rows, to all nodes and of work to do arrives whichever master it was said on."""
    async with cluster_on(empty.url) as nodes:
        one, two = await nodes.node(), await nodes.node()
        heard: list[bytes] = []
        rows: list[Summary] = []
        two.store.observe_message("news", heard.append)
        two.store.observe_rows(lambda row, removed: rows.append(row))
        owners = owners_apart(12)
        for owner in owners:
            two.store.watch(owner)
        await asyncio.sleep(0.1)
        for number, owner in enumerate(owners):
            waiter = asyncio.ensure_future(two.store.claimable())
            await one.scribe.open(owner=owner)
            await asyncio.wait_for(waiter, 5)
            log = await two.store.log(key("r1", owner))
            held = await one.claim()
            await held.begin()
            held.say("told")
            await held.complete()
            await asyncio.wait_for(log.wait_sealed(), 5)
            await one.store.publish("news", b"%d" % number)
        await until(lambda: len(heard) == len(owners))
        await until(lambda: {row.key.owner for row in rows if row.status == "completed"} == set(owners))
        await one.store.put_once("ticket", b"x", 10)
        assert [await two.store.take_once("ticket"), await one.store.take_once("ticket")] == [b"x", None]


def _slot(tag: str) -> int:
    from redis.crc import key_slot

    return int(key_slot(tag.encode()))
