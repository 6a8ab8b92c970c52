"""Budgets, goals, recurring payments, receipts."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0008_budgets"
down_revision = "0007_sessions"


def upgrade() -> None:
    op.execute(run_sql(revision))
