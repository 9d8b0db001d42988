"""The fault proxy between a real client and a real server on loopback: each verb, at the byte it promises."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import openai
import pytest

from tests.support.proxy import CutAfter, FaultProxy
from tests.support.upstream import Script, Upstream, expected_text, scripted

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """A server that sends back what it gets, and notes how each of its connections ended."""

    def __init__(self) -> None:
        self.port = 0
        self.got = b""
        self.ends: asyncio.Queue[str] = asyncio.Queue()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                self.got += data
                writer.write(data)
                await writer.drain()
            await self.ends.put("fin")
        except ConnectionError:
            await self.ends.put("rst")
        finally:
            writer.close()


@asynccontextmanager
async def echo() -> AsyncIterator[Echo]:
    served = Echo()
    server = await asyncio.start_server(served, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()


async def dial(proxy: FaultProxy) -> Streams:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def is_silent(reader: asyncio.StreamReader) -> bool:
    """Whether nothing, an end included, has come: seen by a read that would not wait."""
    try:
        await asyncio.wait_for(reader.read(1), 0.05)
    except TimeoutError:
        return True
    return False


def fill(raw: socket.socket, bytes_max: int) -> int:
    """Sends until the kernel takes no more, or `bytes_max`; returns how much it took."""
    sent = 0
    while sent < bytes_max:
        try:
            sent += raw.send(b"z" * 1000)
        except BlockingIOError:
            break
    return sent


async def test_bytes_pass_both_ways_and_are_counted() -> None:
    """Without a fault everything passes, a half-close too, and the counts are exact."""
    async with echo() as server, FaultProxy("127.0.0.1", server.port) as proxy:
        reader, writer = await dial(proxy)
        sent = bytes(range(256)) * 1000
        writer.write(sent)
        writer.write_eof()
        assert await reader.read(-1) == sent
        assert await server.ends.get() == "fin"
        await proxy.until(lambda counts: counts.open == 0)
        counts = proxy.counts
        assert (counts.up_bytes, counts.down_bytes, counts.accepted, counts.cut) == (
            len(sent),
            len(sent),
            1,
            0,
        )
        writer.close()


async def test_rechunking_changes_pieces_not_bytes() -> None:
    """Small random pieces carry the same bytes."""
    async with echo() as server, FaultProxy("127.0.0.1", server.port, seed=7) as proxy:
        proxy.rechunk(5)
        reader, writer = await dial(proxy)
        sent = "é漢😀".encode() * 50
        writer.write(sent)
        first = await reader.read(65536)
        assert len(first) < len(sent)
        assert first + await reader.readexactly(len(sent) - len(first)) == sent
        writer.close()


@pytest.mark.parametrize("by", ["rst", "fin"])
async def test_cut_ends_both_sides(by: Literal["rst", "fin"]) -> None:
    """`cut` ends client and server alike by RST or by FIN, and the next connection works."""
    async with echo() as server, FaultProxy("127.0.0.1", server.port) as proxy:
        reader, writer = await dial(proxy)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        assert await proxy.cut(by) == 1
        if by == "rst":
            with pytest.raises(ConnectionResetError):
                await reader.read(1)
        else:
            assert await reader.read(1) == b""
        assert await server.ends.get() == by
        assert (proxy.counts.cut, proxy.counts.open) == (1, 0)
        writer.close()
        reader, writer = await dial(proxy)
        writer.write(b"y")
        assert await reader.readexactly(1) == b"y"
        writer.close()


@pytest.mark.parametrize("by", ["rst", "fin"])
@pytest.mark.parametrize("n_bytes", [0, 1, 1000])
async def test_cut_after_byte_n_down(n_bytes: int, by: Literal["rst", "fin"]) -> None:
    """The client gets exactly n bytes and then the end; only the planned connection is hit."""
    async with echo() as server, FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.cut_after(n_bytes, "down", by)
        reader, writer = await dial(proxy)
        writer.write(b"z" * 5000)
        got = b""
        try:
            while data := await reader.read(65536):
                got += data
            ended = "fin"
        except ConnectionResetError:
            ended = "rst"
        assert (len(got), ended) == (n_bytes, by)
        assert proxy.counts.down_bytes == n_bytes
        writer.close()
        reader, writer = await dial(proxy)
        writer.write(b"y")
        assert await reader.readexactly(1) == b"y"
        writer.close()


async def test_cut_after_byte_n_up() -> None:
    """The server gets exactly n bytes of what the client sent; a plan of the proxy hits every connection it names."""
    async with echo() as server, FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.plan = lambda number: CutAfter(number * 10, "up", "fin")
        for number in (1, 2):
            server.got = b""
            _, writer = await dial(proxy)
            writer.write(b"z" * 5000)
            assert await server.ends.get() == "fin"
            assert len(server.got) == number * 10
            writer.close()
        assert proxy.counts.cut == 2


async def test_a_half_open_connection_is_silent_for_ever() -> None:
    """In a black hole neither bytes nor the end of one side reach the other, healed or not; later connections do."""
    async with echo() as server, FaultProxy("127.0.0.1", server.port) as proxy:
        reader, writer = await dial(proxy)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        proxy.half_open()
        writer.write(b"lost")
        assert await is_silent(reader)
        proxy.heal()
        assert await is_silent(reader)
        raw: socket.socket = writer.get_extra_info("socket")
        raw.shutdown(socket.SHUT_WR)
        assert server.got == b"x"
        assert server.ends.empty()
        writer.close()
        reader, writer = await dial(proxy)
        writer.write(b"y")
        assert await reader.readexactly(1) == b"y"
        assert (proxy.counts.cut, proxy.counts.open) == (1, 2)
        writer.close()


async def test_a_reset_does_not_pass_a_black_hole() -> None:
    """A client that resets its connection inside a black hole is still connected as the server sees it."""
    async with echo() as server, FaultProxy("127.0.0.1", server.port) as proxy:
        reader, writer = await dial(proxy)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        proxy.half_open()
        raw: socket.socket = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(server.ends.get(), 0.05)
        assert proxy.counts.open == 1


async def test_half_open_after_byte_n() -> None:
    """A planned black hole lets n bytes through and then neither bytes nor an end."""
    async with echo() as server, FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.cut_after(3, "down", "half_open")
        reader, writer = await dial(proxy)
        writer.write(b"12345")
        assert await reader.readexactly(3) == b"123"
        assert await is_silent(reader)
        writer.close()


async def test_a_stall_loses_nothing() -> None:
    """What was sent during a stall arrives after `heal`; a cut works during a stall."""
    async with echo() as server, FaultProxy("127.0.0.1", server.port) as proxy:
        reader, writer = await dial(proxy)
        proxy.stall()
        writer.write(b"kept")
        assert await is_silent(reader)
        proxy.heal()
        assert await reader.readexactly(4) == b"kept"
        proxy.stall()
        assert await proxy.cut() == 1
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.close()


async def test_a_fin_is_a_fin_over_unread_bytes() -> None:
    """A cut by FIN during a stall is a clean end, although bytes of the client lie unread in the proxy."""
    async with echo() as server, FaultProxy("127.0.0.1", server.port) as proxy:
        reader, writer = await dial(proxy)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        proxy.stall()
        writer.write(b"swallowed by the read that was waiting already")
        assert await is_silent(reader)
        writer.write(b"unread")
        await proxy.cut("fin")
        assert await reader.read(1) == b""
        writer.close()


async def test_a_stalled_reader_is_felt_by_the_sender() -> None:
    """With small kernel buffers a stall stops the sender after KiB: backpressure goes through the proxy."""
    async with echo() as server, FaultProxy("127.0.0.1", server.port, kernel_bytes=4096) as proxy:
        proxy.stall()
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        raw.connect(("127.0.0.1", proxy.port))
        raw.setblocking(False)
        assert fill(raw, 1_000_000) < 30_000
        raw.close()


async def test_slow_bounds_the_rate() -> None:
    """A slow link needs at least the time that its rate says."""
    async with echo() as server, FaultProxy("127.0.0.1", server.port) as proxy:
        proxy.slow(10_000)
        reader, writer = await dial(proxy)
        loop = asyncio.get_running_loop()
        began = loop.time()
        writer.write(b"z" * 2000)
        await reader.readexactly(2000)
        assert loop.time() - began > 0.15
        writer.close()


async def test_a_server_that_is_away_is_a_reset() -> None:
    """Where the server does not listen the client is reset and counted as refused; `retarget` finds the new one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with echo() as server, FaultProxy("127.0.0.1", taken.getsockname()[1]) as proxy:
            reader, writer = await dial(proxy)
            with pytest.raises(ConnectionResetError):
                await reader.read(1)
            assert proxy.counts.refused == 1
            writer.close()
            proxy.retarget(server.port)
            reader, writer = await dial(proxy)
            writer.write(b"y")
            assert await reader.readexactly(1) == b"y"
            writer.close()


