"""Turns of writers in one process: those that change the same go one after another, and only so many write at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """At most `at_once` writers, one per name."""

    def __init__(self, at_once: int) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._named: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def of(self, name: str | None) -> AsyncIterator[None]:
        """Wait for one's turn, and have it inside. No name: for a place only."""
        if name is None:
            async with self._places:
                yield
            return
        lock, count = self._named.get(name, (asyncio.Lock(), 0))
        self._named[name] = (lock, count + 1)
        try:
            async with lock, self._places:
                yield
        finally:
            lock, count = self._named.pop(name)
            if count > 1:
                self._named[name] = (lock, count - 1)
