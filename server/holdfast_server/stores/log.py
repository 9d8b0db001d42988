"""One journal in this node's memory: its events, its chain of epochs, its state; kept current by its store.

Readers (delivery, doors, the runner's view of its own seal) work on this object without waiting: events are appended by
the store after the commit that made them durable, so nobody sees what the store does not hold. Waiting is for a level:
`wait(past)` returns at once if the tail is already beyond, so no wake-up can be lost (I7).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from holdfast_protocol.cursor import Cursor, CursorFault, Epoch, check_cursor, cursor_at
from holdfast_protocol.events import (
    OUTCOMES,
    Accepted,
    Decided,
    Delta,
    Event,
    Outcome,
    Started,
    ToolCall,
    Usage,
    Waiting,
)
from holdfast_protocol.fold import Fold
from holdfast_protocol.lifecycle import OUTCOME_STATUSES, Status, next_status
from holdfast_protocol.rewrite import text_bytes

from .base import Account, InboxItem, Key, Record, Summary


def next_wait(waiting: Waiting | None, event: Event) -> Waiting | None:
    """The wait that is open after `event`. Dropping output drops it too: no checkpoint stands after an open wait."""
    if isinstance(event, Delta):
        return waiting
    if isinstance(event, Waiting):
        return event
    if isinstance(event, (Decided, *OUTCOMES)) or (isinstance(event, Started) and event.keep != "all"):
        return None
    return waiting


class Log:
    """A journal that can be read. Only its store calls the methods marked so."""

    __slots__ = (
        "__weakref__",
        "_fold",
        "_sealed_waiters",
        "_waiters",
        "accounts",
        "attempt",
        "bytes",
        "chain",
        "compacted",
        "erased",
        "events",
        "inbox",
        "inbox_seen",
        "key",
        "lease",
        "lost",
        "number",
        "outcome",
        "parked",
        "projected", "purged",
        "record",
        "released",
        "starts",
        "status",
        "superseded_at",
        "term",
        "tools",
        "updated_at",
        "usage",
        "version",
        "waiting",
    )  # fmt: skip

    def __init__(self, record: Record, accepted: Accepted) -> None:
        self.key: Key = record.key
        self.record = record
        self.number = 0  # place in the order of opening, given by its store
        self.events: list[Event] = []
        self.chain: list[Epoch] = [Epoch(0, accepted.nonce, 0)]
        self.status: Status = "new"
        self.term = 0
        self.attempt = 0
        self.lease = False  # a live term holds it
        self.released = False  # handed over: the next claim is no recovery
        self.parked = False
        self.waiting: Waiting | None = None  # the wait that is open in the log
        self.accounts: dict[int, Account] = {}  # by term; of a compacted journal they stay with its store
        self.inbox: list[InboxItem] = []
        self.inbox_seen = 0
        self.outcome: Outcome | None = None
        self.starts: list[int] = []  # offsets at which it was taken up
        self.usage: Usage | None = None  # the latest that was said
        self.tools = 0  # calls, those of superseded attempts too: they were made
        self.superseded_at = (
            0  # offset of the last event that dropped output; cursors at or before it get a snapshot
        )
        self.bytes = 0
        self.version = 0
        self.updated_at = record.created_at
        self.projected = False
        self.purged = False  # made from the history: its journal is gone, and with it the places in it
        self.compacted = False
        self.erased = False
        self.lost = False  # erased here only because its store lost its past: another log has taken its place
        self._fold: Fold | None = None
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._sealed_waiters: list[tuple[int | None, asyncio.Future[None]]] = []

    def __repr__(self) -> str:
        return f"Log({self.key.request_id}, {self.status}, tail={self.tail}, term={self.term})"

    # -- the store's -----------------------------------------------------------------------------------------

    def extend(self, events: Sequence[Event]) -> None:
        """The store committed these at the tail."""
        for event in events:
            self.status = next_status(self.status, event)
            self.bytes += text_bytes(event)
            if not isinstance(event, Delta):
                self._note(event)
            self.events.append(event)
        if events:
            self.updated_at = max(self.updated_at, events[-1].at)

    def _note(self, event: Event) -> None:
        """What follows from an event, that goes to the tail next, for the journal's state and its row."""
        if isinstance(event, Started):
            self.attempt = event.attempt
            self.starts.append(len(self.events))
            if event.keep != "all":
                self.superseded_at = len(self.events)
        elif isinstance(event, Outcome):
            self.outcome = event
        elif isinstance(event, Usage):
            self.usage = event
        elif isinstance(event, ToolCall):
            self.tools += 1
        self.waiting = next_wait(self.waiting, event)

    def wake(self) -> None:
        """The store has changed this log and is done with it for this commit."""
        if self._waiters:
            ended = self.sealed or self.erased
            due = [waiter for past, waiter in self._waiters if ended or self.tail > past]
            self._waiters = [
                (past, waiter) for past, waiter in self._waiters if not ended and self.tail <= past
            ]
            for waiter in due:
                if not waiter.done():
                    waiter.set_result(None)
        if self._sealed_waiters:
            over = [waiter for term, waiter in self._sealed_waiters if self._is_over(term)]
            self._sealed_waiters = [item for item in self._sealed_waiters if not self._is_over(item[0])]
            for waiter in over:
                if not waiter.done():
                    waiter.set_result(None)

    def _is_over(self, term: int | None) -> bool:
        return self.sealed or self.erased or (term is not None and self.term > term)

    # -- everybody's -----------------------------------------------------------------------------------------

    @property
    def tail(self) -> int:
        """The offset that the next event will get."""
        return len(self.events)

    @property
    def sealed(self) -> bool:
        """Whether the outcome is there; then the log never changes again."""
        return self.status in OUTCOME_STATUSES

    def cursor(self, offset: int | None = None) -> Cursor:
        """The cursor at an offset that the log holds, or at the tail."""
        return cursor_at(self.chain, self.tail if offset is None else offset)

    def check(self, cursor: Cursor) -> CursorFault | None:
        """Whether the cursor belongs to this log."""
        return check_cursor(self.chain, self.tail, cursor)

    def superseded(self, offset: int) -> bool:
        """Whether output before `offset` was dropped by something at or after it: a snapshot is then the shorter way.
        Nothing is ever dropped at offset 0, where the log begins, so 0 says that nothing was."""
        return 0 < self.superseded_at >= offset

    def fold(self) -> Fold:
        """The fold at the tail, kept between calls and moved on by what is new. Read it; do not change it."""
        if self._fold is None:
            self._fold = Fold()
        if self._fold.offset < self.tail:
            for event in self.events[self._fold.offset :]:
                self._fold.apply(event)
        return self._fold

    def forget_fold(self) -> None:
        """Free what `fold` holds; it can be made again."""
        self._fold = None

    def summary(self) -> Summary:
        """The request's row."""
        record = self.record
        asked = record.text or next(
            (message.text for message in reversed(record.messages) if message.role == "user"), ""
        )
        return Summary(
            key=self.key, agent=record.agent, status=self.status, chat_id=record.chat_id,
            message_id=record.message_id, parent_id=record.parent_id, created_at=record.created_at,
            updated_at=self.updated_at, attempt=self.attempt, version=self.version, text=asked[:200],
            outcome=self.outcome, projected=self.projected, number=self.number,
            started_at=self.events[self.starts[0]].at if self.starts else None,
            usage=self.usage, tools=self.tools,
        )  # fmt: skip

    async def wait(self, past: int) -> None:
        """Return when the tail is beyond `past`, or nothing more will come. Cancelling is harmless."""
        if self.tail > past or self.sealed or self.erased:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((past, waiter))
        try:
            await waiter
        finally:
            self._waiters = [item for item in self._waiters if item[1] is not waiter]

    async def wait_sealed(self, term: int | None = None) -> None:
        """Return when the outcome is there (or the journal was erased), or when a term later than `term` has it."""
        if self._is_over(term):
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sealed_waiters.append((term, waiter))
        try:
            await waiter
        finally:
            if (term, waiter) in self._sealed_waiters:
                self._sealed_waiters.remove((term, waiter))
