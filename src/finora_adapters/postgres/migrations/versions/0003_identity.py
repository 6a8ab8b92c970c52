"""People, identities, sessions, sent links and codes, guesses, invitations; scopes of tokens."""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "0003_identity"
down_revision = "0002_serve"


def upgrade() -> None:
    op.execute(run_sql(revision))
