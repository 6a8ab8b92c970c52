"""What reports read: totals for whole months, postings for single days and for what was known."""

from collections import defaultdict
from collections.abc import Generator, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, Row, bindparam, text
from sqlalchemy.types import Date

from finora_adapters.postgres import schema
from finora_adapters.postgres.flows import MOVED, MOVED_AS_OF
from finora_adapters.postgres.ledger import PgAssets, PgJournal
from finora_adapters.postgres.records import PgRecords
from finora_core.insights.model import last_day
from finora_core.insights.reports.model import (
    Asked,
    BadReport,
    Format,
    Held,
    Kind,
    Known,
    Moved,
    Report,
    ReportNotFound,
    Unapproved,
)
from finora_core.kernel.page import Page, decode_cursor, encode_cursor
from finora_core.kernel.plain import to_plain
from finora_core.ledger.closing.model import ClosingNotFound
from finora_core.ledger.model import AccountKind, TrialBalance
from finora_core.records.model import Record

_BASE = text("select base_asset from finora.tenant where tenant_id = :tenant")
_KNOWN = text("""
select through, base_asset, rates, tx::text as tx, unapproved from finora.closing
where tenant_id = :tenant and number = :number
""")
_TOTALS = text("""
select month, account_id, asset, category, direction, units from finora.total
where tenant_id = :tenant and month between :since and :until and units <> 0
""")
_BY_MONTH = """
select date_trunc('month', day::timestamp)::date as month, account_id, asset, category, direction,
  sum(units) as units
from ({moved}) moved group by 1, 2, 3, 4, 5 having sum(units) <> 0
"""
_NOW = text(_BY_MONTH.format(moved=MOVED))
_THEN = text(_BY_MONTH.format(moved=MOVED_AS_OF))
_HELD = text("""
select a.id, a.name, s.asset, s.units from (
  select account_id, asset, sum(units) as units from (
    select t.account_id, t.asset, t.units from finora.total t
    where t.tenant_id = :tenant and t.month <= :on
    union all
    select p.account_id, p.asset, -p.units from finora.account a join finora.posting p
      on p.tenant_id = a.tenant_id and p.account_id = a.id and p.on_date > :on
      and p.on_date <= :month_end
    where a.tenant_id = :tenant and a.kind in ('asset', 'liability')
  ) moved group by 1, 2 having sum(units) <> 0
) s join finora.account a on a.tenant_id = :tenant and a.id = s.account_id
order by a.name, s.asset
""")
_WAITING = "('received', 'processing', 'needs_review', 'failed')"
_UNAPPROVED = text(f"""
select r.asset, count(*) as records, coalesce(sum(r.units) filter (where r.units > 0), 0) as income,
  coalesce(sum(r.units) filter (where r.units < 0), 0) as expense
from finora.record r where r.tenant_id = :tenant and r.on_date between :since and :until
  and r.entry_id is not null and r.status in {_WAITING}
group by 1 order by 1
""")
_WAITS = f"and r.on_date between :since and :until and r.entry_id is not null " \
    f"and r.status in {_WAITING} order by r.on_date desc, r.id desc limit :limit"  # fmt: skip
_EVERY = "and not r.void and r.on_date between coalesce(:since, '-infinity'::date) " \
    "and coalesce(:until, 'infinity'::date) " \
    "and (cast(:account as uuid) is null or r.account_id = :account) " \
    "order by r.on_date, r.id"  # fmt: skip


