"""Which requests of a list are shown: a condition on their rows, and how far one command looks for them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.lifecycle import LIVE_STATUSES, Status

from .feed import title_of
from .stores.base import Summary

SCANNED_ROWS_MAX: Final = 1_000
"""Rows that one command looks at: about as much work as a long page; what it did not reach, the next command does."""

SCANNED_AT_ONCE: Final = 200
"""Rows read from the store at a time."""

MARK_DIGITS_MAX: Final = 18
"""Of a number that a database holds; a longer mark is none of ours."""

Page = tuple[list[Summary], str | None]


class Filter(NamedTuple):
    """What is asked of a request: one of these statuses (none: any), this agent, this in its title, at least one tool
    call, this chat."""

    status: frozenset[Status] = frozenset()
    agent: str | None = None
    text: str | None = None
    tools: bool = False
    chat_id: str | None = None

    @property
    def live(self) -> bool:
        """Whether only requests without an outcome can fit: they are in memory, and few."""
        return bool(self.status) and self.status <= LIVE_STATUSES

    def fits(self, row: Summary) -> bool:
        """Whether the request is one of those."""
        return (
            (not self.status or row.status in self.status)
            and (self.agent is None or row.agent == self.agent)
            and (not self.tools or row.tools > 0)
            and (self.chat_id is None or row.chat_id == self.chat_id)
            and (self.text is None or self.text.casefold() in title_of(row).casefold())
        )


EVERY: Final = Filter()


def check_mark(before: str | None) -> None:
    """A mark is the number of a page's last request. Raises: ProtocolError `invalid` for what is none."""
    if before is not None and re.fullmatch(rf"[0-9]{{1,{MARK_DIGITS_MAX}}}", before) is None:
        raise ProtocolError(
            "invalid", "`before` is not a mark that this server gave; begin again with the first page."
        )


async def filtered(
    read: Callable[[int, str | None], Awaitable[Page]], which: Filter, limit: int, before: str | None
) -> Page:
    """Up to `limit` of the rows that fit, and the mark to go on from; fewer where SCANNED_ROWS_MAX were looked at.
    `read(limit, before)` gives a page of all of them."""
    if which == EVERY:
        return await read(limit, before)
    found: list[Summary] = []
    for _ in range(0, SCANNED_ROWS_MAX, SCANNED_AT_ONCE):
        rows, before = await read(SCANNED_AT_ONCE, before)
        for place, row in enumerate(rows):
            if which.fits(row):
                found.append(row)
                if len(found) == limit:
                    more = before is not None or place + 1 < len(rows)
                    return found, str(row.number) if more else None
        if before is None:
            break
    return found, before
