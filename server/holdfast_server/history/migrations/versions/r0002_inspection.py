"""What a chat's list shows without its messages: which request ended last; and who followed which request."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new, and fill it from the answers that are there."""
    op.add_column("chats", sa.Column("last_request_id", sa.String(64)))
    op.add_column("chats", sa.Column("last_status", sa.String(16)))
    op.add_column("chats", sa.Column("last_ended_at", sa.BigInteger))
    op.create_table(
        "readers",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("user", sa.String(64), primary_key=True),
        sa.Column("request_id", sa.String(64), primary_key=True),
        sa.Column("spans", sa.LargeBinary, nullable=False),
    )
    _fill(op.get_bind())


_CHATS = """SELECT tenant, "user", chat_id FROM chats WHERE NOT erased"""
_LAST = """SELECT message_id, status, transcript FROM messages WHERE tenant = :tenant AND "user" = :user
 AND chat_id = :chat_id AND transcript IS NOT NULL ORDER BY place DESC, message_id DESC LIMIT 1"""
_SET = """UPDATE chats SET last_request_id = :last, last_status = :status, last_ended_at = :at
 WHERE tenant = :tenant AND "user" = :user AND chat_id = :chat_id"""


def _fill(connection: sa.Connection) -> None:
    """Of each chat the answer to the latest question: which one ended last would cost reading all of them. An answer that
    cannot be read leaves its chat as one in which nothing has ended."""
    for tenant, user, chat_id in connection.execute(sa.text(_CHATS)).fetchall():
        chat = {"tenant": tenant, "user": user, "chat_id": chat_id}
        row = connection.execute(sa.text(_LAST), chat).fetchone()
        if row is None:
            continue
        try:
            transcript: Any = msgspec.msgpack.decode(row.transcript)
            at = int(transcript["outcome"]["at"])
        except (msgspec.DecodeError, KeyError, TypeError, ValueError):
            continue
        connection.execute(sa.text(_SET), {**chat, "last": row.message_id, "status": row.status, "at": at})
