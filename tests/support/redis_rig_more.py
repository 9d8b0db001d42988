"""Redis with more than one process: a master with a replica and three sentinels, and a cluster of three masters.

async with SentinelRig(tmp_path / "sentinel") as rig:
    await rig.cut(); await rig.promote()      # what the master took in between is lost

async with ClusterRig(tmp_path / "cluster") as rig:
    await rig.move(slot, to=1)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis.exceptions import RedisError

from tests.support.redis_rig import RedisServer
from tests.support.serving import free_port

MASTER = "mymaster"
QUORUM = 2
SENTINELS = 3
DOWN_MS = 1000  # a master that says nothing for so long is down for a sentinel
SETTLE_S = 30.0  # sentinels look at each other every second or two
LOOK_S = 0.05
SLOTS = 16384


class Rig:
    """Several servers that start and end together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._set_up()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _set_up(self) -> None:
        raise NotImplementedError

    async def _server(
        self, name: str, options: dict[str, str] | None = None, *, sentinel: bool = False
    ) -> RedisServer:
        server = RedisServer(self.folder / name, options, sentinel=sentinel)
        return await self._stack.enter_async_context(server)


class SentinelRig(Rig):
    """`master` and `replica`, as they began; `sentinels` name the master of the moment."""

    master: RedisServer
    replica: RedisServer
    sentinels: list[RedisServer]

    @property
    def url(self) -> str:
        """The address by the sentinels."""
        places = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{places}/{MASTER}/0"

    async def cut(self) -> None:
        """The replica gets no more of what the master takes; both go on, and the sentinels see both."""
        # It looks for its master where nobody is.
        await self.replica.do("REPLICAOF", "127.0.0.1", "1")

    async def promote(self) -> None:
        """The sentinels make the replica the master, as after the master's death."""
        await again(lambda: self.sentinels[0].do("SENTINEL", "FAILOVER", MASTER), lambda said: True)
        await self.until_master(self.replica)

    async def until_master(self, server: RedisServer) -> None:
        """Return when the sentinels name this one. Raises: TimeoutError."""
        for sentinel in self.sentinels:
            if sentinel.running:
                await again(
                    lambda asked=sentinel: asked.do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER),  # type: ignore[misc]
                    lambda said: int(said[1]) == server.port,
                )

    async def _set_up(self) -> None:
        self.master = await self._server("master")
        self.replica = await self._server("replica", {"replicaof": f"127.0.0.1 {self.master.port}"})
        await again(
            lambda: self.replica.do("INFO", "replication"), lambda said: said["master_link_status"] == "up"
        )
        options = {
            "sentinel monitor": f"{MASTER} 127.0.0.1 {self.master.port} {QUORUM}",
            "sentinel down-after-milliseconds": f"{MASTER} {DOWN_MS}",
            "sentinel failover-timeout": f"{MASTER} 5000",
        }
        self.sentinels = [
            await self._server(f"sentinel-{number}", options, sentinel=True) for number in range(SENTINELS)
        ]
        for sentinel in self.sentinels:
            await again(
                lambda asked=sentinel: asked.do("SENTINEL", "MASTER", MASTER),  # type: ignore[misc]
                _knows_all,
            )


def _knows_all(said: Any) -> bool:
    fields = said if isinstance(said, dict) else dict(zip(said[::2], said[1::2], strict=True))
    named = {str(key, "utf-8") if isinstance(key, bytes) else key: value for key, value in fields.items()}
    return int(named["num-slaves"]) == 1 and int(named["num-other-sentinels"]) == SENTINELS - 1


async def again(ask: Callable[[], Any], holds: Callable[[Any], bool], wait_s: float = SETTLE_S) -> None:
    """Ask until the answer is so; errors are asked again. Raises: TimeoutError."""
    async with asyncio.timeout(wait_s):
        while True:
            with contextlib.suppress(RedisError, OSError, KeyError):
                if holds(await ask()):
                    return
            await asyncio.sleep(LOOK_S)


