"""A cluster in trouble and everybody who looks at it: readers through every node, /readyz, notices, the upstream, and Redis.

    async with trouble(tmp_path, nodes=2, redis=redis_server, postgres=postgres_server) as scene:
        talks = await scene.ask(6)            # through each node in turn, read through every node
        await scene.shown(talks)
        await cluster.redis.kill()
        await scene.troubled("Redis")         # 503 with that word at every node, and every client has heard it
        await cluster.redis.start()
        await scene.calm()
        await scene.check(talks)              # nobody has lost, or seen twice, anything; and Redis holds the same

What readers apply is judged three times: by the client library, which verifies every page and digest (`starts_over` counts
what did not verify), against the upstream's text, and against the journal as it lies in Redis at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from holdfast_client import connect
from holdfast_client.client import Client
from holdfast_client.ids import new_id
from holdfast_protocol.codec import decode_events
from holdfast_protocol.errors import ERRORS, ProtocolError
from holdfast_protocol.events import Event
from holdfast_protocol.fold import Fold
from holdfast_protocol.pushes import Notice, Snapshot
from holdfast_server.stores.base import Key, Owner, key_of
from holdfast_server.stores.blob import Packed, unpack
from holdfast_server.stores.redis.keys import prefix_of, tag_in
from tests.support.cluster import LEASE_S, Cluster, ClusterNode
from tests.support.redis_rig import RedisServer
from tests.support.script import Script, expected_text
from tests.support.takeover import AGENTS, Books, Reader, token_of
from tests.support.trouble_agents import NOTES
from tests.support.upstream import Upstream

USERS: Final = tuple(f"user-{number}" for number in range(6))
"""Of several shards, so that trouble with one server of many meets some and not others."""

CALM: Final = "The store takes writes again."
LOOK_S: Final = 0.05
WAIT_S: Final = 30.0  # far beyond what is promised: a test that hangs says so, one on a busy machine passes
SHOWN_CHARS: Final = 60
SCRIPT: Final = Script(deltas=150, gap_ms=40, hold=100, reseed=True, split_utf8=True)
"""Six seconds of an answer, of which the last two come when the trouble is over (`calm`, `check`): every fault begins within
it, on a slow machine too."""


def toml_of(base_url: str, limits: str = "") -> str:
    """Tokens for USERS, an agent that asks the upstream, and those of the agent files."""
    tokens = "\n".join(
        f'[[identity.tokens]]\ntoken = "{token_of(user)}"\nuser = "{user}"\n' for user in USERS
    )
    agents = [str(AGENTS), str(AGENTS.with_name("trouble_agents.py"))]
    return (
        f'default_agent = "model"\nagent_files = {agents!r}\n'
        f"[limits]\ncommands_per_s = 10000\ncommands_burst = 10000\nuser_calls_max = 1000\n{limits}\n"
        f'[identity]\nkind = "tokens"\n{tokens}'
        f'[agents.model]\nkind = "openai_chat"\nmodel = "scripted"\nbase_url = "{base_url}"\napi_key = "unused"\nretries = 8\n'
    )


class TextReader(Reader):
    """Reads the text alone: what a lost journal had in it can be told as text, and no more as events."""

    async def _events(self) -> None:
        pass


class Desk:
    """One user's client at one node, and what it has heard beside answers."""

    def __init__(self, node: ClusterNode, user: str) -> None:
        self.notices: list[Notice] = []
        self.resets: list[tuple[str, str]] = []  # request and reason of each snapshot
        self.client: Client = connect(
            node.url, token=token_of(user), on_notice=self.notices.append, patience_s=60.0
        )
        receive = self.client.session.receive

        def overheard(data: bytes | str) -> Any:
            with contextlib.suppress(ProtocolError):
                push = self.client.session.codec.decode_server(data)
                if isinstance(push, Snapshot):
                    self.resets.append((push.request_id, push.reason))
            return receive(data)

        self.client.session.receive = overheard  # type: ignore[method-assign]

    @property
    def told(self) -> list[str]:
        """What it was told of the store, in order."""
        return [notice.message for notice in self.notices if notice.kind == "storage"]


