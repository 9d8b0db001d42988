"""A sealed journal as one blob: the same events, written smaller; nothing is lost.

Most of a journal is deltas, and most of a delta is not its text. So the texts of all deltas are one string, and what
else a delta has is columns: part, length in code points, milliseconds since the event before. Other events stay as they
are. The whole is deflated. Two SHA-256 are kept beside it: of the blob, so that damage on the medium is found, and of
the answer's text, so that damage by this module would be. `unpack(pack(log))` gives the events that went in.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from holdfast_protocol.codec import decode_events, encode_events
from holdfast_protocol.cursor import Epoch
from holdfast_protocol.events import Accepted, Delta, Event
from holdfast_protocol.fold import Fold

from .base import Damaged, InboxItem, Record
from .log import Log

LEVEL: Final = 6
"""Of zlib: packing is off the hot path, and is done once per answer."""

UNPACKED_BYTES_MAX: Final = 256 * 1024 * 1024
"""A blob that says it holds more is damaged: the most a journal may grow to is far below."""


class Packed(NamedTuple):
    """The blob, its SHA-256, and the SHA-256 of the answer's text in it."""

    data: bytes
    sha: bytes
    text_sha: bytes


class _Body(msgspec.Struct, frozen=True, array_like=True):
    """What is deflated. `kinds` has one byte per event: 1 for a delta in the columns, 0 for one of `others`."""

    version: int
    record: Record
    chain: list[Epoch]
    inbox: list[InboxItem]
    kinds: bytes
    parts: list[int]
    lengths: list[int]
    gaps: list[int]
    text: str
    others: bytes


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Body)
_VERSION: Final = 1


def pack(log: Log) -> Packed:
    """Write a sealed log as a blob, and read it back to be sure. Raises: Damaged if that does not give the same."""
    body = _columns(log)
    data = zlib.compress(_ENCODER.encode(body), LEVEL)
    packed = Packed(data, hashlib.sha256(data).digest(), _text_sha(log.events))
    if unpack(packed).events != log.events:
        raise Damaged(f"The journal {log.key.request_id} did not survive packing; it stays as it is.")
    return packed


def unpack(packed: Packed) -> Log:
    """The log that was packed. Raises: Damaged if it is not what was written."""
    if hashlib.sha256(packed.data).digest() != packed.sha:
        raise Damaged(
            "A stored answer was damaged on the disk, so it is not shown; restore it from a backup."
        )
    try:
        inflate = zlib.decompressobj()
        body = _DECODER.decode(inflate.decompress(packed.data, UNPACKED_BYTES_MAX))
        events = _events(body)
    except (zlib.error, msgspec.DecodeError, ValueError, StopIteration) as error:
        raise Damaged("A stored answer cannot be read; was it written by a later release?") from error
    if _text_sha(events) != packed.text_sha:
        raise Damaged("The text of a stored answer is not what was written, so it is not shown.")
    accepted = events[0]
    assert isinstance(accepted, Accepted)
    log = Log(body.record, accepted)
    log.extend(events)
    log.chain = body.chain
    log.term = body.chain[-1].term
    log.inbox = body.inbox
    log.compacted = True
    return log


def _columns(log: Log) -> _Body:
    kinds = bytearray()
    parts: list[int] = []
    lengths: list[int] = []
    gaps: list[int] = []
    texts: list[str] = []
    others: list[Event] = []
    before = 0
    for event in log.events:
        if isinstance(event, Delta) and event.span == 1:
            kinds.append(1)
            parts.append(event.part)
            lengths.append(len(event.text))
            gaps.append(event.at - before)
            texts.append(event.text)
        else:
            kinds.append(0)
            others.append(event)
        before = event.at
    return _Body(
        _VERSION, log.record, log.chain, log.inbox, bytes(kinds), parts, lengths, gaps, "".join(texts),
        encode_events(others),
    )  # fmt: skip


def _events(body: _Body) -> list[Event]:
    if body.version != _VERSION:
        raise ValueError(f"version {body.version}")
    out: list[Event] = []
    others = iter(decode_events(body.others))
    columns = zip(body.parts, body.lengths, body.gaps, strict=True)
    before = place = 0
    for kind in body.kinds:
        if kind:
            part, length, gap = next(columns)
            before += gap
            out.append(Delta(at=before, part=part, text=body.text[place : place + length]))
            place += length
        else:
            event = next(others)
            before = event.at
            out.append(event)
    return out


def _text_sha(events: Sequence[Event]) -> bytes:
    """SHA-256 of the text that stands at the end: the answer as the history will hold it."""
    fold = Fold().apply_all(events)
    sha = hashlib.sha256()
    for part in fold.parts:
        if part.kind == "text":
            sha.update(part.text.encode())
    return sha.digest()
