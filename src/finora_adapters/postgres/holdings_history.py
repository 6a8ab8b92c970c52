"""The days of a portfolio: the join of what was held with what it was worth, and the rows made of
it."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import repeat
from typing import Any, LiteralString
from uuid import UUID

import attrs
from sqlalchemy import Connection

from finora_adapters.postgres.budgets import LOCK
from finora_adapters.postgres.driver import run
from finora_adapters.postgres.ledger import PgAssets
from finora_core.kernel.asset import CURRENCIES, Asset
from finora_core.market.prices.model import HUBS, midnight
from finora_core.portfolio.columns import Column, Days, ints, longs
from finora_core.portfolio.history import DayValue, Scoped, Standing


def _several(assets: LiteralString) -> LiteralString:
    """Which of the assets have several pairs. They are joined with all at once: asked for one by
    one, they take three times as long."""
    return f"""
with a as materialized (select distinct asset from {assets})
select asset from (
  select a.asset from a join finora.price_pair p
    on p.asset = a.asset and (p.quote = any(%(quotes)s) or p.quote ~ '^[A-Z]{{3}}$')
  union all
  select a.asset from a join finora.price_pair p
    on p.quote = a.asset and p.asset = any(%(quotes)s)
  union all
  select o.asset from (
    select distinct o.asset, o.quote from a join finora.own_price o on o.asset = a.asset
    where o.tenant_id = %(tenant)s and a.asset like 'own:%%'
  ) o
) pair group by asset having count(*) > 1
"""


_SEVERAL = _several("unnest(%(assets)s::text[]) given (asset)")
_SEVERAL_HELD = _several("finora.balance where tenant_id = %(tenant)s and units <> 0")
# Which pair says what an asset is worth: in the base, else in the first hub that it is priced in,
# else in another currency. Of what has several see _SEVERAL.
# From the last fact before the first day on, if there is one. Of its facts the times come as eight
# bytes each, and the values so too: whole, in units of 10**-places, which hold what is below `top`.
_PAIRS = """
with pair as materialized (
  select a.asset, q.quote, q.first_at, q.places, ('1e' || q.places)::numeric as unit,
    ('9e' || 18 - q.places)::numeric as top
  from unnest(%(assets)s::text[]) a (asset) cross join lateral (
    select p.quote, coalesce(
      (select max(r.at) from finora.price r
        where r.asset = p.asset and r.quote = p.quote and r.at < %(from)s), %(from)s) as first_at,
      (select case when r.value < 1e3 then 14 when r.value < 1e7 then 10 else 5 end
        from finora.price r where r.asset = p.asset and r.quote = p.quote and r.at < %(to)s
        order by r.at desc limit 1) as places
    from finora.price_pair p where p.asset = a.asset
      and (p.quote = any(%(quotes)s) or p.quote ~ '^[A-Z]{3}$')
    order by coalesce(array_position(%(quotes)s::text[], p.quote), 99), p.quote limit 1
  ) q where q.places is not null
)
"""
_SENT = """
  string_agg(timestamptz_send(r.at), '') as times,
  coalesce(string_agg(timestamptz_send(r.at), '') filter (where r.granularity <> 'daily'), '')
"""
_FACTS = """
  select r.at, r.granularity, r.value from finora.price r
  where r.asset = p.asset and r.quote = p.quote and r.at >= p.first_at and r.at < %(to)s
