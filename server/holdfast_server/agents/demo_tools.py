"""The demo and the tools that a request brings along: which one it calls, with what, and what it says of the result."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from math import ceil, floor
from typing import Any, Final, NamedTuple

from .base import AgentFailure, End, Message, Output, Reasoning, Text, ToolArguments, ToolCallBegin, ToolReady
from .demo_script import QUOTE_CHARS_MAX

TOOLS_MAX: Final = 128
"""Providers take no more."""

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
"""A little more than what providers take."""

VALUES_MAX: Final = 200
"""Values in one call's arguments; a schema that refers to itself would ask for more and more."""

CHARS_MAX: Final = 16_000
"""Of one call's arguments; a schema may ask for any length."""

_FORMATS: Final = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "email": "demo@example.org",
    "time": "00:00:00Z",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


class Offered(NamedTuple):
    """A tool of the request."""

    name: str
    schema: Mapping[str, Any]


def offered(value: Any) -> list[Offered]:
    """The option `tools`, as chat completions have it. Raises: AgentFailure."""
    if not isinstance(value, list) or len(value) > TOOLS_MAX:
        raise AgentFailure("bad_option", f"The option tools is a list of at most {TOOLS_MAX} functions.")
    tools = []
    for item in value:
        function = item.get("function") if isinstance(item, dict) and item.get("type") == "function" else None
        if not isinstance(function, dict):
            raise AgentFailure("bad_option", "The demo takes tools of the type function only.")
        name, schema = function.get("name"), function.get("parameters")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise AgentFailure("bad_option", "A tool's name is 1 to 128 of A-Z, a-z, 0-9, `_`, `-` and `.`.")
        if not isinstance(schema, dict | None):
            raise AgentFailure("bad_option", f"The parameters of the tool {name!r} are a JSON Schema.")
        tools.append(Offered(name, schema or {}))
    return tools


def chosen(tools: Sequence[Offered], choice: Any, question: str) -> Offered | None:
    """Which tool to call: the one that `tool_choice` demands, else the first that the question names. Raises:
    AgentFailure."""
    if isinstance(choice, dict):
        function = choice.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        tool = next((tool for tool in tools if tool.name == name), None)
        if choice.get("type") != "function" or tool is None:
            raise AgentFailure("bad_option", "The option tool_choice names none of the tools.")
        return tool
    if choice not in ("none", "auto", "required"):
        raise AgentFailure(
            "bad_option", "The option tool_choice is none, auto, required or one of the tools."
        )
    if choice == "none":
        return None
    named = {word.strip(".-") for word in re.findall(r"[A-Za-z0-9_.-]+", question)}
    for tool in tools:
        if tool.name in named:
            return tool
    if choice == "required":
        if not tools:
            raise AgentFailure("bad_option", "The option tool_choice requires a tool, and there is none.")
        return tools[0]
    return None


def call(tool: Offered, messages: Sequence[Message]) -> Iterator[Output]:
    """Call the tool; whoever brought it along runs it. The id is one that the conversation does not have yet."""
    known = {call.call_id for message in messages for call in message.tool_calls}
    call_id = next(id_ for n in range(len(known) + 1) if (id_ := f"call_demo_{n + 1}") not in known)
    yield Reasoning(f"I am to call {tool.name}.")
    yield ToolCallBegin(call_id, tool.name, where="client")
    yield ToolArguments(call_id, json.dumps(arguments(tool.schema), ensure_ascii=False))
    yield ToolReady(call_id)
    yield End("tool_calls")


def results(messages: Sequence[Message]) -> Iterator[Output]:
    """Say what the tools said whose results the conversation ends with."""
    names = {call.call_id: call.name for message in messages for call in message.tool_calls}
    last = len(messages)
    while last and messages[last - 1].role == "tool":
        last -= 1
    for message in messages[last:]:
        said = " ".join(message.text.split()) or "(nothing)"
        if len(said) > QUOTE_CHARS_MAX:
            said = said[: QUOTE_CHARS_MAX - 1] + "…"
        text = f"The tool `{names.get(message.call_id or '', 'of no name')}` said:\n\n> {said}\n\n"
        for piece in re.findall(r"\S+\s*", text):
            yield Text(piece)


