"""A cluster of real servers on a real Redis and PostgreSQL: whatever one node does, every other node shows."""

import asyncio
import json
import random
from base64 import b64encode
from collections import Counter
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from aiohttp import ClientSession, ClientTimeout, web

from holdfast_client.client import connect
from holdfast_client.ids import new_id
from holdfast_protocol.replies import ChatRow, RequestRow
from tests.support.cluster import DEMO_TOML, Cluster, Role
from tests.support.every_door import Doors, Reader
from tests.support.serving import openai_toml
from tests.support.upstream import Script, Upstream, expected_text, scripted

pytestmark = [
    pytest.mark.needs("redis-server", "postgres"),
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
]

SEED = 20260102
APART: tuple[Role, ...] = ("gateway", "worker", "gateway")
LIMITS = "\n[limits]\ncommands_per_s = 10000\ncommands_burst = 10000\nuser_calls_max = 1000\n"
WEBHOOKS = f"""
[webhooks]
secrets = ["whsec_{b64encode(b"a secret of thirty-two characters").decode()}"]
allow_private = true
"""
QUICK = {"pace": 400}
SLOW = {"pace": 8, "words": 400}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def cluster(tmp_path_factory, redis_process, postgres_process):
    """A gateway, a worker and a gateway."""
    async with redis_process.client() as client:
        await client.execute_command("FLUSHALL")
    rig = Cluster(
        tmp_path_factory.mktemp("cluster"), roles=APART, toml=DEMO_TOML + LIMITS + WEBHOOKS, redis=redis_process,
        postgres=postgres_process,
    )  # fmt: skip
    async with rig:
        yield rig


@asynccontextmanager
async def clients(*nodes):
    """A client of each."""
    clients = [connect(node.url) for node in nodes]
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.__aenter__())
    try:
        yield clients
    finally:
        await asyncio.gather(*(client.close() for client in clients))


@asynccontextmanager
async def http_client():
    """A plain one."""
    async with ClientSession(timeout=ClientTimeout(total=30)) as http:
        yield http


async def test_opened_here_run_there_followed_and_replayed_elsewhere(cluster):
    """A request opened through a gateway runs on the worker; through another gateway it is followed live, and replayed once it
    has ended; both see the same chat with the same messages."""
    one, _, three = cluster.nodes
    async with clients(one, three) as (here, there):
        asked = await here.submit("Tell me.", chat_id=new_id(), options={"pace": 60, "words": 60})
        followed = there.attach(asked.request_id)
        pieces = [str(piece) async for piece in followed]
        assert len(pieces) > 3  # it was seen to come
        text = "".join(pieces)
        assert text == (await asked.result()).text
        for client in (here, there):
            messages = (await client.messages(asked.chat_id)).messages
            assert [(row.role, row.text) for row in messages] == [("assistant", text), ("user", "Tell me.")]
        shown = [(await client.chats()).chats for client in (here, there)]
        assert shown[0] == shown[1]
        assert asked.chat_id in [row.chat_id for row in shown[0]]
    async with clients(three) as (again,):
        assert (await again.attach(asked.request_id).result()).text == text


async def test_ended_and_decided_through_any_node(cluster):
    """A cancel through another gateway ends what the worker runs; a decision through another gateway lets it go on."""
    one, _, three = cluster.nodes
    async with clients(one, three) as (here, there):
        running = await here.submit("Talk for long.", options=SLOW)
        level = 0
        while running.status != "running":
            level = await running.changed(level)
        assert (await there.cancel(running.request_id)).won
        await running.result()
        assert running.status == "cancelled"

        waiting = await there.submit("Please approve this.", options=QUICK)
        seen = here.attach(waiting.request_id)
        level = 0
        while seen.status != "waiting":
            level = await seen.changed(level)
        wait = next(part.fields for part in reversed(seen.parts) if part.kind == "wait")
        await here.decide(waiting.request_id, wait["wait_id"], True, digest=wait["digest"])
        await waiting.result()
        assert waiting.status == "completed"


async def test_a_feed_tells_what_every_node_does(cluster):
    """Requests and chats of another gateway come as they change: a new chat, its request up to the end, a new title."""
    one, _, three = cluster.nodes
    async with clients(one, three) as (here, there):
        seen = {}

        async def watch(until):
            async for row in there.watch():
                key = row.chat_id if isinstance(row, ChatRow) else row.request_id
                seen[type(row), key] = row
                if until(row):
                    return

        asked = await here.submit("First.", chat_id="the-chat", options=QUICK)
        await watch(lambda row: isinstance(row, RequestRow) and row.outcome is not None)
        assert seen[RequestRow, asked.request_id].status == "completed"
        await here.update_chat("the-chat", title="Another title")
        await watch(lambda row: isinstance(row, ChatRow) and row.title == "Another title")


async def test_the_same_request_through_two_nodes_at_once_is_one(cluster):
    """Both get the same answer, and it was made once."""
    one, _, three = cluster.nodes
    async with clients(one, three) as (here, there):
        for number in range(5):
            name, chat = f"twin-{number}", f"chat-{number}"
            answers = await asyncio.gather(
                *(
                    client.submit(
                        "Twice.", request_id=name, chat_id=chat, message_id=f"q-{number}", options=QUICK
                    )
                    for client in (here, there)
                )
            )
            assert sorted(answer.submitted.created for answer in answers) == [False, True]
            texts = [(await answer.result()).text for answer in answers]
            assert texts[0] == texts[1]
            assert [row.role for row in (await here.messages(chat)).messages] == ["assistant", "user"]


