"""What readers that take nothing cost at the HTTP doors: bounded memory, for a bounded time, and only their own places."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.support.serving import Server

ANSWER = 19 * 100_000
TALKER = """
from holdfast_server.agents import agent

@agent(name="talker", description="Says much at once, or goes on and on.")
async def talker(context):
    if context.messages[-1].text == "on":
        import asyncio
        yield "on"
        await asyncio.Event().wait()
    if context.messages[-1].text.isdigit():
        for _ in range(int(context.messages[-1].text) // 4_000):
            yield "x" * 4_000
        return
    for _ in range(19):
        yield "x" * 100_000
"""


@asynccontextmanager
async def talking(folder: Path, extra: str = "") -> AsyncIterator[tuple[Server, ClientSession, str]]:
    """A real server with an answer of 1.9 MB, `big`; and its address."""
    (folder / "talker.py").write_text(TALKER)
    toml = f'agent_files = ["{folder / "talker.py"}"]\n{extra}'
    async with Server(folder, toml=toml) as server, ClientSession() as http:
        base = f"http://127.0.0.1:{server.port}"
        body = {"request_id": "big", "text": "all"}
        async with http.post(f"{base}/v1/requests", json=body, headers={"Prefer": "wait=20"}) as response:
            assert len((await response.json())["text"]) == ANSWER
        yield server, http, base


def deaf(port: int, request: str) -> socket.socket:
    """A connection that asks, and takes nothing."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.connect(("127.0.0.1", port))
    line.sendall(request.encode())
    return line


def get(port: int, path: str, headers: str = "") -> str:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}\r\n"


def memory_mb(server: Server) -> float:
    """What the process holds."""
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * 4096 / 1e6


async def settled_mb(server: Server) -> float:
    """The same once it has stopped growing."""
    before, now = 0.0, memory_mb(server)
    while now > before + 1:
        await asyncio.sleep(0.5)
        before, now = now, memory_mb(server)
    return now


READERS = 40


@pytest.mark.parametrize(
    ("path", "each_mb"),
    [
        ("/v1/requests/big", 2.0),
        ("/v1/requests/big/events?format=sse", 3.0),
        ("/v1/responses/resp_big", 2.0),
        ("/v1/responses/resp_big?stream=true", 2.0),
        ("/v1/chat/completions/chatcmpl-big?stream=true", 2.0),
    ],
)
async def test_readers_that_take_nothing_hold_little(tmp_path: Path, path: str, each_mb: float) -> None:
    """Forty readers of 1.9 MB that take none of it cost a part of what they asked for, whatever the form."""
    async with talking(tmp_path) as (server, _, _):
        before = await settled_mb(server)
        lines = [deaf(server.port, get(server.port, path)) for _ in range(READERS)]
        try:
            grown = await settled_mb(server) - before
        finally:
            for line in lines:
                line.close()
        assert grown < READERS * each_mb


def masked(text: str) -> bytes:
    """A client's frame, of less than 64 kB."""
    data = text.encode()
    size = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0xFE]) + len(data).to_bytes(2, "big")
    return b"\x81" + size + bytes(4) + data


async def test_lanes_of_sockets_that_take_nothing_hold_little(tmp_path: Path) -> None:
    """Many lanes of many sockets, each of which is to be sent the whole answer in one frame, do not hold it each."""
    async with talking(tmp_path) as (server, http, base):
        async with http.get(f"{base}/v1/responses/resp_big?stream=true") as response:
            last = (await response.read()).count(b"\nevent: ") - 1
        before = await settled_mb(server)
        upgrade = (
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        )
        lines = [deaf(server.port, get(server.port, "/v1/responses", upgrade)) for _ in range(6)]
        try:
            for line in lines:
                line.setblocking(True)
                assert (await asyncio.to_thread(line.recv, 512)).startswith(b"HTTP/1.1 101 ")
                frame: dict[str, Any] = {"type": "response.subscribe", "response_id": "resp_big"}
                for lane in range(32):
                    line.sendall(
                        masked(json.dumps({**frame, "starting_after": last, "stream_id": f"l{lane}"}))
                    )
            grown = await settled_mb(server) - before
        finally:
            for line in lines:
                line.close()
        assert grown < 250


