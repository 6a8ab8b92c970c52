"""Assets, accounts, the journal and holds in Postgres."""

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, Row, bindparam, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from finora_adapters.postgres import schema
from finora_adapters.postgres.driver import run
from finora_adapters.postgres.streams import streamed
from finora_core.kernel.amount import Amount, AssetMismatch
from finora_core.kernel.asset import CURRENCIES, Asset, UnknownAsset
from finora_core.kernel.errors import Conflict
from finora_core.kernel.page import Page, decode_cursor, encode_cursor
from finora_core.ledger.model import (
    Account,
    AccountKind,
    AccountNotFound,
    Balance,
    Entry,
    EntryNotFound,
    Flow,
    Hold,
    HoldNotFound,
    HoldOutcome,
    Line,
    Posting,
    SealNotFound,
    StatementRow,
    TrialBalance,
)


class AssetExists(Conflict):
    """The asset is known with another scale, and a scale is for ever."""

    code = "ASSET_EXISTS"


# Every database has these from its first migration on, so nobody needs to ask it.
_CURRENCIES = {asset.id: asset for asset in CURRENCIES}


_SCALES = "select id, scale from finora.asset where id = any(%(ids)s)"


@attrs.define
class PgAssets:
    connection: Connection
    known: dict[str, Asset] = attrs.field(factory=_CURRENCIES.copy)

    def get(self, asset_id: str) -> Asset:
        found = self.known.get(asset_id)
        if found is None:
            scale = self.connection.scalar(
                select(schema.asset.c.scale).where(schema.asset.c.id == asset_id)
            )
            if scale is None:
                raise UnknownAsset(f"no asset {asset_id!r} is known")
            found = self.known[asset_id] = Asset(asset_id, scale)
        return found

    def all(self) -> Mapping[str, Asset]:
        rows = self.connection.execute(select(schema.asset.c.id, schema.asset.c.scale))
        self.known.update((row.id, Asset(row.id, row.scale)) for row in rows)
        return self.known

    def among(self, ids: Collection[str]) -> Mapping[str, Asset]:
        """These, asked for at once. Raises UnknownAsset."""
        if unknown := [asset_id for asset_id in ids if asset_id not in self.known]:
            rows = run(self.connection, _SCALES, {"ids": unknown})
            self.known.update((asset_id, Asset(asset_id, scale)) for asset_id, scale in rows)
        return {asset_id: self.get(asset_id) for asset_id in ids}

    def add(self, asset: Asset) -> None:
        row = upsert(schema.asset).values(id=asset.id, scale=asset.scale).on_conflict_do_nothing()
        self.connection.execute(row)
        if self.get(asset.id) != asset:
            raise AssetExists(f"{asset.id} has scale {self.get(asset.id).scale} for ever")

    def check(self, assets: Iterable[Asset]) -> None:
        """Raises UnknownAsset, or AssetMismatch where the books count it in another scale: the
        units would be read as a hundred times too much, or too little."""
        for asset in assets:
            known = self.get(asset.id)
            if known != asset:
                raise AssetMismatch(f"{asset.id} has scale {known.scale}, not {asset.scale}")

    def amount(self, units: int, asset_id: str) -> Amount:
        return Amount(int(units), self.get(asset_id))


@attrs.frozen
class PgAccounts:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets

    def add(self, account: Account) -> None:
        self.connection.execute(insert(schema.account).values(self._row(account)))

    def ensure(self, account: Account) -> Account:
        row = upsert(schema.account).values(self._row(account))
        self.connection.execute(row.on_conflict_do_nothing(constraint="account_tenant_id_name_key"))
        found = self.named(account.name)
        assert found is not None  # it was there or is now
        return found

    def get(self, account_id: UUID) -> Account:
        found = self._find(schema.account.c.id == account_id)
        if found is None:
            raise AccountNotFound(f"no account {account_id}")
        return found

    def named(self, name: str) -> Account | None:
        return self._find(schema.account.c.name == name)

    def list(self) -> Sequence[Account]:
        own = schema.account.c.tenant_id == self.tenant_id
        query = select(*_ACCOUNT).where(own).order_by(schema.account.c.kind, schema.account.c.name)
        return [_account(row) for row in self.connection.execute(query)]

    def balances(self, account_id: UUID | None = None) -> Sequence[Balance]:
        balance, account = schema.balance, schema.account
        joined = balance.join(account, (account.c.tenant_id == balance.c.tenant_id)
                              & (account.c.id == balance.c.account_id))  # fmt: skip
        query = (
            select(*_ACCOUNT, balance.c.asset.label("counted"), balance.c.units, balance.c.held,
                   balance.c.available)
            .select_from(joined)
            .where(balance.c.tenant_id == self.tenant_id)
            .order_by(account.c.name, balance.c.asset)
        )  # fmt: skip
        if account_id is not None:
            query = query.where(balance.c.account_id == account_id)
        return [
            Balance(
                account=_account(row),
                amount=self.assets.amount(row.units, row.counted),
                held=self.assets.amount(row.held, row.counted),
                available=self.assets.amount(row.available, row.counted),
            )
            for row in self.connection.execute(query)
        ]

    def _find(self, condition: Any) -> Account | None:
        query = select(*_ACCOUNT).where(schema.account.c.tenant_id == self.tenant_id, condition)
        row = self.connection.execute(query).one_or_none()
        return None if row is None else _account(row)

    def _row(self, account: Account) -> dict[str, Any]:
        return attrs.asdict(account) | {
            "tenant_id": self.tenant_id,
            "normal": account.kind.normal,
        }


