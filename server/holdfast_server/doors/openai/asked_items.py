"""The input of a Response, item by item, as the messages that a request brings along.

What a Response showed may be sent back as input just as it was: reasoning, and calls of tools that the server ran itself,
are read and left out, for agents are not shown those of earlier answers. Whatever else cannot be handed on is refused by its
path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from holdfast_protocol.commands import InputMessage, InputToolCall
from holdfast_protocol.limits import CALL_CHARS_MAX, CALLS_PER_MESSAGE_MAX
from holdfast_server.doors.refusal import Refused

from .naming import invalid, unknown_parameter, unsupported_value

ITEMS_MAX: Final = 10_000
"""Items of one input: more than its bytes leave room for in practice."""

ROLES: Final[Mapping[str, Literal["system", "user", "assistant"]]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
"""Whose message it is; a developer's is the newer word for the system's."""

_FIELDS: Final = {
    "message": {"type", "id", "status", "role", "content", "phase"},
    "function_call": {"type", "id", "status", "call_id", "name", "arguments", "caller", "namespace"},
    "function_call_output": {"type", "id", "status", "call_id", "output", "name", "caller", "namespace"},
}
"""What an item of that type may have. Its id, status, phase and caller are OpenAI's bookkeeping, and say nothing here."""

_PART_FIELDS: Final = {"type", "text", "annotations", "logprobs", "refusal"}

_LEFT_OUT: Final = ("reasoning", "mcp_call")

_TEXTS: Final = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
"""The parts that are text, and where it is in them."""


def messages_of(items: str | Sequence[Any], path: str = "input") -> list[InputMessage]:
    """The messages, in order; calls that belong to one answer are in one message. Raises: Refused."""
    if isinstance(items, str):
        return [InputMessage(role="user", text=items)]
    if len(items) > ITEMS_MAX:
        raise invalid(path, f"it has {ITEMS_MAX} items at most.")
    messages: list[InputMessage] = []
    for number, item in enumerate(items):
        _take(messages, item, f"{path}[{number}]")
    return messages


def _take(messages: list[InputMessage], item: Any, where: str) -> None:
    if not isinstance(item, dict):
        raise invalid(where, "an item is an object.")
    kind = item.get("type", "message" if "role" in item else "item_reference" if "id" in item else None)
    if kind in _LEFT_OUT:
        return
    fields = _FIELDS.get(kind) if isinstance(kind, str) else None
    if fields is None:
        why = f"Items of the type {str(kind)[:40]!r} are not supported; send messages, function calls and their outputs."
        raise unsupported_value(f"{where}.type", why)
    for name, value in item.items():
        if name not in fields and value is not None:
            raise unknown_parameter(f"{where}.{name[:100]}")
    if kind == "message":
        role = str(item.get("role"))
        if role not in ROLES:
            raise unsupported_value(f"{where}.role", f"It is one of {', '.join(ROLES)}.")
        add_text(messages, ROLES[role], text_of(item.get("content"), f"{where}.content"))
    elif kind == "function_call":
        call = InputToolCall(
            call_id=name_of(item, "call_id", where),
            name=name_of(item, "name", where),
            arguments=string_of(item, "arguments", where),
        )
        add_call(messages, call, where)
    else:
        output = text_of(item.get("output"), f"{where}.output")
        messages.append(InputMessage(role="tool", call_id=name_of(item, "call_id", where), text=output))


def add_text(messages: list[InputMessage], role: Literal["system", "user", "assistant"], text: str) -> None:
    """Put what was said at the end; into the answer whose calls are there already, if it said nothing else."""
    last = messages[-1] if messages else None
    if role == "assistant" and last is not None and last.tool_calls and not last.text:
        messages[-1] = msgspec.structs.replace(last, text=text)
    else:
        messages.append(InputMessage(role=role, text=text))


def add_call(messages: list[InputMessage], call: InputToolCall, where: str) -> None:
    """Put a call into the answer that it belongs to: the last message, if that is one, else a new one."""
    last = messages[-1] if messages else None
    if last is None or last.role != "assistant":
        messages.append(InputMessage(role="assistant", tool_calls=[call]))
        return
    if len(last.tool_calls) >= CALLS_PER_MESSAGE_MAX:
        raise invalid(where, f"one answer has {CALLS_PER_MESSAGE_MAX} calls at most.")
    messages[-1] = msgspec.structs.replace(last, tool_calls=[*last.tool_calls, call])


def text_of(content: Any, where: str) -> str:
    """A message's content, or a tool's output: a text, or parts of text, one after the other. Raises: Refused."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise invalid(where, "it is a text, or a list of parts.")
    texts = []
    for number, part in enumerate(content):
        path = f"{where}[{number}]"
        if not isinstance(part, dict):
            raise invalid(path, "a part is an object.")
        kind = str(part.get("type"))
        if kind not in _TEXTS:
            why = f"Parts of the type {kind[:40]!r} are not supported; send text."
            raise unsupported_value(f"{path}.type", why)
        for name, value in part.items():
            if name not in _PART_FIELDS and value is not None:
                raise unknown_parameter(f"{path}.{name[:100]}")
        texts.append(string_of(part, _TEXTS[kind], path))
    return "".join(texts)


def string_of(value: Mapping[str, Any], name: str, where: str) -> str:
    """A field that is a text. Raises: Refused."""
    text = value.get(name)
    if text is None:
        path = f"{where}.{name}"
        raise Refused(400, "missing_parameter", f"Missing required parameter: `{path}`.", param=path)
    if not isinstance(text, str):
        raise invalid(f"{where}.{name}", "it is a text.")
    return text


def name_of(value: Mapping[str, Any], name: str, where: str) -> str:
    """A field that names a call or a tool. Raises: Refused."""
    text = string_of(value, name, where)
    if not 1 <= len(text) <= CALL_CHARS_MAX:
        raise invalid(f"{where}.{name}", f"it has 1 to {CALL_CHARS_MAX} characters.")
    return text


def check_calls(messages: Sequence[InputMessage], path: str) -> None:
    """Every call has its output, and every output its call: model servers take nothing else. Raises: Refused."""
    open_calls: set[str] = set()
    for message in messages:
        if message.role == "tool":
            if message.call_id not in open_calls:
                raise invalid(path, f"no tool call found for the output with call_id {message.call_id!r}.")
            open_calls.discard(message.call_id)
            continue
        _check_none_open(open_calls, path)
        open_calls = {call.call_id for call in message.tool_calls}
    _check_none_open(open_calls, path)


def _check_none_open(open_calls: set[str], path: str) -> None:
    if open_calls:
        raise invalid(path, f"no tool output found for function call {min(open_calls)!r}.")
