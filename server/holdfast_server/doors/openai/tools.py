"""Tools and formats of an answer, from the shapes of both calls into the one that agents are given: Chat Completions'."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from holdfast_protocol.limits import CALLS_PER_MESSAGE_MAX
from holdfast_server.doors.bodies import convert
from holdfast_server.doors.refusal import Refused

from .naming import invalid, unsupported_parameter, unsupported_value

ToolName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$(?!\n)")]

_T = TypeVar("_T")

_CHOICES: Final = ("none", "auto", "required")


class Function(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A function as Chat Completions has it."""

    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FlatFunction(Function, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A function as the Responses API has it; the last three of no use here unless they say what is so anyway."""

    type: Literal["function"]
    defer_loading: bool | None = None
    allowed_callers: list[str] | None = None
    output_schema: dict[str, Any] | None = None


class NestedFunction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool as Chat Completions has it."""

    type: Literal["function"]
    function: Function


def flat_tools(plain: Any) -> list[Function]:
    """`tools` of the Responses API. Raises: Refused."""
    tools = []
    for number, value in enumerate(_list_of_tools(plain)):
        path = f"tools[{number}]"
        tool = _at(path, value, FlatFunction)
        for name in ("defer_loading", "output_schema"):
            if getattr(tool, name):
                raise unsupported_parameter(f"{path}.{name}", "Leave it out.")
        if tool.allowed_callers not in (None, ["direct"]):
            raise unsupported_value(f"{path}.allowed_callers", "Functions are called directly only.")
        tools.append(Function(tool.name, tool.description, tool.parameters, tool.strict))
    return _named_once(tools)


def nested_tools(plain: Any) -> list[Function]:
    """`tools` of Chat Completions. Raises: Refused."""
    return _named_once(
        [
            _at(f"tools[{number}]", value, NestedFunction).function
            for number, value in enumerate(_list_of_tools(plain))
        ]
    )


def _list_of_tools(plain: Any) -> list[Any]:
    if not isinstance(plain, list):
        raise invalid("tools", "it is a list.")
    if len(plain) > CALLS_PER_MESSAGE_MAX:
        raise invalid("tools", f"there are {CALLS_PER_MESSAGE_MAX} at most.")
    for number, value in enumerate(plain):
        if isinstance(value, dict) and isinstance(kind := value.get("type"), str) and kind != "function":
            why = f"Tools of the type {kind[:40]!r} are not supported; only functions are."
            raise unsupported_value(f"tools[{number}].type", why)
    return plain


def _named_once(tools: list[Function]) -> list[Function]:
    names = [tool.name for tool in tools]
    if len(set(names)) < len(names):
        raise invalid("tools", "two of them have the same name.")
    return tools


def _at(path: str, value: Any, kind: type[_T]) -> _T:
    """The value, or a refusal whose path begins where the value stands."""
    try:
        return convert(value, kind)
    except Refused as error:
        param = f"{path}.{error.param}" if error.param else path
        message = error.message.replace(f"`{error.param}`", f"`{param}`") if error.param else error.message
        raise Refused(error.status, error.code, message, param=param) from None


def tool_options(tools: list[Function], choice: Any, parallel: bool | None) -> dict[str, Any]:
    """The options of an agent for these tools; none without tools. `choice` is in either call's shape. Raises: Refused."""
    chosen = _choice(choice, tools)
    if not tools:
        return {}
    options: dict[str, Any] = {"tools": [nested(tool) for tool in tools]}
    if chosen is not None:
        options["tool_choice"] = chosen
    if parallel is not None:
        options["parallel_tool_calls"] = parallel
    return options


def _choice(choice: Any, tools: list[Function]) -> Any:
    if choice is None:
        return None
    if isinstance(choice, str):
        if choice not in _CHOICES:
            raise invalid("tool_choice", f"it is one of {', '.join(_CHOICES)}, or a function.")
        if choice == "required" and not tools:
            raise invalid("tool_choice", "`required` needs `tools`.")
        return choice
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind != "function":
        raise unsupported_value("tool_choice", "Name one function, or say none, auto or required.")
    inner = choice.get("function")
    name = inner.get("name") if isinstance(inner, dict) else choice.get("name")
    if name not in [tool.name for tool in tools]:
        raise invalid("tool_choice", "no tool has that name.")
    return {"type": "function", "function": {"name": name}}


def nested(tool: Function) -> dict[str, Any]:
    """A function in the shape of Chat Completions, without what was not said."""
    said = {name: value for name, value in msgspec.structs.asdict(tool).items() if value is not None}
    return {"type": "function", "function": said}


def flat(tool: Function) -> dict[str, Any]:
    """A function in the shape of the Responses API, which names all of it."""
    return {"type": "function", **msgspec.structs.asdict(tool)}


def flat_choice(choice: Any) -> Any:
    """An agent's `tool_choice` in the shape of the Responses API."""
    if isinstance(choice, dict):
        return {"type": "function", "name": choice["function"]["name"]}
    return choice


class Schema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `json_schema` says in either call."""

    name: ToolName
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


def response_format(plain: Any, path: str, *, flat_schema: bool) -> dict[str, Any] | None:
    """The option for `text.format` or `response_format`; none for plain text. Raises: Refused."""
    kind = plain.get("type") if isinstance(plain, dict) else None
    if kind == "json_schema":
        inner = {name: value for name, value in plain.items() if name != "type"}
        if flat_schema:
            schema = _at(path, inner, Schema)
        else:
            if set(inner) != {"json_schema"}:
                raise invalid(path, "it has `type` and `json_schema`.")
            schema = _at(f"{path}.json_schema", inner["json_schema"], Schema)
        said = {name: value for name, value in msgspec.structs.asdict(schema).items() if value is not None}
        return {"type": "json_schema", "json_schema": said}
    if kind not in ("text", "json_object") or len(plain) > 1:
        raise unsupported_value(path, "It has a `type`: text, json_object, or json_schema.")
    return None if kind == "text" else {"type": kind}
