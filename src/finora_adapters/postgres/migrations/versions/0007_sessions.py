"""A session tells for which client its newest tokens were made."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0007_sessions"
down_revision = "0006_people"


def upgrade() -> None:
    op.execute(run_sql(revision))
