"""The disk under the embedded stores: what one commit hands it, and how a commit is written and read again.

Everything that a tick changed is one *segment*: per journal its new events and, where its state changed, the increments
of that state. So a commit costs one row, however many journals it serves, and starting means reading the segments in
order. A sealed journal leaves the segments by being *packed* into a row of its own (blob.py); segments below the first
one that an unpacked journal still needs are dropped, by a commit later than the one that made them needless.

A commit that failed may have been written all the same. Its number is used again by the next one, which overwrites what
it may have left; nothing of it was applied, and nobody was told that it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol, TypeVar
from zlib import crc32

import msgspec

from holdfast_protocol.codec import decode_events, encode_events
from holdfast_protocol.cursor import Epoch
from holdfast_protocol.events import Accepted, Event, Unknown

from .base import Account, InboxItem, Key, Owner, Record, Summary
from .blob import Packed
from .log import Log

T = TypeVar("T")


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a commit changed beside the events: lists are additions, the rest are values. With `record` the journal begins
    here, or is restated: what earlier segments say of it is void."""

    record: Record | None = None
    version: int = 0
    parked: bool = False
    released: bool = False
    projected: bool = False
    removed: bool = False
    inbox_seen: int = 0
    epochs: list[Epoch] = []
    inbox: list[InboxItem] = []
    accounts: list[Account] = []


class Entry(NamedTuple):
    """One journal in a segment; `base` is the offset of its first event here."""

    number: int
    base: int
    events: Sequence[Event]
    state: State | None


class Cold(NamedTuple):
    """The row of a packed journal."""

    number: int
    summary: Summary
    ended_at: int
    packed: Packed
    accounts: list[Account]


class Batch(NamedTuple):
    """One commit, whole or not at all. `strict`: it holds an open, an input or a seal, which `durability = power` brings
    to the medium before it returns. `frees`: it only makes room, so it may use the reserve of a full disk."""

    seq: int
    entries: list[Entry]
    cold: list[Cold]
    removed: list[Key]
    projected: list[Key]
    accounts: list[tuple[Key, Account]]
    drop_below: int
    strict: bool
    frees: bool


class Found(NamedTuple):
    """A packed journal as it was found."""

    number: int
    summary: Summary
    packed: Packed


class Restored(NamedTuple):
    """What the disk held at the start. `late` are marks that reached the segments of journals after they were packed."""

    logs: list[Log]
    first_seq: dict[int, int]
    next_seq: int
    next_number: int
    late: list[tuple[Key, State]]


class Disk(Protocol):
    """Where the embedded store's commits go. All calls may raise Unavailable; `commit` also StorageFull."""

    async def start(self) -> Restored:
        """Open it and read what it holds."""

    async def close(self) -> None:
        """Let go of it."""

    async def commit(self, batch: Batch) -> None:
        """Make the batch durable, whole. One call at a time."""

    @property
    def segment_bytes(self) -> int:
        """What the segments take up."""

    @property
    def first_seq(self) -> int:
        """No segment below this number is there."""

    async def offload(self, work: Callable[[], T]) -> T:
        """Run what would hold up the loop."""

    async def find(self, key: Key) -> Found | None:
        """The packed journal of this key."""

    async def head(self, key: Key) -> Summary | None:
        """Its row alone, without the blob."""

    async def accounts(self, key: Key) -> list[Account] | None:
        """The accounts of a packed journal, None if there is no such journal."""

    async def page(
        self, owner: Owner | None, chat_id: str | None, below: int | None, limit: int
    ) -> list[tuple[int, Summary]]:
        """Packed journals by falling number."""

    async def unprojected(self, limit: int) -> list[Key]:
        """Packed journals of chats that the history has not taken, oldest first."""

    async def purgeable(self, older_than_ms: int, over_bytes: int, limit: int) -> list[Key]:
        """Packed journals that may go: ended before `older_than_ms`, or among the oldest that together make up
        `over_bytes`."""

    async def packed_bytes(self) -> int:
        """What the packed journals take up."""


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(tuple[list[tuple[int, int, msgspec.Raw, State | None]], list[Key]])


def encode_segment(entries: Sequence[Entry], removed: Sequence[Key] = ()) -> bytes:
    """The stored form: CRC-32 (4 bytes), then one MessagePack array. What is removed is named in it although its row goes
    too: segments from before its packing may be there still, and must not bring it back."""
    rows = [(entry.number, entry.base, _stored(entry.events), entry.state) for entry in entries]
    body = _ENCODER.encode((rows, removed))
    return crc32(body).to_bytes(4, "big") + body


def _stored(events: Sequence[Event]) -> Sequence[Event] | msgspec.Raw:
    """Events that a later release wrote go out as the bytes they came in."""
    if any(isinstance(event, Unknown) for event in events):
        return msgspec.Raw(encode_events(events))
    return events


class Replay:
    """Reads segments in order, and ends with the journals that they hold."""

    def __init__(self, cold: Callable[[int], tuple[int, Key] | None]) -> None:
        """`cold` tells the segment number at which a journal was packed, and its key; None if it was not."""
        self._cold = cold
        self._logs: dict[int, Log] = {}
        self._first: dict[int, int] = {}
        self._late: list[tuple[Key, State]] = []
        self._next_number = 1
        self._next_seq = 1

    def feed(self, seq: int, blob: bytes) -> None:
        """Take the next segment. Raises: ValueError if it is damaged."""
        body = blob[4:]
        if crc32(body) != int.from_bytes(blob[:4], "big"):
            raise ValueError(f"segment {seq} is damaged")
        entries, removed = _DECODER.decode(body)
        if removed:
            gone = set(removed)
            for number in [number for number, log in self._logs.items() if log.key in gone]:
                del self._logs[number], self._first[number]
        for number, base, raw, state in entries:
            self._next_number = max(self._next_number, number + 1)
            packed = self._cold(number)
            if packed is not None:
                if seq >= packed[0] and state is not None:
                    self._late.append((packed[1], state))
                continue
            self._entry(seq, number, base, decode_events(bytes(raw)), state)
        self._next_seq = seq + 1

    def _entry(self, seq: int, number: int, base: int, events: list[Event], state: State | None) -> None:
        if state is not None and state.record is not None:
            accepted = events[0]
            assert isinstance(accepted, Accepted)
            log = self._logs[number] = Log(state.record, accepted)
            log.number = number
            self._first[number] = seq
        known = self._logs.get(number)
        if known is None:  # it was removed, or restated later while its first segments are gone
            return
        if known.tail != base:
            raise ValueError(f"segment {seq} does not continue journal {number}: {base} after {known.tail}")
        known.extend(events)
        if state is not None:
            self._state(known, state)

    def _state(self, log: Log, state: State) -> None:
        if state.removed:
            del self._logs[log.number], self._first[log.number]
            return
        log.version, log.parked, log.released = state.version, state.parked, state.released
        log.projected, log.inbox_seen = state.projected, state.inbox_seen
        log.chain.extend(state.epochs)
        log.term = log.chain[-1].term
        log.inbox.extend(state.inbox)
        for account in state.accounts:
            log.accounts[account.term] = account

    def restored(self, next_seq: int = 1, next_number: int = 1) -> Restored:
        """What the segments held; numbers go on from here, or from what was packed."""
        logs = list(self._logs.values())
        return Restored(
            logs, self._first, max(self._next_seq, next_seq), max(self._next_number, next_number), self._late
        )
