"""Rows, lists and accounts, read from Redis whenever somebody asks."""

from __future__ import annotations

import asyncio
from heapq import nlargest
from typing import Any, Final
from urllib.parse import quote

import msgspec

from holdfast_server.stores.base import (
    Account,
    Damaged,
    InboxItem,
    Key,
    Owner,
    StoreError,
    Summary,
    UnknownRequest,
)
from holdfast_server.stores.embedded import MARK_DIGITS_MAX

from .calls import Calls
from .keys import TAGS, owner_prefix, prefix_of, tag_in, tag_of
from .link import Call
from .rows import fields_in, inbox_in, summary_in

SCAN_ROWS: Final = 200
"""Rows of a shard looked through at a time for everybody's requests of one chat, which no index has."""

_ACCOUNT: Final = msgspec.msgpack.Decoder(Account)


class Reads:
    """What is not kept in memory."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def head(self, key: Key) -> Summary:
        """The row of one. Raises: UnknownRequest, Damaged, Unavailable."""
        prefix = prefix_of(key)
        row = await self._calls.ask("head", tag_in(prefix), prefix)
        if not row:
            raise UnknownRequest(key.request_id)
        return _summary(prefix, row)

    async def accounts(self, key: Key) -> list[Account]:
        """The accounts of all terms, in order. Raises: Unavailable."""
        prefix = prefix_of(key)
        blobs = await self._calls.ask("accounts", tag_in(prefix), prefix)
        return sorted((_ACCOUNT.decode(blob) for blob in blobs), key=lambda account: account.term)

    async def inbox(self, key: Key) -> list[InboxItem]:
        """What came in from outside, in order. Raises: Unavailable."""
        prefix = prefix_of(key)
        return inbox_in(await self._calls.ask("inbox", tag_in(prefix), prefix))

    async def page(
        self, owner: Owner | None, *, active: bool, chat_id: str | None, limit: int, before: str | None
    ) -> tuple[list[Summary], str | None]:
        """See Store.summaries."""
        numbered = before is not None and before.isdecimal() and len(before) <= MARK_DIGITS_MAX
        below = f"({before}" if numbered else "+inf"
        if owner is None:
            rows = await self._everybody(active, chat_id, limit + 1, below)
        else:
            place = "open" if active else "all" if chat_id is None else f"c:{quote(chat_id, safe='')}"
            chat = quote(chat_id, safe="") if active and chat_id is not None else ""
            answer = await self._calls.ask(
                "rows", tag_of(owner), owner_prefix(owner), place, below, limit + 1, chat
            )
            rows = [_summary(prefix.decode(), row) for prefix, row in answer]
        more = len(rows) > limit > 0
        return rows[:limit], str(rows[limit - 1].number) if more else None

    async def _everybody(self, active: bool, chat_id: str | None, limit: int, below: str) -> list[Summary]:
        """The newest of all shards, merged."""
        count = limit if chat_id is None else SCAN_ROWS
        found: list[Summary] = []
        marks = dict.fromkeys(TAGS, below)
        while marks:
            calls = [
                Call("rows", tag, ("", "open" if active else "all", mark, count, ""))
                for tag, mark in marks.items()
            ]
            answers = await self._calls.many(calls)
            going = {}
            for tag, answer in zip(marks, answers, strict=True):
                if isinstance(answer, StoreError):
                    raise answer
                rows = [_summary(prefix.decode(), row) for prefix, row in answer]
                kept = [row for row in rows if chat_id is None or row.chat_id == chat_id]
                found += kept
                if chat_id is not None and len(rows) == count and len(kept) < limit:
                    going[tag] = f"({rows[-1].number}"
            marks = going
            await asyncio.sleep(0)
        return nlargest(limit, found, key=lambda row: row.number)


def _summary(prefix: str, row: Any) -> Summary:
    try:
        return summary_in(prefix, fields_in(row))
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged("A stored row cannot be read; was it written by a later release?") from error
