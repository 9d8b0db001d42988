"""One WebSocket connection from the moment it is accepted: who it is, its commands, its end.

One loop reads; commands take effect in the order in which they were sent, and the next is read when the last was
answered and the answer was taken, so a client that does not read is not read from either. There is no second task:
what is pushed is written by delivery, between two awaits of ours.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Final

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from holdfast_protocol.commands import Command, Hello
from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.limits import COMMAND_BYTES_MAX_BEFORE_HELLO
from holdfast_protocol.replies import Error, Reply
from holdfast_server.connection import Encoder
from holdfast_server.stores.base import Owner
from holdfast_server.tasks import Tasks

from .commands import COMMANDS
from .desk import Answer, Caller, Desk, Stranger
from .errors import error_reply
from .frames import FrameCodec, Wire, linger_none
from .gate import Bucket, Pass
from .settings import (
    CLOSE_GRACE_S,
    COMMAND_DEADLINE_S,
    DOOR,
    RATE_REFUSALS_MAX,
    REPLY_BYTES_MAX,
    UNREADABLE_MAX,
    USER_TIMEOUT_SLACK_S,
    DoorSettings,
)

log = structlog.get_logger(__name__)

WAIT_FOR_ROOM_S: Final = 0.05
"""How often a connection whose replies were not taken is looked at."""


class Ended(Exception):
    """The other end has gone, or aiohttp has closed."""


class Closing(Exception):
    """We close, with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Session:
    """A connection; it is also the `Connection` that delivery writes to."""

    def __init__(
        self,
        *,
        desk: Desk,
        ws: web.WebSocketResponse,
        transport: asyncio.Transport,
        codec: FrameCodec,
        settings: DoorSettings,
        entry: Pass,
        direct: bool,
    ) -> None:
        self._desk = desk
        self._ws = ws
        self._transport = transport
        self._codec = codec
        self._settings = settings
        self._entry = entry
        self._wire = Wire(ws, transport, direct=direct)
        self._tasks = Tasks("session")
        self._ending: asyncio.Task[None] | None = None
        self.over = asyncio.Event()
        self._unreadable = 0
        self._bucket = Bucket(
            settings.commands_per_s, settings.commands_burst, asyncio.get_running_loop().time()
        )
        _bound_kernel(transport, settings)

    # -- the port that delivery writes to --------------------------------------------------------------------

    @property
    def codec(self) -> Encoder:
        return self._codec

    @property
    def buffered(self) -> int:
        return self._wire.buffered

    def write(self, frames: Sequence[bytes]) -> None:
        self._wire.write(frames)

    def close(self, code: int, reason: str) -> None:
        if self._ending is None:
            self._ending = self._tasks.start(self._end(code, reason), "end")

    def abort(self) -> None:
        self._wire.abort()

    # -- its life --------------------------------------------------------------------------------------------

    async def run(self, owner: Owner | None, operator: bool = False) -> None:
        """From the first frame to the end of the connection; who has shown a token already is `owner`, and maybe an
        operator. Raises: nothing that the other end can cause."""
        try:
            caller = await self._greet() if owner is None else Caller(owner, self, operator)
            self._desk.delivery.join(self)
            self._desk.requests.readers.introduce(self, DOOR)
            while True:
                await self._serve(caller, await self._receive())
        except Ended:
            pass
        except Closing as closing:
            await self._end(closing.code, closing.reason)
        finally:
            self._desk.delivery.leave(self)
            self._release()
            if self._ending is not None:  # until that is done, the transport is not the server's to close
                await asyncio.wait([self._ending])
            self.over.set()

    async def _end(self, code: int, reason: str) -> None:
        """Close, with a bound on how long the other end may take."""
        try:
            async with asyncio.timeout(CLOSE_GRACE_S):
                await self._ws.close(code=code, message=reason.encode())
        except (TimeoutError, ConnectionError):
            pass
        finally:
            self._release()

    def _release(self) -> None:
        """See that the kernel keeps nothing of an end that does not read: it would, for a quarter of an hour."""
        if self._ws.close_code in (None, WSCloseCode.ABNORMAL_CLOSURE):
            self.abort()
        elif self._transport.get_write_buffer_size():
            linger_none(self._transport)
            asyncio.get_running_loop().call_later(CLOSE_GRACE_S, self._transport.abort)

    async def _greet(self) -> Caller:
        """Wait for `hello` with a token that is somebody's; nothing else is listened to. Raises: Ended, Closing."""
        try:
            async with asyncio.timeout(self._settings.hello_deadline_s):
                frame = await self._receive()
        except TimeoutError:
            raise Closing(4408, "Say hello first, with a token.") from None
        if len(frame) > COMMAND_BYTES_MAX_BEFORE_HELLO:
            raise Closing(1009, "Before hello a frame may not be so large.")
        try:
            command = self._codec.codec.decode_command(frame)
        except ProtocolError:
            command = None
        owner = self._desk.owner_of(command.token) if isinstance(command, Hello) else None
        if owner is None or not isinstance(command, Hello):
            raise Closing(4401, "The first frame must be hello, with a valid token.")
        refusal = self._entry.known(owner)
        if refusal is not None:
            raise Closing(refusal.code, refusal.reason)
        caller = Caller(owner, self, self._desk.is_operator(command.token))
        self._desk.requests.readers.introduce(self, DOOR, command.client)
        self._reply(self._desk.welcome(command.ref, owner, caller.operator))
        return caller

    async def _receive(self) -> bytes | str:
        """The next data frame. Raises: Ended, Closing."""
        message = await self._ws.receive()
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            raise Ended
        if (message.type is WSMsgType.BINARY) != self._codec.codec.binary:
            kind = "binary" if self._codec.codec.binary else "text"
            raise Closing(1003, f"This codec is sent in {kind} frames.")
        data: bytes | str = message.data
        return data

    # -- commands --------------------------------------------------------------------------------------------

    async def _serve(self, caller: Caller, frame: bytes | str) -> None:
        """Answer one frame. Raises: Ended, Closing."""
        try:
            command = self._codec.codec.decode_command(frame)
        except ProtocolError as error:
            self._unreadable = self._unreadable + 1 if error.ref is None else 0
            if self._check_rate(error.ref):
                self._reply(error_reply(error, error.ref))
            if self._unreadable >= UNREADABLE_MAX:
                raise Closing(4400, "Too many frames in a row that cannot be read.") from None
        else:
            self._unreadable = 0
            if self._check_rate(command.ref):
                answer = await self._carry_out(caller, command)
                self._reply(answer.reply)
                if answer.after is not None:
                    answer.after()
        await self._taken()

    def _check_rate(self, ref: int | None) -> bool:
        """Whether the command is within the rate; if not, it is refused here. Raises: Closing when it goes on."""
        bucket = self._bucket
        if bucket.take(asyncio.get_running_loop().time()):
            return True
        if bucket.refused > RATE_REFUSALS_MAX:
            raise Closing(4429, "Too many commands; wait, then reconnect.")
        self._reply(error_reply(ProtocolError("rate_limited", retry_after_ms=bucket.wait_ms), ref))
        return False

    async def _carry_out(self, caller: Caller, command: Command) -> Answer:
        try:
            async with asyncio.timeout(COMMAND_DEADLINE_S):
                return await COMMANDS[type(command)](self._desk, caller, command)
        except Stranger:
            raise Closing(4401, "That token is not this connection's user's.") from None
        except Exception as error:  # noqa: BLE001 - every command has its one reply, and a bug is nobody else's trouble
            return Answer(error_reply(error, command.ref, doing=type(command).__name__))

    def _reply(self, reply: Reply) -> None:
        frame = self._codec.encode(reply)
        if len(frame) > REPLY_BYTES_MAX:
            error = ProtocolError("too_large", "The reply would be too large; ask for fewer rows at a time.")
            frame = self._codec.encode(Error(ref=reply.ref, code=error.code, message=str(error)))
        self._wire.write([frame])

    async def _taken(self) -> None:
        """Read no more from one who does not take the replies. Raises: Ended."""
        while self.buffered > self._settings.buffer_bytes:
            await asyncio.sleep(WAIT_FOR_ROOM_S)
            if not self._wire.open:
                raise Ended


def _bound_kernel(transport: asyncio.Transport, settings: DoorSettings) -> None:
    """Where the platform can: unacknowledged bytes end the connection, should our own look at it ever fail."""
    sock = transport.get_extra_info("socket")
    if sock is not None and hasattr(socket, "TCP_USER_TIMEOUT") and sock.family != socket.AF_UNIX:
        wait_ms = int((settings.no_progress_s + USER_TIMEOUT_SLACK_S) * 1000)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, wait_ms)
