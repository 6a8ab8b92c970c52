"""The wallet's reads: totals for whole months, postings for single days."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, Row, text

from finora_adapters.postgres.flows import MOVED
from finora_adapters.postgres.ledger import PgAssets
from finora_core.insights.wallet.model import Moved, Worth
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset

_HELD = text("""
select t.base_asset, b.asset, b.units from finora.tenant t left join (
  select b.tenant_id, b.asset, sum(b.units) as units from finora.balance b
  join finora.account a on a.tenant_id = b.tenant_id and a.id = b.account_id
    and a.kind in ('asset', 'liability')
  where b.tenant_id = :tenant group by 1, 2 having sum(b.units) <> 0
) b on b.tenant_id = t.tenant_id
where t.tenant_id = :tenant order by b.asset
""")
_MONTHLY = text("""
select month as day, asset, category, direction, sum(units) as units from finora.total
where tenant_id = :tenant and month between :since and :until and direction in ('in', 'out')
group by 1, 2, 3, 4 having sum(units) <> 0 order by 1, 2, 3, 4
""")
_DAILY = text(f"""
select day, asset, category, direction, sum(units) as units from ({MOVED}) moved
where direction in ('in', 'out')
group by 1, 2, 3, 4 having sum(units) <> 0 order by 1, 2, 3, 4
""")
_BEGAN = text("select min(month) from finora.total where tenant_id = :tenant")
_WORTH = text("""
select d.day, w.asset, sum(w.units) as units
from unnest(cast(:days as date[])) d (day)
join lateral (
  select t.asset, t.units from finora.total t
  where t.tenant_id = :tenant and t.month <= d.day
  union all
  select p.asset, -p.units from finora.account a join finora.posting p
    on p.tenant_id = a.tenant_id and p.account_id = a.id and p.on_date > d.day
    and p.on_date < (date_trunc('month', d.day) + interval '1 month')::date
  where a.tenant_id = :tenant and a.kind in ('asset', 'liability')
) w on true
group by 1, 2 order by 1, 2
""")


@attrs.frozen
class PgTotals:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets

    def held(self) -> tuple[Asset, Sequence[Amount]]:
        rows = self._rows(_HELD)
        amounts = [
            self.assets.amount(row.units, row.asset) for row in rows if row.asset is not None
        ]
        return self.assets.get(rows[0].base_asset), amounts

    def monthly(self, first: date, last: date) -> Sequence[Moved]:
        return self._moved(_MONTHLY, first, last)

    def daily(self, since: date, until: date) -> Sequence[Moved]:
        return self._moved(_DAILY, since, until)

    def began(self) -> date | None:
        found: date | None = self.connection.scalar(_BEGAN, {"tenant": self.tenant_id})
        return found

    def worth(self, ends: Sequence[date]) -> Sequence[Worth]:
        amounts: dict[date, list[Amount]] = defaultdict(list)
        for row in self._rows(_WORTH, days=list(ends)):
            amounts[row.day].append(self.assets.amount(row.units, row.asset))
        return [
            Worth(day=day, amounts=tuple(amount for amount in amounts[day] if amount))
            for day in ends
        ]

    def _moved(self, query: Any, since: date, until: date) -> Sequence[Moved]:
        return [
            Moved(row.day, row.category, row.direction, self.assets.amount(row.units, row.asset))
            for row in self._rows(query, since=since, until=until)
        ]

    def _rows(self, query: Any, **values: object) -> Sequence[Row[Any]]:
        return self.connection.execute(query, {"tenant": self.tenant_id} | values).all()
