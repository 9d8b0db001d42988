"""What a page and its server say to each other: every frame of its WebSockets, from the first one on.

    wire = Wire(page)                     # before the page is loaded
    wire.links[-1].subscribes("r-1")      # what this page asked for on its latest connection

A page that finds that what it holds is not what the server has (the digest differs, a page does not fit) starts over: it
subscribes once more without a cursor. So `started_over` is how a test sees that every digest matched.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Frame, Page, WebSocket

Message = dict[str, Any]


@dataclass(slots=True)
class Link:
    """One connection: what was sent and received on it, in order. `document` counts the page's loads, from 0."""

    document: int
    sent: list[Message] = field(default_factory=list)
    received: list[Message] = field(default_factory=list)

    def subscribes(self, request_id: str) -> list[Message]:
        """The subscribes to a request."""
        return [one for one in self.sent if one["type"] == "subscribe" and one["request_id"] == request_id]

    def pages(self, request_id: str) -> list[Message]:
        """The pages of a request's journal."""
        return self._about("page", request_id)

    def snapshots(self, request_id: str) -> list[Message]:
        """The snapshots that were announced."""
        return self._about("snapshot", request_id)

    def caught_up(self, request_id: str) -> list[Message]:
        """The digests that the server gave of a request."""
        return self._about("caught_up", request_id)

    def _about(self, kind: str, request_id: str) -> list[Message]:
        return [one for one in self.received if one["type"] == kind and one["request_id"] == request_id]


class Wire:
    """The connections of one page, over all its loads."""

    def __init__(self, page: Page) -> None:
        self.links: list[Link] = []
        self._page = page
        self._documents = 0
        page.on("framenavigated", self._navigated)
        page.on("websocket", self._opened)

    def submits(self) -> list[Message]:
        """Every submit, repeated ones too."""
        return [one for link in self.links for one in link.sent if one["type"] == "submit"]

    def started_over(self) -> list[str]:
        """The requests that one load of the page asked for from the start more than once."""
        fresh = Counter(
            (link.document, one["request_id"])
            for link in self.links
            for one in link.sent
            if one["type"] == "subscribe" and one.get("cursor") is None
        )
        return [request_id for (_, request_id), times in fresh.items() if times > 1]

    def _navigated(self, frame: Frame) -> None:
        if frame == self._page.main_frame:
            self._documents += 1

    def _opened(self, socket: WebSocket) -> None:
        link = Link(self._documents)
        self.links.append(link)
        socket.on("framesent", lambda data: link.sent.append(json.loads(data)))
        socket.on("framereceived", lambda data: link.received.append(json.loads(data)))
