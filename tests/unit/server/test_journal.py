"""Where a reader begins, and what a snapshot is."""

import pytest

from holdfast_protocol.cursor import Epoch
from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.events import Accepted, Delta, PartDone, PartStarted, Started
from holdfast_protocol.fold import Fold
from holdfast_server.journal import digest, place, snapshot
from holdfast_server.stores.base import Key, Record
from holdfast_server.stores.log import Log


def log_of(*events):
    """A log of its own making: term 0, then a term for each Started."""
    accepted = Accepted(at=1, nonce="aaaaaaaa", agent="demo")
    record = Record(key=Key("", "ada", "r1"), body_hash=b"", agent="demo", created_at=1)
    log = Log(record, accepted)
    log.extend([accepted])
    for event in events:
        if isinstance(event, Started):
            log.chain.append(Epoch(event.term, event.nonce, log.tail))
        log.extend([event])
    return log


def started(term, keep="all", attempt=1):
    return Started(at=2, attempt=attempt, term=term, nonce=f"{term:08x}", keep=keep)


TEXT = (
    PartStarted(at=3, part=0, kind="text"),
    Delta(at=4, part=0, text="hold"),
    Delta(at=5, part=0, text="fast"),
)


def test_without_a_cursor_it_begins_with_a_snapshot():
    """And says so."""
    assert place(log_of(), None) == (0, "start")


def test_every_cursor_of_this_log_is_a_place_in_it():
    """At every offset, also one of an earlier term, also the very beginning: nothing is sent twice, nothing is left out."""
    log = log_of(started(1), *TEXT, started(2))
    for offset in range(log.tail + 1):
        assert place(log, str(log.cursor(offset))) == (offset, None)
    assert place(log, "0-0.aaaaaaaa") == (0, None)
    assert place(log, "1-0.aaaaaaaa") == (1, None)


@pytest.mark.parametrize(
    ("cursor", "reason"),
    [
        ("3-1.ffffffff", "unknown_epoch"),
        ("3-9.00000001", "unknown_epoch"),
        ("99-2.00000002", "ahead"),
        ("6-1.00000001", "ahead"),
        ("2-0.aaaaaaaa", "ahead"),
    ],
)
def test_a_cursor_that_does_not_belong_here_is_told_so(cursor, reason):
    """Never a silent clamp: of another life, beyond the tail, or beyond what its own epoch wrote."""
    log = log_of(started(1), *TEXT, started(2))
    assert place(log, cursor) == (0, reason)


def test_behind_dropped_output_there_is_a_snapshot():
    """A reader that may have shown what was dropped begins anew; one that has seen the drop does not."""
    log = log_of(started(1), *TEXT, started(2, keep="none", attempt=2))
    for offset in range(6):
        assert place(log, str(log.cursor(offset))) == (0, "superseded")
    assert place(log, str(log.cursor(6))) == (6, None)


def test_a_purged_log_says_so_to_old_cursors():
    """The places in it are gone with it."""
    log = log_of(started(1), *TEXT)
    log.purged = True
    assert place(log, "3-1.ffffffff") == (0, "purged")


def test_what_is_no_cursor_is_an_error():
    """A client is told, not guessed at."""
    with pytest.raises(ProtocolError):
        place(log_of(), "3")


def test_a_snapshot_folds_to_the_same_and_counts_the_same():
    """With its digest; and costs what is shown, not what was streamed."""
    log = log_of(started(1), *TEXT, PartDone(at=6, part=0))
    events = snapshot(log)
    fold = Fold().apply_all(events)
    assert fold.transcript() == log.fold().transcript()
    assert fold.digest() == digest(log)
    assert sum(event.span for event in events) == log.tail
