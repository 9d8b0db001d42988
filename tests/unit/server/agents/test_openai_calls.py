"""Tool calls in what a chat model is asked: calls and results stay together, in the form of chat completions."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast_protocol.transcript import Transcript
from holdfast_server.agents import AgentFailure, Context, Message, ToolCall
from holdfast_server.agents.openai_prompt import MESSAGE_TOKENS, prompt
from holdfast_server.stores.base import Owner

Q1, Q2 = Message("user", "q1"), Message("user", "q2")


def calling(*ids: str, text: str = "") -> Message:
    return Message("assistant", text, tool_calls=[ToolCall(id_, "f", "{}") for id_ in ids])


def result(call_id: str) -> Message:
    return Message("tool", f"of {call_id}", call_id=call_id)


def asked(*messages: Message, tokens_max: int = 1000) -> list[dict[str, Any]]:
    context = Context(
        request_id="r", owner=Owner("", "local"), chat_id=None, options={}, attempt=1, reason="first", inputs=(),
        messages=messages, transcript=Transcript(parts=[]), step=None,  # type: ignore[arg-type]
    )  # fmt: skip
    return prompt(context, system="", tokens_max=tokens_max, goes_on=False, count=len)


def shape(messages: list[dict[str, Any]]) -> list[str]:
    return [message.get("tool_call_id") or message["content"] or "calls" for message in messages]


def test_calls_and_results_have_their_form():
    """As chat completions have them; an answer that only calls has no content, and arguments are never no text."""
    call = Message("assistant", "", tool_calls=[ToolCall("a", "add", '{"n": 1}'), ToolCall("b", "now")])
    functions = [
        {"id": "a", "type": "function", "function": {"name": "add", "arguments": '{"n": 1}'}},
        {"id": "b", "type": "function", "function": {"name": "now", "arguments": "{}"}},
    ]
    assert asked(Q1, call, result("a"), result("b")) == [
        {"role": "user", "content": "q1"},
        {"role": "assistant", "content": None, "tool_calls": functions},
        {"role": "tool", "content": "of a", "tool_call_id": "a"},
        {"role": "tool", "content": "of b", "tool_call_id": "b"},
    ]


def test_results_stand_behind_their_call():
    """Wherever they came: servers want nothing in between."""
    assert shape(asked(Q1, calling("a"), Q2, result("a"))) == ["q1", "calls", "a", "q2"]


def test_a_call_without_all_its_results_is_left_out():
    """With the results it has; what was said with it stays."""
    assert shape(asked(Q1, calling("a", "b"), result("a"), Q2)) == ["q1", "q2"]
    assert shape(asked(Q1, calling("a", text="Well."), Q2)) == ["q1", "Well.", "q2"]
    assert "tool_calls" not in asked(Q1, calling("a", text="Well."), Q2)[1]
    with pytest.raises(AgentFailure, match="nothing to answer"):
        asked(calling("a"))


def test_an_id_that_is_used_anew_is_the_later_calls():
    """Some servers count their calls from nought in each answer."""
    messages = asked(Q1, calling("a"), result("a"), Q2, calling("a"), result("a"))
    assert shape(messages) == ["q1", "calls", "a", "q2", "calls", "a"]
    assert shape(asked(Q1, calling("a"), Q2, calling("a"), result("a"))) == ["q1", "q2", "calls", "a"]


def test_the_budget_never_parts_a_call_from_its_result():
    """At any budget both are sent or neither, and the last question always, with what came after it."""
    history = (Q1, calling("a"), result("a"), Message("assistant", "A"), Q2, calling("b"), result("b"))
    whole = sum(len(message.text) + MESSAGE_TOKENS for message in history) + 2 * (3 + MESSAGE_TOKENS)
    seen = set()
    for tokens_max in range(whole + 1):
        sent = shape(asked(*history, tokens_max=tokens_max))
        assert sent[-3:] == ["q2", "calls", "b"]
        assert sent[0] in ("q1", "q2")
        seen.add(tuple(sent[:-3]))
    assert seen == {(), ("q1", "calls", "a", "A")}