async def test_a_large_answer_holds_its_callers_place_until_it_is_taken(tmp_path: Path) -> None:
    """An answer in one piece that nobody takes counts as a call, for so long at most; then it is let go, with its place."""
    async with talking(tmp_path, "[limits]\nuser_calls_max = 3\nno_progress_s = 1.5\n") as (
        server,
        http,
        base,
    ):

        async def until(status: int) -> None:
            async with asyncio.timeout(15):
                while True:
                    async with http.get(f"{base}/v1/agents") as response:
                        if response.status == status:
                            return
                    await asyncio.sleep(0.05)

        lines = [deaf(server.port, get(server.port, "/v1/requests/big")) for _ in range(3)]
        try:
            await until(429)
            await until(200)
        finally:
            for line in lines:
                line.close()


async def test_many_large_answers_at_once_are_all_served(tmp_path: Path) -> None:
    """Who asks for more at once than may be on its way gets all of it, one after another; nothing is refused to a reader
    that reads."""
    async with talking(tmp_path) as (_, http, base):

        async def read() -> int:
            async with http.get(f"{base}/v1/requests/big") as response:
                return len(await response.read()) if response.status == 200 else response.status

        sizes = set(await asyncio.gather(*(read() for _ in range(60))))
        assert len(sizes) == 1
        assert sizes.pop() > 3 * ANSWER


async def test_lanes_count_as_calls(tmp_path: Path) -> None:
    """What streams in a lane of a socket counts as a call of its user's, so sockets are no way around that bound."""
    async with talking(tmp_path, "[limits]\nuser_calls_max = 4\n") as (_, http, base):
        body = {"request_id": "open", "text": "on"}
        async with http.post(f"{base}/v1/requests", json=body) as response:
            assert response.status == 202
        async with http.ws_connect(f"{base}/v1/responses") as ws:
            for lane in range(5):
                frame = {"type": "response.subscribe", "response_id": "resp_open", "stream_id": f"l{lane}"}
                await ws.send_json(frame)
            refused: list[dict[str, Any]] = []
            async with asyncio.timeout(10):
                while len(refused) < 2:
                    if (event := await ws.receive_json())["type"] == "error":
                        refused.append(event)
        assert {event["error"]["code"] for event in refused} == {"too_many_calls"}


SIZES = range(60_000, 400_000, 16_000)


async def test_a_stream_whose_end_is_not_taken_gives_its_place_back(tmp_path: Path) -> None:
    """Wherever a reader stops taking, at the very end too, it is let go when its time is over."""
    limits = f"[doors]\nkeep_alive_s = 0.3\n[limits]\nuser_calls_max = {len(SIZES)}\nno_progress_s = 0.5\ncommands_per_s = 10000\n"
    async with talking(tmp_path, limits) as (server, http, base):
        for size in SIZES:
            body = {"request_id": f"r{size}", "text": str(size)}
            async with http.post(f"{base}/v1/requests", json=body, headers={"Prefer": "wait=9"}) as response:
                assert response.status == 200
        lines = [
            deaf(server.port, get(server.port, f"/v1/requests/r{size}/events?format=ndjson"))
            for size in SIZES
        ]
        try:
            async with asyncio.timeout(15):
                while True:
                    if await all_of(http, f"{base}/v1/feed", len(SIZES)):
                        return
                    await asyncio.sleep(0.5)
        finally:
            for line in lines:
                line.close()


async def all_of(http: ClientSession, url: str, count: int) -> bool:
    """Whether so many streams can be open at once."""
    async with AsyncExitStack() as stack:
        for _ in range(count):
            response = await stack.enter_async_context(http.get(url, headers={"Accept": "text/event-stream"}))
            if response.status != 200:
                return False
            stack.callback(response.close)
    return True
