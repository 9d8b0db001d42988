"""What the door for OpenAI's API notes with a request, so that a Response can repeat what it was asked with."""

from __future__ import annotations

from typing import Any

import msgspec

from .base import Asked

NOTED_AS = "openai"
"""The key in a request's envelope."""


class ResponsesEnvelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The words of `POST /v1/responses` that do not reach the agent, or reach it in other words; in OpenAI's shapes, after
    the door has checked them. `carried`: how many of the request's first messages the door put there by itself (the
    instructions, the turns before): they are not input items. `conversation` is the id that the client gave or was given.
    `service_tier` is the one that the request has, where the client named one.

    The door keeps it as `{"openai": msgspec.to_builtins(envelope)}`. A later release may add fields with defaults."""

    model: str | None = None
    instructions: str | list[Any] | None = None
    metadata: dict[str, str] = {}
    tools: list[dict[str, Any]] = []
    tool_choice: str | dict[str, Any] = "auto"
    parallel_tool_calls: bool = True
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    previous_response_id: str | None = None
    conversation: str | None = None
    background: bool = False
    store: bool = True
    text: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
    truncation: str | None = None
    user: str | None = None
    carried: int = 0
    service_tier: str | None = None


def envelope_of(asked: Asked) -> ResponsesEnvelope:
    """What was noted; all defaults where another door took the request. Raises: msgspec.ValidationError if what stands
    there was never a ResponsesEnvelope."""
    return msgspec.convert(asked.envelope.get(NOTED_AS) or {}, ResponsesEnvelope)
