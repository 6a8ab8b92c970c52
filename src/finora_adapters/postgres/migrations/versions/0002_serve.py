"""Tokens, data versions, announced jobs, schedules, paused queues and stored files."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0002_serve"
down_revision = "0001_books"


def upgrade() -> None:
    op.execute(run_sql(revision))
