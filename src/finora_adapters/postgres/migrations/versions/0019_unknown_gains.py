"""A day of a portfolio says of how many holdings it is not known what their sale brought."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0019_unknown_gains"
down_revision = "0018_data_keys"


def upgrade() -> None:
    op.execute(run_sql(revision))
