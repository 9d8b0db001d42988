"""What is to be written, by the server that takes it: a queue and a loop for each, so that none waits for another's server.

Where one server keeps everything there is one lane.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from holdfast_server.stores.commits import TROUBLE_S
from holdfast_server.tasks import Tasks

T = TypeVar("T")

IDLE_MAX: Final = 100
"""Lanes kept though nothing is in them: more than a cluster has primaries, but for those that were exchanged."""


class Lane(Generic[T]):
    """One server's. `formed_at` is when its last round began."""

    __slots__ = ("dirty", "formed_at", "refusal", "running")

    def __init__(self) -> None:
        self.dirty: deque[T] = deque()
        self.running = False
        self.formed_at = 0.0
        self.refusal: tuple[float, str] | None = None

    def refused(self, why: str) -> None:
        """The server did not take something, or did not say."""
        self.refusal = (asyncio.get_running_loop().time(), why)


class Lanes(Generic[T]):
    """All of a node's. A lane's rounds follow each other, as long as something is in it; lanes do not wait for each other."""

    def __init__(
        self,
        server_of: Callable[[str], object],
        work: Callable[[Lane[T]], Awaitable[None]],
        pace: Callable[[], float],
        tasks: Tasks,
    ) -> None:
        """`server_of` tells who takes what has a tag, `work` does one round, `pace` is how long a lane may gather between two,
        in seconds."""
        self._server_of = server_of
        self._work = work
        self._pace = pace
        self._tasks = tasks
        self._lanes: dict[object, Lane[T]] = {}
        self._running = 0
        self._idle: list[asyncio.Future[None]] = []

    def of(self, tag: str) -> Lane[T]:
        """That of the server which has this tag now."""
        server = self._server_of(tag)
        lane = self._lanes.get(server)
        if lane is None:
            if len(self._lanes) >= IDLE_MAX:
                self._lanes = {at: lane for at, lane in self._lanes.items() if lane.running or lane.dirty}
            lane = self._lanes[server] = Lane()
        return lane

    def put(self, lane: Lane[T], item: T) -> None:
        """It is in the next round of that lane; what else the loop's turn puts goes along."""
        lane.dirty.append(item)
        if not lane.running:
            lane.running = True
            self._running += 1
            asyncio.get_running_loop().call_soon(lambda: self._tasks.start(self._run(lane), "append"))

    @property
    def trouble(self) -> str | None:
        """Why a server did not take the last it got; None if all did, or if that was so long ago that it should be tried."""
        since = asyncio.get_running_loop().time() - TROUBLE_S
        refusals = (lane.refusal for lane in self._lanes.values())
        return next((refusal[1] for refusal in refusals if refusal is not None and refusal[0] >= since), None)

    async def idle(self, wait_s: float) -> None:
        """Return when nothing is in any, or after so long."""
        if self._running:
            idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(idle)
            await asyncio.wait([idle], timeout=wait_s)

    async def _run(self, lane: Lane[T]) -> None:
        loop = asyncio.get_running_loop()
        try:
            while lane.dirty:
                wait_s = lane.formed_at + self._pace() - loop.time()
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                lane.formed_at = loop.time()
                await self._work(lane)
        finally:
            lane.running = False
            self._running -= 1
            if not self._running:
                due, self._idle = self._idle, []
                for waiter in due:
                    if not waiter.done():
                        waiter.set_result(None)
