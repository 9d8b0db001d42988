"""Answers on their way out: handed to a connection piece by piece, as fast as its reader takes them, and weighed meanwhile.

An answer in one piece may be some MB. Whoever asks for many and takes none must not fill the memory: while one is on its way
it holds its caller's place, it counts by its size, for its user and over all, and a reader that takes nothing for too long
is let go. What is small goes straight into the connection's own buffer.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Final

from aiohttp import web

from holdfast_server.stores.base import Owner

from .frames import linger_none
from .refusal import Refused

PIECE_BYTES: Final = 32 * 1024
"""What is handed to the connection at once; a reader has `no_progress_s` to take it."""

SMALL_BYTES: Final = 64 * 1024
"""What a connection's buffer takes at once; a transport holds this much before it asks to wait."""

USER_BYTES_MAX: Final = 64 * 1024**2
"""Of one user's answers on their way: ten of the largest usual ones. A single one may weigh more."""

BYTES_MAX: Final = 512 * 1024**2
"""Of everybody's."""


class ReaderGone(ConnectionError):
    """The reader hung up, or took nothing for too long."""


class Outgoing:
    """The answers of one node that are on their way. `wait_s`: how long a reader may take for a piece, and how long an answer
    waits until there is room for it among its user's."""

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._bytes: Counter[Owner] = Counter()
        self._waiting: dict[Owner, deque[tuple[int, asyncio.Future[None]]]] = {}

    @property
    def total_bytes(self) -> int:
        """What all of them weigh."""
        return self._bytes.total()

    def fits(self, owner: Owner, size: int) -> bool:
        """Whether there is room for one more of that size."""
        return owner not in self._waiting and self._fits(owner, size) and self._fits_all(size)

    @contextmanager
    def weighed(self, owner: Owner, size: int) -> Iterator[None]:
        """Count so many bytes while they are on their way, whether there is room or not."""
        self._bytes[owner] += size
        try:
            yield
        finally:
            self._let_go(owner, size)

    @asynccontextmanager
    async def room(self, owner: Owner, size: int) -> AsyncIterator[None]:
        """The same, once there is room, in the order in which it was asked for. Raises: Refused if there is none in time."""
        if not self._fits_all(size):
            raise Refused(503, "overloaded", "Too much is on its way to slow readers; try again later.")
        if self.fits(owner, size):
            self._bytes[owner] += size
        else:
            await self._wait(owner, size)
        try:
            yield
        finally:
            self._let_go(owner, size)

    async def send(
        self, request: web.Request, response: web.Response, owner: Owner, *, has_room: bool = False
    ) -> web.StreamResponse:
        """Send what is weighty, and return what was sent; the rest is returned as it is. `has_room`: it is counted already.
        Raises: ReaderGone."""
        size = weight_of(response)
        if not size:
            return response
        assert isinstance(response.body, bytes)
        with nullcontext() if has_room else self.weighed(owner, size):
            sent = web.StreamResponse(
                status=response.status, reason=response.reason, headers=response.headers
            )
            sent.content_length = size
            await sent.prepare(request)
            await write(request, sent, response.body, self._wait_s)
            await finish(request, sent, self._wait_s)
        return sent

    def _fits(self, owner: Owner, size: int) -> bool:
        return not self._bytes[owner] or self._bytes[owner] + size <= USER_BYTES_MAX

    def _fits_all(self, size: int) -> bool:
        return not self._bytes or self.total_bytes + size <= BYTES_MAX

    async def _wait(self, owner: Owner, size: int) -> None:
        """Until so many bytes are counted for us. Raises: Refused."""
        mine = (size, asyncio.get_running_loop().create_future())
        waiting = self._waiting.setdefault(owner, deque())
        waiting.append(mine)
        try:
            async with asyncio.timeout(self._wait_s):
                await mine[1]
        except BaseException as error:
            if mine in waiting:
                waiting.remove(mine)
                self._admit(owner)  # who waits behind us may be smaller
            else:
                self._let_go(owner, size)
            if isinstance(error, TimeoutError):
                text = "Large answers of yours are on their way and not taken; read them, or end them, first."
                raise Refused(429, "too_many_calls", text, retry_after_s=1) from None
            raise

    def _let_go(self, owner: Owner, size: int) -> None:
        self._bytes[owner] -= size
        if not self._bytes[owner]:
            del self._bytes[owner]
        self._admit(owner)

    def _admit(self, owner: Owner) -> None:
        """Count those who wait, as far as there is room."""
        waiting = self._waiting.get(owner)
        while waiting and self._fits(owner, waiting[0][0]):
            size, future = waiting.popleft()
            self._bytes[owner] += size
            future.set_result(None)
        if waiting is not None and not waiting:
            self._waiting.pop(owner, None)


def weight_of(response: web.StreamResponse) -> int:
    """The bytes of an answer that must be weighed; 0: it is small, or on its way already."""
    if not isinstance(response, web.Response) or response.prepared or not isinstance(response.body, bytes):
        return 0
    return len(response.body) if len(response.body) > SMALL_BYTES else 0


async def write(request: web.BaseRequest, response: web.StreamResponse, data: bytes, wait_s: float) -> None:
    """Send these bytes at the reader's pace. Raises: ReaderGone."""
    for start in range(0, len(data), PIECE_BYTES):
        if gone(request):
            raise ReaderGone
        try:
            async with asyncio.timeout(wait_s):
                await response.write(data[start : start + PIECE_BYTES])
        except TimeoutError:
            abort(request)
            raise ReaderGone from None


async def finish(request: web.BaseRequest, response: web.StreamResponse, wait_s: float) -> None:
    """Say that this was all. Raises: ReaderGone, or what the connection raises."""
    try:
        async with asyncio.timeout(wait_s):
            await response.write_eof()
    except TimeoutError:
        abort(request)
        raise ReaderGone from None


def gone(request: web.BaseRequest) -> bool:
    """Whether the other end has hung up."""
    transport = request.transport
    return transport is None or transport.is_closing()


def abort(request: web.BaseRequest) -> None:
    """End the connection now, and let the kernel keep nothing for it."""
    transport = request.transport
    if transport is not None:
        linger_none(transport)
        transport.abort()
