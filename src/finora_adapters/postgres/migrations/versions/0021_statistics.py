"""What the planner believes of a tenant it does not know."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0021_statistics"
down_revision = "0020_splits"


def upgrade() -> None:
    op.execute(run_sql(revision))
