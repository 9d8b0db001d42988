"""Fewer events, same transcript: what the wire carries instead of the log.

`events_of` writes a transcript as the shortest log that folds to it: a snapshot is such a log, so a reader needs one
reading of events for both, and a purged request is served the same way as a live one. `page_of` takes a stretch of the
log and merges neighbours: deltas of one part become one, a progress step or data part shows its last state. `span`
keeps count, so offsets stay true through both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from . import events as ev
from . import transcript as tr
from .limits import MERGED_DELTA_BYTES_MAX, PAGE_BYTES_MAX

_FLAT: Final = (ev.PartStarted, ev.PartDone, ev.Checkpoint, ev.Usage)
"""Kinds that hold no free text or value: the flat charge is their weight."""

_encode: Final = msgspec.msgpack.Encoder().encode


def events_of(value: tr.Transcript) -> list[ev.Event]:
    """A log that folds to `value`. Events that stand for none of their own have span 0; the event before a checkpoint
    and the last one carry what was left out, so checkpoints keep their offsets and the spans add up to `offset`."""
    if value.status == "new":
        return []
    out: list[ev.Event] = [_accepted(value)]
    if value.attempt:
        out.append(_started(value))
    if value.usage is not None:
        out.append(replace(value.usage, span=0))
    marks: list[int] = []
    checkpoints = list(value.checkpoints)
    for number, part in enumerate(value.parts):
        while checkpoints and checkpoints[0][1] <= number:
            _mark(out, marks, checkpoints.pop(0)[0])
        last = number + 1 == len(value.parts)
        out.extend(_part_events(value, number, part, last))
    while checkpoints:
        _mark(out, marks, checkpoints.pop(0)[0])
    if value.outcome is not None:
        out.append(replace(value.outcome, span=0))
    missing = value.offset - sum(event.span for event in out)
    assert missing >= 0, "a transcript cannot hold more checkpoints than events"
    _widen(out, missing)
    return out


def _widen(out: list[ev.Event], missing: int) -> None:
    """Let the last event stand for `missing` more; an unknown one says so in its own bytes."""
    last = out[-1]
    span = last.span + missing
    if isinstance(last, ev.Unknown):
        out[-1] = _opaque(last.at, last.part, last.type, span)
    else:
        out[-1] = replace(last, span=span)


def _opaque(at: int, part: int | None, kind: str, span: int) -> ev.Unknown:
    """What is left in a snapshot of an event that opened a part nobody here can show: its kind, time and number."""
    raw = _encode({"type": kind, "at": at, "span": span, "part": part})
    return ev.Unknown(at=at, span=span, type=kind, part=part, raw=raw)


def _mark(out: list[ev.Event], marks: list[int], offset: int) -> None:
    """A checkpoint at `offset`: the event before it takes up what was left out."""
    missing = offset - sum(event.span for event in out)
    assert missing >= 0
    _widen(out, missing)
    at = out[-1].at
    out.append(ev.Checkpoint(at=at))
    marks.append(offset)


def _accepted(value: tr.Transcript) -> ev.Accepted:
    return ev.Accepted(
        at=value.accepted_at or 0,
        span=0,
        nonce=value.nonce,
        agent=value.agent,
        chat_id=value.chat_id,
        message_id=value.message_id,
        parent_id=value.parent_id,
        append_only=value.append_only,
        projections=dict(value.projections),
    )


def _started(value: tr.Transcript) -> ev.Started:
    reason: ev.Reason = value.reason or "first"  # type: ignore[assignment]
    return ev.Started(
        at=value.started_at or 0,
        span=0,
        attempt=value.attempt,
        term=value.term,
        nonce=value.term_nonce,
        reason=reason,
    )


def _part_events(value: tr.Transcript, number: int, part: tr.TranscriptPart, last: bool) -> list[ev.Event]:
    at = part.at
    match part:
        case tr.TextPart() | tr.ReasoningPart():
            kind: Literal["text", "reasoning"] = "text" if isinstance(part, tr.TextPart) else "reasoning"
            out: list[ev.Event] = [ev.PartStarted(at=at, span=0, part=number, kind=kind)]
            out += _text(at, number, part.text)
            if not part.open:
                out.append(ev.PartDone(at=at, span=0, part=number))
            return out
        case tr.ToolPart():
            return _tool_events(number, part)
        case tr.ProgressPart():
            state: Literal["running", "done", "failed"] = "running" if part.state == "stopped" else part.state
            return [
                ev.Progress(
                    at=at, span=0, part=number, id=part.id, label=part.label, kind=part.step_kind, step=part.step,
                    total=part.total, percent=part.percent, state=state,
                )
            ]  # fmt: skip
        case tr.DataPart():
            return [ev.Data(at=at, span=0, part=number, id=part.id, name=part.name, data=part.data)]
        case tr.SourcePart():
            return [ev.Source(at=at, span=0, part=number, id=part.id, url=part.url, title=part.title)]
        case tr.FilePart():
            media_type = part.media_type
            return [
                ev.File(
                    at=at,
                    span=0,
                    part=number,
                    id=part.id,
                    url=part.url,
                    media_type=media_type,
                    name=part.name,
                )
            ]
        case tr.InputPart():
            return [ev.Input(at=at, span=0, part=number, id=part.id, text=part.text)]
        case tr.WaitPart():
            return _wait_events(value, number, part, last)
        case tr.UnknownPart():
            return [_opaque(at, number, part.event, 0)]
    raise AssertionError(part)


def _tool_events(number: int, part: tr.ToolPart) -> list[ev.Event]:
    at = part.at
    out: list[ev.Event] = [
        ev.ToolCall(at=at, span=0, part=number, call_id=part.call_id, name=part.name, where=part.where)
    ]
    out += _text(at, number, part.arguments)
    if part.state in ("called", "done", "failed"):
        out.append(ev.PartDone(at=at, span=0, part=number))
    if part.state in ("done", "failed"):
        error = part.state == "failed"
        out.append(ev.ToolResult(at=at, span=0, part=number, output=part.result, is_error=error))
    return out


def _wait_events(value: tr.Transcript, number: int, part: tr.WaitPart, last: bool) -> list[ev.Event]:
    out: list[ev.Event] = [
        ev.Waiting(
            at=part.at, span=0, part=number, wait_id=part.wait_id, kind=part.wait_kind, body=part.body,
            digest=part.digest, expires_at=part.expires_at,
        )
    ]  # fmt: skip
    decided = part.state in ("decided", "expired")
    # `completed` too: it can only follow while running, the other outcomes while waiting as well.
    if not last or decided or value.status in ("running", "completed"):
        out.append(_started(value))
    if decided:
        expired = part.state == "expired"
        out.append(
            ev.Decided(
                at=part.at, span=0, part=number, wait_id=part.wait_id, decision=part.decision, expired=expired
            )
        )
    return out


def _text(at: int, number: int, text: str) -> list[ev.Event]:
    """The text as deltas of at most MERGED_DELTA_BYTES_MAX; a code point has at most four bytes."""
    size = MERGED_DELTA_BYTES_MAX if text.isascii() else MERGED_DELTA_BYTES_MAX // 4
    return [ev.Delta(at=at, span=0, part=number, text=text[i : i + size]) for i in range(0, len(text), size)]


def text_bytes(event: ev.Event) -> int:
    """What an event weighs in a page: a flat charge, and the UTF-8 bytes of its text; for kinds that hold values, all of
    their encoded bytes, because a data part may be as large as any text."""
    if isinstance(event, ev.Delta):
        text = event.text
    elif isinstance(event, ev.ToolResult):
        text = event.output
    elif isinstance(event, _FLAT):
        return 64
    elif isinstance(event, ev.Unknown):
        return 64 + len(event.raw)
    else:
        return 64 + len(_encode(event))
    return 64 + (len(text) if text.isascii() else len(text.encode()))


def page_of(
    events: Sequence[ev.Event], first: int = 0, last: int | None = None, bytes_max: int = PAGE_BYTES_MAX
) -> tuple[list[ev.Event], int]:
    """Merge from index `first` up to `last` (or the end) until the page is full: the merged events, and the index after
    the last one taken. Takes at least one event. What was taken and what was given fold alike.

    Events that merge commute with each other across parts, so within a run of them each part's events become one, at
    the place of its first; anything else ends the run.
    """
    stop = len(events) if last is None else last
    out: list[ev.Event] = []
    texts: dict[int, list[str]] = {}  # index in out -> pieces of a merged delta
    run: dict[int, int] = {}  # part -> index in out, while neighbours merge
    sizes: dict[int, int] = {}  # index in out -> bytes of a merged delta
    room = bytes_max
    index = first
    while index < stop:
        event = events[index]
        size = text_bytes(event)
        if size > room and index > first:
            break
        room -= size
        index += 1
        if not isinstance(event, ev.MERGEABLE):
            run.clear()
            out.append(event)
            continue
        place = run.get(event.part)
        if isinstance(event, ev.Delta):
            if place is None or sizes[place] + size > MERGED_DELTA_BYTES_MAX:
                run[event.part] = place = len(out)
                texts[place], sizes[place] = [event.text], size
                out.append(event)
            else:
                texts[place].append(event.text)
                sizes[place] += size
                before = out[place]
                out[place] = ev.Delta(at=event.at, span=before.span + event.span, part=event.part, text="")
        elif place is None:
            run[event.part] = len(out)
            out.append(event)
        else:
            before = out[place]
            out[place] = replace(event, at=before.at, span=before.span + event.span)
    for place, pieces in texts.items():
        if len(pieces) > 1:
            out[place] = replace(out[place], text="".join(pieces))
    return out, index
