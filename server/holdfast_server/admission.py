"""Admission: who may open another request now.

Every count derives from what is open, not from adding and subtracting on the side, so none can leak. Running requests
are never touched: under pressure new ones are refused with a code that says when to come back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import msgspec

from holdfast_protocol.errors import ProtocolError

from .journal import Journal
from .stores.base import Change, Key, Owner, Record
from .stores.log import Log
from .submissions import texts_of

SHED_AT: Final = 0.8
"""Of the memory bound: what runs has the rest to end in."""

START_ROWS: Final = 500
"""Requests read at once when the server starts."""

_ENCODER: Final = msgspec.msgpack.Encoder()


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may be open. `user_open_max`: running, queued and waiting requests of one user. `open_max`: of all.
    `live_bytes_max`: what everything unsealed was asked and has answered; at SHED_AT of it new requests are refused, so
    that what runs can end."""

    user_open_max: int = 100
    open_max: int = 5_000
    live_bytes_max: int = 512 * 1024 * 1024


class Admission:
    """Counts what is open, per owner and in all, from the journal's own changes."""

    def __init__(self, journal: Journal, bounds: Bounds) -> None:
        self._journal = journal
        self._bounds = bounds
        self._open: dict[Key, tuple[Log, int, int]] = {}  # with the bytes asked, and those answered
        self._per_owner: Counter[Owner] = Counter()
        self._opening: Counter[Owner] = Counter()
        self._bytes = 0
        self.draining = False
        journal.observe(self._changed)

    async def start(self) -> None:
        """Count what an earlier life of the server left open. After the store's start. Raises: Unavailable."""
        found: list[Log] = []
        before: str | None = None
        while True:
            rows, before = await self._journal.summaries(None, active=True, limit=START_ROWS, before=before)
            found += [log for row in rows if (log := self._journal.live(row.key)) is not None]
            if before is None:
                break
        for log in reversed(found):  # they come newest first
            self._count(log)

    @property
    def open_count(self) -> int:
        """Requests without an outcome."""
        return len(self._open)

    def queued(self) -> list[Log]:
        """What waits for its first slot, oldest first."""
        return [log for log, _, _ in self._open.values() if log.status == "queued"]

    @property
    def live_bytes(self) -> int:
        """What unsealed journals hold."""
        return self._bytes

    @contextmanager
    def place(self, owner: Owner) -> Iterator[None]:
        """A place for one more, held while it is being opened, so that many at once cannot pass the bound together.
        Raises: ProtocolError draining, overloaded, too_many_requests."""
        bounds = self._bounds
        if self.draining:
            raise ProtocolError("draining", retry_after_ms=2_000)
        opening = self._opening
        full = len(self._open) + opening.total() >= bounds.open_max
        if full or self._bytes > bounds.live_bytes_max * SHED_AT:
            raise ProtocolError("overloaded", retry_after_ms=5_000)
        if self._per_owner[owner] + opening[owner] >= bounds.user_open_max:
            raise ProtocolError("too_many_requests", retry_after_ms=5_000)
        opening[owner] += 1
        try:
            yield
        finally:
            opening[owner] -= 1
            if not opening[owner]:
                del opening[owner]

    def _changed(self, changes: Sequence[Change]) -> None:
        for change in changes:
            self._count(change.log)

    def _count(self, log: Log) -> None:
        known = self._open.get(log.key)
        if log.sealed or log.erased:
            if known is not None:
                del self._open[log.key]
                self._bytes -= known[1] + known[2]
                owner = log.key.owner
                self._per_owner[owner] -= 1
                if not self._per_owner[owner]:
                    del self._per_owner[owner]
            return
        if known is None:
            self._per_owner[log.key.owner] += 1
            asked = _asked_bytes(log.record)
            self._bytes += asked + log.bytes
        else:
            asked = known[1]
            self._bytes += log.bytes - known[2]
        self._open[log.key] = (log, asked, log.bytes)


def _asked_bytes(record: Record) -> int:
    """What is kept of the question while it is open."""
    texts = [record.text or "", *texts_of(record.messages)]
    free = len(_ENCODER.encode((record.options, record.envelope)))
    return free + sum(len(text) if text.isascii() else len(text.encode()) for text in texts)
