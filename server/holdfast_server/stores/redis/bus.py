"""What nodes tell each other through Redis: one connection that hears channels, made again whenever it is lost.

Messages may be lost: Redis keeps none for who is away. Whoever relies on them is told of every gap, once they are heard again.
In a Redis Cluster every server passes a message on to all, so that one connection to any of them suffices, as long as that one
is not cut off from the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from redis.exceptions import RedisError

from holdfast_server.outages import Outage
from holdfast_server.stores.base import Unavailable
from holdfast_server.tasks import Tasks

from .address import Address, Place
from .cluster import Servers
from .servers import BACKOFF_FIRST_S, BACKOFF_MAX_S, PATROL_S, STEADY_S
from .wire import COMMAND_S, Login, Plain, connection_to, packed, unreachable

log = structlog.get_logger(__name__)

CHANNELS_MAX = 1000  # a node hears a handful


class Bus:
    """The channels that this node hears."""

    def __init__(self, servers: Servers, address: Address, name: str, tasks: Tasks) -> None:
        self._servers = servers
        self._login = Login.of(address, name)
        self._patrol = address.kind == "sentinel"
        self._tasks = tasks
        self._wanted: set[str] = set()
        self._heard: set[str] = set()  # confirmed on this connection
        self._changed = asyncio.Event()
        self._turned = asyncio.Event()
        self._connection: Plain | None = None
        self._message_observers: list[Callable[[str, bytes], None]] = []
        self._gap_observers: list[Callable[[], None]] = []
        self._gap = False
        self._started = False
        self._outage = Outage(log, "redis bus is interrupted", "redis bus is back")
        servers.on_shift(self._shifted)

    def start(self) -> None:
        """Connect as soon as a channel is wanted."""
        if not self._started:
            self._started = True
            self._tasks.start(self._keep(), "bus")

    def close(self) -> None:
        """Hear nothing more."""
        if self._connection is not None:
            self._connection.drop()

    def on_message(self, observer: Callable[[str, bytes], None]) -> None:
        """See Link."""
        self._message_observers.append(observer)

    def on_gap(self, observer: Callable[[], None]) -> None:
        """See Link."""
        self._gap_observers.append(observer)

    async def subscribe(self, *channels: str) -> None:
        """See Link."""
        self._wanted.update(channels)
        assert len(self._wanted) <= CHANNELS_MAX
        self._changed.set()
        self._speak()
        try:
            async with asyncio.timeout(COMMAND_S):
                while not self._heard.issuperset(channels):
                    self._turned.clear()
                    await self._turned.wait()
        except TimeoutError:
            raise Unavailable("Redis does not confirm a subscription.") from None

    def _speak(self) -> None:
        """Ask for the channels that are wanted and not confirmed, on the connection there is."""
        missing = sorted(self._wanted - self._heard)
        if missing and self._connection is not None:
            self._tasks.start(self._send(self._connection, "SUBSCRIBE", *missing), "subscribe")

    async def _send(self, connection: Plain, *command: str) -> None:
        try:
            # A connection of the redis package would connect again by itself, and hear nothing.
            if connection.is_connected:
                await connection.send_packed_command(packed(*command), check_health=False)
        except (RedisError, OSError) as error:
            log.debug("redis bus does not take a command", why=str(error))

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        wait_s = BACKOFF_FIRST_S
        while True:
            while not self._wanted:
                self._changed.clear()
                await self._changed.wait()
            began = loop.time()
            try:
                await self._hear(await self._servers.place())
            except Unavailable as error:
                self._outage.failed(error)
            if loop.time() - began > STEADY_S:
                wait_s = BACKOFF_FIRST_S
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, BACKOFF_MAX_S)

    async def _hear(self, place: Place) -> None:
        """Connect, and hear until that ends. Raises: Unavailable with the reason."""
        connection = await connection_to(place, self._login)
        self._connection = connection
        try:
            self._speak()
            await self._listen(connection, place)
        except (RedisError, OSError) as error:
            raise unreachable(place, error) from None
        finally:
            self._connection = None
            self._gap = self._gap or bool(self._heard)
            self._heard.clear()
            connection.drop()

    async def _listen(self, connection: Plain, place: Place) -> None:
        """Every message, and a question after silence: a connection that is dead looks like one without news."""
        asked = False
        while True:
            silence_s = COMMAND_S if asked else PATROL_S
            said = await connection.read_response(disable_decoding=True, timeout=silence_s)
            if said is not None:
                asked = False
                self._take(said)
            if not self._servers.hears(place):
                raise Unavailable("The Redis Cluster does not see the server of messages any more.")
            if said is not None:
                continue
            if asked:
                raise Unavailable("Redis stopped answering on the connection of messages.")
            if not self._heard >= self._wanted:
                raise Unavailable("Redis does not confirm a subscription.")
            if self._patrol and await self._servers.place() != place:
                raise Unavailable("The master moved.")
            asked = True
            await self._send(connection, "PING")

    def _take(self, said: Any) -> None:
        match said:
            case [b"message", bytes(channel), bytes(body)]:
                for observer in self._message_observers:
                    _told(observer, channel.decode("utf-8", "replace"), body)
            case [b"subscribe", bytes(channel), _]:
                self._confirm(channel.decode("utf-8", "replace"))
            case _:
                pass  # an answer to PING

    def _confirm(self, channel: str) -> None:
        # A second confirmation of the same connection: somebody connected it again below us.
        self._gap = self._gap or channel in self._heard
        self._heard.add(channel)
        self._turned.set()
        if self._heard >= self._wanted:
            self._outage.over()
        self._tell_gap()

    def _shifted(self) -> None:
        """The servers that pass messages on are others now: this connection may have missed some."""
        if self._heard:
            self._gap = True
            self._tell_gap()

    def _tell_gap(self) -> None:
        if self._gap and self._heard >= self._wanted:
            self._gap = False
            for observer in self._gap_observers:
                _told(observer)


def _told(observer: Callable[..., None], *said: Any) -> None:
    """Tell one observer; its bugs are its own."""
    try:
        observer(*said)
    except Exception:
        log.exception("an observer of messages failed")
