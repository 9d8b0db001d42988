"""Which server keeps what: one for everything, or the primaries of a Redis Cluster, each for its slots."""

from __future__ import annotations

import asyncio
import binascii
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

import structlog

from holdfast_server.stores.base import StoreError, Unavailable
from holdfast_server.tasks import Tasks

from .address import Address, Place, shown
from .refusals import SENTENCES
from .servers import Sentinels, Server
from .views import SLOTS, View, believed, settled, view_of
from .wire import COMMAND_S, CONNECT_S, Login, Wire

log = structlog.get_logger(__name__)

REFRESH_EVERY_S = 0.2  # at most so often; a failover takes longer
REFRESH_AGAIN_S = 5.0  # at least so often: who was cut off says so only when it is asked
ASK_S = 1.0  # for what a server knows of the others, which it has at hand
ARRIVE_S = (
    CONNECT_S + COMMAND_S
)  # the same where there is no connection yet, and nobody else has said anything
WIDELY_EVERY_S = 1.0  # between two times that connections are made to ask
NOBODY = "No node of the Redis Cluster can be reached"
NO_CLUSTER = "cluster support disabled"  # in the words of Redis


class Servers(Protocol):
    """The servers that keep data."""

    def of(self, key: bytes) -> Server:
        """That which keeps this key. Raises: Unavailable."""

    def all(self) -> Sequence[Server]:
        """Every one that takes writes."""

    def stale(self, reason: str) -> None:
        """What is known of them is not true any more."""

    async def refreshed(self) -> None:
        """Return when it was looked up again, or could not be."""

    async def place(self) -> Place:
        """One that passes messages on to all. Raises: Unavailable."""

    def hears(self, place: Place) -> bool:
        """Whether that is still one of them, as far as is known."""

    def on_shift(self, observer: Callable[[], None]) -> None:
        """Call `observer` when one of them was exchanged or cut off, or is back: messages may have been lost between them."""

    @property
    def trouble(self) -> str | None:
        """Why some of the data cannot be reached; None if all can."""

    def close(self) -> None:
        """Leave them."""


class One:
    """One server: named by the address, or the master that sentinels name."""

    def __init__(self, address: Address, name: str, tasks: Tasks) -> None:
        self._sentinels: Sentinels | None = None
        if address.kind == "sentinel":
            self._sentinels = Sentinels(address, Login.of_sentinels(address, name), tasks)
        self._place = address.places[0]
        patrol = self._sentinels is not None
        self._server = Server(self.place, Login.of(address, name), tasks, master=True, patrol=patrol)
        self._servers = (self._server,)

    def of(self, key: bytes) -> Server:
        del key
        return self._server

    def all(self) -> Sequence[Server]:
        return self._servers

    def stale(self, reason: str) -> None:
        self._server.reconnect(reason)

    async def refreshed(self) -> None:
        await self._server.connected()

    async def place(self) -> Place:
        return self._place if self._sentinels is None else await self._sentinels.locate()

    def hears(self, place: Place) -> bool:
        del place
        return True

    def on_shift(self, observer: Callable[[], None]) -> None:
        pass  # there is nobody to pass messages on

    @property
    def trouble(self) -> str | None:
        return self._server.trouble

    def close(self) -> None:
        self._server.close()
        if self._sentinels is not None:
            self._sentinels.close()


def slot_of(key: bytes) -> int:
    """The slot of a key: of what is between its first braces, if there is anything."""
    start = key.find(b"{")
    if start >= 0 and (end := key.find(b"}", start + 1)) > start + 1:
        key = key[start + 1 : end]
    return binascii.crc_hqx(key, 0) % SLOTS


