"""How often was guessed at something, through definer functions: nobody lists the subjects."""

from datetime import UTC, datetime

import attrs
from sqlalchemy import Connection, text

from finora_core.identity.sessions.model import LOCK_AFTER, LOCK_LASTS, Standing

# psycopg has no date for Postgres's infinity.
_ENDLESS = datetime.max.replace(tzinfo=UTC)
_AT = "case when locked_until = 'infinity' then :endless else locked_until end as locked_until"
_STANDING = text(f"select failures, {_AT} from finora.guesses(:subject)")
_WRONG = text(f"select failures, {_AT} from finora.guessed_wrong(:subject, :after, :lasts)")
_RIGHT = text("select finora.guessed_right(:subject)")


@attrs.frozen
class PgGuesses:
    connection: Connection

    def standing(self, subject: bytes) -> Standing:
        values = {"subject": subject, "endless": _ENDLESS}
        row = self.connection.execute(_STANDING, values).first()
        if row is None:
            return Standing(failures=0, locked_until=None)
        return Standing(failures=row.failures, locked_until=row.locked_until)

    def wrong(self, subject: bytes) -> Standing:
        values = {"subject": subject, "endless": _ENDLESS, "after": LOCK_AFTER, "lasts": LOCK_LASTS}
        row = self.connection.execute(_WRONG, values).one()
        locked = row.failures % LOCK_AFTER == 0
        return Standing(failures=row.failures, locked_until=row.locked_until, just_locked=locked)

    def right(self, subject: bytes) -> None:
        self.connection.execute(_RIGHT, {"subject": subject})
