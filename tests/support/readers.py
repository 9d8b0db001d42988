"""Connections without sockets, for delivery: what was written to them, and the client's reading of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdfast_client.following import Following
from holdfast_protocol.codec import JSON, Codec
from holdfast_protocol.pushes import CaughtUp, Gone, Page, Push, Snapshot
from holdfast_protocol.transcript import Transcript


class CountingCodec:
    """A codec that counts what it encodes, by the kind of message."""

    def __init__(self, codec: Codec = JSON) -> None:
        self.codec = codec
        self.encoded: list[Any] = []

    def encode(self, message: Any) -> bytes:
        self.encoded.append(message)
        return self.codec.encode(message)

    def count(self, kind: type) -> int:
        return sum(isinstance(message, kind) for message in self.encoded)


class FakeConnection:
    """Takes what is written at once, or, while `reading` is off, holds it as the kernel would not."""

    def __init__(self, codec: CountingCodec | None = None) -> None:
        self._codec = codec or CountingCodec()
        self.reading = True
        self.writes = 0
        self.frames: list[bytes] = []  # that have reached the other end
        self.held: list[bytes] = []
        self.peak = 0
        self.closed: tuple[int, str] | None = None
        self.aborted = False
        self.followings: dict[str, Following] = {}
        self.pushes: list[Push] = []

    # -- the port --------------------------------------------------------------------------------------------

    @property
    def codec(self) -> CountingCodec:
        return self._codec

    @property
    def buffered(self) -> int:
        return sum(map(len, self.held))

    def write(self, frames: Sequence[bytes]) -> None:
        assert frames, "nothing is written without a frame"
        self.writes += 1
        self.held += frames
        self.peak = max(self.peak, self.buffered)
        if self.reading:
            self.take()

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    def abort(self) -> None:
        self.aborted = True

    # -- the other end ---------------------------------------------------------------------------------------

    def take(self, frames_max: int | None = None) -> None:
        """The other end reads: everything, or so many frames."""
        taken, self.held = self.held[:frames_max], self.held[len(self.held[:frames_max]) :]
        self.frames += taken
        for frame in taken:
            push: Any = self._codec.codec.decode_server(frame)
            self.pushes.append(push)
            self._read(push)

    def follows(self, request_id: str, start: str | None = None) -> Following:
        """The client has been told that it follows; a following it had goes on."""
        following = self.followings.setdefault(request_id, Following(request_id))
        following.granted(start)
        return following

    def _read(self, push: Push) -> None:
        following = self.followings.get(getattr(push, "request_id", None) or "")
        if following is None:
            return
        match push:
            case Snapshot():
                following.snapshot()
            case Page():
                following.page(push)
            case CaughtUp():
                following.caught_up(push)
            case Gone():
                following.lose("gone", "")
        assert following.starts_over == 0, f"the client could not follow: {push}"

    def transcript(self, request_id: str) -> Transcript:
        """What the client shows."""
        return self.followings[request_id].fold.transcript()

    def kinds(self) -> list[str]:
        """The kinds of pushes that came, in order."""
        return [type(push).__name__ for push in self.pushes]
