"""Journals as Redis keeps them: fields of a hash, entries of a stream; to and from logs and rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from holdfast_protocol.codec import decode_events, encode_events
from holdfast_protocol.cursor import Epoch
from holdfast_protocol.errors import IllegalEvent
from holdfast_protocol.events import Accepted, Delta, Event, Outcome, Started, ToolCall, Usage, Waiting
from holdfast_protocol.lifecycle import OUTCOME_STATUSES, Status, next_status
from holdfast_protocol.rewrite import text_bytes
from holdfast_server.stores.base import InboxItem, Record, Summary
from holdfast_server.stores.log import Log, next_wait

from .keys import key_in

Fields = dict[bytes, bytes]

TEXT_CHARS: Final = 200
"""Of what was asked, in a row."""

_ENCODER: Final = msgspec.msgpack.Encoder(order="deterministic")
_RECORD: Final = msgspec.msgpack.Decoder(Record)
_ITEM: Final = msgspec.msgpack.Decoder(InboxItem)


class Static(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a row shows that never changes."""

    agent: str
    chat_id: str | None = None
    message_id: str | None = None
    parent_id: str | None = None
    created_at: int = 0
    text: str = ""


_STATIC: Final = msgspec.msgpack.Decoder(Static)


def encode(value: object) -> bytes:
    """The stored form; the same bytes for what is equal. Raises: IllegalEvent if there is none."""
    try:
        return _ENCODER.encode(value)
    except (UnicodeEncodeError, msgspec.EncodeError, TypeError, OverflowError, RecursionError) as error:
        raise IllegalEvent(f"it cannot be stored: {error}") from None


def encoded_events(events: Sequence[Event]) -> bytes:
    """The stored form of a batch. Raises: IllegalEvent if there is none."""
    try:
        return encode_events(events)
    except (UnicodeEncodeError, msgspec.EncodeError, TypeError, OverflowError, RecursionError) as error:
        raise IllegalEvent(f"it cannot be stored: {error}") from None


def fields_in(flat: Sequence[bytes]) -> Fields:
    """A hash as a call gives it."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


# -- what goes in ------------------------------------------------------------------------------------------------


def static_of(record: Record) -> Static:
    """The part of its row that never changes."""
    asked = record.text or next(
        (message.text for message in reversed(record.messages) if message.role == "user"), ""
    )
    return Static(
        agent=record.agent, chat_id=record.chat_id, message_id=record.message_id, parent_id=record.parent_id,
        created_at=record.created_at, text=asked[:TEXT_CHARS],
    )  # fmt: skip


_PRIORITIES: Final = {"low": -1, "normal": 0, "high": 1}


def record_fields(record: Record, chat: str) -> list[bytes | str | int]:
    """The fields of a journal that follow from what was asked; `chat` is the quoted chat id, or ''."""
    return [
        "rec", encode(record), "sum", encode(static_of(record)), "agent", record.agent, "chat", chat,
        "prio", _PRIORITIES[record.priority], "nb", record.not_before, "after", record.after or "",
    ]  # fmt: skip


def wait_fields(waiting: Waiting | None) -> list[bytes | str | int]:
    """The fields of the wait that is open."""
    if waiting is None:
        return ["wid", "", "wdig", "", "wexp", ""]
    expires = "" if waiting.expires_at is None else waiting.expires_at
    return ["wid", waiting.wait_id, "wdig", waiting.digest, "wexp", expires]


class Effect(NamedTuple):
    """What events do to a journal's fields. `row`: its row changes in a way that everybody is told; `ends`: with an
    outcome."""

    fields: list[bytes | str | int]
    row: bool
    ends: bool


def effect(log: Log, events: Sequence[Event]) -> Effect:
    """What these, put at the log's tail, make of its fields. Raises: IllegalEvent if they do not fit."""
    status: Status = log.status
    waiting, row, size, tools = log.waiting, False, log.bytes, log.tools
    fields: list[bytes | str | int] = []
    for event in events:
        size += text_bytes(event)
        if type(event) is Delta and status == "running":
            continue
        before, status = status, next_status(status, event)
        waiting = next_wait(waiting, event)
        row = row or status != before or isinstance(event, Started)
        if isinstance(event, Started):
            fields += ["att", event.attempt]
            if not log.starts and "start" not in fields:
                fields += ["start", event.at]
        elif isinstance(event, Outcome):
            fields += ["out", encoded_events([event])]
        elif isinstance(event, Usage):
            fields += ["use", encoded_events([event])]
        elif isinstance(event, ToolCall):
            tools += 1
    if status != log.status:
        fields += ["st", status]
    if tools != log.tools:
        fields += ["tools", tools]
    if waiting is not log.waiting:
        fields += wait_fields(waiting)
    fields += ["bytes", size, "at", max(log.updated_at, events[-1].at)]
    return Effect(fields, row, status in OUTCOME_STATUSES)


def whole_fields(log: Log, nonce: str, chat: str) -> list[bytes | str | int]:
    """All fields of a log whose term this node holds, or held to its end, under `nonce`; as they were before the end."""
    fields: list[bytes | str | int] = [
        *record_fields(log.record, chat),
        "bh", log.record.body_hash, "n", log.number, "st", "running" if log.sealed else log.status, "ver", log.version, "term", log.term,
        "nonce", nonce, "inb", len(log.inbox), "ins", log.inbox_seen, "proj", int(log.projected),
        "at", log.updated_at, "att", log.attempt, "tools", log.tools, "bytes", log.bytes,
        *wait_fields(log.waiting),
    ]  # fmt: skip
    for epoch in log.chain:
        fields += [f"c{epoch.term}", f"{epoch.nonce}:{epoch.start}"]
    if log.starts:
        fields += ["start", log.events[log.starts[0]].at]
    if log.usage is not None:
        fields += ["use", encoded_events([log.usage])]
    return fields


