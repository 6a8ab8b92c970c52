"""Credentials, data keys, signing keys."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0004_secrets"
down_revision = "0003_identity"


def upgrade() -> None:
    op.execute(run_sql(revision))
