"""Statement imports: files, account numbers, profiles, and lines on their way into the books.

Row-level security refuses COPY, so lines are copied into temporary tables, which need no rights
and write no log, and go from there into the books by set-based statements.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert as upsert

from finora_adapters.postgres import schema
from finora_adapters.postgres.files import hold_object
from finora_adapters.postgres.ledger import PgAccounts, PgAssets, PgJournal
from finora_core.files.ports import Stored
from finora_core.kernel.amount import Amount
from finora_core.kernel.ids import new_id, new_ids
from finora_core.kernel.plain import to_plain
from finora_core.kernel.scope import Scope
from finora_core.ledger.model import Entry, Flow, Posting
from finora_core.records.model import (
    Difference,
    ImportNotFound,
    ImportRequest,
    ImportResult,
    Merged,
)
from finora_core.records.ports import Staged


@attrs.frozen
class PgImports:
    connection: Connection
    tenant_id: UUID

    def add(
        self, import_id: UUID, name: str, stored: Stored, request: ImportRequest, by: UUID
    ) -> None:
        row = {
            "tenant_id": self.tenant_id,
            "id": import_id,
            "file_name": name,
            "file_key": stored.key,
            "sha256": stored.sha256,
            "bytes": stored.bytes,
            "request": to_plain(request),
            "asked_by": by,
        }
        hold_object(self.connection, self.tenant_id, stored.key)
        insert = upsert(schema.statement_import).values(row).on_conflict_do_nothing()
        self.connection.execute(insert)

    def request(self, import_id: UUID) -> tuple[str, str, ImportRequest, UUID]:
        row = self._get(import_id)
        return row.file_name, row.file_key, ImportRequest(**row.request), row.asked_by

    def finish(self, import_id: UUID, result: ImportResult) -> None:
        table = schema.statement_import
        self.connection.execute(
            table.update()
            .where(table.c.tenant_id == self.tenant_id, table.c.id == import_id)
            .values(result=to_plain(result))
        )

    def result(self, import_id: UUID) -> Mapping[str, object] | None:
        found: Mapping[str, object] | None = self._get(import_id).result
        return found

    def numbers(self) -> Mapping[str, UUID]:
        table = schema.account_number
        query = table.select().where(table.c.tenant_id == self.tenant_id)
        return {row.number: row.account_id for row in self.connection.execute(query)}

    def add_number(self, number: str, account_id: UUID) -> None:
        row = {"tenant_id": self.tenant_id, "number": number, "account_id": account_id}
        self.connection.execute(schema.account_number.insert().values(row))

    def profile(self, format_name: str, layout: str) -> tuple[Mapping[str, str], UUID | None]:
        table = schema.profile
        query = table.select().where(
            table.c.tenant_id == self.tenant_id,
            table.c.format == format_name,
            table.c.layout == layout,
        )
        row = self.connection.execute(query).one_or_none()
        return ({}, None) if row is None else (row.answers, row.account_id)

    def save_profile(
        self, format_name: str, layout: str, answers: Mapping[str, str], account: UUID | None
    ) -> None:
        row = {
            "tenant_id": self.tenant_id,
            "format": format_name,
            "layout": layout,
            "answers": dict(answers),
            "account_id": account,
        }
        change = {"answers": dict(answers), "account_id": account}
        statement = upsert(schema.profile).values(row)
        self.connection.execute(
            statement.on_conflict_do_update(constraint="profile_pkey", set_=change)
        )

    def lock(self, accounts: Iterable[UUID]) -> None:
        for account_id in sorted(accounts):
            self.connection.execute(
                text("select pg_advisory_xact_lock(hashtextextended(:key, 1))"),
                {"key": f"{self.tenant_id}{account_id}"},
            )

    def _get(self, import_id: UUID) -> Any:
        table = schema.statement_import
        query = table.select().where(table.c.tenant_id == self.tenant_id, table.c.id == import_id)
        row = self.connection.execute(query).one_or_none()
        if row is None:
            raise ImportNotFound(f"no import {import_id}")
        return row


WORK_MEM = "64MB"
"""What one step of an import may sort or hash in memory; the server's default is made for many
small queries at once."""

_LINE = """
create temporary table line (place bigint, id uuid, account_id uuid, identity uuid, on_date date,
  units numeric, asset text, description text, counterparty text, merchant_key text, bank_id text,
  booked boolean, category text, raw text, occurrence int not null default 0) on commit drop
