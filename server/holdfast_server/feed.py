"""The feed: what changes of a user's chats and requests, as a log with the same reader's side as a journal.

An entry carries state, not a change: a whole row with a version, of which the higher one holds; so repeated or overtaken
entries are harmless, and a reader that is too far behind (or of an earlier life of this server) gets a snapshot: the
cursor is read first, then the first page of chats and all requests without an outcome. In the embedded server the feed
is computed from commits as they happen and kept in memory: in a ring per user, from the moment in which one of the
user's devices asks for a place in it. A user whom nobody watches has none, and costs nothing. Rings that are watched stay;
of the others the latest used do. An epoch is drawn with each ring, so a cursor of one that was let go is `unknown_epoch`.

Where several nodes share a store, each has rings of its own, into which goes what it does itself and what the others tell
it of the owners whose rings it keeps. When some of that may have been lost every ring begins anew, with another epoch and
beyond its own end: its readers take a snapshot.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from holdfast_protocol.cursor import Cursor, parse_cursor
from holdfast_protocol.pushes import FeedChat, FeedEvent, FeedRequest
from holdfast_protocol.replies import ChatRow, RequestRow

from .journal import Journal, Place
from .peers import Peers
from .stores.base import Change, Owner, Spot, Summary

EVENTS_MAX: Final = 500
"""Entries kept per user: what a device misses in minutes; beyond it a snapshot is cheaper."""

UNWATCHED_MAX: Final = 1_000
"""Rings kept of users whom nobody watches now, for devices that come back in a moment; the longest unused go first, and
their devices get a snapshot. Those that are watched are bounded by the connections."""

SNAPSHOT_REQUESTS_MAX: Final = 500

TITLE_CHARS: Final = 80


class _Ring:
    """One user's entries: the last EVENTS_MAX, the offset of the first, and the epoch's nonce."""

    __slots__ = ("events", "first", "nonce")

    def __init__(self, nonce: str, first: int) -> None:
        self.events: deque[FeedEvent] = deque()
        self.first = first
        self.nonce = nonce

    @property
    def tail(self) -> int:
        return self.first + len(self.events)


class Feed:
    """The feeds of all users of this node."""

    def __init__(
        self,
        journal: Journal,
        first_chats: Callable[[Owner], Awaitable[list[ChatRow]]],
        nonce: Callable[[], str] = lambda: secrets.token_hex(4),
        peers: Peers | None = None,
    ) -> None:
        self._peers = peers if peers is not None else Peers()
        self._journal = journal
        self._first_chats = first_chats
        self._nonce = nonce
        self._watched: dict[Owner, _Ring] = {}
        self._holds: Counter[Owner] = Counter()
        self._waiters: dict[Owner, list[asyncio.Future[None]]] = {}
        self._unwatched: OrderedDict[Owner, _Ring] = OrderedDict()
        self._first = (
            0  # beyond every offset of a ring that was let go: none is taken for one of a later ring
        )
        self._observers: list[Callable[[Owner], None]] = []
        journal.observe(self._requests_changed)
        self._peers.observe_rows(self._row_changed)
        self._peers.observe_gap(self.begin_anew)

    def observe(self, observer: Callable[[Owner], None]) -> None:
        """Call `observer` with every owner whose feed grew."""
        self._observers.append(observer)

    def chat_changed(self, owner: Owner, row: ChatRow) -> None:
        """The history changed a chat."""
        self._add(owner, FeedChat(chat=row))

    def _requests_changed(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.state:
                log = change.log
                if self._kept(log.key.owner) is not None:
                    row = request_row(log.summary(), deleted=log.erased and not log.lost)
                    self._add(log.key.owner, FeedRequest(request=row))

    def _row_changed(self, row: Summary, removed: bool) -> None:
        """Another node changed a request."""
        self._add(row.key.owner, FeedRequest(request=request_row(row, deleted=removed)))

    def begin_anew(self) -> None:
        """Entries may be missing: give every ring another epoch, so that its readers take a snapshot."""
        for owner, ring in [*self._watched.items(), *self._unwatched.items()]:
            ring.first, ring.nonce = ring.tail + 1, self._nonce()
            ring.events.clear()
            self._wake(owner)

    def _kept(self, owner: Owner) -> _Ring | None:
        return self._watched.get(owner) or self._unwatched.get(owner)

    def _ring(self, owner: Owner) -> _Ring:
        """The user's ring, for a reader: made if there is none."""
        ring = self._watched.get(owner)
        if ring is None:
            ring = self._unwatched.get(owner)
            if ring is None:
                ring = _Ring(self._nonce(), self._first)
                self._peers.hold(owner)
            self._keep(owner, ring)
        return ring

    def _keep(self, owner: Owner, ring: _Ring) -> None:
        """Keep it as the latest used of the unwatched."""
        self._unwatched[owner] = ring
        self._unwatched.move_to_end(owner)
        if len(self._unwatched) > UNWATCHED_MAX:
            of, gone = self._unwatched.popitem(last=False)
            self._peers.let_go(of)
            self._first = max(self._first, gone.tail + 1)

    def _add(self, owner: Owner, event: FeedEvent) -> None:
        ring = self._kept(owner)
        if ring is None:
            return
        ring.events.append(event)
        if len(ring.events) > EVENTS_MAX:
            ring.events.popleft()
            ring.first += 1
        self._wake(owner)

    def _wake(self, owner: Owner) -> None:
        for observer in self._observers:
            observer(owner)
        for waiter in self._waiters.pop(owner, ()):
            if not waiter.done():
                waiter.set_result(None)

    # -- the reader's side -----------------------------------------------------------------------------------

    def hold(self, owner: Owner) -> None:
        """Somebody watches: keep the ring until everybody who did has let go."""
        self._holds[owner] += 1
        if owner not in self._watched:
            self._watched[owner] = self._ring(owner)
            del self._unwatched[owner]

    def let_go(self, owner: Owner) -> None:
        """One does not watch any more. When nobody does, the ring goes when others need its room."""
        self._holds[owner] -= 1
        if self._holds[owner] <= 0:
            del self._holds[owner]
            ring = self._watched.pop(owner, None)
            if ring is not None:
                self._keep(owner, ring)

    async def wait(self, owner: Owner, offset: int) -> None:
        """Return when the feed holds more than `offset` entries. Cancelling is harmless."""
        if self.tail(owner) != offset:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(owner, []).append(waiter)
        try:
            await waiter
        finally:
            waiters = self._waiters.get(owner, [])
            if waiter in waiters:
                waiters.remove(waiter)
                if not waiters:
                    del self._waiters[owner]

    def tail(self, owner: Owner) -> int:
        """The offset that the next entry will get."""
        return self._ring(owner).tail

    def cursor_text(self, owner: Owner, offset: int) -> str:
        """The wire form of a place in this user's feed."""
        return str(Cursor(offset, 0, self._ring(owner).nonce))

    def cursor(self, owner: Owner) -> str:
        """The cursor at the tail."""
        return self.cursor_text(owner, self.tail(owner))

    def place(self, owner: Owner, cursor: str | None) -> Place:
        """Where a reader begins. Raises: ProtocolError if that is no cursor."""
        ring = self._ring(owner)
        if cursor is None:
            return Place(ring.tail, "start")
        parsed = parse_cursor(cursor)
        if (parsed.term, parsed.nonce) != (0, ring.nonce):
            return Place(ring.tail, "unknown_epoch")
        if parsed.offset > ring.tail:
            return Place(ring.tail, "ahead")
        if parsed.offset < ring.first:
            return Place(ring.tail, "purged")
        return Place(parsed.offset, None)

    def read(self, owner: Owner, offset: int, limit: int) -> tuple[list[FeedEvent], int] | None:
        """Up to `limit` entries from `offset`, and the offset after them; None if some of them are gone: take a
        snapshot."""
        ring = self._ring(owner)
        if not ring.first <= offset <= ring.tail:
            return None
        start = offset - ring.first
        events = [ring.events[i] for i in range(start, min(start + limit, len(ring.events)))]
        return events, offset + len(events)

    async def snapshot(self, owner: Owner) -> tuple[list[FeedEvent], int]:
        """The first page of chats and all requests without an outcome, and the offset that was read before them."""
        offset = self.tail(owner)
        chats = await self._first_chats(owner)
        requests, _ = await self._journal.summaries(owner, active=True, limit=SNAPSHOT_REQUESTS_MAX)
        events: list[FeedEvent] = [FeedChat(chat=row) for row in chats]
        events += [FeedRequest(request=request_row(summary)) for summary in requests]
        return events, offset


