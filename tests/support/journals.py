"""Journals made in one line: what somebody asked in a chat, and what was answered, as the store would hand them over."""

from __future__ import annotations

from holdfast_protocol.events import (
    Accepted,
    Completed,
    Delta,
    Event,
    PartDone,
    PartStarted,
    Started,
)
from holdfast_server.stores.base import Owner, Record, key_of
from holdfast_server.stores.log import Log


class Clock:
    """Wall time that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


ANN = Owner("acme", "ann")
BOB = Owner("acme", "bob")
OPS = Owner("", "ops")


def asked(
    request_id: str,
    text: str | None = "Hello?",
    *,
    owner: Owner = ANN,
    chat_id: str | None = "chat",
    message_id: str | None = None,
    parent_id: str | None = None,
    at: int = 1_000,
) -> Record:
    """The record of a request; its question's id is `q-` and the request's, unless it is given."""
    return Record(
        key=key_of(owner, request_id), body_hash=request_id.encode().ljust(32, b"."), agent="demo", created_at=at,
        chat_id=chat_id, message_id=message_id or f"q-{request_id}", parent_id=parent_id, text=text,
    )  # fmt: skip


def accepted_of(record: Record) -> Accepted:
    """The event at offset 0 of that record's journal."""
    return Accepted(
        at=record.created_at, nonce="00c0ffee", agent=record.agent, chat_id=record.chat_id,
        message_id=record.message_id, parent_id=record.parent_id,
    )  # fmt: skip


def output_of(answer: str, at: int) -> list[Event]:
    """What an agent that answers in one text part puts, the outcome included."""
    return [
        PartStarted(at=at, part=0, kind="text"),
        *(Delta(at=at, part=0, text=piece) for piece in answer.split("|")),
        PartDone(at=at, part=0),
        Completed(at=at, code="stop"),
    ]


def opened(record: Record) -> Log:
    """The journal of a request that was accepted."""
    log = Log(record, accepted_of(record))
    log.extend([accepted_of(record)])
    return log


def answered(record: Record, answer: str = "Yes.", *, took_ms: int = 500) -> Log:
    """The journal of a request that was answered; `|` in the answer cuts it into deltas."""
    log = opened(record)
    at = record.created_at + took_ms
    log.extend([Started(at=record.created_at, attempt=1, term=1, nonce="0badcafe"), *output_of(answer, at)])
    return log
