"""Several real servers that share a real Redis and a real PostgreSQL, each to be killed, frozen, cut off or started again.

    async with Cluster(tmp_path, nodes=3, roles=["gateway", "worker", "gateway"], toml=…) as cluster:
        cluster.nodes[0].base                   # http://127.0.0.1:PORT; `url` is its WebSocket
        await cluster.nodes[1].kill()           # freeze(), thaw(), stop(), start()
        await cluster.link_proxy(2).cut("rst")  # between that node and Redis; only with proxied=True
        await cluster.redis.kill()              # and start()
        cluster.postgres.kill()                 # and start_now()

Redis and PostgreSQL are the rig's own unless they are handed in. Mark the test
`@pytest.mark.needs("redis-server", "postgres")`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from tests.support.postgres_rig import PostgresServer
from tests.support.proxy import FaultProxy
from tests.support.redis_rig import RedisServer
from tests.support.redis_rig_more import Rig
from tests.support.serving import Server

Role = Literal["gateway", "worker", "both"]

BOTH: Role = "both"

LEASE_S = 2.5
"""Short, so that a test can wait for its end, and longer than a busy machine stands still of itself: nobody is to be taken for dead but by the test."""

DEMO_TOML = """
[agents.demo]
kind = "demo"
pace = 20
"""


class ClusterNode(Server):
    """One server of the cluster: the same port and configuration at each start."""

    def __init__(self, number: int, folder: Path, toml: str, role: Role, env: dict[str, str] | None) -> None:
        super().__init__(folder, toml=toml, env=env)
        self.number = number
        self.name = f"n{number}"
        self.role = role

    @property
    def base(self) -> str:
        """Where its HTTP is."""
        return f"http://127.0.0.1:{self.port}"

    def freeze(self) -> None:
        """SIGSTOP."""
        self.process.stop()

    def thaw(self) -> None:
        """SIGCONT."""
        self.process.cont()

    async def stop(self, wait_s: float = 20.0) -> int:
        """SIGTERM, as when it is redeployed; its exit status."""
        return await self.process.terminate(wait_s)


class Cluster(Rig):
    """See the module's text. `roles`: of each node, the first ones of it; every further node is both."""

    def __init__(
        self,
        folder: Path,
        *,
        nodes: int = 3,
        roles: Sequence[Role] = (),
        toml: str = DEMO_TOML,
        redis: RedisServer | None = None,
        postgres: PostgresServer | None = None,
        proxied: bool = False,
        lease_s: float = LEASE_S,
        env: dict[str, str] | None = None,
    ) -> None:
        """`toml` is the configuration but for [server], [store] and [cluster]; `proxied`: each node reaches Redis through a
        proxy of its own."""
        super().__init__(folder)
        self.nodes: list[ClusterNode] = []
        self.history = ""
        self._count = nodes
        self._roles: list[Role] = [*roles, *(BOTH for _ in range(nodes))][:nodes]
        self._toml = toml
        self._redis = redis
        self._postgres = postgres
        self._proxied = proxied
        self._proxies: list[FaultProxy] = []
        self._lease_s = lease_s
        self._env = env

    @property
    def redis(self) -> RedisServer:
        """The Redis of all nodes."""
        assert self._redis is not None
        return self._redis

    @property
    def postgres(self) -> PostgresServer:
        """The PostgreSQL of all nodes."""
        assert self._postgres is not None
        return self._postgres

    def link_proxy(self, number: int) -> FaultProxy:
        """What stands between that node and Redis."""
        return self._proxies[number]

    async def _set_up(self) -> None:
        if self._redis is None:
            self._redis = await self._stack.enter_async_context(RedisServer(self.folder / "redis"))
            await self._redis.loaded()
        if self._postgres is None:
            self._postgres = self._stack.enter_context(PostgresServer())
        self.history = await self._postgres.database()
        for number in range(self._count):
            await self._make(number)
        await asyncio.gather(*(node.start() for node in self.nodes))

    async def _make(self, number: int) -> None:
        url = self.redis.url
        if self._proxied:
            proxy = await self._stack.enter_async_context(
                FaultProxy("127.0.0.1", self.redis.port, seed=number)
            )
            self._proxies.append(proxy)
            url = f"redis://127.0.0.1:{proxy.port}/0"
        role = self._roles[number]
        roles = '["gateway", "worker"]' if role == "both" else f'["{role}"]'
        toml = (
            f"{self._toml}\n[server]\ndrain_s = 1.0\nclose_spread_s = 0.2\npage = false\n"
            f'[store]\nurl = "{url}"\nhistory = "{self.history}"\n'
            f'[cluster]\nname = "n{number}"\nroles = {roles}\nlease_s = {self._lease_s}\n'
        )
        node = ClusterNode(number, self.folder / f"n{number}", toml, role, self._env)
        self._stack.push_async_exit(node)
        self.nodes.append(node)
