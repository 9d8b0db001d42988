"""The limit of an agent on all nodes at once: tokens are taken, spent and given back, with answers lost and crossing."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from unittest.mock import AsyncMock

import pytest

from holdfast_server.stores.base import Claim, StoreError, Unavailable
from holdfast_server.stores.redis import tokens
from holdfast_server.stores.redis.link import Call, Link
from tests.support.redis_nodes import LEASE_S, Cluster, Node, owners_apart, until
from tests.support.redis_rig import RedisServer
from tests.support.scribe import Held, cancelled, key

pytestmark = [pytest.mark.needs("redis-server")]

Calls = Sequence[Call]


async def test_the_limit_of_an_agent_holds_on_all_nodes(cluster: Cluster) -> None:
    """Of an agent never more run than may, whoever asked and wherever; every way to end gives the token back."""
    nodes = [await cluster.node(agents_max={"slow": 3}) for _ in range(2)]
    for owner in owners_apart(6):
        await asyncio.gather(
            *(nodes[0].scribe.open(f"s{number}", owner=owner, agent="slow") for number in range(6))
        )
        await nodes[0].scribe.open("free", owner=owner)
    rounds = await asyncio.gather(*(node.claims(50) for node in nodes))
    agents = Counter(claim.log.record.agent for claims in rounds for claim in claims)
    assert agents == {"slow": 3, "demo": 6}
    slow = [
        (node, claim)
        for node, claims in zip(nodes, rounds, strict=True)
        for claim in claims
        if claim.log.record.agent == "slow"
    ]
    (one, first), (two, second), (three, third) = slow
    await one.store.seal(first.log.key, cancelled())
    await two.store.release(second)
    held = Held(third, three.store.writer(third))
    await held.begin()
    await three.store.park(third, 0, held.wait())
    got: list[str] = []
    async with asyncio.timeout(10):
        while len(got) < 3:
            for node in nodes:
                got += [claim.log.record.agent for claim in await node.claims(50)]
            await asyncio.sleep(0.05)
    assert got == ["slow"] * 3
    await asyncio.sleep(LEASE_S)
    assert not [claim for node in nodes for claim in await node.claims(50)]


async def test_tokens_of_a_dead_node_come_back(cluster: Cluster) -> None:
    """What a node held of an agent's limit is free when its leases are, and not before."""
    one, two = [await cluster.node(agents_max={"slow": 1}) for _ in range(2)]
    await one.scribe.open("s0", agent="slow")
    await one.claim()
    assert await two.store.claim() is None
    await one.cut()
    again = await two.claim()
    assert again.claim.how == "first"
    assert again.claim.term == 2


