"""What of the history is there for its owner to see: a deleted chat, and what is in it, is not, and neither is another's.

Each function takes the transaction it belongs to, and says what is missing by an error.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from holdfast_protocol.lifecycle import Status
from holdfast_protocol.replies import ChatRow, MessageRow
from holdfast_server.stores.base import Owner, Record, StoreError, UnknownRequest
from holdfast_server.stores.log import Log

from . import chat_rows, message_rows, purged


class UnknownChat(StoreError):
    """No such chat of this owner, or it was deleted."""


class UnknownMessage(StoreError):
    """No such message of this owner in this chat."""


async def chat(connection: AsyncConnection, owner: Owner, chat_id: str) -> Row[Any]:
    """The chat. Raises: UnknownChat."""
    row = await chat_rows.find(connection, owner, chat_id)
    if row is None or row.deleted_at is not None:
        raise UnknownChat(chat_id)
    return row


async def row_of(connection: AsyncConnection, owner: Owner, chat_id: str) -> ChatRow:
    """The chat, which is there, as people are told of it; deleted or not."""
    row = await chat_rows.find(connection, owner, chat_id)
    assert row is not None
    return chat_rows.chat_row(row)


async def shown(connection: AsyncConnection, record: Record, changed: bool) -> list[ChatRow]:
    """The record's chat, if it changed and people can see it."""
    if not changed or record.chat_id is None:
        return []
    row = await chat_rows.find(connection, record.key.owner, record.chat_id)
    return [] if row is None or row.deleted_at is not None else [chat_rows.chat_row(row)]


async def message(connection: AsyncConnection, owner: Owner, chat_id: str, message_id: str) -> MessageRow:
    """One message. Raises: UnknownChat, UnknownMessage."""
    await chat(connection, owner, chat_id)
    row = await message_rows.find(connection, owner, message_id)
    if row is None or row.chat_id != chat_id:
        raise UnknownMessage(message_id)
    return message_rows.message_row(row)


async def answer_log(connection: AsyncConnection, owner: Owner, request_id: str) -> Log:
    """The sealed log of an answer whose journal was purged. Raises: UnknownRequest."""
    row = await message_rows.find(connection, owner, request_id)
    there = None if row is None else await chat_rows.find(connection, owner, row.chat_id)
    if row is None or row.transcript is None or there is None or there.deleted_at is not None:
        raise UnknownRequest(request_id)
    return purged.purged_log(owner, row, message_rows.message_row(row))


async def answer_status(connection: AsyncConnection, owner: Owner, request_id: str) -> tuple[Status, str]:
    """The outcome of an answer whose journal was purged, and its chat; the answer itself is not read. Raises:
    UnknownRequest."""
    found = await message_rows.outcome(connection, owner, request_id)
    there = None if found is None else await chat_rows.find(connection, owner, found[1])
    if found is None or there is None or there.deleted_at is not None:
        raise UnknownRequest(request_id)
    return found
