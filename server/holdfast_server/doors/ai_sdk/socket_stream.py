"""One stream of a socket: a question or a return, and the log that it follows, told chunk by chunk."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from holdfast_server.doors.answers import abort
from holdfast_server.doors.http_desk import HttpDesk
from holdfast_server.doors.reception import Visit
from holdfast_server.doors.refusal import refused_of
from holdfast_server.doors.streaming import SPAN_EVENTS_MAX, ReaderGone
from holdfast_server.projections.ui_parts import Chunk
from holdfast_server.stores.log import Log

from .asking import Asking
from .naming import DOOR, checked_chat
from .shapes import Resume, Send
from .socket_frames import encode, last_of, question_of
from .telling import Telling


class Line:
    """What streams write to, in turns, each frame whole. There is no queue: who writes waits until it was taken."""

    def __init__(self, ws: web.WebSocketResponse, visit: Visit) -> None:
        self._ws = ws
        self._request = visit.request
        self._wait_s = visit.reception.settings.no_progress_s
        self._turn = asyncio.Lock()

    async def send(self, frame: dict[str, Any]) -> None:
        """Send a frame. Raises: ConnectionError when the other end has gone, or took nothing for too long."""
        async with self._turn:
            try:
                async with asyncio.timeout(
                    self._wait_s
                ):  # made in its turn: it is not there for a reader that takes nothing
                    await self._ws.send_str(encode(frame).decode())
            except TimeoutError:
                self.abort()
                raise ReaderGone from None

    def abort(self) -> None:
        """End the connection now."""
        abort(self._request)


class Stream:
    """See the module's text. `log`: what it follows, once that is found; `aborted`: the reader wants no more."""

    def __init__(
        self, desk: HttpDesk, asking: Asking, visit: Visit, line: Line, frame: Send | Resume
    ) -> None:
        self._desk = desk
        self._asking = asking
        self._visit = visit
        self._line = line
        self._frame = frame
        self._sequence = 0
        self.log: Log | None = None
        self.aborted = False

    @property
    def name(self) -> str:
        """What the client calls it."""
        return self._frame.request_id

    @property
    def chat_id(self) -> str:
        """The chat that it belongs to."""
        return self._frame.id

    @property
    def resumed(self) -> bool:
        """Whether it is a return to what ran already."""
        return isinstance(self._frame, Resume)

    async def find(self) -> None:
        """Ask, or look for what runs; what goes wrong is told to the client. Raises: ConnectionError."""
        try:
            self.log = await self._find()
        except Exception as error:  # noqa: BLE001 - told under a number, and logged; the other streams live
            await self.fail(error)
            return
        if self.log is None:
            await self._send("no-active")

    async def _find(self) -> Log | None:
        frame, owner = self._frame, self._visit.owner
        if isinstance(frame, Resume):
            return await self._asking.to_tell(owner, checked_chat(frame.id), last_of(frame))
        question = question_of(frame)
        agent = self._visit.request.query.get("agent")
        return (await self._asking.ask(owner, question, agent=agent, key=question.request_id)).log

    async def tell(self, journal: Log) -> None:
        """Tell it to its end. Raises: ConnectionError."""
        readers = self._visit.reception.readers
        telling = Telling(journal, reset_steps=True)
        await self._send("start")
        chunks = telling.begin()
        call = readers.enter(journal, telling.cursor, DOOR, self._visit.client)
        try:
            await self._tell(chunks)
            while not (telling.ended or journal.erased):
                if telling.cursor < journal.tail:
                    end = min(journal.tail, telling.cursor + SPAN_EVENTS_MAX)
                    await self._tell(telling.take(telling.cursor, end))
                    call.cursor = end
                    await asyncio.sleep(0)
                elif journal.sealed:
                    break
                else:
                    await journal.wait(telling.cursor)
        finally:
            readers.leave(call)
        if journal.lost:  # it has no end: who comes back is told what the store has now
            self._line.abort()
            raise ReaderGone
        await self._tell(telling.last())
        await self._send("end")

    async def fail(self, error: Exception) -> None:
        """Tell what went wrong, as the last frame. Raises: ConnectionError."""
        refused = refused_of(error, f"a {type(self._frame).__name__.lower()} frame of the AI SDK")
        await self._send("error", errorText=refused.message)

    async def end_request(self) -> None:
        """End what it follows, for good."""
        if self.log is not None and not self.log.sealed:
            await self._desk.requests.cancel(self._visit.owner, self.log.key.request_id)

    async def _tell(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            await self._send("chunk", sequence=self._sequence, chunk=chunk)
            self._sequence += 1

    async def _send(self, kind: str, **more: Any) -> None:
        await self._line.send({"type": kind, "requestId": self.name, **more})
