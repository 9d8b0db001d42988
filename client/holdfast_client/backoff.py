"""How long to wait before the next attempt to connect: exponential with full jitter.

Full jitter (anything from nothing to the bound) spreads a crowd that lost the same server at the same moment; a wait
that is only *about* so long would keep the crowd together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

BASE_S: Final = 0.25
"""The first bound: a server that only dropped one socket is back at once."""

CAP_S: Final = 30.0
"""The last bound: a person who waits should not wait longer than this for a server that is back."""

STABLE_S: Final = 10.0
"""A connection that held this long forgives the failures before it."""


class Backoff:
    """The waits of one client. `dice` gives a number from 0 up to 1."""

    def __init__(self, dice: Callable[[], float], *, base_s: float = BASE_S, cap_s: float = CAP_S) -> None:
        self._dice = dice
        self._base_s = base_s
        self._cap_s = cap_s
        self.failures = 0

    def next_wait(self, at_least_s: float = 0.0) -> float:
        """Count a failure and tell how long to wait; `at_least_s` is what the server asked for. Then try again."""
        bound_s = min(self._cap_s, self._base_s * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return at_least_s + self._dice() * bound_s

    def lasted(self, held_s: float) -> None:
        """Note how long the connection that has just ended held."""
        if held_s >= STABLE_S:
            self.failures = 0
