"""The dialects' frames as server-sent events: data alone, without an event name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from holdfast_server.doors.lines import json_line

LAST_ID: Final = "end"
"""The id of a stream's last event: who comes back with it is told to stop coming back."""


class BrokenOff(Exception):
    """The stream ends before its answer does: the reader must take it for a lost connection, and not for the end."""


def sse(frame: dict[str, Any], *, last: bool = False) -> bytes:
    """A frame. `last`: nothing comes after it."""
    return (b"id: %s\n" % LAST_ID.encode() if last else b"") + b"data: " + json_line(frame) + b"\n\n"


def all_sse(frames: Iterable[dict[str, Any]]) -> bytes:
    """Frames after which others come."""
    return b"".join(map(sse, frames))
