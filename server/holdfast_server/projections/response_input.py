"""The input of a Response as OpenAI's items: what `GET /v1/responses/{id}/input_items` lists."""

from __future__ import annotations

from typing import Any

from holdfast_protocol.commands import InputMessage

from .base import Asked
from .response_envelope import ResponsesEnvelope, envelope_of


def input_items(asked: Asked, envelope: ResponsesEnvelope | None = None) -> list[dict[str, Any]]:
    """The items in the order in which they were sent, without the messages that the door put before them; the door sorts
    and pages. An id follows from the request and the item's place, so it is the same whenever it is asked."""
    said = envelope_of(asked) if envelope is None else envelope
    items: list[dict[str, Any]] = []

    def add(prefix: str, kind: str, **fields: Any) -> None:
        # `in` before the number: an output item of the same request has the bare number.
        where = f"{prefix}_{asked.request_id}_in{len(items)}"
        items.append({"id": where, "type": kind, "status": "completed", **fields})

    for message in asked.messages[said.carried :]:
        if message.role == "tool":
            add("fco", "function_call_output", call_id=message.call_id or "", output=message.text)
            continue
        if message.text or not message.tool_calls:
            add("msg", "message", role=message.role, content=[_content(message)])
        for call in message.tool_calls:
            fields = {"call_id": call.call_id, "name": call.name, "arguments": call.arguments}
            add("fc", "function_call", **fields)
    if asked.text is not None:
        content = {"type": "input_text", "text": asked.text}
        add("msg", "message", role="user", content=[content])
    return items


def _content(message: InputMessage) -> dict[str, Any]:
    if message.role == "assistant":
        return {"type": "output_text", "text": message.text, "annotations": [], "logprobs": []}
    return {"type": "input_text", "text": message.text}
