"""What kills its nodes is found by running it alone, and nobody else is condemned for it."""

from __future__ import annotations

import asyncio

import pytest

from holdfast_server.stores.redis import tokens
from tests.support.journals import BOB
from tests.support.redis_nodes import Cluster, Node, running, until
from tests.support.redis_rig import RedisServer
from tests.support.scribe import key

pytestmark = [pytest.mark.needs("redis-server")]


async def test_what_died_twice_runs_alone(cluster: Cluster) -> None:
    """After two deaths a request is only claimed by a node that runs nothing, and that claims nothing beside it."""
    busy = await cluster.node()
    await running(busy, "work", BOB)
    await die_with(cluster, busy, "bad")
    await until(lambda: suspects(busy))
    assert await busy.store.claim() is None
    idle = await cluster.node()
    alone = await idle.claim()
    assert (alone.key, alone.claim.alone, alone.claim.term) == (key("bad"), True, 3)
    await busy.scribe.open("more")
    assert await idle.store.claim() is None
    await until(lambda: not suspects(busy))
    more = await busy.claim()
    assert (more.key, more.claim.alone) == (key("more"), False)
    await alone.begin()
    await alone.complete()
    await busy.scribe.open("next")
    assert (await idle.claim()).key == key("next")


async def test_a_busy_node_makes_room_for_one_that_must_run_alone(cluster: Cluster) -> None:
    """Where no node is idle, one claims nothing more until it is empty, then runs it alone; then it goes on as before."""
    busy = await cluster.node()
    work = await running(busy, "work", BOB)
    await die_with(cluster, busy, "bad")
    await until(lambda: busy.store._claims._solo.held)
    await busy.scribe.open("more", owner=BOB)
    assert await busy.store.claim() is None
    await work.complete()
    bad = await busy.claim()
    assert (bad.key, bad.claim.alone) == (key("bad"), True)
    assert await busy.store.claim() is None
    await bad.begin()
    await bad.complete()
    assert (await busy.claim()).key == key("more", BOB)


async def test_a_node_that_waits_to_be_idle_does_so_for_a_while(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only one node is, and what it runs goes on and on: others are served again after a while, and it tries anew later;
    when it is idle at last, the one that must run alone is first."""
    monkeypatch.setattr(tokens, "LANE_S", 0.6)
    busy = await cluster.node()
    work = await running(busy, "work", BOB)
    await die_with(cluster, busy, "bad")
    lane = busy.store._claims._solo
    await until(lambda: lane.held)
    await busy.scribe.open("more", owner=BOB)
    assert await busy.store.claim() is None
    more = await busy.claim()
    assert more.key == key("more", BOB)
    await until(lambda: lane.held)
    assert lane._pause_s == 0.6
    await until(lambda: not lane.held)
    assert lane._pause_s == 1.2
    await busy.scribe.open("last", owner=BOB)
    await work.complete()
    await more.begin()
    await more.complete()
    bad = await busy.claim()
    assert (bad.key, bad.claim.alone) == (key("bad"), True)
    await until(lambda: lane._pause_s == 0)


async def test_a_draining_node_leaves_the_lane_to_others(cluster: Cluster, redis_server: RedisServer) -> None:
    """It will not claim when it is empty: whoever else is busy makes room."""
    busy = await cluster.node()
    await running(busy, "work", BOB)
    await die_with(cluster, busy, "bad")
    await until(lambda: busy.store._claims._solo.held)
    await busy.store.drain()
    assert await redis_server.do("GET", "{hf}:solo") is None
    await asyncio.sleep(1.2)
    assert not busy.store._claims._solo.held


async def test_what_kills_alone_twice_is_condemned_and_its_neighbours_are_not(cluster: Cluster) -> None:
    """Requests that died together are suspects alike; only the one that dies alone twice fails as poison."""
    watch = await cluster.node(worker=False)
    names = ("good1", "bad", "good2")
    await die_with(cluster, watch, *names)
    log = await watch.store.log(key("bad"))
    async with asyncio.timeout(20):
        while not log.sealed:
            node = await cluster.node()
            held = await node.claim()
            assert held.claim.alone
            if held.key == key("bad"):
                await node.cut()
                await until(lambda: not log.lease)
            else:
                await held.begin()
                await held.complete()
                await node.store.close()
            if log.term == 4:
                await until(lambda: log.sealed)
    assert log.outcome is not None
    assert (log.status, log.outcome.code, log.term) == ("failed", "poison", 4)
    rows, _ = await watch.store.summaries(None, active=False, chat_id=None, limit=10, before=None)
    assert {row.key.request_id: row.status for row in rows} == {
        "good1": "completed", "bad": "failed", "good2": "completed",
    }  # fmt: skip


async def die_with(cluster: Cluster, opener: Node, *names: str) -> None:
    """Requests of Ann, that two nodes died with."""
    for name in names:
        await opener.scribe.open(name)
    for _ in range(2):
        node = await cluster.node()
        claims = [await node.claim() for _ in names]
        assert not any(held.claim.alone for held in claims)
        await node.cut()


def suspects(node: Node) -> bool:
    """Whether this node knows of one that must run alone."""
    return node.store._claims._looks.suspect is not None
