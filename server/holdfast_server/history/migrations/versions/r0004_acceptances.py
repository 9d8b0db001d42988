"""Where nodes that share a store accept requests; and, in PostgreSQL, keys that are compared byte by byte."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KEYS = {
    "chats": {"tenant": 64, "user": 64, "chat_id": 64},
    "messages": {
        "tenant": 64,
        "user": 64,
        "message_id": 64,
        "chat_id": 64,
        "parent_id": 64,
        "request_id": 64,
    },
    "erasures": {"tenant": 64, "user": 64, "request_id": 64},
    "readers": {"tenant": 64, "user": 64, "request_id": 64},
    "webhooks": {"tenant": 64, "user": 64, "request_id": 64, "host": 300},
    "batches": {"tenant": 64, "user": 64, "batch_id": 64},
    "acceptances": {"tenant": 64, "user": 64, "request_id": 64},
}


def upgrade() -> None:
    """Add what is new. What a database's language sorts beside each other is nothing to keys, and a newer library that
    sorts otherwise would break their indexes: so they have no language."""
    op.create_table(
        "acceptances",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("user", sa.String(64), primary_key=True),
        sa.Column("request_id", sa.String(64), primary_key=True),
        sa.Column("body_hash", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.LargeBinary),
        sa.Column("accepted_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
    )
    op.create_index("acceptances_open", "acceptances", ["ended_at", "accepted_at"])
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, columns in _KEYS.items():
        changes = ", ".join(
            f'ALTER COLUMN "{name}" TYPE VARCHAR({size}) COLLATE "C"' for name, size in columns.items()
        )
        op.execute(f"ALTER TABLE {table} {changes}")
