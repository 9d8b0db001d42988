"""The AI SDK's WebSocket transport: one socket, any number of chats.

The client sends `send`, `resume` and `abort`, and names each stream by a `requestId` of its own; the server sends
`start`, `chunk` with a number from 0 on, and `end`, `error` or `no-active`. A stream is a reader of one log with a task of
its own; they take turns at the socket, frame by frame, so what one chat shows does not hold back another. A frame that the
AI SDK does not understand ends its socket and every chat on it, so what goes wrong with one stream is told in that stream.

When the socket ends, by whichever side, its streams go and nothing else (I5). `abort` is a wish of the person's and ends the
request, unless the operator or the address (`?abort=detach`) says that it only ends the reading.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import structlog
from aiohttp import WSCloseCode, WSMsgType, hdrs, web

from holdfast_protocol.limits import COMMAND_BYTES_MAX, HEARTBEAT_S
from holdfast_server.doors.frames import linger_none
from holdfast_server.doors.gate import Bucket
from holdfast_server.doors.http_desk import HttpDesk
from holdfast_server.doors.reception import Visit
from holdfast_server.doors.refusal import Refused
from holdfast_server.stores.base import StoreError
from holdfast_server.stores.log import Log
from holdfast_server.tasks import Tasks

from .asking import Asking
from .shapes import Abort
from .socket_frames import Unreadable, read_frame
from .socket_stream import Line, Stream

log = structlog.get_logger(__name__)

STREAMS_MAX: Final = 100
"""Streams of one socket at once: a page shows a few chats, and each stream is a task here. As many again may be ending."""

UNREADABLE_MAX: Final = 20
"""Frames in a row that cannot be read: whoever sends more does not speak this protocol."""

RATE_REFUSALS_MAX: Final = 200
"""Frames refused in a row for their rate: a client that meant well has slowed down long before."""

CLOSE_GRACE_S: Final = 2.0
"""How long the other end may take to answer a close frame."""

END_S: Final = 10.0
"""How long a socket that has ended waits for what was stopped through it; a store that takes longer is in trouble."""

RETURN_GRACE_S: Final = 0.3
"""How soon a return follows the abort of the last one: the client sends both in one turn."""

WATCH_S: Final = 3600.0
"""The watch for the server's end is called off with the socket; this only bounds one wait of it."""


class SocketTransport:
    """What WebSocketChatTransport connects to."""

    def __init__(self, desk: HttpDesk, asking: Asking) -> None:
        self._desk = desk
        self._asking = asking

    async def serve(self, visit: Visit) -> web.StreamResponse:
        """GET /api/chat/ws: the whole life of one socket. Raises: Refused for what is no handshake."""
        request = visit.request
        how = request.query.get("abort", self._desk.ai_sdk_abort)
        if how not in ("cancel", "detach"):
            raise Refused(400, "invalid", "`abort` is cancel or detach.", param="abort")
        # A body behind an upgrade is how a second request is hidden from whatever stands in front.
        if hdrs.TRANSFER_ENCODING in request.headers or request.headers.get(hdrs.CONTENT_LENGTH, "0") != "0":
            raise Refused(400, "invalid", "A WebSocket handshake has no body.")
        ws = web.WebSocketResponse(
            # A browser that offers protocols ends a connection whose server names none of them.
            protocols=_offered(request)[:1],
            heartbeat=HEARTBEAT_S,
            timeout=CLOSE_GRACE_S,
            compress=False,
            max_msg_size=COMMAND_BYTES_MAX,
        )
        if not ws.can_prepare(request):
            headers = {"Upgrade": "websocket"}
            raise Refused(426, "invalid", "This is a WebSocket; ask for an upgrade.", headers=headers)
        await ws.prepare(request)
        await _Socket(self._desk, self._asking, visit, ws, cancels=how == "cancel").run()
        return ws


