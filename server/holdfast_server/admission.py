"""Admission: who may open another request now.

Every count derives from what is open, not from adding and subtracting on the side, so none can leak. Running requests
are never touched: under pressure new ones are refused with a code that says when to come back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast_protocol.errors import ProtocolError

from .journal import Journal
from .stores.base import Change, Key, Owner


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may be open. `user_open_max`: running, queued and waiting requests of one user. `open_max`: of all.
    `live_bytes_max`: text of everything unsealed; at 80 % of it new requests are refused, so that what runs can end."""

    user_open_max: int = 100
    open_max: int = 5_000
    live_bytes_max: int = 512 * 1024 * 1024


class Admission:
    """Counts what is open, per owner and in all, from the journal's own changes."""

    def __init__(self, journal: Journal, bounds: Bounds) -> None:
        self._bounds = bounds
        self._open: dict[Key, int] = {}
        self._per_owner: Counter[Owner] = Counter()
        self._bytes = 0
        self.draining = False
        journal.observe(self._changed)

    @property
    def open_count(self) -> int:
        """Requests without an outcome."""
        return len(self._open)

    @property
    def live_bytes(self) -> int:
        """What unsealed journals hold."""
        return self._bytes

    def check(self, owner: Owner, count: int = 1) -> None:
        """Whether `count` more may be opened. Raises: ProtocolError draining, overloaded, too_many_requests."""
        bounds = self._bounds
        if self.draining:
            raise ProtocolError("draining", retry_after_ms=2_000)
        if self._bytes > bounds.live_bytes_max * 0.8 or len(self._open) + count > bounds.open_max:
            raise ProtocolError("overloaded", retry_after_ms=5_000)
        if self._per_owner[owner] + count > bounds.user_open_max:
            raise ProtocolError("too_many_requests", retry_after_ms=5_000)

    def _changed(self, changes: Sequence[Change]) -> None:
        for change in changes:
            log = change.log
            before = self._open.get(log.key)
            if log.sealed or log.erased:
                if before is not None:
                    del self._open[log.key]
                    self._bytes -= before
                    owner = log.key.owner
                    self._per_owner[owner] -= 1
                    if not self._per_owner[owner]:
                        del self._per_owner[owner]
            else:
                if before is None:
                    self._per_owner[log.key.owner] += 1
                self._open[log.key] = log.bytes
                self._bytes += log.bytes - (before or 0)
