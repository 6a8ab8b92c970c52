"""Records say how far their review is and why; decisions, the review's settings."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0011_pipeline"
down_revision = "0010_rules"


def upgrade() -> None:
    op.execute(run_sql(revision))
