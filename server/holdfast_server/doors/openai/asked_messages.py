"""The messages of a chat completion, as those that a request brings along."""

from __future__ import annotations

from typing import Any, Final

from holdfast_protocol.commands import InputMessage, InputToolCall
from holdfast_protocol.limits import CALLS_PER_MESSAGE_MAX

from .asked_items import ITEMS_MAX, ROLES, name_of, string_of, text_of
from .naming import invalid, unknown_parameter, unsupported_parameter, unsupported_value

_FIELDS: Final = {
    "tool": {"role", "content", "tool_call_id"},
    "assistant": {"role", "content", "refusal", "tool_calls", "reasoning_content", "annotations"},
}
"""What a message of that role may have; of others a role and content. What an answer of ours showed may be sent back as it
was: its reasoning and annotations are read and left out."""

_PLAIN: Final = {"role", "content"}

_REFUSED: Final = {
    "name": "Agents are not told names of speakers; put it into the text.",
    "function_call": "Replaced by `tool_calls`.",
    "audio": "Audio is not supported.",
}


def messages_of(plain: Any) -> list[InputMessage]:
    """The messages. Raises: Refused."""
    if not isinstance(plain, list) or not plain or len(plain) > ITEMS_MAX:
        raise invalid("messages", f"it is a list of 1 to {ITEMS_MAX} messages.")
    return [_message(value, f"messages[{number}]") for number, value in enumerate(plain)]


def _message(value: Any, where: str) -> InputMessage:
    if not isinstance(value, dict):
        raise invalid(where, "a message is an object.")
    role = str(value.get("role"))
    if role != "tool" and role not in ROLES:
        raise unsupported_value(f"{where}.role", f"It is one of {', '.join(ROLES)}, or tool.")
    for name, field in value.items():
        if field is None or name in _FIELDS.get(role, _PLAIN):
            continue
        if name in _REFUSED:
            raise unsupported_parameter(f"{where}.{name}", _REFUSED[name])
        raise unknown_parameter(f"{where}.{name[:100]}")
    if role == "tool":
        call_id = name_of(value, "tool_call_id", where)
        return InputMessage(
            role="tool", call_id=call_id, text=text_of(value.get("content"), f"{where}.content")
        )
    if role != "assistant":
        return InputMessage(role=ROLES[role], text=text_of(value.get("content"), f"{where}.content"))
    calls = _calls(value.get("tool_calls") or [], f"{where}.tool_calls")
    content = value.get("content")
    if content is None:
        content = value.get("refusal") or ("" if calls else None)
    return InputMessage(role="assistant", text=text_of(content, f"{where}.content"), tool_calls=calls)


def _calls(plain: Any, where: str) -> list[InputToolCall]:
    if not isinstance(plain, list) or len(plain) > CALLS_PER_MESSAGE_MAX:
        raise invalid(where, f"it is a list of {CALLS_PER_MESSAGE_MAX} calls at most.")
    calls = []
    for number, call in enumerate(plain):
        path = f"{where}[{number}]"
        if not isinstance(call, dict):
            raise invalid(path, "a call is an object.")
        function = call.get("function")
        if call.get("type", "function") != "function" or not isinstance(function, dict):
            raise unsupported_value(f"{path}.type", "Only calls of functions are supported.")
        calls.append(
            InputToolCall(
                call_id=name_of(call, "id", path),
                name=name_of(function, "name", f"{path}.function"),
                arguments=string_of(function, "arguments", f"{path}.function"),
            )
        )
    return calls
