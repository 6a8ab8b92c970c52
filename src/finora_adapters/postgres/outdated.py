"""What of sign-in is over: rows that prove nothing any more, of all people and tenants."""

from collections.abc import Mapping
from datetime import timedelta

import attrs
from sqlalchemy import text

from finora_adapters.postgres.events import Control
from finora_core.identity.sessions.model import IDLE_LASTS, KEPT_AFTER

MONEY = (
    "open_account", "post_entry", "reverse_entry", "import_statement", "create_record",
    "change_record", "delete_record", "categorise_record", "split_record",
    "unlock_record", "link_transfer", "add_activity", "correct_activity", "delete_activity",
    "add_observation",
)  # fmt: skip
"""Routes that write books: done again after a year, one of them would count twice."""

_OVER = {
    "sessions": "delete from finora.session "
    "where least(ended_at, ends_at, seen_at + :idle) < now() - :kept",
    # A day longer than anybody could use them.
    "challenges": "delete from finora.challenge "
    "where least(used_at, expires_at) < now() - interval '1 day'",
    "guesses": "delete from finora.guess where failed_at < now() - interval '1 day' "
    "and (locked_until is null or locked_until < now())",
    # What was answered says things of people; who repeats a request does it soon.
    "replies": "delete from finora.command where recorded_at < now() - interval '400 days' "
    "or (recorded_at < now() - :replies and split_part(key, ' ', 1) <> all(:money))",
    "invites": "delete from finora.invite where expires_at < now()",
}


@attrs.frozen
class PgOutdated:
    database: Control
    replies: timedelta
    """How long an answer is kept for whoever repeats a request."""

    def forget(self) -> Mapping[str, int]:
        """Delete them; how many there were of each kind. Each kind is a transaction."""
        given: Mapping[str, Mapping[str, object]] = {
            "sessions": {"idle": IDLE_LASTS, "kept": KEPT_AFTER},
            "replies": {"replies": self.replies, "money": list(MONEY)},
        }
        found = {}
        for kind, statement in _OVER.items():
            values = given.get(kind, {})
            with self.database.control() as connection:
                found[kind] = connection.execute(text(statement), values).rowcount
        return found
