"""FX rates in Postgres: a global table that only grows."""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from datetime import date

import attrs
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.types import Date

from finora_adapters.postgres.ledger import PgAssets
from finora_core.kernel.page import Page, decode_cursor, encode_cursor
from finora_core.market.rates.model import ImportedRates, Rate, RateTable, pairs_of

# Whoever closes a period holds it shared: what a closing knew is a number, and facts get theirs in
# the order in which they are committed.
_LOCK = text("select pg_advisory_xact_lock(0x4658)")
LOCK_SHARED = text("select pg_advisory_xact_lock_shared(0x4658)")

_ADD = text("""
with given as (
  select * from unnest(cast(:bases as text[]), cast(:quotes as text[]), cast(:days as date[]),
    cast(:values as numeric[])) g (base, quote, on_date, value)
), judged as (
  select g.*, last.revision, last.value as was from given g left join lateral (
    select r.revision, r.value from finora.fx_rate r where r.base = g.base and r.quote = g.quote
      and r.on_date = g.on_date and r.source = :source order by r.revision desc limit 1
  ) last on true
), added as (
  insert into finora.fx_rate (base, quote, on_date, source, revision, value, number)
  select base, quote, on_date, :source, coalesce(revision, 0) + 1, value,
    row_number() over (order by on_date, base, quote)
      + (select coalesce(max(number), 0) from finora.fx_rate)
  from judged where was is distinct from value
)
select count(*) filter (where was is null) as added,
  count(*) filter (where was <> value) as corrected, count(*) filter (where was = value) as existing
from judged
""")
# For each pair and day the latest fact until then, however old: who asks says what is too old.
_NEAR = text("""
select distinct f.base, f.quote, f.on_date, f.value, f.source, f.revision, f.number
from unnest(cast(:bases as text[]), cast(:quotes as text[])) p (base, quote)
cross join unnest(cast(:days as date[])) d (day)
cross join lateral (
  select * from finora.fx_rate r where r.base = p.base and r.quote = p.quote
    and r.on_date <= d.day and (cast(:upto as bigint) is null or r.number <= :upto)
  order by r.on_date desc, r.number desc limit 1
) f
order by f.number desc
""")
_DAYS = text("""
select quote, array_agg(distinct on_date) as days from finora.fx_rate
where base = :base and quote = any(:quotes) and on_date >= :since group by quote
""")
_LIST = text("""
select base, quote, on_date, value, source, revision, number from finora.fx_rate
where (cast(:base as text) is null or base = :base)
  and (cast(:quote as text) is null or quote = :quote)
  and on_date between coalesce(:since, '-infinity'::date) and coalesce(:until, 'infinity'::date)
  and (cast(:day as date) is null or (on_date, number) < (:day, :number))
order by on_date desc, number desc limit :limit
""").bindparams(*(bindparam(name, type_=Date()) for name in ("since", "until", "day")))


@attrs.frozen
class PgRates:
    connection: Connection
    assets: PgAssets

    def add(self, source: str, rates: Iterable[Rate]) -> ImportedRates:
        self.connection.execute(_LOCK)
        known = self.assets.all()
        given = {(rate.base, rate.quote, rate.on_date): rate for rate in rates}
        unknown = {code for base, quote, _ in given for code in (base, quote)} - known.keys()
        kept = [rate for rate in given.values() if rate.base in known and rate.quote in known]
        values = {
            "source": source,
            "bases": [rate.base for rate in kept],
            "quotes": [rate.quote for rate in kept],
            "days": [rate.on_date for rate in kept],
            "values": [rate.value for rate in kept],
        }
        found = self.connection.execute(_ADD, values).one()
        return ImportedRates(
            source=source,
            added=found.added,
            corrected=found.corrected,
            existing=found.existing,
            unknown=tuple(sorted(unknown)),
        )

    def table(
        self,
        assets: Collection[str],
        to: str,
        days: Sequence[date],
        *,
        upto: int | None = None,
    ) -> RateTable:
        pairs = pairs_of(assets, to)
        if not pairs:
            return RateTable({})
        values = {
            "bases": [base for base, _ in pairs],
            "quotes": [quote for _, quote in pairs],
            "days": sorted(set(days)),
            "upto": upto,
        }
        rows = self.connection.execute(_NEAR, values)
        return RateTable.of(_rate(row) for row in rows)

    def days(self, base: str, quotes: Collection[str], since: date) -> Mapping[str, Set[date]]:
        values = {"base": base, "quotes": sorted(quotes), "since": since}
        return {row.quote: set(row.days) for row in self.connection.execute(_DAYS, values)}

    def list(
        self,
        base: str | None,
        quote: str | None,
        since: date | None,
        until: date | None,
        cursor: str | None,
        limit: int,
    ) -> Page[Rate]:
        day, number = decode_cursor(cursor, (date, int)) if cursor else (None, None)
        values = {
            "base": base,
            "quote": quote,
            "since": since,
            "until": until,
            "day": day,
            "number": number,
            "limit": limit + 1,
        }
        rows = self.connection.execute(_LIST, values).all()
        items = tuple(_rate(row) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(items)
        last = rows[limit - 1]
        return Page(items, encode_cursor(last.on_date.isoformat(), last.number))


def _rate(row: object) -> Rate:
    names = ("base", "quote", "on_date", "value", "source", "revision")
    return Rate(**{name: getattr(row, name) for name in names})
