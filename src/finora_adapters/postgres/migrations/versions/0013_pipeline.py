"""Records say how far their review is and why; decisions, the review's settings."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0013_pipeline"
down_revision = "0012_models"


def upgrade() -> None:
    op.execute(run_sql(revision))