"""
_COPY = """
copy line (place, id, account_id, identity, on_date, units, asset, description, counterparty,
  merchant_key, bank_id, booked, category, raw) from stdin (format text)
"""
# Equal lines without a bank id are counted, so that two purchases stay two; a bank id that comes
# twice with one date and amount is one line. Only those lines are touched: the others stay in the
# order of the file, which is that of their ids, and so enter the indexes of the books at their end.
_NUMBER = """
with again as (
  select id, row_number() over (partition by account_id, identity order by place) - 1 as n
  from line where (account_id, identity) in (
    select account_id, identity from line group by 1, 2 having count(*) > 1)
), gone as (
  delete from line l using again a where a.id = l.id and a.n > 0 and l.bank_id is not null
)
update line l set occurrence = a.n from again a where a.id = l.id and a.n > 0 and l.bank_id is null
"""
# The columns that lines are matched by; the others are wide and of no use to the planner.
_ANALYZE = "analyze {} (account_id, identity, on_date, units, asset, bank_id, merchant_key, booked)"
_MATCHED = """
create temporary table matched (id uuid primary key, record_id uuid, how text) on commit drop
"""

_EXISTING = """
insert into matched
select l.id, r.id, 'existing' from line l join finora.record r
  on r.tenant_id = :tenant and r.received_account_id = l.account_id and r.identity = l.identity
  and r.occurrence = l.occurrence
union
select l.id, s.record_id, 'existing' from line l join finora.sighting s
  on s.tenant_id = :tenant and s.account_id = l.account_id and s.identity = l.identity
  and s.occurrence = l.occurrence
union
-- What was exported from here names its record, whatever became of that since.
select l.id, r.id, 'existing' from line l join finora.record r on r.tenant_id = :tenant
  and r.id = case when l.bank_id ~ '^finora:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
    then substr(l.bank_id, 8)::uuid end
where :source = 'finora'
"""

# Lines and records that nothing is matched with yet. What files said of a record counts, not what
# a person made of it later.
_FREE = """
create temporary table free_line on commit drop as
select l.* from line l where not exists (select from matched m where m.id = l.id)
"""
_FREE_RECORD = """
create temporary table free_record on commit drop as
select * from (
  select r.id, r.received_account_id as account_id, coalesce(v.on_date, r.on_date) as on_date,
    coalesce(v.units, r.units) as units, coalesce(v.asset, r.asset) as asset, r.merchant_key,
    coalesce(v.bank_id, r.bank_id) as bank_id,
    coalesce(v.bank_state, r.bank_state) = 'pending' as pending,
    r.source = :source or exists (select from finora.sighting s where s.tenant_id = r.tenant_id
      and s.record_id = r.id and s.source = :source) as seen
  from finora.record r
  left join lateral (select * from finora.revision v where r.edited
    and v.tenant_id = r.tenant_id and v.record_id = r.id and not v.edited
    order by v.number desc limit 1) v on true
  where r.tenant_id = :tenant and r.received_account_id = any(cast(:accounts as uuid[]))
    and (r.on_date between cast(:first as date) and cast(:last as date) or r.edited)
    and not exists (select from matched m where m.record_id = r.id)
) r where on_date between cast(:first as date) and cast(:last as date)
"""
_FORGET = """
with gone as (delete from free_line l using matched m where m.id = l.id)
delete from free_record r using matched m where m.record_id = r.id
"""

# A pending line and its booking: the same bank id, or the same merchant within a week.
_SAME_ID = """
insert into matched
select distinct on (r.id) l.id, r.id, 'claimed' from free_line l join free_record r
  on r.account_id = l.account_id and r.bank_id = l.bank_id and r.units = l.units
  and r.asset = l.asset