"""
_COLUMNS = f"""{_PAIRS}
select p.asset, p.quote, p.places, f.* from pair p cross join lateral (
  select {_SENT},
    string_agg(int8send(case when scale(r.value) <= p.places and r.value < p.top
      then (r.value * p.unit)::bigint end), '')
  from ({_FACTS} order by r.at) r
) f where f.times is not null
"""
# Where that does not do: several facts of one time, of which the last that became known holds, or
# values that are finer or larger.
_TEXTS = f"""{_PAIRS}
select p.asset, p.quote, f.* from pair p cross join lateral (
  select {_SENT}, string_agg(r.value::text, ',') from ({_FACTS} order by r.at, r.number) r
) f where f.times is not null
"""
_OWN = f"""
select p.asset, p.quote, f.* from (
  select distinct on (o.asset) o.asset, o.quote from finora.own_price o
  where o.tenant_id = %(tenant)s and o.asset = any(%(assets)s)
  order by o.asset, coalesce(array_position(%(quotes)s::text[], o.quote), 99), o.quote
) p cross join lateral (
  select {_SENT}, string_agg(r.value::text, ',') from (
    select o.at, 'daily' as granularity, o.value from finora.own_price o
    where o.tenant_id = %(tenant)s and o.asset = p.asset and o.quote = p.quote and o.at < %(to)s
    order by o.at, o.revision
  ) r
) f where f.times is not null
"""
# What is there now, in one sum for all that is in one unit. Money is worth itself, and what several
# pairs say the worth of is valued as money is.
_STANDING = """
select h.account_id, f.quote, h.scale, sum(h.units * f.value)::text, count(*),
  count(*) filter (where f.at + case f.granularity when 'daily' then interval '1080 hours'
    else interval '168 hours' end < %(to)s - interval '1 microsecond')
from (
  select b.account_id, b.asset, b.units, a.scale,
    b.asset in (select unnest(%(themselves)s::text[])) as money
  from finora.portfolio_account p
  join finora.balance b on b.tenant_id = p.tenant_id and b.account_id = p.account_id
  join finora.asset a on a.id = b.asset
  left join finora.holding_choice c on c.tenant_id = b.tenant_id
    and c.account_id = b.account_id and c.asset = b.asset
  where p.tenant_id = %(tenant)s and not p.hidden and b.units <> 0
    and coalesce(c.included, true) and b.asset <> all(%(scams)s)
) h left join lateral (
  select h.asset as quote, 1 as value, null::timestamptz as at, 'daily' as granularity
  where h.money
  union all
  select p.quote, r.value, r.at, r.granularity from (
    select quote from finora.price_pair where asset = h.asset
      and (quote = any(%(quotes)s) or quote ~ '^[A-Z]{3}$')
    order by coalesce(array_position(%(quotes)s::text[], quote), 99), quote limit 1
  ) p cross join lateral (
    select value, at, granularity from finora.price
    where asset = h.asset and quote = p.quote and at < %(to)s
    order by at desc, number desc limit 1
  ) r where not h.money
  union all
  select p.quote, r.value, r.at, 'daily' from (
    select quote from finora.own_price where tenant_id = %(tenant)s and asset = h.asset
    order by coalesce(array_position(%(quotes)s::text[], quote), 99), quote limit 1
  ) p cross join lateral (
    select value, at from finora.own_price
    where tenant_id = %(tenant)s and asset = h.asset and quote = p.quote and at < %(to)s
    order by at desc, revision desc limit 1
  ) r where h.asset like 'own:%%' and not h.money
) f on true
group by 1, 2, 3
"""
_CODES = [asset.id for asset in CURRENCIES]
_AT_ONCE = 100
_CLEAR = """
delete from finora.portfolio_day
where tenant_id = %(tenant)s and base = %(base)s and day >= %(since)s
"""
_STORE = (
    "insert into finora.portfolio_day (tenant_id, scope, scope_id, base, day, units, cost, "
    "realised, holdings, priced, stale, costless, gainless) "
    "select %(tenant)s, t.scope, t.scope_id, %(base)s, t.day, t.units, t.cost, t.realised, "
    "t.holdings, t.priced, t.stale, t.costless, t.gainless "
    "from unnest(%(scopes)s::text[], %(ids)s::text[], "
    "%(days)s::date[], %(units)s::numeric[], %(costs)s::numeric[], %(realised)s::numeric[], "
    "%(holdings)s::int[], %(priced)s::int[], %(stale)s::int[], %(costless)s::int[], "
    "%(gainless)s::int[]) "
    "t (scope, scope_id, day, units, cost, realised, holdings, priced, stale, costless, "
    "gainless)"
)
_NOTE = """
insert into finora.portfolio_history (tenant_id, base, built_through, loads, rates)
select %(tenant)s, %(base)s, %(through)s,
  (select coalesce(max(number), 0) from finora.price_load),
  (select coalesce(max(number), 0) from finora.fx_rate)
on conflict (tenant_id, base) do update set built_through = excluded.built_through,
  loads = excluded.loads, rates = excluded.rates
