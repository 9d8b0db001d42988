"""A claim of this node with its pen, and what is under way of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from holdfast_protocol.events import Event
from holdfast_server.stores.base import Claim
from holdfast_server.stores.writer import Writer

from .lanes import Lane
from .rows import Effect
from .shelf import Place


class Flight:
    """An append under way: kept as it is until its outcome is known."""

    __slots__ = ("base", "blob", "effect", "events")

    def __init__(self, base: int, events: Sequence[Event], blob: bytes, made: Effect) -> None:
        self.base = base
        self.events = events
        self.blob = blob
        self.effect = made

    @property
    def end(self) -> int:
        """The offset after it."""
        return self.base + len(self.events)


class Pen:
    """A claim of this node, its writer, and what is under way of it."""

    __slots__ = ("claim", "flight", "lane", "pause_s", "place", "restored", "restores", "restoring", "writer")

    def __init__(self, claim: Claim, writer: Writer, place: Place) -> None:
        self.claim = claim
        self.writer = writer
        self.place = place
        self.flight: Flight | None = None
        self.lane: Lane[Pen | Writer] | None = None  # where a call of it is under way
        self.restoring = False
        self.restores = 0
        self.restored: list[asyncio.Future[None]] = []
        self.pause_s = 0.0
