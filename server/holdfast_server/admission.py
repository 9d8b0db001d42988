"""Admission: who may open another request now.

Every count derives from what is open, not from adding and subtracting on the side, so none can leak. Running requests
are never touched: under pressure new ones are refused with a code that says when to come back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from weakref import ref

import msgspec

from holdfast_protocol.errors import ProtocolError

from .journal import Journal
from .stores.base import Change, Key, Owner, Record
from .stores.log import Log
from .submissions import texts_of

SHED_AT: Final = 0.8
"""Of the memory bound: what runs has the rest to end in."""

FULL_RETRY_MS: Final = 5_000
"""When a user who has as many requests open as one may should try again: by then one may have ended."""

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
    """Counts what is open, per owner and in all, from the journal's own changes: of what this node has in memory.

    Where several nodes share a store it is the store that knows how many a user has open, and refuses one too many;
    `open_total` then says how many there are on all nodes, as of a moment ago. What this node does not follow any more it
    does not count: an unsealed log leaves its memory only there.
    """

    def __init__(
        self, journal: Journal, bounds: Bounds, *, open_total: Callable[[], int | None] = lambda: None
    ) -> None:
        self._journal = journal
        self._bounds = bounds
        self._open_total = open_total
        self._open: dict[Key, tuple[ref[Log], int, int]] = {}  # with the bytes asked, and those answered
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
        count = max(len(self._open), self._open_total() or 0)
        full = count + opening.total() >= bounds.open_max
        if full or self._bytes > bounds.live_bytes_max * SHED_AT:
            raise ProtocolError("overloaded", retry_after_ms=5_000)
        if self._per_owner[owner] + opening[owner] >= bounds.user_open_max:
            raise ProtocolError("too_many_requests", retry_after_ms=FULL_RETRY_MS)
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
        key = log.key
        known = self._open.get(key)
        if log.sealed or log.erased:
            self._forget(key)
            return
        if known is None:
            self._per_owner[log.key.owner] += 1
            asked = _asked_bytes(log.record)
            self._bytes += asked + log.bytes
        else:
            asked = known[1]
            self._bytes += log.bytes - known[2]
        held = known[0] if known is not None and known[0]() is log else ref(log, lambda _: self._lost(key))
        self._open[key] = (held, asked, log.bytes)

    def _lost(self, key: Key) -> None:
        """A log has left memory; it may have come back as another."""
        known = self._open.get(key)
        if known is not None and known[0]() is None:
            self._forget(key)

    def _forget(self, key: Key) -> None:
        known = self._open.pop(key, None)
        if known is None:
            return
        self._bytes -= known[1] + known[2]
        self._per_owner[key.owner] -= 1
        if not self._per_owner[key.owner]:
            del self._per_owner[key.owner]


def _asked_bytes(record: Record) -> int:
    """What is kept of the question while it is open."""
    texts = [record.text or "", *texts_of(record.messages)]
    free = len(_ENCODER.encode((record.options, record.envelope)))
    return free + sum(len(text) if text.isascii() else len(text.encode()) for text in texts)
