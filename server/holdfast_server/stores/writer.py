"""The pen of a term: what is put waits here, merged, until the next commit takes it.

Nothing is pushed. A put adds to the pending list and marks the writer dirty; whoever forms a commit takes from all dirty
writers. While nothing is in flight that is within the same turn of the loop, so a first token never waits; while a
commit is in flight what arrives becomes one delta per part, so the disk's own pace decides how much is merged.

What was taken is kept until the commit holds. If the disk refuses it, it goes first into the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from holdfast_protocol.codec import encode_events
from holdfast_protocol.errors import IllegalEvent
from holdfast_protocol.events import Data, Delta, Event, Progress, Waiting
from holdfast_protocol.lifecycle import Status, next_status
from holdfast_protocol.limits import DELTA_BYTES_MAX, EVENT_BYTES_MAX

from .base import Claim, JournalSealed, StoreError

WRITER_PENDING_BYTES_MAX: Final = 64 * 1024
"""Beyond it the agent waits: four full delta events, a few hundred milliseconds of the fastest model's output."""

EVENT_CHARGE_BYTES: Final = 64
"""What an event weighs beside its text."""


class Pending:
    """Events in order, neighbours of one part merged; text in pieces, joined once."""

    __slots__ = ("_at", "_events", "_part", "_pieces", "_size", "bytes")

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._pieces: list[str] = []  # of the delta that is growing
        self._part = -1
        self._size = 0
        self._at = 0
        self.bytes = 0

    def __bool__(self) -> bool:
        return bool(self._events or self._pieces)

    def add_text(self, event: Delta, size: int) -> None:
        """Add to the growing delta, or begin one; `size` is the UTF-8 length."""
        text = event.text
        if event.part != self._part or not self._pieces:
            self._close()
            self._part, self._at = event.part, event.at
        while self._size + size > DELTA_BYTES_MAX:
            head, head_size = _cut(text, DELTA_BYTES_MAX - self._size)
            if head:
                self._pieces.append(head)
                self._size += head_size
                self.bytes += head_size
            text, size = text[len(head) :], size - head_size
            self._close()
            self._part, self._at = event.part, event.at
        if text or not self._pieces:
            self._pieces.append(text)
            self._size += size
            self.bytes += size + (EVENT_CHARGE_BYTES if len(self._pieces) == 1 else 0)

    def add(self, event: Event, size: int) -> None:
        """Add an event; progress or data takes the place of its neighbour on the same part."""
        self._close()
        last = self._events[-1] if self._events else None
        if isinstance(event, Progress | Data) and type(last) is type(event) and last.part == event.part:
            self._events[-1] = event
            self.bytes += size
            return
        self._events.append(event)
        self.bytes += size + EVENT_CHARGE_BYTES

    def _close(self) -> None:
        if self._pieces:
            self._events.append(Delta(at=self._at, part=self._part, text="".join(self._pieces)))
            self._pieces = []
            self._size = 0

    def take(self) -> list[Event]:
        """All of it."""
        self._close()
        events, self._events, self.bytes = self._events, [], 0
        return events


def _cut(text: str, bytes_max: int) -> tuple[str, int]:
    """The longest beginning of `text` that fits, cut between code points, and its UTF-8 length."""
    head = text[:bytes_max]
    if not head.isascii():
        head = head.encode()[:bytes_max].decode(errors="ignore")
    return head, len(head) if head.isascii() else len(head.encode())


