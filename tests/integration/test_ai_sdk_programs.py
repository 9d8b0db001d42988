"""The unmodified AI SDK, its three latest major versions, before a real server: cut anywhere, killed in mid-answer, stopped."""

import asyncio
import json
import random

import pytest
from aiohttp import ClientError, ClientSession

from tests.support.ai_sdk_rig import chunks_of, user, whole
from tests.support.node_program import NodeProgram
from tests.support.serving import Server, openai_toml
from tests.support.upstream import Script, Upstream, expected_text, scripted

WAYS = ["ai5", "ai6", "ai", "ws"]
SLOW = Script(deltas=40, delta_chars=7, gap_ms=10, seed=3)
HELD = Script(deltas=40, delta_chars=7, hold=15, seed=5, reseed=True)


@pytest.fixture
async def upstream():
    """A model that says what it is told to."""
    async with Upstream() as server:
        yield server


@pytest.fixture
async def server(tmp_path, upstream):
    """A server with that model, and the demo agent."""
    extra = '[agents.demo]\nkind = "demo"\npace = 2000'
    async with Server(tmp_path, toml=openai_toml(upstream.base_url, extra=extra)) as running:
        yield running


def task(server, way, do, **more):
    """What a program is told: which AI SDK, and where the server is."""
    base = f"//127.0.0.1:{server.port}/api/chat"
    place = {"ws_url": f"ws:{base}/ws"} if way == "ws" else {"api": f"http:{base}"}
    version = {"headers": {"x-ai-sdk": "7"}} if way == "ai" else {}
    return {
        "sdk": "ai" if way == "ws" else way,
        "do": do,
        "chat_id": f"chat-{way}",
        **place,
        **version,
        **more,
    }


async def run(folder, given):
    """What a program's chat showed after each leg."""
    async with NodeProgram(folder, "ai_chat.mjs", given) as program:
        return await states(folder, program)


async def states(folder, program):
    """The same of one that runs, when it has ended."""
    await program.end()
    # Read here, line feed by line feed: the model's text has whatever else may be taken for the end of a line.
    newest = max((folder / "ai_chat-js").glob("*.log"), key=lambda path: int(path.stem))
    lines = newest.read_text("utf-8").split("\n")
    return [json.loads(line) for line in lines if line.startswith('{"type":"state"')]


def answer(state):
    """The text of the last message, and how often it is there."""
    (text,) = [part["text"] for part in state["messages"][-1]["parts"] if part["type"] == "text"]
    return text


async def kept(server, chat_id):
    """The chat as the server keeps it."""
    url = f"http://127.0.0.1:{server.port}/api/chat/{chat_id}/messages"
    async with ClientSession() as session, session.get(url) as response:
        return await response.json()


def plain(value):
    """A message without the ids that its stream gave to parts."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items() if key != "id"}
    return [plain(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("way", WAYS)
async def test_cut_anywhere_and_resumed_it_is_whole(tmp_path, server, way):
    """Broken off after any number of chunks, the answer goes on in a new page, and is the model's in the end, once."""
    cuts = [1, *sorted(random.Random(way).sample(range(2, 30), 2))]
    prompt = scripted("Hello", SLOW)
    shown = await run(tmp_path, task(server, way, "cut_resume", text=prompt, cut_after=cuts))
    assert len(shown) == 2 * len(cuts)
    for number, cut in enumerate(cuts):
        broken, resumed = shown[2 * number : 2 * number + 2]
        assert broken["status"] == "error"
        assert (resumed["status"], resumed["error"]) == ("ready", None)
        assert answer(resumed) == expected_text(SLOW)
        assert [message["role"] for message in resumed["messages"]] == ["user", "assistant"]
        assert plain(await kept(server, f"chat-{way}-{cut}")) == plain(resumed["messages"])


@pytest.mark.parametrize("way", ["ai", "ws"])
async def test_the_same_chat_goes_on_after_a_cut(tmp_path, server, way):
    """A chat object whose connection broke resumes in place: its message is replaced by the whole one."""
    given = task(server, way, "cut_resume", text=scripted("Hello", SLOW), cut_after=9, keep=True)
    resumed = (await run(tmp_path, given))[-1]
    assert answer(resumed) == expected_text(SLOW)
    assert len(resumed["messages"]) == 2


