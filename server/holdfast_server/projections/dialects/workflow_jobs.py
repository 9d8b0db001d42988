"""The dialect `workflow_jobs`: a message that is answered at once or, with `async`, as a job to follow or to poll.

    POST /ai-demo/chat/send                  ChatSend -> begun() if `asynchronous`, else answered()
    GET /ai-demo/workflow/stream/{job}       JobStream, as Server-Sent Events without an event name
    GET /ai-demo/workflow/status/{job}       status(), in {"data": {...}}

A job id is `workflow_<request id>`. Statuses: connected (the stream's first), processing, completed, failed, timeout.
`timeout` is for the stream alone: a client that polls ends on `completed` and `failed`, so there it is `failed` with
"Request timed out". Cancelled and interrupted are `failed` in both. `progress` is in percent; 0 while the agent measured
nothing. A session is a chat of the server: what was said in it before is given to the agent.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from holdfast_protocol import events as ev
from holdfast_protocol.commands import Submission
from holdfast_server.projections.base import Asked

from .asking import CannotHonour, Label, Submitted, Terms, chat_of, noted
from .story import Story, iso

DIALECT: Final = "workflow_jobs"
TOTAL_S_DEFAULT: Final = 120.0
"""The longest that a workflow may run, as this dialect has it."""

JOB_PREFIX: Final = "workflow_"


class ChatSend(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a message."""

    message: str
    session_id: Label | None = None
    asynchronous: bool = msgspec.field(default=False, name="async")
    actions: bool | None = None
    memory: bool | None = None
    intelligent_rag: bool | None = None

    @property
    def agent(self) -> str | None:
        """The dialect names none: the default agent answers."""
        return None


def submission_of(body: ChatSend, terms: Terms) -> Submitted:
    """What is submitted for it. Raises: CannotHonour."""
    if not body.message.strip():
        raise CannotHonour("message", "`message` is empty; say something.")
    if body.memory and body.session_id is None:
        raise CannotHonour("memory", "`memory` needs a `session_id` to remember by.")
    chat_id = None if body.session_id is None or body.memory is False else chat_of(body.session_id)
    wishes = {
        name: value
        for name, value in (("actions", body.actions), ("intelligent_rag", body.intelligent_rag))
        if value is not None
    }
    submission = Submission(
        chat_id=chat_id, text=body.message, options=terms.wanted(wishes), deadlines=terms.deadlines
    )
    return submission, noted(DIALECT, session_id=body.session_id)


def job_of(request_id: str) -> str:
    """The job's id."""
    return f"{JOB_PREFIX}{request_id}"


def request_of(job: str) -> str | None:
    """The request's id; None if no job is named so."""
    return job[len(JOB_PREFIX) :] or None if job.startswith(JOB_PREFIX) else None


def begun(asked: Asked, base_url: str) -> dict[str, Any]:
    """The reply with `async`, and to a caller that could not wait any longer. `base_url` is this server's, as the caller
    sees it, without a slash at its end."""
    job = job_of(asked.request_id)
    return {
        "success": True,
        "async": True,
        "job_id": job,
        "status": "processing",
        "message": "Your request is being processed...",
        "stream_url": f"{base_url}/ai-demo/workflow/stream/{job}",
        "status_url": f"{base_url}/ai-demo/workflow/status/{job}",
    }


def answered(story: Story) -> dict[str, Any]:
    """The reply without `async`, once the request has ended."""
    success = story.status == "completed"
    body = {
        "success": success,
        "response": story.text,
        "actions": story.actions,
        "sources": story.sources,
    }
    return body if success else body | {"error": story.error}


def status(story: Story) -> dict[str, Any]:
    """Where the job stands, for a client that polls."""
    standing = _standing(story)
    if standing["status"] == "timeout":
        standing["status"] = "failed"
    return {"success": True, "data": {"job_id": job_of(story.asked.request_id), **standing}}


class JobStream:
    """The frames of one stream: `opening()` for what has been by now, then `apply` for each event after it."""

    def __init__(self, story: Story) -> None:
        """`story` has been fed the log so far; the stream feeds it from here on."""
        self._story = story
        self._writing = bool(story.text)

    @property
    def ended(self) -> bool:
        """Whether the last frame was made."""
        return self._story.ended

    def opening(self) -> list[dict[str, Any]]:
        """The stream is there, and where the job stands."""
        story = self._story
        connected = {
            "status": "connected", "progress": _percent(story), "message": "Stream connected",
            "updated_at": iso(story.updated_at),
        }  # fmt: skip
        return [connected, _standing(story)]

    def apply(self, event: ev.Event) -> list[dict[str, Any]]:
        """Take the next event. Each step makes a frame; of the text, only its beginning does: it is sent when it is whole.
        Raises: IllegalEvent."""
        if self._story.apply(event):
            return [_standing(self._story)]
        if isinstance(event, ev.Delta) and not self._writing and self._story.text:
            self._writing = True
            return [_standing(self._story) | {"message": "Writing the response..."}]
        return []


def _percent(story: Story) -> float:
    percent = story.percent or 0.0
    return int(percent) if percent.is_integer() else round(percent, 1)


def _standing(story: Story) -> dict[str, Any]:
    frame: dict[str, Any] = {
        "status": "processing", "progress": _percent(story), "message": story.saying, "updated_at": iso(story.updated_at),
    }  # fmt: skip
    if not story.ended:
        return frame
    ending = {"completed": "completed", "timed_out": "timeout"}.get(story.status, "failed")
    frame |= {
        "status": ending,
        "response": story.text,
        "actions": story.actions,
        "sources": story.sources,
    }
    return frame if ending == "completed" else frame | {"error": story.error}
