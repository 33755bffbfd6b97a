"""Runs migrations over the connection that `livecast.adapters.archive.schema` hands in."""

from __future__ import annotations

from alembic import context

from livecast.adapters.archive.tables import metadata

connection = context.config.attributes["connection"]
# Batch mode: SQLite changes a table by copying it. Its DDL is transactional, since we begin our transactions ourselves.
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, compare_type=True, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