class Writer:
    """A LogWriter over a commit queue, which calls the methods marked so."""

    def __init__(self, claim: Claim, dirty: Callable[[Writer], None]) -> None:
        self.key = claim.log.key
        self.term = claim.term
        self.log = claim.log
        self.queued = False  # the commit queue's: it is among the dirty ones
        self._dirty = dirty
        self._status: Status = claim.log.status
        self._pending = Pending()
        self._taken: list[Event] = []
        self._taken_bytes = 0
        self._error: StoreError | IllegalEvent | None = None
        self._round = 0  # how many times the pending list was taken
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []

    def __repr__(self) -> str:
        return f"Writer({self.key.request_id}, term={self.term}, pending={self._pending.bytes})"

    # -- the agent's side ------------------------------------------------------------------------------------

    def put(self, event: Event) -> None:
        """Add an event; shown once durable. Raises: Fenced, JournalSealed, Unavailable, IllegalEvent."""
        if self._error is not None:
            raise self._again(self._error)
        if isinstance(event, Waiting):
            raise IllegalEvent("a wait goes by park, which appends it and gives the lease back in one step")
        status = next_status(self._status, event)
        size = _size(event)
        if isinstance(event, Delta):
            self._pending.add_text(event, size)
        else:
            if size > EVENT_BYTES_MAX:
                raise IllegalEvent(f"{size} bytes in one event; the most is {EVENT_BYTES_MAX}")
            self._pending.add(event, size)
        self._status = status
        if not self.queued:
            self._dirty(self)

    @property
    def congested(self) -> bool:
        return self._pending.bytes + self._taken_bytes >= WRITER_PENDING_BYTES_MAX

    async def room(self) -> None:
        while self._error is None and self.congested:
            await self._until(self._round + 1 if self._pending else self._round)
        if self._error is not None:
            raise self._again(self._error)

    async def flush(self) -> None:
        if self._error is None and (self._pending or self._taken):
            await self._until(self._round + 1 if self._pending else self._round)
        if self._error is not None:
            raise self._again(self._error)

    async def _until(self, round_: int) -> None:
        """Return when what was taken up to this round is durable, or the writer has failed."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (round_, waiter)
        self._waiters.append(entry)
        try:
            await waiter
        finally:
            if entry in self._waiters:
                self._waiters.remove(entry)

    @staticmethod
    def _again(error: StoreError | IllegalEvent) -> StoreError | IllegalEvent:
        """A fresh one each time: an exception that is raised twice collects both stacks."""
        return JournalSealed(error.status) if isinstance(error, JournalSealed) else type(error)(*error.args)

    # -- the commit queue's side -----------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Whether it has not failed."""
        return self._error is None

    def take(self) -> list[Event]:
        """Everything that is not durable yet: what an earlier commit failed with, then what is pending."""
        if self._pending:
            self._taken_bytes += self._pending.bytes
            self._taken.extend(self._pending.take())
            self._round += 1
        return self._taken

    @property
    def waiting_bytes(self) -> int:
        """What `take` would give, in bytes."""
        return self._pending.bytes + self._taken_bytes

    @property
    def unsettled(self) -> bool:
        """Whether something is pending, or taken and not durable."""
        return bool(self._pending or self._taken)

    def committed(self) -> None:
        """What was taken is durable."""
        self._taken, self._taken_bytes = [], 0
        due = [entry for entry in self._waiters if entry[0] <= self._round]
        if due:
            self._waiters = [entry for entry in self._waiters if entry[0] > self._round]
            _resolve(due)

    def fail(self, error: StoreError | IllegalEvent) -> None:
        """Nothing of this term will be written by it any more. IllegalEvent: it is out of step with its journal, and whoever
        runs the request must end it without this writer."""
        if self._error is None:
            self._error = error
            self._taken, self._taken_bytes, self._pending = [], 0, Pending()
            waiters, self._waiters = self._waiters, []
            _resolve(waiters)


def _resolve(waiters: list[tuple[int, asyncio.Future[None]]]) -> None:
    for _, waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


def _size(event: Event) -> int:
    """The UTF-8 bytes of a delta's text, the stored bytes of another event. Raises: IllegalEvent if it has none."""
    try:
        if isinstance(event, Delta):
            return len(event.text) if event.text.isascii() else len(event.text.encode())
        return len(encode_events([event]))
    except (UnicodeEncodeError, msgspec.EncodeError, TypeError, OverflowError, RecursionError) as error:
        raise IllegalEvent(f"the event cannot be stored: {error}") from None
