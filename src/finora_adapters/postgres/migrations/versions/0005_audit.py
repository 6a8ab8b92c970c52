"""Events name their program; nonces; operators see a job's whole end."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0005_audit"
down_revision = "0004_secrets"


def upgrade() -> None:
    op.execute(run_sql(revision))
