"""From a journal to rows (I11): what was asked when it is accepted, what was answered when it has ended.

Each step looks at what is there and adds what is missing, so doing it again changes nothing, and the rows depend on the
journals alone, not on when or in which order they were projected: a question's row and its answer's both come from the
record, times from the journal, the title from the chat's earliest question. What has no journal (a given title, the
archive, deletion) is the history's own and is left as it is.

A deleted chat that can still be restored takes rows like any other, unseen, so that restoring it misses nothing. Of an
erased one, and of an answer that was deleted, nothing is written, ever; the journal is noted as to be erased.
"""

from __future__ import annotations

from typing import Any

import msgspec
import structlog
from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from holdfast_server.stores.base import Owner, Record
from holdfast_server.stores.log import Log

from . import chat_rows, message_rows
from .message_rows import hash_of
from .search import TITLE, Document, SearchIndex
from .tables import keys, messages, owned, place_of
from .titles import title_from

log = structlog.get_logger(__name__)


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
    found = await message_rows.find(connection, owner, request_id)
    if found is not None:
        if found.request_id is None or found.chat_id != chat_id:
            # Doors refuse such ids; should one get here, the message that was first keeps it.
            log.error("an answer's id is another message's", request_id=request_id)
        return False
    if chat is None:
        await chat_rows.create(
            connection, owner, chat_id, now, agent=record.agent, created_at=record.created_at,
            updated_at=record.created_at, seen_at=record.created_at,
        )  # fmt: skip
        chat = await chat_rows.find(connection, owner, chat_id)
        assert chat is not None
    values: dict[str, Any] = {}
    if record.text is not None and record.message_id is not None:
        values = await _asked(connection, index, record, chat)
    parent_id = record.message_id if record.message_id is not None else record.parent_id
    await _add(
        connection, owner, message_id=request_id, chat_id=chat_id, parent_id=parent_id, role="assistant", text="",
        created_at=record.created_at, request_id=request_id, body_hash=record.body_hash, agent=record.agent,
    )  # fmt: skip
    await chat_rows.change(
        connection, owner, chat_id, now, created_at=min(chat.created_at, record.created_at),
        updated_at=max(chat.updated_at, record.created_at), seen_at=max(chat.seen_at, record.created_at), **values,
    )  # fmt: skip
    return True


async def _asked(
    connection: AsyncConnection, index: SearchIndex, record: Record, chat: Row[Any]
) -> dict[str, Any]:
    """Write the person's message; what of the chat follows from it."""
    owner, message_id, text = record.key.owner, record.message_id, record.text
    assert message_id is not None
    assert text is not None
    there = await message_rows.find(connection, owner, message_id)
    if there is not None:
        if there.role != "user" or there.chat_id != chat.chat_id:
            log.error("a message's id is another message's", message_id=message_id)
        return {}
    earlier = select(messages.c.message_id).where(
        owned(messages, owner, chat_id=chat.chat_id, role="user"),
        messages.c.place <= place_of(record.created_at, answer=False),
    )
    first = (await connection.execute(earlier.limit(1))).one_or_none() is None
    await _add(
        connection, owner, message_id=message_id, chat_id=chat.chat_id, parent_id=record.parent_id, role="user",
        text=text, sha256=hash_of(text), created_at=record.created_at, size=len(text.encode()),
    )  # fmt: skip
    place = place_of(record.created_at, answer=False)
    await index.put(connection, Document(owner, chat.chat_id, message_id, place, text))
    if not first or chat.title_given:
        return {}
    title = title_from(text)
    await index.put(
        connection, Document(owner, chat.chat_id, TITLE, place_of(chat.created_at, answer=False), title)
    )
    return {"title": title}


async def _add(connection: AsyncConnection, owner: Owner, **values: Any) -> None:
    row = {
        "sha256": None, "transcript": None, "status": None, "size": 0, "request_id": None, "body_hash": None,
        "agent": None, **values,
    }  # fmt: skip
    row["place"] = place_of(row["created_at"], answer=row["role"] == "assistant")
    await connection.execute(insert(messages).values(keys(owner, **row)))


async def sealed(connection: AsyncConnection, index: SearchIndex, journal: Log, now: int) -> bool:
    """The answer; before it, what `opened` should have written. Whether anything changed."""
    record, owner = journal.record, journal.key.owner
    assert record.chat_id is not None
    assert journal.sealed
    if journal.erased:
        return False
    changed = await opened(connection, index, record, now)
    request_id = record.key.request_id
    found = await message_rows.find(connection, owner, request_id)
    if found is None or found.request_id is None or found.chat_id != record.chat_id:
        return changed
    if found.transcript is not None:
        return changed
    transcript = journal.fold().transcript()
    text, blob = transcript.text, msgspec.msgpack.encode(transcript)
    await connection.execute(
        update(messages)
        .where(owned(messages, owner, message_id=request_id))
        .values(
            text=text, sha256=hash_of(text), transcript=blob, status=transcript.status,
            size=len(text.encode()) + len(blob),
        )
    )  # fmt: skip
    await index.put(connection, Document(owner, record.chat_id, request_id, found.place, text))
    chat = await chat_rows.find(connection, owner, record.chat_id)
    assert chat is not None
    updated_at = max(chat.updated_at, journal.updated_at)
    values: dict[str, Any] = {}
    ended_at = journal.outcome.at if journal.outcome is not None else journal.updated_at
    # By time and id, so that it does not depend on which of two that end at once is projected first.
    if (ended_at, request_id) > (chat.last_ended_at or 0, chat.last_request_id or ""):
        values = {"last_request_id": request_id, "last_status": transcript.status, "last_ended_at": ended_at}
    await chat_rows.change(connection, owner, record.chat_id, now, updated_at=updated_at, **values)
    return True
