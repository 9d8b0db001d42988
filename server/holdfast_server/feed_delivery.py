"""Delivery of feeds: what changes of a user's chats and requests, to the connections that watch.

A feed is read like a log (offsets, cursors, a snapshot when the cursor is not good), but it forgets what is old and its
snapshot comes from the history, so that it takes a wait: one short task per watcher that needs one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from holdfast_protocol.pushes import Feed as FeedPush
from holdfast_protocol.pushes import FeedEvent
from holdfast_protocol.replies import ResetReason

from .connection import Connection
from .delivery import Delivery
from .journal import Place
from .stores.base import Owner
from .subscription import Lane, Source
from .tasks import Tasks

log = structlog.get_logger(__name__)

FEED: Final = ""
"""The name of the feed among a connection's sources; no request id is empty."""

ENTRIES_MAX: Final = 200
"""Entries in one push: rows of some hundred bytes, so a push stays below a page."""

RETRY_S: Final = 1.0
"""Between two attempts at a snapshot when the history does not answer."""


class Readable(Protocol):
    """The reader's side of the feeds."""

    def tail(self, owner: Owner) -> int:
        """The offset that the next entry will get."""

    def cursor_text(self, owner: Owner, offset: int) -> str:
        """The wire form of a place."""

    def place(self, owner: Owner, cursor: str | None) -> Place:
        """Where a reader begins. Raises: ProtocolError if that is no cursor."""

    def read(self, owner: Owner, offset: int, limit: int) -> tuple[list[FeedEvent], int] | None:
        """Entries from `offset`, and the offset after them; None if some are gone."""

    async def snapshot(self, owner: Owner) -> tuple[list[FeedEvent], int]:
        """The present state, and the offset that was read before it."""

    def observe(self, observer: Callable[[Owner], None]) -> None:
        """Call `observer` with every owner whose feed grew."""

    def hold(self, owner: Owner) -> None:
        """Somebody watches: keep what comes."""

    def let_go(self, owner: Owner) -> None:
        """Nobody watches any more: it may be forgotten when others need the room."""


class FeedSubscription(Source):
    """A connection's cursor in its user's feed."""

    __slots__ = ("_feed", "_owner", "_watchers", "offset", "reset", "shot")

    def __init__(
        self, lane: Lane, feed: Readable, owner: Owner, place: Place, watchers: FeedDelivery
    ) -> None:
        super().__init__(lane, FEED)
        self._feed = feed
        self._owner = owner
        self._watchers = watchers
        self.offset = place.offset
        self.reset: ResetReason | None = place.reset
        self.shot: tuple[list[FeedEvent], int] | None = None

    @property
    def behind(self) -> bool:
        if self.reset is not None:
            return self.shot is not None
        return self._feed.tail(self._owner) != self.offset

    def pull(self) -> list[bytes]:
        reset = self.reset
        if self.shot is not None:
            events, self.offset = self.shot
            self.shot = self.reset = None
        elif reset is None:
            found = self._feed.read(self._owner, self.offset, ENTRIES_MAX)
            if found is None:
                self.reset = "purged"
                self._watchers.fetch(self, self._owner)
                return []
            events, self.offset = found
            if not events:
                return []
        else:
            return []
        cursor = self._feed.cursor_text(self._owner, self.offset)
        return [self.lane.connection.codec.encode(FeedPush(next=cursor, events=events, reset=reset))]

    def detach(self) -> None:
        self._watchers.forget(self, self._owner)


class FeedDelivery:
    """Who watches which feed."""

    def __init__(self, feed: Readable, delivery: Delivery) -> None:
        self._feed = feed
        self._delivery = delivery
        self._tasks = Tasks("feed")
        self._watchers: dict[Owner, dict[FeedSubscription, None]] = {}
        feed.observe(self._grew)

    def watch(self, connection: Connection, owner: Owner, place: Place) -> None:
        """Bring the feed from `place` on; replaces an earlier watch of the same connection. Raises: ProtocolError
        too_many_subscriptions."""
        lane = self._delivery.lane(connection, FEED)
        if lane is None:
            return
        source = FeedSubscription(lane, self._feed, owner, place, self)
        if owner not in self._watchers:
            self._watchers[owner] = {}
            self._feed.hold(owner)
        self._watchers[owner][source] = None
        self._delivery.add(source)
        if place.reset is not None:
            self.fetch(source, owner)

    def unwatch(self, connection: Connection) -> None:
        """Stop bringing it."""
        self._delivery.unsubscribe(connection, FEED)

    async def close(self) -> None:
        """End what fetches snapshots."""
        await self._tasks.close()

    def fetch(self, source: FeedSubscription, owner: Owner) -> None:
        """Get the snapshot that this watcher needs."""
        self._tasks.start(self._fetch(source, owner), "snapshot")

    def forget(self, source: FeedSubscription, owner: Owner) -> None:
        """The watcher has ended."""
        watchers = self._watchers.get(owner)
        if watchers is not None:
            watchers.pop(source, None)
            if not watchers:
                del self._watchers[owner]
                self._feed.let_go(owner)

    async def _fetch(self, source: FeedSubscription, owner: Owner) -> None:
        while not source.ended:
            try:
                shot = await self._feed.snapshot(owner)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with the history, the watcher waits for it
                log.warning("no feed snapshot", error=repr(error))
                await asyncio.sleep(RETRY_S)
                continue
            source.shot = shot
            self._delivery.wake(source)
            return

    def _grew(self, owner: Owner) -> None:
        for source in self._watchers.get(owner, ()):
            self._delivery.wake(source)
