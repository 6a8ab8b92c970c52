"""Categories as a list, splits, what people and rules say of records, and rules."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0010_rules"
down_revision = "0009_explain"


def upgrade() -> None:
    op.execute(run_sql(revision))
