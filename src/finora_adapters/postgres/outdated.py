"""What of sign-in is over: rows that prove nothing any more, of all people and tenants."""

from collections.abc import Mapping

import attrs
from sqlalchemy import text

from finora_adapters.postgres.events import Control
from finora_core.identity.sessions.model import IDLE_LASTS, KEPT_AFTER

_OVER = {
    "sessions": "delete from finora.session "
    "where least(ended_at, ends_at, seen_at + :idle) < now() - :kept",
    # A day longer than anybody could use them.
    "challenges": "delete from finora.challenge "
    "where least(used_at, expires_at) < now() - interval '1 day'",
    "guesses": "delete from finora.guess where failed_at < now() - interval '1 day' "
    "and (locked_until is null or locked_until < now())",
    "invites": "delete from finora.invite where expires_at < now()",
}


@attrs.frozen
class PgOutdated:
    database: Control

    def forget(self) -> Mapping[str, int]:
        """Delete them; how many there were of each kind. Each kind is a transaction."""
        found = {}
        for kind, statement in _OVER.items():
            values = {"idle": IDLE_LASTS, "kept": KEPT_AFTER} if kind == "sessions" else {}
            with self.database.control() as connection:
                found[kind] = connection.execute(text(statement), values).rowcount
        return found
