"""The wallet's reads: totals for whole months, postings for single days."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from itertools import groupby
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, Row, text

from finora_adapters.postgres.ledger import PgAssets
from finora_core.insights.wallet.model import CategoryTotal, DayFlows, Flows, MonthFlows, Worth
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset

_OWN = text("""
select b.asset, sum(b.units) as units from finora.balance b
join finora.account a on a.tenant_id = b.tenant_id and a.id = b.account_id
  and a.kind in ('asset', 'liability')
where b.tenant_id = :tenant group by 1 having sum(b.units) <> 0 order by 1
""")

# A month that is asked for whole is read from the totals, the days at either end from postings.
_FLOWS = """
with span as (
  select cast(:since as date) as since, cast(:until as date) as until,
    (date_trunc('month', cast(:since as date) - 1) + interval '1 month')::date as first_month,
    date_trunc('month', cast(:until as date) + 1)::date as after_months
), whole as (
  select t.month as day, t.asset, t.category, t.direction, t.units from finora.total t, span s
  where t.tenant_id = :tenant and t.month >= s.first_month and t.month < s.after_months
    and t.direction in ('in', 'out')
), parts as (
  select p.on_date as day, p.asset, coalesce(l.category, '') as category,
    finora.direction(coalesce(l.flow, e.flow), p.units, e.reverses) as direction, p.units
  from finora.account a
  join lateral (
    select p.* from finora.posting p, span s where p.tenant_id = :tenant and p.account_id = a.id
      and p.on_date between s.since and least(s.until, s.first_month - 1)
    union all
    select p.* from finora.posting p, span s where p.tenant_id = :tenant and p.account_id = a.id
      and p.on_date between greatest(s.after_months, s.first_month, s.since) and s.until
  ) p on true
  join finora.entry e on e.tenant_id = :tenant and e.id = p.entry_id
  left join lateral (select category, flow from finora.label l where l.tenant_id = :tenant
    and l.entry_id = coalesce(e.reverses, e.id) order by number desc limit 1) l on true
  where a.tenant_id = :tenant and a.kind in ('asset', 'liability')
), moved as (
  select * from whole union all select * from parts where direction in ('in', 'out')
)
"""
_BY_ASSET = text(
    _FLOWS + "select asset, direction, sum(units) as units from moved group by 1, 2 order by 1"
)
_BY_CATEGORY = text(
    _FLOWS + "select * from (select asset, category, sum(units) as units, row_number() over "
    "(partition by asset order by sum(units), category) as place from moved "
    "where direction = 'out' group by 1, 2 having sum(units) < 0) ranked "
    "where place <= :top order by asset, place"
)
_DAYS = text("""
select p.on_date as day, p.asset,
  finora.direction(coalesce(l.flow, e.flow), p.units, e.reverses) as direction,
  sum(p.units) as units
from finora.account a
join finora.posting p on p.tenant_id = a.tenant_id and p.account_id = a.id
  and p.on_date between :since and :until
join finora.entry e on e.tenant_id = :tenant and e.id = p.entry_id
left join lateral (select flow from finora.label l where l.tenant_id = :tenant
  and l.entry_id = coalesce(e.reverses, e.id) order by number desc limit 1) l on true
where a.tenant_id = :tenant and a.kind in ('asset', 'liability')
group by 1, 2, 3 having sum(p.units) <> 0 order by 1, 2
""")
_MONTHS = text("""
select month as day, asset, direction, sum(units) as units from finora.total
where tenant_id = :tenant and month between cast(:since as date) and cast(:until as date)
  and direction in ('in', 'out') group by 1, 2, 3 order by 1, 2
""")
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

    def base(self) -> Asset:
        query = text("select base_asset from finora.tenant where tenant_id = :tenant")
        return self.assets.get(str(self.connection.scalar(query, {"tenant": self.tenant_id})))

    def own(self) -> Sequence[Amount]:
        return [self.assets.amount(row.units, row.asset) for row in self._rows(_OWN)]

    def flows(self, since: date, until: date) -> Sequence[Flows]:
        return self._flows(self._rows(_BY_ASSET, since=since, until=until))

    def spending(self, since: date, until: date, top: int) -> Sequence[CategoryTotal]:
        return [
            CategoryTotal(category=row.category, spent=self.assets.amount(row.units, row.asset))
            for row in self._rows(_BY_CATEGORY, since=since, until=until, top=top)
        ]

    def months(self, first: date, last: date) -> Sequence[MonthFlows]:
        rows = self._rows(_MONTHS, since=first, until=last)
        found = {day: self._flows(moved) for day, moved in groupby(rows, key=lambda row: row.day)}
        return [
            MonthFlows(month=month, flows=tuple(found.get(month, ())))
            for month in _months(first, last)
        ]

    def days(self, since: date, until: date) -> Sequence[DayFlows]:
        rows = self._rows(_DAYS, since=since, until=until)
        found = ((day, self._flows(moved)) for day, moved in groupby(rows, key=lambda row: row.day))
        return [DayFlows(day=day, flows=tuple(flows)) for day, flows in found if flows]

    def worth(self, ends: Sequence[date]) -> Sequence[Worth]:
        amounts: dict[date, list[Amount]] = defaultdict(list)
        for row in self._rows(_WORTH, days=list(ends)):
            amounts[row.day].append(self.assets.amount(row.units, row.asset))
        return [
            Worth(day=day, amounts=tuple(amount for amount in amounts[day] if amount))
            for day in ends
        ]

    def _flows(self, rows: Any) -> list[Flows]:
        sums: dict[str, dict[str, int]] = defaultdict(lambda: {"in": 0, "out": 0})
        for row in rows:
            if row.direction in ("in", "out"):
                sums[row.asset][row.direction] += int(row.units)
        return [
            Flows(
                income=self.assets.amount(units["in"], asset),
                expense=self.assets.amount(units["out"], asset),
            )
            for asset, units in sorted(sums.items())
            if any(units.values())
        ]

    def _rows(self, query: Any, **values: object) -> Sequence[Row[Any]]:
        return self.connection.execute(query, {"tenant": self.tenant_id} | values).all()


def _months(first: date, last: date) -> list[date]:
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [date(number // 12, number % 12 + 1, 1) for number in numbers]
