"""Prebuilt WebSocket frames, straight to the transport: the one place that goes past aiohttp's own sending.

A frame to clients is a short header and the payload, unmasked, so that the same bytes serve every connection of a codec:
building them once and handing them to the transport costs half of sending each through the library. That leans on two
things of aiohttp that are not promises: that its own frames (pong, ping, close) go to the same transport in one piece
each, and that nothing of an extension is negotiated (compress=False). So it is tried at start-up, on this machine, with
this version; if what arrives is not what was sent, connections send through the library instead, slower and as well.

Order: everything here is written in one call, between two awaits, so no frame of aiohttp's falls into the middle of
one; and nothing is written once a close frame was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Sequence
from typing import Any, Final

import aiohttp
import structlog
from aiohttp import web

from holdfast_protocol.codec import CODECS, Codec
from holdfast_server.tasks import Tasks

log = structlog.get_logger(__name__)

TEST_DEADLINE_S: Final = 5.0
"""The self-test takes milliseconds; a machine on which it takes longer gets the safe way."""

LINGER_NONE: Final = struct.pack("ii", 1, 0)
"""Ends a connection with a reset, and frees at once what the kernel holds of it."""

_TEXT: Final = 0x81
_BINARY: Final = 0x82


def header(size: int, *, binary: bool) -> bytes:
    """The header of a whole, unmasked frame (RFC 6455, 5.2)."""
    first = _BINARY if binary else _TEXT
    if size < 126:
        return bytes((first, size))
    if size < 65536:
        return struct.pack("!BBH", first, 126, size)
    return struct.pack("!BBQ", first, 127, size)


def payload_of(frame: bytes) -> bytes:
    """What a frame made here carries."""
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]


class FrameCodec:
    """A codec whose messages come with their frame's header."""

    def __init__(self, codec: Codec) -> None:
        self.codec: Final = codec

    def encode(self, message: Any) -> bytes:
        """The frame of a reply or push."""
        payload = self.codec.encode(message)
        return header(len(payload), binary=self.codec.binary) + payload


FRAME_CODECS: Final = {name: FrameCodec(codec) for name, codec in CODECS.items()}
"""One object per codec, so that its frames can be shared."""


class Wire:
    """The sending half of one WebSocket. `direct` is whether frames go straight to the transport."""

    def __init__(self, ws: web.WebSocketResponse, transport: asyncio.Transport, *, direct: bool) -> None:
        self._ws = ws
        self._transport = transport
        self._direct = direct
        self._waiting: list[bytes] = []  # only the slow way: frames until its task has sent them
        self._waiting_bytes = 0
        self._tasks = Tasks("wire")

    @property
    def open(self) -> bool:
        """Whether anything can still be sent."""
        return not (self._ws.closed or self._transport.is_closing())

    @property
    def buffered(self) -> int:
        """Bytes that the operating system has not taken."""
        if self._transport.is_closing() and not self._transport.get_write_buffer_size():
            return 0
        return self._transport.get_write_buffer_size() + self._waiting_bytes

    def write(self, frames: Sequence[bytes]) -> None:
        """Send frames in order; dropped once the connection is closing."""
        if not self.open:
            return
        if self._direct:
            self._transport.write(frames[0] if len(frames) == 1 else b"".join(frames))
            return
        self._waiting += frames
        self._waiting_bytes += sum(map(len, frames))
        if not len(self._tasks):
            self._tasks.start(self._send(), "send")

    def abort(self) -> None:
        """End at once, and let the kernel keep nothing for a reader that does not read."""
        linger_none(self._transport)
        self._transport.abort()

    async def _send(self) -> None:
        """The slow way: through the library."""
        while self._waiting and self.open:
            frame = self._waiting.pop(0)
            payload = payload_of(frame)
            with contextlib.suppress(ConnectionError):
                if frame[0] == _BINARY:
                    await self._ws.send_bytes(payload)
                else:
                    await self._ws.send_str(payload.decode())
            self._waiting_bytes -= len(frame)


def linger_none(transport: asyncio.BaseTransport) -> None:
    """What was not sent is dropped when the connection ends."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)


async def frames_work() -> bool:
    """Whether frames that are written past aiohttp arrive as they were sent, among its own pongs and before its close:
    tried on a loopback socket. Never raises."""
    try:
        async with asyncio.timeout(TEST_DEADLINE_S):
            return await _try()
    except Exception as error:  # noqa: BLE001 - whatever is wrong, there is another way to send
        log.warning("frames are sent the slow way", reason=repr(error))
        return False


async def _try() -> bool:
    sizes = (0, 1, 125, 126, 65_535, 65_536, 200_000)
    sent = [(binary, b"%d" % (size % 7) * size) for size in sizes for binary in (False, True)]

    async def answer(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        transport = request.transport
        assert transport is not None
        wire = Wire(ws, transport, direct=True)
        await ws.receive()
        for binary, payload in sent:
            wire.write([header(len(payload), binary=binary) + payload])
            await ws.ping(b"between")
        wire.write([b"".join(header(len(p), binary=b) + p for b, p in sent[:4])])
        await ws.close(code=1000)
        wire.write([header(1, binary=False) + b"!"])
        return ws

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        got = []
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"http://127.0.0.1:{port}/") as ws,
        ):
            await ws.send_str("go")
            async for message in ws:
                binary = message.type is aiohttp.WSMsgType.BINARY
                got.append((binary, message.data if binary else message.data.encode()))
            return got == [*sent, *sent[:4]] and ws.close_code == 1000
    finally:
        await runner.cleanup()
