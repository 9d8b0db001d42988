"""Statements on messages: pages, branches, subtrees. Each takes the transaction it belongs to.

A message is never changed; an answer's row is made when its request is accepted and completed once, when that has ended.
Parents are followed by the database in one statement, never a query per message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec
from sqlalchemy import CTE, Integer, Row, Select, and_, bindparam, delete, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from holdfast_protocol.lifecycle import Status
from holdfast_protocol.limits import PAGE_BYTES_MAX
from holdfast_protocol.replies import MessageRow
from holdfast_protocol.transcript import Transcript
from holdfast_server.stores.base import Owner

from . import chat_rows
from .marks import RowMark
from .search import IDS_PER_STATEMENT_MAX, SearchIndex
from .tables import messages, named, of, owned

BRANCH_MESSAGES_MAX: Final = 10_000
"""Messages of a branch that an agent is given, the nearest ones; its context ends long before."""

BRANCH_BYTES_MAX: Final = 8 * 1024 * 1024
"""Bytes of a branch, transcripts included, that are read for an agent."""

_TRANSCRIPT: Final = msgspec.msgpack.Decoder(Transcript)


_THESE: Final = and_(named(messages), messages.c.message_id.in_(bindparam("of_message_ids", expanding=True)))
_FIND: Final = select(messages).where(named(messages, "message_id"))
_SOME: Final = select(messages).where(_THESE)
_WHERE: Final[Select[Any]] = select(
    messages.c.message_id, messages.c.chat_id, messages.c.parent_id, messages.c.role
).where(_THESE)


def _branch() -> Select[Any]:
    columns = (messages.c.message_id, messages.c.parent_id, messages.c.size)
    first = select(*columns, literal(0).label("depth")).where(named(messages, "chat_id", "message_id"))
    walk: CTE = first.cte("walk", recursive=True)
    up = select(*columns, walk.c.depth + 1).where(
        named(messages, "chat_id"),
        messages.c.message_id == walk.c.parent_id,
        walk.c.depth + 1 < bindparam("depth_max", type_=Integer),
    )
    walk = walk.union_all(up)
    return select(walk.c.message_id, walk.c.size).order_by(walk.c.depth)


def _leaf() -> Select[Any]:
    child = messages.alias("child")
    follows = select(child.c.message_id).where(
        child.c.tenant == messages.c.tenant,
        child.c.user == messages.c.user,
        child.c.chat_id == messages.c.chat_id,
        child.c.parent_id == messages.c.message_id,
    )
    return (
        select(messages.c.message_id)
        .where(named(messages, "chat_id"), ~follows.exists())
        .order_by(messages.c.place.desc(), messages.c.message_id.desc())
        .limit(1)
    )


_BRANCH: Final = _branch()
_LEAF: Final = _leaf()


def hash_of(text: str) -> bytes:
    """What the text is checked against when it is read."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def message_row(row: Row[Any]) -> MessageRow:
    """As readers see it. `damaged`: what is stored is not what was written; what is left of it is shown."""
    transcript, text = None, row.text
    damaged = row.sha256 is not None and hash_of(text) != row.sha256
    if row.transcript is not None:
        try:
            transcript = _TRANSCRIPT.decode(row.transcript)
        except msgspec.DecodeError:
            damaged = True
        else:
            if hash_of(transcript.text) != row.sha256:
                damaged = True
            elif damaged:
                text = transcript.text  # this copy is whole
    return MessageRow(
        message_id=row.message_id, chat_id=row.chat_id, role=row.role, parent_id=row.parent_id,
        created_at=row.created_at, text=text, transcript=transcript, status=row.status, damaged=damaged,
    )  # fmt: skip


async def find(connection: AsyncConnection, owner: Owner, message_id: str) -> Row[Any] | None:
    """The message's row, whichever chat it is in."""
    return (await connection.execute(_FIND, of(owner, message_id=message_id))).one_or_none()


async def where(connection: AsyncConnection, owner: Owner, message_ids: Iterable[str]) -> dict[str, Row[Any]]:
    """Those of these few messages that are there, in whichever chat: chat_id, parent_id and role of each."""
    found = await connection.execute(_WHERE, of(owner, message_ids=list(message_ids)))
    return {row.message_id: row for row in found}


