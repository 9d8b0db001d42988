"""Every documented parameter of the two calls that ask something, and what becomes of it: the tables of docs/openai.md.

Nothing is ignored in silence. A parameter reaches the agent, or is noted and shown again, or is a hint that has no effect on
an answer and may be given, or takes only the values that mean what happens anyway, or is refused by its name. `null` is
always as if it had not been given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

from holdfast_protocol.commands import Priority

from .naming import unknown_parameter, unsupported_parameter, unsupported_value

EVENTS: Final = "holdfast.events"
"""What `include` may name: events beyond OpenAI's (progress, data, waiting, ...), over which some of its clients fall."""

Verdict = Literal["honoured", "option", "noted", "hint", "neutral", "refused"]


class Rule(NamedTuple):
    """What becomes of a parameter, and a sentence for people. `values`: all that it may be, if it is not free. An `option`
    is handed to the agent, and refused if the agent does not take it."""

    verdict: Verdict
    why: str
    values: tuple[Any, ...] | None = None


def _only(why: str, *values: Any) -> Rule:
    return Rule("neutral", why, values)


_HOLDFAST: Final = Rule("honoured", "Of this server: `options` has options of the agent's own.")
_CACHE_KEY: Final = Rule("hint", "A hint for caches; has no effect here.")
_CACHE_OPTIONS: Final = Rule("refused", "Caches are the model server's; none can be set here.")
_CACHE_TIME: Final = _only("Only what happens anyway: `in_memory`.", "in_memory")
_SAFETY: Final = Rule("hint", "Meant for OpenAI's own policing; has no effect here.")
_TIER: Final = Rule(
    "honoured",
    "`flex` lets everybody's others go first, for a minute; `priority` goes first among your own; else `auto` or `default`. "
    "Shown again, `auto` as `default`.",
    ("auto", "default", "flex", "priority"),
)
_MODERATION: Final = Rule("refused", "Nothing is moderated here.")
_METADATA: Final = Rule("noted", "Shown again: 16 pairs, keys of 64 characters, values of 512.")
_USER: Final = Rule("noted", "Shown again; who asks is told by the token.")
_STORE: Final = Rule(
    "honoured", "`false`: erased as soon as its end was handed over. Otherwise kept for the retention."
)
_TOOLS: Final = Rule("option", "Functions. Others are refused.")
_STREAM: Final = Rule("honoured", "Server-sent events instead of one object.")

PRIORITIES: Final[Mapping[str | None, Priority]] = {"flex": "low", "priority": "high"}
"""By `service_tier`; any other is normal."""

TIERS_SHOWN: Final[Mapping[str | None, str]] = {"auto": "default"}
"""What `service_tier` is shown as, where that is not what was given."""

RESPONSES: Final[Mapping[str, Rule]] = {
    "model": Rule("honoured", "The agent; without it the conversation's, or the default one."),
    "input": Rule("honoured", "Text, or messages of text, function calls and their outputs."),
    "instructions": Rule("honoured", "The first system message, of this response alone."),
    "background": Rule(
        "honoured", "The object at once; the answer is made in any case, whoever listens."
    ),
    "stream": _STREAM,
    "stream_options": Rule("hint", "`include_obfuscation` only; events are never padded here."),
    "previous_response_id": Rule("honoured", "Goes on after that response."),
    "conversation": Rule("honoured", "Goes on in that conversation; not with `previous_response_id`."),
    "metadata": _METADATA,
    "store": _STORE,
    "user": _USER,
    "tools": _TOOLS,
    "tool_choice": Rule("option", "`none`, `auto`, `required`, or one function."),
    "parallel_tool_calls": Rule("option", "Handed on together with `tools`."),
    "temperature": Rule("option", "0 to 2."),
    "top_p": Rule("option", "0 to 1."),
    "max_output_tokens": Rule("option", "Handed on as `max_completion_tokens`."),
    "reasoning": Rule("option", "`effort`; and `summary: auto`, for what was thought is shown as it is."),
    "text": Rule("option", "`format`, handed on as `response_format`; and `verbosity: medium`."),
    "truncation": _only(
        "Accepted: whether the oldest turns are left out when they do not fit is the agent's.", "auto", "disabled"
    ),
    "include": Rule(
        "honoured", "`holdfast.events`: events of this server's own in the stream. Nothing else.", ([], [EVENTS])
    ),
    "service_tier": _TIER,
    "top_logprobs": _only("Log probabilities are not shown; 0 is accepted.", 0),
    "context_management": _only("Nothing is compacted here; an empty list is accepted.", []),
    "prompt_cache_key": _CACHE_KEY,
    "prompt_cache_retention": _CACHE_TIME,
    "prompt_cache_options": _CACHE_OPTIONS,
    "safety_identifier": _SAFETY,
    "max_tool_calls": Rule("refused", "How often an agent calls tools of the server is its own affair."),
    "prompt": Rule("refused", "There are no stored prompts; send `instructions` and `input`."),
    "moderation": _MODERATION,
    "access_programs": Rule("refused", "There are no such programs here."),
    "image": Rule("refused", "Images are not supported."),
    "holdfast": _HOLDFAST,
}  # fmt: skip
"""POST /v1/responses."""

