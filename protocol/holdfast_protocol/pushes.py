"""Pushes: what the server sends unasked.

A push carries nothing of the connection, so that it is encoded once for all who follow the same thing in the same
codec. The client keeps request -> chat itself, from the reply to its submit or subscribe.
"""

from __future__ import annotations

import msgspec

from .events import KnownEvent, snake
from .replies import ChatRow, RequestRow, ResetReason


class PushBase(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=snake):
    """Base of all pushes."""


class Snapshot(PushBase, frozen=True, kw_only=True):
    """Begin anew: the pages that follow, up to `caught_up`, are a log from offset 0 that folds to the present state. Show
    what you have until then, and swap."""

    request_id: str
    reason: ResetReason


class Page(PushBase, frozen=True, kw_only=True):
    """Events from offset `start`; their spans add up to the offset of `next`, the cursor after them."""

    request_id: str
    start: int
    next: str
    events: list[KnownEvent]


class CaughtUp(PushBase, frozen=True, kw_only=True):
    """You hold everything up to `cursor`, and your digest should be this one; if not, subscribe again without a cursor.
    Sent when a reader reaches the tail and again at the end; `sealed`: nothing will follow."""

    request_id: str
    cursor: str
    parts: int
    bytes: int
    digest: str
    sealed: bool = False


class Gone(PushBase, frozen=True, kw_only=True):
    """The request was deleted; its subscription has ended."""

    request_id: str


class FeedChat(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="chat"):
    """A chat changed; this is all of its row."""

    chat: ChatRow


class FeedRequest(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="request"):
    """A request changed; this is all of its row."""

    request: RequestRow


FeedEvent = FeedChat | FeedRequest


class Feed(PushBase, frozen=True, kw_only=True):
    """What changed of yours; `next` is the cursor after it. Every entry is a whole row: of two with one id the higher
    version holds, so repeats are harmless. `reset`: this begins a snapshot (the first page of chats, and all requests
    without an outcome); rows that you hold and that it lacks may be out of date."""

    next: str
    events: list[FeedEvent]
    reset: ResetReason | None = None


class Notice(PushBase, frozen=True, kw_only=True):
    """Something about the server that is in no log, safe to lose: `draining` (it restarts soon: expect 1012), `place`
    (of a queued request, with `reason` and `estimate_ms` as in its row), `storage` (trouble or its end); ignore kinds that
    you do not know."""

    kind: str
    message: str = ""
    request_id: str | None = None
    place: int | None = None
    reason: str | None = None
    estimate_ms: int | None = None
    retry_after_ms: int | None = None


Push = Snapshot | Page | CaughtUp | Gone | Feed | Notice
