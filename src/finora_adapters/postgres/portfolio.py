"""Accounts at institutions, activities and holdings."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, Row, bindparam, insert, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.types import DateTime

from finora_adapters.postgres.driver import run
from finora_adapters.postgres.ledger import PgAssets
from finora_adapters.postgres.schema import (
    activity,
    holding_choice,
    holding_observation,
    own_asset,
    portfolio_account,
)
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.page import Page, decode_cursor, encode_cursor
from finora_core.ledger.model import AccountNotFound
from finora_core.market.assets.model import SCAM
from finora_core.market.prices.model import Price
from finora_core.portfolio.institutions import institution
from finora_core.portfolio.model import (
    PAID,
    AccountType,
    Activity,
    ActivityFilter,
    ActivityKind,
    ActivityNotFound,
    Holding,
    Observation,
    ObservationExists,
    ObservationSource,
    OwnAsset,
    OwnAssetNotFound,
    OwnPrice,
    PortfolioAccount,
)

_ACCOUNTS = """
select account_id, institution, name, type, owner, hidden, created_at
from finora.portfolio_account where tenant_id = :tenant
"""
_LIST_ACCOUNTS = text(f"{_ACCOUNTS} order by institution, name")
_GET_ACCOUNT = text(f"{_ACCOUNTS} and account_id = :account")
_HIDE = text("""
update finora.portfolio_account set hidden = :hidden
where tenant_id = :tenant and account_id = :account
""")
# The row is what all who add to the account hold.
_LOCK_ACCOUNT = text(f"{_ACCOUNTS} and account_id = :account for no key update")


@attrs.frozen
class PgPortfolioAccounts:
    connection: Connection
    tenant_id: UUID

    def add(self, account: PortfolioAccount) -> None:
        row = {
            "tenant_id": self.tenant_id,
            "account_id": account.id,
            "institution": account.institution.id,
            "name": account.name,
            "type": account.type.value,
            "owner": account.owner,
            "hidden": account.hidden,
        }
        self.connection.execute(insert(portfolio_account).values(row))

    def get(self, account_id: UUID, *, lock: bool = False) -> PortfolioAccount:
        values = {"tenant": self.tenant_id, "account": account_id}
        row = self.connection.execute(_LOCK_ACCOUNT if lock else _GET_ACCOUNT, values).first()
        if row is None:
            raise AccountNotFound(f"no portfolio account {account_id}")
        return _account(row)

    def all(self) -> Sequence[PortfolioAccount]:
        rows = self.connection.execute(_LIST_ACCOUNTS, {"tenant": self.tenant_id})
        return [_account(row) for row in rows]

    def hide(self, account_id: UUID, hidden: bool) -> None:
        values = {"tenant": self.tenant_id, "account": account_id, "hidden": hidden}
        self.connection.execute(_HIDE, values)


def _account(row: Row[Any]) -> PortfolioAccount:
    return PortfolioAccount(
        id=row.account_id,
        institution=institution(row.institution),
        name=row.name,
        type=AccountType(row.type),
        owner=row.owner,
        hidden=row.hidden,
        created_at=row.created_at,
    )


_SELECT = """
select a.id, a.account_id, a.kind, a.asset, a.units, a.at, a.price, a.quote, a.counter_units,
  a.counter_asset, a.fee_units, a.fee_asset, a.tax_units, a.tax_asset, a.settled, a.source,
  a.external_id, a.note, a.entry_id, a.created_by, a.recorded_at, x.recorded_at as ended_at,
  x.replaced_by
from finora.activity a left join finora.activity_end x
  on x.tenant_id = a.tenant_id and x.activity_id = a.id