where r.pending or not l.booked
order by r.id, l.place on conflict do nothing
"""
_SAME_MERCHANT = """
insert into matched
with wanting as (
  select id, account_id, on_date, units, asset, merchant_key, row_number() over (
    partition by account_id, units, asset, merchant_key order by on_date, place) as n
  from free_line where {lines}
), waiting as (
  select id as record_id, account_id, on_date as seen_on, units, asset, merchant_key,
    row_number() over (partition by account_id, units, asset, merchant_key
      order by on_date, id) as n
  from free_record where {records}
)
select id, record_id, 'claimed' from wanting
join waiting using (account_id, units, asset, merchant_key, n)
where abs(on_date - seen_on) <= 7 on conflict do nothing
"""
# As many as both have of one account, date and amount.
_SAME_SUM = """
insert into matched
with wanting as (
  select id, account_id, on_date, units, asset, row_number() over (
    partition by account_id, on_date, units, asset order by place) as n
  from free_line where {lines}
), waiting as (
  select id as record_id, account_id, on_date, units, asset, row_number() over (
    partition by account_id, on_date, units, asset order by id) as n
  from free_record where {records}
)
select id, record_id, 'claimed' from wanting
join waiting using (account_id, on_date, units, asset, n) on conflict do nothing
"""
# Which lines may claim which records: a booked line what was only announced, and an announced one
# anything; and across formats a line of either kind. A line of one format that differs in its
# words from a record of the same day and sum is another purchase.
_ANNOUNCED = ({"lines": "booked", "records": "pending"}, {"lines": "not booked", "records": "true"})
_ANNOUNCED_BY_MERCHANT = [_SAME_MERCHANT.format(**pair) for pair in _ANNOUNCED]
_ANNOUNCED_BY_SUM = [_SAME_SUM.format(**pair) for pair in _ANNOUNCED]
_ELSEWHERE_BY_SUM = _SAME_SUM.format(lines="true", records="not seen")

_SIGHTED = """
insert into finora.sighting (tenant_id, account_id, identity, occurrence, record_id, source,
  import_id, place, on_date, raw)
select :tenant, l.account_id, l.identity, l.occurrence, m.record_id, :source, :import, l.place,
  l.on_date, l.raw
from matched m join line l on l.id = m.id where m.how = 'claimed'
"""

# What was announced is booked now: its entry, at the date at which the bank booked it.
_BOOKED = """
with booking as (
  select r.id, r.account_id, l.id as entry_id, l.on_date, l.units, l.asset
  from matched m join line l on l.id = m.id
  join finora.record r on r.tenant_id = :tenant and r.id = m.record_id
  where l.booked and r.bank_state = 'pending' and not r.void
), moved as (
  update finora.record r set bank_state = 'booked', on_date = b.on_date, units = b.units,
    entry_id = case when b.units <> 0 then b.entry_id end
  from booking b where r.tenant_id = :tenant and r.id = b.id
), made as (
  insert into finora.entry (tenant_id, id, on_date, cause, bank_date)
  select :tenant, entry_id, greatest(on_date, cast(:open as date)), 'record',
    case when on_date < cast(:open as date) then on_date end
  from booking where units <> 0
)
insert into finora.posting (tenant_id, entry_id, line, account_id, asset, units, on_date)
select :tenant, b.entry_id, p.line, p.account_id, b.asset, p.units,
  greatest(b.on_date, cast(:open as date))
from booking b cross join lateral
  (values (0, b.account_id, b.units), (1, :outside, -b.units)) p (line, account_id, units)