async def test_two_of_one_chat_through_two_nodes_get_one_place_after_the_other(cluster):
    """Many submitted at once into one chat form one branch: no two of them have the same parent."""
    one, _, three = cluster.nodes
    async with clients(one, three) as (here, there):
        answers = await asyncio.gather(
            *(
                (here, there)[number % 2].submit(
                    f"Number {number}.", chat_id="busy", options={"pace": 400, "words": 3}
                )
                for number in range(8)
            )
        )
        for answer in answers:
            await answer.result()
        rows = (await there.messages("busy")).messages
        assert len(rows) == 16
        parents = Counter(row.parent_id for row in rows)
        assert set(parents.values()) == {1}


async def test_a_ticket_lets_in_once_at_any_node(cluster):
    """Got from one gateway, used at another, and then no more at either."""
    one, _, three = cluster.nodes
    async with http_client() as http:
        async with http.post(f"{one.base}/v1/tickets") as response:
            ticket = (await response.json())["ticket"]
        statuses = []
        for node in (three, one, three):
            async with http.get(f"{node.base}/v1/feed?format=json&ticket={ticket}") as response:
                statuses.append(response.status)
        assert statuses == [200, 401, 401]


async def test_a_quota_holds_across_nodes(tmp_path, postgres_server):
    """Of a hundred submits through two gateways at once exactly as many are taken as the user may have open."""
    toml = DEMO_TOML + LIMITS + "user_open_max = 5\n"
    rig = Cluster(tmp_path, roles=APART, toml=toml, postgres=postgres_server)
    async with asyncio.timeout(60), rig, http_client() as http:

        async def submit(number):
            base = rig.nodes[0 if number % 2 else 2].base
            body = {"text": "Talk for long.", "options": SLOW}
            async with http.post(
                f"{base}/v1/requests", json=body, headers={"Prefer": "respond-async"}
            ) as response:
                return response.status, (await response.json()).get("error", {}).get("code")

        answers = Counter(await asyncio.gather(*(submit(number) for number in range(100))))
        assert answers == {(202, None): 5, (429, "too_many_requests"): 95}
        await asyncio.sleep(6.5)  # what was refused is not taken later either
        async with http.get(f"{rig.nodes[2].base}/v1/requests?limit=200") as response:
            assert len((await response.json())["requests"]) == 5


async def test_waiting_through_a_node_that_does_not_run_it(cluster):
    """Prefer: wait, long polls, a batch's results and what runs after something else, all at a gateway."""
    one, _, three = cluster.nodes
    async with http_client() as http:
        body = {"request_id": "w", "text": "Hello.", "options": {"pace": 100, "words": 30}}
        async with http.post(f"{one.base}/v1/requests", json=body, headers={"Prefer": "wait=20"}) as response:
            assert response.status == 200
            assert (await response.json())["status"] == "completed"
        requests = [
            {"request_id": f"b{number}", "text": "Hello.", "options": {"pace": 100, "words": 20 + number}}
            for number in range(6)
        ]
        async with http.post(
            f"{one.base}/v1/batches", json={"batch_id": "all", "requests": requests}
        ) as response:
            assert response.status in (201, 202), await response.text()
        async with http.get(f"{three.base}/v1/batches/all/results") as response:
            lines = [json.loads(line) async for line in response.content if line.strip()]
        ended = [line["request_id"] for line in lines if line.get("type") == "result"]
        assert sorted(ended) == [f"b{number}" for number in range(6)]


async def test_a_webhook_is_called_once_for_all_nodes(cluster):
    """The gateway that took it knows soon that another node has ended the request, and only one of them calls."""
    called: Counter[str] = Counter()

    async def take(request):
        called[(await request.json())["data"]["request_id"]] += 1
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        names = [f"hook-{number}" for number in range(8)]
        async with http_client() as http, asyncio.timeout(20):
            for number, name in enumerate(names):
                body = {"request_id": name, "text": "Hello.", "options": QUICK, "webhook": {"url": url}}
                base = cluster.nodes[0 if number % 2 else 2].base
                async with http.post(
                    f"{base}/v1/requests", json=body, headers={"Prefer": "respond-async"}
                ) as response:
                    assert response.status == 202, await response.text()
            while len(called) < len(names):  # noqa: ASYNC110 - it comes from another process
                await asyncio.sleep(0.05)
            await asyncio.sleep(1.0)  # what is called twice is called at once
        assert called == Counter(names)
    finally:
        await runner.cleanup()


async def test_every_doors_reader_through_a_node_that_does_not_run_it(tmp_path, postgres_server):
    """Readers of all doors, their lines breaking at random, follow at a gateway what the worker runs, and all end with the
    same bytes."""
    script = Script(deltas=120, delta_chars=17, gap_ms=4, hold=30, reasoning_deltas=5, split_utf8=True)
    async with (
        asyncio.timeout(120),
        Upstream() as upstream,
        Cluster(
            tmp_path,
            roles=APART,
            toml=openai_toml(upstream.base_url) + LIMITS,
            postgres=postgres_server,
        ) as cluster,
        ClientSession(timeout=ClientTimeout(total=None, sock_connect=5, sock_read=20)) as http,
    ):
        one, _, three = cluster.nodes
        body = {
            "request_id": "the-answer",
            "chat_id": "the-chat",
            "text": scripted("Everybody listens.", script),
        }
        async with http.post(
            f"{one.base}/v1/requests", json=body, headers={"Prefer": "respond-async"}
        ) as response:
            assert response.status == 202, await response.text()
        lines = Doors(http, three.base, "the-answer", "the-chat").all()
        readers = {door: Reader(door, random.Random(f"{SEED} {door}")) for door in lines}
        async with asyncio.TaskGroup() as group:
            for door, line in lines.items():
                group.create_task(readers[door].to_the_end(line))
            for reader in readers.values():
                await reader.started.wait()
            upstream.release()
        for door, reader in readers.items():
            assert reader.text == expected_text(script), door
