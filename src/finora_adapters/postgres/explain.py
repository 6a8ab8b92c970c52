"""What figures are the sums of: totals for whole months, postings for single days."""

import json
from calendar import monthrange
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, Row, text

from finora_adapters.postgres import flows
from finora_adapters.postgres.ledger import PgAssets, PgJournal
from finora_core.insights.explain.model import Figure, Origin, Posted, Received, Said, Sum
from finora_core.kernel.amount import Amount
from finora_core.kernel.page import Page, decode_cursor, encode_cursor
from finora_core.ledger.model import Entry
from finora_core.records.model import Part

# Whole months, from a first day to a last one.
_TOTALS = text("""
select t.account_id, a.name as account, t.month, t.category,
  sum(t.units) as units, sum(t.postings) as postings
from finora.total t
join finora.account a on a.tenant_id = t.tenant_id and a.id = t.account_id
where t.tenant_id = :tenant and t.month between :first and :last and t.asset = :asset
  and (cast(:account as uuid) is null or t.account_id = :account)
  and (cast(:direction as text) is null or t.direction = :direction)
  and (cast(:category as text) is null or t.category = :category
    or starts_with(t.category, :below))
group by 1, 2, 3, 4
""")

# Postings of own accounts on these days; of a split one its parts.
_POSTINGS = f"""
{flows.OWN}
where {flows.OF_OWN} and p.asset = :asset
  and (cast(:account as uuid) is null or a.id = :account)
  and (cast(:direction as text) is null or {flows.DIRECTION} = :direction)
  and (cast(:category as text) is null or {flows.CATEGORY} = :category
    or starts_with({flows.CATEGORY}, :below))
"""
_DAYS = text(f"""
select a.id as account_id, a.name as account,
  date_trunc('month', p.on_date::timestamp)::date as month, {flows.CATEGORY} as category,
  sum({flows.UNITS}) as units, sum({flows.COUNT}) as postings
{_POSTINGS}
group by 1, 2, 3, 4
""")
_EACH = text(f"""
select m.*, coalesce(nullif(concat_ws(' ', r.counterparty, r.description), ''), m.reference, '')
  as words
from (
  select p.entry_id, p.line, coalesce(s.part, 0) as part, p.on_date, a.name as account,
    {flows.CATEGORY} as category, {flows.UNITS} as units, e.reference,
    coalesce(e.reverses, e.id) as origin
  {_POSTINGS}
    and (cast(:day as date) is null or (p.on_date, p.entry_id, p.line, coalesce(s.part, 0))
      > (:day, cast(:entry as uuid), cast(:line as integer), cast(:part as integer)))
  order by p.on_date, p.entry_id, p.line, s.part limit :limit
) m
left join lateral (
  select counterparty, description from finora.record r
    where r.tenant_id = :tenant and r.id = m.origin
  union all
  select counterparty, description from finora.record r
    where r.tenant_id = :tenant and r.entry_id = m.origin and r.entry_id <> r.id
  limit 1
) r on true
order by m.on_date, m.entry_id, m.line, m.part
""")

_SECOND, _LAST_BUT_ONE = date.min + timedelta(days=1), date.max - timedelta(days=1)
_LABELS = text("""
select l.category, l.flow, l.source, l.set_by, l.recorded_at as at, l.rule_id, (
  select json_agg(json_build_array(s.category, s.units::text) order by s.part)
  from finora.label_part s
  where s.tenant_id = :tenant and s.entry_id = l.entry_id and s.number = l.number) as parts
from finora.label l where l.tenant_id = :tenant and l.entry_id = :entry order by l.number
""")
_REVERSED_BY = text("select id from finora.entry where tenant_id = :tenant and reverses = :entry")
# An entry by which a line was booked first has the line's id; later ones are found by theirs.
_RECEIVED = text("""
select r.id, r.source, i.file_name, r.place, r.raw from finora.record r
left join finora.statement_import i on i.tenant_id = r.tenant_id and i.id = r.import_id
where r.tenant_id = :tenant and (r.id = :entry or (r.entry_id = :entry and r.entry_id <> r.id)
  or r.id = (select record_id from finora.revision v
    where v.tenant_id = :tenant and v.entry_id = :entry limit 1))
limit 1
""")


