"""The dialect `workflow_stream`: a deployed workflow is asked, and the reply is the stream of its answer.

    POST /api/workflows/execute/stream    Execution -> WorkflowStream, as Server-Sent Events without an event name

A chunk has `type` content (with the text that is new in `data`) or status (started, completed, error). Should the answer be
begun again, another `started` comes, whose `data` is what stands of the text: what came before it is void. For the first one
that is nothing. Failed, timed out, interrupted and cancelled are all `error`, for clients know no other bad end. `workflow_id` is
the request's id: what is lost on the way can be read through any other door.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from holdfast_protocol import events as ev
from holdfast_protocol.commands import Submission
from holdfast_server.projections.base import Asked

from .asking import ENVELOPE, CannotHonour, Label, Submitted, Terms, Told, inputs_of, noted
from .story import Story, iso

DIALECT: Final = "workflow_stream"


class Execution(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of an execution. A deployment is an agent."""

    deployment_name: Label
    query: str
    chat_history: list[Told] | None = None
    runtime_overrides: dict[str, Any] | None = None

    @property
    def agent(self) -> str | None:
        """Who is asked."""
        return self.deployment_name


def submission_of(body: Execution, terms: Terms) -> Submitted:
    """What is submitted for it. Raises: CannotHonour."""
    if not body.query.strip():
        raise CannotHonour("query", "`query` is empty; say something.")
    submission = Submission(
        agent=body.agent, text=body.query, messages=inputs_of(body.chat_history, "chat_history"),
        options=terms.required("runtime_overrides", body.runtime_overrides or {}), deadlines=terms.deadlines,
    )  # fmt: skip
    return submission, noted(DIALECT, deployment_name=body.deployment_name)


class WorkflowStream:
    """Fed the log from its beginning."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._story = Story(asked)
        self._texts: dict[int, int] = {}
        self._begun = False

    @property
    def ended(self) -> bool:
        """Whether the last chunk was made."""
        return self._story.ended

    def apply(self, event: ev.Event) -> list[dict[str, Any]]:
        """Take the next event; the chunks it makes. Raises: IllegalEvent."""
        story = self._story
        story.apply(event)
        match event:
            case ev.PartStarted(kind="text"):
                self._texts[event.part] = 0
            case ev.Delta() if event.part in self._texts and event.text:
                self._texts[event.part] += len(event.text)
                return [self._chunk(event, "content", data=event.text)]
            case ev.Started():
                return self._started(event)
            case ev.Completed():
                return [self._chunk(event, "status", status="completed")]
            case ev.Failed() | ev.Cancelled() | ev.TimedOut() | ev.Interrupted():
                return [self._chunk(event, "status", status="error", error=story.error)]
        return []

    def _started(self, event: ev.Started) -> list[dict[str, Any]]:
        """Said when it begins, and when text that was sent does not stand any more."""
        before = sum(self._texts.values())
        if event.keep != "all":
            standing = self._story.standing
            self._texts = {part: size for part, size in self._texts.items() if part < standing}
        if self._begun and sum(self._texts.values()) == before:
            return []
        self._begun = True
        return [self._chunk(event, "status", status="started", data=self._story.text)]

    def _chunk(
        self,
        event: ev.Event,
        kind: str,
        *,
        data: str = "",
        status: str | None = None,
        error: str | None = None,
    ) -> dict[str, Any]:
        noted_name = self._asked.envelope.get(ENVELOPE, {}).get("deployment_name", self._asked.agent)
        return {
            "type": kind, "data": data, "status": status, "error": error, "deployment_name": noted_name,
            "workflow_id": self._asked.request_id, "timestamp": iso(event.at),
        }  # fmt: skip
