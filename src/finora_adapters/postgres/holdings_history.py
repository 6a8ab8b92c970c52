"""The days of a portfolio: the join of what was held with what it was worth, and the rows made of
it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from typing import Any, LiteralString
from uuid import UUID

import attrs
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.types import Date

from finora_adapters.postgres.budgets import LOCK
from finora_adapters.postgres.driver import run
from finora_adapters.postgres.ledger import PgAssets
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.market.prices.model import HUBS
from finora_core.portfolio.history import DayValue, Piece, Scoped, Span

# Each fact holds until the next of its pair; of one day the last one, for what comes before it
# holds for no day. Spans and facts meet by asset and overlap, and what has the same ends is summed:
# mostly, all that is priced on a day. Nothing is divided, so the sums are exact.
_PIECES = """
with span as materialized (
  select * from unnest(%(accounts)s::uuid[], %(assets)s::text[], %(since)s::date[],
    %(until)s::date[], %(units)s::numeric[]) s (account, asset, since, until, units)
), pair as materialized (
  select a.asset, q.quote, q.first_at from (select distinct asset from span) a
  cross join lateral ({pair}) q
), fact as (
  select p.asset, p.quote, (p.at at time zone 'UTC')::date as day, p.value,
    ((p.at + case p.granularity when 'daily' then interval '45 days' else interval '7 days' end)
      at time zone 'UTC')::date as old_on,
    coalesce((lead(p.at) over (partition by p.asset, p.quote order by p.at, p.number)
      at time zone 'UTC')::date, 'infinity') as next_day
  from ({fact}) p
)
select s.account, f.quote, greatest(s.since, f.day), least(s.until, f.next_day),
  case when f.old_on < least(s.until, f.next_day)
    then greatest(s.since, f.day, f.old_on) end,
  sum(s.units * f.value), count(*)
from fact f join span s on s.asset = f.asset and s.since < f.next_day and f.day < s.until
where f.next_day > f.day
group by 1, 2, 3, 4, 5
"""
# One quote an asset: the base, else the first hub that it is priced in.
_PAIR = """
  select p.quote, coalesce(
    (select max(r.at) from finora.price r
      where r.asset = p.asset and r.quote = p.quote and r.at < %(from)s), %(from)s) as first_at
  from finora.price_pair p where p.asset = a.asset and p.quote = any(%(quotes)s)
  order by array_position(%(quotes)s::text[], p.quote) limit 1
"""
_FACT = """
  select r.asset, r.quote, r.at, r.granularity, r.value, r.number from pair p
  join finora.price r on r.asset = p.asset and r.quote = p.quote
    and r.at >= p.first_at and r.at < %(to)s
"""
_OWN_PAIR = """
  select p.quote, '-infinity'::timestamptz as first_at from finora.own_price p
  where p.tenant_id = %(tenant)s and p.asset = a.asset
  order by coalesce(array_position(%(quotes)s::text[], p.quote), 99) limit 1
"""
_OWN_FACT = """
  select r.asset, r.quote, r.at, 'daily' as granularity, r.value, r.revision as number
  from pair p join finora.own_price r on r.tenant_id = %(tenant)s and r.asset = p.asset
    and r.quote = p.quote and r.at < %(to)s
"""
_MARKET = _PIECES.format(pair=_PAIR, fact=_FACT)
_OWN = _PIECES.format(pair=_OWN_PAIR, fact=_OWN_FACT)
_CLEAR = text("""
delete from finora.portfolio_day
where tenant_id = :tenant and base = :base and day >= :since
""")
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
_NOTE = text("""
insert into finora.portfolio_history (tenant_id, base, built_through, loads, rates)
select :tenant, :base, :through,
  (select coalesce(max(number), 0) from finora.price_load),
  (select coalesce(max(number), 0) from finora.fx_rate)
on conflict (tenant_id, base) do update set built_through = excluded.built_through,
  loads = excluded.loads, rates = excluded.rates
""")
# Loads are numbered as they became known; where there was none since, no price is looked at.
_CHANGED = text("""
select least(
  (select min((p.at at time zone 'UTC')::date) from finora.price p
    where exists (select from finora.price_load l where l.number > h.loads)
      and p.number > h.loads and p.asset = any(
        select distinct a.asset from finora.activity a where a.tenant_id = :tenant)),
  (select min(r.on_date) from finora.fx_rate r where r.number > h.rates))
