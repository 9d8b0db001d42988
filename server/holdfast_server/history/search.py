"""Full-text search over titles and messages, with a database's own SQL.

`SearchIndex` is the seam: what the history calls, and what an index for another database must do. `Fts5Index` does it
for SQLite, search_postgres.py for PostgreSQL. The index is derived: it holds nothing that chats and messages do not, is written in their transactions, and
is made again from them at start when its version has changed; so it has no migrations.

Each document also holds its owner, as a word of a column of its own, so that the index itself joins "this owner's" with
"has these words" and nobody's search reads through other people's documents (I9). Hits come titles first, then the
newest first, an order in which nothing that is written later moves a hit: pages neither repeat nor skip.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    and_,
    delete,
    insert,
    inspect,
    select,
    text,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from holdfast_protocol.replies import HitRow
from holdfast_server.stores.base import Owner

from .marks import HitMark
from .tables import chats, keys, messages, named, of, owned, place_of
from .words import FOUND, FOUND_END, indexed, quoted, snippet_of, words_of

INDEX_VERSION: Final = 1
"""Raise it when words are made otherwise: every index is then made again at its next start."""

SNIPPET_WORDS: Final = 32

IDS_PER_STATEMENT_MAX: Final = 500
"""SQLite bounds the values of one statement."""

TITLE: Final = ""
"""The message id of a chat's title; no message has it."""


class Document(NamedTuple):
    """A message's text, or, with message id TITLE, a chat's title; `place` orders what is found."""

    owner: Owner
    chat_id: str
    message_id: str
    place: int
    body: str


class SearchIndex(Protocol):
    """What the history asks of a full-text index. Calls take the transaction of the change that they belong to."""

    def prepare(self, connection: Connection) -> None:
        """Make the index, or make it again, from the tables; called once at start."""

    async def put(self, connection: AsyncConnection, document: Document) -> None:
        """Hold this; what was held of the same message or title before is gone."""

    async def remove(
        self, connection: AsyncConnection, owner: Owner, chat_id: str, message_ids: Sequence[str] | None
    ) -> None:
        """Hold nothing of these messages any more; None: of the whole chat, its title too."""

    async def find(
        self, connection: AsyncConnection, owner: Owner, query: str, limit: int, after: HitMark | None
    ) -> tuple[list[HitRow], HitMark | None]:
        """Up to `limit` hits after a mark, and the mark to go on from. No query is an error; one without words finds
        nothing. Deleted chats are not found."""


def index_for(backend: str) -> SearchIndex:
    """The index for a database. Raises: ValueError if there is none."""
    if backend == "sqlite":
        return Fts5Index()
    if backend == "postgresql":
        from .search_postgres import TsvectorIndex

        return TsvectorIndex()
    raise ValueError(f"the history has no full-text index for {backend}; use sqlite+aiosqlite or postgresql")


_derived: Final = MetaData()

_docs: Final = Table(
    "search_docs",
    _derived,
    Column("doc_id", Integer, primary_key=True),  # the rowid of the full-text table
    Column("tenant", String(64), nullable=False),
    Column("user", String(64), nullable=False),
    Column("chat_id", String(64), nullable=False),
    Column("message_id", String(64), nullable=False),
    Column("title", Boolean, nullable=False),
    Column("place", BigInteger, nullable=False),
    Index("search_docs_of", "tenant", "user", "chat_id", "message_id", unique=True),
)

_HELD: Final = select(_docs.c.doc_id).where(named(_docs, "chat_id", "message_id"))
_ADD: Final = insert(_docs)

# The accents' folding that also knows letters of several; indexes for the beginnings of words that are typed first.
_CREATE: Final = """
CREATE VIRTUAL TABLE search_text USING fts5
  (owner, body, tokenize = 'unicode61 remove_diacritics 2', prefix = '1 2 3')
"""
_INSERT: Final = text("INSERT INTO search_text (rowid, owner, body) VALUES (:doc_id, :owner, :body)")
_UPDATE: Final = text("UPDATE search_text SET body = :body WHERE rowid = :doc_id")
_MATCHES: Final = text("SELECT rowid AS doc_id FROM search_text WHERE search_text MATCH :expression").columns(
    Column("doc_id", Integer)
)


def page_of(
    rows: Sequence[Any], limit: int, snippets: Mapping[int, str]
) -> tuple[list[HitRow], HitMark | None]:
    """The first `limit` of the documents that were found, as people are shown them, and the mark of what is behind."""
    page = rows[:limit]
    out = [
        HitRow(
            chat_id=row.chat_id,
            title=row.chat_title,
            message_id=None if row.title else row.message_id,
            role=row.role,
            snippet=snippets.get(row.doc_id, ""),
            created_at=row.chat_at if row.title else row.created_at,
        )
        for row in page
    ]
    last = page[-1] if len(rows) > limit else None
    return out, None if last is None else HitMark(bool(last.title), last.place, last.doc_id)


def _ids(values: Iterable[int]) -> str:
    """Integers of ours as a list in SQL."""
    return ", ".join(str(int(value)) for value in values)


def _owner_word(owner: Owner) -> str:
    # Names may hold anything; a digest is one word of letters and digits, and no name can be made to look like another.
    return "o" + sha256(f"{owner.tenant}\x00{owner.user}".encode()).hexdigest()[:32]


