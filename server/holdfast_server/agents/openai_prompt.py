"""What a chat model is asked: the conversation within its budget, and the options that a request may set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from .base import AgentFailure, Context, Message

CHARS_PER_TOKEN: Final = 4
"""The usual estimate; a tokenizer would have to be the model's own."""

MESSAGE_TOKENS: Final = 4
"""What a message costs beside its text."""

OPTIONS: Final = frozenset(
    {
        "frequency_penalty", "max_completion_tokens", "max_tokens", "model", "parallel_tool_calls", "presence_penalty",
        "reasoning_effort", "response_format", "seed", "stop", "temperature", "tool_choice", "tools", "top_p",
    }
)  # fmt: skip
"""Passed on as they are; all others are refused, so that a misspelt one is not ignored in silence."""

GO_ON: Final = (
    "Your answer was cut off at the end of your last message. Go on from exactly there, in the same sentence. "
    "Do not repeat or introduce anything."
)


def estimate(text: str) -> int:
    """About how many tokens the text has; one per character in scripts that are not written with spaces."""
    if text.isascii():
        return -(-len(text) // CHARS_PER_TOKEN)
    wide = sum(char > "\u2e7f" for char in text)
    return wide + -(-(len(text) - wide) // CHARS_PER_TOKEN)


def options_of(given: Mapping[str, Any], models: Sequence[str] | None) -> dict[str, Any]:
    """The options to pass on. Raises: AgentFailure for one that is not allowed."""
    unknown = sorted(given.keys() - OPTIONS)
    if unknown:
        raise AgentFailure(
            "bad_option", f"This agent has no option {unknown[0]!r}; it has {', '.join(sorted(OPTIONS))}."
        )
    model = given.get("model")
    if model is not None and (not isinstance(model, str) or (models is not None and model not in models)):
        raise AgentFailure("bad_option", f"This agent has no model {model!r}.")
    return dict(given)


def prompt(
    context: Context, *, system: str, tokens_max: int, goes_on: bool, count: Callable[[str], int] = estimate
) -> list[dict[str, Any]]:
    """The messages to send: what is said to the model first is kept, then the newest that fit. The last one is always
    sent; if it alone is too long, the server says so. Tool calls of earlier answers are left out with their results: a
    call without its result is refused by most servers."""
    fixed = [{"role": "system", "content": system}] if system else []
    fixed += [_plain(message) for message in context.messages if message.role == "system"]
    rest = [message for message in context.messages if message.role != "system" and message.text.strip()]
    stands = context.transcript.text if goes_on else ""
    last: list[dict[str, Any]] = []
    if stands:
        last = [{"role": "assistant", "content": stands}, {"role": "user", "content": GO_ON}]
    room = tokens_max - sum(count(message["content"]) + MESSAGE_TOKENS for message in (*fixed, *last))
    taken: list[dict[str, Any]] = []
    for message in reversed(rest):
        room -= count(message.text) + MESSAGE_TOKENS
        if room < 0 and taken:
            break
        taken.append(_plain(message))
    taken.reverse()
    while len(taken) > 1 and taken[0]["role"] == "assistant":
        del taken[0]  # an answer whose question did not fit
    if not taken:
        raise AgentFailure("no_question", "There is nothing to answer; send some text.")
    return [*fixed, *taken, *last]


def _plain(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": message.text}
