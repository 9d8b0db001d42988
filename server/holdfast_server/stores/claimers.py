"""Who waits for something to claim: woken by the level, by whatever made it true, or by time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from .journals import Journals, look

LOOK_S_MAX: Final = 1.0
"""How late a wait's expiry or a `not_before` may be seen: the clock may be set, so no timer is trusted for longer."""


class Claimers:
    """Looks after each commit, and when the next time is due, as long as anybody waits."""

    def __init__(self, journals: Journals, now_ms: Callable[[], int]) -> None:
        self._journals = journals
        self._now_ms = now_ms
        self._waiters: list[asyncio.Future[None]] = []
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self) -> None:
        """Return when a claim may find something."""
        while not self.claimable():
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            self._arm()
            try:
                await waiter
            finally:
                self._waiters.remove(waiter)

    def claimable(self) -> bool:
        """Whether a hint that holds is there; those that do not hold are filed where they belong."""
        journals, ready, now = self._journals, self._journals.ready, self._now_ms()
        ready.due(now)
        while (number := ready.first()) is not None:
            journal = journals.by_number.get(number)
            if journal is None:
                ready.drop(number)
                continue
            seen = look(journal, now)
            before = journals.by_key.get(seen.after) if seen.after is not None else None
            waits_for = seen.after if before is not None and not before.sealed else None
            if seen.claimable and waits_for is None:
                return True
            turn = ready.drop(number)
            assert turn is not None
            if waits_for is not None:
                ready.follow(waits_for, turn)
            elif seen.at is not None:
                ready.at(seen.at, turn)
        return False

    def look(self) -> None:
        """Wake them if there is something; else look again when time may bring it."""
        if self._waiters:
            if self.claimable():
                for waiter in self._waiters:
                    if not waiter.done():
                        waiter.set_result(None)
            self._arm()

    def _due(self) -> None:
        self._timer = None
        self.look()

    def _arm(self) -> None:
        when = self._journals.ready.next_at
        if self._timer is None and when is not None:
            delay_s = min(LOOK_S_MAX, max(0.0, (when - self._now_ms()) / 1000))
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._due)

    def close(self) -> None:
        """Let go of who still waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for waiter in self._waiters:
            waiter.cancel()
