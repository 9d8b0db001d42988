"""A WebSocket over a lossy link, as the door's session sees one: the transport it writes to, the frames it reads.

The transport keeps what the link has no room for, as the kernel's buffers would; that is what a slow reader costs, and
what delivery looks at. All of it belongs to the server's process: a kill takes what was not handed to the link.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from aiohttp import WSCloseCode, WSMsgType

from tests.support.lossy_link import End, LinkClosed, LinkDown


class Message:
    """What a WebSocket's receive gives."""

    __slots__ = ("data", "type")

    def __init__(self, kind: WSMsgType, data: bytes | str | None = None) -> None:
        self.type = kind
        self.data = data


class SimTransport:
    """The half that the door writes prebuilt frames to; they reach the link as payloads, one by one."""

    def __init__(self, end: End) -> None:
        self._end = end
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._gone = False
        self._task: asyncio.Task[None] | None = None

    def write(self, data: bytes) -> None:
        if self._gone:
            return
        at = 0
        while at < len(data):
            size, head = data[at + 1], 2
            if size == 126:
                size, head = int.from_bytes(data[at + 2 : at + 4]), 4
            elif size == 127:
                size, head = int.from_bytes(data[at + 2 : at + 10]), 10
            self._frames.append(data[at + head : at + head + size])
            self._size += size
            at += head + size
        self._push()

    def get_write_buffer_size(self) -> int:
        return self._size

    def is_closing(self) -> bool:
        return self._gone

    def get_extra_info(self, name: str) -> None:
        return None

    def abort(self) -> None:
        self._drop()
        self._end.abort()

    async def flushed(self) -> None:
        """Return when the link has taken everything, or has gone."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def _push(self) -> None:
        """Hand over what the link takes now; wait for room with the rest."""
        try:
            while self._frames and self._task is None:
                if not self._end.offer(self._frames[0]):
                    self._task = asyncio.get_running_loop().create_task(self._wait(), name="kernel")
                    return
                self._size -= len(self._frames.popleft())
        except (LinkDown, LinkClosed):
            self._drop()

    async def _wait(self) -> None:
        try:
            while self._frames:
                await self._end.send(self._frames[0])
                if self._frames:
                    self._size -= len(self._frames.popleft())
        except (LinkDown, LinkClosed):
            self._drop()
        finally:
            self._task = None

    def _drop(self) -> None:
        self._gone = True
        self._frames.clear()
        self._size = 0


class SimWebSocket:
    """What the door uses of a WebSocketResponse."""

    def __init__(self, end: End, transport: SimTransport) -> None:
        self._end = end
        self._transport = transport
        self.closed = False
        self.close_code: int | None = None

    async def receive(self) -> Message:
        try:
            frame = await self._end.receive()
        except LinkClosed as closed:
            self.closed = True
            self.close_code = self.close_code or closed.code
            return Message(WSMsgType.CLOSE)
        except LinkDown:
            self.closed = True
            self.close_code = WSCloseCode.ABNORMAL_CLOSURE
            return Message(WSMsgType.CLOSED)
        return Message(WSMsgType.TEXT if isinstance(frame, str) else WSMsgType.BINARY, frame)

    async def close(self, *, code: int, message: bytes) -> None:
        if self.closed:
            return
        self.closed = True
        try:
            await self._transport.flushed()
        except asyncio.CancelledError:
            self.close_code = WSCloseCode.ABNORMAL_CLOSURE
            raise
        self._end.close(code, message.decode())
        self.close_code = code

    async def send_str(self, _: Any) -> None:
        raise AssertionError("simulated connections write straight to the transport")

    send_bytes = send_str