_ACCOUNT = tuple(
    schema.account.c[name] for name in ("id", "name", "kind", "floor", "asset", "owner")
)


def _account(row: Any) -> Account:
    return Account(
        id=row.id,
        name=row.name,
        kind=AccountKind(row.kind),
        floor=None if row.floor is None else int(row.floor),
        asset=row.asset,
        owner=row.owner,
    )


# One statement for one entry or ten thousand: one round trip, and the trigger sees them whole.
_ADD = text("""
with made as (
  insert into finora.entry (tenant_id, id, on_date, flow, cause, reference, reverses, rate,
      rate_source, bank_date)
  select :tenant, * from unnest(cast(:ids as uuid[]), cast(:dates as date[]),
    cast(:flows as text[]), cast(:causes as text[]), cast(:refs as text[]),
    cast(:reverses as uuid[]), cast(:rates as numeric[]), cast(:sources as text[]),
    cast(:bank_dates as date[]))
)
insert into finora.posting (tenant_id, entry_id, line, account_id, asset, units, on_date)
select :tenant, * from unnest(cast(:entries as uuid[]), cast(:lines as smallint[]),
  cast(:accounts as uuid[]), cast(:assets as text[]), cast(:units as numeric[]),
  cast(:on_dates as date[]))
""")

_ENTRIES = """
select e.id, e.on_date, e.flow, e.cause, e.reference, e.reverses, e.rate, e.rate_source,
  e.recorded_at, e.bank_date, p.line, p.account_id, p.asset, p.units
from finora.entry e join finora.posting p on p.tenant_id = e.tenant_id and p.entry_id = e.id
where e.tenant_id = :tenant
"""

_TRIAL = """
select a.id, a.name, a.kind, a.floor, a.asset, a.owner, s.asset as counted, s.units
from (select p.account_id, p.asset, sum(p.units) as units from finora.posting p
  {join} where p.tenant_id = :tenant {when} group by 1, 2 having sum(p.units) <> 0) s
join finora.account a on a.tenant_id = :tenant and a.id = s.account_id
order by a.kind, a.name, s.asset
"""
_JOIN_ENTRY = "join finora.entry e on e.tenant_id = p.tenant_id and e.id = p.entry_id"

_NOW = text("""
select a.id, a.name, a.kind, a.floor, a.asset, a.owner, b.asset as counted, b.units
from finora.balance b join finora.account a on a.tenant_id = b.tenant_id and a.id = b.account_id
where b.tenant_id = :tenant and b.units <> 0 order by a.kind, a.name, b.asset
""")

_STATEMENT = text("""
with mine as (
  select p.on_date, p.entry_id, p.line, p.asset, p.units,
    sum(p.units) over (partition by p.asset order by p.on_date, p.entry_id, p.line) as balance
  from finora.posting p where p.tenant_id = :tenant and p.account_id = :account
    and p.on_date <= coalesce(:until, 'infinity'::date)
)
select m.*, e.cause, e.reference, e.recorded_at from mine m
join finora.entry e on e.tenant_id = :tenant and e.id = m.entry_id
where m.on_date >= coalesce(:since, '-infinity'::date)
  and (cast(:day as date) is null or (m.on_date, m.entry_id, m.line) > (:day, :entry, :line))
order by m.on_date, m.entry_id, m.line limit :limit
""")


