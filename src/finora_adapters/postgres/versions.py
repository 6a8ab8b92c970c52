"""Data versions of all tenants, for those who keep copies of them."""

from collections.abc import Mapping, Sequence
from typing import LiteralString
from uuid import UUID

import attrs
from sqlalchemy import Connection, text

from finora_adapters.postgres.driver import run
from finora_adapters.postgres.events import Control

_RECENT = text(
    "select tenant_id, number from finora.version "
    "where changed_at > clock_timestamp() - make_interval(secs => :seconds)"
)
_TENANTS = text("select tenant_id from finora.version where not closed")
# Of a tenant that was erased the number would be null, which the column refuses: so it can be sent
# together with the commit, which then does not happen.
RAISE: LiteralString = (
    "insert into finora.version as v (tenant_id, number) values (%(tenant)s, 1) "
    "on conflict (tenant_id) do update set changed_at = clock_timestamp(), "
    "number = case when not v.closed then v.number + 1 end returning number"
)


def raise_version(connection: Connection, tenant_id: UUID) -> int:
    """The tenant's new version. Locks its row until the transaction ends; every writer passes here.
    Raises TenantGone."""
    row = run(connection, RAISE, {"tenant": tenant_id}).fetchone()
    assert row is not None  # inserted or updated
    return int(row[0])


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
