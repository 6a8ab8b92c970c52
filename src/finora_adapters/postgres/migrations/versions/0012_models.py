"""What tenants ask of language models is counted; texts have vectors."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0012_models"
down_revision = "0011_reports"


def upgrade() -> None:
    op.execute(run_sql(revision))