where b.units <> 0
"""

# The record shows the words of the format that says most, and a bank id wherever one is known.
_SHOW = """
update finora.record r set
  description = case when :rank > shown.rank then l.description else r.description end,
  counterparty = case when :rank > shown.rank then l.counterparty else r.counterparty end,
  merchant_key = case when :rank > shown.rank then l.merchant_key else r.merchant_key end,
  bank_id = case when :rank > shown.rank then coalesce(l.bank_id, r.bank_id)
    else coalesce(r.bank_id, l.bank_id) end
from matched m join line l on l.id = m.id
cross join lateral (
  select max(coalesce(k.rank, 0)) as rank from (
    select source from finora.record x where x.tenant_id = :tenant and x.id = m.record_id
    union all
    select source from finora.sighting s where s.tenant_id = :tenant
      and s.record_id = m.record_id and s.import_id <> :import
  ) seen left join unnest(cast(:sources as text[]), cast(:ranks as int[])) k (source, rank)
    using (source)
) shown
where r.tenant_id = :tenant and r.id = m.record_id and m.how = 'claimed'
  and not r.edited and not r.void
  and (:rank > shown.rank or (r.bank_id is null and l.bank_id is not null))
"""

# A new line's record and entry share the line's id. Where its day is closed, the entry is of the
# first open day, and keeps the bank's. Labels come before the postings, which then
# count under them from the start.
_NEW = (
    """
insert into finora.entry (tenant_id, id, on_date, cause, bank_date)
select :tenant, id, greatest(on_date, cast(:open as date)), 'record',
  case when on_date < cast(:open as date) then on_date end
from {lines} where booked and units <> 0
""",
    """
insert into finora.label (tenant_id, entry_id, number, category, source, set_by)
select :tenant, id, 1, category, 'statement', :by from {lines}
where category <> '' and booked and units <> 0
""",
    """
insert into finora.posting (tenant_id, entry_id, line, account_id, asset, units, on_date)
select :tenant, l.id, p.line, p.account_id, l.asset, p.units,
  greatest(l.on_date, cast(:open as date))
from {lines} l cross join lateral
  (values (0, l.account_id, l.units), (1, :outside, -l.units)) p (line, account_id, units)
where l.booked and l.units <> 0
""",
    """
insert into finora.record (tenant_id, id, received_account_id, identity, occurrence, import_id,
  place, source, raw, account_id, on_date, units, asset, description, counterparty, merchant_key,
  bank_id, bank_state, entry_id)
select :tenant, id, account_id, identity, occurrence, :import, place, :source, raw, account_id,
  on_date, units, asset, description, counterparty, merchant_key, bank_id,
  case when booked then 'booked' else 'pending' end, case when booked and units <> 0 then id end
