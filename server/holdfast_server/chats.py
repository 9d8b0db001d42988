"""The history: chats, the tree of their messages, full-text search. Its reads are in history/reading.py.

What was said is projected from journals (I11, history/projection.py, projector.py); titles, the archive and deletion
have no journal and live here alone. A read sees what is projected, so whoever must not miss anything awaits
`Projector.catch_up` before. Every call takes the owner first, and what is another owner's is unknown (I9).

Deleting a chat writes a tombstone: it is gone at once for every read, can be restored for a while, and is then erased:
its messages at once, its journals by the caller, who is told of them until it has confirmed (`erase_due`, `erased`), so
that a crash in between loses no erasure. The id stays known as deleted for longer, and nothing brings it back.

A change is told to the observers after its commit and before the next one's, as the whole row with a version that only
rises; so a feed in which rows arrive twice or late still ends at the truth.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from holdfast_protocol.limits import TITLE_CHARS_MAX
from holdfast_protocol.replies import ChatRow

from .history import acceptances, chat_rows, message_rows, projection, visible, webhook_rows
from .history.acceptances import AcceptanceRows
from .history.batch_rows import BatchRows
from .history.database import Database, turn_of
from .history.reader_rows import ReaderRows
from .history.reading import Reading
from .history.search import TITLE, Document, index_for
from .history.tables import place_of
from .history.visible import UnknownChat, UnknownMessage
from .history.webhook_rows import WebhookRows
from .stores.base import Key, Owner, Record, key_of
from .stores.log import Log

_Changed = TypeVar("_Changed", ChatRow, ChatRow | None)


class Chats(Reading):
    """The history of all owners in one database. `url` is SQLAlchemy's, with an async driver; `undo_s` is how long a
    deletion can be taken back. Every call may raise Unavailable. Raises: ValueError for a database it cannot search."""

    def __init__(
        self,
        url: str,
        *,
        now_ms: Callable[[], int],
        undo_s: float = 30.0,
        durability: Literal["process", "power"] = "process",
    ) -> None:
        database = Database(url, durability)
        super().__init__(database, index_for(database.backend))
        self.reader_rows = ReaderRows(self._database)
        self.webhook_rows = WebhookRows(self._database)
        self.batch_rows = BatchRows(self._database)
        self.acceptances = AcceptanceRows(self._database, now_ms)
        self._now_ms = now_ms
        self._undo_ms = int(undo_s * 1000)
        self._observers: list[Callable[[Owner, ChatRow], None]] = []

    async def start(self) -> None:
        """Open the history and bring it up to date. Raises: Unavailable with a sentence for people."""
        await self._database.start(self._index.prepare)

    async def close(self) -> None:
        """Finish the change in hand and let go."""
        await self._database.close()

    async def check(self) -> None:
        """Return if the history answers. Raises: Unavailable."""
        async with self._database.read() as connection:
            await connection.execute(select(1))

    def observe(self, observer: Callable[[Owner, ChatRow], None]) -> None:
        """Call `observer` with every changed chat, after the commit; it must neither block nor raise. Deletion is a row
        with `deleted`; of a chat whose deletion stands nothing more is told."""
        self._observers.append(observer)

    def _tell(self, owner: Owner, rows: Sequence[ChatRow]) -> None:
        for row in rows:
            for observer in self._observers:
                observer(owner, row)

    # -- chats -----------------------------------------------------------------------------------------------

    async def create_chat(
        self, owner: Owner, chat_id: str, title: str | None = None, agent: str | None = None
    ) -> ChatRow:
        """Make a chat before its first message; one that is there already is returned as it is. Raises: UnknownChat if
        the id is a deleted one's."""
        given = _clean_title(title)

        async def work(connection: AsyncConnection) -> ChatRow | None:
            row = await chat_rows.find(connection, owner, chat_id)
            if row is not None:
                if row.deleted_at is not None:
                    raise UnknownChat(chat_id)
                return None
            now = self._now_ms()
            await chat_rows.create(
                connection, owner, chat_id, now, title=given, title_given=bool(given), agent=agent
            )
            place = place_of(now, answer=False)
            await self._index.put(connection, Document(owner, chat_id, TITLE, place, given))
            return chat_rows.chat_row(await visible.chat(connection, owner, chat_id))

        made = await self._change(owner, work)
        return made if made is not None else await self.get_chat(owner, chat_id)

    async def update_chat(
        self,
        owner: Owner,
        chat_id: str,
        *,
        title: str | None = None,
        agent: str | None = None,
        archived: bool | None = None,
        seen: bool = False,
    ) -> ChatRow:
        """Change what is given; its place in the list stays. `seen`: the person has read it up to now. An empty title
        leaves the naming to the next first message. Raises: UnknownChat."""

        async def work(connection: AsyncConnection) -> ChatRow:
            row = await visible.chat(connection, owner, chat_id)
            now = self._now_ms()
            values: dict[str, Any] = {}
            if title is not None:
                given = _clean_title(title)
                values |= {"title": given, "title_given": bool(given)}
                place = place_of(row.created_at, answer=False)
                await self._index.put(connection, Document(owner, chat_id, TITLE, place, given))
            if agent is not None:
                values["agent"] = agent
            if archived is not None:
                values["archived"] = archived
            if seen:
                values["seen_at"] = max(now, row.updated_at, row.seen_at)
            if values:
                await chat_rows.change(connection, owner, chat_id, now, **values)
            return chat_rows.chat_row(await visible.chat(connection, owner, chat_id))

        return await self._change(owner, work)

    async def delete_chat(self, owner: Owner, chat_id: str) -> ChatRow:
        """Write the tombstone; the caller then ends what runs in the chat. Again, while it can be restored, is harmless.
        Raises: UnknownChat."""

        async def work(connection: AsyncConnection) -> ChatRow:
            if not await chat_rows.mark_deleted(connection, owner, chat_id, self._now_ms()):
                raise UnknownChat(chat_id)
            return await visible.row_of(connection, owner, chat_id)

        return await self._change(owner, work)

    async def restore_chat(self, owner: Owner, chat_id: str) -> ChatRow:
        """Take a deletion back; a chat that is not deleted stays as it is. Raises: UnknownChat if it is too late."""

        async def work(connection: AsyncConnection) -> ChatRow:
            if not await chat_rows.unmark_deleted(connection, owner, chat_id, self._now_ms(), self._undo_ms):
                raise UnknownChat(chat_id)
            return await visible.row_of(connection, owner, chat_id)

        return await self._change(owner, work)

    async def erase_due(self, now_ms: int | None = None) -> list[tuple[Owner, list[str]]]:
        """Erase what tombstones hold whose undo has passed; the requests whose journals are to be erased, those of
        deleted messages too. Erase them, then call `erased`; until then they are named again."""
        now = self._now_ms() if now_ms is None else now_ms
        async with self._database.read() as connection:
            due = await chat_rows.due(connection, now, self._undo_ms)
        for owner in dict.fromkeys(owner for owner, _ in due):
            ids = [chat_id for whose, chat_id in due if whose == owner]

            async def work(connection: AsyncConnection, owner: Owner = owner, ids: list[str] = ids) -> None:
                await chat_rows.erase(connection, self._index, owner, ids, now=now, undo_ms=self._undo_ms)

            await self._database.write(work, turn=turn_of(owner))
        async with self._database.read() as connection:
            return await chat_rows.to_erase(connection)

    async def erased(self, owner: Owner, request_ids: Sequence[str]) -> None:
        """These journals are gone."""
        ids = list(request_ids)

        async def work(connection: AsyncConnection) -> None:
            await webhook_rows.remove(connection, (key_of(owner, request_id) for request_id in ids))
            await acceptances.remove(connection, (key_of(owner, request_id) for request_id in ids))
            await chat_rows.erased(connection, owner, ids)

        await self._database.write(work, turn=turn_of(owner))

    # -- messages --------------------------------------------------------------------------------------------

    async def delete_message(self, owner: Owner, chat_id: str, message_id: str) -> list[str]:
        """Delete a message and everything under it: the ids of the answers among them, whose journals the caller ends and
        erases (or leaves to `erase_due`). Raises: UnknownChat, UnknownMessage."""
        removed: list[str] = []

        async def work(connection: AsyncConnection) -> ChatRow:
            await visible.chat(connection, owner, chat_id)
            now = self._now_ms()
            answers = await message_rows.delete_subtree(
                connection, self._index, owner, chat_id, message_id, now=now
            )
            if answers is None:
                raise UnknownMessage(message_id)
            removed[:] = answers
            last = (await visible.chat(connection, owner, chat_id)).last_request_id
            await chat_rows.change(
                connection, owner, chat_id, now, **(chat_rows.NOTHING_ENDED if last in answers else {})
            )
            return await visible.row_of(connection, owner, chat_id)

        await self._change(owner, work)
        return removed

    # -- projection (I11) ------------------------------------------------------------------------------------

    async def project_opened(self, source: Record | Log) -> None:
        """Write what a request of a chat asked. Again is harmless."""
        record = source.record if isinstance(source, Log) else source

        async def work(connection: AsyncConnection) -> list[ChatRow]:
            changed = await projection.opened(connection, self._index, record, self._now_ms())
            return await visible.shown(connection, record, changed)

        owner = record.key.owner
        await self._database.write(work, lambda rows: self._tell(owner, rows), turn=turn_of(owner))

    async def project_sealed(self, log: Log) -> bool:
        """Write what a sealed journal of a chat answered, and what it asked if that is missing. Again is harmless. True
        if the history now holds it, read back and compared, or must not: the journal may be marked as projected."""
        record = log.record

        async def work(connection: AsyncConnection) -> list[ChatRow]:
            changed = await projection.sealed(connection, self._index, log, self._now_ms())
            return await visible.shown(connection, record, changed)

        owner = record.key.owner
        await self._database.write(work, lambda rows: self._tell(owner, rows), turn=turn_of(owner))
        return await self._holds(record.key)

    async def _holds(self, key: Key) -> bool:
        async with self._database.read(singly=True) as connection:
            row = await message_rows.find(connection, key.owner, key.request_id)
        if row is None or row.request_id is None:
            return True  # deleted, or its id is another message's
        return row.transcript is not None and not message_rows.message_row(row).damaged

    async def _change(self, owner: Owner, work: Callable[[AsyncConnection], Awaitable[_Changed]]) -> _Changed:
        """Do `work`, which returns the chat it changed (or None), and tell the observers."""

        def committed(row: ChatRow | None) -> None:
            if row is not None:
                self._tell(owner, [row])

        return await self._database.write(work, committed, turn=turn_of(owner))


def _clean_title(title: str | None) -> str:
    text = (title or "").encode("utf-8", "replace").decode().replace("\x00", "")
    return " ".join(text.split())[:TITLE_CHARS_MAX]
