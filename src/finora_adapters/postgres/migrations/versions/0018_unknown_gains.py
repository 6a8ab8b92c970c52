"""A day of a portfolio says of how many holdings it is not known what their sale brought."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0018_unknown_gains"
down_revision = "0016_taken_back"


def upgrade() -> None:
    op.execute(run_sql(revision))