@attrs.frozen
class PgFigures:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets

    def known(self, closing: int | None) -> Known:
        if closing is None:
            [row] = self._rows(_BASE)
            return Known(base=self.assets.get(row.base_asset))
        row = self._closing(closing)
        if row.through is None:
            raise BadReport(f"number {closing} opened the books, and closed nothing")
        return Known(
            base=self.assets.get(row.base_asset),
            closing=closing,
            through=row.through,
            tx=row.tx,
            rates=row.rates,
        )

    def moved(self, known: Known, since: date, until: date) -> Sequence[Moved]:
        if known.tx is not None:
            return self._moved(self._rows(_THEN, since=since, until=until, tx=known.tx))
        # Whole months from the totals; of those that are cut, the days.
        first = since if since.day == 1 else last_day(since) + timedelta(days=1)
        last = until if until == last_day(until) else until.replace(day=1) - timedelta(days=1)
        if last < first:
            return self._moved(self._rows(_NOW, since=since, until=until))
        rows = list(self._rows(_TOTALS, since=first, until=last))
        if since < first:
            rows += self._rows(_NOW, since=since, until=first - timedelta(days=1))
        if last < until:
            rows += self._rows(_NOW, since=last + timedelta(days=1), until=until)
        return self._moved(rows)

    def held(self, known: Known, on: date) -> Sequence[Held]:
        if known.tx is not None:
            own = (AccountKind.ASSET, AccountKind.LIABILITY)
            return [
                Held(line.account.id, line.account.name, line.amount)
                for line in self.trial(known, on).lines
                if line.account.kind in own
            ]
        rows = self._rows(_HELD, on=on, month_end=last_day(on))
        return [Held(row.id, row.name, self.assets.amount(row.units, row.asset)) for row in rows]

    def trial(self, known: Known, on: date) -> TrialBalance:
        journal = PgJournal(self.connection, self.tenant_id, self.assets)
        if known.tx is None:
            return journal.trial_balance(on, None)
        return journal.trial_balance_known(on, known.tx)

    def unapproved(self, known: Known, since: date, until: date) -> Sequence[Unapproved]:
        if known.closing is None:
            rows = self._rows(_UNAPPROVED, since=since, until=until)
            counted = {row.asset: (row.records, row.income, row.expense) for row in rows}
        else:
            first, counted = since.replace(day=1), {}
            for month, asset, records, income, expense in self._closing(known.closing).unapproved:
                if first <= date.fromisoformat(month) <= until:
                    were = counted.get(asset, (0, 0, 0))
                    more = (records, int(income), int(expense))
                    counted[asset] = (were[0] + more[0], were[1] + more[1], were[2] + more[2])
        return [
            Unapproved(
                asset=self.assets.get(asset),
                records=records,
                income=self.assets.amount(income, asset),
                expense=self.assets.amount(expense, asset),
            )
            for asset, (records, income, expense) in sorted(counted.items())
        ]

    def unapproved_records(self, since: date, until: date, limit: int) -> Sequence[Record]:
        records = PgRecords(self.connection, self.tenant_id, self.assets)
        values = {"since": since, "until": until, "limit": limit}
        return [record for record, _ in records.every(text(records.SELECT + _WAITS), values)]

    def records(
        self, since: date | None, until: date | None, account_id: UUID | None
    ) -> Generator[tuple[Record, date | None], None, None]:
        query = text(PgRecords.SELECT + _EVERY).bindparams(
            bindparam("since", type_=Date()), bindparam("until", type_=Date())
        )
        values = {"since": since, "until": until, "account": account_id}
        return PgRecords(self.connection, self.tenant_id, self.assets).every(query, values)

    def _closing(self, number: int) -> Row[Any]:
        rows = self._rows(_KNOWN, number=number)
        if not rows:
            raise ClosingNotFound(f"no closing {number}")
        return rows[0]

    def _moved(self, rows: Sequence[Row[Any]]) -> Sequence[Moved]:
        """Sums of what is one: a month can be of two halves, never of two rows."""
        sums: dict[tuple[date, UUID, str, str, str], int] = defaultdict(int)
        for row in rows:
            key = (row.month, row.account_id, row.category, row.direction, row.asset)
            sums[key] += int(row.units)
        return [
            Moved(month, account_id, category, direction, self.assets.amount(units, asset))
            for (month, account_id, category, direction, asset), units in sums.items()
            if units
        ]

    def _rows(self, query: Any, **values: object) -> Sequence[Row[Any]]:
        return self.connection.execute(query, {"tenant": self.tenant_id} | values).all()


@attrs.frozen
class PgReports:
    connection: Connection
    tenant_id: UUID

    def add(self, report: Report) -> None:
        row = {
            "tenant_id": self.tenant_id,
            "id": report.id,
            "kind": report.asked.kind.value,
            "format": report.asked.format.value,
            "asked": to_plain(report.asked),
            "asked_by": report.asked_by,
            "job_id": report.job_id,
        }
        self.connection.execute(schema.report.insert().values(row))

    def get(self, report_id: UUID) -> Report:
        table = schema.report
        query = table.select().where(table.c.tenant_id == self.tenant_id, table.c.id == report_id)
        row = self.connection.execute(query).one_or_none()
        if row is None:
            raise ReportNotFound(f"no report {report_id}")
        return _report(row)

    def list(self, cursor: str | None, limit: int) -> Page[Report]:
        table = schema.report
        query = table.select().where(table.c.tenant_id == self.tenant_id)
        query = query.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit + 1)
        if cursor is not None:
            at, last = decode_cursor(cursor, (datetime, UUID))
            before = (table.c.created_at < at) | ((table.c.created_at == at) & (table.c.id < last))
            query = query.where(before)
        rows = self.connection.execute(query).all()
        items = tuple(_report(row) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(items)
        return Page(items, encode_cursor(items[-1].created_at.isoformat(), str(items[-1].id)))

    def finish(self, report_id: UUID, file_id: UUID, at: datetime, expires_at: datetime) -> None:
        table = schema.report
        self.connection.execute(
            table.update()
            .where(table.c.tenant_id == self.tenant_id, table.c.id == report_id)
            .values(file_id=file_id, finished_at=at, expires_at=expires_at)
        )


def _report(row: Row[Any]) -> Report:
    asked = dict(row.asked)
    for name in ("since", "until"):
        asked[name] = date.fromisoformat(asked[name]) if asked[name] else None
    account = asked.pop("account_id")
    return Report(
        id=row.id,
        asked=Asked(
            **asked
            | {
                "kind": Kind(row.kind),
                "format": Format(row.format),
                "account_id": UUID(account) if account else None,
            }
        ),
        asked_by=row.asked_by,
        job_id=row.job_id,
        created_at=row.created_at,
        file_id=row.file_id,
        finished_at=row.finished_at,
        expires_at=row.expires_at,
    )
