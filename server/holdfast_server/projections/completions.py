"""Chat Completions: a log as OpenAI's chunks, and what stands of it as one chat.completion.

A completion has text, reasoning (as `reasoning_content`, the field that others use for it) and the calls of the tools that
the client runs. What the server does itself on the way, and what it waits for, is not shown. Chunks cannot take text back:
where an attempt drops some that was shown, the stream ends in an error with the code `attempt_superseded`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from holdfast_protocol import events as ev
from holdfast_protocol.fold import Fold
from holdfast_protocol.live_part import LivePart

from .base import Asked

FINISH_REASONS: Final = ("stop", "length", "tool_calls", "content_filter")
"""What a choice may end with; any other code of a completed request is `stop`."""

SUPERSEDED: Final = "Another attempt replaced what was shown. Ask for the answer again to get what stands."

BAD_OPTION: Final = "bad_option"
"""The code of agents that refuse an option or its value: the caller's mistake, not the server's."""

_SENTENCES: Final[dict[type, str]] = {
    ev.Failed: "The request failed",
    ev.Cancelled: "The request was cancelled",
    ev.TimedOut: "The request ran out of time",
    ev.Interrupted: "The server stopped while the request ran",
}


class CompletionsProjection:
    """Made for one log and fed its events in order from offset 0, merged or not, or a snapshot of it."""

    version = 1

    def __init__(self, asked: Asked, *, include_usage: bool) -> None:
        self._include_usage = include_usage
        self._fold = Fold()
        self._calls: dict[int, int] = {}
        self._shown: set[int] = set()
        self._began = False
        self._ended = False
        self._whole = False
        named = asked.envelope.get("openai") or {}
        self._common: Final[dict[str, Any]] = {
            "id": f"chatcmpl-{asked.request_id}",
            "created": asked.created_at // 1000,
            "model": named.get("model") or asked.agent,
            "system_fingerprint": None,
        }
        if named.get("service_tier") is not None:
            self._common["service_tier"] = named["service_tier"]

    @property
    def ended(self) -> bool:
        """Whether no chunk can follow any more; `completion` still grows with events that are fed after a supersede."""
        return self._ended

    @property
    def done_marker(self) -> bool:
        """Whether the door writes `[DONE]` now: all of the answer was told, and it is whole."""
        return self._whole

    @property
    def failure(self) -> ev.Outcome | None:
        """The outcome, if the request ended otherwise than completed."""
        outcome = self._fold.outcome
        return None if isinstance(outcome, ev.Completed) else outcome

    def apply(self, event: ev.Event) -> list[dict[str, Any]]:
        """Take the next event; the chunks that it makes, or at the end one `{"error": {...}}`. Raises: IllegalEvent."""
        unknown = self._fold.unknown
        self._fold.apply(event)
        if self._ended or self._fold.unknown > unknown:
            return []
        tell = _TELLERS.get(type(event))
        return [] if tell is None else tell(self, event)

    # -- chunks ----------------------------------------------------------------------------------------------

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._frame([choice])

    def _frame(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        frame = {**self._common, "object": "chat.completion.chunk", "choices": choices}
        if self._include_usage:
            frame["usage"] = None
        return frame

    def _error(self, kind: str, code: str, message: str) -> list[dict[str, Any]]:
        self._ended = True
        return [{"error": {"message": message, "type": kind, "param": None, "code": code}}]

    def _started(self, _: ev.Started) -> list[dict[str, Any]]:
        if any(part >= len(self._fold.parts) for part in self._shown):
            return self._error("server_error", "attempt_superseded", SUPERSEDED)
        if self._began:
            return []
        self._began = True
        return [self._chunk({"role": "assistant", "content": "", "refusal": None})]

    def _delta(self, event: ev.Delta) -> list[dict[str, Any]]:
        part = self._fold.parts[event.part]
        if not event.text or (part.kind == "tool" and event.part not in self._calls):
            return []
        self._shown.add(event.part)
        if part.kind == "tool":
            call = {"index": self._calls[event.part], "function": {"arguments": event.text}}
            return [self._chunk({"tool_calls": [call]})]
        return [self._chunk({"content" if part.kind == "text" else "reasoning_content": event.text})]

    def _tool_call(self, event: ev.ToolCall) -> list[dict[str, Any]]:
        if event.where != "client":
            return []
        self._calls[event.part] = len(self._calls)
        self._shown.add(event.part)
        call = {"index": self._calls[event.part], **_call(event.call_id, event.name, "")}
        return [self._chunk({"tool_calls": [call]})]

    def _completed(self, _: ev.Completed) -> list[dict[str, Any]]:
        self._ended = self._whole = True
        frames = [self._chunk({}, self._finish_reason())]
        if self._include_usage and self._fold.usage is not None:
            frames.append({**self._frame([]), "usage": usage_of(self._fold.usage)})
        return frames

    def _stopped(self, event: ev.Outcome) -> list[dict[str, Any]]:
        code = event.code if isinstance(event, ev.Failed) else ev.KINDS[type(event)]
        message = event.message or f"{_SENTENCES[type(event)]} ({event.code})."
        kind = "cancelled" if isinstance(event, ev.Cancelled) else "server_error"
        return self._error("invalid_request_error" if code == BAD_OPTION else kind, code, message)

    # -- what stands -----------------------------------------------------------------------------------------

    def completion(self) -> dict[str, Any]:
        """The chat.completion of what stands now; costs its size. `finish_reason` is null until the request completed."""
        texts = {"text": "", "reasoning": ""}
        for kind in texts:
            texts[kind] = "".join(part.text for part in self._fold.parts if part.kind == kind)
        calls = [
            _call(part.fields["call_id"], part.fields["name"], part.text) for part in self._client_calls()
        ]
        message: dict[str, Any] = {
            "role": "assistant",
            "content": texts["text"] if texts["text"] or not calls else None,
            "refusal": None,
        }
        if texts["reasoning"]:
            message["reasoning_content"] = texts["reasoning"]
        if calls:
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish_reason()}
        whole = {**self._common, "object": "chat.completion", "choices": [choice]}
        if self._fold.usage is not None:
            whole["usage"] = usage_of(self._fold.usage)
        return whole

    def _client_calls(self) -> list[LivePart]:
        return [part for part in self._fold.parts if part.kind == "tool" and part.fields["where"] == "client"]

    def _finish_reason(self) -> str | None:
        outcome = self._fold.outcome
        if not isinstance(outcome, ev.Completed):
            return None
        code = outcome.code if outcome.code in FINISH_REASONS else "stop"
        # A client that is told `stop` would not run the tools that the answer ends with.
        if code == "stop" and any(part.state == "called" for part in self._client_calls()):
            return "tool_calls"
        return code


def usage_of(usage: ev.Usage) -> dict[str, Any]:
    """Tokens in OpenAI's words: prompt and completion with their details, and the sum of both."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


_TELLERS: Final[dict[type, Callable[[CompletionsProjection, Any], list[dict[str, Any]]]]] = {
    ev.Started: CompletionsProjection._started,
    ev.Delta: CompletionsProjection._delta,
    ev.ToolCall: CompletionsProjection._tool_call,
    ev.Completed: CompletionsProjection._completed,
    **dict.fromkeys(_SENTENCES, CompletionsProjection._stopped),
}
