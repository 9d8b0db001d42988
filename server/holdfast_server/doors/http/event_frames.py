"""One log for readers over HTTP: what they are shown from a cursor on, and how that looks as SSE and as NDJSON.

What is shown is the same in every format, and the same as over the WebSocket: a snapshot where the cursor is not good (of
which only the last event has a place to come back to), the events, and `caught_up` with the digest when a reader is at the
end of what there is, the first time, and at the end for good. Where a reader is far behind neighbours are merged, and
`span` keeps its count.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from holdfast_protocol.events import Event, Unknown, kind_of
from holdfast_protocol.limits import PAGE_BYTES_MAX
from holdfast_protocol.replies import ResetReason
from holdfast_protocol.rewrite import page_of
from holdfast_server.doors.lines import json_line
from holdfast_server.doors.streaming import SPAN_EVENTS_MAX, EventStream, follow, pieces
from holdfast_server.journal import Place, snapshot
from holdfast_server.stores.log import Log

from .operations import NDJSON, SSE
from .request_shapes import Arrival, arrival_of

DOOR: Final = "http"
"""What followers through this door are noted as."""

FAR_EVENTS: Final = SPAN_EVENTS_MAX
"""A reader that is farther behind than one look of the stream is shown merged events: each keeps a place to come back to,
but one for many."""

RETRY_MS: Final = 1_000
"""How long EventSource waits before it comes back."""

_encode: Final = msgspec.json.Encoder().encode


def plain(event: Event) -> Any:
    """What to write as JSON for an event: itself, or, of a kind that this release does not know, what it was."""
    return msgspec.msgpack.decode(event.raw) if isinstance(event, Unknown) else event


class Format(Protocol):
    """How a reader's frames look. A cursor is None where a reader cannot come back to."""

    media: str
    opening: bytes

    def event(self, event: Event, cursor: str | None) -> bytes: ...

    def snapshot(self, reason: ResetReason) -> bytes: ...

    def caught_up(self, arrival: Arrival) -> bytes: ...

    def gone(self) -> bytes: ...


class Sse:
    """Server-sent events: `event` is the kind, `id` the cursor behind it, `data` its JSON."""

    media = SSE
    opening = b"retry: %d\n" % RETRY_MS

    def event(self, event: Event, cursor: str | None) -> bytes:
        return _frame(kind_of(event), json_line(plain(event)), cursor)

    def snapshot(self, reason: ResetReason) -> bytes:
        return _frame("snapshot", json_line({"reason": reason}), None)

    def caught_up(self, arrival: Arrival) -> bytes:
        return _frame("caught_up", json_line(arrival), arrival.cursor)

    def gone(self) -> bytes:
        return _frame("gone", b"{}", None)


def _frame(kind: str, data: bytes, cursor: str | None) -> bytes:
    # A kind of a later release may be any text: a line break in it must not become a field of ours.
    name = kind.replace("\r", " ").replace("\n", " ").encode()
    place = b"" if cursor is None else b"id: %s\n" % cursor.encode()
    return b"event: %s\n%sdata: %s\n\n" % (name, place, data)


class Ndjson:
    """One JSON object a line: {"cursor", "event"}, {"snapshot"}, {"caught_up"} or {"gone"}; empty lines are only a sign of
    life."""

    media = NDJSON
    opening = b""

    def event(self, event: Event, cursor: str | None) -> bytes:
        return json_line({"cursor": cursor, "event": plain(event)}) + b"\n"

    def snapshot(self, reason: ResetReason) -> bytes:
        return json_line({"snapshot": reason}) + b"\n"

    def caught_up(self, arrival: Arrival) -> bytes:
        return json_line({"caught_up": arrival}) + b"\n"

    def gone(self) -> bytes:
        return json_line({"gone": True}) + b"\n"


FORMATS: Final[dict[str, Format]] = {SSE: Sse(), NDJSON: Ndjson()}


class Stretch(NamedTuple):
    """Some of the log, as it is shown; `after` is the offset behind it."""

    events: Sequence[Event]
    after: int


def stretch(log: Log, first: int, last: int, *, merged: bool) -> Stretch:
    """The log from `first` to `last` at most; merged, as much as one page takes."""
    if not merged or last - first <= 1:
        return Stretch(log.events[first:last], last)
    events, after = page_of(log.events, first, last, PAGE_BYTES_MAX)
    return Stretch(events, after)


async def write_log(stream: EventStream, log: Log, place: Place, form: Format) -> None:
    """Everything from this place to the end of the log, or until the server closes. Raises: ReaderGone."""
    if form.opening:
        await stream.write(form.opening)
    offset, reset = place
    told = False
    while True:
        if reset is not None:
            told = False
            offset = await _write_snapshot(stream, log, reset, form)
            reset = None
        if offset == log.tail and not told and not log.erased:
            told = True
            await stream.write(form.caught_up(arrival_of(log)))
        async for first, last in _ranges(stream, log, offset):
            if log.superseded_at > first:  # what would be shown was dropped: the present is the shorter way
                reset = "superseded"
                break
            merged = log.tail - first > FAR_EVENTS
            for piece in pieces(_frames(log, first, last, form, merged=merged)):
                await stream.write(piece)
            offset = last
            log.fold()  # moved on as it grows: the digest at the end then costs a step
            if last == log.tail and (log.sealed or not told):
                told = True
                await stream.write(form.caught_up(arrival_of(log)))
        if reset is None:
            break
    if log.erased:
        await stream.write(form.gone())


async def _ranges(stream: EventStream, log: Log, start: int) -> AsyncIterator[tuple[int, int]]:
    async with aclosing(follow(stream, log, start, DOOR)) as ranges:  # type: ignore[type-var]
        async for one in ranges:
            yield one


async def _write_snapshot(stream: EventStream, log: Log, reason: ResetReason, form: Format) -> int:
    """The present as a log; the offset behind it."""
    tail = log.tail
    cursor = str(log.cursor(tail))
    events = snapshot(log)

    def frames() -> Iterator[bytes]:
        yield form.snapshot(reason)
        for number, event in enumerate(events, 1):
            yield form.event(event, cursor if number == len(events) else None)

    for piece in pieces(frames()):
        await stream.write(piece)
    return tail


def _frames(log: Log, first: int, last: int, form: Format, *, merged: bool) -> Iterator[bytes]:
    """The frames of a range, made as they are taken."""
    while first < last:
        shown = stretch(log, first, last, merged=merged)
        offset = first
        for event in shown.events:
            offset += event.span
            yield form.event(event, str(log.cursor(offset)))
        first = shown.after
