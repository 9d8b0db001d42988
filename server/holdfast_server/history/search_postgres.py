"""Full-text search in PostgreSQL: the index behind `SearchIndex` that gives the same answers as SQLite's.

The words are made here (lexemes.py) and not by the server, so neither its language nor an extension decides what is found.
Each word in the index begins with a digest of its owner: a search looks at the words of one owner only, however many others
have (I9), and a beginning of a word costs what that owner's words with it cost. Several words that must follow each other are
looked up in `folded` among the documents that have them all: positions in a PostgreSQL vector end at 16 383, and at 256 of one
word, which a long Chinese answer has of its commonest characters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    func,
    insert,
    inspect,
    literal,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY, TSVECTOR
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from holdfast_protocol.replies import HitRow
from holdfast_server.stores.base import Owner

from . import search
from .columns import AnyName
from .lexemes import Phrase, document, phrases, snippet
from .marks import HitMark
from .search import IDS_PER_STATEMENT_MAX, SNIPPET_WORDS, TITLE, Document, page_of
from .tables import chats, keys, messages, owned, place_of
from .words import INDEXED_CHARS_MAX, words_of

FILLED_AT_ONCE: Final = 100
"""Texts in memory while the index is made again."""

SNIPPETS_AT_ONCE: Final = 20
"""Texts in memory while snippets are made."""

ASIDE_CHARS: Final = 20_000
"""The words of a longer text are made in a thread: some milliseconds, which everybody else's events would wait for."""

_derived: Final = MetaData()

_state: Final = Table("search_state", _derived, Column("version", Integer, nullable=False))

