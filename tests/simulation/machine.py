"""The machine that servers run on, one after another: it boots them, kills them, and holds what outlives them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextvars import Context
from typing import Any, Final

from holdfast_protocol import events as ev
from holdfast_server.stores.base import Unavailable
from holdfast_server.stores.disk import Batch
from tests.simulation.disk import Image
from tests.simulation.history import Rows
from tests.simulation.plan import Plan
from tests.simulation.server import Server
from tests.simulation.upstream import Upstream
from tests.support.simloop import SimLoop

KILLS_MAX: Final = 4
"""Servers that end before their time, per run: an answer needs some peace to be given at all."""

LOOK_S: Final = 0.02
"""How often the machine looks at a process from outside: an await would never return from one that was killed."""


class Machine:
    """The disk's image, the history's rows, and the server that is up now, if one is."""

    def __init__(self, sim: SimLoop, plan: Plan, upstream: Upstream) -> None:
        self.image = Image()
        self.rows = Rows()
        self.server: Server | None = None
        self.boots = 0
        self.kills = 0
        self.peaceful = False
        self.on_outcome: Callable[[Server, int], None] = lambda server, number: None
        self._sim = sim
        self._plan = plan
        self._upstream = upstream
        self._dice: random.Random = sim.dice("machine")

    @property
    def up(self) -> Server | None:
        """The server, if it takes connections."""
        return self.server if self.server is not None and self.server.up else None

    @property
    def may_kill(self) -> bool:
        """Whether another server may end before its time."""
        return self.kills < KILLS_MAX and not self.peaceful

    async def boot(self) -> None:
        """Start servers until one is up; what a disk refuses at the start is tried again, as a supervisor would."""
        while True:
            self.boots += 1
            server = Server(
                self._sim,
                self.boots,
                image=self.image,
                rows=self.rows,
                upstream=self._upstream,
                plan=self._plan,
                outside=self,
            )
            self.server = server
            started = server.process.start(_started(server), name="start")
            if not await ended(started, server):
                return  # whoever killed it boots the next one
            if started.result():
                return
            server.kill()
            await asyncio.sleep(0.1)

    def kill(self, *, back_to: tuple[Image, Rows] | None = None) -> None:
        """SIGKILL, and a new boot a little later; `back_to`: over an older disk, its history with it."""
        server = self.server
        if server is None or not server.process.alive:
            return
        self.kills += 1
        server.kill()
        if back_to is not None:
            self.image, self.rows = back_to[0].copy(), back_to[1].copy()
        self._boot_soon()

    async def drain(self, server: Server) -> None:
        """SIGTERM, and a new boot a little after its end."""
        self.kills += 1
        stopping = server.process.start(server.stop(self._dice.choice([0.0, 0.3, 2.0])), name="stop")
        if await ended(stopping, server):
            stopping.result()
            server.kill()
            self._boot_soon()

    def _boot_soon(self) -> None:
        self.server = None
        outside = Context()  # whoever killed may have been part of what is dead now
        self._sim.call_later(
            self._dice.uniform(0.02, 0.5),
            lambda: self._sim.create_task(self.boot(), name="boot", context=outside),
            context=outside,
        )

    # -- what a disk tells -----------------------------------------------------------------------------------

    def dies(self) -> bool:
        """A fault says that the process dies in the middle of a commit."""
        if not self.may_kill:
            return False
        self.kill()
        return True

    def writes(self, batch: Batch) -> None:
        """A commit is on its way; who wants to be too late for an outcome is told."""
        for entry in batch.entries:
            if self.server is not None and any(isinstance(event, ev.OUTCOMES) for event in entry.events):
                self.on_outcome(self.server, entry.number)


async def ended(task: asyncio.Task[Any], server: Server) -> bool:
    """Whether the task has ended; False once its process was killed, and it never will."""
    while not task.done() and server.process.alive:  # noqa: ASYNC110 - see LOOK_S
        await asyncio.sleep(LOOK_S)
    return task.done()


async def _started(server: Server) -> bool:
    try:
        await server.start()
    except Unavailable:
        return False
    return True
