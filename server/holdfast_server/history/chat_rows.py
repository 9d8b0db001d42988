"""Statements on chats. Each takes the transaction it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Row,
    bindparam,
    case,
    delete,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from holdfast_protocol.replies import ChatRow
from holdfast_server.stores.base import Owner, key_of

from . import reader_rows
from .marks import RowMark
from .search import SearchIndex
from .tables import chats, erasures, keys, messages, named, new_in, of, owned

TOMBSTONE_KEPT_MS: Final = 30 * 24 * 3600 * 1000
"""How long an erased chat's id stays known as deleted: a device that was away must not bring it back to life with a
question that it still held; a month is longer than a client keeps unsent questions."""

CHATS_ERASED_AT_ONCE_MAX: Final = 20
"""Chats erased in one transaction, so that others are not kept waiting."""

ERASURES_READ_MAX: Final = 1_000
"""Requests handed out for erasure at once; the next sweep goes on."""

NOTHING_ENDED: Final[dict[str, Any]] = {"last_request_id": None, "last_status": None, "last_ended_at": None}

_NOW: Final = bindparam("now", type_=BigInteger)
_FIND: Final = select(chats).where(named(chats, "chat_id"))
_CREATE: Final = insert(chats)
_CHANGE: Final = (
    update(chats)
    .where(named(chats, "chat_id"))
    .values(version=case((chats.c.version >= _NOW, chats.c.version + 1), else_=_NOW))
)
_TO_ERASE: Final = select(erasures.c.at).where(named(erasures, "request_id"))


def chat_row(row: Row[Any]) -> ChatRow:
    """As readers see it."""
    return ChatRow(
        chat_id=row.chat_id, version=row.version, title=row.title, agent=row.agent, created_at=row.created_at,
        updated_at=row.updated_at, seen_at=row.seen_at, last_request_id=row.last_request_id,
        last_status=row.last_status, last_ended_at=row.last_ended_at or 0, archived=bool(row.archived),
        deleted=row.deleted_at is not None,
    )  # fmt: skip


async def find(connection: AsyncConnection, owner: Owner, chat_id: str) -> Row[Any] | None:
    """The chat's row, deleted or not."""
    return (await connection.execute(_FIND, of(owner, chat_id=chat_id))).one_or_none()


async def page(
    connection: AsyncConnection, owner: Owner, archived: bool, limit: int, before: RowMark | None
) -> tuple[list[ChatRow], RowMark | None]:
    """Chats in which something was said last come first."""
    query = (
        select(chats)
        .where(owned(chats, owner, archived=archived), chats.c.deleted_at.is_(None))
        .order_by(chats.c.updated_at.desc(), chats.c.chat_id.desc())
        .limit(limit + 1)
    )
    if before is not None:
        query = query.where(tuple_(chats.c.updated_at, chats.c.chat_id) < tuple_(before.place, before.row_id))
    rows = (await connection.execute(query)).all()
    page = rows[:limit]
    last = page[-1] if len(rows) > limit else None
    return [chat_row(row) for row in page], None if last is None else RowMark(last.updated_at, last.chat_id)


async def create(connection: AsyncConnection, owner: Owner, chat_id: str, now: int, **values: Any) -> None:
    """A new chat, first version: the time, so that a history made anew does not begin below what clients hold."""
    row = {
        "title": "", "title_given": False, "agent": None, "created_at": now, "updated_at": now, "seen_at": now,
        "last_request_id": None, "last_status": None, "last_ended_at": None, "archived": False, "deleted_at": None,
        "erased": False, "version": now, **values,
    }  # fmt: skip
    await connection.execute(_CREATE, keys(owner, chat_id=chat_id, **row))


async def change(connection: AsyncConnection, owner: Owner, chat_id: str, now: int, **values: Any) -> None:
    """Set these columns; the version rises, to the time if that is higher."""
    await connection.execute(_CHANGE, {**of(owner, chat_id=chat_id), "now": now, **values})


async def mark_deleted(connection: AsyncConnection, owner: Owner, chat_id: str, now: int) -> bool:
    """Write the chat's tombstone, if it has none. False: there is no such chat, or no more."""
    row = await find(connection, owner, chat_id)
    if row is None or row.erased:
        return False
    if row.deleted_at is None:
        await change(connection, owner, chat_id, now, deleted_at=now)
    return True


