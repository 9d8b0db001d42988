"""Projections kept at the tails of logs, for those who ask for the present again and again.

Whoever polls an answer that grows wants the object as it is now: folding the whole log anew each time would cost its length
squared over its life. So a few projections are kept where they stand, moved on by what is new, the longest unused dropped. A
reader of a stream has a projection of its own, for it may be anywhere.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from .projections.base import Asked, Projection
from .stores.log import Log

KEPT_MAX: Final = 256
"""Projections kept; each holds what its answer shows, 2 MiB at most, and mostly a few kB."""

SPAN_EVENTS_MAX: Final = 256
"""Events that are folded in one go; about a millisecond."""

P = TypeVar("P", bound=Projection)


def asked_of(log: Log) -> Asked:
    """The request of a log, as projections know it."""
    record = log.record
    return Asked(
        request_id=log.key.request_id, agent=record.agent, created_at=record.created_at, chat_id=record.chat_id,
        message_id=record.message_id, parent_id=record.parent_id, text=record.text, messages=record.messages,
        options=record.options, envelope=record.envelope,
    )  # fmt: skip


class Reels(Generic[P]):
    """The kept projections of one door. `make` makes a fresh one."""

    def __init__(self, make: Callable[[Asked], P], *, kept_max: int = KEPT_MAX) -> None:
        self._make = make
        self._kept_max = kept_max
        self._kept: OrderedDict[weakref.ref[Log], tuple[P, int]] = OrderedDict()

    def at_tail(self, log: Log) -> P:
        """The log's projection, moved on to its tail. Read it before the next await; do not apply anything to it."""
        place = weakref.ref(log, self._forget)
        projection, done = self._kept.get(place) or (self._make(asked_of(log)), 0)
        for event in log.events[done:]:
            projection.apply(event)
        self._keep(place, projection, log.tail)
        return projection

    async def wound(self, log: Log) -> P:
        """As `at_tail`; a long log is folded in pieces, between which the loop is others'."""
        place = weakref.ref(log, self._forget)
        projection, done = self._kept.get(place) or (self._make(asked_of(log)), 0)
        while log.tail - done > SPAN_EVENTS_MAX:
            end = done + SPAN_EVENTS_MAX
            for event in log.events[done:end]:
                projection.apply(event)
            self._keep(place, projection, end)
            await asyncio.sleep(0)
            # Somebody else may have moved it on meanwhile, or it was dropped and stands here alone.
            projection, done = self._kept.get(place) or (projection, end)
        return self.at_tail(log)

    def _keep(self, place: weakref.ref[Log], projection: P, done: int) -> None:
        self._kept[place] = (projection, done)
        self._kept.move_to_end(place)
        while len(self._kept) > self._kept_max:
            self._kept.popitem(last=False)

    def _forget(self, place: weakref.ref[Log]) -> None:
        self._kept.pop(place, None)