where a.tenant_id = :tenant
"""
_GET = text(f"{_SELECT} and a.id = :id")
_LIST = text(f"""{_SELECT}
and (cast(:account as uuid) is null or a.account_id = :account)
and (cast(:asset as text) is null or :asset in (a.asset, a.counter_asset))
and (cast(:kind as text) is null or a.kind = :kind)
and (cast(:source as text) is null or a.source = :source)
and a.at >= coalesce(:since, '-infinity'::timestamptz)
and a.at <= coalesce(:until, 'infinity'::timestamptz)
and (:ended or x.activity_id is null)
and (cast(:last as uuid) is null or (a.at, a.id) < (:before, cast(:last as uuid)))
order by a.at desc, a.id desc limit :limit
""").bindparams(
    *(bindparam(name, type_=DateTime(timezone=True)) for name in ("since", "until", "before"))
)
# Of all of them only what holdings are made of.
_STANDING = """
select a.id, a.account_id, a.kind, a.asset, a.units::text, a.at, a.price, a.quote,
  a.counter_units::text, a.counter_asset, a.fee_units::text, a.fee_asset, a.tax_units::text,
  a.tax_asset, a.settled
from finora.activity a
where a.tenant_id = %(tenant)s and a.at <= coalesce(%(until)s, 'infinity'::timestamptz)
  and (%(asset)s::text is null
    or %(asset)s in (a.asset, a.counter_asset, a.fee_asset, a.tax_asset))
  and not exists (select from finora.activity_end x
    where x.tenant_id = a.tenant_id and x.activity_id = a.id)
order by a.at, a.kind <> 'opening_balance', a.units < 0, a.id
"""
_ASSETS = itemgetter(3, 7, 9, 11, 13)
_KINDS = {kind.value: kind for kind in ActivityKind}
_KNOWN = text("""
select external_id from finora.activity
where tenant_id = :tenant and account_id = :account and source = :source
  and external_id = any(cast(:ids as text[]))
""")
_MOVED = text("""
select leg.asset, a.at, leg.units
from finora.activity a
cross join lateral (values (1, a.asset, a.units), (2, a.counter_asset, a.counter_units),
  (3, a.fee_asset, -a.fee_units), (4, a.tax_asset, -a.tax_units)) leg (number, asset, units)
where a.tenant_id = :tenant and a.account_id = :account
  and leg.asset = any(cast(:assets as text[])) and leg.units <> 0
  and (a.settled or leg.asset like '%:%' or (leg.number = 1 and a.kind <> all(:paid)))
  and not exists (select from finora.activity_end x
    where x.tenant_id = a.tenant_id and x.activity_id = a.id)
""")
_END = text("""
insert into finora.activity_end (tenant_id, activity_id, replaced_by, entry_id, ended_by)
values (:tenant, :activity, :replaced_by, :entry, :by)
""")
_FIRST = """
select (a.at at time zone 'UTC')::date from finora.activity a
where a.tenant_id = %(tenant)s and not exists (select from finora.activity_end x
  where x.tenant_id = a.tenant_id and x.activity_id = a.id)
order by a.at limit 1
"""
# Asked of the last one, for which there is an index: whether any is of that day or later would be
# looked for in all of them, where the day is not known when the statement is planned.
_ANY_SINCE = """
select a.at >= cast(%(day)s as date)::timestamp at time zone 'UTC'
from finora.activity a
where a.tenant_id = %(tenant)s and not exists (select from finora.activity_end x
  where x.tenant_id = a.tenant_id and x.activity_id = a.id)
