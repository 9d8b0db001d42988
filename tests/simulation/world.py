"""One run: the server's boots, the network, the clients, the chaos, and the time after it in which all must come good.

The world itself is in no process. It kills and boots servers, gives clients their links, and at the end collects the
evidence; it judges nothing (checker.py does).
"""

from __future__ import annotations

import asyncio
import random
import traceback
from collections.abc import Callable
from contextvars import Context
from dataclasses import replace
from typing import Final

from holdfast_protocol import commands as cm
from holdfast_protocol import events as ev
from holdfast_protocol.replies import CancelResult
from holdfast_server.patience import patiently
from holdfast_server.stores.base import (
    Fenced,
    InboxItem,
    JournalSealed,
    Key,
    StoreError,
    Unavailable,
    UnknownRequest,
    key_of,
)
from holdfast_server.stores.disk import Batch
from tests.simulation.client import SimClient
from tests.simulation.disk import Image
from tests.simulation.evidence import Evidence, Told
from tests.simulation.history import Rows
from tests.simulation.plan import DELAYS, RATES, SWARM, Act, Plan, plan_of
from tests.simulation.quiet import quiet
from tests.simulation.server import OWNERS, Server
from tests.simulation.upstream import Upstream, key_text
from tests.simulation.words import section_text
from tests.support.faults import Faults
from tests.support.lossy_link import LossyLink, Side
from tests.support.simloop import Deadlock, Livelock, SimLoop

SETTLE_S: Final = 60.0
"""Virtual time in which everything must have an outcome and everybody must have caught up, once faults have stopped:
some deadlines of the agents, and every pause and sweep of the core, several times over."""

TURNS_MAX: Final = 20_000
"""A run has some hundred; one that spins ends here."""

HALF_OPEN_S: Final = 3.0
"""When the keep-alive of a WebSocket finds out that the other end has vanished."""

KILLS_MAX: Final = 4


