"""Prebuilt frames: the self-test that decides whether they are used, and the bytes that they are made of."""

from __future__ import annotations

import pytest

from holdfast_protocol.codec import CODECS
from holdfast_protocol.replies import Pong
from holdfast_server.doors import frames


async def test_frames_arrive_as_they_were_sent() -> None:
    """On this machine, with this aiohttp, frames of every size of header go past the library unharmed."""
    assert await frames.frames_work()


async def test_frames_that_do_not_arrive_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """When what arrives is not what was sent, or nothing does, the self-test says so and raises nothing."""
    good = frames.header
    monkeypatch.setattr(frames, "TEST_DEADLINE_S", 0.5)
    for bad in (
        lambda size, *, binary: good(size, binary=not binary),  # the other kind of frame
        lambda size, *, binary: good(max(0, size - 1), binary=binary),  # a byte too many behind it
        lambda size, *, binary: good(size + 1000, binary=binary),  # it never ends
    ):
        monkeypatch.setattr(frames, "header", bad)
        assert not await frames.frames_work()


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
@pytest.mark.parametrize("binary", [False, True])
def test_what_a_frame_carries(size: int, binary: bool) -> None:
    """The payload of a frame is what it was made of, at every size of header; the header is the one of RFC 6455."""
    payload = b"x" * size
    head = frames.header(size, binary=binary)
    assert frames.payload_of(head + payload) == payload
    assert head[0] == (0x82 if binary else 0x81)
    assert len(head) == (2 if size < 126 else 4 if size < 65_536 else 10)
    assert int.from_bytes(head[2:], "big") == (size if size >= 126 else 0)


@pytest.mark.parametrize("name", CODECS)
def test_codecs_are_shared(name: str) -> None:
    """All connections of a codec have the same object, and it writes whole frames."""
    codec = frames.FRAME_CODECS[name]
    frame = codec.encode(Pong(ref=1, at=2))
    assert frames.payload_of(frame) == CODECS[name].encode(Pong(ref=1, at=2))