order by a.at desc limit 1
"""
_CLOSED = text("select finora.closed_through()")
_LEGS = ("counter", "fee", "tax")


@attrs.frozen
class PgActivities:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets

    def add(self, activities: Sequence[Activity], import_id: UUID | None = None) -> None:
        rows = [self._row(each, import_id) for each in activities]
        if rows:
            self.connection.execute(insert(activity), rows)

    def get(self, activity_id: UUID) -> Activity:
        row = self.connection.execute(_GET, self._mine(id=activity_id)).first()
        if row is None:
            raise ActivityNotFound(f"no activity {activity_id}")
        return self._activity(row)

    def known(self, account_id: UUID, source: str, ids: Collection[str]) -> Collection[str]:
        values = self._mine(account=account_id, source=source, ids=list(ids))
        return set(self.connection.scalars(_KNOWN, values))

    def moved(
        self, account_id: UUID, assets: Collection[str]
    ) -> Mapping[str, Sequence[tuple[datetime, int]]]:
        found: dict[str, list[tuple[datetime, int]]] = defaultdict(list)
        if assets:
            paid = sorted(kind.value for kind in PAID)
            values = self._mine(account=account_id, assets=list(assets), paid=paid)
            for row in self.connection.execute(_MOVED, values):
                found[row.asset].append((row.at, int(row.units)))
        return found

    def list(self, wanted: ActivityFilter, cursor: str | None, limit: int) -> Page[Activity]:
        before, last = decode_cursor(cursor, (datetime, UUID)) if cursor else (None, None)
        values = self._mine(
            account=wanted.account_id,
            asset=wanted.asset,
            kind=wanted.kind.value if wanted.kind else None,
            source=wanted.source,
            since=wanted.since,
            until=wanted.until,
            ended=wanted.ended,
            before=before,
            last=last,
            limit=limit + 1,
        )
        rows = self.connection.execute(_LIST, values).all()
        items = tuple(self._activity(row) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(items)
        return Page(items, encode_cursor(rows[limit - 1].at.isoformat(), str(rows[limit - 1].id)))

    def standing(
        self, until: datetime | None = None, asset: str | None = None
    ) -> Sequence[Activity]:
        rows = run(self.connection, _STANDING, self._mine(until=until, asset=asset)).fetchall()
        get = self.assets.among({asset for row in rows for asset in _ASSETS(row) if asset})
        # One object for each account: who looks it up compares no two that are equal.
        accounts: dict[UUID, UUID] = {}

        def amount(units: str | None, asset: str | None) -> Amount | None:
            return None if units is None or asset is None else Amount(int(units), get[asset])

        return [
            Activity(
                id=each,
                account_id=accounts.setdefault(account, account),
                kind=_KINDS[kind],
                quantity=Amount(int(units), get[asset]),
                at=at,
                price=price,
                quote=get[quote] if quote else None,
                counter=amount(counter, counter_asset),
                fee=amount(fee, fee_asset),
                tax=amount(tax, tax_asset),
                settled=settled,
            )
            for each, account, kind, asset, units, at, price, quote, counter, counter_asset, fee,
                fee_asset, tax, tax_asset, settled in rows
        ]  # fmt: skip

    def end(
        self, activity_id: UUID, replaced_by: UUID | None, entry_id: UUID | None, by: UUID
    ) -> None:
        values = self._mine(activity=activity_id, replaced_by=replaced_by, entry=entry_id, by=by)
        self.connection.execute(_END, values)

    def first(self) -> date | None:
        found = run(self.connection, _FIRST, self._mine()).fetchone()
        return found[0] if found else None

    def any_since(self, day: date) -> bool:
        last = run(self.connection, _ANY_SINCE, self._mine(day=day)).fetchone()
        return last is not None and bool(last[0])

    def closed_through(self) -> date | None:
        found: date | None = self.connection.scalar(_CLOSED)
        return found

    def _mine(self, **values: object) -> dict[str, object]:
        return {"tenant": self.tenant_id} | values

    def _row(self, each: Activity, import_id: UUID | None) -> dict[str, object]:
        row: dict[str, object] = {
            "tenant_id": self.tenant_id,
            "id": each.id,
            "account_id": each.account_id,
            "kind": each.kind.value,
            "asset": each.quantity.asset.id,
            "units": each.quantity.units,
            "at": each.at,
            "price": each.price,
            "quote": each.quote.id if each.quote else None,
            "settled": each.settled,
            "source": each.source,
            "external_id": each.external_id,
            "note": each.note,
            "entry_id": each.entry_id,
            "import_id": import_id,
            "created_by": each.created_by,
        }
        for name in _LEGS:
            amount: Amount | None = getattr(each, name)
            row[f"{name}_units"] = amount.units if amount else None
            row[f"{name}_asset"] = amount.asset.id if amount else None
        return row

    def _activity(self, row: Row[Any]) -> Activity:
        amount = self.assets.amount
        legs = {
            name: amount(getattr(row, f"{name}_units"), getattr(row, f"{name}_asset"))
            for name in _LEGS
            if getattr(row, f"{name}_units") is not None
        }
        return Activity(
            id=row.id,
            account_id=row.account_id,
            kind=ActivityKind(row.kind),
            quantity=amount(row.units, row.asset),
            at=row.at,
            price=row.price,
            quote=self.assets.get(row.quote) if row.quote else None,
            **legs,
            settled=row.settled,
            source=row.source,
            external_id=row.external_id,
            note=row.note,
            entry_id=row.entry_id,
            created_by=row.created_by,
            recorded_at=row.recorded_at,
            ended_at=row.ended_at,
            replaced_by=row.replaced_by,
        )


_HOLDINGS = """
select b.account_id, b.asset, b.units::text, coalesce(c.included, true)
from finora.portfolio_account p
join finora.balance b on b.tenant_id = p.tenant_id and b.account_id = p.account_id
left join finora.holding_choice c on c.tenant_id = b.tenant_id and c.account_id = b.account_id
  and c.asset = b.asset
