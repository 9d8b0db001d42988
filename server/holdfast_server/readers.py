"""Who followed which request, from when to when, and from where to where: for people who look into one.

A span begins and ends with a subscription, so nothing is done here per page. What has ended waits in memory and goes to
the history in batches, beside everything else; a history that is slow or in trouble costs spans, never a subscription:
no call that delivery makes here waits or raises. So this is best effort, and nothing is decided by it. What is kept of a
request is bounded, and goes with it.

Doors introduce their connections; one that nobody introduced leaves no spans.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from weakref import WeakKeyDictionary

import structlog

from holdfast_protocol.limits import CLIENT_CHARS_MAX, READERS_MAX
from holdfast_protocol.replies import ReaderRow

from .connection import Connection
from .stores.base import Damaged, Key, StoreError, UnknownRequest
from .stores.log import Log
from .subscription import Subscription
from .tasks import Tasks

FLUSH_S: Final = 2.0
"""How often ended spans go to the history: what a crash may cost."""

FLUSH_REQUESTS: Final = 200
"""Requests in one transaction: a few milliseconds of the history's one writer."""

WAITING_SPANS_MAX: Final = 10_000
"""Spans that wait for a history in trouble, a few MB; beyond it the oldest requests' are dropped."""

SWEEP_REQUESTS: Final = 200
"""Requests of which a sweep looks whether they are there still, a row each; and twice as many as were written since the
last one, so that what is purged is forgotten sooner than as much comes after it, however busy the server is."""

log = structlog.get_logger(__name__)


class Rows(Protocol):
    """Where spans are kept. Every call may raise StoreError."""

    async def add(self, spans: Mapping[Key, Sequence[ReaderRow]], gone: Collection[Key]) -> None:
        """Add spans to what is kept, the same again once, the latest READERS_MAX of each; then forget those in `gone`."""

    async def of(self, key: Key) -> list[ReaderRow]:
        """The spans of a request."""

    async def page(self, after: Key | None, limit: int) -> list[Key]:
        """Requests with spans, in the order of their keys."""


class Placed(Protocol):
    """Something that reads, and has a place."""

    @property
    def cursor(self) -> int:
        """The next offset wanted."""


@dataclass(slots=True, eq=False)
class Call:
    """A reader that comes for one request alone: a stream over HTTP. It moves its own cursor."""

    log: Log
    cursor: int


@dataclass(slots=True)
class _Reader:
    """What a door said of a connection."""

    connection: str
    door: str
    client: str


@dataclass(frozen=True, slots=True)
class _Open:
    """A span that has not ended."""

    reader: _Reader
    since: int
    start: int

    def row(self, end: int, until: int | None) -> ReaderRow:
        reader = self.reader
        return ReaderRow(
            connection=reader.connection, door=reader.door, client=reader.client, since=self.since, until=until,
            start=self.start, end=end,
        )  # fmt: skip