async def test_a_draining_node_keeps_no_token(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had of an agent's limit, and has no use for, is others' at once, though there is something that wants it."""
    monkeypatch.setattr(tokens, "SPARE_S", 3600.0)
    one, two = [await cluster.node(agents_max={"slow": 1}) for _ in range(2)]
    await one.scribe.open("s0", agent="slow")
    held = await one.claim()
    await two.scribe.open("s1", agent="slow")
    await until(lambda: "slow" in one.store._claims._looks.need)
    presence = one.store._claims._presence
    for look in ("_tend", "_ticked"):
        monkeypatch.setattr(presence, look, AsyncMock())  # no look at the shards brings it about
    await one.store.drain()
    await held.begin()
    await held.complete()
    assert (await two.claim()).key == key("s1")


def crossed(
    monkeypatch: pytest.MonkeyPatch,
    node: Node,
    when: Callable[[Calls], bool],
    *,
    before: Callable[[], Awaitable[object]] | None = None,
    after: Callable[[], Awaitable[object]] | None = None,
) -> None:
    """Once, as this node makes such a call, do something else first, or before the answer is told."""
    real, done = Link.call_many, False

    async def call_many(link: Link, calls: Calls) -> list[Any]:
        nonlocal done
        if done or link is not node.store._link or not when(calls):
            return await real(link, calls)
        done = True
        if before is not None:
            await before()
        answers = await real(link, calls)
        if after is not None:
            await after()
        return answers

    monkeypatch.setattr(Link, "call_many", call_many)


def claims_slow(calls: Calls) -> bool:
    """Whether a token is spent by these."""
    return any(call.function == "claim" and call.args[-1] == 1 for call in calls)


def asks_for_more(calls: Calls) -> bool:
    """Whether a token is asked for, where none is given back."""
    return any(call.function == "tokens" for call in calls)


async def test_a_token_is_not_given_back_while_a_claim_spends_it(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim is on its way with the only token: whatever ends meanwhile, no other node gets it; one that it did not need is
    had by others."""
    one, two = [await cluster.node(agents_max={"slow": 1}) for _ in range(2)]
    for number, owner in enumerate(owners_apart(2)):
        await one.scribe.open(f"s{number}", owner=owner, agent="slow")
    others: list[Claim] = []

    async def meanwhile() -> None:
        await one.store._claims._ticked()
        await one.store._claims._tokens.settle(frozenset())
        others.extend(await two.claims(2))

    crossed(monkeypatch, one, claims_slow, before=meanwhile)
    mine = await one.claims(2)
    assert (len(mine), len(others)) == (1, 0)
    await one.store.seal(mine[0].log.key, cancelled())
    assert (await two.claim()).claim.log.record.agent == "slow"


async def test_a_run_that_ends_while_a_token_is_asked_for(
    cluster: Cluster, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is freed then is not given back below the answer that is on its way: Redis never counts less than a node has."""
    one, two = [await cluster.node(agents_max={"slow": 2}) for _ in range(2)]
    for number, owner in enumerate(owners_apart(4)):
        await one.scribe.open(f"s{number}", owner=owner, agent="slow")
    first = (await one.claims(1))[0]
    has = one.store._claims._tokens

    async def meanwhile() -> None:
        await one.store.seal(first.log.key, cancelled())
        await has.settle(frozenset())
        counted = int(await redis_server.do("HGET", "{hf}:agents", f"slow/{one.store.node}") or 0)
        assert counted >= has._count("slow") + 1

    crossed(monkeypatch, one, asks_for_more, after=meanwhile)
    running = [*await one.claims(1), *await two.claims(4), *await one.claims(2)]
    assert len(running) == 2


async def test_a_heartbeat_while_a_token_is_refused_grants_none(
    cluster: Cluster, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a node only asked for is not what it has, neither to the others nor when it asks again."""
    one, two = [await cluster.node(agents_max={"slow": 1}) for _ in range(2)]
    for number in range(2):
        await one.scribe.open(f"s{number}", agent="slow")
    assert len(await one.claims(1)) == 1
    crossed(monkeypatch, two, asks_for_more, after=two.store._claims._presence.beat)
    assert await two.store.claim() is None
    assert int(await redis_server.do("HGET", "{hf}:agents", f"slow/{two.store.node}") or 0) == 0
    two.store._claims._tokens.came_back("slow")
    assert await two.claims(2) == []


async def test_no_token_is_lost_or_made(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over some hundred runs, with every tenth answer lost and tokens given back at any time: never more run than may, and at
    the end as many can."""
    limit, dice = 2, random.Random(7)
    # A machine that stands still for a lease makes dead nodes of live ones, whose runs others may take while they still count.
    nodes = [await cluster.node(agents_max={"slow": limit}, lease_s=60) for _ in range(3)]
    real, noisy = Link.call_many, True

    async def call_many(link: Link, calls: Calls) -> list[Any]:
        answers = await real(link, calls)
        lossy = noisy and any(call.function in {"claim", "tokens"} for call in calls)
        return [Unavailable("the answer was lost")] * len(calls) if lossy and dice.random() < 0.1 else answers

    monkeypatch.setattr(Link, "call_many", call_many)
    running = most = ran = 0

    async def work(node: Node) -> None:
        nonlocal running, most, ran
        while noisy:
            await node.scribe.open(f"r{dice.random()}", owner=dice.choice(owners), agent="slow")
            try:
                claim = await node.store.claim()
            except StoreError:
                continue
            if claim is None:
                await asyncio.sleep(0.005)
                continue
            running += 1
            most = max(most, running)
            await asyncio.sleep(dice.random() / 200)
            running -= 1
            ran += 1
            await node.store.seal(claim.log.key, cancelled())

    owners = owners_apart(8)
    workers = [asyncio.create_task(work(node)) for node in nodes for _ in range(3)]
    async with asyncio.timeout(60):
        while ran < 300:  # noqa: ASYNC110  # no one event stands for it
            await asyncio.sleep(0.02)
    noisy = False
    await asyncio.gather(*workers)
    assert most == limit
    got: list[Claim] = []
    async with asyncio.timeout(10):
        while len(got) < limit:
            got += await nodes[len(got)].claims(1)
            await asyncio.sleep(0.05)
    assert [await node.store.claim() for node in nodes] == [None] * 3