where p.tenant_id = %(tenant)s and b.units <> 0
  and (%(account)s::uuid is null or p.account_id = %(account)s)
order by p.institution, p.name, b.asset
"""
_CHOICES = text("""
select account_id, asset, included from finora.holding_choice where tenant_id = :tenant
""")

_BASE = "select base_asset from finora.tenant where tenant_id = %(tenant)s"
# As the latest word on each has it: likely a scam, or looking like something that it is not.
_SCAMS = """
select asset from (
  select distinct on (asset) asset, scam, lookalike from finora.asset_verdict
  where asset = any(select asset from finora.balance where tenant_id = %(tenant)s)
  order by asset, number desc
) v where scam >= %(likely)s or lookalike is not null
"""


@attrs.frozen
class PgHoldings:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets

    def all(self, account_id: UUID | None = None) -> Sequence[Holding]:
        values = {"tenant": self.tenant_id, "account": account_id}
        rows = run(self.connection, _HOLDINGS, values).fetchall()
        accounts = {row.account_id: _account(row)
                    for row in self.connection.execute(_LIST_ACCOUNTS, values)}  # fmt: skip
        scams, get = self.scams(), self.assets.among({asset for _, asset, _, _ in rows})
        return [
            Holding(
                account=accounts[account],
                quantity=Amount(int(units), get[asset]),
                included=included and not accounts[account].hidden and asset not in scams,
            )
            for account, asset, units, included in rows
        ]

    def choose(self, account_id: UUID, asset: str, included: bool) -> None:
        row = {
            "tenant_id": self.tenant_id,
            "account_id": account_id,
            "asset": asset,
            "included": included,
        }
        chosen = upsert(holding_choice).values(row)
        said = {"included": included}
        self.connection.execute(
            chosen.on_conflict_do_update(constraint="holding_choice_pkey", set_=said)
        )

    def base(self) -> str:
        found = run(self.connection, _BASE, {"tenant": self.tenant_id}).fetchone()
        return str(found and found[0])

    def scams(self) -> Collection[str]:
        values = {"tenant": self.tenant_id, "likely": SCAM}
        return {asset for (asset,) in run(self.connection, _SCAMS, values)}

    def choices(self) -> Mapping[tuple[UUID, str], bool]:
        rows = self.connection.execute(_CHOICES, {"tenant": self.tenant_id})
        return {(row.account_id, row.asset): row.included for row in rows}


_OWN = text("""
select o.asset, o.name, o.quote from finora.own_asset o where o.tenant_id = :tenant order by o.name
""")
_SET_PRICE = text("""
insert into finora.own_price (tenant_id, asset, quote, at, revision, value, reason, set_by)
select :tenant, :asset, :quote, :at, 1 + coalesce(max(revision), 0), :value, :reason, :by
from finora.own_price where tenant_id = :tenant and asset = :asset and quote = :quote and at = :at
returning revision, recorded_at
""")
_OWN_PRICES = text("""
select distinct on (asset, quote, at) asset, quote, at, revision, value from finora.own_price
where tenant_id = :tenant order by asset, quote, at, revision desc
""")
_OWN_HISTORY = text("""
select p.*, coalesce(
    (select b.value from finora.own_price b where b.tenant_id = p.tenant_id and b.asset = p.asset
       and b.quote = p.quote and b.at = p.at and b.revision = p.revision - 1),
    (select b.value from finora.own_price b where b.tenant_id = p.tenant_id and b.asset = p.asset
       and b.quote = p.quote and b.at < p.at and b.recorded_at < p.recorded_at
     order by b.at desc, b.revision desc limit 1)) as previous
