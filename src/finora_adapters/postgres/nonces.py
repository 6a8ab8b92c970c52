"""Nonces: whoever inserts the row has spent it."""

from datetime import timedelta

import attrs
from sqlalchemy import text

from finora_adapters.postgres.work import Postgres

_SPEND = text(
    "insert into finora.nonce (digest, expires_at) values (:digest, clock_timestamp() + :ttl) "
    "on conflict do nothing"
)
_FORGET = text("delete from finora.nonce where expires_at < clock_timestamp()")


@attrs.frozen
class PgNonces:
    database: Postgres

    def spend(self, digest: bytes, ttl: timedelta) -> bool:
        with self.database.look() as connection:
            return connection.execute(_SPEND, {"digest": digest, "ttl": ttl}).rowcount == 1

    def forget(self) -> int:
        """Delete those whose time is over; how many."""
        with self.database.control() as connection:
            return connection.execute(_FORGET).rowcount
