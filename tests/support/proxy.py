"""A TCP proxy whose faults are verbs: what networks do to a connection, done on purpose and at a chosen byte.

    async with FaultProxy("127.0.0.1", server_port) as proxy:
        ... connect the client to proxy.port ...
        await proxy.cut("rst")                  # every connection, now
        proxy.cut_after(1000, "down", "fin")    # the next connection, once exactly 1,000 bytes reached the client
        proxy.stall(); proxy.heal()

`up` is client to server, `down` server to client. Nothing is read from one side that is not written to the other, so
the proxy holds at most one piece per direction and backpressure goes through it. `cut` ends connections that exist;
`stall`, `slow` and `rechunk` hold for existing and later ones until `heal`; a connection once in a black hole
(`half_open`) never comes back, since nothing in a network brings it back: `heal` is for the ones after it.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Literal, NamedTuple, Self

from tests.support.level import WAIT_S, Level

Direction = Literal["up", "down"]
Ending = Literal["rst", "fin", "half_open"]

PIECE_BYTES_MAX = 16 * 1024  # the most that is under way in one direction
LINKS_MAX = 4096  # two descriptors each; a storm beyond it is refused by RST and counted
SLOW_STEP_S = 0.02  # a slow link moves its bytes in steps of this length
CONNECT_S = 5.0


class CutAfter(NamedTuple):
    """End a connection by `by` once exactly `bytes` went in `direction`."""

    bytes: int
    direction: Direction = "down"
    by: Ending = "rst"


@dataclass(slots=True)
class Counts:
    """What went through since the start: a fault that is not counted did not bite."""

    accepted: int = 0
    refused: int = 0  # the server was away, or LINKS_MAX
    cut: int = 0  # ended by a verb
    open: int = 0
    up_bytes: int = 0
    down_bytes: int = 0


class _Ended(Exception):
    """A pump has decided that its link ends."""


@dataclass(eq=False, slots=True)
class _Link:
    number: int
    client: socket.socket
    plan: CutAfter | None
    dice: random.Random
    server: socket.socket | None = None
    black: bool = False
    ending: Literal["rst", "fin"] = "rst"
    moved: dict[Direction, int] = field(default_factory=lambda: {"up": 0, "down": 0})
    task: asyncio.Task[None] | None = None


class FaultProxy:
    """A proxy on a free loopback port. An async context manager; every connection is gone after it.

    `plan`, where set, is asked for each connection (its number, from 1) that `cut_after` has not planned.
    `kernel_bytes` bounds the kernel's buffers on both sides, so that a stalled reader is felt after KiB, not MiB.
    """

    def __init__(self, host: str, port: int, *, seed: int = 0, kernel_bytes: int | None = None) -> None:
        self.counts = Counts()
        self.port = 0
        self.plan: Callable[[int], CutAfter | None] | None = None
        self._target = (host, port)
        self._seed = seed
        self._kernel_bytes = kernel_bytes
        self._planned: deque[CutAfter] = deque()
        self._links: set[_Link] = set()
        self._level = Level()
        self._running = asyncio.Event()
        self._running.set()
        self._black = False
        self._bytes_per_s = 0.0
        self._piece_bytes_max = 0
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    async def __aenter__(self) -> Self:
        self._limit_kernel(self._listener)
        self._listener.setblocking(False)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(1024)
        self.port = self._listener.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._listener, self._accept)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        await self._end(list(self._links), "rst")

    # Verbs

    async def cut(self, by: Literal["rst", "fin"] = "rst") -> int:
        """Ends every open connection on both sides; returns how many. Once it returns, they are ended."""
        links = [link for link in self._links if not link.black]
        self.counts.cut += len(links)
        await self._end(links, by)
        return len(links)

    def cut_after(self, n_bytes: int, direction: Direction = "down", by: Ending = "rst") -> None:
        """Plans the end of the next connection (called again: of the one after it, and so on)."""
        self._planned.append(CutAfter(n_bytes, direction, by))

    def half_open(self) -> None:
        """A black hole: both ends keep their connection, no byte and no end of either passes; new ones fall in too."""
        self._black = True
        for link in self._links:
            self._swallow(link)

    def stall(self) -> None:
        """Nothing moves and nothing is read, for existing and new connections, until `heal`; nothing is lost."""
        self._running.clear()

    def slow(self, bytes_per_s: float) -> None:
        """Bounds each direction of each connection to a rate."""
        self._bytes_per_s = bytes_per_s

    def rechunk(self, piece_bytes_max: int) -> None:
        """Passes bytes on in pieces of random sizes from 1 to `piece_bytes_max`, drawn from the seed."""
        self._piece_bytes_max = piece_bytes_max

    def heal(self) -> None:
        """Ends stall, slow, rechunk and the black hole for new connections, and forgets planned cuts."""
        self._black = False
        self._bytes_per_s, self._piece_bytes_max = 0.0, 0
        self._planned.clear()
        self.plan = None
        self._running.set()

    def retarget(self, port: int, host: str = "127.0.0.1") -> None:
        """Sends new connections to another server, as after a restart on another port."""
        self._target = (host, port)

    async def until(self, holds: Callable[[Counts], bool], wait_s: float = WAIT_S) -> None:
        """Returns as soon as `holds(counts)` is true.

        Raises: TimeoutError after `wait_s`.
        """
        await self._level.until(lambda: holds(self.counts), wait_s)

    # A connection's life

    def _accept(self) -> None:
        """Takes the connections that wait at the listener."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # none is left, or it went before we took it
                return
            client.setblocking(False)
            self.counts.accepted += 1
            if len(self._links) >= LINKS_MAX:
                self.counts.refused += 1
                _close(client, "rst")
                continue
            number = self.counts.accepted
            plan = self._planned.popleft() if self._planned else self.plan and self.plan(number)
            link = _Link(number, client, plan or None, random.Random(self._seed * 1_000_003 + number))
            self._links.add(link)
            self.counts.open += 1
            task = asyncio.get_running_loop().create_task(
                self._carry(link), name=f"proxy-{self.port}-link-{number}"
            )
            # Not in the task's own `finally`: a task cancelled before its first step runs none.
            task.add_done_callback(partial(self._bury, link))
            link.task = task
            self._level.notify()

    async def _carry(self, link: _Link) -> None:
        """Connects, moves bytes both ways until an end."""
        loop = asyncio.get_running_loop()
        try:
            if self._black:
                self._swallow(link)
            await self._may_move(link)
            link.server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            link.server.setblocking(False)
            self._limit_kernel(link.server)
            try:
                await asyncio.wait_for(loop.sock_connect(link.server, self._target), CONNECT_S)
            except OSError:  # TimeoutError is one
                self.counts.refused += 1
                return
            for side in (link.client, link.server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(link, "up", link.client, link.server))
                pumps.create_task(self._pump(link, "down", link.server, link.client))
            link.ending = "fin"  # both sides had ended by themselves
        except* (_Ended, OSError):
            pass

    def _bury(self, link: _Link, _: asyncio.Task[None]) -> None:
        """Ends both sides of a link whose task is done, in the way that was decided."""
        _close(link.client, link.ending)
        if link.server is not None:
            _close(link.server, link.ending)
        self._links.discard(link)
        self.counts.open -= 1
        self._level.notify()

    async def _pump(
        self, link: _Link, direction: Direction, source: socket.socket, sink: socket.socket
    ) -> None:
        loop = asyncio.get_running_loop()
        plan = link.plan if link.plan and link.plan.direction == direction else None
        while True:
            await self._may_move(link)
            if plan and link.moved[direction] >= plan.bytes:
                await self._commit(link, plan)
            size = self._piece_bytes(link)
            if plan:
                size = min(size, plan.bytes - link.moved[direction])
            try:
                piece = await loop.sock_recv(source, size)
                await self._may_move(link)  # a verb may have come while we waited for bytes
                if not piece:
                    sink.shutdown(socket.SHUT_WR)
                    return
                await loop.sock_sendall(sink, piece)
            except OSError:
                await self._may_move(link)  # an end passes only where bytes would
                raise
            link.moved[direction] += len(piece)
            if direction == "up":
                self.counts.up_bytes += len(piece)
            else:
                self.counts.down_bytes += len(piece)
            self._level.notify()
            # Without a rate too: gives the reader a turn, so that pieces are more often seen as pieces.
            await asyncio.sleep(len(piece) / self._bytes_per_s if self._bytes_per_s else 0)

    async def _commit(self, link: _Link, plan: CutAfter) -> None:
        """The planned end."""
        self.counts.cut += 1
        self._level.notify()
        if plan.by == "half_open":
            link.black = True
            await self._may_move(link)
        else:
            link.ending = plan.by
            raise _Ended

    async def _may_move(self, link: _Link) -> None:
        """Returns when bytes of this link may move: at once, after `heal`, or in a black hole never."""
        while link.black or not self._running.is_set():
            await (asyncio.Event() if link.black else self._running).wait()

    def _swallow(self, link: _Link) -> None:
        if not link.black:
            link.black = True
            self.counts.cut += 1

    def _piece_bytes(self, link: _Link) -> int:
        size = PIECE_BYTES_MAX
        if self._bytes_per_s:
            size = min(size, max(1, int(self._bytes_per_s * SLOW_STEP_S)))
        if self._piece_bytes_max:
            size = min(size, 1 + int(link.dice.random() * self._piece_bytes_max))
        return size

    def _limit_kernel(self, side: socket.socket) -> None:
        if self._kernel_bytes is not None:
            side.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._kernel_bytes)
            side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._kernel_bytes)

    async def _end(self, links: list[_Link], by: Literal["rst", "fin"]) -> None:
        tasks = [link.task for link in links if link.task is not None]
        for link in links:
            link.ending = by
            if link.task is not None:
                link.task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()  # a bug of the proxy itself is raised here, not lost


def _close(side: socket.socket, by: Literal["rst", "fin"]) -> None:
    """Closes by RST, or by FIN (after which the kernel adds an RST where bytes of the peer lie unread)."""
    with suppress(OSError):  # the peer was faster: closed is closed
        if by == "rst":
            side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            side.shutdown(socket.SHUT_WR)
    side.close()
