"""What tests of takeover look at: who holds what by Redis's own account, readers that miss nothing, and a door before all nodes.

books = Books(cluster.redis)
await books.standing(key)                   # who runs it
await books.claimed_ms(keys, 2)             # when, by Redis's clock, each got its second holder
reader = Reader(client.attach("r"))         # .text, .taken_back, .events
async with Front(cluster.nodes) as front:   # front.url; front.leave(node) as a balancer does that finds it dead
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import math
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from holdfast_client import Answer
from holdfast_client.reading import Superseded
from holdfast_protocol import events as ev
from holdfast_server.stores.base import Key, Owner
from holdfast_server.stores.redis.keys import TAGS, owner_prefix, prefix_of
from tests.support.cluster import ClusterNode
from tests.support.redis_rig import RedisServer

AGENTS = Path(__file__).with_name("takeover_agents.py")

LOOK_S: Final = 0.02
WAIT_S: Final = 10.0  # for a claim: five times what is promised

PIECE_BYTES: Final = 64 * 1024
CONNECT_S: Final = 1.0


def token_of(user: str) -> str:
    """Everybody's token; they guard nothing."""
    return f"token-of-{user}-0123456789"


def toml_of(base_url: str, users: Iterable[str], *, limits: str = "", model: str = "") -> str:
    """Tokens for these users, the agents of takeover_agents.py, and `model`, which asks the scripted upstream."""
    tokens = "\n".join(
        f'[[identity.tokens]]\ntoken = "{token_of(user)}"\nuser = "{user}"\n' for user in users
    )
    return (
        f'default_agent = "model"\nagent_files = ["{AGENTS}"]\n'
        "[limits]\ncommands_per_s = 10000\ncommands_burst = 10000\nuser_calls_max = 1000\n"
        f"user_connections_max = 200\n{limits}\n"
        f'[identity]\nkind = "tokens"\n{tokens}'
        f'[agents.model]\nkind = "openai_chat"\nmodel = "scripted"\nbase_url = "{base_url}"\napi_key = "unused"\n'
        f"retries = 8\n{model}\n"
    )


def now_ms() -> int:
    """The clock that Redis and all nodes of this machine have too."""
    return time.time_ns() // 1_000_000


class Claimed(NamedTuple):
    """How a journal stands in Redis."""

    status: str
    node: str  # its id
    term: int
    deaths: int


class Books:
    """What Redis has written down."""

    def __init__(self, redis: RedisServer) -> None:
        self._redis = redis

    async def standing(self, key: Key) -> Claimed | None:
        """Of one request; None where it is not there."""
        names = ("st", "node", "term", "deaths", "lease")
        st, node, term, deaths, lease = await self._redis.do("HMGET", f"{prefix_of(key)}:h", *names)
        if st is None:
            return None
        held = lease == b"1" or st == b"waiting"
        return Claimed(st.decode(), node.decode() if held else "", int(term), int(deaths))

    async def names(self) -> dict[str, str]:
        """The names of the nodes that live, by their ids."""
        rows = await self._redis.do("HGETALL", "{hf}:nodes")
        return {node.decode(): json.loads(row)["name"] for node, row in rows.items()}

    async def claimed_ms(self, keys: Sequence[Key], term: int) -> list[float]:
        """When each of these was first seen in its term number `term`, by Redis's own clock: late by LOOK_S at most. Return when
        all were, or after WAIT_S; who was not is at infinity."""
        seen: dict[Key, float] = {}
        deadline = time.monotonic() + WAIT_S
        async with self._redis.client() as client:
            while len(seen) < len(keys) and time.monotonic() < deadline:
                async with client.pipeline(transaction=True) as looks:
                    looks.time()
                    for key in keys:
                        looks.hget(f"{prefix_of(key)}:h", "term")
                    (seconds, micros), *terms = await looks.execute()
                for key, has in zip(keys, terms, strict=True):
                    if has is not None and int(has) >= term:
                        seen.setdefault(key, seconds * 1000 + micros / 1000)
                await asyncio.sleep(LOOK_S)
        return [seen.get(key, math.inf) for key in keys]

    async def terms(self, key: Key) -> list[int]:
        """Where each term of the journal began: offset by term, from 0; -1 for a term without any."""
        fields = await self._redis.do("HGETALL", f"{prefix_of(key)}:h")
        return [
            int(fields.get(b"c%d" % term, b":-1").rpartition(b":")[2])
            for term in range(int(fields[b"term"]) + 1)
        ]

    async def entries(self, key: Key) -> list[tuple[int, int]]:
        """The ids of the journal's entries: term and end; empty once it is packed."""
        ids = [entry[0].decode() for entry in await self._redis.do("XRANGE", f"{prefix_of(key)}:e", "-", "+")]
        return [(int(id_.partition("-")[0]), int(id_.partition("-")[2])) for id_ in ids]

    async def left(self, owners: Iterable[Owner]) -> dict[str, Any]:
        """What is still taken: runs by owner, what nodes hold, tokens of agents. Empty when nothing runs."""
        found: dict[str, Any] = {}
        client: Any  # what it returns depends on how it was opened
        async with self._redis.client() as client:
            for owner in owners:
                if running := await client.scard(f"{owner_prefix(owner)}:run"):
                    found[owner.user] = running
            async for name in client.scan_iter(match="*:nj:*", count=1000):
                found[name.decode()] = await client.scard(name)
            tokens = await client.hgetall("{hf}:agents")
            found |= {name.decode(): int(count) for name, count in tokens.items() if int(count)}
            for tag in TAGS:
                for node in await client.zrange(f"{tag}:n", 0, -1):
                    found[f"{tag}:n:{node.decode()}"] = "a lease"
        return found


