"""What a chat model is asked: the conversation within its budget, and the options that a request may set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
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
    """The messages to send: what is said to the model first is kept, then the newest turns that fit. The last question is
    always sent, with all that came after it; if that alone is too long, the server says so. A tool call and its results
    are one turn, and a call without all its results is left out with those it has, for most servers refuse it. Tool calls
    in the transcripts of a chat's answers are left out too.
    Raises: AgentFailure if there is nothing to answer."""
    fixed = [{"role": "system", "content": system}] if system else []
    fixed += [_plain(message) for message in context.messages if message.role == "system"]
    stands = context.transcript.text if goes_on else ""
    last: list[dict[str, Any]] = []
    if stands:
        last = [{"role": "assistant", "content": stands}, {"role": "user", "content": GO_ON}]
    room = tokens_max - sum(count(message["content"]) + MESSAGE_TOKENS for message in (*fixed, *last))
    turns = _turns(context.messages)
    if not turns:
        raise AgentFailure("no_question", "There is nothing to answer; send some text.")
    asked = max((n for n, turn in enumerate(turns) if turn[0].role == "user"), default=len(turns) - 1)
    first = len(turns)
    for place in reversed(range(len(turns))):
        room -= sum(_tokens(message, count) for message in turns[place])
        if room < 0 and place < asked:
            break
        first = place
    while first < asked and turns[first][0].role == "assistant":
        first += 1  # an answer whose question did not fit
    return [*fixed, *(_plain(message) for turn in turns[first:] for message in turn), *last]


def _turns(messages: Sequence[Message]) -> list[list[Message]]:
    """What is never separated: a message by itself, or an answer that calls tools with the results right behind it,
    wherever they came. Empty messages, and calls without all their results, are left out."""
    turns: list[list[Message]] = []
    callers: dict[str, list[Message]] = {}
    for message in messages:
        if message.role == "tool":
            # An id may be used anew by a later answer: the result belongs to the call before it.
            turn = callers.pop(message.call_id or "", None)
            if turn is not None:
                turn.append(message)
        elif message.role != "system" and (message.text.strip() or message.tool_calls):
            turns.append([message])
            callers |= {call.call_id: turns[-1] for call in message.tool_calls}
    whole: list[list[Message]] = []
    for turn in turns:
        if len(turn) == 1 + len(turn[0].tool_calls):
            whole.append(turn)
        elif turn[0].text.strip():
            whole.append([replace(turn[0], tool_calls=())])
    return whole


def _tokens(message: Message, count: Callable[[str], int]) -> int:
    calls = sum(count(call.name) + count(call.arguments) + MESSAGE_TOKENS for call in message.tool_calls)
    return count(message.text) + MESSAGE_TOKENS + calls


def _plain(message: Message) -> dict[str, Any]:
    """The message as chat completions have it. Arguments that are no text at all are refused by most servers."""
    plain: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.call_id is not None:
        plain["tool_call_id"] = message.call_id
    if message.tool_calls:
        plain["content"] = message.text or None
        plain["tool_calls"] = [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments or "{}"},
            }
            for call in message.tool_calls
        ]
    return plain
