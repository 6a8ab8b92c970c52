"""${message}"""

from alembic import op

from finora_adapters.postgres.migrate import run_sql

revision = "${up_revision}"
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    op.execute(run_sql(revision))
