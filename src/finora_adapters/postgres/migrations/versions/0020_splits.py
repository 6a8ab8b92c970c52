"""An activity may be a split."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0020_splits"
down_revision = "0019_unknown_gains"


def upgrade() -> None:
    op.execute(run_sql(revision))
