"""The body of a webhook: what a receiver is told of a request that has its outcome.

It follows from the request and its transcript alone, so every try carries the same bytes, whenever it is made.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from holdfast_protocol.transcript import Transcript

from .base import Asked


def webhook_body(asked: Asked, transcript: Transcript, *, url: str, text_bytes_max: int) -> dict[str, Any]:
    """The body for a transcript that has its outcome. Text beyond `text_bytes_max` bytes of UTF-8 is left out, and
    `text_truncated` says so; at `url` there is all of it. Times in `data` are in milliseconds since 1970."""
    outcome = transcript.outcome
    assert outcome is not None, "a request without an outcome is not told"
    text, truncated = _cut(transcript.text, text_bytes_max)
    data: dict[str, Any] = {
        "request_id": asked.request_id,
        "chat_id": asked.chat_id,
        "agent": asked.agent,
        "status": transcript.status,
        "outcome": {"code": outcome.code, "message": outcome.message},
        "text": text,
        "text_truncated": truncated,
        "usage": _usage(transcript),
        "created_at": asked.created_at,
        "ended_at": outcome.at,
        "url": url,
    }
    return {"type": f"request.{transcript.status}", "timestamp": _rfc3339(outcome.at), "data": data}


def _cut(text: str, bytes_max: int) -> tuple[str, bool]:
    """The beginning of the text, whole code points of it; and whether something is missing."""
    raw = text.encode()
    if len(raw) <= bytes_max:
        return text, False
    return raw[:bytes_max].decode(errors="ignore"), True


def _usage(transcript: Transcript) -> dict[str, Any] | None:
    usage = transcript.usage
    if usage is None:
        return None
    names = ("input_tokens", "output_tokens", "reasoning_tokens", "cached_tokens", "estimated")
    return {name: getattr(usage, name) for name in names}


def _rfc3339(at_ms: int) -> str:
    """Whole milliseconds, in UTC; exact where a float of seconds would round."""
    seconds, millis = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03}Z"
