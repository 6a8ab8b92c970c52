"""Whether the books of every tenant are whole."""

import attrs

from finora_adapters.postgres.invariants import violations
from finora_adapters.postgres.versions import PgVersions
from finora_adapters.postgres.work import Postgres
from finora_core.kernel.errors import FinoraError
from finora_core.kernel.scope import Scope


class BooksBroken(FinoraError):
    """An invariant of the books does not hold: somebody must look before anything else."""


def check_books(database: Postgres, scope: Scope) -> int:
    """Look at every tenant's invariants, one at a time as row security has it; the number of
    tenants. Raises BooksBroken."""
    tenants = PgVersions(database).tenants()
    broken = []
    for tenant_id in tenants:
        with database.begin(attrs.evolve(scope, tenant_id=tenant_id)) as work:
            broken += violations(work.connection)
    if broken:
        raise BooksBroken("; ".join(str(each) for each in broken[:10]))
    return len(tenants)
