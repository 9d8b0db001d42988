"""Which server keeps what: one for everything, or the primaries of a Redis Cluster, each for its slots."""

from __future__ import annotations

import asyncio
import binascii
from collections.abc import Sequence
from typing import Any, Protocol

import structlog

from holdfast_server.stores.base import StoreError, Unavailable
from holdfast_server.tasks import Tasks

from .address import Address, Place
from .refusals import SENTENCES
from .servers import Sentinels, Server
from .wire import Login, Wire

log = structlog.get_logger(__name__)

SLOTS = 16384
REFRESH_EVERY_S = 0.2  # at most so often; a failover takes longer
REFRESH_AGAIN_S = (
    10.0  # at least so often: a slot that moves is told by MOVED, a primary that dies by its connection
)
SERVERS_MAX = 1000  # a cluster has no more


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
        self._known: list[Place] = []  # replicas too: they are asked when primaries are gone
        self._whole = False  # whether every slot has a server
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
        log.info("redis cluster has changed", why=reason)
        self._stale.set()

    async def refreshed(self) -> None:
        self._stale.set()
        await asyncio.shield(self._round)

    async def place(self) -> Place:
        for server in self._servers.values():
            if server.wire is not None:
                return server.wire.place
        raise Unavailable(SENTENCES["CLUSTERDOWN"])

    @property
    def trouble(self) -> str | None:
        if not self._whole:
            return SENTENCES["CLUSTERDOWN"]
        return next((server.trouble for server in self._servers.values() if server.trouble), None)

    def close(self) -> None:
        self._task.cancel()
        if not self._round.done():
            self._round.set_result(None)
        for server in self._servers.values():
            server.close()

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
        """Ask until somebody says. Those that are connected first, then all that were ever named."""
        for server in tuple(self._servers.values()):
            if (wire := server.wire) is not None and await self._ask(wire):
                return True
        for place in dict.fromkeys([*self._known, *self._seeds]):
            try:
                wire = await Wire.open(place, self._login, self._tasks)
            except Unavailable as error:
                log.debug("redis cluster node not reached", why=str(error))
                continue
            found = await self._ask(wire)
            wire.lose("It was asked for the slots.")
            if found:
                return True
        return False

    async def _ask(self, wire: Wire) -> bool:
        try:
            said = await wire.ask("CLUSTER", "SLOTS")
        except StoreError as error:
            log.warning("redis cluster does not tell its slots", why=str(error))
            return False
        self._take(said, wire.place)
        return True

    def _take(self, said: list[Any], asked: Place) -> None:
        """Use this table: who has a slot is connected, who has none is left."""
        slots: list[Server | None] = [None] * SLOTS
        servers: dict[Place, Server] = {}
        known: list[Place] = []
        for first, last, *nodes in said:
            places = [_place(node, asked) for node in nodes][:SERVERS_MAX]
            known.extend(places)
            primary = places[0]
            server = servers.get(primary) or self._servers.get(primary) or self._server(primary)
            servers[primary] = server
            slots[int(first) : int(last) + 1] = [server] * (int(last) - int(first) + 1)
        for place, server in self._servers.items():
            if place not in servers:
                server.close()
        self._slots, self._servers, self._whole = slots, servers, None not in slots
        self._known = list(dict.fromkeys(known))[:SERVERS_MAX]

    def _server(self, place: Place) -> Server:
        async def there() -> Place:
            return place

        server = Server(there, self._login, self._tasks, master=False)
        server.on_lost(self._stale.set)
        return server


def _place(node: list[Any], asked: Place) -> Place:
    """Where a node is. It may not know its own name: then it is where it was asked."""
    host = bytes(node[0] or b"").decode()
    return (asked[0] if host in {"", "?"} else host, int(node[1]))


def servers_of(address: Address, name: str, tasks: Tasks) -> Servers:
    """The servers of this address; they connect by themselves."""
    return Primaries(address, name, tasks) if address.kind == "cluster" else One(address, name, tasks)
