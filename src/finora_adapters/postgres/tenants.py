"""Tenants and people by the host's own names, through a definer function that shows one row."""

import attrs
from sqlalchemy import text

from finora_adapters.postgres.work import Postgres
from finora_core.kernel.errors import Invalid
from finora_core.kernel.ids import new_id
from finora_core.kernel.scope import Scope

UPKEEP = "finora:upkeep"
"""Name of the tenant, and its user, that schedules belong to; no name that a host would choose."""

_OPEN = text("select * from finora.open_tenant(:tenant, :person, :new_tenant, :new_person)")


class BadKey(Invalid):
    """A tenant's or user's name has 1 to 200 printable characters."""

    code = "BAD_KEY"


@attrs.frozen
class PgTenants:
    database: Postgres

    def scope(self, tenant: str, user: str, request_id: str | None = None) -> Scope:
        for key in (tenant, user):
            if not 1 <= len(key) <= 200 or not key.isprintable():
                raise BadKey(f"{key[:40]!r} is not a name of 1 to 200 printable characters")
        values = {
            "tenant": tenant,
            "person": user,
            "new_tenant": new_id(),
            "new_person": new_id(),
        }
        with self.database.look() as connection:
            row = connection.execute(_OPEN, values).one()
        return Scope(
            tenant_id=row.tenant_id,
            user_id=row.user_id,
            request_id=request_id or str(new_id()),
        )
