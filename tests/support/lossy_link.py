"""One connection between a client and a server, in memory: frames in order, late, and lost when it is cut.

It is to a WebSocket what a scripted disk is to a disk: each direction is a queue with a bound in bytes. A frame
counts from `send` until the other end's `receive` returns it, like the kernel's buffers on both sides together,
so that a reader that stops reading stops its writer. What a cut leaves of the frames under way is a prefix of
them, as long as the seed says; a frame is received whole or not at all.

A link is one connection: `stall` and `heal` undo each other, a cut is for ever. Who comes back makes a new link.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from typing import Literal

Side = Literal["client", "server"]
Frame = str | bytes

BYTES_MAX = 65_536
"""Bytes under way per direction: the size of a small socket buffer."""
DELAY_S = (0.001, 0.050)
"""A frame's travel: from the same rack to a phone."""


class LinkDown(ConnectionError):
    """The link was cut: what was sent and not yet received may be lost, without a word which."""


class LinkClosed(ConnectionError):
    """An end closed the link in good order; everything sent before was received."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed with {code}: {reason}")
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Close:
    code: int
    reason: str


class _Way:
    """One direction: frames on the wire (due at a time), then frames that have arrived and wait to be read."""

    def __init__(self, dice: random.Random, delay_s: tuple[float, float], bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.wire: deque[tuple[float, Frame | _Close]] = deque()
        self.arrived: deque[Frame | _Close] = deque()
        self.bytes_held = 0
        self.delivered = 0
        self.stalled = False
        self.dead = False  # cut: nothing arrives any more, what is sent stays in the sender's buffer
        self.limit: int | None = None  # frames delivered before the link is cut by itself
        self.on_limit: Callable[[], None] = lambda: None
        self._dice = dice
        self._delay_s = delay_s
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._waiters: deque[asyncio.Future[None]] = deque()

    def room(self, size: int) -> bool:
        """A frame larger than the bound passes alone, as it would in pieces."""
        return self.bytes_held == 0 or self.bytes_held + size <= self.bytes_max

    def put(self, frame: Frame | _Close) -> None:
        self.bytes_held += _size(frame)
        due_s = self._loop.time() + self._dice.uniform(*self._delay_s)
        self.wire.append((due_s, frame))  # due earlier than the one before: still behind it
        self._arm()

    def take(self) -> Frame | _Close:
        frame = self.arrived.popleft()
        self.bytes_held -= _size(frame)
        self.changed()
        return frame

    def stall(self, stalled: bool) -> None:
        self.stalled = stalled
        self._arm()

    def lose(self, arriving: int | None) -> None:
        """Ends the wire: the first `arriving` frames on it still arrive (None: as the dice say), the rest never."""
        if self.dead:
            arriving = 0
        elif arriving is None:
            arriving = 0 if self.stalled else self._dice.randint(0, len(self.wire))
        for _ in range(min(arriving, len(self.wire))):
            self._arrive()
        for _, frame in self.wire:
            self.bytes_held -= _size(frame)
        self.wire.clear()
        self.dead = True
        self._arm()
        self.changed()

    def changed(self) -> None:
        waiters, self._waiters = self._waiters, deque()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def change(self) -> None:
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._waiters:  # given up: a wait with a deadline must leave nothing behind
                self._waiters.remove(waiter)

    def _arrive(self) -> None:
        _, frame = self.wire.popleft()
        self.arrived.append(frame)
        self.delivered += not isinstance(frame, _Close)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.wire and not self.stalled and not self.dead:
            # In a context of its own: the network carries what a process sent on after that process was killed.
            self._timer = self._loop.call_at(self.wire[0][0], self._deliver, context=Context())

    def _deliver(self) -> None:
        self._timer = None
        self._arrive()
        self.changed()
        self._arm()
        if self.limit is not None and self.delivered >= self.limit:
            self.on_limit()


class End:
    """One end of a link: what a connection's code holds in place of a socket."""

    def __init__(self, side: Side, outgoing: _Way, incoming: _Way, link: "LossyLink") -> None:
        self.side = side
        self._out = outgoing
        self._in = incoming
        self._link = link
        self._down = False
        self._closed: LinkClosed | None = None
        self._paused = False

    @property
    def bytes_pending(self) -> int:
        """Bytes sent and not yet taken by the other end: what bounds a slow reader."""
        return self._out.bytes_held

    async def send(self, frame: Frame) -> None:
        """Sends one frame, after waiting for room. Sent is not received: a cut link takes frames with it.

        Raises: LinkDown, LinkClosed.
        """
        while not self.offer(frame):
            await self._out.change()

    def offer(self, frame: Frame) -> bool:
        """Sends one frame if there is room for it now; False, and nothing sent, where there is none.

        Raises: LinkDown, LinkClosed.
        """
        self._check_open()
        if not self._out.room(_size(frame)):
            return False
        self._out.put(frame)
        return True

    async def receive(self) -> Frame:
        """The next frame. What arrived before a cut or a close is still returned first.

        Raises: LinkDown, LinkClosed.
        """
        while True:
            if self._closed is not None or not self._in.arrived:
                self._check_open()
            if self._paused or not self._in.arrived:
                await self._in.change()
                continue
            frame = self._in.take()
            if not isinstance(frame, _Close):
                return frame
            self._closed = LinkClosed(frame.code, frame.reason)
            self._out.changed()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes in good order, after the frames already sent. Idempotent; nothing can be sent or received after."""
        if self._closed is None and not self._down:
            self._closed = LinkClosed(code, reason)
            self._out.put(_Close(code, reason))
            self._in.changed()
            self._out.changed()

    def abort(self) -> None:
        """Drops the link at once, for both ends, as a reset does."""
        self._link.cut()

    def pause_reading(self) -> None:
        """Stops reading: frames pile up, within the bound, and then the other end's `send` waits."""
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        self._in.changed()

    def _check_open(self) -> None:
        if self._closed is not None:
            raise LinkClosed(self._closed.code, self._closed.reason)
        if self._down:
            raise LinkDown(f"the {self.side}'s link is down")

    def _notice(self) -> None:
        self._down = True  # whoever waits is woken by the wires' end


