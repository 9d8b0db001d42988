"""Alembic's entry: runs revisions on the connection that the caller put into the configuration.

There is no other way in: the history's own start hands its connection over, so a migration and the check that precedes
it see the same database, in the same transaction.
"""

from __future__ import annotations

from alembic import context

from holdfast_server.history.tables import metadata

# Alembic loads this file by its path, outside the package.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