class ClusterRig(Rig):
    """`servers`: three masters, each with a third of the slots, and no replicas."""

    servers: list[RedisServer]

    def __init__(self, folder: Path, options: Callable[[], dict[str, str]] = dict) -> None:
        """`options`: more lines of configuration, asked for once per server. With a `tls-port` among them the servers speak TLS
        with each other, and name those ports to who comes over TLS."""
        super().__init__(folder)
        self._options = options

    @property
    def url(self) -> str:
        """The address by two of them; the third is found."""
        return f"redis+cluster://127.0.0.1:{self.servers[0].port},127.0.0.1:{self.servers[1].port}"

    async def owner(self, slot: int) -> int:
        """Which of `servers` has this slot, by what the servers say that run."""
        for number, server in enumerate(self.servers):
            if server.running and any(
                _has(line, slot) for line in _myself(await server.do("CLUSTER", "NODES"))
            ):
                return number
        raise LookupError(f"nobody has slot {slot}")

    async def move(self, slot: int, to: int) -> None:
        """Give a slot without keys to another server, as a finished move of slots does."""
        target = await self.servers[to].do("CLUSTER", "MYID")
        # The new owner first: it takes a new epoch, and the others believe it.
        for server in [self.servers[to], *(other for other in self.servers if other is not self.servers[to])]:
            await server.do("CLUSTER", "SETSLOT", slot, "NODE", target)

    async def cut_off(self, number: int, to: int) -> None:
        """This server and the others know nothing of each other any more, and another has taken its slots. Clients reach all."""
        lost = self.servers[number]
        others = [server for server in self.servers if server is not lost]
        name = await lost.do("CLUSTER", "MYID")
        slots = [line for line in _myself(await lost.do("CLUSTER", "NODES")) if line][0][8:]  # noqa: RUF015
        for other in others:
            await lost.do("CLUSTER", "FORGET", await other.do("CLUSTER", "MYID"))
            await other.do("CLUSTER", "FORGET", name)
        for part in slots:
            first, _, last = part.partition("-")
            await self.servers[to].do("CLUSTER", "ADDSLOTSRANGE", first, last or first)
        for other in others:
            await again(
                lambda asked=other: asked.do("CLUSTER", "INFO"),  # type: ignore[misc]
                lambda said: b"slots_ok:16384" in said,
            )

    async def _set_up(self) -> None:
        self.servers = [
            await self._server(
                f"node-{number}",
                {
                    "cluster-enabled": "yes",
                    "cluster-port": str(free_port()),
                    "cluster-node-timeout": "2000",
                    "cluster-require-full-coverage": "no",
                    **self._options(),
                },
            )
            for number in range(3)
        ]
        first = self.servers[0]
        share = SLOTS // 3
        for number, server in enumerate(self.servers):
            last = SLOTS - 1 if number == 2 else share * (number + 1) - 1
            await server.do("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            await server.do("CLUSTER", "ADDSLOTSRANGE", share * number, last)
        for server in self.servers[1:]:
            port = server.options.get("tls-port", server.port)
            await first.do("CLUSTER", "MEET", "127.0.0.1", port, server.options["cluster-port"])
        for server in self.servers:
            await again(
                lambda asked=server: asked.do("CLUSTER", "INFO"),  # type: ignore[misc]
                lambda said: b"cluster_state:ok" in said and b"cluster_known_nodes:3" in said,
            )


def _myself(said: bytes) -> list[list[str]]:
    lines = (line.split() for line in said.decode().splitlines())
    return [fields for fields in lines if "myself" in fields[2]]


def _has(fields: list[str], slot: int) -> bool:
    for part in fields[8:]:
        first, _, last = part.partition("-")
        if first.isdecimal() and int(first) <= slot <= int(last or first):
            return True
    return False
