"""From a journal to rows (I11): what was asked when it is accepted, what was answered when it has ended.

Each step looks at what is there and adds what is missing, so doing it again changes nothing, and the rows depend on the
journals alone, not on when or in which order they were projected: a question's row and its answer's both come from the
record, times from the journal, the title from the chat's earliest question. What has no journal (a given title, the
archive, deletion) is the history's own and is left as it is.

A deleted chat that can still be restored takes rows like any other, unseen, so that restoring it misses nothing. Of an
erased one, and of an answer that was deleted, nothing is written, ever; the journal is noted as to be erased.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import BigInteger, Row, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from holdfast_server.stores.base import Owner, Record
from holdfast_server.stores.log import Log

from . import chat_rows, message_rows
from .message_rows import hash_of
from .search import TITLE, Document, SearchIndex
from .tables import keys, messages, named, of, place_of
from .titles import title_from

log = structlog.get_logger(__name__)

_ADD: Final = insert(messages)
_END: Final = update(messages).where(named(messages, "message_id"))
_EARLIER: Final = (
    select(messages.c.message_id)
    .where(named(messages, "chat_id", "role"), messages.c.place <= bindparam("place_max", type_=BigInteger))
    .limit(1)
)


async def opened(connection: AsyncConnection, index: SearchIndex, record: Record, now: int) -> bool:
    """The chat, the person's message, and the place of the answer. Whether anything changed."""
    owner, request_id, chat_id = record.key.owner, record.key.request_id, record.chat_id
    assert chat_id is not None
    if await chat_rows.is_to_erase(connection, owner, request_id):
        return False
    chat = await chat_rows.find(connection, owner, chat_id)
    if chat is not None and chat.erased:
        await chat_rows.note_erasure(connection, owner, request_id, now)
        return False
    ids = [request_id] if record.message_id is None else [request_id, record.message_id]
    there = await message_rows.where(connection, owner, ids)
    found = there.get(request_id)
    if found is not None:
        if found.role != "assistant" or found.chat_id != chat_id:
            # Doors refuse such ids; should one get here, the message that was first keeps it.
            log.error("an answer's id is another message's", request_id=request_id)
        return False
    values: dict[str, Any] = {}
    if chat is None:
        await chat_rows.create(
            connection, owner, chat_id, now, agent=record.agent, created_at=record.created_at,
            updated_at=record.created_at, seen_at=record.created_at,
        )  # fmt: skip
    else:
        values = {
            "created_at": min(chat.created_at, record.created_at),
            "updated_at": max(chat.updated_at, record.created_at),
            "seen_at": max(chat.seen_at, record.created_at),
        }
    if record.text is not None and record.message_id is not None:
        values |= await _asked(connection, index, record, chat, there.get(record.message_id))
    parent_id = record.message_id if record.message_id is not None else record.parent_id
    await _add(
        connection, owner, message_id=request_id, chat_id=chat_id, parent_id=parent_id, role="assistant", text="",
        created_at=record.created_at, request_id=request_id, body_hash=record.body_hash, agent=record.agent,
    )  # fmt: skip
    if values:
        await chat_rows.change(connection, owner, chat_id, now, **values)
    return True


async def _asked(
    connection: AsyncConnection,
    index: SearchIndex,
    record: Record,
    chat: Row[Any] | None,
    there: Row[Any] | None,
) -> dict[str, Any]:
    """Write the person's message; what of the chat follows from it. `chat`: as it was before, `there`: what has the
    message's id already."""
    owner, chat_id, message_id, text = record.key.owner, record.chat_id, record.message_id, record.text
    assert chat_id is not None
    assert message_id is not None
    assert text is not None
    if there is not None:
        if there.role != "user" or there.chat_id != chat_id:
            log.error("a message's id is another message's", message_id=message_id)
        return {}
    place = place_of(record.created_at, answer=False)
    first = chat is None or await _is_first(connection, owner, chat_id, place)
    await _add(
        connection, owner, message_id=message_id, chat_id=chat_id, parent_id=record.parent_id, role="user",
        text=text, sha256=hash_of(text), created_at=record.created_at, size=len(text.encode()),
    )  # fmt: skip
    await index.put(connection, Document(owner, chat_id, message_id, place, text))
    if not first or (chat is not None and chat.title_given):
        return {}
    title = title_from(text)
    made_at = record.created_at if chat is None else chat.created_at
    await index.put(connection, Document(owner, chat_id, TITLE, place_of(made_at, answer=False), title))
    return {"title": title}


async def _is_first(connection: AsyncConnection, owner: Owner, chat_id: str, place: int) -> bool:
    values = {**of(owner, chat_id=chat_id, role="user"), "place_max": place}
    return (await connection.execute(_EARLIER, values)).one_or_none() is None


async def _add(connection: AsyncConnection, owner: Owner, **values: Any) -> None:
    row = {
        "sha256": None, "transcript": None, "status": None, "size": 0, "request_id": None, "body_hash": None,
        "agent": None, **values,
    }  # fmt: skip
    row["place"] = place_of(row["created_at"], answer=row["role"] == "assistant")
    await connection.execute(_ADD, keys(owner, **row))


async def sealed(connection: AsyncConnection, index: SearchIndex, journal: Log, now: int) -> bool:
    """The answer; before it, what `opened` should have written. Whether anything changed."""
    record, owner = journal.record, journal.key.owner
    assert record.chat_id is not None
    assert journal.sealed
    if journal.erased:
        return False
    request_id = record.key.request_id
    found = await message_rows.find(connection, owner, request_id)
    changed = False
    if found is None or found.request_id is None or found.chat_id != record.chat_id:
        changed = await opened(connection, index, record, now)
        found = await message_rows.find(connection, owner, request_id)
    if found is None or found.request_id is None or found.chat_id != record.chat_id:
        return changed
    if found.transcript is not None:
        return changed
    transcript = journal.fold().transcript()
    text, blob = transcript.text, msgspec.msgpack.encode(transcript)
    values: dict[str, Any] = {
        "text": text, "sha256": hash_of(text), "transcript": blob, "status": transcript.status,
        "size": len(text.encode()) + len(blob),
    }  # fmt: skip
    await connection.execute(_END, {**of(owner, message_id=request_id), **values})
    await index.put(connection, Document(owner, record.chat_id, request_id, found.place, text))
    chat = await chat_rows.find(connection, owner, record.chat_id)
    assert chat is not None
    updated_at = max(chat.updated_at, journal.updated_at)
    values = {}
    ended_at = journal.outcome.at if journal.outcome is not None else journal.updated_at
    # By time and id, so that it does not depend on which of two that end at once is projected first.
    if (ended_at, request_id) > (chat.last_ended_at or 0, chat.last_request_id or ""):
        values = {"last_request_id": request_id, "last_status": transcript.status, "last_ended_at": ended_at}
    await chat_rows.change(connection, owner, record.chat_id, now, updated_at=updated_at, **values)
    return True