@attrs.frozen
class PgJournal:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets

    def add(self, entries: Sequence[Entry]) -> None:
        legs = [
            (entry, line, posting)
            for entry in entries
            for line, posting in enumerate(entry.postings)
        ]
        self.assets.check({posting.amount.asset for _, _, posting in legs})
        values = {
            "tenant": self.tenant_id,
            "ids": [entry.id for entry in entries],
            "dates": [entry.on_date for entry in entries],
            "flows": [entry.flow.value for entry in entries],
            "causes": [entry.cause for entry in entries],
            "refs": [entry.reference for entry in entries],
            "reverses": [entry.reverses for entry in entries],
            "rates": [entry.rate for entry in entries],
            "sources": [entry.rate_source for entry in entries],
            "bank_dates": [entry.bank_date for entry in entries],
            "entries": [entry.id for entry, _, _ in legs],
            "lines": [line for _, line, _ in legs],
            "accounts": [posting.account_id for _, _, posting in legs],
            "assets": [posting.amount.asset.id for _, _, posting in legs],
            "units": [posting.amount.units for _, _, posting in legs],
            "on_dates": [entry.on_date for entry, _, _ in legs],
        }
        self.connection.execute(_ADD, values)

    def get(self, entry_id: UUID) -> Entry:
        query = text(_ENTRIES + "and e.id = :entry order by p.line")
        rows = self.connection.execute(query, {"tenant": self.tenant_id, "entry": entry_id}).all()
        if not rows:
            raise EntryNotFound(f"no entry {entry_id}")
        return self._entry(rows)

    def all(self) -> Generator[Entry, None, None]:
        query = text(_ENTRIES + "order by e.on_date, e.id, p.line")
        with streamed(self.connection, query, {"tenant": self.tenant_id}) as rows:
            for _, legs in groupby(rows, key=lambda row: row.id):
                yield self._entry(list(legs))

    def statement(
        self,
        account_id: UUID,
        since: date | None,
        until: date | None,
        cursor: str | None,
        limit: int,
    ) -> Page[StatementRow]:
        day, entry, line = (None, None, None)
        if cursor is not None:
            day, entry, line = decode_cursor(cursor, (date, UUID, int))
        values = {
            "tenant": self.tenant_id,
            "account": account_id,
            "since": since,
            "until": until,
            "day": day,
            "entry": entry,
            "line": line,
            "limit": limit + 1,
        }
        rows = self.connection.execute(_STATEMENT_TYPED, values).all()
        more = None
        if len(rows) > limit:
            last = rows[limit - 1]
            more = encode_cursor(last.on_date.isoformat(), str(last.entry_id), last.line)
        return Page(tuple(self._row(row) for row in rows[:limit]), more)

    def trial_balance(self, on: date | None, known_at: datetime | None) -> TrialBalance:
        if on is None and known_at is None:
            return self._trial(_NOW, {})
        when = "and p.on_date <= coalesce(:on, 'infinity'::date)"
        join = ""
        if known_at is not None:
            join, when = _JOIN_ENTRY, when + " and e.recorded_at <= :known"
        query = text(_TRIAL.format(join=join, when=when)).bindparams(
            bindparam("on", type_=schema.posting.c.on_date.type)
        )
        return self._trial(query, {"on": on} | ({"known": known_at} if known_at else {}))

    def trial_balance_at_seal(self, seq: int) -> TrialBalance:
        # A place that is not sealed yet would get another answer tomorrow.
        sealed = text("select tx::text from finora.seal where tenant_id = :tenant and seq = :seq")
        tx = self.connection.scalar(sealed, {"tenant": self.tenant_id, "seq": seq})
        if tx is None:
            raise SealNotFound(f"no event is sealed as number {seq}")
        cut = "and e.tx <= cast(:tx as xid8)"
        return self._trial(text(_TRIAL.format(join=_JOIN_ENTRY, when=cut)), {"tx": tx})

    def trial_balance_known(self, on: date, tx: str) -> TrialBalance:
        """At the end of a day, as it was known to the transaction."""
        cut = "and p.on_date <= :on and e.tx <= cast(:tx as xid8)"
        query = text(_TRIAL.format(join=_JOIN_ENTRY, when=cut))
        return self._trial(query, {"on": on, "tx": tx})

    def _trial(self, query: Any, values: dict[str, Any]) -> TrialBalance:
        rows = self.connection.execute(query, {"tenant": self.tenant_id} | values)
        return TrialBalance(
            tuple(
                Line(account=_account(row), amount=self.assets.amount(row.units, row.counted))
                for row in rows
            )
        )

    def _entry(self, rows: Sequence[Row[Any]]) -> Entry:
        head = rows[0]
        legs = (Posting(row.account_id, self.assets.amount(row.units, row.asset)) for row in rows)
        return Entry(
            id=head.id,
            on_date=head.on_date,
            postings=tuple(legs),
            cause=head.cause,
            flow=Flow(head.flow),
            reference=head.reference,
            reverses=head.reverses,
            rate=head.rate,
            rate_source=head.rate_source,
            recorded_at=head.recorded_at,
            bank_date=head.bank_date,
        )

    def _row(self, row: Row[Any]) -> StatementRow:
        return StatementRow(
            entry_id=row.entry_id,
            on_date=row.on_date,
            recorded_at=row.recorded_at,
            cause=row.cause,
            reference=row.reference,
            amount=self.assets.amount(row.units, row.asset),
            balance=self.assets.amount(row.balance, row.asset),
        )


