"""Rates, closed periods and reports."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0011_reports"
down_revision = "0010_rules"


def upgrade() -> None:
    op.execute(run_sql(revision))
