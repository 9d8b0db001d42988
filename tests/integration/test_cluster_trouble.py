"""A cluster in trouble: a worker dies, Redis or PostgreSQL goes away, Redis loses what it had; the readers lose nothing."""

import asyncio
import inspect
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, ClientTimeout

from holdfast_client.client import connect
from holdfast_client.errors import CommandRefused
from holdfast_protocol.pushes import Notice
from tests.support.cluster import Cluster, Role

pytestmark = [pytest.mark.needs("redis-server", "postgres"), pytest.mark.slow, pytest.mark.faults]

WAIT_S = 40.0  # a busy machine, on top of everything that is waited for
SLOW = {"pace": 40, "words": 150}


@asynccontextmanager
async def client_of(node, **options):
    """A client of that node."""
    async with connect(node.url, **options) as client:
        yield client


async def readiness(http, node):
    """The status of /readyz, and why."""
    async with http.get(f"{node.base}/readyz") as response:
        return response.status, (await response.json())["reason"]


async def until(holds):
    """Look until it is so; what is looked for happens in other processes."""
    async with asyncio.timeout(WAIT_S):
        while True:
            found = holds()
            if (await found) if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(0.02)


async def text_of(answer, taken):
    """Read it to its end; `taken` gets what comes, and whatever is not text."""
    text = ""
    async for piece in answer:
        taken.append(piece)
        text += str(piece)
    return text


async def test_a_worker_that_dies_is_followed_by_another(tmp_path, postgres_server):
    """Another worker goes on with what it ran, and whoever reads at a gateway sees one unbroken answer."""
    roles: tuple[Role, ...] = ("gateway", "worker", "worker")
    async with (
        asyncio.timeout(WAIT_S),
        Cluster(tmp_path, roles=roles, postgres=postgres_server) as cluster,
        client_of(cluster.nodes[0]) as client,
    ):
        _, first, second = cluster.nodes
        assert await second.stop() == 0
        answer = await client.submit("Tell me.", options=SLOW)
        pieces: list[object] = []
        reading = asyncio.create_task(text_of(answer, pieces))
        await until(lambda: len(pieces) >= 10)
        await asyncio.gather(first.kill(), second.start())
        text = await reading
        assert all(isinstance(piece, str) for piece in pieces)
        assert answer.status == "completed"
        assert answer.fold.started.reason == "recovered"
        whole = await client.submit("Tell me.", options=SLOW | {"pace": 10_000})
        assert (await whole.result()).text == text


async def test_redis_goes_and_comes_back(tmp_path, postgres_server):
    """Nodes say so in /readyz and in a notice, stay alive, and go on by themselves; no reader has lost or seen twice anything."""
    notices: list[Notice] = []
    async with (
        asyncio.timeout(WAIT_S),
        Cluster(tmp_path, nodes=2, roles=("gateway", "worker"), postgres=postgres_server) as cluster,
        ClientSession(timeout=ClientTimeout(total=10)) as http,
        client_of(cluster.nodes[0], on_notice=notices.append) as client,
    ):
        gateway, worker = cluster.nodes
        answer = await client.submit("Tell me.", options=SLOW)
        pieces: list[object] = []
        reading = asyncio.create_task(text_of(answer, pieces))
        await until(lambda: len(pieces) >= 10)
        await cluster.redis.kill()
        for node in (gateway, worker):
            await until(lambda node=node: _is(readiness(http, node), 503))
            assert "Redis" in (await readiness(http, node))[1]
            async with http.get(f"{node.base}/healthz") as response:
                assert response.status == 200
        await until(lambda: any(one.kind == "storage" and "Redis" in one.message for one in notices))
        await cluster.redis.start()
        for node in (gateway, worker):
            await until(lambda node=node: _is(readiness(http, node), 200))
        text = await reading
        assert answer.status == "completed"
        whole = await client.submit("Tell me.", options=SLOW | {"pace": 10_000})
        assert (await whole.result()).text == text


async def _is(asked, status):
    return (await asked)[0] == status


async def test_the_history_goes_and_comes_back(tmp_path):
    """What runs goes on; nothing new is accepted meanwhile, which is said; afterwards the chat is whole."""
    async with (
        asyncio.timeout(WAIT_S),
        Cluster(tmp_path, nodes=2, roles=("gateway", "worker")) as cluster,
        ClientSession(timeout=ClientTimeout(total=15)) as http,
        client_of(cluster.nodes[0]) as client,
    ):
        gateway, worker = cluster.nodes
        answer = await client.submit("Tell me.", chat_id="the-chat", options=SLOW | {"words": 40})
        await until(lambda: len(answer.transcript.text) >= 20)
        cluster.postgres.kill()
        for node in (gateway, worker):
            await until(lambda node=node: _is(readiness(http, node), 503))
            assert "history" in (await readiness(http, node))[1]
        text = (await answer.result()).text
        assert answer.status == "completed"
        with pytest.raises(CommandRefused, match=r"unavailable|history|answer"):
            await client.submit("More.", options=SLOW)
        cluster.postgres.start_now()
        for node in (gateway, worker):
            await until(lambda node=node: _is(readiness(http, node), 200))
        rows = (await client.messages("the-chat")).messages
        assert [row.text for row in rows] == [text, "Tell me."]


async def test_what_redis_has_lost_is_opened_again(tmp_path, postgres_server):
    """A request that waits for a person is gone from Redis with all that stood there. It was accepted, so it is opened again:
    its reader is put onto the new journal by a snapshot that says why, and is never told that it is gone; then it is decided."""
    async with (
        asyncio.timeout(WAIT_S),
        Cluster(tmp_path, nodes=2, roles=("gateway", "worker"), postgres=postgres_server) as cluster,
        ClientSession(timeout=ClientTimeout(total=20)) as http,
        client_of(cluster.nodes[0]) as client,
    ):
        gateway = cluster.nodes[0]
        answer = await client.submit("Please approve.", request_id="asked", options={"pace": 400})
        level = 0
        while answer.status != "waiting":
            level = await answer.changed(level)
        before = answer.fold.accepted.nonce
        async with http.get(f"{gateway.base}/v1/requests/asked/events?format=sse") as stream:
            await cluster.redis.do("FLUSHALL")
            while answer.status != "waiting" or answer.fold.accepted.nonce == before:
                level = await answer.changed(level)
            with pytest.raises(Exception):  # noqa: B017 - however the line breaks: it must not look like an end
                await stream.read()
        wait = next(part.fields for part in reversed(answer.parts) if part.kind == "wait")
        await client.decide("asked", wait["wait_id"], True, digest=wait["digest"])
        await answer.result()
        assert answer.status == "completed"
