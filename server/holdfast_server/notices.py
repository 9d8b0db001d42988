"""Notices: what is worth telling and is in no log: where a queued request stands, trouble with the store.

They can be computed at any time, so nothing is lost with them: once a second what holds now is compared with what each
connection was told last, and the difference is told, at most one of a kind per connection and second. Of several that a
connection follows the one goes first that was told of longest ago.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

import structlog

from holdfast_protocol.pushes import Notice
from holdfast_protocol.queueing import waiting_sentence

from .connection import Connection
from .feed import estimate_ms
from .stores.base import Key, Spot, Unavailable
from .stores.log import Log

EVERY_S: Final = 1.0

LOOKED_AT_MAX: Final = 2_000
"""Requests whose spots are asked for in one look: those whose readers were told longest ago. The others have their turn in
the looks after."""

log_ = structlog.get_logger(__name__)


class Audience(Protocol):
    """Who follows what, and how to tell them: Delivery."""

    def following(self) -> Iterable[tuple[Log, list[Connection]]]:
        """The logs that are followed, and by whom."""

    def notify(self, notice: Notice, connections: list[Connection] | None = None) -> None:
        """Tell these, or all."""


class Notices:
    """Run `run` as a task."""

    def __init__(
        self,
        audience: Audience,
        spots: Callable[[Sequence[Key]], Awaitable[dict[Key, Spot]]],
        trouble: Callable[[], str | None],
    ) -> None:
        """`spots`: where requests stand that wait for a slot."""
        self._audience = audience
        self._spots = spots
        self._trouble = trouble
        self._told_trouble: str | None = None
        self._looks = 0
        self._looked: dict[Log, int] = {}  # in which look, of what is queued and followed now
        self._told: dict[Connection, dict[Log, _Told]] = {}  # of the same: in which look, and what

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.look()
            except Exception:  # a bug in one look must not end all the later ones
                log_.exception("notices failed; the next look goes on")

    async def look(self) -> None:
        """Tell what has changed since the last look."""
        self._looks += 1
        trouble = self._trouble()
        if trouble != self._told_trouble:
            self._told_trouble = trouble
            self._audience.notify(Notice(kind="storage", message=trouble or "The store takes writes again."))
        followed = [log for log, _ in self._audience.following() if log.status == "queued"]
        followed.sort(key=lambda log: self._looked.get(log, 0))
        asked = followed[:LOOKED_AT_MAX]
        spots: dict[Key, Spot] = {}
        if asked:
            with suppress(Unavailable):  # it is said above, and by the place that is not told
                spots = await self._spots([log.key for log in asked])
        self._looked = {log: self._looked.get(log, 0) for log in followed} | dict.fromkeys(asked, self._looks)
        before, self._told = self._told, {}
        new: dict[Connection, list[tuple[int, Log, Notice]]] = {}
        for log, connections in self._audience.following():  # as it is now: asking took its time
            if log.status != "queued" or log not in self._looked:
                continue
            spot = spots.get(log.key)
            notice = None if spot is None else _notice(log, spot)
            for connection in connections:
                told = before.get(connection, {}).get(log)
                if told is not None:
                    self._told.setdefault(connection, {})[log] = told
                if notice is not None and (told is None or told.said != _said(notice)):
                    new.setdefault(connection, []).append((told.look if told else 0, log, notice))
        for connection, notices in new.items():
            _, log, notice = min(notices, key=lambda one: one[0])
            self._told.setdefault(connection, {})[log] = _Told(self._looks, _said(notice))
            self._audience.notify(notice, [connection])


class _Told(NamedTuple):
    look: int
    said: tuple[object, ...]


def _said(notice: Notice) -> tuple[object, ...]:
    """What makes it worth saying again; an estimate counts as people are told it, in round figures."""
    return notice.place, notice.reason, notice.message


def _notice(log: Log, spot: Spot) -> Notice:
    """What is told of it."""
    estimate = estimate_ms(spot)
    return Notice(
        kind="place", request_id=log.key.request_id, place=spot.place, reason=spot.reason, estimate_ms=estimate,
        message=waiting_sentence(spot.place, spot.reason, estimate),
    )  # fmt: skip
