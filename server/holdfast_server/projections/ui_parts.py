"""One part of an answer in the AI SDK's words: what it is called there, and the chunks that are not text.

The names are those that the browser client's transport uses, so that a page shows the same parts whichever way they came.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from holdfast_protocol import events as ev
from holdfast_protocol import transcript as tr
from holdfast_protocol.live_part import LivePart

Chunk = dict[str, Any]

NOT_JSON: Final = "The arguments are not JSON."
NOT_WHOLE: Final = "The arguments are not complete."
NO_RESULT: Final = "It may or may not have run."

_FINISH_REASONS: Final = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool-calls",
    "content_filter": "content-filter",
}

_decode: Final = msgspec.json.Decoder().decode


def finish_reason(code: str, parts: list[LivePart]) -> str:
    """The AI SDK's word for how a completed request ended. One that leaves a call to the client ends in `tool-calls`."""
    pending = (part.kind == "tool" and part.state == "called" for part in parts)
    if code == "stop" and any(pending):
        return "tool-calls"
    return _FINISH_REASONS.get(code, "other")


def parsed(text: str) -> tuple[Any, bool]:
    """The value of a JSON text and True, or the text itself and False. What JSON cannot say, such as NaN, is no JSON."""
    try:
        return _decode(text), True
    except (msgspec.MsgspecError, RecursionError):
        return text, False


def call_of(part: LivePart, call_id: str) -> Chunk:
    """How a call is announced. What the server runs is not for `onToolCall`, nor a reason to send automatically."""
    return {
        "toolCallId": call_id,
        "toolName": part.fields["name"],
        "dynamic": True,
        "providerExecuted": part.fields["where"] == "server",
    }


def input_chunk(part: LivePart, call_id: str) -> Chunk:
    """The input of a call whose arguments are complete, or that has ended without being complete."""
    value, is_json = parsed(part.text or "{}")
    chunk = {**call_of(part, call_id), "input": value}
    if part.state == "unknown":
        text = NO_RESULT if part.fields["where"] == "server" else NOT_WHOLE
        return {"type": "tool-input-error", **chunk, "errorText": text}
    if not is_json:
        return {"type": "tool-input-error", **chunk, "errorText": NOT_JSON}
    return {"type": "tool-input-available", **chunk}


def output_chunk(part: LivePart, call_id: str) -> Chunk | None:
    """What became of a call; None while nobody knows."""
    named = {"toolCallId": call_id, "dynamic": True}
    if part.state == "done":
        return {"type": "tool-output-available", **named, "output": parsed(part.result)[0]}
    if part.state in ("failed", "unknown"):
        text = part.result if part.state == "failed" else NO_RESULT
        return {"type": "tool-output-error", **named, "errorText": text}
    return None


def whole_chunk(part: LivePart, part_id: str) -> Chunk | None:
    """The chunk of a part that is told whole, and again when it changes; None for one that shows nothing."""
    value = part.frozen()
    match value:
        case tr.SourcePart():
            title = {"title": value.title} if value.title else {}
            return {"type": "source-url", "sourceId": value.id, "url": value.url, **title}
        case tr.FilePart():
            return {"type": "file", "url": value.url, "mediaType": value.media_type}
        case tr.DataPart():
            return {"type": f"data-{value.name}", "id": part_id, "data": value.data}
        case tr.ProgressPart() | tr.InputPart() | tr.WaitPart():
            data = {"kind": part.kind, **msgspec.structs.asdict(value)}
            return {"type": f"data-{part.kind}", "id": part_id, "data": data}
    return None


def usage_of(usage: ev.Usage) -> dict[str, Any]:
    """The usage as the wire has it, with all its fields."""
    return {"type": "usage", **msgspec.structs.asdict(usage)}
