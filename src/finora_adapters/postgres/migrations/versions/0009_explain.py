"""Records are found by later entries of theirs."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0009_explain"
down_revision = "0008_budgets"


def upgrade() -> None:
    op.execute(run_sql(revision))
