"""What a node does by the clock: erasing what was deleted, compaction, purge. None of it waits for another that fails: a
history that takes nothing must not keep the journals from making room.

Where several nodes share a store each does all of this. Each step is harmless when it is done twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from .outages import Outage

log = structlog.get_logger(__name__)

Work = Callable[[], Awaitable[object]]

SWEEP_S: Final = 5.0


async def sweep(often: Sequence[Work], seldom: Sequence[Work], *, every_s: float, seldom_s: float) -> None:
    """Do the one every `every_s` seconds, and the other every `seldom_s`, until cancelled."""
    clock = asyncio.get_running_loop().time
    seldom_at = clock() + seldom_s
    frequent, rare = [_watched(work) for work in often], [_watched(work) for work in seldom]
    while True:
        await asyncio.sleep(every_s)
        due = list(frequent)
        if clock() >= seldom_at:
            seldom_at = clock() + seldom_s
            due += rare
        for work, outage in due:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - it is logged, and nobody else's work waits for it
                outage.failed(error)
            else:
                outage.over()


def _watched(work: Work) -> tuple[Work, Outage]:
    """With what is said of its failures: whose it is, and what it does."""
    name = getattr(work, "__qualname__", repr(work)).rpartition("<locals>.")[2]
    return work, Outage(log, "sweep failed; it is tried again", "sweep works again", work=name)


class Health:
    """Whether something that is asked every now and then answers. `run` is its life; the log tells when it does not, and when
    it does again."""

    def __init__(
        self, ask: Work, what: str, outage: Outage, *, every_s: float = 2.0, patience_s: float = 4.0
    ) -> None:
        """`what` is the name that people are told, `outage` has the words for whoever runs it."""
        self._ask = ask
        self._what = what
        self._outage = outage
        self._every_s = every_s
        self._patience_s = patience_s
        self.trouble: str | None = None

    async def run(self) -> None:
        """Ask, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self._patience_s):
                    await self._ask()
            except TimeoutError:
                self.trouble = f"{self._what} does not answer"
                self._outage.failed(self.trouble)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told to people, and asked again
                self.trouble = str(error)
                self._outage.failed(error)
            else:
                self.trouble = None
                self._outage.over()
            await asyncio.sleep(self._every_s)