class Primaries:
    """The primaries of a Redis Cluster."""

    def __init__(self, address: Address, name: str, tasks: Tasks) -> None:
        self._seeds = address.places
        self._login = Login.of(address, name)
        self._tasks = tasks
        self._slots: list[Server | None] = [None] * SLOTS
        self._servers: dict[Place, Server] = {}
        self._cut_off: frozenset[Place] = frozenset()  # of these, those that the others do not see
        self._known: Sequence[Place] = ()  # replicas too: they are asked when primaries are gone
        self._failure = ""  # why nobody has told the slots yet
        self._reason = ""  # who said that the table is not true any more
        self._widely_at = -WIDELY_EVERY_S
        self._shift_observers: list[Callable[[], None]] = []
        self._later: asyncio.TimerHandle | None = None
        self._stale = asyncio.Event()
        self._stale.set()
        self._round: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = tasks.start(self._keep(), "slots")

    def of(self, key: bytes) -> Server:
        server = self._slots[slot_of(key)]
        if server is None:
            self._stale.set()
            raise Unavailable(SENTENCES["CLUSTERDOWN"])
        return server

    def all(self) -> Sequence[Server]:
        return tuple(self._servers.values())

    def stale(self, reason: str) -> None:
        self._reason = reason
        self._stale.set()

    async def refreshed(self) -> None:
        self._stale.set()
        await asyncio.shield(self._round)

    async def place(self) -> Place:
        for place, server in self._servers.items():
            if server.wire is not None and place not in self._cut_off:
                return place
        raise Unavailable(SENTENCES["CLUSTERDOWN"])

    def hears(self, place: Place) -> bool:
        return place in self._servers and place not in self._cut_off

    def on_shift(self, observer: Callable[[], None]) -> None:
        self._shift_observers.append(observer)

    @property
    def trouble(self) -> str | None:
        if not self._servers:
            return self._failure or SENTENCES["CLUSTERDOWN"]
        if None in self._slots:
            return SENTENCES["CLUSTERDOWN"]
        return next((server.trouble for server in self._servers.values() if server.trouble), None)

    def close(self) -> None:
        self._task.cancel()
        if self._later is not None:
            self._later.cancel()
        if not self._round.done():
            self._round.set_result(None)
        for server in self._servers.values():
            server.close()

    # -- looking ---------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        while True:
            try:
                async with asyncio.timeout(REFRESH_AGAIN_S):
                    await self._stale.wait()
            except TimeoutError:
                pass
            self._stale.clear()
            found = await self._look()
            done, self._round = self._round, asyncio.get_running_loop().create_future()
            done.set_result(None)
            if not found:
                self._stale.set()
            await asyncio.sleep(REFRESH_EVERY_S)

    async def _look(self) -> bool:
        """Ask all that are connected; where they are not of one mind, or not well, all that were ever named too."""
        now = asyncio.get_running_loop().time()
        views = await self._views(
            [self._of_wire(server.wire) for server in self._servers.values() if server.wire is not None],
            ASK_S,
        )
        view = believed(views, self._servers) if views else None
        if view is None or (not settled(view, views) and now - self._widely_at > WIDELY_EVERY_S):
            self._widely_at = now
            asked = {view.place for view in views}
            others = [place for place in dict.fromkeys([*self._known, *self._seeds]) if place not in asked]
            # Who says something already is not kept waiting by servers that do not answer.
            wait_s = ASK_S if views else ARRIVE_S
            views += await self._views([self._of_place(place) for place in others], wait_s)
            view = believed(views, self._servers) if views else None
        if view is None:
            return False
        self._take(view, views)
        return True

    async def _views(self, asked: Sequence[Coroutine[Any, Any, View]], wait_s: float) -> list[View]:
        """What they said within this time."""
        return [view for view in await asyncio.gather(*(self._said(one, wait_s) for one in asked)) if view]

    async def _said(self, asked: Coroutine[Any, Any, View], wait_s: float) -> View | None:
        try:
            async with asyncio.timeout(wait_s):
                return await asked
        except TimeoutError:
            return None
        except StoreError as error:
            log.debug("redis cluster node does not tell its slots", why=str(error))
            if self._failure != self._standalone:
                self._failure = self._standalone if NO_CLUSTER in str(error) else f"{NOBODY}: {error}"
            return None

    async def _of_wire(self, wire: Wire) -> View:
        return await view_of(wire)

    async def _of_place(self, place: Place) -> View:
        wire = await Wire.open(place, self._login, self._tasks)
        try:
            return await view_of(wire)
        finally:
            wire.lose("It was asked for the slots.")

    @property
    def _standalone(self) -> str:
        scheme = "redis" if self._login.tls is None else "rediss"
        return f"This Redis is no cluster: its address begins with {scheme}://, not with {scheme}+cluster://."

    # -- using it --------------------------------------------------------------------------------------------

    def _take(self, view: View, views: Sequence[View]) -> None:
        """Use this table: who has a slot is connected, who has none is left."""
        before, cut_off_before, slots_before = frozenset(self._servers), self._cut_off, self._slots
        slots: list[Server | None] = [None] * SLOTS
        servers: dict[Place, Server] = {}
        for first, last, primary in view.table:
            server = servers.get(primary) or self._servers.get(primary) or self._server(primary)
            servers[primary] = server
            slots[first : last + 1] = [server] * (last - first + 1)
        for place, server in self._servers.items():
            if place not in servers:
                server.close()
        silent = self._cut_off - {other.place for other in views}
        bad = {other.place for other in views if other.worse_than(view)}
        self._cut_off = frozenset((silent | bad) & servers.keys())
        self._slots, self._servers, self._known = slots, servers, view.known
        self._failure = ""
        if not before:
            return
        if slots != slots_before or self._cut_off != cut_off_before:
            log.info("redis cluster has changed", why=self._reason, cut_off=sorted(map(shown, self._cut_off)))
        self._reason = ""
        if before != servers.keys() or self._cut_off != cut_off_before:
            self._tell()
            if self._later is not None:
                self._later.cancel()
            self._later = asyncio.get_running_loop().call_later(REFRESH_AGAIN_S + ASK_S, self._tell)

    def _tell(self) -> None:
        """Messages have passed this node by; and once more when the other nodes have seen it too, for theirs."""
        for observer in self._shift_observers:
            observer()

    def _server(self, place: Place) -> Server:
        async def there() -> Place:
            return place

        server = Server(there, self._login, self._tasks, master=False)
        server.on_lost(self._stale.set)
        return server


def servers_of(address: Address, name: str, tasks: Tasks) -> Servers:
    """The servers of this address; they connect by themselves."""
    return Primaries(address, name, tasks) if address.kind == "cluster" else One(address, name, tasks)