def _expression(owner: Owner, words: Sequence[str]) -> str:
    return f'(owner : "{_owner_word(owner)}") AND (body : ({" ".join(map(quoted, words))}))'


class Fts5Index:
    """The index for SQLite: FTS5."""

    def prepare(self, connection: Connection) -> None:
        held = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        if held == INDEX_VERSION and inspect(connection).has_table("search_docs"):
            return
        connection.exec_driver_sql("DROP TABLE IF EXISTS search_text")
        _derived.drop_all(connection)
        _derived.create_all(connection)
        connection.exec_driver_sql(_CREATE)
        self._fill(connection)
        connection.exec_driver_sql(f"PRAGMA user_version = {INDEX_VERSION:d}")

    def _fill(self, connection: Connection) -> None:
        """From the tables, one row in memory at a time."""
        titles = select(chats.c.tenant, chats.c.user, chats.c.chat_id, chats.c.title, chats.c.created_at)
        for row in connection.execute(titles.where(chats.c.title != "")):
            place = place_of(row.created_at, answer=False)
            owner = Owner(row.tenant, row.user)
            self._add(connection, Document(owner, row.chat_id, TITLE, place, row.title))
        columns = [messages.c[n] for n in ("tenant", "user", "chat_id", "message_id", "place", "text")]
        for row in connection.execute(select(*columns).where(messages.c.text != "")):
            owner = Owner(row.tenant, row.user)
            self._add(connection, Document(owner, row.chat_id, row.message_id, row.place, row.text))

    def _add(self, connection: Connection, document: Document) -> None:
        owner, chat_id, message_id, place, body = document
        title = message_id == TITLE
        values = keys(owner, chat_id=chat_id, message_id=message_id, title=title, place=place)
        result = connection.execute(_ADD, values)
        assert result.inserted_primary_key is not None
        doc_id = result.inserted_primary_key[0]
        connection.execute(_INSERT, {"doc_id": doc_id, "owner": _owner_word(owner), "body": indexed(body)})

    async def put(self, connection: AsyncConnection, document: Document) -> None:
        values = of(document.owner, chat_id=document.chat_id, message_id=document.message_id)
        doc_id = (await connection.execute(_HELD, values)).scalar_one_or_none()
        if doc_id is not None:
            await connection.execute(_UPDATE, {"doc_id": doc_id, "body": indexed(document.body)})
        elif document.body:
            await connection.run_sync(self._add, document)

    async def remove(
        self, connection: AsyncConnection, owner: Owner, chat_id: str, message_ids: Sequence[str] | None
    ) -> None:
        where = owned(_docs, owner, chat_id=chat_id)
        if message_ids is not None:
            assert len(message_ids) <= IDS_PER_STATEMENT_MAX
            where = and_(where, _docs.c.message_id.in_(message_ids))
        doc_ids = list((await connection.execute(select(_docs.c.doc_id).where(where))).scalars())
        for i in range(0, len(doc_ids), IDS_PER_STATEMENT_MAX):
            some = _ids(doc_ids[i : i + IDS_PER_STATEMENT_MAX])
            await connection.exec_driver_sql(f"DELETE FROM search_text WHERE rowid IN ({some})")  # noqa: S608 - integers
        await connection.execute(delete(_docs).where(where))

    async def find(
        self, connection: AsyncConnection, owner: Owner, query: str, limit: int, after: HitMark | None
    ) -> tuple[list[HitRow], HitMark | None]:
        words = words_of(query)
        if not words:
            return [], None
        expression = _expression(owner, words)
        matches = _MATCHES.subquery("matches")
        order = (_docs.c.title, _docs.c.place, _docs.c.doc_id)
        hits = (
            select(
                *order, _docs.c.chat_id, _docs.c.message_id, chats.c.title.label("chat_title"),
                chats.c.created_at.label("chat_at"), messages.c.role, messages.c.created_at,
            )
            .select_from(matches)
            .join(_docs, and_(_docs.c.doc_id == matches.c.doc_id, owned(_docs, owner)))
            .join(chats, and_(owned(chats, owner), chats.c.chat_id == _docs.c.chat_id))
            .outerjoin(messages, and_(owned(messages, owner), messages.c.message_id == _docs.c.message_id))
            .where(chats.c.deleted_at.is_(None))
            .order_by(*(column.desc() for column in order))
            .limit(limit + 1)
        )  # fmt: skip
        if after is not None:
            hits = hits.where(tuple_(*order) < tuple_(after.title, after.place, after.doc_id))
        rows = (await connection.execute(hits, {"expression": expression})).all()
        page = rows[:limit]
        snippets = await self._snippets(connection, expression, [row.doc_id for row in page])
        return page_of(rows, limit, snippets)

    async def _snippets(
        self, connection: AsyncConnection, expression: str, doc_ids: Sequence[int]
    ) -> dict[int, str]:
        """Apart from the hits: a snippet reads its document, and of all that match only one page is wanted."""
        if not doc_ids:
            return {}
        found = text(
            "SELECT rowid, snippet(search_text, 1, :begin, :end, '…', :words) FROM search_text"  # noqa: S608 - integers
            f" WHERE search_text MATCH :expression AND rowid IN ({_ids(doc_ids)})"
        )
        values = {"begin": FOUND, "end": FOUND_END, "words": SNIPPET_WORDS, "expression": expression}
        return {row[0]: snippet_of(row[1]) for row in await connection.execute(found, values)}
