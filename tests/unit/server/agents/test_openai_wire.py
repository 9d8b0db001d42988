"""The bounds on what a model's server sends, whichever way its bytes are cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import httpx2
import pytest

from holdfast_server.agents.openai_errors import Unreadable
from holdfast_server.agents.openai_wire import Events, Page


class Bytes(httpx2.AsyncByteStream):
    """These pieces."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = pieces
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece

    async def aclose(self) -> None:
        self.closed = True


def read(stream: httpx2.AsyncByteStream) -> bytes:
    async def main() -> bytes:
        return b"".join([piece async for piece in stream])

    return asyncio.run(main())


def cut(whole: bytes, size: int) -> list[bytes]:
    return [whole[place : place + size] for place in range(0, len(whole), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\r\n\n"])
def test_an_events_end_is_found_however_it_is_cut(end: bytes, size: int):
    """Events within the limit pass unchanged; one byte more than the limit without an end does not."""
    event = b"data: 1" + end
    whole = event * 9
    assert read(Events(Bytes(cut(whole, size)), bytes_max=len(event))) == whole
    with pytest.raises(Unreadable):
        read(Events(Bytes(cut(event + b"x" * len(event) * 2, size)), bytes_max=len(event)))


def test_one_line_end_is_not_an_events_end():
    """Lines of one event count together."""
    with pytest.raises(Unreadable):
        read(Events(Bytes(cut(b"data: 1\r\n" * 5, 3)), bytes_max=30))


def test_a_page_is_cut():
    """What is beyond the limit is not read; closing reaches the source."""
    source = Bytes([b"abc", b"def", b"ghi"])
    page = Page(source, bytes_max=5)
    assert read(page) == b"abcde"
    asyncio.run(page.aclose())
    assert source.closed
