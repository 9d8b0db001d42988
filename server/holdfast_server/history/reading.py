"""What can be read of the history: lists in pages, one message, the branch above one, what a search finds.

Every call takes the owner first, and what is another owner's is unknown (I9); so is what was deleted. A read sees one
state, and waits for no writer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from holdfast_protocol.lifecycle import Status
from holdfast_protocol.limits import LIST_LIMIT_MAX
from holdfast_protocol.replies import ChatRow, HitRow, MessageRow
from holdfast_server.stores.base import Owner
from holdfast_server.stores.log import Log

from . import chat_rows, message_rows, visible
from .database import Database
from .marks import hit_mark, mark_text, row_mark
from .search import SearchIndex
from .visible import UnknownMessage


class Standing(NamedTuple):
    """Where a message stands."""

    chat_id: str
    parent_id: str | None
    role: str


class Ground(NamedTuple):
    """Where a new question goes is decided by this. `messages`: those of the ids asked about that are taken, in whichever
    chat; `leaf`: the newest message that nothing follows."""

    there: bool
    deleted: bool
    messages: dict[str, Standing]
    leaf: str | None


class Reading:
    """The reads of one history. Every call may raise Unavailable."""

    def __init__(self, database: Database, index: SearchIndex) -> None:
        self._database = database
        self._index = index

    async def list_chats(
        self, owner: Owner, archived: bool = False, limit: int = 50, before: str | None = None
    ) -> tuple[list[ChatRow], str | None]:
        """The chats, or the archived ones; those in which something was said last come first. Go on with the mark as
        `before`. A chat that changes meanwhile moves to the top, where the feed shows it. Raises: ProtocolError for what
        is no mark."""
        mark = row_mark(before)
        async with self._database.read() as connection:
            rows, after = await chat_rows.page(connection, owner, archived, _bounded(limit), mark)
        return rows, mark_text(after) if after else None

    async def get_chat(self, owner: Owner, chat_id: str) -> ChatRow:
        """The chat as it is now. Raises: UnknownChat."""
        async with self._database.read() as connection:
            return chat_rows.chat_row(await visible.chat(connection, owner, chat_id))

    async def agent_of(self, owner: Owner, chat_id: str) -> str | None:
        """The chat's agent; None if it has none or is not there."""
        async with self._database.read() as connection:
            row = await chat_rows.find(connection, owner, chat_id)
        return None if row is None or row.deleted_at is not None else row.agent

    async def is_deleted(self, owner: Owner, chat_id: str) -> bool:
        """Whether the id is that of a deleted chat: nothing may be opened in it."""
        async with self._database.read() as connection:
            row = await chat_rows.find(connection, owner, chat_id)
        return row is not None and row.deleted_at is not None

    async def list_messages(
        self, owner: Owner, chat_id: str, limit: int = 50, before: str | None = None
    ) -> tuple[list[MessageRow], str | None]:
        """The chat's messages, newest first; fewer than `limit` if they are large. Go on with the mark as `before`. An
        answer without status has not ended. Raises: UnknownChat, ProtocolError for what is no mark."""
        mark = row_mark(before)
        async with self._database.read() as connection:
            await visible.chat(connection, owner, chat_id)
            rows, after = await message_rows.page(connection, owner, chat_id, _bounded(limit), mark)
        return rows, mark_text(after) if after else None

    async def branch(
        self,
        owner: Owner,
        chat_id: str,
        message_id: str,
        limit: int = message_rows.BRANCH_MESSAGES_MAX,
    ) -> list[MessageRow]:
        """The messages from the root to this one; of a longer branch the last `limit`, or what BRANCH_BYTES_MAX holds.
        Raises: UnknownChat, UnknownMessage."""
        async with self._database.read() as connection:
            await visible.chat(connection, owner, chat_id)
            bound = max(1, min(limit, message_rows.BRANCH_MESSAGES_MAX))
            rows = await message_rows.branch(connection, owner, chat_id, message_id, bound)
        if not rows:
            raise UnknownMessage(message_id)
        return rows

    async def newest_leaf(self, owner: Owner, chat_id: str) -> str | None:
        """The newest message that nothing follows: where a new one goes by default. None if there is none."""
        async with self._database.read() as connection:
            return await message_rows.newest_leaf(connection, owner, chat_id)

    async def message(self, owner: Owner, chat_id: str, message_id: str) -> MessageRow:
        """One message. Raises: UnknownChat, UnknownMessage."""
        async with self._database.read() as connection:
            return await visible.message(connection, owner, chat_id, message_id)

    async def ground(self, owner: Owner, chat_id: str, message_ids: Iterable[str], *, leaf: bool) -> Ground:
        """All that decides where a new question goes, in one state."""
        async with self._database.read() as connection:
            chat = await chat_rows.find(connection, owner, chat_id)
            rows = await message_rows.where(connection, owner, message_ids)
            newest = leaf and chat is not None and await message_rows.newest_leaf(connection, owner, chat_id)
        messages = {row.message_id: Standing(row.chat_id, row.parent_id, row.role) for row in rows.values()}
        return Ground(
            chat is not None, chat is not None and chat.deleted_at is not None, messages, newest or None
        )

    async def has_message(self, owner: Owner, message_id: str) -> bool:
        """Whether the id is taken by a message of this owner, in whichever chat: a new one needs another."""
        async with self._database.read() as connection:
            return await message_rows.find(connection, owner, message_id) is not None

    async def purged_log(self, owner: Owner, request_id: str) -> Log:
        """The sealed log of an answer whose journal was purged. Raises: UnknownRequest."""
        async with self._database.read(singly=True) as connection:
            return await visible.answer_log(connection, owner, request_id)

    async def purged_status(self, owner: Owner, request_id: str) -> tuple[Status, str]:
        """The outcome of an answer whose journal was purged, and its chat; the answer itself is not read. Raises:
        UnknownRequest."""
        async with self._database.read() as connection:
            return await visible.answer_status(connection, owner, request_id)

    async def search(
        self, owner: Owner, query: str, limit: int = 20, before: str | None = None
    ) -> tuple[list[HitRow], str | None]:
        """Titles and messages that have all words of the query, each as a word's beginning; titles first, then the
        newest. No query is an error. Raises: ProtocolError for what is no mark."""
        mark = hit_mark(before)
        async with self._database.read() as connection:
            hits, after = await self._index.find(connection, owner, query, _bounded(limit), mark)
        return hits, mark_text(after) if after else None


def _bounded(limit: int) -> int:
    return max(1, min(limit, LIST_LIMIT_MAX))
