"""A server that is kept connected: found, entered, greeted, and found again when the connection is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from holdfast_server.stores.base import StoreError, Unavailable
from holdfast_server.tasks import Tasks

from .address import Address, Place, shown
from .refusals import Faulty
from .wire import COMMAND_S, Login, Wire

log = structlog.get_logger(__name__)

Locate = Callable[[], Awaitable[Place]]

BACKOFF_FIRST_S = 0.05
BACKOFF_MAX_S = 0.5  # a server that is back is used within this time
STEADY_S = 1.0  # a connection that lived so long was a good one: the next begins without waiting
PATIENCE_S = (
    0.25  # a call waits so long for a server that is away, before it says so: fast, and no caller spins
)
PATROL_S = 2.0  # between two looks whether the master is still the master


class Server:
    """One server and the connection to it. `trouble` says why there is none."""

    def __init__(
        self, locate: Locate, login: Login, tasks: Tasks, *, master: bool, patrol: bool = False
    ) -> None:
        """`master`: a replica is not accepted. `patrol`: ask `locate` now and then whether it moved."""
        self.trouble: str | None = None
        self.loads = 0  # how often the functions were loaded here; see Link
        self.loading = asyncio.Lock()
        self._locate = locate
        self._login = login
        self._tasks = tasks
        self._master = master
        self._patrol = patrol
        self._wire: Wire | None = None
        self._closed = False
        self._turned = asyncio.Event()  # connected, or not: whoever waits looks again
        self._lost_observers: list[Callable[[], None]] = []
        self._task = tasks.start(self._keep(), "server")

    @property
    def wire(self) -> Wire | None:
        """The connection, if there is one now."""
        return self._wire if self._wire is not None and not self._wire.lost.is_set() else None

    def on_lost(self, observer: Callable[[], None]) -> None:
        """Call `observer` when the connection was lost, or could not be made."""
        self._lost_observers.append(observer)

    async def connected(self) -> Wire:
        """The connection. Raises: Unavailable after a while, and soon where the server is known to be away."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while (wire := self.wire) is None:
            left_s = began + (PATIENCE_S if self.trouble else COMMAND_S) - loop.time()
            if left_s <= 0 or self._closed:
                raise Unavailable(self.trouble or "Redis does not answer.")
            self._turned.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._turned.wait()
        return wire

    def reconnect(self, reason: str) -> None:
        """Leave this connection and look again where the server is."""
        if self._wire is not None:
            self._wire.lose(reason)

    def close(self) -> None:
        """Leave it for good."""
        self._closed = True
        self.trouble = "The connection to Redis is closed."
        self._task.cancel()
        self.reconnect(self.trouble)
        self._turned.set()

    async def _keep(self) -> None:
        wait_s = BACKOFF_FIRST_S
        loop = asyncio.get_running_loop()
        while True:
            wire = await self._enter()
            began = loop.time()
            if wire is not None:
                await self._stay(wire)
                self.trouble = wire.reason
                log.warning("redis connection lost", server=shown(wire.place), why=wire.reason)
            for observer in self._lost_observers:
                observer()
            if wire is not None and loop.time() - began > STEADY_S:
                wait_s = BACKOFF_FIRST_S
                continue
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, BACKOFF_MAX_S)

    async def _enter(self) -> Wire | None:
        """A connection that may be used, or None and `trouble`."""
        wire = None
        try:
            wire = await Wire.open(await self._locate(), self._login, self._tasks)
            await self._greet(wire)
        except BaseException as error:
            if wire is not None:
                wire.lose("It was not accepted.")
            if not isinstance(error, StoreError):
                raise
            if str(error) != self.trouble:
                log.warning("redis is not available", why=str(error))
            self.trouble = str(error)
            self._turned.set()
            return None
        if self.trouble is not None:
            log.info("redis is back", server=shown(wire.place))
        self.trouble = None
        self._wire = wire
        self._turned.set()
        return wire

    async def _greet(self, wire: Wire) -> None:
        await wire.ask("PING")  # while it reads its data it answers LOADING
        if not self._master:
            return
        try:
            role = await wire.ask("ROLE")
        except Faulty:
            return
        except Unavailable:
            if wire.lost.is_set():
                raise
            return  # the user may not ask
        if role[0] != b"master":
            raise Unavailable(f"Redis at {shown(wire.place)} is a replica: its master is wanted.")

    async def _stay(self, wire: Wire) -> None:
        """Until it is lost, or the server is found elsewhere."""
        while not wire.lost.is_set():
            try:
                async with asyncio.timeout(PATROL_S if self._patrol else None):
                    await wire.lost.wait()
            except TimeoutError:
                await self._look(wire)

    async def _look(self, wire: Wire) -> None:
        try:
            place = await self._locate()
        except Unavailable:
            return  # nobody can tell: what works is kept
        if place != wire.place:
            wire.lose(f"The master moved from {shown(wire.place)} to {shown(place)}.")


class Sentinels:
    """Those who know where the master is."""

    def __init__(self, address: Address, login: Login, tasks: Tasks) -> None:
        self._name = address.master
        self._places = address.places
        self._login = login
        self._tasks = tasks
        self._wires: dict[Place, Wire] = {}
        self._asking = asyncio.Lock()

    async def locate(self) -> Place:
        """Where the master is, by the newest of what the sentinels know: one that was cut off still names the old one.
        Raises: Unavailable."""
        async with self._asking:
            answers = await asyncio.gather(*(self._ask(place) for place in self._places))
        known = [answer for answer in answers if not isinstance(answer, Unavailable)]
        if not known:
            raise next(answer for answer in answers if isinstance(answer, Unavailable))
        return max(known)[1]

    def close(self) -> None:
        """Leave them."""
        for wire in self._wires.values():
            wire.lose("The connection to Redis is closed.")

    async def _ask(self, place: Place) -> tuple[int, Place] | Unavailable:
        """The number of its configuration, and the master's place by it."""
        try:
            wire = self._wires.get(place)
            if wire is None or wire.lost.is_set():
                wire = self._wires[place] = await Wire.open(place, self._login, self._tasks)
            state: list[bytes] = await wire.ask("SENTINEL", "MASTER", self._name)
            found: list[bytes] | None = await wire.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name)
        except Faulty:
            return Unavailable(
                f"The sentinel at {shown(place)} knows no master {self._name!r}: is the name right?"
            )
        except Unavailable as error:
            return error
        except StoreError as error:
            return Unavailable(str(error))
        if found is None:
            return Unavailable(
                f"The sentinel at {shown(place)} knows no master {self._name!r}: is the name right?"
            )
        fields: dict[bytes, Any] = dict(zip(state[::2], state[1::2], strict=True))
        return int(fields.get(b"config-epoch", 0)), (found[0].decode(), int(found[1]))
