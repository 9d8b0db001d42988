"""Streams over HTTP: a log followed from a place, written to a reader at the pace at which it takes it.

There is no queue: what a reader has not taken is in the log, and the handler that serves it waits, at most for so long,
until the connection has taken a piece. Waiting is for the level (I7). Between two events a reader is told now and then that
the line is alive; that is a comment of one line, without an empty line behind it, which every parser of server-sent events
takes as the beginning of the next event: some of them fall over an event of nothing but comments.

A log whose past its store has lost is not followed to an end, for it has none: the connection breaks off, and who comes back
with his cursor reads on, or begins anew, on what the store has now.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Final, Self

from aiohttp import hdrs, web

from holdfast_server.stores.log import Log

from .answers import PIECE_BYTES, SMALL_BYTES, ReaderGone, abort, finish, write
from .lost import LogLost
from .reception import Visit
from .refusal import Refused

__all__ = [
    "NDJSON",
    "PIECE_BYTES",
    "SPAN_EVENTS_MAX",
    "SSE",
    "EventStream",
    "ReaderGone",
    "check_lost",
    "follow",
    "pieces",
    "wait_answered",
    "wait_beyond",
    "wait_sealed",
    "wait_until",
]

SSE: Final = "text/event-stream"
_SENT: Final = {
    SSE: f"{SSE}; charset=utf-8"
}  # it always is; but some clients take what is not said for Latin-1
NDJSON: Final = "application/x-ndjson"

SPAN_EVENTS_MAX: Final = 256
"""Events that are read in one go: the loop is others' between two of these."""

LOOK_S: Final = 2.0
"""How often it is looked whether a caller that waits in silence has hung up."""

HEADERS: Final[Mapping[str, str]] = {
    hdrs.CACHE_CONTROL: "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}
"""What keeps proxies from holding a stream back."""

_ALIVE: Final = {SSE: b": alive\n", NDJSON: b"\n"}


class EventStream:
    """The response of a stream, open while its `async with` lasts."""

    def __init__(
        self, visit: Visit, *, media: str = SSE, headers: Mapping[str, str] | None = None, status: int = 200
    ) -> None:
        self.visit = visit
        self._media = media
        self._wait_s = visit.reception.settings.no_progress_s
        shared = visit.reception.shared(visit.request)
        self.response = web.StreamResponse(
            status=status,
            headers={**shared, **HEADERS, hdrs.CONTENT_TYPE: _SENT.get(media, media), **(headers or {})},
        )

    async def __aenter__(self) -> Self:
        await self.response.prepare(self.visit.request)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            with contextlib.suppress(ConnectionError):
                await finish(self.visit.request, self.response, self._wait_s)
        elif not isinstance(error, ConnectionError):
            abort(self.visit.request)  # a stream that breaks off must not look as if it had ended
        return isinstance(error, ConnectionError)

    async def write(self, data: bytes) -> None:
        """Send these bytes. A large piece waits until there is room for it among its user's; where there is none
        in time, the reader is let go as a slow one is. Raises: ReaderGone."""
        request = self.visit.request
        if len(data) <= SMALL_BYTES:
            await write(request, self.response, data, self._wait_s)
            return
        try:
            async with self.visit.reception.outgoing.room(self.visit.owner, len(data)):
                await write(request, self.response, data, self._wait_s)
        except Refused:
            abort(request)
            raise ReaderGone from None

    async def write_all(self, frames: Iterable[bytes]) -> None:
        """Send frames that are made as they are taken: of many large ones only a few are there at once. Raises:
        ReaderGone."""
        for piece in pieces(frames):
            await self.write(piece)

    async def keep_alive(self) -> None:
        """Say that the line is alive. Raises: ReaderGone."""
        await self.write(_ALIVE[self._media])


def pieces(frames: Iterable[bytes]) -> Iterator[bytes]:
    """The frames put together to about PIECE_BYTES each, no frame torn."""
    held: list[bytes] = []
    size = 0
    for frame in frames:
        held.append(frame)
        size += len(frame)
        if size >= PIECE_BYTES:
            piece, size = b"".join(held), 0
            held.clear()
            del frame  # a large one is not there twice while it is taken
            yield piece
    if held:
        yield b"".join(held)


async def follow(stream: EventStream, log: Log, start: int, door: str) -> AsyncIterator[tuple[int, int]]:
    """The ranges of a log from `start` on, as they come, each of SPAN_EVENTS_MAX at most; ends with the log (look whether it
    was erased), or when the server closes. Who follows, through which door, is noted. Raises: ReaderGone."""
    reception = stream.visit.reception
    call = reception.readers.enter(log, start, door, stream.visit.client)
    try:
        while not log.erased:
            if call.cursor < log.tail:
                end = min(log.tail, call.cursor + SPAN_EVENTS_MAX)
                yield call.cursor, end
                call.cursor = end
                await asyncio.sleep(0)
            elif log.sealed or reception.closed:
                return
            elif not (
                await reception.within(log.wait(call.cursor), reception.settings.keep_alive_s)
                or reception.closed
            ):
                await stream.keep_alive()
        check_lost(stream.visit, log)
    finally:
        reception.readers.leave(call)


def check_lost(visit: Visit, log: Log) -> None:
    """Break a stream off whose log has no end. Raises: ReaderGone."""
    if log.lost:
        abort(visit.request)
        raise ReaderGone


async def wait_until(
    visit: Visit,
    there: Callable[[], bool],
    again: Callable[[], Awaitable[None]],
    seconds: float,
    *,
    log: Log | None = None,
) -> bool:
    """Wait for a level, of this log or of something else, so long at most: `again` waits for it, and may be given up and
    called anew. False if it is not there by then, the caller hung up, or the server closes. Raises: LogLost."""
    now = asyncio.get_running_loop().time
    end = now() + seconds
    while not there():
        left = end - now()
        if left <= 0 or visit.gone or visit.reception.closed:
            return False
        await visit.reception.within(again(), min(LOOK_S, left))
    if log is not None and log.lost:
        raise LogLost
    return True


async def wait_sealed(visit: Visit, log: Log, seconds: float) -> bool:
    """Wait for the outcome, so long at most; whether it is there."""
    ended = await wait_until(visit, lambda: log.sealed or log.erased, log.wait_sealed, seconds, log=log)
    return ended and log.sealed


async def wait_answered(visit: Visit, log: Log, seconds: float) -> bool:
    """Wait for the outcome, so long at most; whether it is there. A run that waits for a person may do so for days: who waits
    in silence is then let go at once, to be told that it goes on without him."""
    await wait_until(
        visit,
        lambda: log.sealed or log.erased or log.status == "waiting",
        lambda: log.wait(log.tail),
        seconds,
        log=log,
    )
    return log.sealed


async def wait_beyond(visit: Visit, log: Log, offset: int, seconds: float) -> bool:
    """Wait until the log holds more than `offset` events, or will not grow any more; whether it is so."""
    return await wait_until(
        visit,
        lambda: log.tail > offset or log.sealed or log.erased,
        lambda: log.wait(offset),
        seconds,
        log=log,
    )