from finora.portfolio_history h where h.tenant_id = :tenant and h.base = :base
""")
_ON = text("""
select scope, scope_id, day, units, cost, realised, holdings, priced, stale, costless, gainless
from finora.portfolio_day where tenant_id = :tenant and base = :base and day = :day
""")
_BUILT = text("""
select built_through from finora.portfolio_history where tenant_id = :tenant and base = :base
""")
_READ = text("""
select day, units, cost, realised, holdings, priced, stale, costless, gainless
from finora.portfolio_day
where tenant_id = :tenant and scope = :scope and scope_id = :id and base = :base
  and day between coalesce(:since, '-infinity'::date) and coalesce(:until, 'infinity'::date)
order by day
""").bindparams(*(bindparam(name, type_=Date()) for name in ("since", "until")))
_FIGURES = ("holdings", "priced", "stale", "costless", "gainless")


@attrs.frozen
class PgHistory:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets

    def lock(self) -> None:
        self.connection.execute(LOCK, {"what": "portfolio_day", "tenant": self.tenant_id})

    def pieces(self, spans: Sequence[Span], since: date, through: date, base: str) -> list[Piece]:
        own = [each for each in spans if each.asset.startswith("own:")]
        market = [each for each in spans if not each.asset.startswith("own:")]
        return [
            *self._pieces(_MARKET, market, since, through, base),
            *self._pieces(_OWN, own, since, through, base),
        ]

    def _pieces(
        self, query: LiteralString, spans: Sequence[Span], since: date, through: date, base: str
    ) -> Iterable[Piece]:
        if not spans:
            return []
        # Of one scale in one query, so that what is summed is in whole units.
        found: list[Piece] = []
        for scale in sorted({each.scale for each in spans}):
            mine = [each for each in spans if each.scale == scale]
            values = {
                "tenant": self.tenant_id,
                "accounts": [each.account for each in mine],
                "assets": [each.asset for each in mine],
                "since": [each.since for each in mine],
                "until": [each.until for each in mine],
                "units": [each.units for each in mine],
                "quotes": [base, *(hub for hub in HUBS if hub != base)],
                "from": _midnight(since),
                "to": _midnight(through + timedelta(days=1)),
            }
            for account, quote, start, end, stale, worth, count in run(
                self.connection, query, values
            ):
                exact = Fraction(worth) / 10**scale
                found.append(Piece(account, quote, start, end, stale, exact, count))
        return found

    def store(
        self, base: str, since: date, through: date, rows: Iterable[tuple[Scoped, DayValue]]
    ) -> int:
        """In place of what is there from that day on; how many."""
        mine = {"tenant": self.tenant_id, "base": base}
        self.connection.execute(_CLEAR, mine | {"since": since})
        kept = list(rows)
        if kept:
            days = [each for _, each in kept]
            run(self.connection, _STORE, mine | {
                "scopes": [scope for (scope, _), _ in kept],
                "ids": [key for (_, key), _ in kept],
                "days": [each.day for each in days],
                "units": [each.value.units for each in days],
                "costs": [each.cost.units for each in days],
                "realised": [each.realised.units for each in days],
                **{name: [getattr(each, name) for each in days] for name in _FIGURES},
            })  # fmt: skip
        self.connection.execute(_NOTE, mine | {"through": through})
        return len(kept)

    def built(self, base: str) -> date | None:
        found: date | None = self.connection.scalar(
            _BUILT, {"tenant": self.tenant_id, "base": base}
        )
        return found

    def changed(self, base: str) -> date | None:
        """The earliest day of which a price became known since the days were made, of what was
        ever held."""
        values = {"tenant": self.tenant_id, "base": base}
        found: date | None = self.connection.scalar(_CHANGED, values)
        return found

    def on(self, base: str, day: date) -> Mapping[Scoped, DayValue]:
        rows = self.connection.execute(
            _ON, {"tenant": self.tenant_id, "base": base, "day": day}
        ).all()
        asset = self.assets.get(base)
        return {(row.scope, row.scope_id): _day(row, asset) for row in rows}

    def read(
        self, scope: Scoped, base: str, since: date | None, until: date | None
    ) -> Sequence[DayValue]:
        values: dict[str, Any] = {"tenant": self.tenant_id, "scope": scope[0], "id": scope[1],
                                  "base": base, "since": since, "until": until}  # fmt: skip
        asset = self.assets.get(base)
        return [_day(row, asset) for row in self.connection.execute(_READ, values)]


def _day(row: Any, asset: Asset) -> DayValue:
    return DayValue(
        day=row.day,
        value=Amount(int(row.units), asset),
        cost=Amount(int(row.cost), asset),
        realised=Amount(int(row.realised), asset),
        **{name: getattr(row, name) for name in _FIGURES},
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