@pytest.mark.parametrize("way", WAYS)
async def test_a_server_killed_in_mid_answer_loses_nothing(tmp_path, server, upstream, way):
    """SIGKILL is a lost connection; after the restart the page resumes, and has the text of the attempt that stands."""
    asking = task(server, way, "send", text=scripted("Hold", HELD))
    async with NodeProgram(tmp_path, "ai_chat.mjs", asking) as program:
        await program.said("chunk")
        await upstream.log.level.until(lambda: bool(upstream.log.calls))
        await server.kill()
        broken = (await states(tmp_path, program))[-1]
    assert broken["status"] == "error"
    await server.start()
    had = broken["messages"] if way in ("ai", "ws") else broken["messages"][:1]
    returning = task(server, way, "resume", messages=had)
    async with NodeProgram(tmp_path, "ai_chat.mjs", returning) as program:
        await program.said("chunk")
        upstream.release()
        shown = (await states(tmp_path, program))[-1]
    assert (shown["status"], shown["error"]) == ("ready", None)
    assert answer(shown) in [expected_text(HELD, attempt) for attempt in (1, 2)]
    assert [message["role"] for message in shown["messages"]] == ["user", "assistant"]
    assert plain(await kept(server, f"chat-{way}")) == plain(shown["messages"])


@pytest.mark.parametrize("way", ["ai5", "ai", "ws"])
async def test_stop_ends_the_request_at_the_server(tmp_path, server, upstream, way):
    """As the SDK's guide has it over HTTP, by `abort` over the socket: the model is not asked any further."""
    given = task(server, way, "stop", text=scripted("Hold", HELD), cut_after=4)
    shown = (await run(tmp_path, given))[-1]
    assert shown["status"] == "ready"
    await upstream.log.level.until(lambda: upstream.log.calls[0].outcome == "disconnected")
    assert (await kept(server, f"chat-{way}"))[-1]["metadata"]["status"] == "cancelled"


@pytest.mark.parametrize("way", ["ai6", "ws"])
async def test_everything_that_an_answer_can_hold(tmp_path, server, way):
    """Reasoning, tools, sources, data: the SDK takes it, and the server's list of messages is what it made of it."""
    given = task(server, way, "send", text="Show me everything", body={"agent": "demo"})
    shown = (await run(tmp_path, given))[-1]
    assert (shown["status"], shown["error"]) == ("ready", None)
    kinds = {part["type"] for part in shown["messages"][-1]["parts"]}
    assert kinds >= {"text", "reasoning", "dynamic-tool", "source-url", "data-progress", "step-start"}
    assert plain(await kept(server, f"chat-{way}")) == plain(shown["messages"])
    given = task(server, way, "regenerate", messages=shown["messages"], body={"agent": "demo"})
    again = (await run(tmp_path, given))[-1]
    assert again["messages"][-1]["id"] != shown["messages"][-1]["id"]
    assert len(again["messages"]) == 2


async def test_what_waits_is_decided_through_another_door(server):
    """A request that waits for a person is found after a restart too, shows what it asks, and goes on when it is decided."""
    base = f"http://127.0.0.1:{server.port}"
    body = {"id": "c1", "messages": [user("q1", "Please approve this")], "agent": "demo"}
    async with ClientSession() as session:
        async with session.post(f"{base}/api/chat", data=json.dumps(body)) as response:
            request_id = response.headers["x-request-id"]
            async for chunk in chunks_of(response):
                if chunk["type"] == "data-wait":
                    break
        await server.kill()
        await server.start()
        async with session.get(f"{base}/api/chat/c1/stream") as response:
            assert response.headers["x-request-id"] == request_id
            wait = {}
            async for chunk in chunks_of(response):
                if chunk["type"] == "data-wait":
                    wait = chunk["data"]
                    break
            path = f"{base}/v1/requests/{request_id}/decide"
            answer = {"wait_id": wait["wait_id"], "digest": wait["digest"], "decision": True}
            async with session.post(path, json=answer) as decided:
                assert decided.status < 300, await decided.text()
            chunks = await whole(response)
        assert chunks[-1]["type"] == "finish"


async def test_a_server_that_is_told_to_end_ends_with_streams_open(tmp_path, upstream):
    """SIGTERM: the socket is closed with 1012, the stream over HTTP breaks off without `[DONE]`, and the process is gone."""
    toml = openai_toml(upstream.base_url, extra="[server]\ndrain_s = 0")
    async with Server(tmp_path, toml=toml) as server, ClientSession() as session:
        base = f"http://127.0.0.1:{server.port}/api/chat"
        body = {"id": "c1", "messages": [user("q1", scripted("Hold", HELD))]}
        async with (
            session.post(base, data=json.dumps(body)) as response,
            session.ws_connect(f"{base}/ws") as ws,
        ):
            await ws.send_json({"type": "resume", "requestId": "r", "id": "c1", "headers": {}, "body": {}})
            assert (await ws.receive_json(timeout=10))["type"] == "start"
            async with asyncio.TaskGroup() as both:
                ending = both.create_task(server.process.terminate())
                while not ws.closed:
                    await ws.receive(timeout=10)
            assert ending.result() == 0
            assert ws.close_code == 1012
            with pytest.raises(ClientError):
                await whole(response)