"""
# Loads are numbered as they became known; where there was none since, no price is looked at.
_CHANGED = """
select least(
  (select min((p.at at time zone 'UTC')::date) from finora.price p
    where exists (select from finora.price_load l where l.number > h.loads)
      and p.number > h.loads and p.asset = any(
        select distinct a.asset from finora.activity a where a.tenant_id = %(tenant)s)),
  (select min(r.on_date) from finora.fx_rate r where r.number > h.rates))
from finora.portfolio_history h where h.tenant_id = %(tenant)s and h.base = %(base)s
"""
_DAY_0 = date(2000, 1, 1).toordinal()
_COUNTS = ("holdings", "priced", "stale", "costless", "gainless")
_DAY = "day, units::text, cost::text, realised::text, holdings, priced, stale, costless, gainless"
_ON = f"""
select {_DAY}, scope, scope_id from finora.portfolio_day
where tenant_id = %(tenant)s and base = %(base)s and day = %(day)s
"""
# Ten years of days are one row: thousands would take longer to send and to read than to find. Days,
# counted from 2000 on, and counts travel as four bytes each; money is as large as it likes.
_READ = """
select string_agg(date_send(day), ''), string_agg(units::text, ','), string_agg(cost::text, ','),
  string_agg(realised::text, ','), string_agg(int4send(holdings), ''),
  string_agg(int4send(priced), ''), string_agg(int4send(stale), ''),
  string_agg(int4send(costless), ''), string_agg(int4send(gainless), '')
