"""Bugs around the journal: cancel, slots, attempts, the history."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from holdfast_protocol import fold as fold_module
from holdfast_protocol.events import Started
from holdfast_protocol.fold import Fold
from holdfast_protocol.lifecycle import Status
from holdfast_server.journal import Journal
from holdfast_server.projector import Projector
from holdfast_server.requests import Requests
from holdfast_server.runner import Runner
from holdfast_server.stores.base import Key, Owner, Unavailable, key_of
from holdfast_server.stores.log import Log
from tests.simulation.planting import bug
from tests.simulation.server import OWNERS


@bug("cancel")
def cancel_checks_then_acts() -> AbstractContextManager[object]:
    """Cancel looks whether the request runs, then ends it, and says that it has."""

    async def planted(self: Journal, key: Key, code: str = "user", message: str = "") -> tuple[bool, Status]:
        log = await self._store.log(key)
        if log.sealed:
            return False, log.status
        await cancel(self, key)
        return True, "cancelled"

    cancel = Journal.cancel
    return patch.object(Journal, "cancel", planted)


@bug("seen", "verified", "refused", "acknowledged")
def owner_not_asked() -> AbstractContextManager[object]:
    """A request is looked up by its id alone."""
    find = Requests.find

    async def planted(self: Requests, owner: Owner, request_id: str) -> Log:
        for other in OWNERS.values():
            log = self._journal.live(key_of(other, request_id))
            if log is not None:
                return log
        return await find(self, owner, request_id)

    return patch.object(Requests, "find", planted)


@bug("left over", "liveness")
def slot_leaks_on_cancel() -> AbstractContextManager[object]:
    """The slot of a request that somebody stopped is not given back."""
    free = Runner._free

    def planted(self: Runner, task: Any) -> None:
        if self._runs[task].claim.log.status != "cancelled":
            free(self, task)

    return patch.object(Runner, "_free", planted)


@bug("cancel")
def stop_does_not_reach_upstream() -> AbstractContextManager[object]:
    """The request has ended for everybody but the upstream call."""

    async def planted(self: Log) -> None:
        await asyncio.get_running_loop().create_future()

    return patch.object(Log, "wait_sealed", planted)


@bug("text")
def supersede_keeps_text() -> AbstractContextManager[object]:
    """A new attempt's text is shown behind the one it replaces."""

    def planted(self: Fold, event: Started) -> None:
        self.started = event

    return patch.dict(fold_module._STEPS, {Started: planted})


@bug("history")
def projected_before_written() -> AbstractContextManager[object]:
    """A journal is marked as being in the history before the history holds it."""
    project = Projector._project

    async def planted(self: Projector, key: Key) -> bool:
        try:
            return await project(self, key)
        except Unavailable:
            log = self._store.live(key)
            return log is not None and log.sealed

    return patch.object(Projector, "_project", planted)
