"""Nodes that share a Redis and a PostgreSQL, or one with SQLite; and what each of them has used so far, told apart."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.cluster import Cluster, Role
from tests.support.postgres_rig import PostgresServer
from tests.support.redis_rig import RedisServer
from tests.support.serving import ROOT, Server

from . import machine
from .nodes import LIMITS, Node

OWNERS = 64
"""Users who ask: they are spread over the shards of the store, one user's requests are all in one."""

LEASE_S = 5.0
POSTGRES = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "128MB"}
"""As it comes: the rig of the tests does not wait for the disk, a bench must."""

_WRITTEN = """SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint, (pg_current_wal_insert_lsn() - '0/0')::bigint"""
_POSTMASTER = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"


@dataclass(frozen=True, slots=True)
class Usage:
    """Up to a moment, or between two of them: CPU seconds, and what Redis and PostgreSQL count."""

    at: float = 0.0
    nodes: tuple[float, ...] = ()
    redis: float = 0.0
    postgres: float = 0.0
    calls: dict[str, int] = field(default_factory=dict)
    commands: int = 0
    in_bytes: int = 0
    out_bytes: int = 0
    memory: int = 0
    transactions: int = 0
    wal_bytes: int = 0

    def since(self, before: Usage) -> Usage:
        """What was used in between; `at` becomes the seconds."""
        return Usage(
            self.at - before.at,
            tuple(now - then for now, then in zip(self.nodes, before.nodes, strict=True)),
            self.redis - before.redis,
            self.postgres - before.postgres,
            {name: count - before.calls.get(name, 0) for name, count in self.calls.items()},
            self.commands - before.commands,
            self.in_bytes - before.in_bytes,
            self.out_bytes - before.out_bytes,
            self.memory - before.memory,
            self.transactions - before.transactions,
            self.wal_bytes - before.wal_bytes,
        )

    def without(self, idle: Usage | None) -> Usage:
        """The same without what would have been used anyway in that time."""
        if idle is None or not idle.at:
            return self
        share = self.at / idle.at
        return Usage(
            self.at,
            tuple(used - share * rest for used, rest in zip(self.nodes, idle.nodes, strict=True)),
            self.redis - share * idle.redis,
            self.postgres - share * idle.postgres,
            {name: count - round(share * idle.calls.get(name, 0)) for name, count in self.calls.items()},
            self.commands - round(share * idle.commands),
            self.in_bytes - round(share * idle.in_bytes),
            self.out_bytes - round(share * idle.out_bytes),
            self.memory,
            self.transactions - round(share * idle.transactions),
            self.wal_bytes - round(share * idle.wal_bytes),
        )


class Stand:
    """Servers that run, and what is behind them."""

    def __init__(
        self, nodes: Sequence[Node], redis: RedisServer | None = None, postgres: PostgresServer | None = None
    ) -> None:
        self.nodes = list(nodes)
        self.idle: Usage | None = None
        self._redis = redis
        self._postgres = postgres
        self._redis_pid = 0
        self._postmaster = 0

    async def find(self, cores: set[int]) -> None:
        """Learn which processes Redis and PostgreSQL are, and keep them on these cores."""
        if self._redis is not None and self._postgres is not None:
            self._redis_pid = (await self._redis.do("INFO", "server"))["process_id"]
            checkpointer = (await self._postgres.do(_POSTMASTER))[0][0]
            self._postmaster = int(_stat(checkpointer)[1])
            for pid in (self._redis_pid, self._postmaster, *_children(self._postmaster)):
                with contextlib.suppress(OSError):  # a child that has just ended
                    machine.pin(pid, cores)

    async def usage(self) -> Usage:
        """What was used up to now."""
        nodes = tuple(node.cpu_s for node in self.nodes)
        if self._redis is None or self._postgres is None:
            return Usage(time.monotonic(), nodes)
        redis, postgres = _tree_s(self._redis_pid, ended=True), self._postgres_s()
        at = time.monotonic()
        told = await self._redis.do("INFO", "everything")
        transactions, wal_bytes = (await self._postgres.do(_WRITTEN))[0]
        return Usage(
            at,
            nodes,
            redis,
            postgres,
            {
                name.removeprefix("cmdstat_"): row["calls"]
                for name, row in told.items()
                if name.startswith("cmdstat_")
            },
            told["total_commands_processed"],
            told["total_net_input_bytes"],
            told["total_net_output_bytes"],
            told["used_memory"],
            transactions,
            wal_bytes,
        )

    def _postgres_s(self) -> float:
        """All its processes, those that have ended too."""
        return _tree_s(self._postmaster, ended=True) + sum(map(_tree_s, _children(self._postmaster)))


@asynccontextmanager
async def sqlite(extra: str = "", compact_s: float = 30) -> AsyncIterator[Stand]:
    """One node with its data in a folder, on the measured core."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as made:
        async with Server(Path(made), toml=_toml(extra), env=_env(compact_s)) as server:
            machine.pin(server.process.pid, machine.cores()[0])
            yield Stand([Node(server.port, server.process.pid)])


@asynccontextmanager
async def cluster(
    postgres: PostgresServer,
    roles: Sequence[Role],
    cores: Sequence[int],
    extra: str = "",
    compact_s: float = 30,
) -> AsyncIterator[tuple[Stand, Cluster]]:
    """Nodes in these roles with a Redis and a database of their own. `cores`: of each node, 0 the measured core, 1 the others."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as made:
        async with RedisServer(Path(made) / "redis") as redis:
            await redis.loaded()
            rig = Cluster(
                Path(made), nodes=len(roles), roles=roles, toml=_toml(extra), redis=redis, postgres=postgres,
                lease_s=LEASE_S, env=_env(compact_s),
            )  # fmt: skip
            async with rig:
                for node, core in zip(rig.nodes, cores, strict=True):
                    machine.pin(node.process.pid, machine.cores()[core])
                stand = Stand([Node(node.port, node.process.pid) for node in rig.nodes], redis, postgres)
                await stand.find(machine.cores()[1])
                yield stand, rig


def token(owner: int) -> str:
    """What that user says."""
    return f"bench-{owner}"


def _env(compact_s: float) -> dict[str, str]:
    return {"HOLDFAST_STORE__COMPACT_EVERY_S": str(compact_s)}


def _toml(extra: str) -> str:
    files = [str(ROOT / "bench" / name) for name in ("paced.py", "cluster_agents.py")]
    tokens = "".join(
        f'[[identity.tokens]]\ntoken = "{token(owner)}"\nuser = "u{owner}"\n' for owner in range(OWNERS)
    )
    return f'agent_files = {files}\n{LIMITS}{extra}\n[identity]\nkind = "tokens"\n{tokens}'


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _tree_s(pid: int, *, ended: bool = False) -> float:
    """The CPU time of a process, and of its children that have ended."""
    try:
        used = machine.cpu_s(pid)
        if ended:
            fields = _stat(pid)
            used += (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0.0  # it has just ended, and is in its parent's figure
    return used
