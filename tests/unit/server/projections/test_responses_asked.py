"""What was asked, in a Response: the fields that are echoed, and the list of input items."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from holdfast_protocol.commands import InputMessage, InputToolCall
from holdfast_server.projections.base import Asked
from holdfast_server.projections.response_envelope import ResponsesEnvelope, envelope_of
from holdfast_server.projections.response_input import input_items
from holdfast_server.projections.responses import ResponsesProjection
from tests.support.responses_sdk import check_input, check_response


def asked(envelope: ResponsesEnvelope | None = None, **fields: Any) -> Asked:
    """A request, as the door for OpenAI's API notes it."""
    noted = {} if envelope is None else {"openai": msgspec.to_builtins(envelope)}
    return Asked(request_id="r-1", agent="demo", created_at=1_760_000_000_999, envelope=noted, **fields)


def response_of(request: Asked) -> dict[str, Any]:
    """The object before anything happened, of OpenAI's types."""
    value = ResponsesProjection(request).response()
    check_response(value)
    return value


def test_what_was_asked_is_echoed() -> None:
    """Every field that the door noted comes back under its own name."""
    said = ResponsesEnvelope(
        model="demo-large",
        instructions="Be brief.",
        metadata={"ticket": "7"},
        tools=[{"type": "function", "name": "look", "parameters": {}, "strict": False}],
        tool_choice={"type": "function", "name": "look"},
        parallel_tool_calls=False,
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=100,
        previous_response_id="resp_r-0",
        background=True,
        store=False,
        text={"format": {"type": "text"}, "verbosity": "low"},
        reasoning={"effort": "low"},
        truncation="auto",
        user="u-1",
        service_tier="priority",
    )
    value = response_of(asked(said))
    for name, noted in msgspec.to_builtins(said).items():
        assert value[name] == noted, name
    assert value["id"] == "resp_r-1"
    assert value["created_at"] == 1_760_000_000


def test_a_tier_is_there_only_where_it_was_given() -> None:
    """Neither what another door asked nor what was noted by an earlier release has the field."""
    for request in (asked(), asked(ResponsesEnvelope(model="m"))):
        assert "service_tier" not in response_of(request)


def test_a_request_of_another_door_has_defaults() -> None:
    """The agent is the model, and its chat the conversation."""
    value = response_of(asked(chat_id="c1"))
    assert value["model"] == "demo"
    assert value["conversation"] == {"id": "conv_c1"}
    assert (value["tools"], value["tool_choice"], value["background"], value["store"]) == (
        [],
        "auto",
        False,
        True,
    )


@pytest.mark.parametrize("named", [None, "conv_c9"])
def test_the_conversation_is_the_one_that_was_named(named: str | None) -> None:
    """A client that named none is not shown the chat that the door keeps its turns in."""
    value = response_of(asked(ResponsesEnvelope(conversation=named), chat_id="c9"))
    assert value["conversation"] == (None if named is None else {"id": named})


def test_the_note_is_read_as_it_was_written() -> None:
    """What the door notes comes back equal, and fields of a later release are passed over."""
    said = ResponsesEnvelope(model="m", metadata={"a": "b"}, carried=2)
    assert envelope_of(asked(said)) == said
    later = Asked(request_id="r", agent="a", created_at=1, envelope={"openai": {"model": "m", "later": 1}})
    assert envelope_of(later).model == "m"


def test_input_items_are_the_messages() -> None:
    """Every message, call and result that the client sent, in its order, with ids that stay; not what the door put there."""
    request = asked(
        ResponsesEnvelope(carried=1),
        messages=[
            InputMessage(role="system", text="Be brief."),
            InputMessage(role="system", text="Be kind."),
            InputMessage(role="user", text="Look."),
            InputMessage(
                role="assistant", tool_calls=[InputToolCall(call_id="c1", name="look", arguments='{"a":1}')]
            ),
            InputMessage(role="tool", call_id="c1", text="42"),
            InputMessage(role="assistant", text="It is 42."),
            InputMessage(role="user"),
        ],
    )
    items = input_items(request)
    for item in items:
        check_input(item)
    assert [(item["id"], item["type"], item.get("role")) for item in items] == [
        ("msg_r-1_in0", "message", "system"),
        ("msg_r-1_in1", "message", "user"),
        ("fc_r-1_in2", "function_call", None),
        ("fco_r-1_in3", "function_call_output", None),
        ("msg_r-1_in4", "message", "assistant"),
        ("msg_r-1_in5", "message", "user"),
    ]
    assert items[1]["content"] == [{"type": "input_text", "text": "Look."}]
    assert (items[2]["call_id"], items[2]["arguments"]) == ("c1", '{"a":1}')
    assert (items[3]["call_id"], items[3]["output"]) == ("c1", "42")
    assert items[4]["content"][0]["type"] == "output_text"
    assert input_items(request) == items


def test_a_chats_question_is_an_input_item() -> None:
    """A request in a chat brings one message: the person's."""
    (item,) = input_items(asked(chat_id="c1", text="Why?"), ResponsesEnvelope())
    check_input(item)
    assert (item["role"], item["content"][0]["text"]) == ("user", "Why?")