from {lines}
""",
)


@attrs.define
class PgStaging:
    connection: Connection
    scope: Scope
    staged: int = 0

    def fill(self, lines: Iterable[Staged]) -> None:
        self._run(f"set local work_mem = '{WORK_MEM}'")
        self._run("drop table if exists line, matched, free_line, free_record")
        self._run(_LINE)
        driver = self.connection.connection.driver_connection
        assert driver is not None  # checked out for as long as the transaction
        with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
            # Text rows built here: psycopg's write_row costs twice as much for fourteen columns.
            write, batch, number = copy.write, [], 0
            for number, (line_id, row) in enumerate(zip(new_ids(), lines), start=1):  # noqa: B007,B905
                batch.append(_text_row(line_id, row))
                if len(batch) == 500:
                    write("".join(batch))
                    batch.clear()
            write("".join(batch))
            self.staged = number

    def merge(
        self, import_id: UUID, source: str, ranks: Mapping[str, int], outside: UUID
    ) -> Merged:
        values = {
            "tenant": self.scope.tenant_id,
            "import": import_id,
            "source": source,
            "outside": outside,
            "by": self.scope.user_id,
            "open": first_open_day(self.connection),
        }
        for statement in (_NUMBER, _ANALYZE.format("line"), _MATCHED):
            self._run(statement)
        self._run(_EXISTING, values)
        free = "line"
        if self._any("select 1 from matched limit 1") or self._other_records(values):
            free = "free_line"
            self._claim(values)
        claimed = self._count("select count(*) from matched where how = 'claimed'")
        if claimed:
            self._apply_claims(values, source, ranks)
        added = 0
        for statement in _NEW:
            added = self._run(statement.format(lines=free), values)
        return Merged(added=added, existing=self.staged - claimed - added, claimed=claimed)

    def _other_records(self, values: Mapping[str, Any]) -> bool:
        """Whether the accounts of the file have any record at all."""
        return self._any(
            "select 1 from (select distinct account_id from line) l where exists (select from "
            "finora.record r where r.tenant_id = :tenant and r.received_account_id = l.account_id)",
            values,
        )

    def _claim(self, values: Mapping[str, Any]) -> None:
        self._run(_FREE)
        self._run(_ANALYZE.format("free_line"))
        span = self.connection.execute(
            text(
                "select min(on_date) - 7 as first, max(on_date) + 7 as last, "
                "array_agg(distinct account_id) as accounts, bool_or(not booked) as pending "
                "from free_line"
            )
        ).one()
        if span.first is None:
            return
        wanted = {"first": span.first, "last": span.last, "accounts": span.accounts}
        self._run(_FREE_RECORD, {**values, **wanted})
        if not self._any("select 1 from free_record limit 1"):
            return
        pending = span.pending or self._any("select 1 from free_record where pending limit 1")
        steps = [_ELSEWHERE_BY_SUM]
        if pending:
            steps = [_SAME_ID, *_ANNOUNCED_BY_MERCHANT, *steps, *_ANNOUNCED_BY_SUM]
        for step in steps:
            self._run(step)
            self._run(_FORGET)

    def _apply_claims(
        self, values: Mapping[str, Any], source: str, ranks: Mapping[str, int]
    ) -> None:
        self._run(_SIGHTED, values)
        self._run(_BOOKED, values)
        table = {"sources": list(ranks), "ranks": list(ranks.values())}
        self._run(_SHOW, {**values, **table, "rank": ranks.get(source, 0)})

    def observe(
        self, import_id: UUID, balances: Iterable[tuple[UUID, str, date, int, str]]
    ) -> None:
        rows = [
            {
                "tenant_id": self.scope.tenant_id,
                "account_id": account_id,
                "asset": asset,
                "on_date": on_date,
                "units": units,
                "source": source,
                "import_id": import_id,
            }
            for account_id, asset, on_date, units, source in balances
        ]
        if rows:
            insert = upsert(schema.observation).on_conflict_do_nothing()
            self.connection.execute(insert, rows)

    def open_balances(self, equity: UUID, accounts: Iterable[UUID] | None = None) -> None:
        for row in self._openings(list(accounts or ())):
            if (row.units, row.on_date) != (row.old_units, row.old_date):
                self._reopen(row, equity)

    def _openings(self, accounts: Sequence[UUID]) -> Sequence[Any]:
        values = {"tenant": self.scope.tenant_id, "accounts": list(accounts)}
        return self.connection.execute(text(_OPENINGS), values).all()

    def _reopen(self, row: Any, equity: UUID) -> None:
        """What is in a closed period stays; the rest comes on the first open day."""
        assets = PgAssets(self.connection)
        journal = PgJournal(self.connection, self.scope.tenant_id, assets)
        open_day = first_open_day(self.connection)
        entries, fixed = [], 0
        for standing in self.connection.execute(text(_STANDING), self._opening_of(row)):
            if standing.on_date < open_day:
                fixed += int(standing.units)
            else:
                entries.append(journal.get(standing.entry_id).reversal(new_id()))
        missing = int(row.units) - fixed
        entry_id = new_id() if missing else None
        if entry_id is not None:
            opening = Amount(missing, assets.get(row.asset))
            late = row.on_date < open_day
            entries.append(
                Entry(
                    id=entry_id,
                    on_date=open_day if late else row.on_date,
                    postings=(Posting(row.account_id, opening), Posting(equity, -opening)),
                    cause="opening",
                    flow=Flow.OPENING,
                    bank_date=row.on_date if late else None,
                )
            )
        if entries:
            journal.add(entries)
        elif fixed:
            return
        kept = {
            "tenant_id": self.scope.tenant_id,
            "account_id": row.account_id,
            "asset": row.asset,
            "number": (row.old_number or 0) + 1,
            "on_date": row.on_date,
            "units": int(row.units),
            # Where the closed part is all there is, it is named again.
            "entry_id": entry_id or (row.old_entry if row.units else None),
        }
        self.connection.execute(schema.opening.insert().values(kept))

    def _opening_of(self, row: Any) -> Mapping[str, Any]:
        return {
            "tenant": self.scope.tenant_id,
            "account": row.account_id,
            "asset": row.asset,
        }

    def match_transfers(self, set_by: UUID) -> int:
        values = {"tenant": self.scope.tenant_id, "by": set_by}
        for statement in _ENDS:
            self._run(statement, values)
        if not self._any("select 1 from other_end limit 1"):
            return 0
        for statement in _NEAR:
            self._run(statement, values)
        return self._count(_TRANSFERS, values)

    def differences(self, import_id: UUID) -> Sequence[Difference]:
        values = {"tenant": self.scope.tenant_id, "import": import_id}
        assets = PgAssets(self.connection)
        names = {
            account.id: account.name
            for account in PgAccounts(self.connection, self.scope.tenant_id, assets).list()
        }
        return [
            Difference(
                account=names[row.account_id],
                on_date=row.on_date,
                stated=assets.amount(row.units, row.asset),
                booked=assets.amount(row.booked, row.asset),
            )
            for row in self.connection.execute(text(_DIFFERENCES), values)
        ]

    def _run(self, statement: str, values: Mapping[str, Any] | None = None) -> int:
        return self.connection.execute(text(statement), dict(values or {})).rowcount

    def _any(self, query: str, values: Mapping[str, Any] | None = None) -> bool:
        return self.connection.execute(text(query), dict(values or {})).first() is not None

    def _count(self, query: str, values: Mapping[str, Any] | None = None) -> int:
        return int(self.connection.scalar(text(query), dict(values or {})) or 0)


def first_open_day(connection: Connection) -> date:
    """The day after the last closed one; of books with nothing closed, the first of all days."""
    closed: date | None = connection.scalar(text("select finora.closed_through()"))
    return date.min if closed is None else closed + timedelta(days=1)


# The opening entries of an account that no reversal took back.
_STANDING = """
select distinct o.entry_id, e.on_date, p.units from finora.opening o
join finora.entry e on e.tenant_id = o.tenant_id and e.id = o.entry_id
join finora.posting p on p.tenant_id = o.tenant_id and p.entry_id = o.entry_id
  and p.account_id = o.account_id and p.asset = o.asset
