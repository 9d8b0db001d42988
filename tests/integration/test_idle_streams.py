"""Streams in which nothing happens for a while: every reader, ours or not, reads through the signs of life to the end."""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import ClientSession
from openai import AsyncOpenAI

from tests.support.node_program import NodeProgram
from tests.support.serving import Server, openai_toml
from tests.support.streams import STREAMS, ask
from tests.support.upstream import Script, Upstream, expected_text

SCRIPT = Script(deltas=12, delta_chars=9, reasoning_deltas=2, hold=7, split_utf8=True, seed=9)
KEEP_ALIVE_S = 0.2
IDLE_S = 1.0
TOML = f"[doors]\nkeep_alive_s = {KEEP_ALIVE_S}\n[limits]\ncommands_per_s = 10000\ncommands_burst = 10000"


@pytest.fixture
async def upstream():
    """A model that falls silent in mid-answer."""
    async with Upstream() as model:
        model.script(SCRIPT)
        yield model


@pytest.fixture
async def base(tmp_path, upstream):
    """A server that asks it and says often that its streams are alive."""
    async with Server(tmp_path, toml=openai_toml(upstream.base_url, extra=TOML)) as server:
        yield f"http://127.0.0.1:{server.port}"


class EventSource:
    """Server-sent events as the standard has them, and no more: what a browser would pass over is an error here."""

    def __init__(self):
        self.events = []
        self.comments = 0
        self._rest = b""
        self._fields = {}
        self._lines = 0

    def feed(self, data):
        """Take some bytes. Raises: AssertionError."""
        assert b"\r" not in data
        assert b"\0" not in data
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line.decode())

    def _line(self, line):
        if not line:
            # An event of nothing but comments is what some parsers fall over.
            assert "data" in self._fields
            self.events.append(self._fields)
            self._fields = {}
        elif line.startswith(":"):
            assert "data" not in self._fields, "a comment in the middle of an event"
            self.comments += 1
        else:
            name, colon, value = line.partition(": ")
            assert (name in ("data", "event", "id", "retry"), colon) == (True, ": ")
            assert name not in self._fields
            self._fields[name] = value

    def end(self):
        """Nothing is left over. Raises: AssertionError."""
        assert not self._rest
        assert not self._fields


async def test_a_strict_event_source_reads_through(base, upstream):
    """Of every SSE stream each line is a field or a comment, no event is empty, and signs of life come while nothing else does."""
    async with ClientSession() as http, AsyncExitStack() as stack:
        await ask(http, base)
        sources = {}
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            for name, (method, path, body, headers) in STREAMS.items():
                if "ndjson" in name:
                    continue
                call = http.request(method, base + path, json=body, headers=headers)
                sources[name] = EventSource()
                group.create_task(read(await stack.enter_async_context(call), sources[name]))
            await asyncio.sleep(IDLE_S)
            upstream.release()
    for name, source in sources.items():
        source.end()
        assert source.comments >= 2, name
        values = [event["data"] for event in source.events]
        assert all(value == "[DONE]" or json.loads(value) for value in values)


async def read(response, source):
    """To its end."""
    assert response.content_type == "text/event-stream"
    async for piece in response.content.iter_any():
        source.feed(piece)


async def test_lines_of_json_read_through(base, upstream):
    """NDJSON's sign of life is an empty line, which readers of it pass over."""
    async with ClientSession() as http:
        await ask(http, base)
        method, path, body, headers = STREAMS["events-ndjson"]
        async with (
            asyncio.timeout(30),
            http.request(method, base + path, json=body, headers=headers) as response,
        ):
            waiting = asyncio.create_task(response.read())
            await asyncio.sleep(IDLE_S)
            upstream.release()
            lines = (await waiting).split(b"\n")
    assert lines.count(b"") >= 3
    assert all(json.loads(line) for line in lines if line)


async def test_openais_python_sdk_reads_through(base, upstream):
    """A streamed response, its helper, and a streamed completion."""

    async def completion(client):
        made = await client.chat.completions.create(
            model="model", messages=[{"role": "user", "content": "Hello"}], stream=True
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in made if chunk.choices])

    async def response(client):
        made = await client.responses.create(model="model", input="Hello", stream=True)
        return "".join([event.delta async for event in made if event.type == "response.output_text.delta"])

    async def helper(client):
        async with client.responses.stream(model="model", input="Hello") as stream:
            return (await stream.get_final_response()).output_text

    async with AsyncOpenAI(base_url=f"{base}/v1", api_key="any", max_retries=0, timeout=20) as client:
        reading = [asyncio.create_task(way(client)) for way in (completion, response, helper)]
        await asyncio.sleep(IDLE_S)
        assert not any(task.done() for task in reading)
        upstream.release()
        assert await asyncio.gather(*reading) == [expected_text(SCRIPT)] * 3


async def test_javascript_sdks_read_through(tmp_path, base, upstream):
    """OpenAI's stream and helper, and the AI SDK's chats of three versions."""
    openai: dict[str, Any] = {"base_url": f"{base}/v1", "model": "model", "input": "Hello"}
    chat: dict[str, Any] = {"api": f"{base}/api/chat", "do": "send", "text": "Hello"}
    tasks: list[tuple[str, dict[str, Any]]] = [
        ("openai_responses.mjs", {**openai, "do": "stream"}),
        ("openai_responses.mjs", {**openai, "do": "helper"}),
        ("openai_responses.mjs", {**openai, "do": "completion", "body": {"stream": True}}),
        *(("ai_chat.mjs", {**chat, "sdk": sdk, "chat_id": sdk}) for sdk in ("ai5", "ai6", "ai")),
    ]
    async with AsyncExitStack() as stack:
        programs = []
        for number, (name, task) in enumerate(tasks):
            program = NodeProgram(tmp_path / str(number), name, task)
            programs.append(await stack.enter_async_context(program))
        for program, (name, task) in zip(programs, tasks, strict=True):
            chunks = name == "ai_chat.mjs" or task["do"] == "completion"
            await program.said("chunk" if chunks else "event")
        await asyncio.sleep(IDLE_S)
        upstream.release()
        ended = [await program.end() for program in programs]
    expected = expected_text(SCRIPT)
    assert not [line for said in ended for line in said if line["type"] == "error"]
    stream, helper, completion, *chats = ended
    assert stream[-2]["event"]["type"] == "response.completed"
    assert helper[-2]["response"]["output_text"] == expected
    deltas = [choice["delta"] for line in completion[:-1] for choice in line["chunk"]["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == expected
    for said in chats:
        (state,) = [line for line in said if line["type"] == "state"]
        assert (state["status"], state["error"]) == ("ready", None)
        parts = state["messages"][-1]["parts"]
        assert "".join(part["text"] for part in parts if part["type"] == "text") == expected
