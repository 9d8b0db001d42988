"""Puts readers onto the log that takes the place of one whose past the store has lost.

A store that several nodes share may come back without its last writes. What a node still has of such a journal is then not
what the store has, and nobody can say which of it will be there again; so the node lets go of it, and its readers go to what
the store has now, as if they had come back with their cursors: a cursor that is no longer good gets a snapshot and says why.
If the journal is not there at all, it is about to be opened again, for its request was accepted; until then they wait.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from .delivery import Delivery
from .journal import Journal, Place, place
from .peers import Peers
from .stores.base import StoreError, UnknownRequest
from .stores.log import Log
from .tasks import Tasks

LOOK_S: Final = 0.25
"""Between two looks whether the journal is there again: somebody watches."""

GONE_S: Final = 60.0
"""How long it may not be there at all. What was accepted is opened again far sooner, so it was deleted meanwhile."""

log_ = structlog.get_logger(__name__)


class Replacing:
    """One node's."""

    def __init__(self, journal: Journal, delivery: Delivery, peers: Peers) -> None:
        self._journal = journal
        self._delivery = delivery
        self._tasks = Tasks("replacing")
        peers.observe_lost(self._lost)

    async def close(self) -> None:
        """End it; the readers come back."""
        await self._tasks.close()

    def _lost(self, old: Log) -> None:
        if self._delivery.followers(old):
            self._tasks.start(self._replace(old), f"replace {old.key.request_id}")

    async def _replace(self, old: Log) -> None:
        now = asyncio.get_running_loop().time
        gone_at = now() + GONE_S
        while self._delivery.followers(old):
            try:
                new = await self._journal.log(old.key)
            except UnknownRequest:
                if now() >= gone_at:
                    break
            except StoreError:
                gone_at = now() + GONE_S  # nobody knows whether it is there
            else:
                if not new.lost:
                    self._move(old, new)
                    return
            await asyncio.sleep(LOOK_S)
        old.lost = False  # it is just erased
        for source in self._delivery.followers(old):
            self._delivery.wake(source)

    def _move(self, old: Log, new: Log) -> None:
        """All of this happens in one turn of the loop, so nobody is left on the old one."""
        for source in self._delivery.followers(old):
            bearing = source.bearing
            begin = Place(0, "unknown_epoch") if bearing is None else place(new, bearing)
            self._delivery.subscribe(source.lane.connection, new, begin)
        log_.warning("readers were put onto what the store has now", request=old.key.request_id)
