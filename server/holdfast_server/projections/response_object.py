"""The Response object: the status, error, usage and echoed request of a log, in OpenAI's words."""

from __future__ import annotations

from typing import Any, Final

from holdfast_protocol import events as ev
from holdfast_protocol.fold import Fold
from holdfast_protocol.lifecycle import Status

from .base import Asked
from .response_envelope import NOTED_AS, envelope_of

_STATUSES: Final[dict[Status, str]] = {
    "new": "queued",
    "queued": "queued",
    "running": "in_progress",
    "waiting": "in_progress",
    "completed": "completed",
    "failed": "failed",
    "timed_out": "failed",
    "interrupted": "failed",
    "cancelled": "cancelled",
}

_CUT_SHORT: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""What a completed answer may have ended with that is an incomplete Response, and the reason given there."""

_ERROR_CODES: Final = {"rate_limited": "rate_limit_exceeded", "rate_limit": "rate_limit_exceeded"}
"""Our codes that OpenAI's closed list has a word for; every other is `server_error`, and ours is in `holdfast.code`."""

_SENTENCES: Final[dict[type, str]] = {
    ev.Failed: "The request failed",
    ev.TimedOut: "The request ran out of time",
    ev.Interrupted: "The server stopped while the request ran",
}


def cut_short(outcome: ev.Outcome | None) -> bool:
    """Whether the answer ended before it was whole, though nothing went wrong."""
    return isinstance(outcome, ev.Completed) and outcome.code in _CUT_SHORT


class ResponseObject:
    """Everything in a Response but its output. Made for one log; `around` may be called at any time."""

    def __init__(self, asked: Asked) -> None:
        said = envelope_of(asked)
        chat = None
        if said.conversation is not None:
            chat = {"id": said.conversation}
        elif asked.chat_id is not None and NOTED_AS not in asked.envelope:
            # Asked through another door: there it was in its chat. A client of this one sees what it named itself.
            chat = {"id": f"conv_{asked.chat_id}"}
        self._request_id: Final = asked.request_id
        self._asked: Final[dict[str, Any]] = {
            "id": f"resp_{asked.request_id}",
            "object": "response",
            "created_at": asked.created_at // 1000,
            "model": said.model or asked.agent,
            "background": said.background,
            "conversation": chat,
            "instructions": said.instructions,
            "max_output_tokens": said.max_output_tokens,
            "metadata": said.metadata,
            "parallel_tool_calls": said.parallel_tool_calls,
            "previous_response_id": said.previous_response_id,
            "reasoning": said.reasoning or {"effort": None, "summary": None},
            "store": said.store,
            "temperature": said.temperature,
            "text": said.text or {"format": {"type": "text"}},
            "tool_choice": said.tool_choice,
            "tools": said.tools,
            "top_p": said.top_p,
            "truncation": said.truncation or "disabled",
            "user": said.user,
        }
        if said.service_tier is not None:
            self._asked["service_tier"] = said.service_tier

    def around(self, fold: Fold, output: list[dict[str, Any]]) -> dict[str, Any]:
        """The object at this point of the log. `holdfast` tells what OpenAI has no word for: our status, the attempt, and
        at the end our code and whether asking once more may help."""
        outcome = fold.outcome
        incomplete = cut_short(outcome)
        own: dict[str, Any] = {
            "request_id": self._request_id,
            "status": fold.status,
            "attempt": 0 if fold.started is None else fold.started.attempt,
        }
        if outcome is not None:
            own.update(code=outcome.code, retryable=outcome.retryable)
        whole = isinstance(outcome, ev.Completed) and not incomplete
        return {
            **self._asked,
            "status": "incomplete" if incomplete else _STATUSES[fold.status],
            "completed_at": outcome.at // 1000 if outcome is not None and whole else None,
            "error": _error(outcome),
            "incomplete_details": {"reason": _CUT_SHORT[outcome.code]} if outcome and incomplete else None,
            "output": output,
            "usage": None if fold.usage is None else _usage(fold.usage),
            "holdfast": own,
        }


def _error(outcome: ev.Outcome | None) -> dict[str, Any] | None:
    if not isinstance(outcome, ev.Failed | ev.TimedOut | ev.Interrupted):
        return None
    return {
        "code": _ERROR_CODES.get(outcome.code, "server_error"),
        "message": outcome.message or f"{_SENTENCES[type(outcome)]} ({outcome.code}).",
    }


def _usage(usage: ev.Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