def said(item: InboxItem) -> str:
    """What tells whether two inputs of one id say the same."""
    return hashlib.sha256(encode((item.digest, item.value))).hexdigest()[:32]


def beside(log: Log) -> tuple[int, int, list[bytes | str | int]]:
    """How many inputs and accounts the log has, and they as they are stored: (name, value)..."""
    out: list[bytes | str | int] = []
    for place, item in enumerate(log.inbox):
        out += [f"{item.kind}:{item.id}", f"{place:06d}:{said(item)}:".encode() + encode(item)]
    for term, account in log.accounts.items():
        out += [term, encode(account)]
    return len(log.inbox), len(log.accounts), out


def end_of(log: Log) -> tuple[str, int, bytes]:
    """Status, time and event of its end; an empty status if it has not ended."""
    return (
        (log.status, log.updated_at, encode_events([log.outcome]))
        if log.outcome is not None
        else ("", 0, b"")
    )


# -- what comes out ----------------------------------------------------------------------------------------------


def chain_in(fields: Fields) -> list[Epoch]:
    """The chain of epochs."""
    chain = []
    for name, value in fields.items():
        if name[:1] == b"c" and name[1:].isdigit():
            nonce, start = value.decode().split(":")
            chain.append(Epoch(int(name[1:]), nonce, int(start)))
    chain.sort()
    return chain


def summary_in(prefix: str, fields: Fields) -> Summary:
    """The row of the request."""
    static = _STATIC.decode(fields[b"sum"])
    started, outcome, usage = fields.get(b"start"), fields.get(b"out"), fields.get(b"use")
    return Summary(
        key=key_in(prefix), agent=static.agent, status=fields[b"st"].decode(),  # type: ignore[arg-type]
        chat_id=static.chat_id, message_id=static.message_id, parent_id=static.parent_id,
        created_at=static.created_at, updated_at=int(fields[b"at"]), attempt=int(fields.get(b"att", 0)),
        version=int(fields[b"ver"]), text=static.text, outcome=_one(outcome), projected=fields[b"proj"] == b"1",
        number=int(fields[b"n"]), started_at=None if started is None else int(started), usage=_one(usage),
        tools=int(fields.get(b"tools", 0)),
    )  # fmt: skip


def _one(blob: bytes | None) -> Any:
    return decode_events(blob)[0] if blob else None


def inbox_in(values: Sequence[bytes]) -> list[InboxItem]:
    """The inbox in order, from `<place>:<sha>:<item>`."""
    return [_ITEM.decode(value.split(b":", 2)[2]) for value in sorted(values)]


def item_in(value: bytes) -> InboxItem:
    """One input."""
    return _ITEM.decode(value)


def entries_in(stream: Sequence[Any]) -> list[tuple[int, bytes]]:
    """(end, events) of each entry of a stream."""
    return [(int(id_.split(b"-")[1]), pair[1]) for id_, pair in stream]


def log_in(fields: Fields, record: bytes, entries: Sequence[tuple[int, bytes]]) -> Log:
    """A log with all its events; its state is still to be set. Raises: msgspec.DecodeError, IllegalEvent on damage."""
    events: list[Event] = []
    for _, blob in entries:
        events += decode_events(blob)
    accepted = events[0]
    if not isinstance(accepted, Accepted):
        raise IllegalEvent("a journal begins with something else than its acceptance")
    log = Log(_RECORD.decode(record), accepted)
    log.extend(events)
    log.number = int(fields[b"n"])
    return log


def set_state(log: Log, fields: Fields) -> None:
    """Make the log's state what the fields say; its events are its own matter."""
    log.version, log.number = int(fields[b"ver"]), int(fields[b"n"])
    log.lease, log.released = fields[b"lease"] == b"1", fields[b"rel"] == b"1"
    log.parked, log.projected = fields[b"park"] == b"1", fields[b"proj"] == b"1"
    log.inbox_seen = int(fields[b"ins"])
    log.updated_at = max(log.updated_at, int(fields[b"at"]))
    term = int(fields[b"term"])
    if term != log.term or len(log.chain) <= term:
        log.term, log.chain = term, chain_in(fields)


def set_chain(log: Log, fields: Fields) -> None:
    """Add the epochs that the log does not know yet: events are shown under the epoch that wrote them, so this comes before
    they do."""
    term = int(fields[b"term"])
    if term > log.term:
        log.term, log.chain = term, chain_in(fields)


def same_past(log: Log, fields: Fields) -> bool:
    """Whether the stored journal is this one, so far as both go: each term that both know has the same epoch, and one that only
    the store knows begins where this log ends, or later: it did not go on from an older copy."""
    for epoch in log.chain:
        value = fields.get(b"c%d" % epoch.term)
        if value is not None and value != f"{epoch.nonce}:{epoch.start}".encode():
            return False
    following = fields.get(b"c%d" % (log.chain[-1].term + 1))
    return following is None or int(following.rpartition(b":")[2]) >= log.tail


def last_id(log: Log, end: int | None = None) -> str:
    """The id of the entry that ends at `end` (the log's tail if it is None): the term is the one that wrote it."""
    end = log.tail if end is None else end
    term = next((epoch.term for epoch in reversed(log.chain) if epoch.start < end), 0)
    return f"{term}-{end}"


def entries_of(log: Log, ends: Sequence[int], base: int = 0) -> list[bytes | str | int]:
    """(id, events)... of the log after `base`, cut as they were committed."""
    out: list[bytes | str | int] = []
    start = 0
    for end in ends:
        if end > base:
            out += [last_id(log, end), encode_events(log.events[start:end])]
        start = end
    return out
