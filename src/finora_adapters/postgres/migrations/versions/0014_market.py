"""Prices beside rates, who an asset is, and what nobody had a price of."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0014_market"
down_revision = "0013_pipeline"


def upgrade() -> None:
    op.execute(run_sql(revision))
