"""Which tenant a transaction is of counts with a warrant only, which no run-time role can make."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0017_warrants"
down_revision = "0016_taken_back"


def upgrade() -> None:
    op.execute(run_sql(revision))
