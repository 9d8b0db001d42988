"""Redis and PostgreSQL of a run, and what can be done to them for a while."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.postgres_rig import PostgresServer
from tests.support.proxy import FaultProxy
from tests.support.redis_rig import RedisServer

from .ports import steady_port


class Stores:
    """Both servers. An async context manager; a fault ends with the server back as it was, and its data."""

    def __init__(self, folder: Path) -> None:
        self.redis = RedisServer(folder / "redis")
        self.redis.port = steady_port()
        self.postgres = PostgresServer()
        self.postgres.port = steady_port()
        self.history = ""
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.redis)
            await self.redis.loaded()
            stack.enter_context(self.postgres)
            self.history = await self.postgres.database(empty=True)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def link(self, number: int) -> FaultProxy:
        """A node's own way to Redis."""
        return FaultProxy("127.0.0.1", self.redis.port, seed=1_000 + number)

    async def redis_kill(self, wait_s: float) -> None:
        """SIGKILL; started again after a while."""
        await self.redis.kill()
        try:
            await asyncio.sleep(wait_s)
        finally:
            await self.redis.start()
            await self.redis.loaded()

    async def redis_stop(self, wait_s: float) -> None:
        """SIGSTOP; its connections stay and take what is sent."""
        self.redis.stop()
        try:
            await asyncio.sleep(wait_s)
        finally:
            self.redis.cont()

    async def postgres_stop(self, wait_s: float) -> None:
        """SIGSTOP of the server and of the processes that serve its connections."""
        self.postgres.stop()
        try:
            await asyncio.sleep(wait_s)
        finally:
            self.postgres.cont()

    async def postgres_restart(self, wait_s: float) -> None:
        """Killed as a crash does it, and started again, which replays its log."""
        await asyncio.to_thread(self.postgres.kill)
        try:
            await asyncio.sleep(wait_s)
        finally:
            await asyncio.to_thread(self.postgres.start_now)
