"""Prices in Postgres: a global table that only grows."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import attrs
import psycopg
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.types import DateTime

from finora_adapters.postgres.driver import run
from finora_adapters.postgres.ledger import PgAssets
from finora_core.kernel.page import Page, decode_cursor, encode_cursor
from finora_core.market.prices.model import (
    HUBS,
    Granularity,
    ImportedPrices,
    Line,
    Price,
    PriceTable,
    midnight,
)

# Loads get their numbers in the order in which they are committed, as rates do.
_LOCK = text("select pg_advisory_xact_lock(0x5052)")
_LOAD = text("""
insert into finora.price_load (number, source)
select coalesce(max(number), 0) + 1, :source from finora.price_load returning number
""")
_GIVEN = text("""
create temp table if not exists price_given (asset text, quote text, at timestamptz,
  granularity text, value numeric) on commit drop
""")
_COPY = "copy price_given (asset, quote, at, granularity, value) from stdin"
_PAIRS = text("""
insert into finora.price_pair (asset, quote)
select * from unnest(cast(:assets as text[]), cast(:quotes as text[])) on conflict do nothing
returning asset, quote
""")
_OF_PAIRS = """
from price_given g
join unnest(cast(:assets as text[]), cast(:quotes as text[])) p (asset, quote)
  on p.asset = g.asset and p.quote = g.quote
"""
# Of a pair that was not there nothing can be there.
_ADD_NEW = text(f"""
insert into finora.price (asset, quote, at, granularity, source, revision, value, number)
select g.asset, g.quote, g.at, g.granularity, :source, 1, g.value, :number {_OF_PAIRS}
on conflict do nothing
""")
_ADD_MORE = text(f"""
with judged as (
  select g.*, last.revision, last.value as was {_OF_PAIRS}
  left join lateral (
    select r.revision, r.value from finora.price r where r.asset = g.asset and r.quote = g.quote
      and r.at = g.at and r.granularity = g.granularity and r.source = :source
    order by r.revision desc limit 1
  ) last on true
), added as (
  insert into finora.price (asset, quote, at, granularity, source, revision, value, number)
  select asset, quote, at, granularity, :source, coalesce(revision, 0) + 1, value, :number
  from judged where was is distinct from value
  on conflict do nothing returning revision
)
select count(*) filter (where revision = 1) as added,
  count(*) filter (where revision > 1) as corrected from added
