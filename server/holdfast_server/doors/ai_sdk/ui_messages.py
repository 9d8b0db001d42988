"""UI messages of the AI SDK, read: what a person's message says, and a whole conversation as messages of a request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from holdfast_protocol.commands import InputMessage, InputToolCall
from holdfast_server.doors.bodies import convert
from holdfast_server.doors.refusal import Refused

from .shapes import UiMessage

_SILENT: Final = ("step-start", "reasoning", "source-url", "source-document", "reasoning-file", "custom")
"""Parts that are for the page: a model is not told them again."""

_AGAIN: Final = re.compile(r"~\d+$")
"""What a call's id ends with where one answer had two calls of one id (projections/ui_stream.py)."""


def text_of(message: UiMessage, param: str) -> str:
    """What a person's (or the system's) message says. Raises: Refused for what cannot be asked."""
    texts = []
    for number, part in enumerate(message.parts):
        kind, where = part.get("type"), f"{param}.parts[{number}]"
        if kind == "text":
            texts.append(_text(part, where))
        elif kind == "file":
            raise Refused(
                400, "unsupported_part", "Files cannot be sent; leave them out of the message.", param=where
            )
        elif kind not in _SILENT and not str(kind).startswith("data-"):
            raise Refused(
                400,
                "unsupported_part",
                f"A person's message has text parts; {str(kind)[:64]!r} cannot be sent.",
                param=where,
            )
    return "".join(texts)


def input_messages(messages: Sequence[UiMessage]) -> list[InputMessage]:
    """The conversation as a request brings it along. Raises: Refused."""
    brought: list[InputMessage] = []
    for number, message in enumerate(messages):
        param = f"messages[{number}]"
        if message.role == "assistant":
            brought += _answer(message, param)
        else:
            brought.append(InputMessage(role=message.role, text=text_of(message, param)))
    return convert(msgspec.to_builtins(brought), list[InputMessage])


def has_results(message: UiMessage) -> bool:
    """Whether the page has run tools that the answer called."""
    return any(
        is_tool(part) and not part.get("providerExecuted") and _is_over(part) for part in message.parts
    )


def is_tool(part: dict[str, Any]) -> bool:
    """Whether the part is a call of a tool."""
    kind = part.get("type")
    return kind == "dynamic-tool" or (isinstance(kind, str) and kind.startswith("tool-"))


def _is_over(part: dict[str, Any]) -> bool:
    return part.get("state") in ("output-available", "output-error", "output-denied")


def _answer(message: UiMessage, param: str) -> list[InputMessage]:
    """One answer: what it said, then the calls that followed with their results, then what it said after them, and so on.
    Calls without a result are left out: nobody takes a conversation that has them."""
    found: list[InputMessage] = []
    texts: list[str] = []
    calls: list[InputToolCall] = []
    results: list[InputMessage] = []

    def close() -> None:
        if texts or calls:
            found.append(InputMessage(role="assistant", text="".join(texts), tool_calls=list(calls)))
            found.extend(results)
        texts.clear()
        calls.clear()
        results.clear()

    for number, part in enumerate(message.parts):
        where = f"{param}.parts[{number}]"
        if part.get("type") == "text":
            if calls:
                close()
            texts.append(_text(part, where))
        elif is_tool(part) and _is_over(part):
            given = _id(part, where)
            plain = _AGAIN.sub("", given)
            call_id = given if any(call.call_id == plain for call in calls) else plain
            calls.append(
                InputToolCall(
                    call_id=call_id, name=_name(part, where), arguments=_json(part.get("input", {}))
                )
            )
            results.append(InputMessage(role="tool", call_id=call_id, text=_result(part)))
    close()
    return found


def _text(part: dict[str, Any], where: str) -> str:
    text = part.get("text")
    if not isinstance(text, str):
        raise Refused(400, "invalid", "A text part needs `text`.", param=f"{where}.text")
    return text


def _id(part: dict[str, Any], where: str) -> str:
    call_id = part.get("toolCallId")
    if not isinstance(call_id, str) or not call_id:
        raise Refused(400, "invalid", "A tool part needs `toolCallId`.", param=f"{where}.toolCallId")
    return call_id


def _name(part: dict[str, Any], where: str) -> str:
    kind = part["type"]
    name = part.get("toolName") if kind == "dynamic-tool" else kind.removeprefix("tool-")
    if not isinstance(name, str) or not name:
        raise Refused(400, "invalid", "A tool part needs the tool's name.", param=f"{where}.toolName")
    return name


def _result(part: dict[str, Any]) -> str:
    if part.get("state") == "output-available":
        return _json(part.get("output"))
    return str(part.get("errorText") or "The tool was not run.")


def _json(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