class Readers:
    """The spans of one node. Without `rows` they are in memory only, and only what is open or waits is known."""

    def __init__(
        self,
        rows: Rows | None = None,
        *,
        now_ms: Callable[[], int],
        name: Callable[[], str] = lambda: secrets.token_hex(4),
    ) -> None:
        self._rows = rows
        self._now_ms = now_ms
        self._name = name
        self._known: WeakKeyDictionary[Connection, _Reader] = WeakKeyDictionary()
        self._open: dict[Key, dict[Placed, _Open]] = {}
        self._waiting: dict[Key, list[ReaderRow]] = {}
        self._count = 0
        self._gone: set[Key] = set()
        self._place: Key | None = None
        self._written_since = 0  # rows, since the last sweep
        self._flushing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._trouble = False
        self.dropped = 0  # spans that a history in trouble has cost

    def start(self, tasks: Tasks) -> None:
        """Write what has ended every FLUSH_S, from now on."""
        self._task = tasks.start(self._run(), "readers")

    async def close(self) -> None:
        """Write what has ended, if the history takes it, and stop. The history is still open."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        await self.flush()

    # -- doors and delivery: these neither wait nor raise ------------------------------------------------------

    def introduce(self, connection: Connection, door: str, client: str = "") -> None:
        """The connection may follow requests; `client` is what the other end calls itself. Again: it does so now."""
        reader = self._known.get(connection)
        if reader is None:
            self._known[connection] = _Reader(self._name(), door, _clean(client))
        elif client:
            reader.client = _clean(client)

    def began(self, source: Subscription) -> None:
        """A subscription begins at its cursor."""
        try:
            self._began(source)
        except Exception:  # a bug here must not cost anybody an answer
            log.exception("who follows a request is not noted", request_id=source.key)

    def ended(self, source: Subscription) -> None:
        """A subscription ended, wherever its cursor is. Harmless when repeated."""
        try:
            self._ended(source)
        except Exception:  # as above
            log.exception("who followed a request is not noted", request_id=source.key)

    def enter(self, log: Log, start: int, door: str, client: str = "") -> Call:
        """A call follows the log from there on, until it leaves."""
        call = Call(log, start)
        self._open_span(log.key, call, _Reader(self._name(), door, _clean(client)))
        return call

    def leave(self, call: Call) -> None:
        """The call has ended, wherever its cursor is. Harmless when repeated."""
        self._close_span(call.log, call)

    def _began(self, source: Subscription) -> None:
        reader = self._known.get(source.lane.connection)
        if reader is not None:
            self._open_span(source.topic.log.key, source, reader)

    def _open_span(self, key: Key, source: Placed, reader: _Reader) -> None:
        spans = self._open.setdefault(key, {})
        spans[source] = _Open(reader, self._now_ms(), source.cursor)
        if len(spans) > READERS_MAX:
            del spans[next(iter(spans))]

    def _ended(self, source: Subscription) -> None:
        self._close_span(source.topic.log, source)

    def _close_span(self, journal: Log, source: Placed) -> None:
        spans = self._open.get(journal.key)
        span = spans.pop(source, None) if spans is not None else None
        if not spans:
            self._open.pop(journal.key, None)
        if span is not None and not journal.erased:
            self._wait(journal.key, span.row(source.cursor, self._now_ms()))

    def _wait(self, key: Key, row: ReaderRow) -> None:
        rows = self._waiting.setdefault(key, [])
        rows.append(row)
        self._count += 1
        if len(rows) > READERS_MAX:
            del rows[0]
            self._count -= 1
        while self._count > WAITING_SPANS_MAX or (self._rows is None and len(self._waiting) > FLUSH_REQUESTS):
            gone = self._waiting.pop(next(iter(self._waiting)))
            self._count -= len(gone)
            self.dropped += len(gone)

    def forget(self, keys: Collection[Key]) -> None:
        """These requests were erased: nothing of them is kept. What a batch in flight brings back goes with the next."""
        for key in keys:
            self._count -= len(self._waiting.pop(key, ()))
            if self._rows is not None and len(self._gone) < WAITING_SPANS_MAX:
                self._gone.add(key)

    # -- the history -------------------------------------------------------------------------------------------

    async def of(self, key: Key) -> list[ReaderRow]:
        """The spans of a request, the latest first; without those in the history while that does not answer."""
        kept: list[ReaderRow] = []
        if self._rows is not None:
            try:
                kept = await self._rows.of(key)
            except StoreError:
                log.warning("the history does not tell who followed a request", request_id=key.request_id)
        rows = merged([*kept, *self._waiting.get(key, ())])
        rows += [span.row(source.cursor, None) for source, span in self._open.get(key, {}).items()]
        rows.sort(key=lambda row: (row.since, row.until is None), reverse=True)
        return rows[:READERS_MAX]

    async def flush(self) -> None:
        """Write what has ended. Raises nothing: what the history does not take waits for the next time."""
        if self._rows is None:
            return
        async with self._flushing:
            while self._waiting or self._gone:
                keys = list(self._waiting)[:FLUSH_REQUESTS]
                batch = {key: tuple(self._waiting[key]) for key in keys}
                gone = frozenset(self._gone)
                try:
                    await self._rows.add(batch, gone)
                except Exception as error:  # noqa: BLE001 - whatever it is, nobody else may notice
                    if not self._trouble:
                        log.warning("who followed what is not written; it is tried again", reason=str(error))
                    self._trouble = True
                    return
                self._trouble = False
                self._written_since += len(batch)
                self._gone -= gone
                for key, rows in batch.items():
                    self._written(key, rows)

    def _written(self, key: Key, written: Sequence[ReaderRow]) -> None:
        rows = self._waiting.pop(key, None)
        if rows is None:
            return
        known = set(map(id, written))
        left = [row for row in rows if id(row) not in known]
        self._count += len(left) - len(rows)
        if left:
            self._waiting[key] = left

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()

    async def sweep(self, head: Callable[[Key], Awaitable[object]]) -> None:
        """Forget some of what belongs to no journal any more: it was purged, or erased by a process that then died. The
        next call goes on. Raises: StoreError."""
        if self._rows is None:
            return
        due, self._written_since = SWEEP_REQUESTS + 2 * self._written_since, 0
        while due > 0:
            due -= SWEEP_REQUESTS
            keys = await self._rows.page(self._place, SWEEP_REQUESTS)
            gone = [key for key in keys if not await _is_there(head, key)]
            if gone:
                await self._rows.add({}, gone)
            self._place = keys[-1] if len(keys) == SWEEP_REQUESTS else None
            if self._place is None:
                return


async def _is_there(head: Callable[[Key], Awaitable[object]], key: Key) -> bool:
    try:
        await head(key)
    except UnknownRequest:
        return False
    except Damaged:
        return True
    return True


def merged(rows: Sequence[ReaderRow]) -> list[ReaderRow]:
    """Each span once, in the order of their beginnings; the latest READERS_MAX."""
    once = {(row.connection, row.since, row.start, row.until): row for row in rows}
    return sorted(once.values(), key=lambda row: row.since)[-READERS_MAX:]


def _clean(client: str) -> str:
    """What a program says of itself, on one line and without anything that a terminal obeys."""
    text = "".join(char if char.isprintable() else " " for char in client[:CLIENT_CHARS_MAX])
    return " ".join(text.encode("utf-8", "replace").decode().split())
