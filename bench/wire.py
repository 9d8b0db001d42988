"""A WebSocket client that costs little: it notes when bytes came, and reads them afterwards.

The client shares the machine with what it measures, so while a measurement runs it does nothing but keep what the
socket gave, with the time. Frames are taken apart at the end.
"""

from __future__ import annotations

import asyncio
import os
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from holdfast_protocol.codec import JSON
from holdfast_protocol.events import Delta
from holdfast_protocol.pushes import Page

WATCHED_MAX = 50
"""Connections whose latency is measured."""

EMPTY_EVERY_S = 0.2
SLICES = 20
"""The others are emptied so often, and in so many slices, so that this does not delay the watched ones."""

DRAIN_BYTES = 256 * 1024
_PING = 0x89
_OVERLAP_BYTES = 64  # a mark may lie across two chunks


class Socket(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self.chunks: list[tuple[float, bytes]] = []
        self.received_bytes = 0
        self._transport: asyncio.Transport | None = None
        self._mark = b""
        self._marks = 0
        self._seen = b""
        self._found: asyncio.Future[float] | None = None
        self.lost = False

    @classmethod
    async def open(cls, port: int, path: str = "/ws") -> Socket:
        """Connect and shake hands."""
        loop = asyncio.get_running_loop()
        _, socket = await loop.create_connection(cls, "127.0.0.1", port)
        key = b64encode(os.urandom(16)).decode()
        socket._write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        await socket.until(b"\r\n\r\n")
        head, _, rest = b"".join(data for _, data in socket.chunks).partition(b"\r\n\r\n")
        if b" 101 " not in head.partition(b"\r\n")[0]:
            raise ConnectionError(head.decode("utf-8", "replace"))
        socket.chunks = [(time.monotonic(), rest)] if rest else []
        return socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's protocol
        self.lost = True
        if self._found is not None and not self._found.done():
            self._found.set_exception(ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self.chunks.append((now, data))
        self.received_bytes += len(data)
        if data[0] == _PING and len(data) < 128:
            self._write(b"\x8a\x80\0\0\0\0")
        if self._found is not None:
            seen = self._seen + data
            self._marks -= seen.count(self._mark)
            # what was counted must not be seen again with the next chunk
            self._seen = seen[max(seen.rfind(self._mark) + len(self._mark), len(seen) - _OVERLAP_BYTES) :]
            if self._marks <= 0 and not self._found.done():
                self._found.set_result(now)

    async def until(self, mark: bytes, count: int = 1, wait_s: float = 60.0) -> float:
        """When these bytes have come so often, counted from now. Raises: TimeoutError, ConnectionError."""
        self._mark, self._marks, self._seen = mark, count, b""
        self._found = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(wait_s):
                return await self._found
        finally:
            self._found = None

    async def ask(self, command: dict[str, Any], mark: bytes, wait_s: float = 60.0) -> float:
        """Send a command; when its reply, known by these bytes, has come."""
        found = asyncio.ensure_future(self.until(mark, wait_s=wait_s))
        await asyncio.sleep(0)
        self.send(command)
        return await found

    def send(self, message: Any) -> None:
        """Send a message as one masked text frame."""
        payload = msgspec.json.encode(message)
        size = len(payload)
        if size < 126:
            head = bytes((0x81, 0x80 | size))
        elif size < 65_536:
            head = bytes((0x81, 0xFE)) + size.to_bytes(2, "big")
        else:
            head = bytes((0x81, 0xFF)) + size.to_bytes(8, "big")
        self._write(head + b"\0\0\0\0" + payload)  # a mask of zeros changes nothing

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def rest(self) -> None:
        """Leave what comes to the kernel, until `drain`."""
        if self._transport is not None:
            self._transport.pause_reading()

    def drain(self) -> None:
        """Take what has come meanwhile."""
        if self._transport is not None and not self.lost:
            try:
                data = os.read(self._transport.get_extra_info("socket").fileno(), DRAIN_BYTES)
            except BlockingIOError:
                return
            if data:
                self.data_received(data)

    def wake(self) -> None:
        """Read as it comes again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def forget(self) -> None:
        """Keep nothing of what came so far."""
        self.chunks = []
        self.received_bytes = 0

    def close(self) -> None:
        """End."""
        if self._transport is not None:
            self._transport.abort()

    def messages(self) -> Iterator[tuple[float, bytes]]:
        """Every text or binary message, with the time at which its last byte came."""
        buffer, start = bytearray(), 0
        for at, data in self.chunks:
            buffer += data
            while len(buffer) - start >= 2:
                size, head = buffer[start + 1] & 0x7F, 2
                if size == 126:
                    size, head = int.from_bytes(buffer[start + 2 : start + 4], "big"), 4
                elif size == 127:
                    size, head = int.from_bytes(buffer[start + 2 : start + 10], "big"), 10
                if len(buffer) - start < head + size:
                    break
                if buffer[start] & 0x0F in (1, 2):
                    yield at, bytes(buffer[start + head : start + head + size])
                start += head + size
            del buffer[:start]
            start = 0


@asynccontextmanager
async def crowd(sockets: Sequence[Socket], watched: int = WATCHED_MAX) -> AsyncIterator[list[Socket]]:
    """The sockets that are read at once, spread over all; the others are emptied a few times a second. The server does the
    same for each, and a client in Python would be at its end long before it."""
    step = max(1, -(-len(sockets) // watched))
    others = [socket for number, socket in enumerate(sockets) if number % step]
    for socket in others:
        socket.rest()

    async def empty() -> None:
        while others:
            for first in range(SLICES):
                for socket in others[first::SLICES]:
                    socket.drain()
                await asyncio.sleep(EMPTY_EVERY_S / SLICES)

    emptying = asyncio.create_task(empty())
    try:
        yield list(sockets[::step])
    finally:
        emptying.cancel()
        for socket in others:
            socket.wake()


def texts_of_pages(socket: Socket) -> Iterator[tuple[float, str, str]]:
    """Of a Holdfast connection: when what text came, and for which request."""
    for at, payload in socket.messages():
        if payload.startswith(b'{"type":"page"'):
            page = JSON.decode_server(payload)
            assert isinstance(page, Page)
            text = "".join(event.text for event in page.events if isinstance(event, Delta))
            if text:
                yield at, page.request_id, text


class PeerMessage(msgspec.Struct):
    """What the peer sends (bench/peer.py)."""

    id: str
    text: str = ""
    end: bool = False


def texts_of_peer(socket: Socket) -> Iterator[tuple[float, str, str]]:
    """The same of a connection to the peer."""
    decode = msgspec.json.Decoder(PeerMessage).decode
    for at, payload in socket.messages():
        message = decode(payload)
        if message.text:
            yield at, message.id, message.text
