"""The history's tables, in terms that SQLite and PostgreSQL share.

Every key begins with the owner, (tenant, user): there is no statement that takes a bare id, so the same id of two owners
is two rows, and a stranger's is simply not there (I9). What brings these tables about is in migrations/; a test holds
the two in step. The full-text index is not here: it is derived from these rows and can be made again (search.py).
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    and_,
    bindparam,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from holdfast_server.stores.base import Owner

from .columns import AnyName, AnyText

metadata: Final = MetaData()

chats: Final = Table(
    "chats",
    metadata,
    Column("tenant", AnyName(64), primary_key=True),
    Column("user", AnyName(64), primary_key=True),
    Column("chat_id", AnyName(64), primary_key=True),
    Column("title", AnyText, nullable=False),
    Column("title_given", Boolean, nullable=False),  # by a person; then the first message no longer gives it
    Column("agent", AnyName(64)),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),  # when something was last said, asked or answered
    Column("seen_at", BigInteger, nullable=False),
    Column("last_request_id", AnyName(64)),  # the request that ended last in it
    Column("last_status", String(16)),
    Column("last_ended_at", BigInteger),
    Column("archived", Boolean, nullable=False),
    Column("deleted_at", BigInteger),  # the tombstone
    Column(
        "erased", Boolean, nullable=False
    ),  # what it held is gone; the row stays so that nothing brings it back
    Column("version", BigInteger, nullable=False),
    Index("chats_listed", "tenant", "user", "archived", "updated_at", "chat_id"),
    Index("chats_deleted", "deleted_at"),
)

messages: Final = Table(
    "messages",
    metadata,
    Column("tenant", AnyName(64), primary_key=True),
    Column("user", AnyName(64), primary_key=True),
    Column("message_id", AnyName(64), primary_key=True),
    Column("chat_id", AnyName(64), nullable=False),
    Column(
        "parent_id", AnyName(64)
    ),  # no foreign key: a queued question may name an answer that is not there yet
    Column("role", String(16), nullable=False),
    Column("text", AnyText, nullable=False),
    Column("sha256", LargeBinary(32)),  # of the text's UTF-8 bytes; none while an answer is being made
    Column("transcript", LargeBinary),  # MessagePack of the answer's Transcript, once it has ended
    Column("status", String(16)),
    Column("created_at", BigInteger, nullable=False),
    Column("place", BigInteger, nullable=False),  # see place_of
    Column(
        "size", Integer, nullable=False
    ),  # bytes of text and transcript: pages are cut by it before they are read
    Column("request_id", AnyName(64)),  # of an answer: its message id
    Column(
        "body_hash", LargeBinary(32)
    ),  # of an answer: tells a retry from another request, after the purge too
    Column("agent", AnyName(64)),
    ForeignKeyConstraint(
        ["tenant", "user", "chat_id"],
        ["chats.tenant", "chats.user", "chats.chat_id"],
        name="messages_of_a_chat",
        ondelete="CASCADE",
    ),
    Index("messages_listed", "tenant", "user", "chat_id", "place", "message_id"),
    Index("messages_children", "tenant", "user", "chat_id", "parent_id"),
)

erasures: Final = Table(
    "erasures",
    metadata,
    # Requests whose messages were deleted and whose journals are not known to be gone: nothing of them is projected.
    Column("tenant", AnyName(64), primary_key=True),
    Column("user", AnyName(64), primary_key=True),
    Column("request_id", AnyName(64), primary_key=True),
    Column("at", BigInteger, nullable=False),
)

readers: Final = Table(
    "readers",
    metadata,
    Column("tenant", AnyName(64), primary_key=True),
    Column("user", AnyName(64), primary_key=True),
    Column("request_id", AnyName(64), primary_key=True),
    Column("spans", LargeBinary, nullable=False),  # MessagePack of a bounded list of ReaderRow
)

webhooks: Final = Table(
    "webhooks",
    metadata,
    Column("tenant", AnyName(64), primary_key=True),
    Column("user", AnyName(64), primary_key=True),
    Column("request_id", AnyName(64), primary_key=True),
    Column("url", AnyText, nullable=False),
    Column("host", AnyName(300), nullable=False),  # with the port: what deliveries are bounded by
    Column("delivery_id", AnyName(64), nullable=False),  # the same in every try
    Column("state", String(16), nullable=False),  # a State of holdfast_server.webhook_terms
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("next_at", BigInteger, nullable=False),  # of what is due: when it is tried
    Column("tried", Integer, nullable=False),  # since it was last made due
    Column("tries", LargeBinary, nullable=False),  # MessagePack of a bounded list of Try
    Index("webhooks_due", "state", "next_at"),
    Index("webhooks_old", "state", "updated_at"),
)

batches: Final = Table(
    "batches",
    metadata,
    Column("tenant", AnyName(64), primary_key=True),
    Column("user", AnyName(64), primary_key=True),
    Column("batch_id", AnyName(64), primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("cancelled_at", BigInteger),
    Column("items", LargeBinary, nullable=False),  # MessagePack of a bounded list of BatchItem
    Index("batches_listed", "tenant", "user", "created_at", "batch_id"),
    Index("batches_old", "created_at"),
)

acceptances: Final = Table(
    "acceptances",
    metadata,
    # Requests as nodes that share a store accepted them: a table that outlives that store.
    Column("tenant", AnyName(64), primary_key=True),
    Column("user", AnyName(64), primary_key=True),
    Column("request_id", AnyName(64), primary_key=True),
    Column("body_hash", LargeBinary, nullable=False),
    Column("body", LargeBinary),  # MessagePack of the record and the event, until the request has its outcome
    Column("accepted_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Index("acceptances_open", "ended_at", "accepted_at"),
)


def place_of(created_at: int, *, answer: bool) -> int:
    """Where a message stands among a chat's: by time, and an answer after the question that came with it. It depends on
    the journal alone, so a rebuilt history lists the same messages in the same order (I11)."""
    return created_at * 2 + answer


def owned(table: Table, owner: Owner, **values: Any) -> ColumnElement[bool]:
    """The condition that a row is this owner's, and that these columns have these values."""
    return and_(
        table.c.tenant == owner.tenant,
        table.c.user == owner.user,
        *(table.c[name] == value for name, value in values.items()),
    )


def named(table: Table, *names: str) -> ColumnElement[bool]:
    """The condition of `owned` for a statement that is made once and executed often, since making one costs more than
    sending it: what these columns must be is said when it is executed, with `of`."""
    return and_(*(table.c[name] == bindparam(f"of_{name}") for name in ("tenant", "user", *names)))


def of(owner: Owner, **values: Any) -> dict[str, Any]:
    """The parameters of `named`: the owner's, and these columns'."""
    return {
        "of_tenant": owner.tenant, "of_user": owner.user, **{f"of_{name}": value for name, value in values.items()}
    }  # fmt: skip


def keys(owner: Owner, **values: Any) -> dict[str, Any]:
    """The owner's columns, with others, for an insert."""
    return {"tenant": owner.tenant, "user": owner.user, **values}


def new_in(connection: AsyncConnection, table: Table) -> Any:
    """An insert that passes over what is there already."""
    return _new_in(connection.dialect.name, table)


@cache
def _new_in(dialect: str, table: Table) -> Any:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing()