""")
_FACT = "p.asset, p.quote, f.at, f.granularity, f.source, f.revision, f.value"
# For each pair that has prices and each of its times the latest until then, however old: who asks
# says what is too old. What became known last holds.
_NEAR = (
    "with wanted as (select * from unnest(%(assets)s::text[], %(times)s::timestamptz[]) "
    "w (asset, at)), "
    "every as (select distinct at from wanted), "
    "leg as ("
    "  select p.asset, p.quote, w.at from wanted w join finora.price_pair p"
    "    on p.asset = w.asset and p.quote = any(%(hubs)s) where w.asset <> all(%(hubs)s)"
    "  union all select p.asset, p.quote, w.at from wanted w join finora.price_pair p"
    "    on p.quote = w.asset and p.asset = any(%(hubs)s) where w.asset <> all(%(hubs)s)"
    "  union all select p.asset, p.quote, e.at from finora.price_pair p cross join every e"
    "    where p.asset = any(%(hubs)s) and p.quote = any(%(hubs)s)"
    ") "
    f"select {_FACT} from leg p cross join lateral ("
    "  select r.at, r.granularity, r.source, r.revision, r.value from finora.price r"
    "  where r.asset = p.asset and r.quote = p.quote and r.at <= p.at"
    "    and (%(upto)s::bigint is null or r.number <= %(upto)s)"
    "  order by r.at desc, r.number desc limit 1"
    ") f"
)
_RATES = (
    "select f.base, f.quote, f.on_date, f.source, f.revision, f.value from ("
    "  select * from unnest(%(bases)s::text[], %(quotes)s::text[]) c (base, quote)"
    "  where exists (select 1 from finora.fx_rate r"
    "    where r.base = c.base and r.quote = c.quote)"
    ") p cross join unnest(%(days)s::date[]) d (day) cross join lateral ("
    "  select * from finora.fx_rate r"
    "  where r.base = p.base and r.quote = p.quote and r.on_date <= d.day"
    "  order by r.on_date desc, r.number desc limit 1"
    ") f"
)
_CURRENCY = re.compile(r"[A-Z]{3}")
_DAYS = text("""
select asset, quote, array_agg(distinct (at at time zone 'UTC')::date) as days
from finora.price where asset = any(:assets) and at >= :since and at < :until
group by asset, quote
""").bindparams(*(bindparam(name, type_=DateTime(timezone=True)) for name in ("since", "until")))
_HISTORY = text("""
select distinct on (at) asset, quote, at, granularity, source, revision, value from finora.price
where asset = :asset and quote = :quote and (cast(:source as text) is null or source = :source)
order by at, number desc, revision desc
""")
_LIST = text("""
select asset, quote, at, granularity, source, revision, value from finora.price
where asset = :asset and (cast(:quote as text) is null or quote = :quote)
  and at >= coalesce(:since, '-infinity'::timestamptz)
  and at < coalesce(:until, 'infinity'::timestamptz)
  and (cast(:after as timestamptz) is null
    or (at, quote, granularity, source, revision)
      < (:after, :after_quote, :granularity, :source, :revision))
