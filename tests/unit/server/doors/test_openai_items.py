"""What callers send as input or messages, as the messages that a request brings along."""

import pytest

from holdfast_protocol.commands import InputMessage, InputToolCall
from holdfast_server.doors.openai import asked_items, asked_messages
from holdfast_server.doors.refusal import Refused


def call(call_id, **more):
    """A function call item."""
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}"} | more


def calls(*ids, text=""):
    """The message that such items make."""
    return InputMessage(
        role="assistant",
        text=text,
        tool_calls=[InputToolCall(call_id=one, name="f", arguments="{}") for one in ids],
    )


def result(call_id, text="x"):
    """A call's result, as a message."""
    return InputMessage(role="tool", call_id=call_id, text=text)


def output(call_id, value="x"):
    """A call's output, as an item."""
    return {"type": "function_call_output", "call_id": call_id, "output": value}


def test_a_text_is_a_users_message():
    """Plain input is what the user says."""
    assert asked_items.messages_of("Hi") == [InputMessage(role="user", text="Hi")]


def test_forms_of_a_message():
    """Messages come short or whole, their text in one piece or in parts; a developer is the system."""
    parts = [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]
    shown = {"type": "output_text", "text": "c", "annotations": [], "logprobs": []}
    items = [
        {"role": "developer", "content": "s"},
        {"type": "message", "role": "user", "content": parts, "status": "completed", "id": "msg_1"},
        {"role": "assistant", "content": [shown, {"type": "refusal", "refusal": "!"}], "phase": None},
    ]
    assert asked_items.messages_of(items) == [
        InputMessage(role="system", text="s"),
        InputMessage(role="user", text="ab"),
        InputMessage(role="assistant", text="c!"),
    ]


def test_calls_of_one_answer_are_one_message():
    """What an answer said and called is one message, in whichever order; a result ends it."""
    said = {"role": "assistant", "content": "Well"}
    for items in ([said, call("1"), call("2")], [call("1"), call("2"), said]):
        assert asked_items.messages_of([*items, output("1"), output("2")]) == [
            calls("1", "2", text="Well"),
            result("1"),
            result("2"),
        ]
    assert asked_items.messages_of([call("1"), output("1"), call("2")]) == [
        calls("1"),
        result("1"),
        calls("2"),
    ]


def test_what_the_server_did_itself_is_left_out():
    """Reasoning and calls of the server's tools may be sent back, and go no further."""
    items = [{"type": "reasoning", "id": "rs_1", "summary": []}, {"type": "mcp_call", "id": "mcp_1"}]
    assert asked_items.messages_of(items) == []


@pytest.mark.parametrize(
    ("item", "code", "param"),
    [
        ("text", "invalid", "input[0]"),
        ({"type": "web_search_call"}, "unsupported_value", "input[0].type"),
        ({"type": ["message"]}, "unsupported_value", "input[0].type"),
        ({"id": "msg_1"}, "unsupported_value", "input[0].type"),
        ({"role": "tool", "content": "x"}, "unsupported_value", "input[0].role"),
        ({"role": ["user"], "content": "x"}, "unsupported_value", "input[0].role"),
        ({"role": "user"}, "invalid", "input[0].content"),
        ({"role": "user", "content": "x", "mood": "good"}, "unknown_parameter", "input[0].mood"),
        ({"role": "user", "content": [{"type": "input_text"}]}, "missing_parameter", "input[0].content[0].text"),
        ({"role": "user", "content": [{"type": "input_file"}]}, "unsupported_value", "input[0].content[0].type"),
        ({"role": "user", "content": [{"type": {}}]}, "unsupported_value", "input[0].content[0].type"),
        (call(""), "invalid", "input[0].call_id"),
        (call("1", arguments={}), "invalid", "input[0].arguments"),
        (call("1", mood="good"), "unknown_parameter", "input[0].mood"),
        (output("1", [{"type": "input_image"}]), "unsupported_value", "input[0].output[0].type"),
        (output(None), "missing_parameter", "input[0].call_id"),
    ],
)  # fmt: skip
def test_what_cannot_be_handed_on_is_named(item, code, param):
    """Each item that is wrong is refused by its path."""
    with pytest.raises(Refused) as caught:
        asked_items.messages_of([item])
    assert (caught.value.code, caught.value.param) == (code, param)


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([calls("1")], "no tool output found"),
        ([calls("1", "2"), result("1")], "no tool output found for function call '2'"),
        ([calls("1"), InputMessage(role="user", text="x"), result("1")], "no tool output found"),
        ([result("1")], "no tool call found"),
        ([calls("1"), result("1"), result("1")], "no tool call found"),
    ],
)
def test_calls_and_results_go_together(messages, why):
    """A call without its result right after it, or a result without its call, is refused as OpenAI does."""
    with pytest.raises(Refused, match=why):
        asked_items.check_calls(messages, "input")


def test_ids_may_come_again_in_a_later_answer():
    """Some model servers count their calls anew in each answer."""
    asked_items.check_calls([calls("1"), result("1"), calls("1"), result("1")], "input")


def test_messages_of_a_completion():
    """All roles, with text in one piece or in parts; what an answer of ours showed may be sent back as it was."""
    tool_call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    shown = {
        "role": "assistant",
        "content": None,
        "tool_calls": [tool_call],
        "reasoning_content": "Hm",
        "audio": None,
    }
    plain = [
        {"role": "developer", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        shown,
        {"role": "tool", "tool_call_id": "1", "content": "x"},
        {"role": "assistant", "content": None, "refusal": "No."},
    ]  # fmt: skip
    assert asked_messages.messages_of(plain) == [
        InputMessage(role="system", text="s"),
        InputMessage(role="user", text="ab"),
        calls("1"),
        result("1"),
        InputMessage(role="assistant", text="No."),
    ]


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        (1, "invalid", "messages[0]"),
        ({"role": "critic", "content": "x"}, "unsupported_value", "messages[0].role"),
        ({"role": "assistant"}, "invalid", "messages[0].content"),
        ({"role": "assistant", "content": "x", "audio": {"id": "a"}}, "unsupported_parameter", "messages[0].audio"),
        ({"role": "user", "content": "x", "tool_calls": []}, "unknown_parameter", "messages[0].tool_calls"),
        ({"role": "assistant", "tool_calls": [1]}, "invalid", "messages[0].tool_calls[0]"),
        (
            {"role": "assistant", "tool_calls": [{"id": "1", "type": "custom", "custom": {}}]},
            "unsupported_value",
            "messages[0].tool_calls[0].type",
        ),
        ({"role": "tool", "content": "x"}, "missing_parameter", "messages[0].tool_call_id"),
    ],
)  # fmt: skip
def test_a_message_that_cannot_be_handed_on_is_named(message, code, param):
    """Each message that is wrong is refused by its path."""
    with pytest.raises(Refused) as caught:
        asked_messages.messages_of([message])
    assert (caught.value.code, caught.value.param) == (code, param)
