"""Answers on their way out: handed to a connection piece by piece, as fast as its reader takes them, and weighed meanwhile.

An answer in one piece may be some MB. Whoever asks for many and takes none must not fill the memory: while one is on its way
it holds its caller's place, it counts by its size, for its user and over all, and a reader that takes nothing for too long
is let go. What is small goes straight into the connection's own buffer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
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
    """The answers of one node that are on their way. `wait_s`: how long a reader may take for a piece."""

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._bytes: Counter[Owner] = Counter()

    @property
    def total_bytes(self) -> int:
        """What all of them weigh."""
        return self._bytes.total()

    @contextmanager
    def weighed(self, owner: Owner, size: int) -> Iterator[None]:
        """Count so many bytes while they are on their way. Raises: Refused."""
        held, total = self._bytes[owner], self.total_bytes
        if held and held + size > USER_BYTES_MAX:
            text = "Large answers of yours are on their way and not taken; read them, or end them, first."
            raise Refused(429, "too_many_calls", text, retry_after_s=1)
        if total and total + size > BYTES_MAX:
            raise Refused(503, "overloaded", "Too much is on its way to slow readers; try again later.")
        self._bytes[owner] += size
        try:
            yield
        finally:
            self._bytes[owner] -= size
            if not self._bytes[owner]:
                del self._bytes[owner]

    async def send(self, request: web.Request, response: web.Response, owner: Owner) -> web.StreamResponse:
        """Send what is not small, and return what was sent; the rest is returned as it is. Raises: Refused, ReaderGone."""
        body = response.body
        if response.prepared or not isinstance(body, bytes) or len(body) <= SMALL_BYTES:
            return response
        with self.weighed(owner, len(body)):
            sent = web.StreamResponse(
                status=response.status, reason=response.reason, headers=response.headers
            )
            sent.content_length = len(body)
            await sent.prepare(request)
            await write(request, sent, body, self._wait_s)
            await finish(request, sent, self._wait_s)
        return sent


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
