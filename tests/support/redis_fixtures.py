"""One redis-server for all tests of a run (of a worker, where several run them); each test finds it empty."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.redis_rig import RedisServer

if TYPE_CHECKING:
    from tests.support.redis_nodes import Cluster


@pytest.fixture(scope="session")
def redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The server, running; what tests write into it stays. Most want `redis_server`."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start_now()
    yield server
    server.close()


@pytest.fixture
async def redis_server(redis_process: RedisServer) -> RedisServer:
    """The same, running and empty: no keys, no functions, no clients of the test before. Who changes its configuration
    changes it back, or starts a RedisServer of its own."""
    redis_process.cont()
    if not redis_process.running:
        await redis_process.start()
    await redis_process.loaded()
    async with redis_process.client() as client:
        await client.execute_command("FLUSHALL")
        await client.execute_command("FUNCTION", "FLUSH")
    return redis_process


@pytest.fixture
async def cluster(redis_server: RedisServer) -> AsyncIterator[Cluster]:
    """Nodes on an empty Redis: stores only, in this process."""
    from tests.support.redis_nodes import cluster_on  # only who asks for it loads the store

    async with cluster_on(redis_server.url) as cluster:
        yield cluster
