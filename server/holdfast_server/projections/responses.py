"""OpenAI's Responses API: a log as stream events with dense sequence numbers, and as the Response object.

Items are numbered over all attempts: neither an `output_index` nor an id is ever used for another item, because clients
index what they gather by them. Where an attempt drops some of what was shown, the items that were open end as incomplete,
`holdfast.superseded` names all that do not stand any more, and the work goes on in new items; the last event's Response
lists those that stand. The one item that comes again is a function call whose `call_id` comes again after it was dropped:
the call's id is its identity in OpenAI's client, which breaks off if two items have the same. It keeps its place and is
told once more when its arguments are complete.

What OpenAI has no word for is told in events whose names begin with `holdfast.`. Its Python client hands unknown events on,
but the `stream` of its JavaScript client breaks off at one. So a door sends them only to those who ask for them, and leaves
them out for all others (`is_extension`); they are numbered in either case, so a number means the same event to everybody,
and no client minds a number that is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from holdfast_protocol import events as ev
from holdfast_protocol.fold import Fold

from .base import Asked
from .response_items import Annotation, Item, ItemKind, ItemStatus
from .response_object import ResponseObject, cut_short

_TEXT_EVENTS: Final[dict[ItemKind, str]] = {
    "message": "response.output_text",
    "reasoning": "response.reasoning_text",
    "function_call": "response.function_call_arguments",
    "mcp_call": "response.mcp_call_arguments",
}
"""What the growth of an item's text is called; `.delta` and `.done` follow."""


def is_extension(frame: dict[str, Any]) -> bool:
    """Whether the event is one of ours, which a client of OpenAI's may not know what to do with."""
    kind: str = frame["type"]
    return kind.startswith("holdfast.")


