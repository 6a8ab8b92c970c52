"""Alembic's entry: the caller brings the connection, its transaction, its locks and its role."""

from alembic import context

from finora_adapters.postgres.schema import SCHEMA, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table_schema=SCHEMA,
)
context.run_migrations()
