"""Tokens: adding up what runs report."""

from __future__ import annotations

from msgspec.structs import replace

from holdfast_protocol import events as ev

from .agents import base


def usage_of(tokens: base.Tokens, at: int) -> ev.Usage:
    """The event that says so."""
    return ev.Usage(
        at=at, input_tokens=tokens.input_tokens, output_tokens=tokens.output_tokens,
        reasoning_tokens=tokens.reasoning_tokens, cached_tokens=tokens.cached_tokens, estimated=tokens.estimated,
    )  # fmt: skip


def add_usage(before: ev.Usage | None, more: ev.Usage) -> ev.Usage:
    """Both together, at the time of the later; estimated if either is."""
    if before is None:
        return more
    return replace(
        more,
        input_tokens=before.input_tokens + more.input_tokens,
        output_tokens=before.output_tokens + more.output_tokens,
        reasoning_tokens=before.reasoning_tokens + more.reasoning_tokens,
        cached_tokens=before.cached_tokens + more.cached_tokens,
        estimated=before.estimated or more.estimated,
    )
