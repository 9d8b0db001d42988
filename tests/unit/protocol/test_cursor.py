"""Cursors: which place in which log, and what is said of a place that is not there."""

from __future__ import annotations

import pytest

from holdfast_protocol.cursor import Cursor, Epoch, check_cursor, cursor_at, parse_cursor
from holdfast_protocol.errors import ProtocolError

CHAIN = [Epoch(0, "00000000", 0), Epoch(1, "11111111", 1), Epoch(2, "22222222", 40)]
TAIL = 60


@pytest.mark.parametrize(
    ("cursor", "fault"),
    [
        (Cursor(0, 0, "00000000"), None),
        (Cursor(1, 0, "00000000"), None),
        (Cursor(2, 0, "00000000"), "ahead"),
        (Cursor(1, 1, "11111111"), None),
        (Cursor(40, 1, "11111111"), None),
        (Cursor(41, 1, "11111111"), "ahead"),
        (Cursor(40, 2, "22222222"), None),
        (Cursor(60, 2, "22222222"), None),
        (Cursor(61, 2, "22222222"), "ahead"),
        (Cursor(5, 1, "99999999"), "unknown_epoch"),
        (Cursor(5, 2, "11111111"), "unknown_epoch"),
        (Cursor(0, 3, "33333333"), "unknown_epoch"),
        # Of an earlier term and below where it began: a place that this log does hold.
        (Cursor(0, 2, "22222222"), None),
    ],
    ids=str,
)
def test_where_a_cursor_stands(cursor: Cursor, fault: str | None) -> None:
    """A cursor is good up to where the next epoch begins, also one of an earlier term; else the fault is named."""
    assert check_cursor(CHAIN, TAIL, cursor) == fault


@pytest.mark.parametrize("offset", [0, 1, 39, 40, 60])
def test_cursors_handed_out_are_good(offset: int) -> None:
    """What `cursor_at` gives is read back the same, and is good here and after the log has grown."""
    cursor = cursor_at(CHAIN, offset)
    assert parse_cursor(str(cursor)) == cursor
    assert check_cursor(CHAIN, TAIL, cursor) is None
    assert check_cursor([*CHAIN, Epoch(3, "33333333", TAIL)], TAIL + 9, cursor) is None


def test_cursors_are_of_the_latest_epoch() -> None:
    """At the offset where an epoch begins, the cursor is of that epoch."""
    assert [cursor_at(CHAIN, offset).term for offset in (0, 1, 39, 40)] == [0, 1, 1, 2]


@pytest.mark.parametrize(
    "text",
    ["", "5", "5-1", "5-1.", "-5-1.00000000", "5-1.0000000", "5-1.0000000G", "5-1.ABCDEF00", " 5-1.00000000",
     "5-1.00000000\n", "٥-1.00000000", "5-1." + "0" * 33, "9007199254740992-1.00000000", "99999999999999999-1.00000000",
     "5--1.00000000", "5-9007199254740992.00000000"],
)  # fmt: skip
def test_what_is_no_cursor_is_refused(text: str) -> None:
    """Anything but the wire form is `invalid`, never a guess."""
    with pytest.raises(ProtocolError) as caught:
        parse_cursor(text)
    assert caught.value.code == "invalid"
