"""Tools, choices and formats in the shapes of both calls become the one that agents are given."""

import pytest

from holdfast_server.doors.openai.tools import (
    flat,
    flat_choice,
    flat_tools,
    nested_tools,
    response_format,
    tool_options,
)
from holdfast_server.doors.refusal import Refused

SCHEMA = {"type": "object"}
FLAT = {"type": "function", "name": "f", "parameters": SCHEMA, "strict": False}
NESTED = {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": False}}


def test_both_shapes_are_one_tool():
    """A function is the same in either call, and is handed on without what was not said."""
    assert flat_tools([FLAT]) == nested_tools([NESTED])
    assert tool_options(flat_tools([FLAT]), None, None) == {"tools": [NESTED]}
    assert flat(flat_tools([FLAT])[0]) == {**FLAT, "description": None}


def test_choices():
    """A choice is handed on in one shape, and shown in the other; without tools there is nothing to choose from."""
    tools = flat_tools([FLAT])
    chosen = {"type": "function", "function": {"name": "f"}}
    for said in ({"type": "function", "name": "f"}, chosen):
        assert tool_options(tools, said, True) == {
            "tools": [NESTED], "tool_choice": chosen, "parallel_tool_calls": True,
        }  # fmt: skip
    assert flat_choice(chosen) == {"type": "function", "name": "f"}
    assert tool_options([], "auto", True) == {}


@pytest.mark.parametrize(
    ("choice", "code"),
    [
        ("any", "invalid"),
        ({"type": "function", "name": "g"}, "invalid"),
        ({"type": "function", "name": []}, "invalid"),
        ({"type": "web_search"}, "unsupported_value"),
        (7, "unsupported_value"),
    ],
)
def test_a_choice_that_is_none_is_refused(choice, code):
    """A tool that was not sent along, or of another kind, cannot be chosen."""
    with pytest.raises(Refused) as caught:
        tool_options(flat_tools([FLAT]), choice, None)
    assert (caught.value.code, caught.value.param) == (code, "tool_choice")


@pytest.mark.parametrize(
    ("tools", "code", "param"),
    [
        ({}, "invalid", "tools"),
        ([FLAT] * 129, "invalid", "tools"),
        ([FLAT, FLAT], "invalid", "tools"),
        ([1], "invalid", "tools[0]"),
        ([{"type": "mcp"}], "unsupported_value", "tools[0].type"),
        ([FLAT, {"type": "function"}], "missing_parameter", "tools[1].name"),
        ([{**FLAT, "mood": 1}], "unknown_parameter", "tools[0].mood"),
        ([{**FLAT, "defer_loading": True}], "unsupported_parameter", "tools[0].defer_loading"),
        ([{**FLAT, "allowed_callers": ["programmatic"]}], "unsupported_value", "tools[0].allowed_callers"),
    ],
)
def test_a_tool_that_cannot_be_handed_on_is_named(tools, code, param):
    """Each tool that is wrong is refused by its path."""
    with pytest.raises(Refused) as caught:
        flat_tools(tools)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_formats():
    """Both calls say a format in their own shape; plain text is no option at all."""
    said = {"name": "n", "schema": SCHEMA, "strict": True}
    wanted = {"type": "json_schema", "json_schema": said}
    assert response_format({"type": "json_schema", **said}, "text.format", flat_schema=True) == wanted
    assert response_format(wanted, "response_format", flat_schema=False) == wanted
    for flat_schema in (True, False):
        assert response_format({"type": "text"}, "f", flat_schema=flat_schema) is None
        plain = {"type": "json_object"}
        assert response_format(plain, "f", flat_schema=flat_schema) == plain


@pytest.mark.parametrize(
    ("plain", "param"),
    [
        ("text", "f"),
        ({"type": "grammar"}, "f"),
        ({"type": []}, "f"),
        ({"type": "text", "schema": {}}, "f"),
        ({"type": "json_schema", "name": "n", "mood": 1}, "f.mood"),
    ],
)
def test_a_format_that_is_none_is_named(plain, param):
    """Each format that is wrong is refused by its path."""
    with pytest.raises(Refused) as caught:
        response_format(plain, "f", flat_schema=True)
    assert caught.value.param == param
