"""What a Response is made of: the parameters of `response.create`, over whichever transport, as a submission.

Nothing here knows of HTTP. A request that has no conversation carries all that was said before it along (the turns of
`previous_response_id` are copied into it); in a conversation the chat has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec

from holdfast_protocol.commands import InputMessage, Submission
from holdfast_protocol.errors import ProtocolError
from holdfast_server.doors.bodies import KEY_HEADER, convert
from holdfast_server.doors.own_words import Fields, in_own_words
from holdfast_server.doors.refusal import Refused, conflict
from holdfast_server.projections.response_envelope import NOTED_AS, ResponsesEnvelope
from holdfast_server.requests import Opened, Requests
from holdfast_server.stores.base import Owner, RequestConflict

from .agents_here import check_options, metadata_of, own_options, profile_of
from .asked_items import check_calls, messages_of
from .earlier import Earlier, Turns
from .naming import CONVERSATION, own_id, unsupported_parameter, unsupported_value
from .parameters import PRIORITIES, RESPONSES, TIERS_SHOWN, given
from .tools import Function, flat, flat_choice, flat_tools, response_format, tool_options

USER_CHARS_MAX: Final = 512
"""What a caller may note about its user."""

WORDS: Final[Mapping[str, str]] = {
    "max_completion_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
}
"""What options are called in a body, where that is not their name."""

FIELDS: Final[Fields] = {
    "text": "input",
    "messages": "input",
    "chat_id": "conversation",
    "parent_id": "previous_response_id",
}
"""What the fields of a submission are called in a body."""


class Reasoning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much a model thinks. What it thinks is shown whole, so a summary can be `auto` only."""

    effort: Annotated[str, msgspec.Meta(max_length=40)] | None = None
    summary: Literal["auto"] | None = None
    generate_summary: Literal["auto"] | None = None


class TextSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the text is to look."""

    format: dict[str, Any] | None = None
    verbosity: Literal["medium"] | None = None


class ConversationName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A conversation as an object."""

    id: str


class StreamOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Padding against eavesdroppers: none is sent, whatever is said here."""

    include_obfuscation: bool | None = None


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What `given` lets through."""

    input: str | list[Any]
    model: str | None = None
    instructions: str | None = None
    background: bool = False
    stream: bool = False
    stream_options: StreamOptions | None = None
    previous_response_id: str | None = None
    conversation: str | ConversationName | None = None
    metadata: Any = {}
    store: bool = True
    service_tier: str | None = None
    user: Annotated[str, msgspec.Meta(max_length=USER_CHARS_MAX)] | None = None
    tools: Any = []
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    max_output_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    reasoning: Reasoning | None = None
    text: TextSettings | None = None
    truncation: str | None = None
    include: list[str] = []
    holdfast: Any = {}


@dataclass(frozen=True, slots=True)
class Creation:
    """A submission with what its door notes; `stream`, `background` and whether `extensions` are told as they were asked
    for."""

    submission: Submission
    envelope: dict[str, Any]
    stream: bool = False
    background: bool = False
    extensions: bool = False


async def accept(
    requests: Requests, owner: Owner, creation: Creation, fields: Fields, key_param: str = KEY_HEADER
) -> Opened:
    """Accept it (I4); what is wrong is said in the caller's words. Raises: Refused, ProtocolError, StoreError."""
    try:
        return await requests.submit(owner, creation.submission, envelope=creation.envelope)
    except (RequestConflict, ProtocolError) as error:
        if isinstance(error, ProtocolError) and error.code != "request_conflict":
            raise in_own_words(error, fields) from None
        # No id was given but by the key.
        raise conflict(key_param) from None


