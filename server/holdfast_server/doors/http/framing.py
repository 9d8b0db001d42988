"""Streams of JSON objects: each is one server-sent event, or one line of NDJSON, with the place to go on from."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from holdfast_server.doors.lines import json_line

from .event_frames import RETRY_MS
from .operations import NDJSON, SSE, Asked, TicketQuery
from .preferences import preferred

LAST_EVENT_ID: Final = "Last-Event-ID"

_NAMES: Final = {"sse": SSE, "ndjson": NDJSON}


class StreamQuery(TicketQuery, frozen=True, kw_only=True):
    """Where to go on, and how it shall look."""

    cursor: (
        Annotated[
            str, msgspec.Meta(max_length=80, description="The place to go on from, as it was handed out.")
        ]
        | None
    ) = None
    format: (
        Annotated[Literal["sse", "ndjson"], msgspec.Meta(description="Instead of the header Accept.")] | None
    ) = None


def media_of(asked: Asked, default: str) -> str:
    """The format that the caller would rather have."""
    query: StreamQuery = asked.query
    if query.format is not None:
        return _NAMES[query.format]
    other = NDJSON if default == SSE else SSE
    return preferred(asked.visit.request.headers, (default, other))


def opening(media: str) -> bytes:
    """What a stream begins with: a line of its first event, for some parsers take an event without data for a broken one."""
    return b"retry: %d\n" % RETRY_MS if media == SSE else b""


def frame(media: str, kind: str, value: Any, cursor: str) -> bytes:
    """An object, whose `type` is `kind`, with the cursor behind it."""
    data = json_line(value)
    if media == SSE:
        return b"event: %s\nid: %s\ndata: %s\n\n" % (kind.encode(), cursor.encode(), data)
    return data + b"\n"
