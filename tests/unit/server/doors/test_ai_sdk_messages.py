"""UI messages, read: what a person says, and a conversation as a request brings it along."""

from typing import Any

import msgspec
import pytest

from holdfast_protocol.commands import Submission
from holdfast_server.doors.ai_sdk.shapes import UiMessage
from holdfast_server.doors.ai_sdk.ui_messages import has_results, input_messages, text_of
from holdfast_server.doors.refusal import Refused
from holdfast_server.submissions import check_submission


def message(role: str, *parts: dict[str, Any]) -> UiMessage:
    """A message with these parts."""
    return msgspec.convert({"id": "m", "role": role, "parts": list(parts)}, UiMessage)


def text(words: str) -> dict[str, Any]:
    """A text part."""
    return {"type": "text", "text": words}


def tool(call_id: str, **more: Any) -> dict[str, Any]:
    """A call with its result."""
    part = {"type": "dynamic-tool", "toolName": "look", "toolCallId": call_id, "state": "output-available"}
    return {**part, "input": {}, "output": "seen", **more}


def test_a_persons_words_are_its_text_parts() -> None:
    """One after another; an application's data is not for the model."""
    said = message("user", text("Hel"), {"type": "data-place", "data": 1}, text("lo"))
    assert text_of(said, "messages[0]") == "Hello"


def test_an_answer_is_told_step_by_step() -> None:
    """Words, the calls after them with their results, then the words after those; thoughts and sources are left out."""
    answer = message(
        "assistant",
        {"type": "step-start"},
        {"type": "reasoning", "text": "Hm"},
        text("Let me look."),
        tool("a"),
        tool("b", state="output-error", errorText="No luck."),
        text("So."),
        tool("a~7", type="tool-find", output={"n": 1}),
        {"type": "source-url", "sourceId": "s", "url": "https://example.org"},
    )
    told = input_messages([answer])
    assert [(each.role, each.text, each.call_id) for each in told] == [
        ("assistant", "Let me look.", None),
        ("tool", "seen", "a"),
        ("tool", "No luck.", "b"),
        ("assistant", "So.", None),
        ("tool", '{"n":1}', "a"),
    ]
    assert [call.name for each in told for call in each.tool_calls] == ["look", "look", "find"]
    check_submission(Submission(messages=told))


def test_two_calls_of_one_id_in_a_step_stay_two() -> None:
    """The name that the stream gave to the second is kept where the first stands beside it."""
    told = input_messages([message("assistant", tool("a"), tool("a~3"))])
    assert [call.call_id for call in told[0].tool_calls] == ["a", "a~3"]
    check_submission(Submission(messages=told))


def test_a_call_without_a_result_is_left_out() -> None:
    """Nobody takes a conversation that has one; a message of nothing else is none."""
    pending = tool("a", state="input-available")
    assert input_messages([message("assistant", pending)]) == []
    assert [each.text for each in input_messages([message("assistant", text("Hm."), pending)])] == ["Hm."]


def test_results_are_the_pages_own() -> None:
    """What the server ran is no reason to go on, nor is a call that still waits."""
    assert has_results(message("assistant", tool("a")))
    assert not has_results(message("assistant", tool("a", providerExecuted=True)))
    assert not has_results(message("assistant", tool("a", state="input-available")))
    assert not has_results(message("assistant", text("Hi.")))


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "dynamic-tool", "state": "output-available"}, "messages[0].parts[0].toolCallId"),
        (tool("a", toolName=5), "messages[0].parts[0].toolName"),
        ({"type": "text", "text": None}, "messages[0].parts[0].text"),
    ],
)
def test_what_is_wrong_is_named(part: dict[str, Any], param: str) -> None:
    """By its place in the body."""
    with pytest.raises(Refused) as refused:
        input_messages([message("assistant", part)])
    assert refused.value.param == param


def test_a_name_that_is_too_long_is_refused() -> None:
    """The bounds of a request hold for what is made here too."""
    with pytest.raises(Refused):
        input_messages([message("assistant", tool("x" * 5000))])
