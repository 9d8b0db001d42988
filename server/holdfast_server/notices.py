"""Notices: what is worth telling and is in no log: a queued request's place, trouble with the store.

They can be computed at any time, so nothing is lost with them: once a second what holds now is compared with what each
connection was told last, and the difference is told, at most one of a kind per connection and second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import structlog

from holdfast_protocol.pushes import Notice

from .connection import Connection
from .stores.log import Log

EVERY_S: Final = 1.0

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
        self, audience: Audience, queued: Callable[[], list[Log]], trouble: Callable[[], str | None]
    ) -> None:
        """`queued`: what waits for a slot, in the order in which it will get one."""
        self._audience = audience
        self._queued = queued
        self._trouble = trouble
        self._told_trouble: str | None = None
        self._told: dict[Connection, dict[str, int]] = {}  # only of what is queued and followed now

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                self.look()
            except Exception:  # a bug in one look must not end all the later ones
                log_.exception("notices failed; the next look goes on")

    def look(self) -> None:
        """Tell what has changed since the last look."""
        trouble = self._trouble()
        if trouble != self._told_trouble:
            self._told_trouble = trouble
            self._audience.notify(Notice(kind="storage", message=trouble or "The store takes writes again."))
        followed = [(log, who) for log, who in self._audience.following() if log.status == "queued"]
        if not followed:
            self._told = {}
            return
        places = {log: place for place, log in enumerate(self._queued())}
        before, self._told = self._told, {}
        spoken: set[Connection] = set()
        for log, connections in followed:
            place = places.get(log)
            if place is None:
                continue
            request_id = log.key.request_id
            for connection in connections:
                told = before.get(connection, {}).get(request_id)
                speak = told != place and connection not in spoken
                if speak:
                    told = place
                if told is not None:
                    self._told.setdefault(connection, {})[request_id] = told
                if not speak:
                    continue
                spoken.add(connection)
                notice = Notice(kind="place", request_id=request_id, place=place, message=_sentence(place))
                self._audience.notify(notice, [connection])


def _sentence(place: int) -> str:
    if place == 0:
        return "It is next."
    return f"{place} {'is' if place == 1 else 'are'} before it."
