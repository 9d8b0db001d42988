"""The dialect `chat_tasks`: a chat that answers at once or, with `async_mode`, gives a task to poll.

    POST /chat/                    ChatMessage -> answered()
    POST /chat/?async_mode=true    ChatMessage -> begun()
    GET /chat/task/{id}            status()

A task's id is the request's. Statuses: PENDING, STARTED, SUCCESS, FAILURE. Cancelled, timed out and interrupted are FAILURE
with `error` set. `progress` is in percent (0 to 100); null while the agent measured nothing. A session is a chat of the
server; the first message of a new one is told its id.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from holdfast_protocol.commands import Submission
from holdfast_server.projections.base import Asked

from .asking import ENVELOPE, CannotHonour, Label, Submitted, Terms, chat_of, noted
from .story import Story

DIALECT: Final = "chat_tasks"
_STATUSES: Final = {"new": "PENDING", "queued": "PENDING", "running": "STARTED", "waiting": "STARTED",
                    "completed": "SUCCESS"}  # fmt: skip


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a message. `role` is who the person is to the application."""

    message: str
    session_id: Label | None = None
    role: Label | None = None
    media: list[Any] | dict[str, Any] | str | None = None

    @property
    def agent(self) -> str | None:
        """The dialect names none: the default agent answers."""
        return None


def submission_of(body: ChatMessage, terms: Terms) -> Submitted:
    """What is submitted for it. Raises: CannotHonour."""
    if not body.message.strip():
        raise CannotHonour("message", "`message` is empty; say something.")
    if body.media:
        raise CannotHonour("media", "Media cannot be taken; send text alone.")
    role = {} if body.role in (None, "user") else {"role": body.role}
    session = body.session_id or terms.new_session
    submission = Submission(
        chat_id=None if session is None else chat_of(session), text=body.message,
        options=terms.required("role", role), deadlines=terms.deadlines,
    )  # fmt: skip
    return submission, noted(DIALECT, session_id=session)


def begun(asked: Asked) -> dict[str, Any]:
    """The reply with `async_mode`, and to a caller that could not wait any longer."""
    return {
        "session_id": _session(asked),
        "message": "Processing...",
        "data": None,
        "draft": None,
        "task_id": asked.request_id,
    }


def answered(story: Story) -> dict[str, Any]:
    """The reply without `async_mode`, once the request has ended. Of one that went wrong, `error` says why."""
    body = _result(story) | {"task_id": None}
    return body if story.error is None else body | {"error": story.error}


def status(story: Story) -> dict[str, Any]:
    """Where the task stands."""
    return {
        "task_id": story.asked.request_id,
        "status": _STATUSES.get(story.status, "FAILURE"),
        "result": _result(story) if story.status == "completed" else None,
        "error": story.error,
        "progress": story.percent,
    }


def _session(asked: Asked) -> str | None:
    session: str | None = asked.envelope.get(ENVELOPE, {}).get("session_id", asked.chat_id)
    return session


def _result(story: Story) -> dict[str, Any]:
    """`draft` is the agent's value of that name, `data` are all others by theirs; null where there is none."""
    values = story.values
    draft = values.pop("draft", None)
    return {
        "session_id": _session(story.asked),
        "message": story.text,
        "data": values or None,
        "draft": draft,
    }