async def outcome(connection: AsyncConnection, owner: Owner, message_id: str) -> tuple[Status, str] | None:
    """How an answer ended, and in which chat; None if there is none of this id."""
    where = owned(messages, owner, message_id=message_id)
    query = select(messages.c.status, messages.c.chat_id).where(where, messages.c.transcript.is_not(None))
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else (row.status, row.chat_id)


async def _of_ids(connection: AsyncConnection, owner: Owner, message_ids: Sequence[str]) -> list[MessageRow]:
    rows: dict[str, MessageRow] = {}
    for i in range(0, len(message_ids), IDS_PER_STATEMENT_MAX):
        some = message_ids[i : i + IDS_PER_STATEMENT_MAX]
        for row in await connection.execute(_SOME, of(owner, message_ids=some)):
            rows[row.message_id] = message_row(row)
    return [rows[message_id] for message_id in message_ids]


async def page(
    connection: AsyncConnection, owner: Owner, chat_id: str, limit: int, before: RowMark | None
) -> tuple[list[MessageRow], RowMark | None]:
    """The chat's messages, newest first: `limit`, or fewer if they are large, but one at least."""
    query = (
        select(messages.c.message_id, messages.c.place, messages.c.size)
        .where(owned(messages, owner, chat_id=chat_id))
        .order_by(messages.c.place.desc(), messages.c.message_id.desc())
        .limit(limit + 1)
    )
    if before is not None:
        after = tuple_(messages.c.place, messages.c.message_id) < tuple_(before.place, before.row_id)
        query = query.where(after)
    places = (await connection.execute(query)).all()
    taken = _fitting([row.size for row in places[:limit]], PAGE_BYTES_MAX)
    mark = RowMark(places[taken - 1].place, places[taken - 1].message_id) if len(places) > taken else None
    return await _of_ids(connection, owner, [row.message_id for row in places[:taken]]), mark


def _fitting(sizes: Sequence[int], bytes_max: int) -> int:
    """How many of these fit, at least one (if there is one)."""
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if count and total > bytes_max:
            return count
    return len(sizes)


async def branch(
    connection: AsyncConnection, owner: Owner, chat_id: str, message_id: str, limit: int
) -> list[MessageRow]:
    """From the root (or as far up as the bounds reach) to this message; empty if it is not in this chat."""
    values = of(owner, chat_id=chat_id, message_id=message_id)
    found = await connection.execute(_BRANCH, {**values, "depth_max": limit})
    sizes = {
        row.message_id: row.size for row in found
    }  # a ring of parents, which no door lets in, shows each once
    taken = _fitting(list(sizes.values()), BRANCH_BYTES_MAX)
    return await _of_ids(connection, owner, list(sizes)[:taken][::-1])


async def newest_leaf(connection: AsyncConnection, owner: Owner, chat_id: str) -> str | None:
    """The newest message that nothing follows."""
    leaf: str | None = (await connection.execute(_LEAF, of(owner, chat_id=chat_id))).scalar_one_or_none()
    return leaf


async def delete_subtree(
    connection: AsyncConnection, index: SearchIndex, owner: Owner, chat_id: str, message_id: str, *, now: int
) -> list[str] | None:
    """Delete the message and everything under it: the ids of the answers among them; None if it is not there."""
    columns = (messages.c.message_id, messages.c.request_id)
    here = owned(messages, owner, chat_id=chat_id)
    walk = select(*columns).where(here, messages.c.message_id == message_id).cte("walk", recursive=True)
    walk = walk.union(select(*columns).where(and_(here, messages.c.parent_id == walk.c.message_id)))
    found = (await connection.execute(select(walk))).all()
    if not found:
        return None
    ids = [row.message_id for row in found]
    for i in range(0, len(ids), IDS_PER_STATEMENT_MAX):
        some = ids[i : i + IDS_PER_STATEMENT_MAX]
        await index.remove(connection, owner, chat_id, some)
        # By the key alone: with the chat in the condition SQLite would read the whole chat for every statement.
        which = and_(owned(messages, owner), messages.c.message_id.in_(some))
        await chat_rows.note_erasures_of(connection, which, now)
        await connection.execute(delete(messages).where(which))
    return [row.request_id for row in found if row.request_id is not None]
