"""Keys of the data provider: what each may ask, and what it has asked."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0018_data_keys"
down_revision = "0017_warrants"


def upgrade() -> None:
    op.execute(run_sql(revision))