where o.tenant_id = :tenant and o.account_id = :account and o.asset = :asset
  and not exists (select from finora.entry r where r.tenant_id = o.tenant_id
    and r.reverses = o.entry_id)
order by e.on_date, o.entry_id
"""

# The opening that fits: the earliest stated balance less all that was booked until then. What came
# late counts at the bank's day, as the bank counted it.
_OPENINGS = """
with stated as (
  select distinct on (account_id, asset) account_id, asset, on_date, units
  from finora.observation
  where tenant_id = :tenant and account_id = any(cast(:accounts as uuid[]))
  order by account_id, asset, on_date, source desc, units
), last as (
  select distinct on (account_id, asset) * from finora.opening
  where tenant_id = :tenant and account_id = any(cast(:accounts as uuid[]))
  order by account_id, asset, number desc
)
select s.account_id, s.asset,
  s.units - coalesce(b.units, 0) - coalesce(late.units, 0) + coalesce(own.units, 0) as units,
  least(f.on_date - 1, late.first - 1, s.on_date) as on_date,
  o.number as old_number, o.units as old_units, o.on_date as old_date, o.entry_id as old_entry
from stated s
left join last o using (account_id, asset)
left join lateral (
  select sum(p.units) as units from finora.posting p where p.tenant_id = :tenant
    and p.account_id = s.account_id and p.asset = s.asset and p.on_date <= s.on_date
) b on true
left join lateral (
  select sum(p.units) filter (where e.bank_date <= s.on_date and p.on_date > s.on_date) as units,
    min(e.bank_date) as first
  from finora.entry e join finora.posting p on p.tenant_id = :tenant and p.entry_id = e.id
  where e.tenant_id = :tenant and e.bank_date is not null and e.flow <> 'opening'
    and p.account_id = s.account_id and p.asset = s.asset
) late on true
left join lateral (
  select sum(p.units) as units from (select distinct entry_id from finora.opening x
    where x.tenant_id = :tenant and x.account_id = s.account_id and x.asset = s.asset) x
  join finora.posting p on p.tenant_id = :tenant and p.entry_id = x.entry_id
    and p.account_id = s.account_id and p.asset = s.asset and p.on_date <= s.on_date
  where not exists (select from finora.entry r where r.tenant_id = :tenant
    and r.reverses = x.entry_id)
) own on true
left join lateral (
  select p.on_date from finora.posting p where p.tenant_id = :tenant
    and p.account_id = s.account_id and p.asset = s.asset
    and not exists (select from finora.entry e where e.tenant_id = :tenant and e.id = p.entry_id
      and e.flow = 'opening')
  order by p.on_date limit 1
) f on true
"""

_DIFFERENCES = """
select o.account_id, o.asset, o.on_date, o.units, coalesce(b.units, 0) as booked
from (select * from finora.observation where tenant_id = :tenant and import_id = :import
  and source <> 'opening' order by on_date desc limit 50) o
