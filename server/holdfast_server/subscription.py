"""Subscriptions: cursors that connections own, and the small machine by which one catches up.

A `Source` is something that a connection reads from; it is either *live* (it has handed over all there is, and what
comes next reaches it as shared bytes or by being woken) or *queued* in its lane, to be pulled from in turn. There is no
third state and nothing is stored per message, so a reader that is a million events behind costs what one costs that is
not: its cursor.

A subscription's life: [snapshot] pages … caught_up, live pages …, [behind: pages …], the terminal event, caught_up
(sealed), end. It falls back to a snapshot when what it still has to be told was dropped by a later attempt. While its log
is `lost` it is told nothing: it is put onto the log that takes that one's place (replacing.py).
"""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

from holdfast_protocol.pushes import Gone
from holdfast_protocol.replies import ResetReason

from .connection import Connection, DeliveryLimits, Encoder
from .journal import Place
from .pages import Shot, Shots, page, pages_of
from .stores.log import Log

FOLD_EVERY_EVENTS: Final = 64
"""A followed log is folded as it grows, in steps of so many events: the digest at its end then costs a step, not the
whole answer in one go."""


class Source:
    """Something a connection reads from."""

    __slots__ = ("ended", "key", "lane", "queued")

    def __init__(self, lane: Lane, key: str) -> None:
        self.lane: Final = lane
        self.key: Final = key
        self.queued = False
        self.ended = False

    @property
    def behind(self) -> bool:
        """Whether there is something to pull."""
        raise NotImplementedError

    @property
    def midway(self) -> bool:
        """Whether it keeps something that the next pulls hand over."""
        return False

    def pull(self) -> list[bytes]:
        """The next frames: about one page, nothing if there is nothing."""
        raise NotImplementedError

    def detach(self) -> None:
        """It is no longer read."""


class Lane:
    """What delivery keeps of one connection: what it reads from, who of that waits for a turn, and what this turn of the
    loop has collected for it."""

    __slots__ = (
        "_limits", "behind", "connection", "mark", "noticed", "out", "out_bytes", "progressed_at", "sources",
    )  # fmt: skip

    def __init__(self, connection: Connection, limits: DeliveryLimits, now: float) -> None:
        self._limits = limits
        self.connection = connection
        self.sources: dict[str, Source] = {}
        self.behind: deque[Source] = deque()
        self.out: list[bytes] = []
        self.out_bytes = 0
        self.mark = 0  # unsent bytes when last looked at
        self.progressed_at = now
        self.noticed: dict[str, float] = {}

    @property
    def room(self) -> bool:
        """Whether it may be given another frame: it is under its byte bound."""
        return self.connection.buffered + self.out_bytes < self._limits.buffer_bytes

    def put(self, frame: bytes) -> None:
        """Collect a frame for this turn's one write."""
        self.out.append(frame)
        self.out_bytes += len(frame)

    def write(self) -> None:
        """Write what was collected, all at once."""
        if self.out:
            frames, self.out, self.out_bytes = self.out, [], 0
            self.connection.write(frames)
            self.mark = self.connection.buffered

    def look(self, now: float) -> None:
        """Note whether the connection has taken something since the last look."""
        buffered = self.connection.buffered
        if not buffered or buffered < self.mark:
            self.progressed_at = now
        self.mark = buffered

    def stuck(self, now: float) -> bool:
        """Whether it has taken nothing for too long, while there was something to take."""
        return self.mark > 0 and now - self.progressed_at >= self._limits.no_progress_s

    def queue(self, source: Source) -> None:
        """The source waits for its turn. One that is in the middle of something goes on first: what it keeps for that is
        then kept once for the lane, not once for each of its sources."""
        if not source.queued:
            source.queued = True
            if source.midway:
                self.behind.appendleft(source)
            else:
                self.behind.append(source)