class World:
    """One seed."""

    def __init__(self, seed: int, *, record: bool = False, plan: Plan | None = None) -> None:
        self.seed = seed
        self.sim = SimLoop(seed, turns_max=TURNS_MAX, record=record)
        self.faults = Faults(seed, RATES, DELAYS, swarm=SWARM)
        self.plan = plan or plan_of(seed)
        self.evidence = Evidence(seed)
        self.image = Image()
        self.rows = Rows()
        self.dice = self.sim.dice("world")
        self.boots = 0
        self.kills = 0
        self._saved: tuple[Image, Rows] | None = None
        self._links = 0
        self._ends_at = self.time() + self.plan.chaos_s + SETTLE_S
        self._steers: list[asyncio.Task[None]] = []
        self._actors: list[tuple[Server, asyncio.Task[None]]] = []
        self._chaos = True
        self.server: Server | None = None

    def run(self) -> Evidence:
        """The whole of it."""
        evidence = self.evidence
        state = random.getstate()
        random.seed(self.seed)  # the core's own dice, where nobody hands it others
        try:
            with quiet(evidence.errors):
                self.sim.run(self._main())
        except (Deadlock, Livelock, AssertionError) as error:
            evidence.broke = f"{type(error).__name__}: {error}{_where(error)}"
        except Exception as error:  # noqa: BLE001  whatever it is, it is what the run shows
            evidence.broke = f"{type(error).__name__}: {error!r}"
        finally:
            random.setstate(state)
        evidence.turns = self.sim.turns
        if self.sim.leftover and not evidence.broke:
            evidence.left["tasks: " + ", ".join(self.sim.leftover)] = len(self.sim.leftover)
        return evidence

    def time(self) -> float:
        return self.sim.time()

    # -- the parts -------------------------------------------------------------------------------------------

    async def _main(self) -> None:
        sim, plan = self.sim, self.plan
        self.upstream = Upstream(self.seed, self.faults, sim)
        self.evidence.calls = self.upstream.calls
        await self._boot()
        self.clients = [
            SimClient(self, f"{user}{number}", OWNERS[user], decides=True)
            for number, user in enumerate(plan.clients)
        ]
        tasks = [sim.create_task(client.live(), name=client.name) for client in self.clients]
        for act in plan.acts:
            sim.call_later(act.at_s, self._act, act)
        self._steers += [sim.create_task(self._steer(*steer), name="steer") for steer in plan.steers]
        await sim.create_task(self._make_chaos(), name="chaos")
        await self._settle()
        readers = [SimClient(self, f"{user}-last", OWNERS[user], decides=True) for user in dict.fromkeys(plan.clients)]
        for reader in readers:
            tasks.append(sim.create_task(reader.live(), name=reader.name))
            for user, request_id in plan.requests:
                if user == reader.owner.user:
                    reader.follow(request_id)
        self.clients += readers
        await self._until(lambda: all(client.settled for client in self.clients))
        self.evidence.ends = [client.close_book() for client in self.clients]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._collect()

    async def _collect(self) -> None:
        server, evidence = self.server, self.evidence
        assert server is not None
        actors = [task for of, task in self._actors if of is server]
        if actors or self._steers:
            await asyncio.wait([*actors, *self._steers])
        for link in list(server.links):
            link.cut()
        for key in self.image.logs():
            evidence.logs[key] = await server.process.start(server.store.log(key))
        await server.process.start(server.projector.catch_up())
        await server.process.start(server.stop(1.0))
        evidence.left = {name: count for name, count in server.left.items() if count}
        if server.admission.open_count:
            evidence.left["open requests"] = server.admission.open_count
        if server.admission.live_bytes:
            evidence.left["live bytes"] = server.admission.live_bytes
        evidence.stored = self.image.logs()
        for row in self.rows.messages.values():
            evidence.history[row.key, row.message.role] = (row.message.text, row.message.status or "")
        # What dead processes are made to do when the loop is torn down is no evidence.
        evidence.errors, evidence.calls = list(evidence.errors), [replace(call) for call in evidence.calls]

    async def _until(self, holds: Callable[[], bool]) -> None:
        end = self.time() + SETTLE_S
        while not holds() and self.time() < end:
            await asyncio.sleep(0.25)

    async def _settle(self) -> None:
        """The faults are over: what was promised for the end is due."""
        self.faults.stop()
        self._chaos = False
        self._ends_at = self.time() + SETTLE_S
        for client in self.clients:
            if client.link is not None:
                client.link.heal()
                client.link.client.resume_reading()
        for user, request_id in self.plan.requests:  # somebody looks after everything, and decides what is asked
            self.clients[self.plan.clients.index(user)].follow(request_id)
        await self._until(self._is_up)
        assert self._is_up(), f"the server does not come up:\n{self.sim._waiting()}"
        await self._until(lambda: all(client.settled for client in self.clients))

    def _is_up(self) -> bool:
        return self.server is not None and self.server.up

    # -- the server ------------------------------------------------------------------------------------------

    async def _boot(self) -> None:
        while True:
            self.boots += 1
            server = Server(
                self.sim, self.boots, self.image, self.rows, self.upstream, self.plan, outside=self
            )  # fmt: skip
            self.server = server
            started = server.process.start(_started(server), name="start")
            while not started.done() and server.process.alive:
                await asyncio.sleep(0.02)
            if not server.process.alive:
                return  # whoever killed it boots the next one
            if started.result():
                return
            server.kill()
            await asyncio.sleep(0.1)

    def dies(self) -> bool:
        """A process dies where a fault says so; only so often."""
        if self.kills >= KILLS_MAX or not self._chaos:
            return False
        self.kill()
        return True

    def writes(self, batch: Batch) -> None:
        """An outcome is on its way to the disk: somebody cancels just then."""
        server = self.server
        for entry in batch.entries:
            ends = any(isinstance(event, ev.OUTCOMES) for event in entry.events)
            if ends and server is not None and self.faults.fault("race.cancel"):
                keys = [log.key for log in server.store._journals.by_number.values() if log.number == entry.number]
                for key in keys:
                    self._actors.append((server, server.process.start(self._cancel(server, key), name="operator")))

    async def _cancel(self, server: Server, key: Key) -> None:
        asked_at = self.time()
        try:
            won, status = await server.requests.cancel(key.owner, key.request_id)
        except StoreError:
            return
        reply = CancelResult(ref=0, won=won, status=status)
        self.evidence.told.append(
            Told("operator", server.boot, key, "cancel", asked_at, self.time(), reply)
        )

    def kill(self, *, back_to: tuple[Image, Rows] | None = None) -> None:
        """SIGKILL, and a new boot a little later; `back_to`: over an older disk, its history with it."""
        server = self.server
        if server is None or not server.process.alive:
            return
        self.kills += 1
        server.kill()
        if back_to is not None:
            self.image, self.rows = back_to[0].copy(), back_to[1].copy()
            self.evidence.rolled_back_to.append(self.boots + 1)
            self._ask_anew()
        self._boot_soon()

    def _ask_anew(self) -> None:
        """What was acknowledged may be gone with the disk's younger state: everybody sends it again."""
        for act in self.plan.acts:
            if act.verb == "submit":
                self.sim.call_later(0.6 + self.dice.random(), self._act, act, context=Context())
        for _, user, request_id in self.plan.steers:
            self._steers.append(
                self.sim.create_task(self._steer(0.8, user, request_id), name="steer", context=Context())
            )

    def _boot_soon(self) -> None:
        self.server = None
        wait_s = self.dice.uniform(0.02, 0.5)
        outside = Context()  # whoever killed may have been part of what is dead now
        self.sim.call_later(
            wait_s, lambda: self.sim.create_task(self._boot(), name="boot", context=outside), context=outside
        )

    async def _drain(self, server: Server) -> None:
        stopping = server.process.start(_stopped(server, self.dice.choice([0.0, 0.3, 2.0])), name="stop")
        while not stopping.done() and server.process.alive:
            await asyncio.sleep(0.05)
        if server.process.alive:
            server.kill()
            self._boot_soon()

    def dial(self, client: SimClient) -> tuple[LossyLink, int] | None:
        """A client connects; None if nobody listens."""
        server = self.server
        if server is None or not server.up:
            return None
        self._links += 1
        link = LossyLink(f"{self.seed}:{self._links}", bytes_max=1500)
        server.accept(link, client.codec.name)
        return link, server.boot

    # -- the chaos -------------------------------------------------------------------------------------------

    async def _make_chaos(self) -> None:
        faults, dice, plan = self.faults, self.dice, self.plan
        end = self.time() + plan.chaos_s
        rollback_at = None if plan.rollback_at_s is None else self.time() + plan.rollback_at_s
        drains: list[asyncio.Task[None]] = []
        while self.time() < end:
            await asyncio.sleep(dice.uniform(0.02, 0.25))
            for client in self.clients:
                if client.link is not None:
                    self._trouble(client, client.link)
            server = self.server
            if rollback_at is not None:
                if self._saved is None and dice.random() < 0.2:
                    self._saved = (self.image.copy(), self.rows.copy())
                if self._saved is not None and self.time() >= rollback_at and server is not None and server.up:
                    rollback_at = None
                    self.kill(back_to=self._saved)
                    continue
            if server is None or not server.up:
                continue
            if self.kills < KILLS_MAX and faults.fault("server.kill"):
                self.kill()
            elif self.kills < KILLS_MAX and faults.fault("server.drain"):
                self.kills += 1
                drains.append(self.sim.create_task(self._drain(server), name="drain"))
            else:
                if faults.fault("store.compacts"):
                    server.process.start(_compacted(server), name="compact")
                if faults.fault("zombie.claims"):
                    self._actors.append((server, server.process.start(self._zombie(server), name="zombie")))
                if faults.fault("clock.jumps"):
                    self.sim.shift_wall(dice.choice([-5_000, -300, 300, 5_000]))
        if drains:
            await asyncio.wait(drains)

    def _trouble(self, client: SimClient, link: LossyLink) -> None:
        faults, dice, later = self.faults, self.dice, self.sim.call_later
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

    def _act(self, act: Act) -> None:
        client, fields = self.clients[act.client], act.fields
        request_id = fields.get("request_id", "")
        match act.verb:
            case "submit":
                client.submit(fields["submissions"], follow=fields.get("follow", True))
            case "follow":
                client.follow(request_id)
            case "unfollow":
                client.unfollow(request_id)
            case "cancel":
                client.call(cm.Cancel, "cancel", request_id, request_id=request_id)
            case "probe":
                client.call(cm.Probe, "probe", request_id, request_ids=[request_id])
            case "read":
                client.call(cm.ReadEvents, "read", request_id, request_id=request_id)
            case "watch":
                client.session.watch()
                client.flush()
            case _:
                raise AssertionError(act.verb)

    async def _steer(self, wait_s: float, user: str, request_id: str) -> None:
        """Somebody adds something to a request, until it is taken: what ends a wait for steering."""
        key = key_of(OWNERS[user], request_id)
        await asyncio.sleep(wait_s)
        while self.time() < self._ends_at:
            server = self.server
            if server is not None and server.up:
                put = server.process.start(_put(server, key, self.sim.now_ms()), name="put")
                while not put.done() and server.process.alive:
                    await asyncio.sleep(0.02)
                if put.done() and put.result():
                    self.evidence.steered.append((key, "more", server.boot))
                    return
            await asyncio.sleep(self.dice.uniform(0.05, 0.4))

    async def _zombie(self, server: Server) -> None:
        """A node that was paused: its lease lapsed, somebody else has the request, and now it wakes and writes."""
        store, dice, now_ms = server.store, self.dice, self.sim.now_ms
        try:
            claim = await store.claim()
        except StoreError:
            return
        if claim is None:
            return
        if claim.log.status == "queued":
            record = claim.log.record
            attempt = 0 if record.agent == "continues" else 1
            text = section_text(key_text(record.key.user, record.key.request_id), 0, attempt)
            cut = dice.randint(1, len(text))
            writer = store.writer(claim)
            try:
                writer.put(ev.Started(at=now_ms(), attempt=1, term=claim.term, nonce=claim.nonce))
                writer.put(ev.PartStarted(at=now_ms(), part=0, kind="text"))
                writer.put(ev.Delta(at=now_ms(), part=0, text=text[:cut]))
                await asyncio.sleep(dice.uniform(0, 0.3))
                await patiently(lambda: store.release(claim), "release")
                await asyncio.sleep(dice.uniform(0, 1.0))
                writer.put(ev.Delta(at=now_ms(), part=0, text=text[cut:] or "more"))
                await writer.flush()
            except (Fenced, JournalSealed, UnknownRequest, Unavailable) as refusal:
                self.evidence.zombies.append(type(refusal).__name__)
            else:
                self.evidence.zombies.append(f"wrote under term {claim.term} of {record.key.request_id}")
            return
        try:
            await patiently(lambda: store.release(claim), "release")
        except StoreError:
            return


def _where(error: BaseException) -> str:
    """The last place of ours in its stack."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno})" if frames else ""


async def _started(server: Server) -> bool:
    try:
        await server.start()
    except Unavailable:
        return False
    return True


async def _stopped(server: Server, grace_s: float) -> None:
    await server.stop(grace_s)


async def _compacted(server: Server) -> None:
    try:
        await server.store.compact()
    except StoreError:
        return


async def _put(server: Server, key: Key, at: int) -> bool:
    """Whether there is nothing more to do."""
    try:
        await server.store.put_input(key, InboxItem(kind="steer", id="more", at=at))
    except JournalSealed:
        return True
    except StoreError:
        return False
    return True


