"""Closed periods. The triggers `closed_to_...` are what keeps them closed."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, Row, bindparam, text
from sqlalchemy.types import Date

from finora_adapters.postgres.ledger import PgAssets
from finora_adapters.postgres.rates import LOCK_SHARED
from finora_core.kernel.page import Page, decode_cursor, encode_cursor
from finora_core.ledger.closing.model import Closing, ClosingNotFound, LateLine

_LOCK = text("select pg_advisory_xact_lock(hashtextextended(:tenant, 2))")
_SELECT = """
select c.number, c.through, c.reason, c.acted_by, c.recorded_at, s.seq as seal
from finora.closing c left join lateral (
  select s.seq from finora.event e join finora.seal s
    on s.tenant_id = e.tenant_id and s.event_id = e.id
  where e.tx = c.tx and e.tenant_id = c.tenant_id
    and e.type in ('period.closed', 'period.reopened') order by s.seq desc limit 1
) s on true
where c.tenant_id = :tenant
"""
_LIST = text(f"{_SELECT} order by c.number desc")
_LAST = text(f"{_SELECT} order by c.number desc limit 1")
_GET = text(f"{_SELECT} and c.number = :number")
# By month, as a report asks for it, for a status has no history.
_ADD = text("""
insert into finora.closing (tenant_id, number, through, reason, acted_by, base_asset, rates,
  unapproved)
select t.tenant_id,
  1 + coalesce((select max(number) from finora.closing where tenant_id = :tenant), 0),
  :through, :reason, :by, t.base_asset, (select coalesce(max(number), 0) from finora.fx_rate),
  coalesce((select jsonb_agg(jsonb_build_array(u.month, u.asset, u.records, u.into::text,
      u.out::text) order by u.month, u.asset)
    from (
      select date_trunc('month', r.on_date::timestamp)::date as month, r.asset,
        count(*) as records, coalesce(sum(r.units) filter (where r.units > 0), 0) as into,
        coalesce(sum(r.units) filter (where r.units < 0), 0) as out
      from finora.record r where r.tenant_id = :tenant and r.on_date <= :through
        and r.entry_id is not null
        and r.status in ('received', 'processing', 'needs_review', 'failed')
      group by 1, 2
    ) u), '[]'::jsonb)
from finora.tenant t where t.tenant_id = :tenant
""").bindparams(bindparam("through", type_=Date()))
_LATE = text("""
select e.id as entry_id, r.id as record_id, e.bank_date, e.on_date as booked_on,
  a.name as account, r.description, r.counterparty, r.units, r.asset
from finora.entry e
join finora.record r on r.tenant_id = e.tenant_id and r.on_date = e.bank_date
  and r.entry_id = e.id
join finora.account a on a.tenant_id = r.tenant_id and a.id = r.account_id
where e.tenant_id = :tenant and e.bank_date is not null
  and (cast(:day as date) is null or (e.on_date, e.id) < (:day, cast(:last as uuid)))
order by e.on_date desc, e.id desc limit :limit
""").bindparams(bindparam("day", type_=Date()))


@attrs.frozen
class PgClosings:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets

    def lock(self) -> None:
        self.connection.execute(_LOCK, {"tenant": str(self.tenant_id)})
        self.connection.execute(LOCK_SHARED)

    def last(self) -> Closing | None:
        row = self.connection.execute(_LAST, self._mine).one_or_none()
        return None if row is None else _closing(row)

    def get(self, number: int) -> Closing:
        row = self.connection.execute(_GET, self._mine | {"number": number}).one_or_none()
        if row is None:
            raise ClosingNotFound(f"no closing {number}")
        return _closing(row)

    def list(self) -> Sequence[Closing]:
        return [_closing(row) for row in self.connection.execute(_LIST, self._mine)]

    def add(self, through: date | None, reason: str, by: UUID) -> Closing:
        values = {"through": through, "reason": reason, "by": by}
        self.connection.execute(_ADD, self._mine | values)
        made = self.last()
        assert made is not None  # just added
        return made

    def late(self, cursor: str | None, limit: int) -> Page[LateLine]:
        day, last = decode_cursor(cursor, (date, UUID)) if cursor else (None, None)
        values = self._mine | {"day": day, "last": last, "limit": limit + 1}
        rows = self.connection.execute(_LATE, values).all()
        items = tuple(self._late(row) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(items)
        return Page(items, encode_cursor(items[-1].booked_on.isoformat(), str(items[-1].entry_id)))

    def _late(self, row: Row[Any]) -> LateLine:
        values = dict(row._mapping)
        amount = self.assets.amount(values.pop("units"), values.pop("asset"))
        return LateLine(**values, amount=amount)

    @property
    def _mine(self) -> dict[str, Any]:
        return {"tenant": self.tenant_id}


def _closing(row: Row[Any]) -> Closing:
    return Closing(**row._mapping)
