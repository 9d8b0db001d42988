"""The dialect `invoke`: an agent is given a conversation, and its request is polled or followed over a socket of its own.

    POST /invoke_endpoint, /api/invoke_endpoint    Invocation -> begun()
    GET /api/requests/{id}/status                  snapshot()
    WebSocket /requests/{id}/stream                snapshot(), whenever there is something new; the last one has the outcome

Statuses: queued, streaming (waiting for a person too), completed, failed (timed out and interrupted too), cancelled. Every
snapshot has the whole answer so far, because that is what this dialect's clients show: a socket sends the latest when the one
before is out, at a pace, not one for each event. After a restart of the answer the text may be shorter than it was.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from holdfast_protocol.commands import Submission
from holdfast_server.projections.base import Asked

from .asking import ENVELOPE, CannotHonour, Label, Submitted, Terms, Told, inputs_of, noted
from .story import Story, iso

DIALECT: Final = "invoke"
_STATUSES: Final = {"new": "queued", "queued": "queued", "running": "streaming", "waiting": "streaming",
                    "completed": "completed", "cancelled": "cancelled"}  # fmt: skip


class Invocation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of an invocation. `chat_id` is the caller's own name for the chat, shown again; the conversation is in
    `messages`. Without `agent_id`, the default agent answers."""

    messages: list[Told]
    agent_id: Label | None = None
    chat_id: Label | None = None

    @property
    def agent(self) -> str | None:
        """Who is asked."""
        return self.agent_id


def submission_of(body: Invocation, terms: Terms) -> Submitted:
    """What is submitted for it. Raises: CannotHonour."""
    messages = inputs_of(body.messages, "messages")
    if not any(message.role == "user" and message.text.strip() for message in messages):
        raise CannotHonour("messages", "`messages` has nothing that a user says.")
    submission = Submission(agent=body.agent, messages=messages, deadlines=terms.deadlines)
    return submission, noted(DIALECT, chat_id=body.chat_id)


def begun(asked: Asked) -> dict[str, Any]:
    """The reply to the invocation."""
    return {"request_id": asked.request_id, "status": "processing"}


def snapshot(story: Story) -> dict[str, Any]:
    """Where the request stands. `partial_content` and `partial_response` are the answer so far, `content` and
    `final_response` the whole one; each has two names in this dialect. `trace_id` is the request's id, by which logs name it."""
    asked, text = story.asked, story.text
    whole = text if story.status == "completed" else None
    return {
        "id": asked.request_id,
        "request_id": asked.request_id,
        "chat_id": asked.envelope.get(ENVELOPE, {}).get("chat_id", asked.chat_id),
        "user_message": _question(asked),
        "status": _STATUSES.get(story.status, "failed"),
        "partial_content": text or None,
        "partial_response": text or None,
        "content": whole,
        "final_response": whole,
        "trace_id": asked.request_id,
        "error": story.error,
        "created_at": iso(asked.created_at),
        "completed_at": story.ended_at,
    }


def _question(asked: Asked) -> str:
    if asked.text is not None:
        return asked.text
    return next((message.text for message in reversed(asked.messages) if message.role == "user"), "")
