"""Delivery: one pump per node that brings what logs hold to those who follow them.

There is no task and no queue per subscription. A commit names the logs that grew. In the next turn of the loop, per log
and codec, the range that grew is encoded once, and every live subscription whose connection has room takes these bytes
and moves its cursor. A subscription whose connection is over its byte bound is skipped: its cursor stays where it is,
and it pulls merged pages from there when there is room again, connection by connection and subscription by subscription
in turn, within a budget per turn. Every connection is written at most once per turn.

What it leans on is the level (cursor against tail), never an edge: once a second every cursor is compared with its log,
so any wake-up may be lost and no reader waits for ever (I7). A connection that takes nothing at all for too long is
closed; it resumes from its cursors. The end of a connection ends its subscriptions and nothing else (I5).

Time comes from the loop, bytes go to the `Connection` port: the simulator runs this file as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from holdfast_protocol.pushes import Notice

from .connection import Connection, DeliveryLimits, Encoder
from .full_lanes import FullLanes
from .roster import Roster
from .stores.base import Change
from .subscription import Lane, Source, Subscription, Topic, Witness

log_ = structlog.get_logger(__name__)


class Observable(Protocol):
    """What tells of commits: a Journal."""

    def observe(self, observer: Callable[[Sequence[Change]], None]) -> None:
        """Call `observer` after every commit, in the loop."""


class Delivery(Roster):
    """The pump. Join a connection, add sources to it, leave when it has ended."""

    def __init__(
        self, journal: Observable, *, limits: DeliveryLimits | None = None, witness: Witness | None = None
    ) -> None:
        super().__init__(limits or DeliveryLimits(), witness)
        self._grown: dict[Topic, None] = {}
        self._ready: dict[Lane, None] = {}  # lanes with sources that wait for a turn, and room
        self._full = FullLanes(self.limits, self._look)  # the same without room
        self._turn_handle: asyncio.Handle | None = None
        self._sweep_handle: asyncio.TimerHandle | None = None
        journal.observe(self._changed)

    # -- connections -----------------------------------------------------------------------------------------

    def join(self, connection: Connection) -> None:
        """The connection may subscribe from now on."""
        loop = asyncio.get_running_loop()
        self._lanes.setdefault(connection, Lane(connection, self.limits, loop.time()))
        if self._sweep_handle is None:
            self._sweep_handle = loop.call_later(self.limits.sweep_s, self._sweep)

    def leave(self, connection: Connection) -> None:
        """The connection has ended; so do its subscriptions, and nothing else (I5). Harmless when repeated."""
        lane = self._lanes.pop(connection, None)
        if lane is None:
            return
        lane.behind.clear()
        for source in list(lane.sources.values()):
            source.queued = False
            self._end(source)
        self._ready.pop(lane, None)
        self._full.discard(lane)

    def close(self) -> None:
        """Stop: no timer is left, nothing is sent any more."""
        for connection in list(self._lanes):
            self.leave(connection)
        for handle in (self._turn_handle, self._sweep_handle):
            if handle is not None:
                handle.cancel()
        self._turn_handle = self._sweep_handle = None
        self._full.close()

    # -- sources ---------------------------------------------------------------------------------------------

    def wake(self, source: Source) -> None:
        """There may be something to pull."""
        if not source.queued and source.behind and source.lane.connection in self._lanes:
            source.lane.queue(source)
            self._serve_soon(source.lane)

    def _end(self, source: Source) -> None:
        super()._end(source)
        if isinstance(source, Subscription) and not source.topic.subscriptions:
            self._grown.pop(source.topic, None)

    # -- notices ---------------------------------------------------------------------------------------------

    def notify(self, notice: Notice, connections: Sequence[Connection] | None = None) -> None:
        """Tell these connections (or all) something that is in no log; who has no room, or was told something of that
        kind a moment ago, is not told."""
        frames: dict[Encoder, bytes] = {}
        now = asyncio.get_running_loop().time()
        for connection in list(self._lanes if connections is None else connections):
            lane = self._lanes.get(connection)
            if lane is None or not lane.room:
                continue
            told_at = lane.noticed.get(notice.kind)
            if told_at is not None and now - told_at < self.limits.notice_every_s:
                continue
            lane.noticed[notice.kind] = now
            try:
                frame = frames.get(connection.codec)
                if frame is None:
                    frame = frames[connection.codec] = connection.codec.encode(notice)
                lane.put(frame)
                self._write(lane, now)
            except Exception as error:  # noqa: BLE001 - as in _turn
                self._lose(lane, error)

    # -- the turn --------------------------------------------------------------------------------------------

    def _changed(self, changes: Sequence[Change]) -> None:
        for change in changes:
            log = change.log
            topic = self._topics.get(log)
            if log.erased:
                self._shots.drop(log)
            if topic is not None:
                self._grown[topic] = None
                self._soon()

    def _soon(self) -> None:
        if self._turn_handle is None:
            self._turn_handle = asyncio.get_running_loop().call_soon(self._turn)

    def _serve_soon(self, lane: Lane) -> None:
        if lane not in self._full:
            self._ready[lane] = None
            self._soon()

    def _turn(self) -> None:
        """Share what grew, let those behind pull, write each connection once."""
        if self._turn_handle is not None:
            self._turn_handle.cancel()
            self._turn_handle = None
        touched: dict[Lane, None] = {}
        grown, self._grown = self._grown, {}
        for topic in grown:
            try:
                for subscription in topic.share(self.limits.page_bytes, touched):
                    self._settle(subscription)
            except Exception as error:  # noqa: BLE001 - one log that cannot be read must not stop the others' readers
                self._fail(list(topic.subscriptions), error)
        budget = self.limits.turn_bytes
        while self._ready and budget > 0:
            lane = next(iter(self._ready))
            del self._ready[lane]
            touched[lane] = None
            try:
                budget -= self._pull(lane)
            except Exception as error:  # noqa: BLE001 - nor must one connection
                self._lose(lane, error)
        now = asyncio.get_running_loop().time()
        for lane in touched:
            try:
                self._write(lane, now)
            except Exception as error:  # noqa: BLE001 - nor must one connection
                self._lose(lane, error)
        if self._ready:
            self._soon()

    def _settle(self, source: Source) -> None:
        """It has read: it has ended, or waits for a turn, or is live."""
        if source.ended:
            self._end(source)
        elif source.behind:
            source.lane.queue(source)
            self._serve_soon(source.lane)

    def _pull(self, lane: Lane) -> int:
        """Let the lane's sources pull, one after another, until it is full; how many bytes that was."""
        before = lane.out_bytes
        while lane.behind and lane.room:
            source = lane.behind.popleft()
            try:
                for frame in source.pull():
                    lane.put(frame)
            except Exception as error:  # noqa: BLE001 - as in _turn
                source.queued = False
                self._fail([source], error)
                break
            source.queued = False
            if source.ended:
                self._end(source)
            elif source.behind:
                lane.queue(source)
        return lane.out_bytes - before

    def _write(self, lane: Lane, now: float) -> None:
        """Write what the turn has collected; a lane that still has sources waiting is served again when it can be."""
        connection = lane.connection
        if connection not in self._lanes:
            return
        lane.look(now)
        lane.write()
        if not lane.behind:
            return
        if lane.room:
            self._serve_soon(lane)
        else:
            self._ready.pop(lane, None)
            self._full.add(lane)

    def _fail(self, sources: Sequence[Source], error: Exception) -> None:
        """What these sources read cannot be read: their connections are told to begin anew."""
        log_.error("delivery failed", requests=sorted({source.key for source in sources}), exc_info=error)
        for source in sources:
            self._drop(source.lane, 1011, "The server failed to read what is followed here; reconnect.")

    def _lose(self, lane: Lane, error: Exception) -> None:
        """The connection raises, which it must not: it ends, and nobody else's delivery does."""
        log_.error("a connection failed", exc_info=error)
        self._drop(lane, 1011, "The server failed on this connection; reconnect.")

    # -- timers ----------------------------------------------------------------------------------------------

    def drained(self, connection: Connection) -> None:
        """The connection has room again: a hint that spares it the wait for the next poll."""
        lane = self._lanes.get(connection)
        if lane is not None and lane in self._full and lane.room:
            self._full.discard(lane)
            self._serve_soon(lane)

    def _look(self, lane: Lane, now: float) -> None:
        """Serve a full connection if it has room by now."""
        try:
            lane.look(now)
            self.drained(lane.connection)
        except Exception as error:  # noqa: BLE001 - as in _turn
            self._lose(lane, error)

    def _sweep(self) -> None:
        """Compare every cursor with its log, and close connections that take nothing. It comes again whatever happens:
        nothing else heals what a lost wake-up leaves behind (I7)."""
        loop = asyncio.get_running_loop()
        self._sweep_handle = None
        try:
            if self._grown or self._ready:
                self._turn()
            now = loop.time()
            for lane in list(self._lanes.values()):
                try:
                    self._compare(lane, now)
                except Exception as error:  # noqa: BLE001 - as in _turn
                    self._lose(lane, error)
            for topic in self._topics.values():
                topic.shown = topic.log.tail  # who has not been given this was just queued
        except Exception:
            log_.exception("a sweep failed; the next one goes on")
        if self._lanes:
            self._sweep_handle = loop.call_later(self.limits.sweep_s, self._sweep)

    def _compare(self, lane: Lane, now: float) -> None:
        """Queue those of the lane's sources that are behind, or close it if it takes nothing."""
        lane.look(now)
        if lane.stuck(now):
            self._drop(lane, 4410, "Nothing was taken for too long; reconnect and resume from your cursors.")
            return
        for source in lane.sources.values():
            self.wake(source)
        if lane.behind:
            self.drained(lane.connection)
            self._serve_soon(lane)

    def _drop(self, lane: Lane, code: int, reason: str) -> None:
        connection = lane.connection
        if connection in self._lanes:
            self.leave(connection)
            asyncio.get_running_loop().call_later(self.limits.abort_grace_s, connection.abort)
            try:
                connection.close(code, reason)
            except Exception:
                log_.exception("a connection cannot be closed; it is aborted")
