"""Data versions of all tenants, for those who keep copies of them."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import attrs
from sqlalchemy import text

from finora_adapters.postgres.events import Control

_RECENT = text(
    "select tenant_id, number from finora.version "
    "where changed_at > clock_timestamp() - make_interval(secs => :seconds)"
)
_TENANTS = text("select tenant_id from finora.version where not closed")


@attrs.frozen
class PgVersions:
    database: Control

    def tenants(self) -> Sequence[UUID]:
        """Those that ever wrote anything, and are there still."""
        with self.database.control() as connection:
            return connection.scalars(_TENANTS).all()

    def recent(self, seconds: int) -> Mapping[UUID, int]:
        """The versions that were raised in the last seconds."""
        with self.database.control() as connection:
            rows = connection.execute(_RECENT, {"seconds": seconds})
            return {row.tenant_id: row.number for row in rows}
