"""A person's decision keeps how the record was before, so that it can be taken back."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0016_taken_back"
down_revision = "0015_portfolio"


def upgrade() -> None:
    op.execute(run_sql(revision))
