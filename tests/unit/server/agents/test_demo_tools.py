"""The demo with what OpenAI clients send: tools that the client runs, bounds, and options that shape nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast_protocol.transcript import Transcript
from holdfast_server.agents import Context, DemoAgent, End, Message, Output, ToolCall
from holdfast_server.agents.base import AgentFailure, Reasoning, Text, ToolArguments, ToolCallBegin
from holdfast_server.agents.demo_tools import CHARS_MAX, VALUES_MAX, arguments
from holdfast_server.stores.base import Owner

ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    },
}
NOW = {"type": "function", "function": {"name": "get.now"}}


async def said(*messages: Message, **options: Any) -> list[Output]:
    context = Context(
        request_id="r", owner=Owner("", "local"), chat_id=None, options={"pace": 0} | options, attempt=1,
        reason="first", inputs=(), messages=messages, transcript=Transcript(parts=[]), step=None,  # type: ignore[arg-type]
    )  # fmt: skip
    return [output async for output in DemoAgent().run(context)]


def called(outputs: list[Output]) -> list[tuple[str, str]]:
    calls = [(o.call_id, o.name) for o in outputs if isinstance(o, ToolCallBegin) and o.where == "client"]
    assert not calls or outputs[-1] == End("tool_calls")
    return calls


async def test_a_question_that_names_a_tool_has_it_called():
    """With arguments of its schema, to be run by the client; a part of a word is no name."""
    outputs = await said(Message("user", "Please call add, and tell me."), tools=[NOW, ADD])
    assert called(outputs) == [("call_demo_1", "add")]
    assert [json.loads(o.text) for o in outputs if isinstance(o, ToolArguments)] == [{"n": 0}]
    assert called(await said(Message("user", "Call get.now."), tools=[NOW])) == [("call_demo_1", "get.now")]
    assert called(await said(Message("user", "An address, added."), tools=[ADD])) == []


async def test_the_choice_of_a_tool_is_kept_to():
    """None, any, or one by name."""
    named = {"type": "function", "function": {"name": "get.now"}}
    for choice, name in (("none", None), ("required", "add"), (named, "get.now"), ("auto", "add")):
        outputs = await said(Message("user", "add"), tools=[NOW, ADD], tool_choice=choice)
        assert called(outputs) == ([("call_demo_1", name)] if name else [])
    assert called(await said(Message("user", "x"), tools=[NOW, ADD], tool_choice="required")) == [
        ("call_demo_1", "get.now")
    ]


async def test_a_result_is_told():
    """A conversation that ends with tools' results is answered with them, and the next call has an id of its own."""
    call = Message("assistant", "", tool_calls=[ToolCall("call_demo_1", "add", "{}")])
    talk = [Message("user", "add"), call, Message("tool", "42\nand more", call_id="call_demo_1")]
    outputs = await said(*talk, tools=[ADD])
    text = "".join(output.text for output in outputs if isinstance(output, Text))
    assert text == "The tool `add` said:\n\n> 42 and more\n\n"
    assert outputs[-1] == End("stop")
    assert called(await said(*talk, Message("user", "add"), tools=[ADD])) == [("call_demo_2", "add")]


@pytest.mark.parametrize("key", ["max_tokens", "max_completion_tokens"])
async def test_words_are_bounded(key: str):
    """So many of text and thought, no more; the answer then says that it was cut."""
    for question in ("Hi.", "Please approve."):
        outputs = await said(Message("user", question), **{key: 5})
        words = sum(len(o.text.split()) for o in outputs if isinstance(o, Text | Reasoning))
        assert words == 5
        assert outputs[-1] == End("length")
    assert (await said(Message("user", "Hi."), **{key: 100_000}))[-1] == End("stop")


async def test_what_shapes_nothing_is_taken():
    """Sampling options change no word of a script; null is not given."""
    plain = await said(Message("user", "Hi."))
    idle = {"temperature": 0.2, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0}
    more = {
        "parallel_tool_calls": True,
        "reasoning_effort": "low",
        "response_format": {"type": "text"},
        "seed": None,
    }
    assert await said(Message("user", "Hi."), **idle, **more) == plain


@pytest.mark.parametrize(
    "options",
    [
        {"stop": ["x"]},
        {"response_format": {"type": "json_schema"}},
        {"temperature": "hot"},
        {"parallel_tool_calls": 1},
        {"max_tokens": 0},
        {"max_tokens": 1.5},
        {"tools": {}},
        {"tools": [{"type": "web_search"}]},
        {"tools": [{"type": "function", "function": {"name": "a b"}}]},
        {"tools": [{"type": "function", "function": {"name": "a", "parameters": []}}]},
        {"tool_choice": "required"},
        {"tool_choice": {"type": "function", "function": {"name": "absent"}}},
    ],
)
async def test_what_it_cannot_keep_to_is_refused(options: dict[str, Any]):
    """Never in silence."""
    with pytest.raises(AgentFailure) as caught:
        await said(Message("user", "Hi."), **options)
    assert caught.value.code == "bad_option"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "demo"),
        ({"type": "string", "minLength": 6, "maxLength": 8}, "demoxx"),
        ({"type": "string", "maxLength": 2}, "de"),
        ({"type": "string", "format": "date"}, "2000-01-01"),
        ({"enum": ["c", "f"]}, "c"),
        ({"const": 7}, 7),
        ({"type": "integer", "default": 3}, 3),
        ({"type": "integer", "minimum": 3, "multipleOf": 5}, 5),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "number", "maximum": -2}, -2),
        ({"type": "number", "exclusiveMaximum": 0}, -1),
        ({"type": "number", "minimum": 1e308, "multipleOf": 1e-300}, 0),
        ({"type": "boolean"}, False),
        ({"type": ["null", "string"]}, None),
        ({"type": "array", "items": {"type": "null"}, "minItems": 2}, [None, None]),
        ({"anyOf": [{"type": "boolean"}, {"type": "string"}]}, False),
        ({"allOf": [{"type": "object", "properties": {"a": {"const": 1}}}], "required": ["a"]}, {"a": 1}),
        ({"$ref": "#/$defs/word"}, "demo"),
        ({"$ref": "#/nowhere"}, None),
        (True, None),
    ],
)
def test_arguments_fit_their_schema(schema: Any, value: Any):
    """The simplest value that does."""
    whole = {
        "type": "object", "required": ["v"], "properties": {"v": schema, "w": {}},
        "$defs": {"word": {"type": "string"}},
    }  # fmt: skip
    assert arguments(whole) == {"v": value}


def test_no_schema_makes_arguments_without_end():
    """Neither one that refers to itself, nor one that repeats or asks for something large."""
    again = {"$ref": "#/$defs/x"}
    for kind in (
        {"type": "object", "required": ["a", "b"], "properties": {"a": again, "b": again}},
        {"type": "array", "minItems": 10**9, "items": again},
        {"type": "array", "minItems": 10**9, "items": {"type": "string", "minLength": 10**9}},
        {"allOf": [again, again]},
        again,
        {"type": "object", "required": ["a", "b"], "properties": {"a": {"default": "x" * 10**5}, "b": again}},
    ):
        made = arguments(
            {"type": "object", "required": ["v"], "properties": {"v": again}, "$defs": {"x": kind}}
        )
        assert len(json.dumps(made)) < CHARS_MAX + 20 * VALUES_MAX


def test_the_parts_are_known():
    """What the demo may be asked for is in its profile, so that doors can refuse the rest at once."""
    options = DemoAgent().profile.options
    assert options is not None
    assert {"words", "tools", "temperature"} <= options
    assert "stop" not in options
