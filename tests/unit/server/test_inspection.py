"""How often a request was taken up: from its log and accounts."""

from __future__ import annotations

from holdfast_protocol import events as ev
from holdfast_protocol.limits import TERMS_MAX
from holdfast_server.inspection import terms_of
from holdfast_server.stores.base import Account
from holdfast_server.stores.log import Log
from tests.support.journals import accepted_of, asked


def log_of(*starts: tuple[int, int, ev.Reason]) -> Log:
    """A log with a start for each (attempt, term, reason), and a word after it."""
    record = asked("r")
    log = Log(record, accepted_of(record))
    log.extend([accepted_of(record)])
    for place, (attempt, term, reason) in enumerate(starts):
        at = 100 * (place + 1)
        log.extend(
            [
                ev.Started(at=at, attempt=attempt, term=term, nonce=f"{term:08x}", reason=reason),
                ev.Usage(at=at, output_tokens=place),
            ]
        )
    return log


def test_every_start_is_a_row() -> None:
    """Attempts and terms, each with its place in the log; what a term used up is counted once."""
    log = log_of((1, 1, "first"), (2, 1, "retry"), (3, 2, "recovered"))
    used = ev.Usage(at=1, output_tokens=9)
    rows = terms_of(log, [Account(term=1, running_ms=50, usage=used), Account(term=7, running_ms=1)])
    assert [(row.attempt, row.term, row.start, row.at, row.reason) for row in rows] == [
        (1, 1, 1, 100, "first"),
        (2, 1, 3, 200, "retry"),
        (3, 2, 5, 300, "recovered"),
    ]
    assert [(row.running_ms, row.usage) for row in rows] == [(0, None), (50, used), (0, None)]


def test_what_was_never_taken_up_has_no_row() -> None:
    """A queued request has no terms."""
    assert terms_of(log_of()) == []


def test_the_latest_are_told() -> None:
    """Of more starts than the bound, the last ones."""
    log = log_of(*((number, number, "retry") for number in range(1, TERMS_MAX + 10)))
    rows = terms_of(log)
    assert (len(rows), rows[-1].term) == (TERMS_MAX, TERMS_MAX + 9)