left join lateral (
  select sum(p.units) as units from finora.posting p where p.tenant_id = :tenant
    and p.account_id = o.account_id and p.asset = o.asset and p.on_date <= o.on_date
) b on true
where coalesce(b.units, 0) <> o.units and not exists (
  -- Of two statements of one day, the last one's closing is the day's.
  select from finora.observation x where x.tenant_id = :tenant and x.account_id = o.account_id
    and x.asset = o.asset and x.on_date = o.on_date and x.units = coalesce(b.units, 0)
) order by o.on_date, o.account_id
"""

# Two ends of one transfer: opposite sums in two own accounts within three days, each the other's
# only candidate, and one of them naming the other's account or saying that it is a transfer.
# First by sum and day alone, in narrow tables that the planner has counted: with the figures that
# it has of the books, which may be of before this file, it would compare every line with every
# record.
_ENDS = (
    "drop table if exists other_end, line_end, near",
    """
create temporary table other_end on commit drop as
with file as (
  select min(on_date) - 3 as first, max(on_date) + 3 as last,
    case when min(account_id::text) = max(account_id::text) then min(account_id::text)::uuid end
      as sole
  from line
)
select r.id, r.account_id, r.on_date, r.units, r.asset from file f join finora.record r
  on r.tenant_id = :tenant and r.on_date between f.first and f.last
where r.entry_id is not null and not r.void and r.account_id is distinct from f.sole
""",
)
_NEAR = (
    """
create temporary table line_end on commit drop as
select l.id, l.account_id, l.on_date, l.units, l.asset from line l
where l.booked and not exists (select from matched m where m.id = l.id)
union all
select r.id, r.account_id, r.on_date, r.units, r.asset from matched m
join finora.record r on r.tenant_id = :tenant and r.id = m.record_id
where m.how = 'claimed' and r.entry_id is not null and not r.void
""",
    "analyze other_end",
    "analyze line_end",
    """
