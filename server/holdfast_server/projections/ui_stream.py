"""AI SDK: a log as the chunks of one UI message.

The whole answer is one step of the message. When a new attempt drops what was shown, `reset-step` takes the step back and
what stands is told again, under new ids, so the reader's message always equals the answer. The AI SDK has `reset-step` from
7 on; for readers of 5 and 6 the stream ends in an error instead, and the next one tells what stands.
"""

from __future__ import annotations

from typing import Any, Final

from holdfast_protocol import events as ev
from holdfast_protocol.fold import Fold
from holdfast_protocol.live_part import LivePart

from .base import Asked
from .ui_parts import Chunk, call_of, finish_reason, input_chunk, output_chunk, usage_of, whole_chunk

RELOAD: Final = "Another attempt replaced what was shown. Load the chat again to see what stands."

_GROWING: Final = ("text", "reasoning")

_OF_A_PART: Final = (
    ev.Waiting, ev.Decided, ev.PartStarted, ev.Delta, ev.PartDone, ev.ToolCall, ev.ToolResult, ev.Progress, ev.Data,
    ev.Source, ev.File, ev.Input,
)  # fmt: skip


class _Told:
    """What was told of one part."""

    __slots__ = ("announced", "call_id", "done", "id", "kind", "whole")

    def __init__(self, kind: str, part_id: str, call_id: str) -> None:
        self.kind = kind
        self.id = part_id
        self.call_id = call_id
        self.announced = False
        self.done = False
        self.whole: Chunk | None = None


