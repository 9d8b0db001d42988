"""What all projections share: what they know of the request, and the port that doors use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from holdfast_protocol.commands import InputMessage
from holdfast_protocol.events import Event


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The request, as far as a projection may know it. `created_at` is in milliseconds since 1970. `envelope` is what the
    door that took the request noted, by the door's name; empty if another door took it."""

    request_id: str
    agent: str
    created_at: int
    chat_id: str | None = None
    message_id: str | None = None
    parent_id: str | None = None
    text: str | None = None
    messages: Sequence[InputMessage] = ()
    options: dict[str, Any] = {}
    envelope: dict[str, Any] = {}


class Projection(Protocol):
    """Made for one log, fed its events in order from offset 0, unmerged where frames are numbered."""

    def apply(self, event: Event) -> list[dict[str, Any]]:
        """Take the next event; the frames that it makes, in order."""

    @property
    def ended(self) -> bool:
        """Whether no frame can follow any more."""