create temporary table near on commit drop as
select a.id as one, b.id as other from line_end a join other_end b
  on b.asset = a.asset and b.units = -a.units and b.account_id <> a.account_id
  and b.on_date between a.on_date - 3 and a.on_date + 3
""",
    "analyze near",
)
_TRANSFERS = """
with pair as (
  select a.id as one, a.entry_id as one_entry, b.id as other, b.entry_id as other_entry
  from near
  join finora.record a on a.tenant_id = :tenant and a.id = near.one and a.entry_id is not null
  join finora.record b on b.tenant_id = :tenant and b.id = near.other
  -- What is closed keeps its label, and a transfer has two of them.
  where not exists (select from finora.entry e where e.tenant_id = :tenant
      and e.id in (a.entry_id, b.entry_id) and e.on_date <= finora.closed_through())
    and not exists (select from finora.label l where l.tenant_id = :tenant
      and l.entry_id in (a.entry_id, b.entry_id) and (l.flow <> 'flow' or l.source = 'human'))
    and not exists (select from finora.label_part s where s.tenant_id = :tenant
      and s.entry_id in (a.entry_id, b.entry_id))
    and position('flow' in a.locked || ',' || b.locked) = 0
    and (
      concat_ws(' ', a.counterparty, a.description, b.counterparty, b.description)
        ~* '\\m(transfer|umbuchung|[uü]bertrag|virement|giroconto|overboeking|traspaso|p[rř]evod)'
      or exists (select from finora.account_number n where n.tenant_id = :tenant
        and length(n.number) >= 6
        and ((n.account_id = b.account_id and position(n.number in {a}) > 0)
          or (n.account_id = a.account_id and position(n.number in {b}) > 0)))
    )
), sole as (
  select distinct least(one_entry, other_entry) as one, greatest(one_entry, other_entry) as other
  from (select *, count(*) over (partition by one) as ones,
    count(*) over (partition by other) as others from pair) p
  where ones = 1 and others = 1
), said as (
  insert into finora.label (tenant_id, entry_id, number, category, flow, source, set_by)
  select :tenant, e.entry_id, coalesce(l.number, 0) + 1, coalesce(l.category, ''), 'transfer',
    'match', :by
  from (select one as entry_id from sole union select other from sole) e
  left join lateral (select number, category from finora.label l
    where l.tenant_id = :tenant and l.entry_id = e.entry_id order by number desc limit 1) l on true
)
select count(*) from sole
""".format(
    a="upper(translate(coalesce(a.raw, ''), ' ', ''))",
    b="upper(translate(coalesce(b.raw, ''), ' ', ''))",
)


def _text_row(line_id: str, row: Staged) -> str:
    """A row of COPY's text format: tabs between, \\N for null, controls and backslash escaped.

    Written out, for it runs a million times: a loop over the cells costs three times as much.
    """
    (place, account_id, identity, on_date, units, asset, description, counterparty, merchant_key,
     bank_id, booked, category, raw) = row  # fmt: skip
    words = f"{description}{counterparty}{merchant_key}{bank_id}{category}"
    if "\\" in words or not words.isprintable():
        description, merchant_key, category = map(_cell, (description, merchant_key, category))
        counterparty = counterparty and _cell(counterparty)
        bank_id = bank_id and _cell(bank_id)
    # JSON in ASCII has no other character that would need an escape.
    raw = "\\N" if raw is None else raw.replace("\\", "\\\\")
    return (
        f"{place}\t{line_id}\t{account_id.int:032x}\t{identity.hex()}\t{on_date}\t{units}\t"
        f"{asset}\t{description}\t{counterparty or NULL}\t{merchant_key}\t{bank_id or NULL}\t"
        f"{booked}\t{category}\t{raw}\n"
    )


NULL = "\\N"


def _cell(text: str) -> str:
    text = text.replace("\\", "\\\\")
    return text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