@attrs.frozen
class PgExplained:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets
    journal: PgJournal

    def sums(self, figure: Figure) -> Sequence[Sum]:
        since, until = figure.since or date.min, figure.until
        first = (
            since if since.day == 1 else min(_month_end(since), _LAST_BUT_ONE) + timedelta(days=1)
        )
        whole = until == _month_end(until)
        # Before the first month there is none.
        last = until if whole else max(until.replace(day=1), _SECOND) - timedelta(days=1)
        if first > last:
            return self._sums(_DAYS, figure, since=since, until=until)
        found = self._sums(_TOTALS, figure, first=first, last=last)
        if since < first:
            found += self._sums(_DAYS, figure, since=since, until=first - timedelta(days=1))
        if last < until:
            found += self._sums(_DAYS, figure, since=last + timedelta(days=1), until=until)
        return found

    def postings(self, figure: Figure, cursor: str | None, limit: int) -> Page[Posted]:
        day, entry, line, part = (None, None, None, None)
        if cursor is not None:
            day, entry, line, part = decode_cursor(cursor, (date, UUID, int, int))
        values = {"since": figure.since, "until": figure.until, "day": day, "entry": entry,
                  "line": line, "part": part, "limit": limit + 1}  # fmt: skip
        rows = self._rows(_EACH, figure, **values)
        more = None
        if len(rows) > limit:
            last = rows[limit - 1]
            more = encode_cursor(last.on_date.isoformat(), str(last.entry_id), last.line, last.part)
        return Page(
            tuple(
                Posted(
                    entry_id=row.entry_id,
                    line=row.line,
                    part=row.part,
                    on_date=row.on_date,
                    account=row.account,
                    category=row.category,
                    words=row.words,
                    units=int(row.units),
                )
                for row in rows[:limit]
            ),
            more,
        )

    def origin(self, entry_id: UUID) -> Origin:
        entry = self.journal.get(entry_id)
        where = {"tenant": self.tenant_id, "entry": entry_id}
        of = where | {"entry": entry.reverses or entry_id}
        received = self.connection.execute(_RECEIVED, of).first()
        return Origin(
            entry=entry,
            reversed_by=self.connection.scalar(_REVERSED_BY, where),
            labels=tuple(self._said(row, entry) for row in self.connection.execute(_LABELS, of)),
            received=None if received is None else _received(received),
        )

    def _said(self, row: Row[Any], entry: Entry) -> Said:
        # Only what posts once to own accounts is split, and a record does so first.
        asset = entry.postings[0].amount.asset.id
        parts = tuple(Part(name, self.assets.amount(n, asset)) for name, n in row.parts or ())
        return Said(**{**row._mapping, "parts": parts})

    def every_asset(self) -> Sequence[str]:
        query = text("select distinct asset from finora.total where tenant_id = :tenant order by 1")
        return self.connection.scalars(query, {"tenant": self.tenant_id}).all()

    def amount(self, units: int, asset: str) -> Amount:
        return self.assets.amount(units, asset)

    def _sums(self, query: Any, figure: Figure, **values: object) -> list[Sum]:
        return [
            Sum(
                account_id=row.account_id,
                account=row.account,
                month=row.month,
                category=row.category,
                units=int(row.units),
                postings=int(row.postings),
            )
            for row in self._rows(query, figure, **values)
        ]

    def _rows(self, query: Any, figure: Figure, **values: object) -> Sequence[Row[Any]]:
        below = None
        if figure.category and not figure.exactly:
            below = f"{figure.category}:"
        asked = {"tenant": self.tenant_id, "asset": figure.asset, "account": figure.account_id,
                 "direction": figure.direction and figure.direction.value,
                 "category": figure.category, "below": below}  # fmt: skip
        return self.connection.execute(query, asked | values).all()


def _received(row: Row[Any]) -> Received:
    return Received(
        record_id=row.id,
        source=row.source,
        file=row.file_name,
        place=row.place,
        raw=None if row.raw is None else json.loads(row.raw),
    )


def _month_end(day: date) -> date:
    return day.replace(day=monthrange(day.year, day.month)[1])
