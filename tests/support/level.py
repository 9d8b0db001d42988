"""Wait for a level: a condition that holds, never an edge that was perhaps missed.

Whoever changes the state calls `notify`; whoever waits looks at the state first and again after every change. Between
the look and the wait there is no await, so no change can fall between them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

WAIT_S = 5.0  # long for loopback on a busy machine, short enough that a test that hangs says so soon


class Level:
    """State that can be waited for."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def notify(self) -> None:
        """Makes every waiter look again."""
        self._changed.set()

    async def until(self, holds: Callable[[], bool], wait_s: float = WAIT_S) -> None:
        """Returns as soon as `holds()` is true.

        Raises: TimeoutError after `wait_s`.
        """
        async with asyncio.timeout(wait_s):
            while True:
                self._changed.clear()
                if holds():
                    return
                await self._changed.wait()