async def test_leaving_ends_every_connection() -> None:
    """After the context no connection and no task of the proxy is left, stalled and black ones included."""
    before = asyncio.all_tasks()
    async with echo() as server:
        async with FaultProxy("127.0.0.1", server.port) as proxy:
            reader, writer = await dial(proxy)
            await proxy.until(lambda counts: counts.open == 1)
            proxy.half_open()
            proxy.stall()
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.close()
        assert {
            task for task in asyncio.all_tasks() - before if task.get_name().startswith("proxy-")
        } == set()


async def test_between_the_sdk_and_the_upstream() -> None:
    """A stream cut by the proxy is a connection error in the SDK, and the upstream sees its client go."""
    async with Upstream() as upstream, FaultProxy("127.0.0.1", upstream.port) as proxy:
        base_url = f"http://127.0.0.1:{proxy.port}/v1"
        async with openai.AsyncOpenAI(base_url=base_url, api_key="any", max_retries=0) as client:
            script = Script(deltas=50, hold=20)
            stream = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": scripted("", script)}], stream=True
            )
            await upstream.log.until(lambda calls: bool(calls) and calls[0].stalled)
            await proxy.cut()
            pieces: list[str] = []

            async def read() -> None:
                async for chunk in stream:
                    pieces.append(chunk.choices[0].delta.content or "")  # noqa: PERF401 - kept when it raises

            with pytest.raises(openai.APIConnectionError):
                await read()
            assert expected_text(script).startswith("".join(pieces))
            await upstream.log.until(lambda calls: calls[0].disconnected)
