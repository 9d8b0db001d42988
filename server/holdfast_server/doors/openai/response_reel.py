"""Responses read off logs: as the object at the tail, or as stream events from a sequence number on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from holdfast_protocol.events import Accepted, Event
from holdfast_server.doors.refusal import Refused
from holdfast_server.doors.streaming import SPAN_EVENTS_MAX
from holdfast_server.projections.responses import ResponsesProjection, is_extension
from holdfast_server.reels import Reels, asked_of
from holdfast_server.stores.log import Log

PROJECTION: Final = "responses"

VERSIONS: Final[Mapping[int, type[ResponsesProjection]]] = {ResponsesProjection.version: ResponsesProjection}
"""The projections that numbers can be given by; a journal of before there was one was never numbered, so any may."""

ResponseReels = Reels[ResponsesProjection]


@dataclass(slots=True)
class Reel:
    """A projection on its way through a log: `offset` is the next event to apply, `frames` are those to send first.
    `extensions`: events beyond OpenAI's are told too; left out, they leave gaps in the numbers."""

    projection: ResponsesProjection
    extensions: bool = False
    offset: int = 0
    frames: list[dict[str, Any]] = field(default_factory=list)

    def apply(self, event: Event) -> list[dict[str, Any]]:
        """The frames of the next event."""
        frames = self.projection.apply(event)
        return frames if self.extensions else [frame for frame in frames if not is_extension(frame)]


def fresh(log: Log) -> ResponsesProjection:
    """A projection of the version that the log was opened under. Raises: Refused if its numbers cannot be made here."""
    if log.purged:
        text = "The events of this response are no longer kept; get it without `stream`."
        raise Refused(410, "purged", text, param="stream")
    accepted = log.events[0]
    assert isinstance(accepted, Accepted)
    version = accepted.projections.get(PROJECTION, ResponsesProjection.version)
    if version not in VERSIONS:
        text = "This server cannot number the events of this response; get it without `stream`."
        raise Refused(410, "projection_unknown", text, param="stream")
    return VERSIONS[version](asked_of(log))


async def reel_after(log: Log, number: int | None, *, extensions: bool = False) -> Reel:
    """Where a reader goes on that has all events up to that sequence number (None: none). Raises: Refused if there are
    not so many."""
    reel = Reel(fresh(log), extensions)
    if number is None:
        return reel
    while reel.offset < log.tail:
        end = min(log.tail, reel.offset + SPAN_EVENTS_MAX)
        for event in log.events[reel.offset : end]:
            frames = reel.apply(event)
            reel.offset += 1
            reel.frames = [frame for frame in frames if frame["sequence_number"] > number]
            if reel.frames:
                return reel
        await asyncio.sleep(0)  # a long log must not hold the loop
    if number >= reel.projection.number:
        last = reel.projection.number - 1
        text = f"`starting_after` is {number}, and the last event so far has the number {last}."
        raise Refused(400, "cursor_ahead", text, param="starting_after")
    return reel