_STATEMENT_TYPED = _STATEMENT.bindparams(
    bindparam("since", type_=schema.posting.c.on_date.type),
    bindparam("until", type_=schema.posting.c.on_date.type),
)


_HOLD = """
select h.id, h.account_id, h.asset, h.units, h.reference, h.expires_at, x.outcome
from finora.hold h left join finora.hold_end x on x.tenant_id = h.tenant_id and x.hold_id = h.id
where h.tenant_id = :tenant
"""

# The balances that the hold's end, and the entry that pays it, will move are locked first, in the
# order in which postings lock them.
_END = text("""
insert into finora.hold_end (tenant_id, hold_id, outcome, units, entry_id)
select h.tenant_id, h.id, :outcome, cast(:units as numeric), cast(:entry as uuid)
from finora.hold h, finora.lock_balances(
  h.account_id || cast(:accounts as uuid[]), h.asset || cast(:assets as text[]))
where h.tenant_id = :tenant and h.id = :hold
""")
# Another sweeper may end the same hold; whoever inserts first ends it.
_EXPIRE = """
with due as materialized (
  select h.id, h.account_id, h.asset from finora.hold h
  where h.tenant_id = :tenant and h.expires_at <= clock_timestamp() {mine} and not exists (
    select from finora.hold_end x where x.tenant_id = h.tenant_id and x.hold_id = h.id)
  order by h.account_id, h.asset, h.id limit 1000
), locked as materialized (
  select finora.lock_balances(array_agg(account_id), array_agg(asset)) from due
)
insert into finora.hold_end (tenant_id, hold_id, outcome)
select :tenant, id, 'expired' from due where exists (select from locked)
order by account_id, asset, id on conflict do nothing returning hold_id
"""


@attrs.frozen
class PgHolds:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets

    def add(self, hold: Hold) -> None:
        row = {
            "tenant_id": self.tenant_id,
            "id": hold.id,
            "account_id": hold.account_id,
            "asset": hold.amount.asset.id,
            "units": hold.amount.units,
            "reference": hold.reference,
            "expires_at": hold.expires_at,
        }
        self.assets.check([hold.amount.asset])
        self.connection.execute(insert(schema.hold).values(row))

    def get(self, hold_id: UUID) -> Hold:
        query = text(_HOLD + "and h.id = :id")
        row = self.connection.execute(query, {"tenant": self.tenant_id, "id": hold_id}).first()
        if row is None:
            raise HoldNotFound(f"no hold {hold_id}")
        return self._hold(row)

    def end(
        self,
        hold_id: UUID,
        outcome: HoldOutcome,
        posted: Amount | None = None,
        entry: Entry | None = None,
    ) -> None:
        values = {
            "tenant": self.tenant_id,
            "hold": hold_id,
            "outcome": outcome.value,
            "units": posted.units if posted else 0,
            "entry": entry.id if entry else None,
            "accounts": [leg.account_id for leg in entry.postings] if entry else [],
            "assets": [leg.amount.asset.id for leg in entry.postings] if entry else [],
        }
        if not self.connection.execute(_END, values).rowcount:
            raise HoldNotFound(f"no hold {hold_id}")

    def expire(self, account_id: UUID | None = None, asset: Asset | None = None) -> Sequence[UUID]:
        mine = "" if account_id is None else "and h.account_id = :account "
        mine += "" if asset is None else "and h.asset = :asset"
        values = {"tenant": self.tenant_id, "account": account_id,
                  "asset": asset.id if asset else None}  # fmt: skip
        return self.connection.scalars(text(_EXPIRE.format(mine=mine)), values).all()

    def _hold(self, row: Row[Any]) -> Hold:
        return Hold(
            id=row.id,
            account_id=row.account_id,
            amount=self.assets.amount(row.units, row.asset),
            reference=row.reference,
            expires_at=row.expires_at,
            outcome=HoldOutcome(row.outcome) if row.outcome else None,
        )