class ResponsesProjection:
    """Made for one log and fed its events in order from offset 0. The numbers are those of the log as it was written; fed
    a log with merged events, the object is still right and the numbers are not."""

    version = 1

    def __init__(self, asked: Asked) -> None:
        self._request_id: Final = asked.request_id
        self._object: Final = ResponseObject(asked)
        self._fold: Final = Fold()
        self._number = 0
        self._opened = 0
        self._running = False
        self._frames: list[dict[str, Any]] = []
        self._standing: list[Item] = []
        self._dropped_calls: dict[str, Item] = {}
        self._unplaced: list[Annotation] = []

    @property
    def number(self) -> int:
        """The sequence number of the next event."""
        return self._number

    @property
    def ended(self) -> bool:
        """Whether no event can follow any more."""
        return self._fold.sealed

    def apply(self, event: ev.Event) -> list[dict[str, Any]]:
        """Take the next event; the stream events that it makes, in order. Raises: IllegalEvent, and then nothing has
        changed."""
        unknown = self._fold.unknown
        self._fold.apply(event)
        frames: list[dict[str, Any]] = []
        self._frames = frames
        tell = _TELLERS.get(type(event))
        if tell is not None and self._fold.unknown == unknown:
            tell(self, event)
        return frames

    def output(self) -> list[dict[str, Any]]:
        """The items that stand, as they are now; costs their size."""
        return [item.shown() for item in self._standing]

    def response(self) -> dict[str, Any]:
        """The Response object at this point; costs the size of its output."""
        return self._object.around(self._fold, self.output())

    # -- telling ---------------------------------------------------------------------------------------------

    def _tell(self, kind: str, /, **fields: Any) -> None:
        self._frames.append({"type": kind, "sequence_number": self._number, **fields})
        self._number += 1

    def _tell_of(self, kind: str, item: Item, **fields: Any) -> None:
        self._tell(kind, item_id=item.id, output_index=item.index, **fields)

    def _tell_text(self, step: str, item: Item, **fields: Any) -> None:
        if item.kind in ("message", "reasoning"):
            fields["content_index"] = 0
        if item.kind == "message":
            fields["logprobs"] = []
        self._tell_of(f"{_TEXT_EVENTS[item.kind]}.{step}", item, **fields)

    # -- items -----------------------------------------------------------------------------------------------

    def _open(self, kind: ItemKind, number: int, call_id: str = "") -> Item:
        item = Item(kind, self._request_id, self._opened, number, self._fold.parts[number], call_id=call_id)
        self._opened += 1
        self._standing.append(item)
        self._tell("response.output_item.added", output_index=item.index, item=item.begun())
        return item

    def _item(self, number: int) -> Item:
        # The newest of them is nearly always the one that grows.
        return next(item for item in reversed(self._standing) if item.part_number == number)

    def _close(self, item: Item, status: ItemStatus) -> None:
        item.status = status
        if item.kind in ("message", "reasoning"):
            content = item.content(item.part.text)
            self._tell_text("done", item, text=content["text"])
            self._tell_of("response.content_part.done", item, content_index=0, part=content)
        self._tell("response.output_item.done", output_index=item.index, item=item.shown())

    def _cite(self, item: Item, annotation: Annotation) -> None:
        annotation.where = item.chars
        item.annotations.append(annotation)
        self._tell_of(
            "response.output_text.annotation.added",
            item,
            content_index=0,
            annotation_index=len(item.annotations) - 1,
            annotation=annotation.shown(),
        )

    def _drop(self, count: int) -> None:
        """Let go of what came from the parts from `count` on."""
        dropped = [item for item in self._standing if item.part_number >= count]
        self._standing = [item for item in self._standing if item.part_number < count]
        self._unplaced += [note for item in dropped for note in item.annotations]
        self._unplaced = [note for note in self._unplaced if note.part < count]
        for item in self._standing:
            item.annotations = [note for note in item.annotations if note.part < count]
        for item in dropped:
            if item.open:
                self._close(item, "incomplete")
            if item.kind == "function_call":
                self._dropped_calls[item.call_id] = item
        if dropped:
            self._tell(
                "holdfast.superseded",
                attempt=self._attempt(),
                item_ids=[item.id for item in dropped],
                output_indexes=[item.index for item in dropped],
            )

    def _attempt(self) -> int:
        return 0 if self._fold.started is None else self._fold.started.attempt

    # -- the request's life ----------------------------------------------------------------------------------

    def _accepted(self, _: ev.Accepted) -> None:
        self._tell("response.created", response=self.response())
        self._tell("response.queued", response=self.response())

    def _started(self, event: ev.Started) -> None:
        if event.keep != "all":
            self._drop(len(self._fold.parts))
        if not self._running:
            self._running = True
            self._tell("response.in_progress", response=self.response())

    def _outcome(self, outcome: ev.Outcome) -> None:
        whole = isinstance(outcome, ev.Completed) and not cut_short(outcome)
        for item in self._standing:
            if item.open:
                # A text that the agent left open when it had said everything is complete; a call is not.
                said = whole and item.kind in ("message", "reasoning")
                self._close(item, "completed" if said else "incomplete")
        kind = "completed" if whole else "failed"
        if isinstance(outcome, ev.Cancelled) or cut_short(outcome):
            kind = "incomplete"
        self._tell(f"response.{kind}", response=self.response())

    # -- parts that are items --------------------------------------------------------------------------------

    def _part_started(self, event: ev.PartStarted) -> None:
        item = self._open("message" if event.kind == "text" else "reasoning", event.part)
        self._tell_of("response.content_part.added", item, content_index=0, part=item.content(""))
        if item.kind == "message":
            notes, self._unplaced = self._unplaced, []
            for note in notes:
                self._cite(item, note)

    def _delta(self, event: ev.Delta) -> None:
        item = self._item(event.part)
        item.chars += len(event.text)
        if event.text and not item.again:
            self._tell_text("delta", item, delta=event.text)

    def _part_done(self, event: ev.PartDone) -> None:
        item = self._item(event.part)
        if item.kind in ("message", "reasoning"):
            self._close(item, "completed")
            return
        self._tell_text("done", item, arguments=item.part.text)
        if item.kind == "mcp_call":
            item.status = "calling"
        else:
            self._close(item, "completed")

    def _tool_call(self, event: ev.ToolCall) -> None:
        if event.where == "server":
            self._tell_of("response.mcp_call.in_progress", self._open("mcp_call", event.part))
            return
        call_id = event.call_id
        standing = {item.call_id for item in self._standing}
        # Two calls that stand under one id could not be answered apart.
        while call_id in standing:
            call_id += f"_{event.part}"
        before = self._dropped_calls.pop(call_id, None)
        if before is None:
            self._open("function_call", event.part, call_id)
            return
        before.take(event.part, self._fold.parts[event.part], again=True)
        self._standing.append(before)

    def _tool_result(self, event: ev.ToolResult) -> None:
        call = self._item(event.part)
        if call.kind == "function_call":
            self._close(self._open("function_call_output", event.part, call.call_id), "completed")
            return
        self._tell_of(f"response.mcp_call.{'failed' if event.is_error else 'completed'}", call)
        self._close(call, "failed" if event.is_error else "completed")

    def _source(self, event: ev.Source) -> None:
        note = Annotation(event.part, event.url, event.title)
        for item in reversed(self._standing):
            if item.kind == "message":
                self._cite(item, note)
                return
        # Cited before anything was said: the next message carries it, should there be one.
        self._unplaced.append(note)
        self._extension(event)

    # -- what OpenAI has no word for -------------------------------------------------------------------------

    def _extension(self, event: ev.KnownEvent) -> None:
        fields = {name: getattr(event, name) for name in _EXTENSIONS[type(event)]}
        self._tell(f"holdfast.{ev.KINDS[type(event)]}", **fields)


_EXTENSIONS: Final[dict[type, tuple[str, ...]]] = {
    ev.Progress: ("id", "label", "kind", "step", "total", "percent", "state"),
    ev.Data: ("id", "name", "data"),
    ev.Source: ("id", "url", "title"),
    ev.File: ("id", "url", "media_type", "name"),
    ev.Input: ("id", "text"),
    ev.Waiting: ("wait_id", "kind", "body", "digest", "expires_at"),
    ev.Decided: ("wait_id", "decision", "expired"),
}
"""The events that are handed on in our own words, and which of their fields; a source only where no message can cite it."""

_TELLERS: Final[dict[type, Callable[[ResponsesProjection, Any], None]]] = {
    **dict.fromkeys(_EXTENSIONS, ResponsesProjection._extension),
    ev.Accepted: ResponsesProjection._accepted,
    ev.Started: ResponsesProjection._started,
    ev.PartStarted: ResponsesProjection._part_started,
    ev.Delta: ResponsesProjection._delta,
    ev.PartDone: ResponsesProjection._part_done,
    ev.ToolCall: ResponsesProjection._tool_call,
    ev.ToolResult: ResponsesProjection._tool_result,
    ev.Source: ResponsesProjection._source,
    **dict.fromkeys(ev.OUTCOMES, ResponsesProjection._outcome),
}
