"""Several RedisStores on one Redis, each with somebody who works on it, and what Redis holds of a journal, to the byte."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from holdfast_protocol.codec import encode_events
from holdfast_server.stores.base import Key
from holdfast_server.stores.log import Log
from holdfast_server.stores.redis.keys import prefix_of
from holdfast_server.stores.redis.store import RedisStore
from tests.support.journals import Clock
from tests.support.redis_rig import RedisServer
from tests.support.scribe import Scribe

WAIT_S = 10.0  # what is promised within a second or two gets this on a busy machine
LOOK_S = 0.01


class Peer(Scribe):
    """A store that runs, and who works on it."""

    store: RedisStore


@contextlib.asynccontextmanager
async def peers(url: str, clock: Clock, count: int, **options: Any) -> AsyncIterator[list[Peer]]:
    """So many stores, started; closed at the end, the last first."""
    async with contextlib.AsyncExitStack() as stack:
        made = []
        for _ in range(count):
            store = RedisStore(url, now_ms=clock, **options)
            await store.start()
            stack.push_async_callback(store.close)
            made.append(Peer(store, clock))
        yield made


async def until(holds: Callable[[], object], wait_s: float = WAIT_S) -> None:
    """Return when it holds. Raises: TimeoutError."""
    async with asyncio.timeout(wait_s):
        while not holds():  # noqa: ASYNC110  no one event stands for whatever a test waits for
            await asyncio.sleep(LOOK_S)


async def stored(server: RedisServer, key: Key) -> list[tuple[bytes, bytes]]:
    """The entries of a journal's stream: (id, events)."""
    entries = await server.do("XRANGE", f"{prefix_of(key)}:e", "-", "+")
    return [(entry, fields[b"e"]) for entry, fields in entries]


async def photograph(server: RedisServer) -> dict[bytes, bytes]:
    """Everything in the database as it is now."""
    async with server.client() as client:
        names = await client.execute_command("KEYS", "*")
        dumps = [(name, await client.execute_command("DUMP", name)) for name in names]
    return {name: dump for name, dump in dumps if dump is not None}  # one may have ended in between


async def put_back(server: RedisServer, picture: dict[bytes, bytes]) -> None:
    """Make the database what it was, in one step: as after a failover to a replica that had not followed."""
    async with server.client() as client:
        pipeline = client.pipeline(transaction=True)
        pipeline.execute_command("FLUSHDB")
        for name, dump in picture.items():
            pipeline.execute_command("RESTORE", name, 0, dump)
        await pipeline.execute()


def same(left: Log, right: Log) -> bool:
    """Whether two nodes show the same journal."""
    return (
        encode_events(left.events) == encode_events(right.events)
        and left.chain == right.chain
        and left.status == right.status
    )
