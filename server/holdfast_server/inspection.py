"""How often a request was taken up, from its log and its accounts."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from holdfast_protocol.events import Started
from holdfast_protocol.limits import TERMS_MAX
from holdfast_protocol.replies import TermRow

from .stores.base import Account
from .stores.log import Log


def terms_of(log: Log, accounts: Sequence[Account] = ()) -> list[TermRow]:
    """A row for every time at which an attempt or a term began, in order, of more than TERMS_MAX the latest. What a term
    used up is on the last of its rows, so that adding them up counts nothing twice."""
    rows: list[TermRow] = []
    for start in log.starts[-TERMS_MAX:]:
        event = log.events[start]
        assert isinstance(event, Started)
        rows.append(
            TermRow(term=event.term, attempt=event.attempt, start=start, at=event.at, reason=event.reason)
        )
    last = {row.term: place for place, row in enumerate(rows)}
    for account in accounts:
        place = last.get(account.term)
        if place is not None:
            rows[place] = replace(rows[place], running_ms=account.running_ms, usage=account.usage)
    return rows
