"""Chats, their messages, and what is still to be erased."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables. A revision is never edited once it was released, so it names nothing of the living code."""
    op.create_table(
        "chats",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("user", sa.String(64), primary_key=True),
        sa.Column("chat_id", sa.String(64), primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("title_given", sa.Boolean, nullable=False),
        sa.Column("agent", sa.String(64)),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.Column("archived", sa.Boolean, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
        sa.Column("erased", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_index("chats_listed", "chats", ["tenant", "user", "archived", "updated_at", "chat_id"])
    op.create_index("chats_deleted", "chats", ["deleted_at"])
    op.create_table(
        "messages",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("user", sa.String(64), primary_key=True),
        sa.Column("message_id", sa.String(64), primary_key=True),
        sa.Column("chat_id", sa.String(64), nullable=False),
        sa.Column("parent_id", sa.String(64)),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("sha256", sa.LargeBinary(32)),
        sa.Column("transcript", sa.LargeBinary),
        sa.Column("status", sa.String(16)),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("place", sa.BigInteger, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("request_id", sa.String(64)),
        sa.Column("body_hash", sa.LargeBinary(32)),
        sa.Column("agent", sa.String(64)),
        sa.ForeignKeyConstraint(
            ["tenant", "user", "chat_id"],
            ["chats.tenant", "chats.user", "chats.chat_id"],
            name="messages_of_a_chat",
            ondelete="CASCADE",
        ),
    )
    op.create_index("messages_listed", "messages", ["tenant", "user", "chat_id", "place", "message_id"])
    op.create_index("messages_children", "messages", ["tenant", "user", "chat_id", "parent_id"])
    op.create_table(
        "erasures",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("user", sa.String(64), primary_key=True),
        sa.Column("request_id", sa.String(64), primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
