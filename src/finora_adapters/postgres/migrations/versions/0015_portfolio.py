"""The portfolio: accounts at institutions, activities, what was observed, own prices, its days."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0015_portfolio"
down_revision = "0014_market"


def upgrade() -> None:
    op.execute(run_sql(revision))
