"""The simulated loop of a world whose servers are killed: what failed in a dead process, nobody could have looked at."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.support.simloop import Process, SimLoop
from tests.support.simprocess import current_process


class WorldLoop(SimLoop):
    """A commit may fail in the very turn in which its process is killed: whoever waits for it is never told, and that is
    no failure that went unseen."""

    def __init__(self, seed: int, *, turns_max: int, record: bool) -> None:
        super().__init__(seed, turns_max=turns_max, record=record)
        self._owners: dict[int, Process] = {}  # of futures, by their number

    def create_future(self) -> asyncio.Future[Any]:
        future = super().create_future()
        process = current_process()
        if process is not None:
            self._owners[self._numbers] = process
        return future

    def _collect_unseen(self) -> None:
        for number, ref in list(self._born.items()):
            owner, future = self._owners.get(number), ref()
            if future is not None and (getattr(future, "killed", False) or (owner and not owner.alive)):
                future._log_traceback = False
        super()._collect_unseen()
