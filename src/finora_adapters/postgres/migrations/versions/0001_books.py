"""Tenants, the event log, jobs, the ledger, records and statements."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0001_books"
down_revision = None


def upgrade() -> None:
    op.execute(run_sql(revision))
