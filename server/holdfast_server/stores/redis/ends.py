"""What this node has ended not long ago: a failover may take the end with it, and then this node writes it again.

An end was shown, or a caller was told that it stands. Of an answer that this node wrote it is known under which claim; an
end from outside has none of its own, and is written again behind what its journal held, under the term of that time. If
another has gone on under a later term meanwhile, an answer's end is not the end any more, but who was told that a request
is cancelled was told so for good: it is ended anew, wherever it is then.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final, NamedTuple

from holdfast_server.stores.base import Claim
from holdfast_server.stores.log import Log

from .shelf import Shelf

ENDED_S: Final = 30.0
"""How long an end is kept: a failover that takes it along has been seen by then."""

ENDED_MAX: Final = 1000
"""And how many of them."""


class _End(NamedTuple):
    claim: Claim
    outside: bool


class Ends:
    """They stay in memory for as long; that they are asked after each second is `Place.ended_at`."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._ends: OrderedDict[Log, _End] = OrderedDict()

    def keep(self, claim: Claim) -> None:
        """This node's run of it ended it."""
        self._keep(claim.log, _End(claim, outside=False))

    def keep_outside(self, journal: Log) -> None:
        """This node ended it though it does not run it."""
        epoch = journal.chain[-1]
        if self._shelf.place(journal).ends[-1:] == [journal.tail]:  # else it cannot be written as it was
            claim = Claim(journal, epoch.term, epoch.nonce, epoch.start, "recovered")
            self._keep(journal, _End(claim, outside=True))

    def claim(self, journal: Log) -> Claim | None:
        """What to write it under, if it is kept."""
        end = self._ends.get(journal)
        return end.claim if end is not None else None

    def stands(self, journal: Log) -> bool:
        """Whether somebody was told that it ended for good."""
        end = self._ends.get(journal)
        return end is not None and end.outside

    def forget(self, journal: Log) -> None:
        """It is not this node's to write any more."""
        if self._ends.pop(journal, None) is not None:
            self._shelf.place(journal).ended_at = None

    def _keep(self, journal: Log, end: _End) -> None:
        now = asyncio.get_running_loop().time()
        self._shelf.place(journal).ended_at = now
        self._ends[journal] = end
        while self._ends:
            oldest = next(iter(self._ends))
            since = self._shelf.place(oldest).ended_at or 0.0
            if len(self._ends) <= ENDED_MAX and since > now - ENDED_S:
                break
            self.forget(oldest)
