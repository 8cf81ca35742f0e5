"""How Alembic reaches the database: by the connection that `Database.migrate` holds."""

from __future__ import annotations

from alembic import context

from datacachalog.server.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,  # the caller's transaction holds all of it, on SQLite too
)
context.run_migrations()