class ResponsesIntake:
    """Makes submissions of what callers send."""

    def __init__(self, requests: Requests, turns: Turns) -> None:
        self._requests = requests
        self._turns = turns

    async def creation(
        self, owner: Owner, plain: Mapping[str, Any], *, request_id: str | None = None
    ) -> Creation:
        """The submission for these parameters. Raises: Refused, StoreError."""
        said = given(plain, RESPONSES)
        body = convert(said, Body)
        if body.background and not body.store:
            raise unsupported_value("background", "What is made in the background must be stored.")
        earlier = await self._earlier(owner, body)
        if earlier.chat_id is not None and not body.store:
            raise unsupported_value("store", "A conversation keeps its answers.")
        tools = flat_tools(body.tools)
        options = _options(body, tools)
        agent = await self._agent(owner, body.model, earlier.chat_id)
        check_options(agent, profile_of(self._requests.profiles, agent), options, WORDS)
        system = [InputMessage(role="system", text=body.instructions)] if body.instructions else []
        messages = messages_of(body.input)
        submission = _placed(
            Submission(
                request_id=request_id, agent=body.model, options=options,
                priority=PRIORITIES.get(body.service_tier, "normal"),
            ),
            system, earlier, messages,
        )  # fmt: skip
        carried = len(system) + (len(earlier.messages) if earlier.chat_id is None else 0)
        envelope = msgspec.to_builtins(_envelope(body, tools, options, carried))
        return Creation(submission, {NOTED_AS: envelope}, body.stream, body.background, bool(body.include))

    async def open(self, owner: Owner, creation: Creation, key_param: str = KEY_HEADER) -> Opened:
        """Accept it (I4). `key_param` is what its key was given as. Raises: Refused, ProtocolError, StoreError."""
        return await accept(self._requests, owner, creation, FIELDS, key_param)

    async def _earlier(self, owner: Owner, body: Body) -> Earlier:
        conversation = body.conversation
        if conversation is None:
            if body.previous_response_id is None:
                return Earlier()
            return await self._turns.before(owner, body.previous_response_id)
        if body.previous_response_id is not None:
            raise unsupported_parameter("conversation", "It cannot go with `previous_response_id`; send one.")
        name = conversation if isinstance(conversation, str) else conversation.id
        chat_id = own_id(name, CONVERSATION)
        await self._turns.chat(owner, chat_id)
        return Earlier(chat_id=chat_id)

    async def _agent(self, owner: Owner, model: str | None, chat_id: str | None) -> str:
        if model is not None:
            return model
        found = None if chat_id is None else await self._requests.chats.agent_of(owner, chat_id)
        if found is None or found not in self._requests.profiles:
            return self._requests.default_agent
        return found


def _placed(
    submission: Submission, system: list[InputMessage], earlier: Earlier, messages: Sequence[InputMessage]
) -> Submission:
    """The submission with its messages, in its chat if it has one. Raises: Refused."""
    if earlier.chat_id is None:
        all_of_it = [*system, *earlier.messages, *messages]
        if not messages:
            raise Refused(400, "invalid", "The `input` has no message; send one.", param="input")
        check_calls(all_of_it, "input")
        return msgspec.structs.replace(submission, messages=all_of_it)
    before, last = messages[:-1], messages[-1] if messages else None
    if last is None or last.role != "user" or any(message.role != "system" for message in before):
        why = (
            "In a conversation the `input` is one user message, with system messages before it if need be: the turns "
            "before are in the conversation. To hand in tool outputs or turns of your own, ask without one and go "
            "on with `previous_response_id`."
        )
        raise Refused(400, "unsupported_value", why, param="input")
    return msgspec.structs.replace(
        submission,
        chat_id=earlier.chat_id,
        parent_id=earlier.parent_id,
        text=last.text,
        messages=[*system, *before],
    )


def _options(body: Body, tools: list[Function]) -> dict[str, Any]:
    """What the agent gets. Raises: Refused."""
    options = own_options(body.holdfast)
    options |= tool_options(tools, body.tool_choice, body.parallel_tool_calls)
    text = body.text.format if body.text is not None else None
    named = {
        "temperature": body.temperature,
        "top_p": body.top_p,
        "max_completion_tokens": body.max_output_tokens,
        "reasoning_effort": body.reasoning.effort if body.reasoning is not None else None,
        "response_format": None if text is None else response_format(text, "text.format", flat_schema=True),
    }
    return options | {name: value for name, value in named.items() if value is not None}


def _envelope(
    body: Body, tools: list[Function], options: Mapping[str, Any], carried: int
) -> ResponsesEnvelope:
    conversation = body.conversation
    return ResponsesEnvelope(
        model=body.model,
        instructions=body.instructions,
        metadata=metadata_of(body.metadata),
        tools=[flat(tool) for tool in tools],
        tool_choice=flat_choice(options.get("tool_choice", body.tool_choice or "auto")),
        parallel_tool_calls=body.parallel_tool_calls is not False,
        temperature=body.temperature,
        top_p=body.top_p,
        max_output_tokens=body.max_output_tokens,
        previous_response_id=body.previous_response_id,
        conversation=conversation.id if isinstance(conversation, ConversationName) else conversation,
        background=body.background,
        store=body.store,
        text=None if body.text is None or body.text.format is None else {"format": body.text.format},
        reasoning=None
        if body.reasoning is None
        else {"effort": body.reasoning.effort, "summary": body.reasoning.summary},
        truncation=body.truncation,
        user=body.user,
        service_tier=TIERS_SHOWN.get(body.service_tier, body.service_tier),
        carried=carried,
    )
