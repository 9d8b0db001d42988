"""What decides who runs what, on several nodes at once: turns, limits, times, places, and wake-ups that are lost."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest

from holdfast_server.stores.base import Owner
from holdfast_server.stores.redis.keys import prefix_of, tag_of
from tests.support.journals import ANN, BOB
from tests.support.redis_nodes import LEASE_S, Cluster, owners_apart, until
from tests.support.redis_rig import RedisServer
from tests.support.scribe import cancelled, decision, key

pytestmark = [pytest.mark.needs("redis-server")]

WAKE_S = 3.0  # half a second, and a busy machine


# -- turns -----------------------------------------------------------------------------------------------------------


async def test_a_thousand_of_one_user_do_not_delay_anothers_one(cluster: Cluster) -> None:
    """Whoever has fewest running is next, whichever shard they are in and whichever node claims."""
    one, two = await cluster.node(), await cluster.node()
    await asyncio.gather(*(one.scribe.open(f"a{number}", owner=ANN) for number in range(1000)))
    assert len(await one.claims(5)) == 5
    looks, shard = one.store._claims._looks, int(tag_of(BOB)[2:-1])
    looks._hints.clear()
    await two.scribe.open("b", owner=BOB)
    await until(
        lambda: shard in looks._hints or looks._looks[shard].any
    )  # the message is on its way to the other node
    held = await one.claim()
    assert held.key.user == "bob"
    assert len(await two.claims(3)) == 3


async def test_users_of_all_shards_take_turns(cluster: Cluster) -> None:
    """Claims that are asked for together go round among the shards."""
    node = await cluster.node()
    owners = owners_apart(6)
    for owner in owners:
        await asyncio.gather(*(node.scribe.open(f"r{number}", owner=owner) for number in range(8)))
    for turn in range(1, 4):
        claims = await node.claims(6)
        assert len(claims) == 6
        assert set(Counter(claim.log.key.user for claim in claims).values()) == {1}, turn


async def test_each_request_goes_to_one_node(cluster: Cluster) -> None:
    """However many claim at once, on however many nodes, nothing is claimed twice and nothing is left."""
    nodes = [await cluster.node() for _ in range(3)]
    for owner in owners_apart(5):
        await asyncio.gather(*(nodes[0].scribe.open(f"r{number}", owner=owner) for number in range(20)))
    rounds = await asyncio.gather(*(node.claims(50) for node in nodes))
    claimed = Counter(claim.log.key for claims in rounds for claim in claims)
    assert set(claimed.values()) == {1}
    assert len(claimed) == 100


async def test_low_steps_back_but_is_not_starved(cluster: Cluster) -> None:
    """What is low waits while anybody has something else, for a minute; then it has a turn like the others."""
    node = await cluster.node()
    now = round(time.time() * 1000)
    await node.scribe.open("old", owner=ANN, priority="low", created_at=now - 61_000)
    await node.scribe.open("low", owner=ANN, priority="low", created_at=now)
    for number in range(3):
        await node.scribe.open(f"n{number}", owner=ANN, created_at=now)
    order = [(await node.claim()).key.request_id for _ in range(5)]
    assert order == ["old", "n0", "n1", "n2", "low"]


# -- limits ----------------------------------------------------------------------------------------------------------


async def test_the_limit_of_a_user_holds_on_all_nodes(cluster: Cluster) -> None:
    """Of a user never more run than may, with fifty claims at once on each of two nodes; what ends makes room."""
    nodes = [await cluster.node(owner_running_max=5) for _ in range(2)]
    await asyncio.gather(*(nodes[0].scribe.open(f"a{number}") for number in range(40)))
    rounds = await asyncio.gather(*(node.claims(50) for node in nodes))
    assert sum(map(len, rounds)) == 5
    for claims, node in zip(rounds, nodes, strict=True):
        for claim in claims:
            await node.store.seal(claim.log.key, cancelled())
    rounds = await asyncio.gather(*(node.claims(50) for node in nodes))
    assert sum(map(len, rounds)) == 5


async def test_who_waits_for_a_limit_does_not_spin(cluster: Cluster) -> None:
    """A node with nothing but what is at its limit waits, and is woken when there is room."""
    node = await cluster.node(owner_running_max=1, agents_max={"slow": 1})
    await node.scribe.open("a0")
    await node.scribe.open("a1")
    await node.scribe.open("s0", owner=BOB, agent="slow")
    await node.scribe.open("s1", owner=Owner("acme", "cat"), agent="slow")
    claims = await node.claims(10)
    assert len(claims) == 2
    waiter = asyncio.ensure_future(node.store.claimable())
    await asyncio.sleep(1.2)
    assert not waiter.done()
    for claim in claims:
        await node.store.seal(claim.log.key, cancelled())
    await asyncio.wait_for(waiter, WAKE_S)
    assert len([await node.claim(), await node.claim()]) == 2


# -- nodes that stop -------------------------------------------------------------------------------------------------


async def test_a_draining_node_claims_nothing_and_counts_as_no_place_to_run(cluster: Cluster) -> None:
    """What it runs goes on; others are told at once that there is nobody to run more."""
    gateway, worker = await cluster.node(worker=False), await cluster.node(slots=4)
    await gateway.scribe.open("r0")
    held = await worker.claim()
    waiter = asyncio.ensure_future(worker.store.claimable())
    await worker.store.drain()
    await gateway.scribe.open("r1")
    assert await worker.store.claim() is None
    await until(lambda: all("worker" not in member.roles for member in gateway.store._claims.members))
    assert sum(member.slots for member in gateway.store._claims.members) == 0
    assert (await gateway.store.spots([key("r1")]))[key("r1")].reason == "no_worker"
    await held.begin()
    await held.complete()
    assert not waiter.done()
    waiter.cancel()
    again = await cluster.node()
    assert (await again.claim()).key == key("r1")


async def test_free_slots_of_all_nodes_count(cluster: Cluster) -> None:
    """Whoever is within the slots that are free begins now, wherever they are."""
    one, two = await cluster.node(slots=2), await cluster.node(slots=1, worker=True)
    await until(lambda: len(one.store._claims.members) == 2)
    for number in range(4):
        await one.scribe.open(f"r{number}")
    keys = [key(f"r{number}") for number in range(4)]
    spots = await one.store.spots(keys)
    assert [spots[name].estimate_s == 0 for name in keys] == [True, True, True, False]
    await two.store.drain()
    await until(lambda: sum(member.slots for member in one.store._claims.members) == 2)
    spots = await one.store.spots(keys)
    assert [spots[name].estimate_s == 0 for name in keys] == [True, True, False, False]


# -- times and wake-ups ----------------------------------------------------------------------------------------------


async def test_another_node_is_woken(cluster: Cluster) -> None:
    """What is opened, released, decided, due or unblocked on one node wakes those who wait on another."""
    one, two = await cluster.node(), await cluster.node()
    await one.scribe.open("first")
    first = await two.claim()
    await first.begin()
    await one.scribe.open("after", after="first")
    await two.store.park(first.claim, 0, first.wait())
    await one.store.put_input(key("first"), decision())
    resumed = await two.claim()
    assert (resumed.key.request_id, resumed.claim.how) == ("first", "resumed")
    await two.store.release(resumed.claim)
    handed = await one.claim()
    assert handed.key.request_id == "first"
    await one.store.seal(key("first"), cancelled())
    assert (await two.claim()).key.request_id == "after"
    await one.scribe.open("late", not_before=round(time.time() * 1000) + 300)
    assert await two.store.claim() is None
    assert (await two.claim()).key.request_id == "late"


async def test_a_wait_that_expires_is_claimed_by_any_node(cluster: Cluster) -> None:
    """Nobody has to come for a wait to end, nor does the node have to live that parked it."""
    one, two = await cluster.node(), await cluster.node()
    await one.scribe.open()
    held = await one.claim()
    await held.begin()
    await one.store.park(held.claim, 0, held.wait(expires_at=round(time.time() * 1000) + 300))
    await one.cut()
    assert await two.store.claim() is None
    assert (await two.claim()).claim.how == "resumed"


async def test_a_lost_wake_up_costs_a_bounded_wait(cluster: Cluster) -> None:
    """A node that hears no messages still finds what there is to claim."""
    one, two = await cluster.node(), await cluster.node()
    two.store._link._bus._message_observers.clear()
    waiter = asyncio.ensure_future(two.store.claimable())
    await asyncio.sleep(0.1)
    await one.scribe.open()
    began = time.monotonic()
    await asyncio.wait_for(waiter, WAKE_S)
    assert time.monotonic() - began < WAKE_S


# -- places ----------------------------------------------------------------------------------------------------------


async def test_spots_without_any_worker(cluster: Cluster) -> None:
    """Where no node runs agents, requests are told so; when one comes, they are told what they wait for then."""
    gateway = await cluster.node(worker=False)
    await gateway.scribe.open("r1")
    assert (await gateway.store.spots([key("r1")]))[key("r1")].reason == "no_worker"
    assert await gateway.store.claim() is None
    worker = await cluster.node()
    await until(lambda: len(gateway.store._claims.members) == 2)
    assert (await gateway.store.spots([key("r1")]))[key("r1")].reason == "slots"
    await worker.store.close()
    await until(lambda: len(gateway.store._claims.members) == 1)
    assert (await gateway.store.spots([key("r1")]))[key("r1")].reason == "no_worker"


async def test_a_far_place_is_capped(cluster: Cluster) -> None:
    """Looking for a place has a bound; beyond it the place is that bound, and the order still holds before it."""
    node = await cluster.node()
    for wave in range(0, 1100, 100):
        await asyncio.gather(*(node.scribe.open(f"a{number}") for number in range(wave, wave + 100)))
    await node.scribe.open("last")
    spots = await node.store.spots([key("last"), key("a500")])
    assert spots[key("last")].place == 1000
    assert 400 <= spots[key("a500")].place <= 599


async def test_an_agents_limit_reached_on_another_node_is_told(cluster: Cluster) -> None:
    """The reason is the truth of all nodes, not of the one that is asked."""
    one, two = [await cluster.node(agents_max={"slow": 1}) for _ in range(2)]
    await one.scribe.open("s0", agent="slow")
    held = await one.claim()
    await two.scribe.open("s1", owner=BOB, agent="slow")
    waiting = key("s1", BOB)
    assert (await two.store.spots([waiting]))[waiting].reason == "agent"
    await one.store.seal(held.key, cancelled())
    assert (await two.claim()).key == waiting
    assert await two.store.spots([waiting]) == {}


# -- Redis itself ----------------------------------------------------------------------------------------------------


async def test_a_redis_that_stood_still_costs_nobody_a_lease(
    cluster: Cluster, redis_server: RedisServer
) -> None:
    """When no node could renew, none is taken for dead: all get time to come back, and go on under their terms."""
    one, two = await cluster.node(agents_max={"demo": 2}), await cluster.node(agents_max={"demo": 2})
    held = []
    for node, owner in zip((one, two), owners_apart(2), strict=True):
        await node.scribe.open(owner=owner)
        held.append(await node.claim())
        await held[-1].begin()
    redis_server.stop()
    await asyncio.sleep(LEASE_S * 4)
    redis_server.cont()
    await one.scribe.open("third", owner=BOB)
    for still in held:
        still.say("went on")
        await still.writer.flush()
        assert still.log.term == 1
    assert await one.store.claim() is None
    assert await two.store.claim() is None
    await asyncio.sleep(LEASE_S * 2)
    assert await redis_server.do("HGET", f"{prefix_of(held[1].key)}:h", "deaths") == b"0"
    for still in held:
        await still.complete()
