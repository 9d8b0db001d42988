"""Bounds on what a model's server sends, before anything collects it.

The SDK reads a stream event by event and keeps what it has of one until it ends; of an error it reads the whole page. It
sets no limit to either, so both are set here, under the SDK: on the bytes as they come, in a hook that its HTTP client
calls once a response's head is there. Decoding and the meaning of errors stay the SDK's.

The bytes are counted as they come because that is what they are: nothing compressed is asked for, and what is compressed
all the same is not unpacked, for a few bytes of it may be gigabytes.

Imported only with the SDK, whose HTTP client this is about.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final

import httpx2

from .openai_errors import Unreadable, compressed, oversized

EVENT_BYTES_MAX: Final = 1024 * 1024
"""Between two blank lines, and so of one line too. An event of an answer is some hundred bytes; a server that sends a
tool call's arguments, or all of an answer, in one piece stays below a megabyte."""

PAGE_BYTES_MAX: Final = 64 * 1024
"""Of a refusal: people are shown a sentence of it; all it is good for beyond that is to see that it is JSON."""

HEADERS: Final[Mapping[str, str]] = {"Accept-Encoding": "identity"}
"""To be sent with every request."""

_EVENT_ENDS: Final = (b"\n\n", b"\n\r", b"\r\r")
"""A line may end in CR, LF or both. A line end that follows another is one of these, or holds one."""


async def bound(response: httpx2.Response) -> None:
    """Bound what is read of this response: a hook for an HTTP client's `response` event."""
    source = response.stream
    assert isinstance(source, httpx2.AsyncByteStream)
    encoded = response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity")
    if not response.is_success:
        if encoded:
            del response.headers["Content-Encoding"]
        response.stream = Page(source, bytes_max=0 if encoded else PAGE_BYTES_MAX)
    else:
        response.stream = Compressed(source) if encoded else Events(source)


class Bounded(httpx2.AsyncByteStream):
    """A response's bytes; closing it closes their source."""

    def __init__(self, source: httpx2.AsyncByteStream, bytes_max: int = 0) -> None:
        self._source = source
        self._bytes_max = bytes_max

    async def aclose(self) -> None:
        await self._source.aclose()


class Events(Bounded):
    """Server-sent events, each of at most `bytes_max` (and at most one read more). Raises: Unreadable."""

    def __init__(self, source: httpx2.AsyncByteStream, bytes_max: int = EVENT_BYTES_MAX) -> None:
        super().__init__(source, bytes_max)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size, last = 0, b""  # of the event that has not ended; the byte before
        async for piece in self._source:
            seen = last + piece
            end = max(seen.rfind(mark) for mark in _EVENT_ENDS)
            size = size + len(piece) if end < 0 else len(seen) - end - 2
            if size > self._bytes_max:
                raise Unreadable(oversized())
            last = seen[-1:]
            yield piece


class Page(Bounded):
    """The beginning of a page."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._bytes_max
        async for piece in self._source:
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                return


class Compressed(Bounded):
    """What is not unpacked."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise Unreadable(compressed())