async def unmark_deleted(
    connection: AsyncConnection, owner: Owner, chat_id: str, now: int, undo_ms: int
) -> bool:
    """Take the chat's tombstone away, if it has one. False: there is no such chat, or it is too late."""
    row = await find(connection, owner, chat_id)
    if row is None or row.erased:
        return False
    if row.deleted_at is not None:
        if row.deleted_at <= now - undo_ms:
            return False
        await change(connection, owner, chat_id, now, deleted_at=None)
    return True


async def due(connection: AsyncConnection, now: int, undo_ms: int) -> list[tuple[Owner, str]]:
    """Chats whose deletion can no longer be taken back and which are not erased, or whose tombstones are old."""
    late = chats.c.deleted_at <= now - undo_ms
    old = chats.c.deleted_at <= now - undo_ms - TOMBSTONE_KEPT_MS
    query = (
        select(chats.c.tenant, chats.c.user, chats.c.chat_id)
        .where(late, or_(chats.c.erased.is_(False), old))
        .order_by(chats.c.deleted_at)
        .limit(CHATS_ERASED_AT_ONCE_MAX)
    )
    return [(Owner(tenant, user), chat_id) for tenant, user, chat_id in await connection.execute(query)]


async def erase(
    connection: AsyncConnection,
    index: SearchIndex,
    owner: Owner,
    chat_ids: Sequence[str],
    *,
    now: int,
    undo_ms: int,
) -> None:
    """Erase what these tombstones hold, and forget those that are old; the answers' journals are noted as to be erased.
    They may have been restored, or erased, since they were found."""
    for chat_id in chat_ids:
        row = await find(connection, owner, chat_id)
        if row is None or row.deleted_at is None or row.deleted_at > now - undo_ms:
            continue
        of_chat = owned(messages, owner, chat_id=chat_id)
        if not row.erased:
            await note_erasures_of(connection, of_chat, now)
            await connection.execute(delete(messages).where(of_chat))
            await index.remove(connection, owner, chat_id, None)
            await change(
                connection, owner, chat_id, now, title="", title_given=False, agent=None, erased=True, **NOTHING_ENDED
            )  # fmt: skip
        if row.deleted_at <= now - undo_ms - TOMBSTONE_KEPT_MS:
            await connection.execute(delete(chats).where(owned(chats, owner, chat_id=chat_id)))


async def note_erasures_of(connection: AsyncConnection, which: ColumnElement[bool], now: int) -> None:
    """Note the answers among these messages, which are about to be deleted: nothing of them is projected any more, and
    their journals are to be erased."""
    columns = (messages.c.tenant, messages.c.user, messages.c.request_id, literal(now))
    answers = select(*columns).where(which, messages.c.request_id.is_not(None))
    await connection.execute(new_in(connection, erasures).from_select(list(erasures.c.keys()), answers))


async def note_erasure(connection: AsyncConnection, owner: Owner, request_id: str, now: int) -> None:
    """As note_erasures_of, for a request of which there is no message."""
    await connection.execute(new_in(connection, erasures).values(keys(owner, request_id=request_id, at=now)))


async def to_erase(connection: AsyncConnection) -> list[tuple[Owner, list[str]]]:
    """What was noted, oldest first, by owner."""
    query = select(erasures).order_by(erasures.c.at, erasures.c.request_id).limit(ERASURES_READ_MAX)
    out: dict[Owner, list[str]] = {}
    for row in await connection.execute(query):
        out.setdefault(Owner(row.tenant, row.user), []).append(row.request_id)
    return list(out.items())


async def erased(connection: AsyncConnection, owner: Owner, request_ids: list[str]) -> None:
    """Their journals are gone; so is who followed them."""
    await reader_rows.remove(connection, (key_of(owner, request_id) for request_id in request_ids))
    for request_id in request_ids:
        await connection.execute(delete(erasures).where(owned(erasures, owner, request_id=request_id)))


async def is_to_erase(connection: AsyncConnection, owner: Owner, request_id: str) -> bool:
    """Whether the request's messages were deleted while its journal may still be there."""
    return (await connection.execute(_TO_ERASE, of(owner, request_id=request_id))).one_or_none() is not None
