"""Frames made of logs: pages, snapshots and `caught_up`, each encoded once and shared by all who need the same one."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from holdfast_protocol.digest import Digest
from holdfast_protocol.events import Event
from holdfast_protocol.pushes import CaughtUp, Page, Snapshot
from holdfast_protocol.replies import ResetReason
from holdfast_protocol.rewrite import page_of

from .connection import DeliveryLimits, Encoder
from .journal import digest, snapshot
from .stores.log import Log

FRAME_BYTES_MAX: Final = 512 * 1024
"""Encoded bytes of a page with more than one event: escapes may double its text in JSON, and what they do beyond that is
cut, so that no frame comes near the 1 MiB at which common clients give up."""


def page(codec: Encoder, log: Log, first: int, last: int, bytes_max: int) -> tuple[bytes, int]:
    """A page of the log from offset `first`, up to `last` at most, merged: its frame, and the offset after it."""
    return _page(codec, log, log.events, index=first, last=last, start=first, bytes_max=bytes_max)


def _page(
    codec: Encoder, log: Log, events: Sequence[Event], *, index: int, last: int, start: int, bytes_max: int
) -> tuple[bytes, int]:
    """The page of events[index:last], which begins at offset `start`: its frame, and the index after it."""
    while True:
        shown: Any
        if last - index == 1:
            shown, stop = [events[index]], last
        else:
            shown, stop = page_of(events, index, last, bytes_max)
        after = start
        for event in shown:
            after += event.span
        push = Page(request_id=log.key.request_id, start=start, next=str(log.cursor(after)), events=shown)
        frame = codec.encode(push)
        if len(frame) <= FRAME_BYTES_MAX or stop - index == 1:
            return frame, stop
        bytes_max = min(bytes_max // 2, bytes_max * FRAME_BYTES_MAX // len(frame))


def pages_of(codec: Encoder, log: Log, first: int, last: int, bytes_max: int) -> list[tuple[bytes, int]]:
    """The whole range as pages, mostly one: each frame, and the offset after it."""
    pages = []
    while first < last:
        frame, first = page(codec, log, first, last, bytes_max)
        pages.append((frame, first))
    return pages


@dataclass(frozen=True, slots=True)
class Shot:
    """A snapshot at `offset`, encoded."""

    offset: int
    pages: tuple[bytes, ...]


@dataclass(slots=True)
class _Kept:
    """What is kept of one log."""

    shots: dict[Encoder, Shot] = field(default_factory=dict)
    digest: tuple[int, Digest] | None = None
    caught_up: dict[Encoder, tuple[tuple[int, int], bytes]] = field(default_factory=dict)
    bytes: int = 0


class Shots:
    """Snapshots and digests, kept within a bound of bytes; the longest unused go first."""

    def __init__(self, limits: DeliveryLimits) -> None:
        self._limits = limits
        self._kept: OrderedDict[weakref.ref[Log], _Kept] = OrderedDict()
        self._bytes = 0

    @property
    def kept_bytes(self) -> int:
        """What the kept snapshots weigh."""
        return self._bytes

    def begin(self, codec: Encoder, log: Log, reason: ResetReason) -> bytes:
        """The push that announces a snapshot."""
        return codec.encode(Snapshot(request_id=log.key.request_id, reason=reason))

    def shot(self, codec: Encoder, log: Log) -> Shot:
        """A snapshot of the log that shows nothing superseded and is not much older than its tail."""
        kept = self._keep(log)
        shot = kept.shots.get(codec)
        if shot is not None and self._good(shot, log):
            return shot
        events = snapshot(log)
        index, start, pages = 0, 0, []
        while index < len(events):
            bytes_max = self._limits.page_bytes
            frame, stop = _page(
                codec, log, events, index=index, last=len(events), start=start, bytes_max=bytes_max
            )
            start += sum(event.span for event in events[index:stop])
            index = stop
            pages.append(frame)
        fresh = Shot(log.tail, tuple(pages))
        size = sum(map(len, pages))
        change = size - sum(map(len, shot.pages if shot is not None else ()))
        kept.shots[codec] = fresh
        kept.bytes += change
        self._bytes += change
        self._trim()
        return fresh

    def _good(self, shot: Shot, log: Log) -> bool:
        age = log.tail - shot.offset
        return age == 0 or (age <= self._limits.snapshot_age_events and not log.superseded(shot.offset))

    def caught_up(self, codec: Encoder, log: Log) -> bytes:
        """The push that ends a catching up: the digest at the tail."""
        kept = self._keep(log)
        held = kept.caught_up.get(codec)
        place = (log.tail, log.term)  # a claim gives the same tail another cursor
        if held is not None and held[0] == place:
            return held[1]
        if kept.digest is None or kept.digest[0] != log.tail:
            kept.digest = (log.tail, digest(log))
        shown = kept.digest[1]
        push = CaughtUp(
            request_id=log.key.request_id,
            # of a log that was made from the history, events stand for several: the fold knows the offset
            cursor=str(log.cursor(log.fold().offset)),
            parts=shown.parts,
            bytes=shown.bytes,
            digest=shown.crc,
            sealed=log.sealed,
        )
        frame = codec.encode(push)
        kept.caught_up[codec] = (place, frame)
        self._trim()
        return frame

    def drop(self, log: Log) -> None:
        """Forget the log: it was erased."""
        self._forget(weakref.ref(log))

    def _keep(self, log: Log) -> _Kept:
        place = weakref.ref(log, self._forget)
        kept = self._kept.get(place)
        if kept is None:
            kept = self._kept[place] = _Kept()
        else:
            self._kept.move_to_end(place)
        return kept

    def _forget(self, place: weakref.ref[Log]) -> None:
        kept = self._kept.pop(place, None)
        if kept is not None:
            self._bytes -= kept.bytes

    def _trim(self) -> None:
        limits = self._limits
        while len(self._kept) > 1 and (
            self._bytes > limits.snapshot_bytes or len(self._kept) > limits.snapshot_logs
        ):
            place, kept = self._kept.popitem(last=False)
            self._bytes -= kept.bytes
            log = place()
            if log is not None and log.sealed:
                log.forget_fold()
