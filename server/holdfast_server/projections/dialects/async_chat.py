"""The dialect `async_chat`: a chat that is started, and asked after once a second.

    POST /api/chat/async                 AsyncChat -> begun()
    GET /api/chat/async/{id}/status      status()
    DELETE /api/chat/async/{id}          deleted(); what runs is cancelled first

`chat_id` is the request's id: the conversation comes along with each request. Statuses: pending, processing, completed,
failed. Cancelled, timed out and interrupted are `failed` with `error` set, for a client that polls knows no other end.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from holdfast_protocol.commands import Submission
from holdfast_server.projections.base import Asked

from .asking import CannotHonour, Label, Submitted, Terms, Told, inputs_of, noted
from .story import Story, iso

DIALECT: Final = "async_chat"
TOTAL_S_DEFAULT: Final = 90.0
"""The longest that a chat may run, as this dialect has it."""

_STATUSES: Final = {"new": "pending", "queued": "pending", "running": "processing", "waiting": "processing",
                    "completed": "completed"}  # fmt: skip
_OWN: Final = frozenset({"message", "tool_calls", "success"})


class AsyncChat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a start. Without `agent_id`, the default agent answers."""

    message: str
    agent_id: Label | None = None
    chat_history: list[Told] | None = None

    @property
    def agent(self) -> str | None:
        """Who is asked."""
        return self.agent_id


def submission_of(body: AsyncChat, terms: Terms) -> Submitted:
    """What is submitted for it. Raises: CannotHonour."""
    if not body.message.strip():
        raise CannotHonour("message", "`message` is empty; say something.")
    submission = Submission(
        agent=body.agent, text=body.message, messages=inputs_of(body.chat_history, "chat_history"),
        deadlines=terms.deadlines,
    )  # fmt: skip
    return submission, noted(DIALECT)


def begun(asked: Asked) -> dict[str, Any]:
    """The reply to the start."""
    return {
        "chat_id": asked.request_id,
        "status": "pending",
        "message": "Chat processing started in background",
    }


def status(story: Story) -> dict[str, Any]:
    """Where it stands: the steps so far and, once it has ended, the result."""
    return {
        "chat_id": story.asked.request_id,
        "status": _STATUSES.get(story.status, "failed"),
        "progress": story.progress,
        "result": _result(story) if story.ended else None,
        "error": story.error,
        "created_at": iso(story.asked.created_at),
        "updated_at": iso(story.updated_at),
    }


def deleted(asked: Asked) -> dict[str, Any]:
    """The reply to the deletion."""
    return {"chat_id": asked.request_id, "status": "deleted", "message": "Chat session deleted"}


def _result(story: Story) -> dict[str, Any] | None:
    """The answer, its calls, and the agent's values by their names (`workflow_generated`, say). What was shown before it
    went wrong stands too, with `success` false; None if nothing was."""
    message, calls = story.text, story.tool_calls
    success = story.status == "completed"
    if not success and not message and not calls:
        return None
    values = {name: value for name, value in story.values.items() if name not in _OWN}
    return {"message": message, "tool_calls": calls, "success": success, **values}
