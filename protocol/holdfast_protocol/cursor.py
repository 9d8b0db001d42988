"""Cursors and the epoch chain: how a reader proves that its place belongs to this log.

A cursor is the next offset wanted, with the epoch it was handed out under. An epoch is (term, nonce): term 0 is drawn
when the journal is opened, each later one when it is claimed. All epochs of a journal, each with the offset at which it
begins, form its chain. A cursor is good if its epoch is in the chain and its offset is not beyond the place where the
next epoch begins (or the tail). So a cursor of an earlier term stays good, while one of a log that was lost, made anew
under the same id, or that is ahead of what the log holds is recognised even after the new log has outgrown it.

On the wire a cursor is one opaque string, `<offset>-<term>.<nonce>`, the same through every door.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from .errors import ProtocolError
from .limits import OFFSET_MAX

CursorFault = Literal["unknown_epoch", "ahead"]

_CURSOR: Final = re.compile(r"([0-9]{1,16})-([0-9]{1,16})\.([0-9a-f]{8,32})", re.ASCII)


class Epoch(NamedTuple):
    """One life of a journal's writer: the term, its random nonce (hex), and the offset at which it begins."""

    term: int
    nonce: str
    start: int


class Cursor(NamedTuple):
    """The next offset wanted, and the epoch it was handed out under."""

    offset: int
    term: int
    nonce: str

    def __str__(self) -> str:
        """The wire form."""
        return f"{self.offset}-{self.term}.{self.nonce}"


def parse_cursor(text: str) -> Cursor:
    """Read the wire form. Raises: ProtocolError `invalid` if it is not one."""
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise ProtocolError("invalid", "That is not a cursor; send back exactly what the server gave you.")
    offset, term = int(match[1]), int(match[2])
    if offset > OFFSET_MAX or term > OFFSET_MAX:
        raise ProtocolError("invalid", "That cursor is out of range.")
    return Cursor(offset, term, match[3])


def cursor_at(chain: list[Epoch], offset: int) -> Cursor:
    """The cursor for an offset that the log holds (or its tail), under the latest epoch that begins at or before it."""
    for epoch in reversed(chain):
        if epoch.start <= offset:
            return Cursor(offset, epoch.term, epoch.nonce)
    raise AssertionError("a chain begins at offset 0")


def check_cursor(chain: list[Epoch], tail: int, cursor: Cursor) -> CursorFault | None:
    """Whether the cursor belongs to this log: None if good, else why not. Never clamps."""
    for index, epoch in enumerate(chain):
        if (epoch.term, epoch.nonce) == (cursor.term, cursor.nonce):
            end = chain[index + 1].start if index + 1 < len(chain) else tail
            return None if cursor.offset <= end else "ahead"
    return "unknown_epoch"