from finora.own_price p where p.tenant_id = :tenant and p.asset = :asset
order by p.at desc, p.revision desc
""")


@attrs.frozen
class PgOwnAssets:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets

    def ensure(self, asset: Asset, name: str, quote: str, by: UUID) -> None:
        self.assets.add(asset)
        row = {
            "tenant_id": self.tenant_id,
            "asset": asset.id,
            "name": name,
            "quote": quote,
            "created_by": by,
        }
        self.connection.execute(upsert(own_asset).values(row).on_conflict_do_nothing())

    def names(self) -> Mapping[str, str]:
        rows = self.connection.execute(_OWN, {"tenant": self.tenant_id})
        return {row.asset: row.name for row in rows}

    def get(self, asset_id: str) -> OwnAsset:
        rows = self.connection.execute(_OWN, {"tenant": self.tenant_id})
        for row in rows:
            if row.asset == asset_id:
                return OwnAsset(asset=self.assets.get(row.asset), name=row.name, quote=row.quote)
        raise OwnAssetNotFound(f"there is no {asset_id!r} of your own")

    def set_price(
        self, asset: str, quote: str, at: datetime, value: Decimal, reason: str, by: UUID
    ) -> OwnPrice:
        values = {"tenant": self.tenant_id, "asset": asset, "quote": quote, "at": at,
                  "value": value, "reason": reason, "by": by}  # fmt: skip
        self.connection.execute(_SET_PRICE, values)
        return next(each for each in self.history(asset) if each.at == at and each.quote == quote)

    def prices(self) -> Sequence[Price]:
        rows = self.connection.execute(_OWN_PRICES, {"tenant": self.tenant_id})
        return [
            Price(
                asset=row.asset,
                quote=row.quote,
                at=row.at,
                value=row.value,
                source="own",
                revision=row.revision,
            )
            for row in rows
        ]

    def history(self, asset: str) -> Sequence[OwnPrice]:
        rows = self.connection.execute(_OWN_HISTORY, {"tenant": self.tenant_id, "asset": asset})
        names = ("asset", "quote", "at", "value", "previous", "revision", "reason", "set_by",
                 "recorded_at")  # fmt: skip
        return [OwnPrice(**{name: getattr(row, name) for name in names}) for row in rows]


_OBSERVED = text("""
select account_id, asset, units, at, source from finora.holding_observation
where tenant_id = :tenant and account_id = :account and asset = :asset order by at, source
""")


@attrs.frozen
class PgObservations:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets

    def add(self, seen: Observation, by: UUID) -> bool:
        row = {
            "tenant_id": self.tenant_id,
            "account_id": seen.account_id,
            "asset": seen.quantity.asset.id,
            "at": seen.at,
            "source": seen.source.value,
            "units": seen.quantity.units,
            "observed_by": by,
        }
        added = upsert(holding_observation).values(row).on_conflict_do_nothing()
        if self.connection.scalar(added.returning(holding_observation.c.at)) is not None:
            return True
        every = self.of(seen.account_id, seen.quantity.asset.id)
        if seen in every:
            return False
        raise ObservationExists(f"{seen.source.value} of {seen.at} says another quantity")

    def of(self, account_id: UUID, asset: str) -> Sequence[Observation]:
        values = {"tenant": self.tenant_id, "account": account_id, "asset": asset}
        return [
            Observation(
                account_id=row.account_id,
                quantity=self.assets.amount(row.units, row.asset),
                at=row.at,
                source=ObservationSource(row.source),
            )
            for row in self.connection.execute(_OBSERVED, values)
        ]