_docs: Final = Table(
    "search_docs",
    _derived,
    Column("doc_id", BigInteger, Identity(), primary_key=True),
    Column("tenant", AnyName(64, collation="C"), nullable=False),
    Column("user", AnyName(64, collation="C"), nullable=False),
    Column("chat_id", AnyName(64, collation="C"), nullable=False),
    Column("message_id", AnyName(64, collation="C"), nullable=False),
    Column("title", Boolean, nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("lexemes", TSVECTOR, nullable=False),
    Column("folded", Text(collation="C"), nullable=False),
    Index("search_docs_of", "tenant", "user", "chat_id", "message_id", unique=True),
    Index("search_docs_found", "lexemes", postgresql_using="gin"),
)
_ORDER: Final = (_docs.c.title, _docs.c.place, _docs.c.doc_id)


def _mark_of(owner: Owner) -> str:
    # Of letters and digits, so that the query language needs no quoting; one that two owners share only costs time.
    return sha256(f"{owner.tenant}\x00{owner.user}".encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _values(doc: Document) -> dict[str, Any]:
    """The parameters of _ADD and _PUT."""
    words, folded = document(doc.body)
    mark = _mark_of(doc.owner)
    return keys(
        doc.owner, chat_id=doc.chat_id, message_id=doc.message_id, title=doc.message_id == TITLE, place=doc.place,
        words=[mark + word for word in words], folded=folded,
    )  # fmt: skip


_LEXEMES: Final = func.array_to_tsvector(cast(bindparam("words", type_=ARRAY(Text)), ARRAY(Text)))
_ADD: Final = upsert(_docs).values(lexemes=_LEXEMES)
_PUT: Final = _ADD.on_conflict_do_update(
    index_elements=["tenant", "user", "chat_id", "message_id"],
    set_={name: _ADD.excluded[name] for name in ("place", "lexemes", "folded")},
)


def _conditions(owner: Owner, wanted: Sequence[Phrase]) -> list[Any]:
    mark = _mark_of(owner)
    lexemes = dict.fromkeys(pair for phrase in wanted for pair in phrase.lexemes)
    expression = " & ".join(f"'{mark}{word}'{':*' if more else ''}" for word, more in lexemes)
    found = _docs.c.lexemes.op("@@")(cast(cast(literal(expression), Text), TSQUERY))
    return [found, *(func.strpos(_docs.c.folded, phrase.text) > 0 for phrase in wanted if not phrase.exact)]


class TsvectorIndex:
    """The index for PostgreSQL."""

    def prepare(self, connection: Connection) -> None:
        if inspect(connection).has_table(_state.name):
            held = connection.execute(select(_state.c.version)).scalar_one_or_none()
            if held == search.INDEX_VERSION:
                return
        _derived.drop_all(connection)
        _derived.create_all(connection)
        self._fill(connection)
        connection.execute(insert(_state).values(version=search.INDEX_VERSION))

    def _fill(self, connection: Connection) -> None:
        """From the tables, some rows in memory at a time."""
        key = (chats.c.tenant, chats.c.user, chats.c.chat_id)
        titles = select(*key, chats.c.title, chats.c.created_at).where(chats.c.title != "")
        for row in _all(connection, titles, key):
            place = place_of(row.created_at, answer=False)
            self._add(connection, Document(Owner(row.tenant, row.user), row.chat_id, TITLE, place, row.title))
        key = (messages.c.tenant, messages.c.user, messages.c.message_id)
        texts = select(*key, messages.c.chat_id, messages.c.place, messages.c.text).where(
            messages.c.text != ""
        )
        for row in _all(connection, texts, key):
            owner = Owner(row.tenant, row.user)
            self._add(connection, Document(owner, row.chat_id, row.message_id, row.place, row.text))

    def _add(self, connection: Connection, doc: Document) -> None:
        connection.execute(_ADD, _values(doc))

    async def put(self, connection: AsyncConnection, document: Document) -> None:
        if not document.body:
            await self.remove(connection, document.owner, document.chat_id, [document.message_id])
            return
        if len(document.body) < ASIDE_CHARS:
            values = _values(document)
        else:
            values = await asyncio.to_thread(_values, document)
        await connection.execute(_PUT, values)

    async def remove(
        self, connection: AsyncConnection, owner: Owner, chat_id: str, message_ids: Sequence[str] | None
    ) -> None:
        where = owned(_docs, owner, chat_id=chat_id)
        if message_ids is not None:
            assert len(message_ids) <= IDS_PER_STATEMENT_MAX
            where = and_(where, _docs.c.message_id.in_(message_ids))
        await connection.execute(delete(_docs).where(where))

    async def find(
        self, connection: AsyncConnection, owner: Owner, query: str, limit: int, after: HitMark | None
    ) -> tuple[list[HitRow], HitMark | None]:
        wanted = phrases(words_of(query))
        if not wanted:
            return [], None
        hits = (
            select(
                *_ORDER, _docs.c.chat_id, _docs.c.message_id, chats.c.title.label("chat_title"),
                chats.c.created_at.label("chat_at"), messages.c.role, messages.c.created_at,
            )
            .select_from(_docs)
            .join(chats, and_(owned(chats, owner), chats.c.chat_id == _docs.c.chat_id))
            .outerjoin(messages, and_(owned(messages, owner), messages.c.message_id == _docs.c.message_id))
            .where(owned(_docs, owner), chats.c.deleted_at.is_(None), *_conditions(owner, wanted))
            .order_by(*(column.desc() for column in _ORDER))
            .limit(limit + 1)
        )  # fmt: skip
        if after is not None:
            hits = hits.where(tuple_(*_ORDER) < tuple_(after.title, after.place, after.doc_id))
        rows = (await connection.execute(hits)).all()
        page = rows[:limit]
        bodies = {row.doc_id: row.chat_title for row in page if row.title}
        snippets = {doc_id: snippet(body, wanted, SNIPPET_WORDS) for doc_id, body in bodies.items()}
        texts = {row.message_id: row.doc_id for row in page if not row.title}
        snippets |= await self._snippets(connection, owner, texts, wanted)
        return page_of(rows, limit, snippets)

    async def _snippets(
        self, connection: AsyncConnection, owner: Owner, texts: dict[str, int], wanted: Sequence[Phrase]
    ) -> dict[int, str]:
        """Of messages, made from their texts, a few at a time."""
        ids, out = list(texts), dict[int, str]()
        for first in range(0, len(ids), SNIPPETS_AT_ONCE):
            some = ids[first : first + SNIPPETS_AT_ONCE]
            text = func.left(messages.c.text, INDEXED_CHARS_MAX, type_=messages.c.text.type).label("text")
            query = select(messages.c.message_id, text)
            found = await connection.execute(
                query.where(owned(messages, owner), messages.c.message_id.in_(some))
            )
            rows = [(texts[row.message_id], row.text) for row in found]

            def made(rows: Sequence[tuple[int, str]] = rows) -> dict[int, str]:
                return {doc_id: snippet(body, wanted, SNIPPET_WORDS) for doc_id, body in rows}

            large = sum(len(body) for _, body in rows) >= ASIDE_CHARS
            out |= await asyncio.to_thread(made) if large else made()
        return out


def _all(connection: Connection, query: Any, key: Sequence[Any]) -> Any:
    """All rows in the order of their keys, FILLED_AT_ONCE in memory."""
    query = query.order_by(*key).limit(FILLED_AT_ONCE)
    after: Any = None
    while True:
        rows = connection.execute(
            query if after is None else query.where(tuple_(*key) > tuple_(*after))
        ).all()
        yield from rows
        if len(rows) < FILLED_AT_ONCE:
            return
        after = rows[-1][: len(key)]