class Topic:
    """A log that somebody follows: its subscriptions, and the offset up to which the live ones have been given it."""

    __slots__ = ("folded", "log", "shown", "subscriptions")

    def __init__(self, log: Log) -> None:
        self.log = log
        self.shown = log.tail
        self.folded = 0
        self.subscriptions: dict[Subscription, None] = {}

    def share(self, page_bytes: int, touched: dict[Lane, None]) -> list[Subscription]:
        """Give the range that grew to the live subscriptions, encoded once per codec, and note their lanes in `touched`;
        those that are at the end now, or have fallen behind (no room, or another cursor)."""
        log = self.log
        first, last = self.shown, log.tail
        self.shown = last
        if last - self.folded >= FOLD_EVERY_EVENTS:
            log.fold()
            self.folded = last
        shared: dict[Encoder, list[tuple[bytes, int]]] = {}
        goes_on = not (log.sealed or log.erased)
        moved: list[Subscription] = []
        for subscription in self.subscriptions:
            if subscription.queued or log.lost:
                continue
            lane = subscription.lane
            if subscription.cursor == first < last and not log.erased:
                touched[lane] = None
                codec = lane.connection.codec
                pages = shared.get(codec)
                if pages is None:
                    pages = shared[codec] = pages_of(codec, log, first, last, page_bytes)
                for frame, stop in pages:
                    if not lane.room:
                        break
                    lane.put(frame)
                    subscription.cursor = stop
                else:
                    if goes_on:
                        continue
                    for frame in subscription.arrive():
                        lane.put(frame)
            moved.append(subscription)
        return moved


class Subscription(Source):
    """A connection's cursor in one journal."""

    __slots__ = ("_limits", "_page", "_reset", "_shot", "_shots", "caught_up", "cursor", "topic")

    def __init__(self, lane: Lane, topic: Topic, place: Place, shots: Shots, limits: DeliveryLimits) -> None:
        super().__init__(lane, topic.log.key.request_id)
        self.topic = topic
        self.cursor = place.offset
        self.caught_up = False
        self._reset: ResetReason | None = place.reset
        self._shot: Shot | None = None
        self._page = 0
        self._shots = shots
        self._limits = limits

    @property
    def behind(self) -> bool:
        log = self.topic.log
        return not log.lost and (log.erased or not self.caught_up or self.cursor != log.tail)

    @property
    def bearing(self) -> str | None:
        """The cursor that its reader has; None: none, because a snapshot is due or on its way."""
        if self._reset is not None or self._shot is not None:
            return None
        return str(self.topic.log.cursor(self.cursor))

    @property
    def midway(self) -> bool:
        return self._shot is not None

    def pull(self) -> list[bytes]:
        log, codec = self.topic.log, self.lane.connection.codec
        if log.lost:
            return []
        if log.erased:
            self.ended = True
            return [codec.encode(Gone(request_id=self.key))]
        frames: list[bytes] = []
        place = self.cursor if self._shot is None else self._shot.offset
        if self._reset is None and log.superseded(place):
            self._reset = "superseded"
        if self._reset is not None:
            frames.append(self._shots.begin(codec, log, self._reset))
            self._shot, self._page, self._reset = self._shots.shot(codec, log), 0, None
            self.caught_up = False
        if self._shot is not None:
            frames.append(self._shot.pages[self._page])
            self._page += 1
            if self._page < len(self._shot.pages):
                return frames
            self.cursor, self._shot = self._shot.offset, None
        elif self.cursor < log.tail:
            frame, self.cursor = page(codec, log, self.cursor, log.tail, self._limits.page_bytes)
            frames.append(frame)
        frames += self.arrive()
        return frames

    def arrive(self) -> list[bytes]:
        """What a reader is told at the tail: `caught_up` the first time, and at the end, which it is then."""
        log = self.topic.log
        if self.cursor != log.tail or (self.caught_up and not log.sealed):
            return []
        self.caught_up = True
        self.ended = log.sealed
        return [self._shots.caught_up(self.lane.connection.codec, log)]

    def detach(self) -> None:
        self.topic.subscriptions.pop(self, None)


class Witness(Protocol):
    """Is told who follows what. Neither call waits or raises."""

    def began(self, source: Subscription) -> None:
        """It begins, at its cursor."""

    def ended(self, source: Subscription) -> None:
        """It has ended, at its cursor."""