class _Closing(Exception):
    """We close, with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class _Socket:
    """One socket from its handshake on."""

    def __init__(
        self, desk: HttpDesk, asking: Asking, visit: Visit, ws: web.WebSocketResponse, *, cancels: bool
    ) -> None:
        settings = visit.reception.settings
        self._desk = desk
        self._asking = asking
        self._visit = visit
        self._ws = ws
        self._cancels = cancels
        self._line = Line(ws, visit)
        self._streams: dict[str, Stream] = {}
        self._following: dict[Stream, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._tasks = Tasks("ai_sdk")
        self._over = asyncio.Event()
        self._bucket = Bucket(settings.calls_per_s, settings.calls_burst, asyncio.get_running_loop().time())
        self._unreadable = 0

    async def run(self) -> None:
        """Until either side ends it. Raises: nothing that the other end can cause."""
        self._tasks.start(self._watch(), "watch")
        try:
            while (message := await self._ws.receive()).type is WSMsgType.TEXT:
                await self._take(message.data)
            if message.type is WSMsgType.BINARY:
                raise _Closing(1003, "Frames here are JSON text.")
        except _Closing as closing:
            await self._close(closing.code, closing.reason)
        except ConnectionError:
            pass  # it has gone
        finally:
            self._over.set()
            if self._ending:  # who stops an answer and closes the page has stopped it
                await asyncio.wait(self._ending, timeout=END_S)
            await self._tasks.close()
            self._release()

    async def _watch(self) -> None:
        """Close when the server does; readers come back, and go on with what runs."""
        reception = self._visit.reception
        while not reception.closed:
            if await reception.within(self._ended(), WATCH_S):
                return
        await self._close(1012, "The server restarts; reconnect.")

    async def _ended(self) -> None:
        await self._over.wait()

    async def _close(self, code: int, reason: str) -> None:
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(2 * CLOSE_GRACE_S):
                await self._ws.close(code=code, message=reason.encode())

    def _release(self) -> None:
        """See that the kernel keeps nothing for an end that does not read."""
        transport = self._visit.request.transport
        if self._ws.close_code in (None, WSCloseCode.ABNORMAL_CLOSURE):
            self._line.abort()
        elif transport is not None and transport.get_write_buffer_size():
            linger_none(transport)
            asyncio.get_running_loop().call_later(CLOSE_GRACE_S, transport.abort)

    # -- frames ----------------------------------------------------------------------------------------------

    async def _take(self, text: str) -> None:
        """One frame of the client's. Raises: _Closing, ConnectionError."""
        try:
            frame = read_frame(text)
        except Unreadable as unreadable:
            self._unreadable += 1
            if self._unreadable >= UNREADABLE_MAX:
                raise _Closing(4400, "Too many frames in a row that cannot be read.") from None
            if unreadable.request_id is not None and unreadable.request_id not in self._streams:
                await self._refuse(unreadable.request_id, unreadable.message)
            return
        self._unreadable = 0
        if isinstance(frame, Abort):
            self._abort(frame.request_id)  # whoever wants less is never told to slow down
        elif not self._bucket.take(asyncio.get_running_loop().time()):
            if self._bucket.refused > RATE_REFUSALS_MAX:
                raise _Closing(4429, "Too many frames; wait, then reconnect.")
            await self._refuse(frame.request_id, "Too many requests; slow down.")
        elif frame.request_id in self._streams:
            pass  # sent twice; the first is served
        elif len(self._streams) >= STREAMS_MAX or len(self._following) >= 2 * STREAMS_MAX:
            await self._refuse(frame.request_id, "Too many streams on this connection; end one first.")
        else:
            stream = Stream(self._desk, self._asking, self._visit, self._line, frame)
            self._streams[stream.name] = stream
            self._following[stream] = self._tasks.start(self._follow(stream), "stream")

    async def _refuse(self, request_id: str, text: str) -> None:
        await self._line.send({"type": "error", "requestId": request_id, "errorText": text})

    # -- streams ---------------------------------------------------------------------------------------------

    async def _follow(self, stream: Stream) -> None:
        """A stream's whole life. It counts as a call: many streams on many sockets are no way around those bounds."""
        try:
            with self._visit.reception.place(self._visit.owner):
                await stream.find()
                if stream.log is not None:
                    if stream.aborted:  # before it was known what there is to end
                        await self._end(stream)
                    else:
                        await self._tell(stream, stream.log)
        except Refused as refused:
            with contextlib.suppress(ConnectionError):
                await self._refuse(stream.name, refused.message)
        except ConnectionError:
            pass  # the reading loop sees it too, and ends the socket
        finally:
            del self._following[stream]
            if self._streams.get(stream.name) is stream:
                del self._streams[stream.name]

    @staticmethod
    async def _tell(stream: Stream, journal: Log) -> None:
        try:
            await stream.tell(journal)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug, logged under a number; the other streams live
            await stream.fail(error)

    def _abort(self, name: str) -> None:
        """The person stopped the stream, or its component went. Of one that is not there, or not any more, nothing is done."""
        stream = self._streams.pop(name, None)
        if stream is None:
            return
        stream.aborted = True
        task = self._following[stream]
        if stream.log is None:
            self._hold(task)  # it is being asked; it ends what comes of it
            return
        task.cancel()
        self._hold(self._tasks.start(self._end(stream), "end"))

    def _hold(self, task: asyncio.Task[None]) -> None:
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end(self, stream: Stream) -> None:
        """End what the stream follows, if that is what an abort means."""
        if not self._cancels:
            return
        if stream.resumed:
            # Coming back once more aborts the first return and sends the next: that is no wish to end the request.
            await self._visit.reception.within(self._ended(), RETURN_GRACE_S)
            if any(other.chat_id == stream.chat_id for other in self._streams.values()):
                return
        try:
            await stream.end_request()
        except StoreError as error:
            log.warning("a request could not be ended", reason=str(error))


def _offered(request: web.Request) -> list[str]:
    lines = request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, [])
    return [name for line in lines for name in map(str.strip, line.split(",")) if name]
