"""Readers that stop reading, on real sockets: they cost a bound, delay nobody, are ended, and lose nothing."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time

import pytest

from holdfast_client import Client, connect
from tests.support.kernel import TIME_WAIT, Link, links, rss_bytes
from tests.support.raw_socket import RawSocket, text_of
from tests.support.script import Script, expected_text, scripted
from tests.support.serving import Server, openai_toml
from tests.support.upstream import Upstream

pytestmark = [
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

STALLED = 40
NO_PROGRESS_S = 30.0  # the default
BOUND_S = 150
BIG = Script(seed=7, deltas=400, delta_chars=1200)  # well over what kernel and server keep for one reader
LIVE = Script(seed=8, deltas=500, delta_chars=400, gap_ms=4)
PACED = Script(seed=9, deltas=120, delta_chars=6, gap_ms=10)
KERNEL_BYTES_MAX = (
    256 * 1024
)  # twice what the kernel makes of the send buffer that is asked for; unbounded it is MiBs
FREED_S = 5  # below the kernel's own patience, the second line, which would free it too
RSS_GROWTH_BYTES_MAX = (
    28 * 1024 * 1024
)  # a third of it is what it takes; with a queue for each reader it is 60 MB


async def paced(client: Client, count: int = 6) -> float:
    """How long it takes to stream some paced answers side by side."""
    began = time.monotonic()
    answers = [await client.submit(scripted("Say it.", PACED)) for _ in range(count)]
    for answer in answers:
        assert (await answer.result()).text == expected_text(PACED)
    return time.monotonic() - began


def alive(server: Server, ports: set[int]) -> list[Link]:
    """The server's ends of these connections of which the kernel still keeps more than the memory that they were."""
    return [link for link in links(server.port) if link.remote_port in ports and link.state != TIME_WAIT]


async def stall(server: Server, requests: list[str]) -> RawSocket:
    """A reader that asks for these answers and then reads no more."""
    ws = await RawSocket.open(server.port, kernel_bytes=4096)
    for ref, request_id in enumerate(requests):
        await ws.say({"type": "subscribe", "ref": ref, "request_id": request_id})
    return ws


async def test_readers_that_stop_reading(tmp_path):
    """While many readers have stopped, answers reach the others as before, the server and the kernel keep a bounded
    number of bytes; then the stopped ones are ended, nothing of theirs stays in the kernel, and one that comes back
    with its cursor gets exactly what is missing."""
    extra = f"[limits]\nno_progress_s = {NO_PROGRESS_S}\nuser_connections_max = 200\n"
    async with (
        asyncio.timeout(BOUND_S),
        Upstream() as upstream,
        Server(tmp_path, toml=openai_toml(upstream.base_url, extra=extra)) as server,
        connect(server.url) as client,
        contextlib.AsyncExitStack() as ended,
    ):
        big = [await client.submit(scripted("Say it.", BIG)) for _ in range(2)]
        for answer in big:
            assert (await answer.result()).text == expected_text(BIG)
        undisturbed_s = await paced(client)

        one = await RawSocket.open(server.port, kernel_bytes=4096)
        request = {
            "request_id": "live",
            "messages": [{"role": "user", "text": scripted("Go.", LIVE)}],
        }
        assert (await one.ask("submit", request=request))["type"] == "submitted"
        while len(text_of(one.pushes, "live")) < 2_000:
            await one.until("page")
        cursor = next(push["next"] for push in reversed(one.pushes) if push["type"] == "page")

        before = rss_bytes(server.process.pid)
        ended.callback(one.close)
        stalled = [await stall(server, [answer.request_id for answer in big]) for _ in range(STALLED)]
        for ws in stalled:
            ended.callback(ws.close)
        ports = {ws.address[1] for ws in (*stalled, one)}
        queues: list[int] = []
        while sum(size > 0 for size in queues) < STALLED:
            await asyncio.sleep(0.05)
            queues = [link.unsent_bytes for link in alive(server, ports)]
            assert len(queues) == STALLED + 1, "some were ended before they had stalled"
        disturbed_s = await paced(client)
        assert max(queues) <= KERNEL_BYTES_MAX
        assert rss_bytes(server.process.pid) - before <= RSS_GROWTH_BYTES_MAX
        assert disturbed_s <= 2 * undisturbed_s

        async with asyncio.timeout(NO_PROGRESS_S + FREED_S):
            while alive(server, ports):  # noqa: ASYNC110 - the kernel tells nobody
                await asyncio.sleep(0.2)
        while await one.message() is not None:
            pass  # what the kernel had taken over for it, and then the end
        assert one.closed in (
            4410,
            1006,
        )  # mostly the latter: the close frame is behind what it does not read

        again = await RawSocket.open(server.port)
        assert (await again.ask("subscribe", request_id="live", cursor=cursor)).get("reset") is None
        await again.until("caught_up", sealed=True)
        shown = text_of(one.pushes, "live")
        assert shown + text_of(again.pushes, "live") == expected_text(LIVE)
        assert len(upstream.log.of("live")) == 1
        again.close()