from (
  select * from finora.portfolio_day
  where tenant_id = %(tenant)s and scope = %(scope)s and scope_id = %(id)s and base = %(base)s
    and day between coalesce(%(since)s, '-infinity'::date) and coalesce(%(until)s, 'infinity'::date)
  order by day
) d having count(*) > 0
"""
_BUILT = """
select built_through from finora.portfolio_history where tenant_id = %(tenant)s and base = %(base)s
"""


@attrs.frozen
class PgHistory:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets

    def lock(self) -> None:
        self.connection.execute(LOCK, {"what": "portfolio_day", "tenant": self.tenant_id})

    def several(self, assets: Collection[str], base: str) -> frozenset[str]:
        asked = {"tenant": self.tenant_id, "quotes": _quotes(base), "assets": list(assets)}
        return frozenset(row[0] for row in run(self.connection, _SEVERAL, asked).fetchall())

    @contextmanager
    def columns(self, assets: Collection[str], days: Days, base: str) -> Iterator[Iterator[Column]]:
        own = [asset for asset in assets if asset.startswith("own:")]
        market = [asset for asset in assets if not asset.startswith("own:")]
        asked = self._asked(base, days.first, days.last)
        # One question after another, each while the answer to the one before is worked on. None is
        # asked any more once the block is left: then the connection is its owner's again.
        with ThreadPoolExecutor(1, thread_name_prefix="columns") as asking:
            batches = [market[n : n + _AT_ONCE] for n in range(0, len(market), _AT_ONCE)]
            answers = deque(asking.submit(self._ask, _COLUMNS, asked, some) for some in batches)
            try:
                yield self._columns(answers, own, days, asked)
            finally:
                asking.shutdown(cancel_futures=True)

    def _ask(
        self, query: LiteralString, asked: Mapping[str, object], assets: Sequence[str]
    ) -> list[tuple[Any, ...]]:
        return run(self.connection, query, {**asked, "assets": assets}, binary=True).fetchall()

    def _columns(
        self,
        answers: "deque[Future[list[tuple[Any, ...]]]]",
        own: Sequence[str],
        days: Days,
        asked: Mapping[str, object],
    ) -> Iterator[Column]:
        again: list[str] = []
        while answers:
            for asset, quote, places, times, brief, values in answers.popleft().result():
                held = days.held(times, brief)
                if held.twice or values is None or len(values) != len(times):
                    again.append(asset)
                elif held.facts:
                    yield held.column(asset, quote, longs(values), places)
        yield from self._texts(_TEXTS, again, days, asked)
        yield from self._texts(_OWN, own, days, asked)

    def _texts(
        self, query: LiteralString, assets: Sequence[str], days: Days, asked: Mapping[str, object]
    ) -> Iterator[Column]:
        if assets:
            for asset, quote, times, brief, values in self._ask(query, asked, assets):
                held = days.held(times, brief)
                if held.facts:
                    yield held.column(asset, quote, *_scaled(values.split(",")))

    def standing(self, base: str, day: date, scams: Collection[str]) -> Sequence[Standing]:
        asked = self._asked(base, day, day)
        several = [row[0] for row in run(self.connection, _SEVERAL_HELD, asked).fetchall()]
        asked |= {
            "themselves": [*_CODES, *several],
            "scams": list(scams),
        }
        found = []
        for account, quote, scale, worth, count, old in run(self.connection, _STANDING, asked):
            sums, places = _scaled([worth or "0"])
            found.append(Standing(account, quote, sums[0], scale + places, count, old))
        return found

    def _asked(self, base: str, first: date, last: date) -> dict[str, object]:
        return {
            "tenant": self.tenant_id,
            "quotes": _quotes(base),
            "from": midnight(first),
            "to": midnight(last + timedelta(days=1)),
        }

    def store(
        self, base: str, since: date, through: date, rows: Iterable[tuple[Scoped, DayValue]]
    ) -> int:
        """In place of what is there from that day on; how many."""
        mine = {"tenant": self.tenant_id, "base": base}
        run(self.connection, _CLEAR, mine | {"since": since})
        kept = list(rows)
        if kept:
            days = [each for _, each in kept]
            run(self.connection, _STORE, mine | {
                "scopes": _sent(scope for (scope, _), _ in kept),
                "ids": _sent(f'"{key}"' for (_, key), _ in kept),
                "days": _sent(each.day for each in days),
                "units": _sent(each.value_units for each in days),
                "costs": _sent(each.cost_units for each in days),
                "realised": _sent(each.realised_units for each in days),
                **{name: _sent(getattr(each, name) for each in days) for name in _COUNTS},
            })  # fmt: skip
        run(self.connection, _NOTE, mine | {"through": through})
        return len(kept)

    def built(self, base: str) -> date | None:
        asked = {"tenant": self.tenant_id, "base": base}
        found = run(self.connection, _BUILT, asked).fetchone()
        return found[0] if found else None

    def changed(self, base: str) -> date | None:
        """The earliest day of which a price became known since the days were made, of what was
        ever held."""
        asked = {"tenant": self.tenant_id, "base": base}
        found = run(self.connection, _CHANGED, asked).fetchone()
        return found[0] if found else None

    def on(self, base: str, day: date) -> Mapping[Scoped, DayValue]:
        asked = {"tenant": self.tenant_id, "base": base, "day": day}
        asset = self.assets.get(base)
        rows = run(self.connection, _ON, asked)
        return {(scope, key): _day(row, asset) for *row, scope, key in rows}

    def read(
        self, scope: Scoped, base: str, since: date | None, until: date | None
    ) -> Sequence[DayValue]:
        asked = {"tenant": self.tenant_id, "scope": scope[0], "id": scope[1], "base": base,
                 "since": since, "until": until}  # fmt: skip
        asset = self.assets.get(base)
        found = run(self.connection, _READ, asked, binary=True).fetchone()
        if found is None:
            return []
        days, units, cost, realised, *counts = found
        columns = (
            [date.fromordinal(_DAY_0 + number) for number in ints(days)],
            *(map(int, each.split(",")) for each in (units, cost, realised)),
            *map(ints, counts),
        )
        return list(map(DayValue._make, zip(repeat(asset), *columns, strict=False)))


def _quotes(base: str) -> list[str]:
    return [base, *(hub for hub in HUBS if hub != base)]


def _day(row: Sequence[Any], asset: Asset) -> DayValue:
    day, units, cost, realised, *counts = row
    return DayValue(asset, day, int(units), int(cost), int(realised), *counts)


def _sent(values: Iterable[object]) -> str:
    """As the text of an array; values are numbers, days and our own ids."""
    return f"{{{','.join(map(str, values))}}}"


def _scaled(values: Sequence[str]) -> tuple[Sequence[int], int]:
    """Decimals as whole numbers in units of the finest of them."""
    parts = [value.partition(".") for value in values]
    places = max(len(fraction) for _, _, fraction in parts)
    return [int(whole + fraction.ljust(places, "0")) for whole, _, fraction in parts], places
