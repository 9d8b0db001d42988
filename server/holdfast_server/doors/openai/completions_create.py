"""What a chat completion is made of: its parameters as a submission without a chat. Nothing here knows of HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from holdfast_protocol.commands import Submission
from holdfast_server.agents.base import Profile
from holdfast_server.doors.bodies import convert
from holdfast_server.projections.response_envelope import NOTED_AS, ResponsesEnvelope

from .agents_here import check_options, metadata_of, own_options, profile_of
from .asked_items import check_calls
from .asked_messages import messages_of
from .naming import invalid
from .parameters import COMPLETIONS, PRIORITIES, TIERS_SHOWN, given
from .responses_create import USER_CHARS_MAX, Creation
from .tools import flat, flat_choice, nested_tools, response_format, tool_options

Penalty = Annotated[float, msgspec.Meta(ge=-2, le=2)]
Count = Annotated[int, msgspec.Meta(ge=1)]
StopText = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class StreamOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`include_usage`: one more chunk with the tokens. Chunks are never padded, whatever is said."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What `given` lets through."""

    model: str
    messages: Any
    stream: bool = False
    stream_options: StreamOptions | None = None
    metadata: Any = {}
    store: bool = True
    service_tier: str | None = None
    user: Annotated[str, msgspec.Meta(max_length=USER_CHARS_MAX)] | None = None
    tools: Any = []
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    max_completion_tokens: Count | None = None
    max_tokens: Count | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    reasoning_effort: Annotated[str, msgspec.Meta(max_length=40)] | None = None
    response_format: Any = None
    seed: int | None = None
    stop: StopText | Annotated[list[StopText], msgspec.Meta(min_length=1, max_length=4)] | None = None
    holdfast: Any = {}

    @property
    def include_usage(self) -> bool:
        """Whether the stream ends with the tokens."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)


_HANDED_ON = (
    "temperature", "top_p", "max_completion_tokens", "max_tokens", "frequency_penalty", "presence_penalty",
    "reasoning_effort", "seed", "stop",
)  # fmt: skip


def body_of(plain: Mapping[str, Any]) -> Body:
    """The parameters, checked. Raises: Refused."""
    body = convert(given(plain, COMPLETIONS), Body)
    if body.stream_options is not None and not body.stream:
        raise invalid("stream_options", "it goes with `stream: true`.")
    if body.max_tokens is not None and body.max_completion_tokens is not None:
        raise invalid("max_tokens", "it says the same as `max_completion_tokens`; send one.")
    return body


def creation_of(body: Body, profiles: Mapping[str, Profile], *, request_id: str | None = None) -> Creation:
    """The submission for these parameters. What streams cannot take text back, so its answer must not begin again. Raises:
    Refused."""
    profile = profile_of(profiles, body.model)
    tools = nested_tools(body.tools)
    options = own_options(body.holdfast) | tool_options(tools, body.tool_choice, body.parallel_tool_calls)
    options |= {name: value for name in _HANDED_ON if (value := getattr(body, name)) is not None}
    if body.response_format is not None:
        shape = response_format(body.response_format, "response_format", flat_schema=False)
        options |= {} if shape is None else {"response_format": shape}
    check_options(body.model, profile, options, {})
    messages = messages_of(body.messages)
    check_calls(messages, "messages")
    submission = Submission(
        request_id=request_id,
        agent=body.model,
        messages=messages,
        options=options,
        append_only=body.stream,
        priority=PRIORITIES.get(body.service_tier, "normal"),
    )
    envelope = ResponsesEnvelope(
        model=body.model,
        metadata=metadata_of(body.metadata),
        tools=[flat(tool) for tool in tools],
        tool_choice=flat_choice(options.get("tool_choice", "auto")),
        parallel_tool_calls=body.parallel_tool_calls is not False,
        temperature=body.temperature,
        top_p=body.top_p,
        max_output_tokens=body.max_completion_tokens or body.max_tokens,
        store=body.store,
        user=body.user,
        service_tier=TIERS_SHOWN.get(body.service_tier, body.service_tier),
    )
    return Creation(submission, {NOTED_AS: msgspec.to_builtins(envelope)}, body.stream)