class Talk:
    """One request: what was asked, and who reads it."""

    def __init__(self, user: str, script: Script | None) -> None:
        self.key: Key = key_of(Owner("", user), new_id())
        self.script = script
        self.readers: list[Reader] = []

    @property
    def request_id(self) -> str:
        """Its id."""
        return self.key.request_id


class Gauge:
    """What one node says of itself, asked again and again."""

    def __init__(self, node: ClusterNode) -> None:
        self.node = node
        self.said: list[tuple[float, int, str]] = []  # when, status, reason

    async def run(self) -> None:
        """Until cancelled."""
        async with ClientSession(timeout=ClientTimeout(total=5.0)) as http:
            while True:
                await self._look(http)
                await asyncio.sleep(LOOK_S)

    async def _look(self, http: ClientSession) -> None:
        try:
            async with http.get(f"{self.node.base}/readyz") as response:
                body = await response.json()
                self.said.append((time.monotonic(), response.status, body["reason"] or ""))
        except (ClientError, OSError, TimeoutError, ValueError):
            self.said.append((time.monotonic(), 0, "no answer"))

    @property
    def now(self) -> tuple[int, str]:
        """What it said last."""
        return self.said[-1][1:] if self.said else (0, "")


class Scene:
    """See the module's text."""

    def __init__(self, cluster: Cluster, upstream: Upstream, stack: AsyncExitStack) -> None:
        self.cluster = cluster
        self.upstream = upstream
        self.books = Books(cluster.redis)
        self.desks: dict[tuple[int, str], Desk] = {}
        self.gauges = [Gauge(node) for node in cluster.nodes]
        self.server_of: Callable[[str], Awaitable[RedisServer]] = self._only
        self.refusals_s: list[float] = []  # how long each took
        self._stack = stack
        self._number = 0
        for gauge in self.gauges:
            task = asyncio.get_running_loop().create_task(gauge.run())
            stack.callback(task.cancel)

    async def _only(self, tag: str) -> RedisServer:
        return self.cluster.redis

    def at(self, server: RedisServer) -> None:
        """What is written down is looked up there from now on."""

        async def there(tag: str) -> RedisServer:
            return server

        self.server_of = there
        self.books = Books(server)

    def home(self, talk: Talk) -> str:
        """The tag of its keys."""
        return tag_in(prefix_of(talk.key))

    async def desk(self, node: int, user: str) -> Desk:
        """That user's client at that node."""
        if (node, user) not in self.desks:
            desk = self.desks[node, user] = Desk(self.cluster.nodes[node], user)
            await self._stack.enter_async_context(desk.client)
        return self.desks[node, user]

    # -- asking ----------------------------------------------------------------------------------------------

    async def ask(
        self,
        count: int = 1,
        *,
        through: Sequence[int] = (),
        read: Sequence[int] = (),
        script: Script | None = SCRIPT,
        reader: type[Reader] = Reader,
        **asked: Any,
    ) -> list[Talk]:
        """So many requests, each of another user, through one node after the other, and read through each (through those of
        `read`). `script`: what the upstream says; None where `asked` names another agent."""
        nodes = list(through) or list(range(len(self.cluster.nodes)))
        talks = []
        for turn in range(count):
            self._number += 1
            talk = Talk(USERS[self._number % len(USERS)], None)
            if script is not None:
                talk.script = msgspec.structs.replace(script, seed=self._number)
                self.upstream.script(talk.script, talk.request_id)
            desk = await self.desk(nodes[turn % len(nodes)], talk.key.user)
            await desk.client.submit("Go on.", request_id=talk.request_id, follow=False, **asked)
            talks.append(talk)
        for talk in talks:
            await self.read(talk, read or range(len(self.cluster.nodes)), reader)
        return talks

    async def read(self, talk: Talk, nodes: Iterable[int], reader: type[Reader] = Reader) -> None:
        """Begin to read it through these."""
        for node in nodes:
            desk = await self.desk(node, talk.key.user)
            talk.readers.append(reader(desk.client.attach(talk.request_id)))
            self._stack.push_async_callback(talk.readers[-1].close)

    async def shown(self, talks: Iterable[Talk], chars: int = SHOWN_CHARS) -> None:
        """Wait until every reader sees so much of each."""
        for talk in talks:
            await until(lambda talk=talk: all(len(reader.text) >= chars for reader in talk.readers))  # type: ignore[misc]

    async def refused(self, node: int, codes: set[str], within_s: float) -> str:
        """Ask for something new at that node: it is refused, in time, so that it may be asked again. Its id."""
        request_id = new_id()
        self.upstream.script(Script(deltas=3), request_id)
        began = time.monotonic()
        status, body = await self.post(node, request_id)
        took_s = time.monotonic() - began
        assert status >= 429, (status, body, self.gauges[node].now)
        assert body["error"]["code"] in codes, body
        assert ERRORS[body["error"]["code"]].retryable, body
        assert took_s <= within_s, (took_s, body)
        self.refusals_s.append(took_s)
        return request_id

    async def post(self, node: int, request_id: str) -> tuple[int, dict[str, Any]]:
        """Ask by HTTP, which nobody repeats: the status and the body."""
        headers = {"Authorization": f"Bearer {token_of(USERS[0])}"}
        asked = {"request_id": request_id, "messages": [{"role": "user", "text": "More."}]}
        url = f"{self.cluster.nodes[node].base}/v1/requests"
        async with (
            ClientSession(timeout=ClientTimeout(total=WAIT_S)) as http,
            http.post(url, json=asked, headers=headers) as response,
        ):
            return response.status, await response.json()

    # -- what is said of it ----------------------------------------------------------------------------------

    async def troubled(self, words: str, nodes: Iterable[int] | None = None) -> None:
        """Wait until these nodes (all) refuse work with a sentence that has the words, and every client there was told one."""
        at = set(range(len(self.cluster.nodes)) if nodes is None else nodes)
        for number in at:
            gauge = self.gauges[number]
            await until(lambda gauge=gauge: gauge.now[0] == 503 and re.search(words, gauge.now[1]), gauge)  # type: ignore[misc]
        for (number, _), desk in self.desks.items():
            if number in at:
                await until(lambda desk=desk: any(re.search(words, said) for said in desk.told[-3:]))  # type: ignore[misc]

    async def calm(self, nodes: Iterable[int] | None = None) -> None:
        """Wait until these nodes (all) take work again, and every client that was told of trouble was told of its end."""
        self.upstream.release()
        at = set(range(len(self.cluster.nodes)) if nodes is None else nodes)
        for number in at:
            gauge = self.gauges[number]
            await until(lambda gauge=gauge: gauge.now[0] == 200, gauge)  # type: ignore[misc]
        for (number, _), desk in self.desks.items():
            if number in at:
                await until(lambda desk=desk: not desk.told or desk.told[-1] == CALM)  # type: ignore[misc]

    @property
    def refused_s(self) -> str:
        """How long each refusal took, for people."""
        return ", ".join(f"{took_s:.2f}" for took_s in self.refusals_s)

    def unready_s(self, node: int) -> float:
        """For how long in all that node refused work so far."""
        said = self.gauges[node].said
        return sum(after[0] - before[0] for before, after in itertools.pairwise(said) if before[1] == 503)

    # -- the end ---------------------------------------------------------------------------------------------

    async def check(
        self, talks: Iterable[Talk], *, attempts: int = 1, reasons: Sequence[str] = ("first",)
    ) -> None:
        """All end well: the same bytes for every reader, nothing taken back or told twice, and Redis holds the same."""
        for talk in talks:
            self.upstream.release(talk.request_id)
            for reader in talk.readers:
                async with asyncio.timeout(WAIT_S):
                    await reader.until_end()
                answer = reader.answer
                assert answer.status == "completed", (talk.key, answer.fold.outcome)
                assert [start.reason for start in reader.starts] == list(reasons), talk.key
                assert reader.is_whole(), talk.key
                assert bool(reader.taken_back) == (attempts > 1), talk.key
                if talk.script is not None:
                    assert reader.text == expected_text(talk.script, attempts), talk.key
            await self.same(talk)
            if talk.script is not None:
                assert len(self.upstream.log.of(talk.request_id)) == attempts, talk.key

    async def same(self, talk: Talk) -> None:
        """What every reader has is the journal in Redis, to the byte; nothing that came to it failed to verify."""
        events = await self.stored(talk.key)
        kept = Fold()
        for event in events:
            kept.apply(event)
        assert kept.sealed
        for reader in talk.readers:
            await reader.until_end()
            fold = reader.answer.fold
            assert (fold.offset, fold.digest(), fold.status) == (kept.offset, kept.digest(), kept.status), (
                talk.key
            )
            assert fold.outcome == kept.outcome
            assert fold.transcript().text == kept.transcript().text
        for desk in self.desks.values():
            following = desk.client.session.followings.get(talk.request_id)
            assert following is None or following.starts_over == 0, talk.key

    async def stored(self, key: Key, server: RedisServer | None = None) -> list[Event]:
        """The events of the journal as they lie in Redis (in this one), its entries checked to be without hole or overlap;
        none where it is not there."""
        prefix = prefix_of(key)
        server = server or await self.server_of(tag_in(prefix))
        entries = await server.do("XRANGE", f"{prefix}:e", "-", "+")
        if not entries:
            packed = await server.do("HMGET", f"{prefix}:b", "data", "sha", "text_sha")
            return list(unpack(Packed(*packed)).events) if packed[0] else []
        events: list[Event] = []
        terms: list[int] = []
        for id_, fields in entries:
            events += decode_events(fields[b"e"])
            term, _, end = id_.decode().partition("-")
            assert int(end) == len(events), (key, id_)
            terms.append(int(term))
        assert terms == sorted(terms), key
        return events

    async def runs_at(self, talk: Talk) -> int:
        """The number of the node that runs it."""
        async with asyncio.timeout(WAIT_S):
            while True:
                at = await self.books.standing(talk.key)
                name = (await self.books.names()).get(at.node) if at is not None else None
                for node in self.cluster.nodes:
                    if node.name == name:
                        return node.number
                await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def trouble(
    folder: Path, *, limits: str = "", lease_s: float = LEASE_S, **cluster: Any
) -> AsyncIterator[Scene]:
    """A Scene; `cluster` is what Cluster takes."""
    notes = folder / "notes"
    notes.mkdir(parents=True, exist_ok=True)
    calls = folder / "calls"
    calls.touch()
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(Upstream())
        env = {NOTES: str(notes), "HOLDFAST_TEST_CALLS": str(calls)}
        rig = Cluster(folder, toml=toml_of(upstream.base_url, limits), lease_s=lease_s, env=env, **cluster)
        await stack.enter_async_context(rig)
        yield Scene(rig, upstream, await stack.enter_async_context(AsyncExitStack()))


async def until(holds: Callable[[], Any], about: Any = None) -> None:
    """Look until it is so. Raises: AssertionError with what it is about."""
    try:
        async with asyncio.timeout(WAIT_S):
            while not holds():  # noqa: ASYNC110 - processes tell nobody
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        said = about.said[-5:] if isinstance(about, Gauge) else about
        raise AssertionError(f"it did not come: {said}") from None


def figures(capsys: Any, text: str) -> None:
    """Show what was measured, whether the test passes or not."""
    with capsys.disabled():
        print(f"\n{text}")  # noqa: T201 - the figures


def resident_bytes(node: ClusterNode) -> int:
    """The memory that the node's process has now."""
    status = Path(f"/proc/{node.process.pid}/status").read_text("utf-8")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return 1024 * int(found[1])