order by at desc, quote desc, granularity desc, source desc, revision desc limit :limit
""").bindparams(
    *(bindparam(name, type_=DateTime(timezone=True)) for name in ("since", "until", "after"))
)


@attrs.frozen
class PgPrices:
    connection: Connection
    assets: PgAssets

    def add(self, source: str, lines: Iterable[Line]) -> ImportedPrices:
        execute = self.connection.execute
        execute(_GIVEN)
        # Read before the lock: others wait for what is written, not for a file.
        pairs: set[tuple[str, str]] = set()
        given = self._copy(lines, pairs)
        execute(_LOCK)
        known = self.assets.all()
        unknown = {asset for pair in pairs for asset in pair if asset not in known}
        kept = sorted(pair for pair in pairs if not unknown.intersection(pair))
        added = corrected = left_out = 0
        if unknown:
            left_out = given - self._count(kept)
        if kept:
            new = {(row.asset, row.quote) for row in execute(_PAIRS, _named(kept))}
            values = {"source": source, "number": execute(_LOAD, {"source": source}).scalar_one()}
            if new:
                added += execute(_ADD_NEW, values | _named(sorted(new))).rowcount
            if old := [pair for pair in kept if pair not in new]:
                more = execute(_ADD_MORE, values | _named(old)).one()
                added, corrected = added + more.added, more.corrected
        execute(text("truncate price_given"))
        return ImportedPrices(
            source=source,
            added=added,
            corrected=corrected,
            existing=given - left_out - added - corrected,
            unknown=tuple(sorted(unknown)),
        )

    def _copy(self, lines: Iterable[Line], pairs: set[tuple[str, str]]) -> int:
        driver: psycopg.Connection[Any] | None = self.connection.connection.driver_connection
        assert driver is not None  # checked out for as long as the transaction
        given, batch, last = 0, [], None
        with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
            for each in lines:
                pair = each[:2]
                if pair != last:
                    pairs.add(pair)
                    last = pair
                batch.append("\t".join(each))
                if len(batch) == 2_000:
                    given += 2_000
                    copy.write("\n".join(batch) + "\n")
                    batch.clear()
            if batch:
                copy.write("\n".join(batch) + "\n")
        return given + len(batch)

    def _count(self, pairs: Collection[tuple[str, str]]) -> int:
        counted = text(f"select count(*) {_OF_PAIRS}")
        return int(self.connection.execute(counted, _named(pairs)).scalar_one())

    def known(self) -> int:
        number = text("select coalesce(max(number), 0) from finora.price_load")
        return int(self.connection.execute(number).scalar_one())

    def table(
        self,
        wanted: Collection[tuple[str, datetime]],
        to: str,
        *,
        display: str | None = None,
        upto: int | None = None,
    ) -> PriceTable:
        facts = list(self._facts(set(wanted), to, display, upto))
        return PriceTable.of(facts, display)

    def _facts(
        self, wanted: set[tuple[str, datetime]], to: str, display: str | None, upto: int | None
    ) -> Iterator[Price]:
        hubs = sorted({*HUBS, to, *(() if display is None else (display,))})
        near = {
            "assets": [asset for asset, _ in wanted],
            "times": [at for _, at in wanted],
            "hubs": hubs,
            "upto": upto,
        }
        for row in run(self.connection, _NEAR, near):
            yield _price(row)
        codes = {asset for asset, _ in wanted if _CURRENCY.fullmatch(asset)}
        own = {hub for hub in hubs if _CURRENCY.fullmatch(hub)}
        legs = {(a, b) for a in codes | own for b in own if a != b}
        legs |= {(b, a) for a, b in legs}
        rates = {
            "bases": [base for base, _ in sorted(legs)],
            "quotes": [quote for _, quote in sorted(legs)],
            "days": sorted({at.astimezone(UTC).date() for _, at in wanted}),
        }
        for base, quote, day, source, revision, value in run(self.connection, _RATES, rates):
            yield Price(
                asset=base,
                quote=quote,
                at=midnight(day),
                value=value,
                source=source,
                revision=revision,
            )

    def list(
        self,
        asset: str,
        quote: str | None,
        since: date | None,
        until: date | None,
        cursor: str | None,
        limit: int,
    ) -> Page[Price]:
        values: dict[str, object] = {
            "asset": asset,
            "quote": quote,
            "since": None if since is None else midnight(since),
            "until": None if until is None else _end(until),
            "after": None,
            "after_quote": None,
            "granularity": None,
            "source": None,
            "revision": None,
            "limit": limit + 1,
        }
        if cursor:
            names = ("after", "after_quote", "granularity", "source", "revision")
            kinds = (datetime, str, str, str, int)
            values |= dict(zip(names, decode_cursor(cursor, kinds), strict=True))
        rows = self.connection.execute(_LIST, values).all()
        items = tuple(_price(row) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(items)
        last = items[-1]
        keys = (last.at.isoformat(), last.quote, last.granularity.value, last.source)
        return Page(items, encode_cursor(*keys, last.revision))

    def history(self, asset: str, quote: str, source: str | None) -> Sequence[Price]:
        values = {"asset": asset, "quote": quote, "source": source}
        return [_price(row) for row in self.connection.execute(_HISTORY, values)]

    def days(
        self, assets: Collection[str], since: date, until: date
    ) -> dict[str, dict[str, set[date]]]:
        values = {"assets": sorted(assets), "since": midnight(since), "until": _end(until)}
        found: dict[str, dict[str, set[date]]] = {}
        for row in self.connection.execute(_DAYS, values):
            found.setdefault(row.asset, {})[row.quote] = set(row.days)
        return found


def _end(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC) + timedelta(days=1)


def _named(pairs: Collection[tuple[str, str]]) -> dict[str, object]:
    return {"assets": [asset for asset, _ in pairs], "quotes": [quote for _, quote in pairs]}


_KINDS = {each.value: each for each in Granularity}


def _price(row: Any) -> Price:
    asset, quote, at, granularity, source, revision, value = row
    return Price(
        asset=asset,
        quote=quote,
        at=at,
        value=value,
        source=source,
        granularity=_KINDS[granularity],
        revision=revision,
    )
