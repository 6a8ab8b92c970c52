"""Who assets are, in Postgres: global tables that only grow."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import attrs
from sqlalchemy import Connection, Row, text

from finora_core.kernel.page import Page, decode_cursor, encode_cursor
from finora_core.market.assets.model import SCAM, AssetKind, Identity, SymbolTaken

_LOCK = text("select pg_advisory_xact_lock(0x4153)")
_SELECT = """
select i.asset, i.symbol, i.kind, i.segment, i.title, v.scam, v.lookalike, v.recorded_at as judged,
  coalesce((select jsonb_object_agg(n.namespace, n.name) from finora.asset_name n
    where n.asset = i.asset), '{}'::jsonb) as names
from finora.asset_identity i left join lateral (
  select * from finora.asset_verdict v where v.asset = i.asset order by v.number desc limit 1
) v on true
"""
_OF = text(f"{_SELECT} where i.asset = any(:assets)")
_ALIKE = text(f"{_SELECT} where i.skeleton = :skeleton order by i.recorded_at, i.asset")
_NAMED = text(
    f"{_SELECT} where i.asset = (select n.asset from finora.asset_name n "
    "where n.namespace = :namespace and n.name = :name)"
)
_STALE = text(
    f"{_SELECT} where coalesce(v.recorded_at, i.recorded_at) < :before "
    "order by coalesce(v.recorded_at, i.recorded_at), i.asset limit :limit"
)
_ADD = text("""
insert into finora.asset_identity (asset, symbol, kind, segment, title, skeleton)
values (:asset, :symbol, :kind, :segment, :title, :skeleton) on conflict do nothing
""")
_NAME = text("""
insert into finora.asset_name (namespace, name, asset)
select g.namespace, g.name, :asset
from unnest(cast(:namespaces as text[]), cast(:names as text[])) g (namespace, name)
on conflict do nothing
""")
_JUDGE = text("""
insert into finora.asset_verdict (asset, number, source, scam, lookalike)
select :asset, coalesce(max(number), 0) + 1, :source, :scam, :lookalike
from finora.asset_verdict where asset = :asset
""")
_SEARCH = text(f"""
select * from (
  select s.*, case when lookalike is not null or scam >= :likely then 3
    when upper(symbol) = upper(:words) or asset = :words then 0
    when starts_with(upper(symbol), upper(:words)) then 1 else 2 end as rank
  from ({_SELECT}) s
  where upper(symbol) = upper(:words) or starts_with(upper(symbol), upper(:words))
    or asset = :words or position(lower(:words) in lower(title)) > 0
    or asset in (select n.asset from finora.asset_name n where n.name = :words)
) found
where cast(:rank as integer) is null or (rank, symbol, asset) > (:rank, :symbol, :asset)
order by rank, symbol, asset limit :limit
""")


@attrs.frozen
class PgIdentities:
    connection: Connection

    def add(self, identity: Identity) -> None:
        self.connection.execute(_LOCK)
        row = {
            "asset": identity.asset,
            "symbol": identity.symbol,
            "kind": identity.kind.value,
            "segment": identity.segment,
            "title": identity.title,
            "skeleton": identity.skeleton,
        }
        self.connection.execute(_ADD, row)
        if self.find(identity.asset) is None:
            raise SymbolTaken(
                f"another {identity.kind} is {identity.symbol} in {identity.segment or 'the world'}"
            )
        names = {
            "asset": identity.asset,
            "namespaces": list(identity.names),
            "names": list(identity.names.values()),
        }
        self.connection.execute(_NAME, names)

    def judge(self, asset: str, source: str, scam: int | None, lookalike: str | None) -> None:
        self.connection.execute(_LOCK)
        row = {"asset": asset, "source": source, "scam": scam, "lookalike": lookalike}
        self.connection.execute(_JUDGE, row)

    def find(self, asset: str) -> Identity | None:
        return self.of((asset,)).get(asset)

    def of(self, assets: Collection[str]) -> Mapping[str, Identity]:
        rows = self.connection.execute(_OF, {"assets": list(assets)})
        return {row.asset: _identity(row) for row in rows}

    def named(self, namespace: str, name: str) -> Identity | None:
        values = {"namespace": namespace, "name": name}
        row = self.connection.execute(_NAMED, values).one_or_none()
        return None if row is None else _identity(row)

    def alike(self, skeleton: str) -> Sequence[Identity]:
        return [_identity(row) for row in self.connection.execute(_ALIKE, {"skeleton": skeleton})]

    def stale(self, before: datetime, limit: int) -> Sequence[Identity]:
        values = {"before": before, "limit": limit}
        return [_identity(row) for row in self.connection.execute(_STALE, values)]

    def search(self, words: str, cursor: str | None, limit: int) -> Page[Identity]:
        rank, symbol, asset = decode_cursor(cursor, (int, str, str)) if cursor else (None,) * 3
        values = {
            "words": words,
            "likely": SCAM,
            "rank": rank,
            "symbol": symbol,
            "asset": asset,
            "limit": limit + 1,
        }
        rows = self.connection.execute(_SEARCH, values).all()
        items = tuple(_identity(row) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(items)
        last = rows[limit - 1]
        return Page(items, encode_cursor(last.rank, last.symbol, last.asset))


def _identity(row: Row[tuple[object, ...]]) -> Identity:
    return Identity(
        asset=row.asset,
        symbol=row.symbol,
        kind=AssetKind(row.kind),
        segment=row.segment,
        title=row.title,
        names=row.names,
        scam=row.scam,
        lookalike=row.lookalike,
        judged_at=row.judged,
    )
