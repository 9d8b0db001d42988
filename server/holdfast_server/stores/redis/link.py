"""The connection of a node to Redis: calls of our functions, in pipelines, with every error turned into what a store may raise.

    link = await Link.connect(Address.parse(url), name="node")
    await link.load(*library())                    # (source, name): see source.py
    await link.call("open", "{h7}", ...)           # FCALL hf<v>_open 1 {h7} ...

Nothing is sent twice unless Redis said that it did not do it: a function that was not there, a slot that has moved. Where the
outcome is unknown the call raises Unavailable, and the caller, whose calls are made so, sends the same again. No call is
waited for longer than AGE_S, and a server that says nothing for COMMAND_S is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import structlog
from redis.exceptions import RedisError

from holdfast_server.stores.base import StoreError, Unavailable
from holdfast_server.tasks import Tasks

from .address import Address
from .bus import Bus
from .cluster import Servers, servers_of
from .refusals import ELSEWHERE, MISSING, TEXT_CHARS_MAX, Faulty, RefusedByFunction, code_of, meaning, text_of
from .servers import Server
from .settings import check
from .source import prefix_of
from .wire import Wire, packed

__all__ = ["Call", "Faulty", "Link", "RefusedByFunction"]

log = structlog.get_logger(__name__)

Argument = bytes | str | int

START_S = 5.0  # a Redis that starts at the same time gets so long
SHOWN_S = 2.0  # a refusal of writes is the trouble for so long after the last one
SHARED_OUT = {"MOVED", "CLUSTERDOWN"}  # what only a node of a Redis Cluster says
ROUNDS_MAX = 3  # sent, functions loaded, slots looked up: more than that is no progress


class Call(NamedTuple):
    """One call of a function of ours."""

    function: str
    tag: str
    args: tuple[Argument, ...] = ()


class _Item:
    """A command on its way, and what came of it."""

    __slots__ = ("command", "key", "loads", "outcome", "server")

    def __init__(self, key: bytes, command: bytes) -> None:
        self.key = key
        self.command = command
        self.outcome: Any = None
        self.server: Server | None = None
        self.loads = 0


class Link:
    """All that a node has with Redis. Made by `connect`."""

    def __init__(self, address: Address, name: str) -> None:
        self.address = address
        self.version = ""
        self.warnings: list[str] = []
        self._tasks = Tasks("redis")
        self._servers: Servers = servers_of(address, name, self._tasks)
        self._bus = Bus(self._servers, address, f"{name}-bus", self._tasks)
        self._prefix = ""
        self._library = ""
        self._source = ""
        self._refused = ("", 0.0)
        self._closed = False

    @classmethod
    async def connect(
        cls,
        address: Address,
        *,
        name: str,
        volatile_ok: bool = False,
        power: bool = False,
        wait_s: float = START_S,
    ) -> Link:
        """Connect, and check how Redis is set up; `volatile_ok`: it may keep nothing on disk; `power`: what it acknowledges
        must be there already. Raises: Unavailable, with a sentence that says what to change."""
        if address.tls is not None:
            try:
                address.tls.check()
            except ValueError as error:
                raise Unavailable(str(error)) from None
        link = cls(address, name)
        try:
            await link._arrive(wait_s)
            await link._check(volatile_ok=volatile_ok, power=power)
            link._bus.start()
        except BaseException:
            await link.close()
            raise
        return link

    async def close(self) -> None:
        """Leave; what is under way fails."""
        self._closed = True
        self._bus.close()
        self._servers.close()
        await self._tasks.close()

    @property
    def trouble(self) -> str | None:
        """What is wrong with Redis now, for people; None if nothing is."""
        if (trouble := self._servers.trouble) is not None:
            return trouble
        sentence, at = self._refused
        return sentence if sentence and asyncio.get_running_loop().time() - at < SHOWN_S else None

    async def load(self, source: str, library: str) -> None:
        """Load these functions into every server, now and wherever they are missing later. Raises: Faulty if Redis does not
        take them, Unavailable."""
        self._prefix = prefix_of(library)
        self._library = library
        self._source = source
        for server in self._servers.all():
            await self._load(server, server.loads)

    async def call(self, function: str, tag: str, *args: Argument) -> Any:
        """What the function answered. Raises: RefusedByFunction, StorageFull, Unavailable."""
        (answer,) = await self.call_many([Call(function, tag, args)])
        if isinstance(answer, StoreError):
            raise answer
        return answer

    async def call_many(self, calls: Sequence[Call]) -> list[Any | StoreError]:
        """The answer to each, or what `call` would have raised. Calls of one tag are done in their order."""
        prefix = self._prefix
        items = [
            _Item(tag.encode(), packed(b"FCALL", prefix + function, 1, tag, *args))
            for function, tag, args in calls
        ]
        await self._through(items)
        return [item.outcome for item in items]

    def server_of(self, tag: str) -> object:
        """That which calls of this tag go to now, to be told from others; None while there is none."""
        try:
            return self._servers.of(tag.encode())
        except Unavailable:
            return None

    async def raw(self, *command: Argument) -> Any:
        """A command whose first argument is its key, or that has none. Raises: as call."""
        (answer,) = await self.raw_many([command])
        if isinstance(answer, StoreError):
            raise answer
        return answer

    async def raw_many(self, commands: Sequence[Sequence[Argument]]) -> list[Any | StoreError]:
        """The same for several, errors per item."""
        items = [
            _Item(_bytes(command[1]) if len(command) > 1 else b"", packed(*command)) for command in commands
        ]
        await self._through(items)
        return [item.outcome for item in items]

    async def try_room(self) -> None:
        """Ask every server whether it takes what is new; what it says against it is the trouble. A node that writes nothing
        would not notice otherwise, and go on saying that work may come."""
        command = packed(b"FCALL", self._prefix + "room", 0)
        await asyncio.gather(
            *(self._exchange(server, [_Item(b"", command)]) for server in self._servers.all())
        )

    def on_message(self, observer: Callable[[str, bytes], None]) -> None:
        """Call `observer` with the channel and the body of every message. It must not block."""
        self._bus.on_message(observer)

    def on_gap(self, observer: Callable[[], None]) -> None:
        """Call `observer` when messages may have been lost, and are heard again."""
        self._bus.on_gap(observer)

    async def subscribe(self, *channels: str) -> None:
        """Hear these from now on, whatever happens to the connection. Raises: Unavailable if it is not so yet."""
        await self._bus.subscribe(*channels)

    async def publish(self, channel: str, body: bytes) -> None:
        """Tell everybody who subscribed. Raises: Unavailable."""
        await self.raw("PUBLISH", channel, body)

    async def _arrive(self, wait_s: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + wait_s
        while True:
            try:
                await self._servers.refreshed()
                for server in self._servers.all():
                    await server.connected()
                if self._servers.all():
                    break
                failure = Unavailable(self._servers.trouble or "No node of the Redis Cluster can be reached.")
            except Unavailable as error:
                failure = error
            if loop.time() >= end:
                raise Unavailable(f"{failure} (store: {self.address})")
            await asyncio.sleep(0)

    async def _check(self, *, volatile_ok: bool, power: bool) -> None:
        """See how every server is set up; `warnings` are those of all."""
        found: dict[str, None] = {}
        for server in self._servers.all():
            wire = await server.connected()
            self.version, warnings = await check(wire, volatile_ok=volatile_ok, power=power)
            found.update(dict.fromkeys(warnings))
        self.warnings = list(found)
        for warning in self.warnings:
            log.warning("redis settings", what=warning)

    async def _through(self, items: list[_Item]) -> None:
        """Fill in the outcome of each, whatever happens."""
        left = items
        for last in range(ROUNDS_MAX):
            await self._round(left)
            left = [item for item in left if isinstance(item.outcome, _Again)]
            if not left or last == ROUNDS_MAX - 1:
                return
            missing = [item for item in left if isinstance(item.outcome, _Missing)]
            if len(missing) < len(left):
                await self._servers.refreshed()
            for server, loads in {(item.server, item.loads) for item in missing}:
                assert server is not None
                try:
                    await self._load(server, loads)
                except StoreError as error:
                    for item in missing:
                        if item.server is server:
                            item.outcome = error
            left = [item for item in left if isinstance(item.outcome, _Again)]

    async def _round(self, items: list[_Item]) -> None:
        """Send each to its server, all at once, and take in what it said."""
        groups: dict[Server, list[_Item]] = {}
        for item in items:
            try:
                server = self._servers.of(item.key)
            except Unavailable as error:
                item.outcome = error
                continue
            item.server = server
            item.loads = server.loads
            groups.setdefault(server, []).append(item)
        if len(groups) == 1:
            ((server, group),) = groups.items()
            await self._exchange(server, group)
        elif groups:
            await asyncio.gather(*(self._exchange(server, group) for server, group in groups.items()))

    async def _exchange(self, server: Server, items: list[_Item]) -> None:
        try:
            wire = await server.connected()
            replies = await wire.send([item.command for item in items])
        except Unavailable as error:
            for item in items:
                item.outcome = error
            return
        for item, reply in zip(items, replies, strict=True):
            item.outcome = self._taken(reply) if isinstance(reply, RedisError) else reply

    def _taken(self, error: RedisError) -> StoreError:
        """What an error reply means, and what follows from it."""
        text = text_of(error)
        if text.startswith(MISSING) and self._source:
            return _Missing("Redis has lost the functions of this program.")
        meant = meaning(text)
        code = code_of(text)
        if code in SHARED_OUT and self.address.kind != "cluster":
            meant = Unavailable(_cluster_node(self.address))
        elif code in ELSEWHERE:
            self._servers.stale(text[:TEXT_CHARS_MAX] if code == "MOVED" else str(meant))
            if code == "MOVED":
                return _Moved(str(meant))
        if isinstance(meant, Unavailable):
            if str(meant) != self._refused[0]:
                log.warning("redis refused a command", why=text[:TEXT_CHARS_MAX])
            self._refused = (str(meant), asyncio.get_running_loop().time())
        return meant

    async def _load(self, server: Server, seen: int) -> None:
        """Load the functions, unless somebody did since `seen`. Raises: Faulty, Unavailable."""
        async with server.loading:
            if server.loads != seen:
                return
            wire = await server.connected()
            if not await _has(wire, self._library):
                await wire.ask("FUNCTION", "LOAD", "REPLACE", self._source)
            server.loads += 1


class _Again(Unavailable):
    """Redis did not do it, and it may be sent again."""


class _Missing(_Again):
    """For want of the function."""


class _Moved(_Again):
    """Another server has the slot."""


async def _has(wire: Wire, library: str) -> bool:
    """Whether the functions are there. Its name tells what is in a library, and a Redis that is full takes none, not even the
    same again. Raises: Unavailable if the connection is lost."""
    try:
        return bool(await wire.ask("FUNCTION", "LIST", "LIBRARYNAME", library))
    except Unavailable:
        if wire.lost.is_set():
            raise
        return False  # the user may not ask


def _cluster_node(address: Address) -> str:
    scheme = "redis" if address.tls is None else "rediss"
    return f"This Redis is a node of a Redis Cluster and has only some of the keys: its address begins with {scheme}+cluster://."


def _bytes(value: Argument) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
