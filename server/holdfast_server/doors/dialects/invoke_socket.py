"""The socket of one request in the dialect `invoke`: the whole answer so far, anew whenever there is something new.

Whole answers again and again cost the square of an answer's length, so they come at a pace, and none is made before the one
before is out: a slow reader gets fewer of them, never older ones. The last has the outcome, and then the socket is closed.
What the other end says is not listened to; when it goes, the reading ends and nothing else (I5).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, NamedTuple

import msgspec
from aiohttp import WSCloseCode, WSMsgType, hdrs, web

from holdfast_protocol.limits import HEARTBEAT_S
from holdfast_server.doors.answers import abort
from holdfast_server.doors.lost import LogLost
from holdfast_server.doors.reception import Visit
from holdfast_server.doors.refusal import Refused
from holdfast_server.doors.streaming import ReaderGone
from holdfast_server.projections.dialects import invoke as dialect
from holdfast_server.readers import Call
from holdfast_server.stores.base import UnknownRequest
from holdfast_server.stores.log import Log
from holdfast_server.tasks import Tasks

from .asking import DOOR, Asking

PAUSE_S: Final = 0.25
"""Between two snapshots, at least: four a second is as often as people see a difference."""

BYTES_PER_S: Final = 256 * 1024
"""What long answers are slowed down to: at 2 MiB, a snapshot every eight seconds."""

PROGRESS_BYTES: Final = 64 * 1024
"""What a reader has to take in the time that other streams give for a piece."""

WORDS_MAX: Final = 100
"""Frames that the other end may send, which nobody reads: a keep-alive now and then; more is a mistake."""

WORD_BYTES_MAX: Final = 4 * 1024

CLOSE_GRACE_S: Final = 2.0
"""How long the other end may take to answer a close frame."""

WATCH_S: Final = 60.0
"""One wait for news; it only bounds how long a lost wake-up could cost."""

DELETED: Final = 4404
RESTARTS: Final = 1012


async def serve_socket(asking: Asking, visit: Visit, log: Log) -> web.StreamResponse:
    """The whole life of one socket. Raises: Refused for what is no handshake."""
    request = visit.request
    # A body behind an upgrade is how a second request is hidden from whatever stands in front.
    if hdrs.TRANSFER_ENCODING in request.headers or request.headers.get(hdrs.CONTENT_LENGTH, "0") != "0":
        raise Refused(400, "invalid", "A WebSocket handshake has no body.")
    ws = web.WebSocketResponse(
        protocols=_offered(request)[:1],  # who offers some ends a connection whose server names none of them
        heartbeat=HEARTBEAT_S, timeout=CLOSE_GRACE_S, compress=False, max_msg_size=WORD_BYTES_MAX,
    )  # fmt: skip
    if not ws.can_prepare(request):
        raise Refused(
            426, "invalid", "This is a WebSocket; ask for an upgrade.", headers={"Upgrade": "websocket"}
        )
    await ws.prepare(request)
    await _Socket(asking, visit, log, ws).run()
    return ws


class Ending(NamedTuple):
    """With what we close."""

    code: int
    reason: str


class _Socket:
    """One socket from its handshake on."""

    def __init__(self, asking: Asking, visit: Visit, log: Log, ws: web.WebSocketResponse) -> None:
        self._asking = asking
        self._visit = visit
        self._reception = visit.reception
        self._log = log
        self._ws = ws
        self._tasks = Tasks(DOOR)

    async def run(self) -> None:
        """Until either side ends it. Raises: nothing that the other end can cause."""
        telling = self._tasks.start(self._tell(), "tell")
        hearing = self._tasks.start(self._hear(), "hear")
        try:
            await asyncio.wait((telling, hearing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await (
                self._tasks.close()
            )  # nobody reads the socket any more: closing waits for the other end's word
        ended = next((task for task in (hearing, telling) if task.done() and not task.cancelled()), None)
        if ended is not None and ended.exception() is None and ended.result() is not None:
            await self._close(*ended.result())
        transport = self._visit.request.transport
        if transport is not None and transport.get_write_buffer_size():
            abort(self._visit.request)  # an end that does not read: the kernel is to keep nothing for it

    async def _hear(self) -> Ending | None:
        """What the other end says, up to its end (None) or ours."""
        for _ in range(WORDS_MAX + 1):
            message = await self._ws.receive()
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return None
        return Ending(WSCloseCode.POLICY_VIOLATION, "Nothing is to be said here.")

    async def _tell(self) -> Ending | None:
        """Snapshots to the end, ours or that of the other side (None)."""
        call = self._reception.readers.enter(self._log, 0, DOOR, self._visit.client)
        try:
            return await self._snapshots(call)
        except ConnectionError:
            return None
        finally:
            self._reception.readers.leave(call)

    async def _snapshots(self, call: Call) -> Ending:
        """Send them, and how it ends. Raises: ConnectionError."""
        log, reception = self._log, self._reception
        last = b""
        while not reception.closed:
            call.cursor = log.tail
            try:
                story = await self._asking.story(log)
            except UnknownRequest:
                return Ending(DELETED, "The request was deleted.")
            except LogLost as lost:
                return Ending(RESTARTS, f"{lost}.")
            ended = story.ended
            snapshot = msgspec.json.encode(dialect.snapshot(story))
            if snapshot != last:
                await self._send(snapshot)
                last = snapshot
            if ended:
                return Ending(WSCloseCode.OK, "It has ended.")
            await reception.within(log.wait_sealed(), max(PAUSE_S, len(snapshot) / BYTES_PER_S))
            while log.tail <= call.cursor and not (log.sealed or log.erased or reception.closed):
                await reception.within(log.wait(call.cursor), WATCH_S)
        return Ending(RESTARTS, "The server restarts; reconnect.")

    async def _send(self, snapshot: bytes) -> None:
        """Raises: ConnectionError when the other end has gone, or took it too slowly."""
        wait_s = self._reception.settings.no_progress_s * (1 + len(snapshot) // PROGRESS_BYTES)
        try:
            async with asyncio.timeout(wait_s):
                await self._ws.send_str(snapshot.decode())
        except TimeoutError:
            abort(self._visit.request)
            raise ReaderGone from None

    async def _close(self, code: int, reason: str) -> None:
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(2 * CLOSE_GRACE_S):
                await self._ws.close(code=code, message=reason.encode())


def _offered(request: web.Request) -> list[str]:
    lines = request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, [])
    return [name for line in lines for name in map(str.strip, line.split(",")) if name]
