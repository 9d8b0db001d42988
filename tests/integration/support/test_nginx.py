"""nginx with its defaults between a reader and a server: what it holds back, what it lets through, and that it is gone after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.support.nginx import Nginx
from tests.support.process import ProcessFailed

pytestmark = pytest.mark.needs("nginx")

FIRST, LAST = b"id: 0\ndata: {}\n\n", b"id: 1\ndata: {}\n\n"
HELD_S = 0.3  # for what must not come: loopback takes a hundredth of it


class Events:
    """A server with a stream of two events, the second when it is told to, and a socket that sends back what it gets."""

    def __init__(self) -> None:
        self.port = 0
        self.more = asyncio.Event()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        if "through" in request.query:
            response.headers["X-Accel-Buffering"] = "no"
        await response.prepare(request)
        await response.write(FIRST)
        await self.more.wait()
        await response.write(LAST)
        return response

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse()
        await response.prepare(request)
        async for message in response:
            await response.send_str(message.data)
        return response


@asynccontextmanager
async def events() -> AsyncIterator[Events]:
    """That server on a free port."""
    served = Events()
    app = web.Application()
    app.router.add_get("/events", served.stream)
    app.router.add_get("/ws", served.socket)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        served.port = runner.addresses[0][1]
        yield served
    finally:
        await runner.cleanup()


async def test_events_that_say_so_come_at_once(tmp_path: Path) -> None:
    """With `X-Accel-Buffering: no` an event is there before the next is written; without it nginx holds it back."""
    async with events() as served, Nginx(tmp_path, served.port) as nginx, aiohttp.ClientSession() as session:
        async with session.get(f"{nginx.url}/events?through") as response:
            assert response.headers["Server"].startswith("nginx")
            assert await response.content.readexactly(len(FIRST)) == FIRST
            held = asyncio.ensure_future(session.get(f"{nginx.url}/events"))
            done, _ = await asyncio.wait([held], timeout=HELD_S)
            assert not done
            served.more.set()
            assert await response.content.read() == LAST
        async with await held as response:
            assert await response.content.read() == FIRST + LAST
        assert nginx.errors() == []


async def test_a_socket_gets_through(tmp_path: Path) -> None:
    """A WebSocket is upgraded at /ws, and frames go both ways."""
    async with (
        events() as served,
        Nginx(tmp_path, served.port) as nginx,
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{nginx.url}/ws") as socket,
    ):
        await socket.send_str("there")
        assert await socket.receive_str() == "there"


async def test_it_is_gone_after(tmp_path: Path) -> None:
    """Left, it no longer listens; what it wrote is in its folder, and without a server behind it answers 502."""
    async with Nginx(tmp_path, 9) as nginx, aiohttp.ClientSession() as session:
        async with session.get(nginx.url) as response:
            assert response.status == 502
        assert "refused" in nginx.errors()[0]
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await asyncio.open_connection("127.0.0.1", nginx.port)


async def test_a_wrong_line_is_said(tmp_path: Path) -> None:
    """A configuration that nginx does not take ends the start with nginx's own words."""
    with pytest.raises(ProcessFailed, match='unknown directive "nonsense"'):
        await Nginx(tmp_path, 9, "nonsense;").__aenter__()
