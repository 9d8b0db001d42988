"""A log told as a UI message stream from now on: first what stands, in as few chunks as that takes, then what comes."""

from __future__ import annotations

from typing import Final

from holdfast_server.doors.lines import json_line
from holdfast_server.journal import snapshot
from holdfast_server.projections.ui_parts import Chunk
from holdfast_server.projections.ui_stream import UiStreamProjection
from holdfast_server.reels import asked_of
from holdfast_server.stores.log import Log

from .naming import noted

ERASED: Final = "The answer was deleted."


class Telling:
    """One reader's way through one log: `begin`, then `take` each range from `cursor` on, then `last`. `reset_steps`: whether
    the reader knows `reset-step`, which the AI SDK does from 7 on."""

    def __init__(self, log: Log, *, reset_steps: bool) -> None:
        self.log = log
        self.cursor = 0
        self._projection = UiStreamProjection(
            asked_of(log), reset_steps=reset_steps, message_id=noted(log).get("message_id")
        )

    @property
    def ended(self) -> bool:
        """Whether the last chunk has been given."""
        return self._projection.ended

    def begin(self) -> list[Chunk]:
        """What stands now."""
        self.cursor = self.log.tail
        return [chunk for event in snapshot(self.log) for chunk in self._projection.apply(event)]

    def take(self, first: int, last: int) -> list[Chunk]:
        """What these events make; they follow what was told."""
        assert first == self.cursor
        self.cursor = last
        return [chunk for event in self.log.events[first:last] for chunk in self._projection.apply(event)]

    def last(self) -> list[Chunk]:
        """What is left to say of a log that has gone."""
        if self.ended or not self.log.erased:
            return []
        return [{"type": "error", "errorText": ERASED}]


def sse(chunks: list[Chunk]) -> bytes:
    """The chunks as server-sent events."""
    return b"".join(b"data: %b\n\n" % json_line(chunk) for chunk in chunks)
