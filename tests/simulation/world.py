"""One run: clients and the machine, the chaos between them, and the time after it in which all must come good.

The world itself is in no process. It gives clients their links, and at the end collects the evidence; it judges nothing
(checker.py does).
"""

from __future__ import annotations

import asyncio
import random
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from holdfast_server.stores.base import key_of
from tests.simulation.chaos import Chaos
from tests.simulation.client import SimClient
from tests.simulation.evidence import Evidence
from tests.simulation.loop import WorldLoop
from tests.simulation.machine import Machine
from tests.simulation.plan import DELAYS, RATES, SWARM, plan_of
from tests.simulation.quiet import quiet
from tests.simulation.server import OWNERS
from tests.simulation.upstream import Upstream
from tests.support.faults import Faults
from tests.support.lossy_link import LossyLink

SETTLE_S: Final = 60.0
"""Virtual time in which everything must have an outcome and everybody must have caught up, once faults have stopped:
some deadlines of the agents, and every pause and sweep of the core, several times over."""

TURNS_MAX: Final = 20_000
"""A run has some hundred; one that spins ends here."""

ERASURE_RATE: Final = 0.5
"""Runs at whose end a request is erased: a start after that must not find it."""

LINK_BYTES: Final = 1500
"""Bytes under way per direction: some pages, so that a reader that stops is felt."""


class World:
    """One seed."""

    def __init__(self, seed: int, *, record: bool = False) -> None:
        self.seed = seed
        self.sim = WorldLoop(seed, turns_max=TURNS_MAX, record=record)
        self.faults = Faults(seed, RATES, DELAYS, swarm=SWARM)
        self.plan = plan_of(seed)
        self.evidence = Evidence(seed)
        for act in self.plan.acts:
            for submission in act.fields.get("submissions", ()):
                key = key_of(OWNERS[self.plan.clients[act.client]], submission.request_id)
                self.evidence.bodies.setdefault(key, set()).add(submission.text)
        self._upstream = Upstream(seed, self.faults, self.sim)
        self._machine = Machine(self.sim, self.plan, self._upstream)
        self._links = 0

    def run(self) -> Evidence:
        """The whole of it."""
        evidence = self.evidence
        state = random.getstate()
        random.seed(self.seed)  # the core's own dice, where nobody hands it others
        try:
            with quiet(evidence.errors):
                self.sim.run(self._main())
        except Exception as error:  # noqa: BLE001  whatever it is, it is what the run shows
            evidence.broke = f"{type(error).__name__}: {error}{_where(error)}"
        finally:
            random.setstate(state)
        evidence.turns = self.sim.turns
        if self.sim.leftover and not evidence.broke:
            evidence.left["tasks: " + ", ".join(self.sim.leftover)] = len(self.sim.leftover)
        return evidence

    def time(self) -> float:
        return self.sim.time()

    def dial(self, client: SimClient) -> tuple[LossyLink, int] | None:
        """A client connects; None if nobody listens."""
        server = self._machine.up
        if server is None:
            return None
        self._links += 1
        link = LossyLink(f"{self.seed}:{self._links}", bytes_max=LINK_BYTES)
        server.accept(link, client.codec.name)
        return link, server.boot

    # -- its parts, in order ---------------------------------------------------------------------------------

    async def _main(self) -> None:
        await self._machine.boot()
        clients = [self._client(f"{user}{number}", user) for number, user in enumerate(self.plan.clients)]
        tasks = [self._come(client) for client in clients]
        chaos = Chaos(
            self.sim, self.plan, self.faults, machine=self._machine, clients=clients, evidence=self.evidence
        )
        await chaos.reign()
        await self._make_peace(clients)
        for user in dict.fromkeys(self.plan.clients):  # who was never there sees the same
            reader = self._client(f"{user}-last", user)
            tasks.append(self._come(reader))
            clients.append(reader)
            for whose, request_id in self.plan.requests:
                if whose == user:
                    reader.follow(request_id)
        await self._until(lambda: all(client.settled for client in clients))
        self.evidence.ends = [client.close_book() for client in clients]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await chaos.over()
        await self._collect()

    def _client(self, name: str, user: str) -> SimClient:
        return SimClient(self, name, OWNERS[user])

    def _come(self, client: SimClient) -> asyncio.Task[None]:
        return self.sim.create_task(client.live(), name=client.name)

    async def _make_peace(self, clients: list[SimClient]) -> None:
        """The faults are over: what was promised for the end is due."""
        self.faults.stop()
        self._machine.peaceful = True
        for client in clients:
            if client.link is not None:
                client.link.heal()
                client.link.client.resume_reading()
        for user, request_id in self.plan.requests:  # somebody looks after each, and decides what is asked
            clients[self.plan.clients.index(user)].follow(request_id)
        await self._until(lambda: self._machine.up is not None)
        assert self._machine.up is not None, f"the server does not come up:\n{self.sim._waiting()}"
        await self._until(lambda: all(client.settled for client in clients))

    async def _until(self, holds: Callable[[], bool]) -> None:
        end = self.time() + SETTLE_S
        while not holds() and self.time() < end:  # noqa: ASYNC110 - the loop is simulated: a look costs little
            await asyncio.sleep(0.25)

    async def _collect(self) -> None:
        """Read what is left, then stop the server in good order, and look whether anything is left behind."""
        machine, evidence = self._machine, self.evidence
        server = machine.server
        assert server is not None
        for link in list(server.links):
            link.cut()
        for key in machine.image.logs():
            evidence.logs[key] = await server.process.start(server.store.log(key))
        await server.process.start(server.projector.catch_up())
        dice = self.sim.dice("erasure")
        if evidence.logs and dice.random() < ERASURE_RATE:
            evidence.erased = dice.choice(sorted(evidence.logs))
            await server.process.start(server.store.erase([evidence.erased]))
        await server.process.start(server.stop(1.0))
        evidence.left = {name: count for name, count in server.left.items() if count}
        evidence.stored = machine.image.logs()
        for row in machine.rows.messages.values():
            evidence.history[row.key, row.message.role] = (row.message.text, row.message.status or "")
        # What dead processes are made to do when the loop is torn down is no evidence.
        evidence.errors, evidence.calls = (
            list(evidence.errors),
            [replace(call) for call in self._upstream.calls],
        )


def _where(error: BaseException) -> str:
    """The last place in its stack."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno})" if frames else ""
