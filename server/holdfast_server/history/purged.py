"""The journal of a request that was purged, made from its row in the history: short, sealed, and folding to the same.

It is another log than the one that was: its offsets are its own, so it begins a new epoch. A cursor from before the
purge is then not of this log, and its reader gets a snapshot instead of a place that means something else (I6).
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Row

from holdfast_protocol.events import Accepted, Failed
from holdfast_protocol.replies import MessageRow
from holdfast_protocol.rewrite import events_of
from holdfast_protocol.transcript import TextPart, Transcript
from holdfast_server.stores.base import Owner, Record, key_of
from holdfast_server.stores.log import Log


def purged_log(owner: Owner, row: Row[Any], message: MessageRow) -> Log:
    """The log of the answer in `row`, which `message` shows."""
    transcript = message.transcript
    if transcript is None or message.damaged:
        transcript = _damaged(row, message)
    nonce = sha256(f"purged:{transcript.nonce}:{row.request_id}".encode()).hexdigest()[:8]
    first, *rest = (replace(event, span=1) for event in events_of(transcript))
    assert isinstance(first, Accepted)
    accepted = replace(first, nonce=nonce)
    record = Record(
        key=key_of(owner, row.request_id), body_hash=row.body_hash or b"", agent=row.agent or "",
        created_at=row.created_at, chat_id=row.chat_id, message_id=transcript.message_id or row.parent_id,
        parent_id=transcript.parent_id, append_only=transcript.append_only,
    )  # fmt: skip
    log = Log(record, accepted)
    log.extend([accepted, *rest])
    log.term = transcript.term
    log.projected = log.compacted = log.purged = True
    return log


def _damaged(row: Row[Any], message: MessageRow) -> Transcript:
    """What is left of an answer that is not as it was written; it must not pass for a whole one."""
    at = row.created_at
    return Transcript(
        offset=8, status="failed", agent=row.agent or "", chat_id=row.chat_id, message_id=row.parent_id,
        accepted_at=at, attempt=1, started_at=at, nonce="0" * 8, term_nonce="0" * 8,
        parts=[TextPart(at=at, text=message.text)] if message.text else [],
        outcome=Failed(at=at, code="damaged", message="This answer was damaged where it is kept."),
    )  # fmt: skip
