"""How long output may gather before a commit: not at all while the loop has time, up to GATHER_MAX_S when it has none.

What a delta costs at full load is its page, its frame and its share of a commit; when two or three deltas of an answer
share one of each, it costs half. That is worth nothing while the loop is idle, and waits would be seen: so output
gathers only as the loop runs out of time, by the share of the last moments in which its thread worked.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

GATHER_MAX_S: Final = 0.05
"""Two to three deltas of each answer at the usual pace of models; people do not see it."""

FREE: Final = 0.6
FULL: Final = 0.9
"""The shares of its time that the loop works, between which the wait grows from nothing to GATHER_MAX_S."""

LOOK_S: Final = 0.05
"""How often the share is taken."""

WEIGHT: Final = 0.3
"""Of the newest share in the mean: a burst of 0.1 s does not count as load."""


class Pace:
    """Called before each commit of output: how long it may wait. `worked_s` is the CPU time of the loop's thread."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, worked_s: Callable[[], float] = time.thread_time
    ) -> None:
        self._clock = clock
        self._worked_s = worked_s
        self._looked_at = clock()
        self._worked = worked_s()
        self.load = 0.0

    def __call__(self) -> float:
        now = self._clock()
        wall_s = now - self._looked_at
        if wall_s >= LOOK_S:
            worked = self._worked_s()
            share = (worked - self._worked) / wall_s
            self.load += (share - self.load) * WEIGHT
            self._looked_at, self._worked = now, worked
        return GATHER_MAX_S * min(1.0, max(0.0, (self.load - FREE) / (FULL - FREE)))
