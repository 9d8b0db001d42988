"""Connections by the thousand, and connections that never say anything: each costs a bound and is gone in the end."""

from __future__ import annotations

import asyncio
import resource
import sys

import pytest

from holdfast_client import connect
from tests.support.kernel import open_sockets, rss_bytes, threads
from tests.support.raw_socket import RawSocket
from tests.support.serving import Server

pytestmark = [
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

STORM = 2_000
AT_ONCE = 200
BOUND_S = 120
RSS_PER_CONNECTION_BYTES_MAX = (
    96 * 1024
)  # what a connection is; what it is told comes on top, and here that is little
DEMO = '[agents.demo]\nkind = "demo"\npace = 0\n'
ROOM = f"[limits]\nuser_connections_max = {2 * STORM}\nanonymous_connections_max = {2 * STORM}\n"


async def settled(server: Server, sockets_before: int) -> None:
    """Returns once the server holds no more sockets than that."""
    while open_sockets(server.process.pid) > sockets_before:  # noqa: ASYNC110 - the kernel tells nobody
        await asyncio.sleep(0.1)


async def test_a_storm(tmp_path):
    """Everybody comes at once, is let in and served, and goes without a word, twice: afterwards the server has as many
    sockets and threads as before, the second storm finds the memory of the first, and answers are given as ever."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < STORM + 500:
        pytest.skip(f"{hard} descriptors are permitted, and this takes {STORM + 500}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, STORM + 500), hard))
    async with asyncio.timeout(BOUND_S), Server(tmp_path, toml=DEMO + ROOM) as server:
        pid = server.process.pid
        async with connect(server.url) as client:
            await (await client.submit("Hello?")).result()
            sockets_before, before = open_sockets(pid), rss_bytes(pid)
            held = []
            for number in range(2):
                places = asyncio.Semaphore(AT_ONCE)

                async def one(places: asyncio.Semaphore = places) -> RawSocket:
                    async with places:
                        ws = await RawSocket.open(server.port)
                        assert (await ws.ask("hello"))["type"] == "welcome"
                        return ws

                sockets = await asyncio.gather(*(one() for _ in range(STORM)))
                assert open_sockets(pid) >= sockets_before + STORM
                held.append(rss_bytes(pid) - before)
                for ws in sockets:
                    ws.close(reset=number == 0)
                await settled(server, sockets_before)
            assert held[0] <= STORM * RSS_PER_CONNECTION_BYTES_MAX
            assert held[1] <= held[0] * 1.25 + 8 * 1024 * 1024, "what a connection was is not given back"
            assert threads(pid) <= 40
            assert (await (await client.submit("Hello?")).result()).status == "completed"


async def test_connections_over_the_bound_are_told_and_leave_nothing(tmp_path):
    """Strangers of one address beyond the bound are closed with 4429; when those before them go, others come in."""
    tokens = '[identity]\nkind = "tokens"\ntokens = [{token = "good-token", user = "ann"}]\n'
    async with asyncio.timeout(BOUND_S), Server(tmp_path, toml=DEMO + tokens) as server:
        sockets_before = open_sockets(server.process.pid)
        strangers = [await RawSocket.open(server.port) for _ in range(60)]
        refused = 0
        for ws in strangers[20:]:
            assert await ws.message() is None
            refused += ws.closed == 4429
        assert refused == 40
        known = await RawSocket.open(server.port, headers={"Authorization": "Bearer good-token"})
        assert (await known.ask("hello"))["type"] == "welcome", "strangers keep out one who has shown a token"
        for ws in (*strangers, known):
            ws.close()
        await settled(server, sockets_before)
        async with connect(server.url, token="good-token") as client:
            assert (await (await client.submit("Hello?")).result()).status == "completed"


async def test_those_who_say_nothing_are_closed(tmp_path):
    """A connection that sends nothing, half a header, a header byte by byte, a body that never comes, or a WebSocket
    without its hello: each is closed by the server after a while, and its descriptor is free."""
    tokens = '[identity]\nkind = "tokens"\ntokens = [{token = "good-token", user = "ann"}]\n'
    async with asyncio.timeout(BOUND_S), Server(tmp_path, toml=DEMO + tokens) as server:
        sockets_before = open_sockets(server.process.pid)

        async def silent(first: str, then: str = "") -> str:
            """Says `first`, then `then` a byte a second; returns when the server has closed."""
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(first.encode())

            async def drip() -> None:
                while then:
                    await asyncio.sleep(1)
                    writer.write(then.encode())

            dripping = asyncio.create_task(drip())
            try:
                while await reader.read(65536):
                    pass
            except ConnectionError:
                pass
            finally:
                dripping.cancel()
                writer.close()
            return first

        upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        ends = await asyncio.gather(
            silent(""),
            silent("GET /ws HTTP/1.1\r\nHost: x\r\n"),
            silent("GET /healthz HTTP/1.1\r\nHost: x\r\nX-", then="x"),
            silent("POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"),
            silent("GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"),
            silent("GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", then="x"),
            silent(
                "POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", then="1\r\nx\r\n"
            ),
            silent("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
            silent(
                f"GET /ws HTTP/1.1\r\nHost: x\r\n{upgrade}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            ),
        )
        assert len(ends) == 9
        await settled(server, sockets_before)