def title_of(summary: Summary) -> str:
    """What a request is called in lists: the beginning of what was asked."""
    return summary.text.strip().split("\n", 1)[0][:TITLE_CHARS]


def estimate_ms(spot: Spot) -> int | None:
    """In how many milliseconds it is expected to begin."""
    return None if spot.estimate_s is None else round(spot.estimate_s * 1000)


def request_row(
    summary: Summary, *, deleted: bool = False, spot: Spot | None = None, owner: str | None = None
) -> RequestRow:
    """The row that readers are shown of a request; `owner` only where more than one's are shown."""
    outcome = summary.outcome
    return RequestRow(
        request_id=summary.key.request_id,
        version=summary.version,
        status=summary.status,
        agent=summary.agent,
        chat_id=summary.chat_id,
        message_id=summary.message_id,
        created_at=summary.created_at,
        updated_at=summary.updated_at,
        started_at=summary.started_at,
        ended_at=outcome.at if outcome is not None else None,
        attempt=summary.attempt,
        outcome=outcome,
        usage=summary.usage,
        tools=summary.tools,
        title=title_of(summary),
        owner=owner,
        deleted=deleted,
        place=spot.place if spot is not None else None,
        queue_reason=spot.reason if spot is not None else None,
        estimate_ms=estimate_ms(spot) if spot is not None else None,
    )
