"""The lanes of full connections, and when these are looked at again.

A full connection says nothing when it drains, so it is looked at: soon after it has become full, because on a near network
it has room by then, and less and less often while none has. How many are full bounds how often, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .connection import DeliveryLimits
from .subscription import Lane


class FullLanes:
    """Those without room. `look` is called for each when it is time; it discards the lane if there is room again, and must
    not raise."""

    def __init__(self, limits: DeliveryLimits, look: Callable[[Lane, float], None]) -> None:
        self._limits = limits
        self._look = look
        self._lanes: dict[Lane, None] = {}
        self._pause_s = 0.0  # before the next look
        self._handle: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._lanes)

    def __contains__(self, lane: Lane) -> bool:
        return lane in self._lanes

    def add(self, lane: Lane) -> None:
        """It has become full. Harmless when repeated."""
        if lane not in self._lanes:
            self._lanes[lane] = None
            self._look_in(self._limits.poll_first_s)

    def discard(self, lane: Lane) -> None:
        """It has room, or has ended. Harmless when repeated."""
        self._lanes.pop(lane, None)

    def close(self) -> None:
        """Nothing is looked at any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _poll(self) -> None:
        self._handle = None
        now = asyncio.get_running_loop().time()
        before = len(self._lanes)
        for lane in list(self._lanes):
            self._look(lane, now)
        if self._lanes:
            drained = len(self._lanes) < before
            self._look_in(self._limits.poll_first_s if drained else self._pause_s * 2)

    def _look_in(self, pause_s: float) -> None:
        """Look at them after so long, or when that is due anyway."""
        limits, loop = self._limits, asyncio.get_running_loop()
        self._pause_s = min(max(pause_s, len(self._lanes) * limits.poll_each_s), limits.poll_s)
        at = loop.time() + self._pause_s
        if self._handle is not None:
            if self._handle.when() <= at:
                return
            self._handle.cancel()
        self._handle = loop.call_at(at, self._poll)
