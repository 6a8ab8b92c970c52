"""Prices in Postgres: a global table that only grows."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from operator import itemgetter
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
    Said,
    is_code,
    midnight,
)
from finora_core.market.prices.repair import Action, decimal_of

# Loads get their numbers in the order in which they are committed, as rates do.
_LOCK = text("select pg_advisory_xact_lock(0x5052)")
_NO_LIMIT = text("set local statement_timeout = '30min'")
_NEXT = text("select coalesce(max(number), 0) + 1 from finora.price_load")
_LOAD = text("""
insert into finora.price_load (number, source) values (:number, :source) on conflict do nothing
""")
_GIVEN = text("""
create temp table if not exists price_given (pair integer, at timestamptz, granularity text,
  value numeric) on commit drop
""")
_COPY = "copy price_given (pair, at, granularity, value) from stdin"
_PAIRS = text("""
insert into finora.price_pair (asset, quote)
select * from unnest(cast(:assets as text[]), cast(:quotes as text[])) on conflict do nothing
returning asset, quote
""")
_OF_PAIRS = """
from price_given g
join unnest(cast(:places as integer[]), cast(:assets as text[]), cast(:quotes as text[]))
  p (pair, asset, quote) on p.pair = g.pair
"""
# Of a pair that was not there nothing can be there.
_ADD_NEW = f"""
insert into finora.price (asset, quote, at, granularity, source, revision, value, number)
select p.asset, p.quote, g.at, g.granularity, :source, 1, g.value, :number {_OF_PAIRS}
"""
_ADD_ORDERED = text(_ADD_NEW)
_ADD_ANY = text(f"{_ADD_NEW} on conflict do nothing")
_ADD_MORE = text(f"""
with judged as (
  select p.asset, p.quote, g.at, g.granularity, g.value, last.revision, last.value as was
  {_OF_PAIRS}
  left join lateral (
    select r.revision, r.value from finora.price r where r.asset = p.asset and r.quote = p.quote
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
# A time is told as a number: reading many of them as text takes longer than finding them does.
_FACT = (
    "p.asset, p.quote, (extract(epoch from f.at) * 1000000)::bigint, f.granularity, f.source, "
    "f.revision, f.value, f.number"
)
# For each pair that has prices and each of its times the latest until then, however old: who asks
# says what is too old. All of that time, as the index has them: to sort each one's few by which
# became known last would take as long as to find them.
_NEAR = (
    "with wanted as ("
    "  select a.asset, t.at"
    "  from unnest(string_to_array(%(of)s, ' ')::int[], string_to_array(%(when)s, ' ')::int[])"
    "    w (asset, at)"
    "  join unnest(%(assets)s::text[]) with ordinality a (asset, place) on a.place = w.asset"
    "  join unnest(%(times)s::timestamptz[]) with ordinality t (at, place) on t.place = w.at), "
    "every as (select unnest(%(times)s::timestamptz[]) as at), "
    "leg as ("
    "  select p.asset, p.quote, w.at from wanted w join finora.price_pair p"
    "    on p.asset = w.asset and p.quote = any(%(hubs)s) where w.asset <> all(%(hubs)s)"
    "  union all select p.asset, p.quote, w.at from wanted w join finora.price_pair p"
    "    on p.quote = w.asset and p.asset = any(%(hubs)s) where w.asset <> all(%(hubs)s)"
    "  union all select p.asset, p.quote, e.at from finora.price_pair p cross join every e"
    "    where p.asset = any(%(hubs)s) and p.quote = any(%(hubs)s)"
    ") "
    f"select {_FACT} from leg p cross join lateral ("
    "  select r.at, r.granularity, r.source, r.revision, r.value, r.number from finora.price r"
    "  where r.asset = p.asset and r.quote = p.quote and r.at <= p.at"
    "    and (%(upto)s::bigint is null or r.number <= %(upto)s)"
    "  order by r.at desc fetch first 1 rows with ties"
    ") f"
)
# What has no pair with a hub may have one with another currency.
_QUOTES = (
    "select distinct quote from finora.price_pair "
    "where asset = any(%(assets)s) and quote ~ '^[A-Z]{3}$'"
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
_SAID_BY = text("""
select source, quote, granularity, count(*) filter (where revision = 1) as facts,
  count(distinct at) filter (where revision > 1) as corrected, min(at) as first, max(at) as last
from finora.price where asset = :asset group by quote, granularity, source
order by last desc, facts desc, quote, source, granularity
""")
_CLOSES = text("""
select distinct on (day) asset, quote, at, granularity, source, revision, value,
  (at at time zone 'UTC')::date as day
from finora.price where asset = :asset and quote = :quote and at >= :since and at < :until
order by day, at desc, number desc, revision desc
""").bindparams(*(bindparam(name, type_=DateTime(timezone=True)) for name in ("since", "until")))
_CORRECTED = text("""
select r.asset, r.quote, r.at, r.granularity, r.source, r.revision, r.value from (
  select distinct at, granularity, source from finora.price
  where asset = :asset and quote = :quote and revision > 1
  order by at desc, granularity, source limit :limit
) k join finora.price r on r.asset = :asset and r.quote = :quote and r.at = k.at
  and r.granularity = k.granularity and r.source = k.source
order by r.at desc, r.granularity, r.source, r.revision
""")
_ACT = text("""
with given as (
  select * from unnest(cast(:days as date[]), cast(:kinds as text[]), cast(:values as numeric[]))
    g (on_date, kind, value)
), judged as (
  select g.*, last.revision, last.value as was from given g left join lateral (
    select a.revision, a.value from finora.price_action a where a.asset = :asset
      and a.quote = :quote and a.on_date = g.on_date and a.kind = g.kind and a.source = :source
    order by a.revision desc limit 1
  ) last on true
)
insert into finora.price_action (asset, quote, on_date, kind, source, revision, value, number)
select :asset, :quote, on_date, kind, :source, coalesce(revision, 0) + 1, value,
  :number
from judged where was is distinct from value
on conflict do nothing
""")
_ACTIONS = text("""
select distinct on (on_date, kind) on_date, kind, value from finora.price_action
where asset = :asset and quote = :quote and (cast(:source as text) is null or source = :source)
order by on_date, kind, number desc, revision desc
""")
_OF = "unnest(cast(:assets as text[]), cast(:quotes as text[])) p (asset, quote)"
_LAST = text(f"""
select p.asset, p.quote, f.at, f.value from {_OF} cross join lateral (
  select r.at, r.value from finora.price r where r.asset = p.asset and r.quote = p.quote
  order by r.at desc, r.number desc limit 1
) f
""")
_SAID = f"""
{_OF} cross join lateral (
  select a.until from finora.price_absence a where a.asset = p.asset and a.quote = p.quote
  order by a.said_at desc limit 1
) said
"""
_ABSENT = text(f"select p.asset, p.quote from {_SAID} where said.until > now()")
_LACK = text(f"""
insert into finora.price_absence (asset, quote, said_at, until)
select p.asset, p.quote, clock_timestamp(), :until from {_OF}
""")
# A price came: whoever asks is told of no absence from now on.
_CAME = text(f"""
insert into finora.price_absence (asset, quote, said_at, until)
select p.asset, p.quote, clock_timestamp(), now() from {_SAID} where said.until > now()
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


@attrs.define
class _Given:
    """What goes by on its way into the table of what was given."""

    pairs: dict[tuple[str, str], int] = attrs.field(factory=dict)
    """Each with its place, which stands for it there."""
    count: int = 0
    ordered: bool = True
    """Each pair's times only go up, or only down, and it has one granularity: so nothing is twice,
    and need not be looked for."""

    def rows(self, lines: Iterable[Line]) -> Iterator[str]:
        seen: dict[tuple[str, str], tuple[str, str, int]] = {}
        pair: tuple[str, str] | None = None
        place, last, kind, way = 0, "", "", 0
        for asset, quote, at, granularity, value in lines:
            if pair is None or asset != pair[0] or quote != pair[1]:
                if pair is not None:
                    seen[pair] = last, kind, way
                pair = asset, quote
                place = self.pairs.setdefault(pair, len(self.pairs))
                last, kind, way = seen.get(pair, ("", granularity, 0))
            if self.ordered:
                # Times in UTC, all written alike: their texts are ordered as they are.
                step = 1 if at > last else -1 if at < last else 0
                if granularity != kind or not step or (last and way and step != way):
                    self.ordered = False
                way = step if last else 0
                last = at
            self.count += 1
            yield f"{place}\t{at}\t{granularity}\t{value}"


@attrs.frozen
class PgPrices:
    connection: Connection
    assets: PgAssets

    def add(self, source: str, lines: Iterable[Line]) -> ImportedPrices:
        execute = self.connection.execute
        # A file is taken in whole: it is one statement, however long it is.
        execute(_NO_LIMIT)
        execute(_GIVEN)
        # Read before the lock: others wait for what is written, not for a file.
        given = _Given()
        self._copy(given.rows(lines))
        execute(_LOCK)
        known = self.assets.all()
        unknown = {asset for pair in given.pairs for asset in pair if asset not in known}
        kept = {pair: place for pair, place in given.pairs.items()
                if not unknown.intersection(pair)}  # fmt: skip
        added = corrected = left_out = 0
        if unknown:
            left_out = given.count - self._count(kept)
        if kept:
            new = {(row.asset, row.quote) for row in execute(_PAIRS, _named(kept))}
            values = {"source": source, "number": execute(_NEXT).scalar_one()}
            if new:
                statement = _ADD_ORDERED if given.ordered else _ADD_ANY
                added += execute(statement, values | _placed(kept, new)).rowcount
            if old := kept.keys() - new:
                more = execute(_ADD_MORE, values | _placed(kept, old)).one()
                added, corrected = added + more.added, more.corrected
            if added or corrected:
                execute(_LOAD, values)
            execute(_CAME, _named(kept))
        execute(text("truncate price_given"))
        return ImportedPrices(
            source=source,
            added=added,
            corrected=corrected,
            existing=given.count - left_out - added - corrected,
            unknown=tuple(sorted(unknown)),
        )

    def _copy(self, rows: Iterator[str]) -> None:
        driver: psycopg.Connection[Any] | None = self.connection.connection.driver_connection
        assert driver is not None  # checked out for as long as the transaction
        with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
            while batch := list(islice(rows, 2_000)):
                copy.write("\n".join(batch) + "\n")

    def _count(self, pairs: Mapping[tuple[str, str], int]) -> int:
        counted = text(f"select count(*) {_OF_PAIRS}")
        return int(self.connection.execute(counted, _placed(pairs, pairs)).scalar_one())

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
        found = self._near(wanted, hubs, upto)
        yield from found
        priced = {asset for each in found for asset in (each.asset, each.quote)}
        lacking = {each for each in wanted if each[0] not in priced and not is_code(each[0])}
        if lacking:
            asked = {"assets": [asset for asset, _ in lacking]}
            quotes = [quote for (quote,) in run(self.connection, _QUOTES, asked)]
            if quotes:
                yield from self._near(lacking, quotes, upto)
                between = {(quote, at) for quote in quotes for _, at in lacking}
                yield from self._facts(between, to, display, upto)
        codes = {asset for asset, _ in wanted if is_code(asset)}
        own = {hub for hub in hubs if is_code(hub)}
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

    def _near(
        self, wanted: set[tuple[str, datetime]], hubs: Sequence[str], upto: int | None
    ) -> Sequence[Price]:
        """What leads from each to a hub, and from hub to hub."""
        # Each asset and time is said once, and pairs of them by their places.
        assets = {asset: place for place, asset in enumerate({asset for asset, _ in wanted}, 1)}
        times = {at: place for place, at in enumerate({at for _, at in wanted}, 1)}
        near = {
            "assets": list(assets),
            "times": list(times),
            "of": " ".join([str(assets[asset]) for asset, _ in wanted]),
            "when": " ".join([str(times[at]) for _, at in wanted]),
            "hubs": list(hubs),
            "upto": upto,
        }
        known: dict[int, datetime] = {}
        facts: list[Price] = []
        found = run(self.connection, _NEAR, near).fetchall()
        # What became known last holds, and is the first to be told.
        found.sort(key=itemgetter(-1), reverse=True)
        for asset, quote, micros, granularity, source, revision, value, _ in found:
            at = known.get(micros)
            if at is None:
                at = known[micros] = _EPOCH + timedelta(microseconds=micros)
            facts.append(
                Price(
                    asset=asset,
                    quote=quote,
                    at=at,
                    value=value,
                    source=source,
                    granularity=_KINDS[granularity],
                    revision=revision,
                )
            )
        return facts

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

    def said(self, asset: str) -> Sequence[Said]:
        return [
            Said(
                source=row.source,
                quote=row.quote,
                granularity=_KINDS[row.granularity],
                facts=row.facts,
                corrected=row.corrected,
                first=row.first,
                last=row.last,
            )
            for row in self.connection.execute(_SAID_BY, {"asset": asset})
        ]

    def closes(self, asset: str, quote: str, since: date, until: date) -> Sequence[Price]:
        values = {"asset": asset, "quote": quote, "since": midnight(since), "until": _end(until)}
        return [_price(row[:-1]) for row in self.connection.execute(_CLOSES, values)]

    def corrected(self, asset: str, quote: str, limit: int) -> Sequence[Price]:
        values = {"asset": asset, "quote": quote, "limit": limit}
        return [_price(row) for row in self.connection.execute(_CORRECTED, values)]

    def last(
        self, pairs: Collection[tuple[str, str]]
    ) -> Mapping[tuple[str, str], tuple[datetime, Decimal]]:
        rows = self.connection.execute(_LAST, _named(pairs))
        return {(row.asset, row.quote): (row.at, row.value) for row in rows}

    def absent(self, pairs: Collection[tuple[str, str]]) -> Set[tuple[str, str]]:
        return {(row.asset, row.quote) for row in self.connection.execute(_ABSENT, _named(pairs))}

    def lack(self, pairs: Collection[tuple[str, str]], until: datetime) -> None:
        if pairs:
            self.connection.execute(_LACK, _named(pairs) | {"until": until})

    def act(self, source: str, asset: str, quote: str, actions: Sequence[Action]) -> None:
        values = {
            "source": source,
            "asset": asset,
            "quote": quote,
            "days": [each.on_date for each in actions],
            "kinds": [each.kind for each in actions],
            "values": [decimal_of(each.value) for each in actions],
        }
        self.connection.execute(_LOCK)
        values["number"] = self.connection.execute(_NEXT).scalar_one()
        if self.connection.execute(_ACT, values).rowcount:
            self.connection.execute(_LOAD, values)

    def actions(self, asset: str, quote: str, source: str | None) -> Sequence[Action]:
        values = {"source": source, "asset": asset, "quote": quote}
        return [
            Action(on_date=row.on_date, kind=row.kind, value=Fraction(row.value))
            for row in self.connection.execute(_ACTIONS, values)
        ]


def _end(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC) + timedelta(days=1)


def _named(pairs: Collection[tuple[str, str]]) -> dict[str, object]:
    return {"assets": [asset for asset, _ in pairs], "quotes": [quote for _, quote in pairs]}


def _placed(
    places: Mapping[tuple[str, str], int], pairs: Collection[tuple[str, str]]
) -> dict[str, object]:
    ordered = sorted(pairs)
    return _named(ordered) | {"places": [places[pair] for pair in ordered]}


_KINDS = {each.value: each for each in Granularity}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _price(row: Any) -> Price:
    asset, quote, at, granularity, source, revision, value = row
    return Price(
        asset=asset,
        quote=quote,
        # The driver's zone is another object: comparing two of them asks both for their offsets.
        at=at.astimezone(UTC),
        value=value,
        source=source,
        granularity=_KINDS[granularity],
        revision=revision,
    )
