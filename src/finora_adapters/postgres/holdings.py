"""What is held over all tenants, one tenant at a time as row security has it."""

from collections.abc import Sequence
from uuid import UUID

import attrs
from sqlalchemy import text

from finora_adapters.postgres.versions import PgVersions
from finora_adapters.postgres.work import Postgres
from finora_core.kernel.events import Event
from finora_core.kernel.scope import Scope
from finora_core.market.prices.refresh import Wanted

# A holding that a person left out, or whose account is hidden, asks for no price.
_HELD = text("""
select b.asset, t.base_asset as quote, min(first.on_date) as since
from finora.balance b
join finora.account a on a.tenant_id = b.tenant_id and a.id = b.account_id
join finora.tenant t on t.tenant_id = b.tenant_id
cross join lateral (
  select min(e.on_date) as on_date from finora.posting p
  join finora.entry e on e.tenant_id = p.tenant_id and e.id = p.entry_id
  where p.tenant_id = b.tenant_id and p.account_id = b.account_id and p.asset = b.asset
) first
where b.tenant_id = :tenant and b.units <> 0 and a.kind in ('asset', 'liability')
  and b.asset <> t.base_asset and first.on_date is not null
  and not exists (select from finora.portfolio_account h
    where h.tenant_id = b.tenant_id and h.account_id = b.account_id and h.hidden)
  and not exists (select from finora.holding_choice c where c.tenant_id = b.tenant_id
    and c.account_id = b.account_id and c.asset = b.asset and not c.included)
group by b.asset, t.base_asset order by b.asset
""")


@attrs.frozen
class PgHoldings:
    database: Postgres
    scope: Scope
    """Of the upkeep."""

    def wanted(self, tenant_id: UUID | None = None) -> Sequence[Wanted]:
        found = []
        every = PgVersions(self.database).tenants() if tenant_id is None else (tenant_id,)
        for tenant_id in every:
            scope = attrs.evolve(self.scope, tenant_id=tenant_id)
            with self.database.begin(scope) as work:
                rows = work.connection.execute(_HELD, {"tenant": tenant_id})
                found += [Wanted(tenant_id=tenant_id, **row._mapping) for row in rows]
        return found

    def tell(self, tenant_id: UUID, event: Event) -> None:
        with self.database.begin(attrs.evolve(self.scope, tenant_id=tenant_id)) as work:
            work.events.record(event)