COMPLETIONS: Final[Mapping[str, Rule]] = {
    "model": Rule("honoured", "The agent."),
    "messages": Rule("honoured", "Text of all roles, tool calls and their results; not `name`."),
    "stream": _STREAM,
    "stream_options": Rule("honoured", "`include_usage`; `include_obfuscation` has no effect."),
    "n": _only("One choice.", 1),
    "metadata": _METADATA,
    "store": _STORE,
    "user": _USER,
    "tools": _TOOLS,
    "tool_choice": Rule("option", "`none`, `auto`, `required`, or one function."),
    "parallel_tool_calls": Rule("option", "Handed on together with `tools`."),
    "temperature": Rule("option", "0 to 2."),
    "top_p": Rule("option", "0 to 1."),
    "max_completion_tokens": Rule("option", "At least 1."),
    "max_tokens": Rule("option", "At least 1; the older name. Not both."),
    "frequency_penalty": Rule("option", "-2 to 2."),
    "presence_penalty": Rule("option", "-2 to 2."),
    "reasoning_effort": Rule("option", "Handed on as it is."),
    "response_format": Rule("option", "`text`, `json_object`, `json_schema`."),
    "seed": Rule("option", "Handed on as it is."),
    "stop": Rule("option", "A text, or four at most."),
    "logprobs": _only("Log probabilities are not shown; `false` is accepted.", False),
    "top_logprobs": _only("Log probabilities are not shown; 0 is accepted.", 0),
    "logit_bias": _only("Not supported; an empty one is accepted.", {}),
    "modalities": _only("Text only.", ["text"]),
    "service_tier": _TIER,
    "verbosity": _only("Only the usual one: `medium`.", "medium"),
    "prompt_cache_key": _CACHE_KEY,
    "prompt_cache_retention": _CACHE_TIME,
    "prompt_cache_options": _CACHE_OPTIONS,
    "safety_identifier": _SAFETY,
    "audio": Rule("refused", "Audio is not supported."),
    "function_call": Rule("refused", "Replaced by `tool_choice`."),
    "functions": Rule("refused", "Replaced by `tools`."),
    "moderation": _MODERATION,
    "prediction": Rule("refused", "Not supported."),
    "web_search_options": Rule("refused", "Not supported."),
    "holdfast": _HOLDFAST,
}  # fmt: skip
"""POST /v1/chat/completions."""


def given(body: Mapping[str, Any], rules: Mapping[str, Rule]) -> dict[str, Any]:
    """The parameters that say something, once each has passed its rule. Raises: Refused that names the first that did
    not."""
    left: dict[str, Any] = {}
    for name, value in body.items():
        rule = rules.get(name)
        if rule is None:
            raise unknown_parameter(name[:100])
        if value is None:
            continue
        if rule.verdict == "refused":
            raise unsupported_parameter(name, rule.why)
        if rule.values is not None and not _among(value, rule.values):
            raise unsupported_value(name, rule.why)
        if rule.verdict != "neutral":
            left[name] = value
    return left


def _among(value: Any, values: Iterable[Any]) -> bool:
    # 1 == True in Python, and not in JSON.
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in values)