class UiStreamProjection:
    """Made for one log and fed its events in order from offset 0, merged or not, or a snapshot of it.

    `reset_steps`: whether the reader knows `reset-step`. `message_id`: the message that the answer goes on in, when the client
    sent one of its own to be continued; otherwise the request's id.
    """

    version = 1

    def __init__(self, asked: Asked, *, reset_steps: bool, message_id: str | None = None) -> None:
        self._request_id = asked.request_id
        self._message_id = message_id or asked.request_id
        self._reset_steps = reset_steps
        self._fold = Fold()
        self._told: list[_Told | None] = []
        self._call_ids: set[str] = set()
        self._metadata: dict[str, Any] = {}
        self._life = 0
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether no chunk can follow any more."""
        return self._ended

    def apply(self, event: ev.Event) -> list[Chunk]:
        """Take the next event; the chunks that it makes. Raises: IllegalEvent."""
        if self._ended:
            return []
        unknown = self._fold.unknown
        self._fold.apply(event)
        out: list[Chunk] = []
        if self._fold.unknown > unknown:
            return out
        if isinstance(event, ev.Accepted):
            self._metadata = self._metadata_now()
            start = {"type": "start", "messageId": self._message_id, "messageMetadata": self._metadata}
            return [start, {"type": "start-step"}]
        if isinstance(event, ev.Started):
            self._supersede(out)
        elif isinstance(event, _OF_A_PART):
            self._tell(event.part, out, event.text if isinstance(event, ev.Delta) else "")
        elif isinstance(event, ev.OUTCOMES):
            self._close(event, out)
        # Not before the first part: until then `useChat` says `submitted`, and metadata would make that `streaming`.
        if not isinstance(event, ev.Delta) and any(self._told) and not self._ended:
            self._tell_metadata(out)
        return out

    # -- parts -----------------------------------------------------------------------------------------------

    def _tell(self, index: int, out: list[Chunk], delta: str = "") -> None:
        """Tell what is new of a part: `delta`, or all of it if nothing was told before."""
        part = self._fold.parts[index]
        self._told += [None] * (index + 1 - len(self._told))
        told = self._told[index]
        if told is None:
            if part.kind == "unknown":
                return
            told = self._told[index] = self._announce(index, part, out)
            delta = part.text
        if part.kind in _GROWING:
            if delta:
                out.append({"type": f"{part.kind}-delta", "id": told.id, "delta": delta})
            if not part.open:
                self._end_text(told, out)
        elif part.kind == "tool":
            self._tell_tool(part, told, out, delta)
        else:
            self._tell_whole(part, told, out)

    def _announce(self, index: int, part: LivePart, out: list[Chunk]) -> _Told:
        part_id = f"{self._request_id}.{self._life}.{index}"
        told = _Told(part.kind, part_id, part.fields.get("call_id", ""))
        if part.kind in _GROWING:
            out.append({"type": f"{part.kind}-start", "id": told.id})
        elif part.kind == "tool":
            # Some models count their calls from zero in every turn; the AI SDK would take two with one id for one.
            if told.call_id in self._call_ids:
                told.call_id = f"{told.call_id}~{index}"
            self._call_ids.add(told.call_id)
            out.append({"type": "tool-input-start", **call_of(part, told.call_id)})
        return told

    def _end_text(self, told: _Told, out: list[Chunk]) -> None:
        if not told.done:
            told.done = True
            out.append({"type": f"{told.kind}-end", "id": told.id})

    def _tell_tool(self, part: LivePart, told: _Told, out: list[Chunk], delta: str) -> None:
        if delta:
            out.append({"type": "tool-input-delta", "toolCallId": told.call_id, "inputTextDelta": delta})
        if part.state == "input" or told.done:
            return
        if not told.announced:
            told.announced = True
            out.append(input_chunk(part, told.call_id))
            if part.state == "unknown":  # the input's chunk has said so
                told.done = True
                return
        output = output_chunk(part, told.call_id)
        if output is not None:
            told.done = True
            out.append(output)

    def _tell_whole(self, part: LivePart, told: _Told, out: list[Chunk]) -> None:
        chunk, before = whole_chunk(part, told.id), told.whole
        if chunk is None or chunk == before:
            return
        if before is not None and before["type"] != chunk["type"]:
            # The value has another name now. Its place is found by name and id, so the old one would stay beside it.
            if self._reset_steps:
                self._reset(out)
                return
            out.append({**before, "data": None})
        told.whole = chunk
        out.append(chunk)

    # -- attempts --------------------------------------------------------------------------------------------

    def _supersede(self, out: list[Chunk]) -> None:
        """Take back what the new attempt dropped, if anybody was shown any of it."""
        dropped = [told for told in self._told[len(self._fold.parts) :] if told is not None]
        if not dropped:
            return
        if self._reset_steps:
            self._reset(out)
        elif all(told.kind == "progress" for told in dropped):
            # A step of work that came to nothing can stay as that; it is no reason to break off.
            for told in dropped:
                self._stop_progress(told, out)
            del self._told[len(self._fold.parts) :]
            self._life += 1
        else:
            self._end(out, RELOAD)

    def _stop_progress(self, told: _Told, out: list[Chunk]) -> None:
        whole = told.whole
        if whole is not None and whole["data"]["state"] == "running":
            out.append({**whole, "data": {**whole["data"], "state": "stopped"}})

    def _reset(self, out: list[Chunk]) -> None:
        out.append({"type": "reset-step"})
        self._told.clear()
        self._call_ids.clear()
        self._life += 1
        for index in range(len(self._fold.parts)):
            self._tell(index, out)

    # -- the message's own -----------------------------------------------------------------------------------

    def _metadata_now(self) -> dict[str, Any]:
        accepted, started, usage = self._fold.accepted, self._fold.started, self._fold.usage
        metadata = {
            "requestId": self._request_id,
            "agent": "" if accepted is None else accepted.agent,
            "attempt": 0 if started is None else started.attempt,
            "status": self._fold.status,
        }
        return metadata if usage is None else {**metadata, "usage": usage_of(usage)}

    def _tell_metadata(self, out: list[Chunk]) -> None:
        now = self._metadata_now()
        if now != self._metadata:
            self._metadata = now
            out.append({"type": "message-metadata", "messageMetadata": now})

    def _close(self, outcome: ev.Outcome, out: list[Chunk]) -> None:
        for index in range(len(self._fold.parts)):
            self._tell(index, out)
        if isinstance(outcome, ev.Completed):
            self._ended = True
            reason = finish_reason(outcome.code, self._fold.parts)
            out.append({"type": "finish-step"})
            out.append({"type": "finish", "finishReason": reason, "messageMetadata": self._metadata_now()})
            return
        self._tell_metadata(out)
        if isinstance(outcome, ev.Cancelled):
            self._ended = True
            out.append({"type": "abort", "reason": outcome.message or outcome.code})
        else:
            kind = ev.KINDS[type(outcome)]
            self._end(out, outcome.message or f"The request ended as {kind}.")

    def _end(self, out: list[Chunk], text: str) -> None:
        """The last chunk, an error, after the end of every text that is open."""
        for told in self._told:
            if told is not None and told.kind in _GROWING:
                self._end_text(told, out)
        self._ended = True
        out.append({"type": "error", "errorText": text})
