"""Several nodes on one Redis, in one process: stores that are cut off, or all closed at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from holdfast_server.stores.base import Claim, Owner, StoreError
from holdfast_server.stores.redis.store import RedisStore
from tests.support.journals import ANN, Clock
from tests.support.scribe import Held, Scribe, key

LEASE_S: Final = 0.6
"""Short, so that a test can wait for its end; a third of it is far more than a renewal takes."""

WAIT_S: Final = 10.0
"""For what must happen; a busy machine gets far more than it needs."""


class Node:
    """One store, and who works on it."""

    def __init__(self, store: RedisStore) -> None:
        self.store = store
        self.scribe = Scribe(store, Clock())

    async def claim(self) -> Held:
        """Wait for something to claim, and claim it."""
        async with asyncio.timeout(WAIT_S):
            while True:
                await self.store.claimable()
                claim = await self.store.claim()
                if claim is not None:
                    return Held(claim, self.store.writer(claim))
                await asyncio.sleep(0.01)

    async def claims(self, count: int) -> list[Claim]:
        """So many claims at once; those that were got."""
        got = await asyncio.gather(*(self.store.claim() for _ in range(count)))
        return [claim for claim in got if claim is not None]

    async def cut(self) -> None:
        """This node says nothing to Redis any more, and knows nothing of it: as if it were dead."""
        await self.store._link.close()


class Cluster:
    """The nodes of a test."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._nodes: list[Node] = []

    async def node(self, **settings: Any) -> Node:
        """One more."""
        store = RedisStore(self._url, **{"lease_s": LEASE_S, **settings})
        await store.start()
        node = Node(store)
        self._nodes.append(node)
        return node

    async def close(self) -> None:
        """All of them."""
        for node in self._nodes:
            try:
                async with asyncio.timeout(WAIT_S):
                    await node.store.close()
            except StoreError:
                pass  # it was cut off


@asynccontextmanager
async def cluster_on(url: str) -> AsyncIterator[Cluster]:
    """Nodes on this Redis, closed at the end."""
    cluster = Cluster(url)
    try:
        yield cluster
    finally:
        await cluster.close()


async def until(true: Callable[[], bool]) -> None:
    """Return when it is; for what no event tells."""
    async with asyncio.timeout(WAIT_S):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def owners_apart(count: int) -> list[Owner]:
    """Owners who are in different shards."""
    from holdfast_server.stores.redis.keys import tag_of

    found: dict[str, Owner] = {}
    number = 0
    while len(found) < count:
        owner = Owner("acme", f"user{number}")
        found.setdefault(tag_of(owner), owner)
        number += 1
    return list(found.values())


async def running(node: Node, request_id: str = "r1", owner: Owner = ANN) -> Held:
    """A request that this node has begun to answer."""
    await node.scribe.open(request_id, owner=owner)
    held = await node.claim()
    assert held.key == key(request_id, owner)
    await held.begin()
    return held
