"""Opens again what was accepted and whose journal is not there: the store of live journals has lost it, or the node that
accepted it died before it had opened it.

What was acknowledged is in the history, which outlives that store. The newest are looked at in every sweep, for it is the
latest writes that a failover takes; the others in turn, and all at once after a log was found to have lost its past. What is
not there is looked at twice: the node that runs it has all of it, and writes it again within a lease. A journal that is opened again is another one: it has another nonce, so no cursor of the lost one is good in it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import msgspec
import structlog

from holdfast_protocol.events import Accepted
from holdfast_protocol.lifecycle import OUTCOME_STATUSES, Status

from .stores.base import (
    Damaged,
    Key,
    Owner,
    Record,
    Store,
    Summary,
    TooManyOpen,
    Unavailable,
    UnknownRequest,
)
from .stores.log import Log

AFTER_MS: Final = 5_000
"""How long the node that accepts a request may take to open it."""

NEWEST: Final = 200
"""The newest that every sweep looks at, a row each."""

IN_TURN: Final = 300
"""And of the others, at a time."""

IDLE_PAGES: Final = 10
"""So many times of which little was over, in one sweep: young ones, or those that wait for people. Where most was over the
sweep goes on, so that rows are noted as fast as requests end."""

SWEEP_S: Final = 2.0
"""But for no longer than this."""

ENDED_MS: Final = 60_000
"""How long after its end a request is noted as ended: by then its journal is on the replicas, and in the history."""

AT_ONCE: Final = 50
"""Rows asked for at a time: one pipeline."""

MISSING_MAX: Final = 10_000
"""Keys kept from one sweep to the next; what is beyond is found by a later one."""

log = structlog.get_logger(__name__)


class Rows(Protocol):
    """Where requests are accepted. Every call may raise Unavailable."""

    async def open_keys(
        self, before_ms: int, limit: int, after: tuple[int, Key] | None = None
    ) -> list[tuple[int, Key]]:
        """Those accepted before then and not noted as ended, newest first."""

    async def hold(self, key: Key) -> tuple[Record, Accepted] | None:
        """What was accepted, unless it is noted as ended; whoever accepted it does not take it back any more."""

    async def ended(self, keys: Sequence[Key]) -> None:
        """These have their outcome."""


class Reopening:
    """One node's; all nodes do it, and the same journal opened by two is one."""

    def __init__(
        self,
        rows: Rows,
        store: Store,
        *,
        reopen: Callable[[Record, Accepted, str], Awaitable[str | None]],
        purged_status: Callable[[Owner, str], Awaitable[tuple[Status, str | None]]],
        now_ms: Callable[[], int],
        nonce: Callable[[], str] = lambda: secrets.token_hex(4),
    ) -> None:
        """`reopen`: as Shared.reopen. `purged_status` is the history's word on requests whose journal is gone."""
        self._rows = rows
        self._store = store
        self._reopened = reopen
        self._purged_status = purged_status
        self._now_ms = now_ms
        self._nonce = nonce
        self._after: tuple[int, Key] | None = None
        self._missing: dict[Key, None] = {}
        self._all = True  # a node that starts may be the first after a failure
        self._failure: Unavailable | None = None  # why some were passed over in this sweep
        self._begin_at = 0  # at which of the newest: behind the last, where a sweep did not come to all

    def lost(self, _: Log) -> None:
        """The store has lost something: look at everything."""
        self._all = True

    async def sweep(self) -> None:
        """Look at some; what lies on a server that is away keeps nobody waiting, and its turn comes again. Raises: StoreError,
        then too."""
        self._failure = None
        await self._sweep()
        if self._failure is not None:
            raise self._failure

    async def _sweep(self) -> None:
        before = self._now_ms() - AFTER_MS
        missing, self._missing = self._missing, {}
        await self._look(list(missing), again=True)
        newest = await self._rows.open_keys(before, NEWEST)
        keys = [key for _, key in newest if key not in missing]
        first = self._begin_at if self._begin_at < len(keys) else 0
        _, looked = await self._look([*keys[first:], *keys[:first]])
        self._begin_at = (first + looked) % len(keys) if keys else 0
        if len(newest) < NEWEST:
            self._all, self._after = False, None
            return
        everything, self._all = self._all, False
        after: tuple[int, Key] | None = newest[-1] if everything or self._after is None else self._after
        clock = asyncio.get_running_loop().time
        began, idle = clock(), 0
        try:
            while after is not None:
                some = await self._rows.open_keys(before, IN_TURN, after)
                rest = [place for place in some if place[1] not in missing]
                over, looked = await self._look([key for _, key in rest])
                after = some[-1] if len(some) == IN_TURN else None
                if looked < len(rest):
                    after = rest[looked - 1]
                idle += over * 2 < len(some)
                slow = not everything or self._failure is not None  # what is away is waited for
                if slow and (idle >= IDLE_PAGES or clock() - began > SWEEP_S):
                    break
        except BaseException:
            self._all = everything
            raise
        self._after = after

    async def _look(self, keys: Sequence[Key], *, again: bool = False) -> tuple[int, int]:
        """How many of them were over, and at how many it looked: those behind are left where that takes too long."""
        ended: list[Key] = []
        looked = 0
        clock = asyncio.get_running_loop().time
        began = clock()
        for first in range(0, len(keys), AT_ONCE):
            if first and self._failure is not None and clock() - began > SWEEP_S:
                if again:
                    self._missing = dict.fromkeys(keys[first:]) | self._missing
                break
            some = keys[first : first + AT_ONCE]
            looked += len(some)
            heads = await asyncio.gather(*map(self._store.head, some), return_exceptions=True)
            for key, head in zip(some, heads, strict=True):
                if isinstance(head, BaseException):
                    await self._without(key, head, again=again)
                elif self._is_over(head):
                    ended.append(key)
        if ended:
            await self._rows.ended(ended)
        return len(ended), looked

    async def _without(self, key: Key, why: BaseException, *, again: bool) -> None:
        """The store has no row of it, or could not say. Raises: what neither passes nor stays as it is."""
        if isinstance(why, UnknownRequest):
            if again:
                await self._reopen(key)
            elif len(self._missing) < MISSING_MAX:
                self._missing[key] = None
        elif isinstance(why, Unavailable):
            self._failure = why
            if again:
                self._missing[key] = None
        elif not isinstance(why, Damaged):
            raise why

    def _is_over(self, head: Summary) -> bool:
        """Whether nobody will need the acceptance any more."""
        kept = head.projected or head.chat_id is None
        return kept and head.outcome is not None and head.outcome.at < self._now_ms() - ENDED_MS

    async def _reopen(self, key: Key) -> None:
        if await self._is_answered(key):
            await self._rows.ended([key])
            return
        try:
            erased: str | None = ""
            for _ in range(2):
                found = await self._rows.hold(key)
                if found is None:
                    return
                record, accepted = found
                accepted = msgspec.structs.replace(accepted, nonce=self._nonce())
                erased = await self._reopened(record, accepted, erased or "")
                if erased is None:
                    break  # it is open; else it was accepted since its erasure, if it still is when that is known
            else:
                return
        except TooManyOpen:
            return  # some of its owner's come first
        log.warning("an accepted request was opened again", request_id=key.request_id)

    async def _is_answered(self, key: Key) -> bool:
        """Whether it has ended, and the history has its outcome: it is not done again."""
        try:
            status, _ = await self._purged_status(key.owner, key.request_id)
        except UnknownRequest:
            return False
        return status in OUTCOME_STATUSES
