"""The time of faults: links break, readers stop, servers die and are drained, disks are put back, clocks jump.

Every sort of trouble is a place of its own in the run's faults, so that a seed leaves some out, and what never bit is
known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from holdfast_server.stores.base import Key, key_of
from tests.simulation import actors
from tests.simulation.client import SimClient
from tests.simulation.disk import Image
from tests.simulation.evidence import Evidence
from tests.simulation.history import Rows
from tests.simulation.machine import Machine, ended
from tests.simulation.plan import Act, Plan
from tests.simulation.server import OWNERS, Server
from tests.support.faults import Faults
from tests.support.lossy_link import LossyLink, Side
from tests.support.simloop import SimLoop

HALF_OPEN_S: Final = 3.0
"""When the keep-alive of a WebSocket finds out that the other end has vanished."""


STEER_S: Final = 150.0
"""How long somebody who steers goes on trying after the chaos: longer than anything may take."""


class Chaos:
    """Makes trouble, for as long as the plan says."""

    def __init__(
        self, sim: SimLoop, plan: Plan, faults: Faults, *, machine: Machine, clients: Sequence[SimClient], evidence: Evidence
    ) -> None:  # fmt: skip
        self._ends_at = sim.time() + plan.chaos_s
        self._steer_until = self._ends_at + STEER_S
        self._sim = sim
        self._plan = plan
        self._faults = faults
        self._machine = machine
        self._clients = clients
        self._evidence = evidence
        self._dice = sim.dice("chaos")
        self._rollback_at = None if plan.rollback_at_s is None else sim.time() + plan.rollback_at_s
        self._saved: tuple[Image, Rows] | None = None
        self._outside: list[asyncio.Task[None]] = []
        self._inside: list[tuple[Server, asyncio.Task[None]]] = []
        machine.on_outcome = self._race
        for act in plan.acts:
            sim.call_later(act.at_s, self._act, act)
        for wait_s, user, request_id in plan.steers:
            self._outside.append(sim.create_task(self._steer(wait_s, user, request_id), name="steer"))

    async def reign(self) -> None:
        """All of it."""
        sim, dice = self._sim, self._dice
        drains: list[asyncio.Task[None]] = []
        while sim.time() < self._ends_at:
            await asyncio.sleep(dice.uniform(0.02, 0.25))
            for client in self._clients:
                if client.link is not None:
                    self._cut(client, client.link)
            if self._roll_back():
                continue
            server = self._machine.up
            if server is None:
                continue
            if self._machine.may_kill and self._faults.fault("server.kill"):
                self._machine.kill()
            elif self._machine.may_kill and self._faults.fault("server.drain"):
                drains.append(sim.create_task(self._machine.drain(server), name="drain"))
            else:
                self._meddle(server)
        if drains:
            await asyncio.wait(drains)
            for drain in drains:
                drain.result()

    async def over(self) -> None:
        """Return when everybody whom it has set going has come to an end."""
        inside = [task for server, task in self._inside if server is self._machine.server]
        if inside or self._outside:
            await asyncio.wait([*inside, *self._outside])

    # -- trouble ---------------------------------------------------------------------------------------------

    def _cut(self, client: SimClient, link: LossyLink) -> None:
        faults, dice, later = self._faults, self._dice, self._sim.call_later
        if faults.fault("link.cut"):
            link.cut()
        elif faults.fault("link.half_open"):
            blind: Side = dice.choice(["client", "server"])
            link.cut(unseen_by=blind)
            later(HALF_OPEN_S, link.cut)
        elif faults.fault("link.stall"):
            link.stall()
            later(dice.uniform(0.1, 2.0), link.heal)
        elif faults.fault("reader.stops"):
            link.client.pause_reading()
            later(dice.uniform(0.5, 6.0), link.client.resume_reading)

    def _roll_back(self) -> bool:
        """Put the disk back to what was saved of it, once, if the plan says so and it is time."""
        machine = self._machine
        if self._rollback_at is None:
            return False
        if self._saved is None:
            if self._dice.random() < 0.2:
                self._saved = (machine.image.copy(), machine.rows.copy())
            return False
        if self._sim.time() < self._rollback_at or machine.up is None:
            return False
        self._rollback_at = None
        self._evidence.rolled_back_to.append(machine.boots + 1)
        machine.kill(back_to=self._saved)
        # What was acknowledged may be gone with the disk's younger state: everybody sends it again.
        for act in self._plan.acts:
            if act.verb == "submit":
                self._sim.call_later(0.6 + self._dice.random(), self._act, act)
        for _, user, request_id in self._plan.steers:
            self._outside.append(self._sim.create_task(self._steer(0.8, user, request_id), name="steer"))
        return True

    def _meddle(self, server: Server) -> None:
        faults = self._faults
        if faults.fault("store.compacts"):
            self._start(server, "compact", actors.compacts(server))
        if faults.fault("zombie.claims"):
            dice = self._sim.dice(f"zombie:{self._sim.time()}")
            self._start(server, "zombie", actors.wakes_too_late(server, self._evidence, dice))
        if faults.fault("clock.jumps"):
            self._sim.shift_wall(self._dice.choice([-5_000, -300, 300, 5_000]))

    def _race(self, server: Server, number: int) -> None:
        """An outcome is on its way to the disk: somebody cancels just then."""
        log = server.store._journals.by_number.get(number)
        if log is not None and self._faults.fault("race.cancel"):
            self._start(server, "operator", actors.cancels(server, log.key, self._evidence))

    def _start(self, server: Server, name: str, work: actors.Work) -> None:
        self._inside.append((server, server.process.start(work, name=name)))

    # -- people ----------------------------------------------------------------------------------------------

    def _act(self, act: Act) -> None:
        self._clients[act.client].act(act)

    async def _steer(self, wait_s: float, user: str, request_id: str) -> None:
        """Somebody adds something to a request, until it is taken: what ends a wait for steering."""
        key: Key = key_of(OWNERS[user], request_id)
        await asyncio.sleep(wait_s)
        while self._sim.time() < self._steer_until:
            server = self._machine.up
            if server is not None:
                put = server.process.start(actors.steers(server, key, self._sim.now_ms()), name="put")
                if await ended(put, server) and put.result():
                    return
            await asyncio.sleep(self._dice.uniform(0.05, 0.4))