def arguments(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The simplest arguments that fit the schema, as far as the demo knows JSON Schema: patterns and conditions it does
    not know."""
    value = _Maker(schema).value(schema)
    return value if isinstance(value, dict) else {}


class _Maker:
    """Makes up values; `root` is where references lead to. What is beyond the bounds is left empty: a request may bring any
    schema, and repeat its largest part by reference."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._values = VALUES_MAX
        self._chars = CHARS_MAX

    def value(self, schema: Any) -> Any:
        self._values -= 1
        if not isinstance(schema, dict) or self._spent():
            return None
        for key in ("const", "default", "enum"):
            if key in schema:
                return self._given(_first(schema[key]) if key == "enum" else schema[key])
        if "$ref" in schema:
            return self.value(self._meant(schema["$ref"]))
        for key in ("anyOf", "oneOf"):
            if schema.get(key):
                return self.value(_first(schema[key]))
        for part in _listed(schema.get("allOf")):
            self._values -= 1
            if self._spent():
                return None
            schema = _both(schema, self._meant(part["$ref"]) if "$ref" in part else part)
        return self._of_kind(schema)

    def _spent(self) -> bool:
        return self._values < 0 or self._chars < 0

    def _given(self, value: Any) -> Any:
        """A value that stands in the schema."""
        self._chars -= len(json.dumps(value))
        return None if self._spent() else value

    def _of_kind(self, schema: Mapping[str, Any]) -> Any:
        kind = schema.get("type")
        kind = _first(kind) if isinstance(kind, list) else kind
        if kind == "object" or (kind is None and "properties" in schema):
            return self._object(schema)
        if kind == "array":
            return self._array(schema)
        if kind == "string":
            return self._given(_string(schema))
        if kind in ("integer", "number"):
            return _number(schema, whole=kind == "integer")
        return False if kind == "boolean" else None

    def _object(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        properties, required = schema.get("properties"), schema.get("required")
        known = properties if isinstance(properties, dict) else {}
        made: dict[str, Any] = {}
        for name in required if isinstance(required, list) else ():
            if isinstance(name, str):
                self._chars -= len(name)
                if self._spent():
                    break
                made[name] = self.value(known.get(name))
        return made

    def _array(self, schema: Mapping[str, Any]) -> list[Any]:
        least = schema.get("minItems")
        values: list[Any] = []
        heads = _listed(schema.get("prefixItems"))
        while isinstance(least, int) and len(values) < least and not self._spent():
            values.append(self.value(heads[len(values)] if len(values) < len(heads) else schema.get("items")))
        return values

    def _meant(self, reference: Any) -> Any:
        """What `#/$defs/name` refers to; nothing if it leads nowhere."""
        meant: Any = self._root
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        for key in reference[1:].split("/")[1:]:
            meant = meant.get(key.replace("~1", "/").replace("~0", "~")) if isinstance(meant, dict) else None
        return meant


def _first(values: Any) -> Any:
    return values[0] if isinstance(values, list) and values else None


def _listed(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _both(one: Mapping[str, Any], other: Any) -> dict[str, Any]:
    """Two schemas that both hold, as one."""
    if not isinstance(other, dict):
        return dict(one)
    joined = {**other, **one}
    if isinstance(one.get("properties"), dict) and isinstance(other.get("properties"), dict):
        joined["properties"] = {**other["properties"], **one["properties"]}
    if isinstance(one.get("required"), list) and isinstance(other.get("required"), list):
        joined["required"] = [*other["required"], *one["required"]]
    return joined


def _string(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minLength"), schema.get("maxLength")
    text = _FORMATS.get(str(schema.get("format")), "demo")
    if isinstance(least, int):
        text = text.ljust(min(least, CHARS_MAX), "x")
    return text[: max(0, most)] if isinstance(most, int) else text


def _number(schema: Mapping[str, Any], *, whole: bool) -> float:
    def bound(key: str) -> float | None:
        value = schema.get(key)
        known = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53
        return value if known else None

    step = bound("multipleOf") or 1
    step = step if step > 1e-9 else 1
    number: float = 0
    if (least := bound("minimum")) is not None and number < least:
        number = ceil(least / step) * step
    if (least := bound("exclusiveMinimum")) is not None and number <= least:
        number = (floor(least / step) + 1) * step
    if (most := bound("maximum")) is not None and number > most:
        number = floor(most / step) * step
    if (most := bound("exclusiveMaximum")) is not None and number >= most:
        number = (ceil(most / step) - 1) * step
    return int(number) if whole or number == int(number) else number