class LossyLink:
    """A connection whose ends are `client` and `server`, and whose troubles are verbs.

    Make it inside a running loop. The same seed and the same use give the same delays and losses.
    """

    def __init__(
        self, seed: int | str, *, delay_s: tuple[float, float] = DELAY_S, bytes_max: int = BYTES_MAX
    ) -> None:
        dice = {side: random.Random(f"link:{seed}:{side}") for side in ("client", "server")}
        self._to: dict[Side, _Way] = {
            "client": _Way(dice["client"], delay_s, bytes_max),
            "server": _Way(dice["server"], delay_s, bytes_max),
        }
        self.client = End("client", self._to["server"], self._to["client"], self)
        self.server = End("server", self._to["client"], self._to["server"], self)

    def cut(self, arriving: int | None = None, *, unseen_by: Side | None = None) -> None:
        """Cuts the link for ever. Idempotent.

        `arriving`: how many of the frames under way still arrive, per direction (None: the seed says; none
        while stalled). `unseen_by`: an end that is not told, as behind a network that vanished: what it sends
        fills its buffer and goes nowhere, and it receives nothing, until it aborts or the link is cut once more.
        """
        for way in self._to.values():
            way.limit = None
            way.lose(arriving)
        for end in (self.client, self.server):
            if end.side != unseen_by:
                end._notice()

    def cut_after(self, frames: int, to: Side) -> None:
        """Cuts the link by itself as soon as `frames` frames (from the first) have arrived at `to`; no more will.

        For sweeps over every frame boundary: the next frame is lost though half of it may have been under way.
        """
        way = self._to[to]
        way.limit, way.on_limit = frames, lambda: self.cut(0)
        if way.delivered >= frames:
            self.cut(0)

    def stall(self, to: Side | None = None) -> None:
        """Frames to that end (None: to both) stay on the wire until `heal`; nobody is told."""
        for side, way in self._to.items():
            if to in (None, side):
                way.stall(True)

    def heal(self) -> None:
        """Ends every stall: what waited on the wire arrives, in order."""
        for way in self._to.values():
            way.stall(False)

    def delivered(self, to: Side) -> int:
        """Frames that have arrived at that end so far."""
        return self._to[to].delivered


def _size(frame: Frame | _Close) -> int:
    if isinstance(frame, _Close):
        return 0
    return len(frame.encode()) if isinstance(frame, str) else len(frame)