class Reader:
    """Reads one answer twice over, as text and as events, from the start to the end. `until_end` returns when both are there."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.text = ""
        self.taken_back = 0  # how often shown text was
        self.events: list[ev.Event] = []
        self._task = asyncio.get_running_loop().create_task(self._both(), name=f"read {answer.request_id}")

    async def until_end(self) -> Self:
        """Raises: what the client raised."""
        await self._task
        return self

    async def close(self) -> None:
        """Read no further."""
        self._task.cancel()
        await asyncio.wait({self._task})

    @property
    def starts(self) -> list[ev.Started]:
        """How its terms began."""
        return [event for event in self.events if isinstance(event, ev.Started)]

    def is_whole(self) -> bool:
        """Whether the events are all of the log, from the first to an outcome that is the only one."""
        outcomes = [event for event in self.events if isinstance(event, ev.OUTCOMES)]
        spans = sum(event.span for event in self.events)
        return outcomes == self.events[-1:] and spans == self.answer.fold.offset

    async def _both(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._texts())
            group.create_task(self._events())

    async def _texts(self) -> None:
        async for piece in self.answer:
            if isinstance(piece, Superseded):
                self.text = self.text[: piece.kept_chars]
                self.taken_back += 1
            else:
                self.text += piece

    async def _events(self) -> None:
        async for event in self.answer.events():
            self.events.append(event)


class Front:
    """A TCP door before all nodes: each connection goes to the next one that takes it. Left, all connections are gone."""

    def __init__(self, nodes: Sequence[ClusterNode], first: int = 0) -> None:
        self._nodes = list(nodes)
        self._turn = itertools.count(first)
        self._out: set[ClusterNode] = set()
        self._links: dict[asyncio.Task[None], ClusterNode | None] = {}
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._end(list(self._links))

    @property
    def url(self) -> str:
        """Where the WebSocket of whichever node is."""
        return f"ws://127.0.0.1:{self.port}/ws"

    async def leave(self, node: ClusterNode) -> None:
        """No connection goes there any more, and those that did end."""
        self._out.add(node)
        await self._end([task for task, to in self._links.items() if to is node])

    def join(self, node: ClusterNode) -> None:
        """It takes connections again."""
        self._out.discard(node)

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._carry(reader, writer))
        self._links[task] = None
        task.add_done_callback(self._links.pop)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        there: asyncio.StreamWriter | None = None
        try:
            turn = next(self._turn)
            for step in range(len(self._nodes)):
                node = self._nodes[(turn + step) % len(self._nodes)]
                if node in self._out:
                    continue
                try:
                    async with asyncio.timeout(CONNECT_S):
                        back, there = await asyncio.open_connection("127.0.0.1", node.port)
                except OSError:
                    continue
                self._links[task] = node
                await asyncio.wait(
                    {
                        asyncio.create_task(_pump(reader, there)),
                        asyncio.create_task(_pump(back, writer)),
                    },
                    return_when=asyncio.FIRST_COMPLETED,
                )
                return
        finally:
            for side in (writer, there):
                if side is not None:
                    side.transport.abort()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await source.read(PIECE_BYTES):
            sink.write(piece)
            await sink.drain()
