"""A WebSocket client without a library: it reads when the test says so, and not at all when it does not.

    ws = await RawSocket.open(port, kernel_bytes=4096)
    await ws.say({"type": "hello", "ref": 1})
    message = await ws.message()            # the next message; None once the server has ended the connection

Nothing is read in between, so a client that is not asked for messages is a reader that has stopped.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections import deque
from typing import Any, Self

_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10
_KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
WAIT_S = 30.0


class RawSocket:
    """One connection. `closed` is the close code once there is one, 1006 where the connection ended without."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.closed: int | None = None
        self.pushes: list[dict[str, Any]] = []
        self._bytes = bytearray()
        self._messages: deque[dict[str, Any]] = deque()
        self._ref = 0

    @classmethod
    async def open(
        cls, port: int, *, kernel_bytes: int | None = None, headers: dict[str, str] | None = None
    ) -> Self:
        """Connect and be upgraded. Raises: ConnectionError with the status line when the server refuses."""
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        if kernel_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, kernel_bytes)
        self = cls(sock)
        lines = [
            "GET /ws HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {_KEY}",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]
        try:
            async with asyncio.timeout(WAIT_S):
                await loop.sock_connect(sock, ("127.0.0.1", port))
                await loop.sock_sendall(sock, ("\r\n".join(lines) + "\r\n\r\n").encode())
                while b"\r\n\r\n" not in self._bytes:
                    if not await self._more():
                        raise ConnectionError("ended in the handshake")
            head, _, rest = bytes(self._bytes).partition(b"\r\n\r\n")
            self._bytes = bytearray(rest)
            if b" 101 " not in head.split(b"\r\n", 1)[0]:
                raise ConnectionError(head.split(b"\r\n", 1)[0].decode())
        except BaseException:
            sock.close()
            raise
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Its own end."""
        name: tuple[str, int] = self.sock.getsockname()
        return name

    async def say(self, command: dict[str, Any]) -> None:
        """Send a command."""
        await self.frame(json.dumps(command))

    async def frame(self, text: str) -> None:
        """Send a text frame of just this."""
        await self._frame(_TEXT, text.encode())

    async def ask(self, type_: str, **fields: Any) -> dict[str, Any]:
        """Send a command, and read up to its reply; pushes on the way go to `pushes`."""
        self._ref += 1
        await self.say({"type": type_, "ref": self._ref, **fields})
        while True:
            message = await self.message()
            assert message is not None, f"closed with {self.closed}"
            if message.get("ref") == self._ref:
                return message
            self.pushes.append(message)

    async def message(self) -> dict[str, Any] | None:
        """The next message; None when there will be none. Raises: TimeoutError."""
        async with asyncio.timeout(WAIT_S):
            while not self._messages:
                if self.closed is not None:
                    return None
                if not await self._parse():
                    try:
                        alive = await self._more()
                    except ConnectionError:
                        alive = False
                    if not alive:
                        self.closed = 1006
        return self._messages.popleft()

    async def until(self, type_: str, **fields: Any) -> dict[str, Any]:
        """Read pushes until one is like this."""
        while True:
            message = await self.message()
            assert message is not None, f"closed with {self.closed}"
            self.pushes.append(message)
            if message["type"] == type_ and all(message.get(key) == value for key, value in fields.items()):
                return message

    def close(self, *, reset: bool = False) -> None:
        """End it, by FIN or by RST."""
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    async def _more(self) -> bool:
        piece = await asyncio.get_running_loop().sock_recv(self.sock, 65536)
        self._bytes += piece
        return bool(piece)

    async def _parse(self) -> bool:
        """Take one frame from what was read; False if there is no whole one."""
        data = self._bytes
        if len(data) < 2:
            return False
        size, start = data[1] & 0x7F, 2
        if size >= 126:
            width = 2 if size == 126 else 8
            start = 2 + width
            if len(data) < start:
                return False
            size = int.from_bytes(data[2:start], "big")
        if len(data) < start + size:
            return False
        opcode, payload = data[0] & 0x0F, bytes(data[start : start + size])
        del data[: start + size]
        if opcode == _PING:
            await self._frame(_PONG, payload)
        elif opcode == _CLOSE:
            self.closed = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
        elif opcode == _TEXT:
            self._messages.append(json.loads(payload))
        return True

    async def _frame(self, opcode: int, payload: bytes) -> None:
        mask = os.urandom(4)
        size = len(payload)
        head = bytes((0x80 | opcode,))
        if size < 126:
            head += bytes((0x80 | size,))
        elif size < 65536:
            head += struct.pack("!BH", 0x80 | 126, size)
        else:
            head += struct.pack("!BQ", 0x80 | 127, size)
        masked = bytes(byte ^ mask[i & 3] for i, byte in enumerate(payload))
        await asyncio.get_running_loop().sock_sendall(self.sock, head + mask + masked)


def text_of(pushes: list[dict[str, Any]], request_id: str) -> str:
    """The answer's text that these pushes show, from the last snapshot on."""
    out: list[str] = []
    for push in pushes:
        if push.get("request_id") != request_id:
            continue
        if push["type"] == "snapshot":
            out.clear()
        elif push["type"] == "page":
            out += [event["text"] for event in push["events"] if event["type"] == "delta"]
    return "".join(out)
