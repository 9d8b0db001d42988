"""The fold: events in, transcript out; the one reading of a journal that server and clients share.

fold(snapshot at k + events from k) == fold(all events), for every k. Three things keep that law true:

- superseding cuts the *list* of parts, never a text in its middle: `keep` is everything, nothing, or what stood at a
  checkpoint, and a checkpoint may only stand where no part is open;
- whatever the transcript shows is determined by events that a snapshot keeps (see rewrite.py);
- a terminal event closes every open part, so no reader is left with something that looks as if it still ran.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from . import events as ev
from . import transcript as tr
from .digest import Digest, digest_of
from .errors import IllegalEvent
from .lifecycle import OUTCOME_STATUSES, Status, next_status
from .live_part import LivePart


class _Opaque(Exception):
    """The event is for a part that an unknown kind opened: nothing to do."""


_COVERED: Final = ("text", "reasoning", "tool", "input")


class Fold:
    """A transcript in the making. `keep_text=False` follows the lifecycle and the digest without holding any text."""

    __slots__ = (
        "_keep_text", "accepted", "checkpoints", "offset", "outcome", "parts", "started", "status", "unknown", "usage",
    )  # fmt: skip

    def __init__(self, *, keep_text: bool = True) -> None:
        self._keep_text = keep_text
        self.offset = 0
        self.status: Status = "new"
        self.accepted: ev.Accepted | None = None
        self.started: ev.Started | None = None
        self.parts: list[LivePart] = []
        self.checkpoints: list[tuple[int, int]] = []
        self.usage: ev.Usage | None = None
        self.outcome: ev.Outcome | None = None
        self.unknown = 0

    # -- writing ---------------------------------------------------------------------------------------------

    def apply(self, event: ev.Event) -> None:
        """Take the next event. Raises: IllegalEvent, and then nothing has changed."""
        status = next_status(self.status, event)
        step = _STEPS.get(type(event))
        if step is None:
            self.unknown += 1
            self._unknown(event)
        else:
            try:
                step(self, event)
            except _Opaque:
                self.unknown += 1
        self.status = status
        self.offset += event.span

    def apply_all(self, events: Iterable[ev.Event]) -> Fold:
        """Take events in order; returns itself. Raises: IllegalEvent at the first that does not fit."""
        for event in events:
            self.apply(event)
        return self

    def _part(self, index: int, *kinds: str) -> LivePart:
        if index >= len(self.parts):
            raise IllegalEvent(f"part {index} is not there")
        part = self.parts[index]
        if part.kind not in kinds:
            if part.kind == "unknown":
                raise _Opaque
            raise IllegalEvent(f"part {index} is a {part.kind} part")
        return part

    def _add(self, index: int, part: LivePart) -> None:
        if index != len(self.parts):
            raise IllegalEvent(f"part {index} opened, but {len(self.parts)} is the next free number")
        self.parts.append(part)

    def _unknown(self, event: ev.Event) -> None:
        if isinstance(event, ev.Unknown) and event.part == len(self.parts) and self.status == "running":
            self.parts.append(LivePart("unknown", {"at": event.at, "event": event.type}))

    def _accepted(self, event: ev.Accepted) -> None:
        self.accepted = event

    def _started(self, event: ev.Started) -> None:
        if event.keep == "none":
            del self.parts[:], self.checkpoints[:]
        elif event.keep != "all":
            for place, (offset, count) in enumerate(self.checkpoints):
                if offset == event.keep:
                    del self.parts[count:], self.checkpoints[place + 1 :]
                    break
            else:
                raise IllegalEvent(f"keep={event.keep} is not the offset of a checkpoint")
        self.started = event

    def _checkpoint(self, _: ev.Checkpoint) -> None:
        if any(part.open for part in self.parts):
            raise IllegalEvent("a checkpoint cannot stand while a part is open")
        self.checkpoints.append((self.offset, len(self.parts)))

    def _waiting(self, event: ev.Waiting) -> None:
        self._add(event.part, LivePart("wait", _fields(event, "part", "span"), open_=True, state="open"))

    def _decided(self, event: ev.Decided) -> None:
        part = self._part(event.part, "wait")
        if not part.open or part.fields["wait_id"] != event.wait_id:
            raise IllegalEvent(f"{event.wait_id} does not wait")
        part.open = False
        part.state = "expired" if event.expired else "decided"
        part.fields["decision"] = event.decision

    def _part_started(self, event: ev.PartStarted) -> None:
        self._add(event.part, LivePart(event.kind, {"at": event.at}, open_=True))

    def _delta(self, event: ev.Delta) -> None:
        part = self._part(event.part, "text", "reasoning", "tool")
        if not part.open or part.state == "called":
            raise IllegalEvent(f"part {event.part} takes no more text")
        part.shown(event.text, self._keep_text)

    def _part_done(self, event: ev.PartDone) -> None:
        part = self._part(event.part, "text", "reasoning", "tool")
        if not part.open or part.state == "called":
            raise IllegalEvent(f"part {event.part} was complete")
        if part.kind == "tool":
            part.state = "called"
            part.open = part.fields["where"] == "server"
        else:
            part.open = False

    def _tool_call(self, event: ev.ToolCall) -> None:
        self._add(event.part, LivePart("tool", _fields(event, "part", "span"), open_=True, state="input"))

    def _tool_result(self, event: ev.ToolResult) -> None:
        part = self._part(event.part, "tool")
        if part.state != "called":
            raise IllegalEvent(f"part {event.part} has no call to answer")
        part.shown(event.output, False)
        part.result = event.output if self._keep_text else ""
        part.state = "failed" if event.is_error else "done"
        part.open = False

    def _progress(self, event: ev.Progress) -> None:
        fields = _fields(event, "part", "span", "kind", "state")
        fields["step_kind"] = event.kind
        self._replace(event.part, "progress", fields, event.state)

    def _data(self, event: ev.Data) -> None:
        self._replace(event.part, "data", _fields(event, "part", "span"), "")

    def _replace(self, index: int, kind: str, fields: dict[str, Any], state: str) -> None:
        if index == len(self.parts):
            self.parts.append(LivePart(kind, fields, state=state))
            return
        part = self._part(index, kind)
        fields["at"] = part.fields["at"]
        part.fields, part.state = fields, state

    def _source(self, event: ev.Source) -> None:
        self._add(event.part, LivePart("source", _fields(event, "part", "span")))

    def _file(self, event: ev.File) -> None:
        self._add(event.part, LivePart("file", _fields(event, "part", "span")))

    def _input(self, event: ev.Input) -> None:
        part = LivePart("input", _fields(event, "part", "span", "text"))
        part.shown(event.text, self._keep_text)
        self._add(event.part, part)

    def _usage(self, event: ev.Usage) -> None:
        self.usage = msgspec.structs.replace(event, span=1)

    def _outcome(self, event: ev.Outcome) -> None:
        self.outcome = msgspec.structs.replace(event, span=1)
        for part in self.parts:
            if part.kind == "tool" and part.open:
                part.state = "unknown"
            elif part.kind == "wait" and part.open:
                part.state = "closed"
            elif part.kind == "progress" and part.state == "running":
                part.state = "done" if isinstance(event, ev.Completed) else "stopped"
            part.open = False

    # -- reading ---------------------------------------------------------------------------------------------

    @property
    def sealed(self) -> bool:
        """Whether the terminal event has been taken."""
        return self.status in OUTCOME_STATUSES

    def digest(self) -> Digest:
        """The digest of what the parts show now."""
        return digest_of((part.kind, part.bytes, part.crc) for part in self.parts if part.kind in _COVERED)

    def transcript(self) -> tr.Transcript:
        """The value at this point; costs its size. Needs `keep_text`."""
        accepted, started = self.accepted, self.started
        value = tr.Transcript(
            offset=self.offset,
            status=self.status,
            parts=[part.frozen() for part in self.parts],
            checkpoints=list(self.checkpoints),
            usage=self.usage,
            outcome=self.outcome,
        )
        if accepted is not None:
            value.agent, value.nonce, value.accepted_at = accepted.agent, accepted.nonce, accepted.at
            value.chat_id, value.message_id, value.parent_id = (
                accepted.chat_id,
                accepted.message_id,
                accepted.parent_id,
            )
            value.append_only, value.projections = accepted.append_only, dict(accepted.projections)
        if started is not None:
            value.attempt, value.term, value.term_nonce = started.attempt, started.term, started.nonce
            value.reason, value.started_at = started.reason, started.at
        return value


def fold(events: Iterable[ev.Event]) -> tr.Transcript:
    """The transcript of a whole prefix. Raises: IllegalEvent."""
    return Fold().apply_all(events).transcript()


def _fields(event: ev.Event, *without: str) -> dict[str, Any]:
    values = {name: getattr(event, name) for name in event.__struct_fields__}
    for name in without:
        del values[name]
    return values


_STEPS: Final[dict[type, Callable[[Fold, Any], None]]] = {
    ev.Accepted: Fold._accepted,
    ev.Started: Fold._started,
    ev.Checkpoint: Fold._checkpoint,
    ev.Waiting: Fold._waiting,
    ev.Decided: Fold._decided,
    ev.PartStarted: Fold._part_started,
    ev.Delta: Fold._delta,
    ev.PartDone: Fold._part_done,
    ev.ToolCall: Fold._tool_call,
    ev.ToolResult: Fold._tool_result,
    ev.Progress: Fold._progress,
    ev.Data: Fold._data,
    ev.Source: Fold._source,
    ev.File: Fold._file,
    ev.Input: Fold._input,
    ev.Usage: Fold._usage,
    **dict.fromkeys(ev.OUTCOMES, Fold._outcome),
}

__all__ = ["Fold", "fold"]
