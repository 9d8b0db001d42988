"""A chat for `useChat({ messages })`: its newest branch, as the AI SDK's UI messages.

An answer that still runs is left out: `resume: true` brings it.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from holdfast_protocol.lifecycle import OUTCOME_STATUSES
from holdfast_protocol.replies import MessageRow
from holdfast_protocol.rewrite import events_of
from holdfast_server.history.visible import UnknownChat
from holdfast_server.projections.base import Asked
from holdfast_server.projections.ui_parts import Chunk
from holdfast_server.projections.ui_stream import UiStreamProjection
from holdfast_server.requests import Requests
from holdfast_server.stores.base import Owner

MESSAGES_MAX: Final = 1000
"""How many messages of a chat are read, the latest; older ones than these are left out."""

PAGE: Final = 200
"""Messages that are read at once."""


class Loaded(NamedTuple):
    """A chat's messages, and the request whose answer is left out, for it runs."""

    messages: list[dict[str, Any]]
    left_out: str | None


async def load_messages(requests: Requests, owner: Owner, chat_id: str) -> Loaded:
    """The newest branch, oldest message first; none of a chat that is not there. Raises: StoreError."""
    left_out: str | None = None
    rows: dict[str, MessageRow] = {}
    tip: MessageRow | None = None
    asked: str | None = None
    before: str | None = None
    while len(rows) < MESSAGES_MAX:
        try:
            page, running, mark = await requests.list_messages(owner, chat_id, PAGE, before)
        except UnknownChat:
            return Loaded([], None)
        if before is None and running:
            left_out, asked = running[0].request_id, running[0].message_id
        for row in page:
            tip = tip or row
            rows[row.message_id] = row
        if mark is None:
            break
        before = mark
    branch: list[dict[str, Any]] = []
    at: MessageRow | None = rows.get(asked or "") or tip
    while at is not None:
        message = message_of(at)
        if message is not None:
            branch.append(message)
        at = rows.get(at.parent_id or "")
    return Loaded(branch[::-1], left_out)


def message_of(row: MessageRow) -> dict[str, Any] | None:
    """One row as a UI message; None for an answer that has not ended."""
    if row.role == "user":
        return {"id": row.message_id, "role": "user", "parts": [{"type": "text", "text": row.text}]}
    if row.status not in OUTCOME_STATUSES:
        return None
    message: dict[str, Any] = {
        "id": row.message_id,
        "role": "assistant",
        "metadata": {"requestId": row.message_id, "status": row.status},
        "parts": [],
    }
    if row.transcript is not None:  # otherwise what it showed is gone: erased, or damaged
        asked = Asked(request_id=row.message_id, agent=row.transcript.agent, created_at=row.created_at)
        projection = UiStreamProjection(asked, reset_steps=True)
        shown = Shown()
        for event in events_of(row.transcript):
            for chunk in projection.apply(event):
                shown.take(chunk)
        message["metadata"] |= shown.metadata
        message["parts"] = shown.parts
    return message


class Shown:
    """What chunks come to in `useChat`: parts and metadata of one message."""

    def __init__(self) -> None:
        self.parts: list[dict[str, Any]] = []
        self.metadata: dict[str, Any] = {}
        self._named: dict[str, dict[str, Any]] = {}

    def take(self, chunk: Chunk) -> None:
        """Take the next chunk."""
        kind: str = chunk["type"]
        self.metadata |= chunk.get("messageMetadata", {})
        if kind == "start-step":
            self.parts.append({"type": "step-start"})
        elif kind in ("text-start", "reasoning-start"):
            part = {"type": kind.removesuffix("-start"), "text": "", "state": "streaming"}
            self._put(chunk["id"], part)
        elif kind in ("text-delta", "reasoning-delta"):
            self._named[chunk["id"]]["text"] += chunk["delta"]
        elif kind in ("text-end", "reasoning-end"):
            self._named[chunk["id"]]["state"] = "done"
        elif kind.startswith("tool-"):
            self._tool(kind, chunk)
        elif kind.startswith("data-"):
            part = {name: value for name, value in chunk.items() if name != "transient"}
            if (known := self._named.get(chunk["id"])) is not None and known["type"] == kind:
                known.update(part)
            else:
                self._put(chunk["id"], part)
        elif kind in ("source-url", "source-document", "file"):
            self.parts.append(dict(chunk))

    def _put(self, name: str, part: dict[str, Any]) -> None:
        self.parts.append(part)
        self._named[name] = part

    def _tool(self, kind: str, chunk: Chunk) -> None:
        call_id = chunk["toolCallId"]
        part = self._named.get(f"tool {call_id}")
        if part is None:
            part = {"type": "dynamic-tool", "toolCallId": call_id, "state": "input-streaming"}
            self._put(f"tool {call_id}", part)
        for name in ("toolName", "providerExecuted", "input", "output", "errorText"):
            if name in chunk:
                part[name] = chunk[name]
        state = {
            "tool-input-available": "input-available",
            "tool-input-error": "output-error",
            "tool-output-available": "output-available",
            "tool-output-error": "output-error",
        }.get(kind)
        if state is not None:
            part["state"] = state
