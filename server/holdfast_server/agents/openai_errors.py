"""What an OpenAI-compatible server says when it does not answer, as a failure that people and the runner understand.

Told apart by what can be done: waiting helps (retryable, after as long as the server asks), the operator must act, or
the request must be another. The server's own words are passed on only where they are about the request.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from .base import AgentFailure

REASON_CHARS_MAX: Final = 300
"""Of the server's own words: enough for a sentence, not for a page of HTML."""

_BUSY: Final = frozenset(
    {"rate_limit_error", "rate_limit_exceeded", "overloaded_error", "server_error", "timeout_error"}
)
_REQUEST: Final = frozenset(
    {"invalid_request_error", "context_length_exceeded", "invalid_prompt", "content_policy_violation"}
)


class Unreadable(ValueError):
    """What comes from the server is not read on; `failure` says why. Raised in the SDK's midst, so it is no failure
    itself: after a whole answer it does not matter."""

    def __init__(self, failure: AgentFailure) -> None:
        super().__init__(str(failure))
        self.failure = failure


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How long the server asks to wait: `retry-after-ms`, or `retry-after` as seconds or as a date."""
    for header, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        text = headers.get(header)
        if text is None:
            continue
        try:
            wait_s = float(text) / unit
        except ValueError:
            try:
                wait_s = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
            except (TypeError, ValueError):
                continue
        if math.isfinite(wait_s):
            return max(0.0, wait_s)
    return None


def of_status(
    status: int, headers: Mapping[str, str], reason: str, *, model: str, base_url: str
) -> AgentFailure:
    """The failure for an HTTP error in place of an answer."""
    wait_s = retry_after_s(headers)
    if status == 429:
        if "insufficient_quota" in reason:
            return AgentFailure(
                "quota", "The account at the model's provider is used up; its owner must top it up."
            )
        return _busy("rate_limited", "The model's server takes no more requests for now.", wait_s)
    if status in (408, 409) or status >= 500:
        return _busy("upstream_error", f"The model's server has trouble (HTTP {status}).", wait_s)
    if status in (401, 403):
        return AgentFailure(
            "upstream_denied",
            f"The model's server at {base_url} refuses our API key (HTTP {status}); the operator must check it.",
        )
    if status == 404:
        return AgentFailure(
            "upstream_not_found",
            f"The model's server at {base_url} knows no model {model!r}, or is another kind of server.",
        )
    if status == 413 or "context_length" in reason:
        return AgentFailure(
            "too_much_input", "The conversation is too long for this model; begin a new chat."
        )
    return AgentFailure(
        "upstream_refused", f"The model's server refuses this request (HTTP {status}): {shown(reason)}"
    )


def of_error_object(body: Any, text: str, masked: Callable[[str], str] = str) -> AgentFailure:
    """The failure for an error in the middle of a stream. What is not known to be the request's fault may pass. `masked`
    takes out of the server's words what is secret."""
    fields: Mapping[str, Any] = body if isinstance(body, dict) else {}
    nested = fields.get("error")
    if isinstance(nested, dict):
        fields = nested
    kinds = {str(fields.get("type")), str(fields.get("code"))}
    reason = shown(masked(str(fields.get("message") or text)))
    if kinds & _REQUEST:
        return AgentFailure("upstream_refused", f"The model's server refuses this request: {reason}")
    code = "rate_limited" if kinds & _BUSY and any("rate" in kind for kind in kinds) else "upstream_error"
    return _busy(code, f"The model's server broke off: {reason}", None)


def unreachable(base_url: str) -> AgentFailure:
    """The failure for a connection that does not come about."""
    return _busy("upstream_unreachable", f"The model's server at {base_url} cannot be reached.", None)


def broken_off() -> AgentFailure:
    """The failure for a connection that is lost in the middle."""
    return _busy("upstream_lost", "The connection to the model's server broke.", None)


def truncated() -> AgentFailure:
    """The failure for a stream that ends without saying that the answer is whole."""
    return _busy("truncated", "The model's server stopped in the middle of its answer.", None)


def garbled() -> AgentFailure:
    """The failure for a stream that cannot be read."""
    return _busy("upstream_garbled", "The model's server sent something that is no answer.", None)


def oversized() -> AgentFailure:
    """The failure for a stream of which one event has no end."""
    return _busy("upstream_oversized", "The model's server sent a piece of an answer without an end.", None)


def compressed() -> AgentFailure:
    """The failure for a stream that is compressed though we asked for a plain one."""
    return _busy(
        "upstream_garbled",
        "The model's server, or a proxy before it, sent a compressed answer; the operator must turn that off.",
        None,
    )


def address(base_url: str) -> str:
    """A base URL as people may see it: without user, password and query, which may be secret."""
    parts = urlsplit(base_url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def shown(reason: str) -> str:
    """The server's own words, on one line, cut."""
    line = " ".join(reason.split())
    return line if len(line) <= REASON_CHARS_MAX else line[: REASON_CHARS_MAX - 1] + "…"


def _busy(code: str, message: str, wait_s: float | None) -> AgentFailure:
    return AgentFailure(code, message, retryable=True, retry_after_s=wait_s)
