"""Reports: answered at once, or made into files by a job."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from typing import BinaryIO
from uuid import UUID

import attrs

from finora_core.files.model import TEMPORARY_S, FileState, StoredFile
from finora_core.files.ports import Objects, Stored, check_swept
from finora_core.insights.reports import tables
from finora_core.insights.reports.model import (
    LISTED,
    Asked,
    CashFlow,
    Format,
    FormatUnavailable,
    Kind,
    Known,
    Moved,
    ProfitLoss,
    Report,
    ReportGenerated,
    ReportRequested,
    SheetReport,
    base_sheet,
    before,
    cash_flow,
    months_of,
    profit_and_loss,
    rate_days,
)
from finora_core.insights.reports.ports import ReportsWork, Writer
from finora_core.insights.reports.tables import Document
from finora_core.jobs.model import Progress
from finora_core.kernel.events import Plain
from finora_core.kernel.ids import derived_id, new_id
from finora_core.kernel.page import DEFAULT_LIMIT, Page, checked_limit
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried
from finora_core.ledger.model import BalanceSheet, StatementRow
from finora_core.market.rates.model import RateTable

JOB = "reports.generate"
_PAGE = 50_000
_KEPT = 8 << 20
"""So much of a file is made in memory; more of it on disk."""

MEDIA_TYPES: Mapping[Format, str] = {
    Format.CSV: "text/csv",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.PDF: "application/pdf",
    Format.JSON: "text/plain",
}


@attrs.frozen
class ReportService:
    begin: Begin[ReportsWork]
    objects: Objects
    writers: Mapping[Format, Writer]

    def profit_and_loss(
        self, scope: Scope, since: date, until: date, *, closing: int | None = None
    ) -> ProfitLoss:
        """Income and expense by category and month. With `closing`, as it was known then: the same
        whatever was corrected later. Raises BadPeriod, ClosingNotFound."""
        with self.begin(scope) as work:
            return _profit_and_loss(work, since, until, closing)

    def balance_sheet(self, scope: Scope, on: date, *, closing: int | None = None) -> SheetReport:
        """What is owned and owed at the end of a day. Raises BadPeriod, ClosingNotFound."""
        with self.begin(scope) as work:
            return _balance_sheet(work, on, closing)

    def cash_flow(
        self, scope: Scope, since: date, until: date, *, closing: int | None = None
    ) -> CashFlow:
        """How the balance of each own account came to be. Raises BadPeriod, ClosingNotFound."""
        with self.begin(scope) as work:
            return _cash_flow(work, since, until, closing)

    # --- files ---

    @retried
    def request(self, scope: Scope, asked: Asked) -> Report:
        """Have a job make the file. Raises FormatUnavailable, AccountNotFound, BadPeriod."""
        self._writer(asked.format)
        report_id = new_id()
        job_id = derived_id(JOB, str(scope.user_id), str(report_id), scope.request_id)
        with self.begin(scope) as work:
            if asked.account_id is not None:
                work.accounts.get(asked.account_id)
            if asked.since is not None and asked.until is not None and asked.kind in _BY_MONTH:
                months_of(asked.since, asked.until)
            if asked.closing is not None:
                work.figures.known(asked.closing).check(asked.until or date.min)
            work.reports.add(
                Report(
                    id=report_id,
                    asked=asked,
                    asked_by=scope.user_id,
                    job_id=job_id,
                    created_at=work.now,
                )
            )
            work.events.record(ReportRequested(report_id, asked.kind, asked.format))
            return work.done(work.reports.get(report_id))

    def get(self, scope: Scope, report_id: UUID) -> Report:
        with self.begin(scope) as work:
            return work.reports.get(report_id)

    def list(
        self, scope: Scope, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT
    ) -> Page[Report]:
        """Newest first."""
        with self.begin(scope) as work:
            return work.reports.list(cursor, checked_limit(limit))

    def file_of(self, scope: Scope, report_id: UUID) -> UUID:
        """The file to download. Raises ReportNotFound, ReportNotReady, ReportExpired."""
        with self.begin(scope) as work:
            return work.reports.get(report_id).check_readable(work.now)

    def write(self, scope: Scope, asked: Asked, out: BinaryIO) -> None:
        """The report into `out`, now and in this process."""
        writer = self._writer(asked.format)
        with self.begin(scope) as work, _document(work, asked) as document:
            writer.write(document, out)

    def run(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        """The job: reads and writes in one transaction, stores outside of any, says so in
        another."""
        report_id = UUID(str(payload["report"]))
        asked = self.get(scope, report_id).asked
        with tempfile.SpooledTemporaryFile(_KEPT) as made:
            self.write(scope, asked, made)  # type: ignore[arg-type]  # it has all that is used
            made.seek(0)
            stored = self.objects.put(scope.tenant_id, made)
        return self._keep(scope, report_id, asked, stored)

    @retried
    def _keep(self, scope: Scope, report_id: UUID, asked: Asked, stored: Stored) -> object:
        file_id = derived_id("report", str(scope.tenant_id), str(report_id))
        with self.begin(scope) as work:
            file = StoredFile(
                id=file_id,
                user_id=scope.user_id,
                key=stored.key,
                name=file_name(asked),
                media_type=media_type(asked),
                bytes=stored.bytes,
                sha256=stored.sha256,
                state=FileState.KEPT,
                reason=None,
                created_at=work.now,
                expires_at=work.now + timedelta(seconds=TEMPORARY_S),
            )
            work.files.hold(stored.key)
            check_swept(self.objects, scope.tenant_id, stored)
            work.files.add(file)
            assert file.expires_at is not None  # set above
            work.reports.finish(report_id, file_id, work.now, file.expires_at)
            work.events.record(
                ReportGenerated(report_id, asked.kind, asked.format, file_id, stored.bytes)
            )
            return work.done({"report": str(report_id), "file": str(file_id)})

    def _writer(self, wanted: Format) -> Writer:
        found = self.writers.get(wanted)
        if found is None:
            raise FormatUnavailable(f"{wanted} needs the extra: install finora[export]")
        return found


_BY_MONTH = (Kind.PROFIT_AND_LOSS, Kind.CASH_FLOW)
_MANY_TABLES = (Kind.PROFIT_AND_LOSS, Kind.CASH_FLOW, Kind.BALANCE_SHEET, Kind.BOOKS)


def file_name(asked: Asked) -> str:
    days = "-".join(day.isoformat() for day in (asked.since, asked.until) if day is not None)
    name = "-".join(part for part in (asked.kind.value.replace("_", "-"), days) if part)
    zipped = asked.format is Format.CSV and asked.kind in _MANY_TABLES
    return f"{name}.{'zip' if zipped else asked.format.value}"


def media_type(asked: Asked) -> str:
    if asked.format is Format.CSV and asked.kind in _MANY_TABLES:
        return "application/zip"
    return MEDIA_TYPES[asked.format]


def _profit_and_loss(
    work: ReportsWork, since: date, until: date, closing: int | None
) -> ProfitLoss:
    months = months_of(since, until)
    known = work.figures.known(closing)
    known.check(until)
    moved = work.figures.moved(known, since, until)
    live = known.closing is None
    return profit_and_loss(
        since,
        until,
        known,
        moved,
        _rates(work, known, moved, list(rate_days(months, until).values())),
        work.figures.unapproved(known, since, until),
        work.figures.unapproved_records(since, until, LISTED) if live else (),
    )


def _balance_sheet(work: ReportsWork, on: date, closing: int | None) -> SheetReport:
    known = work.figures.known(closing)
    known.check(on)
    sheet = BalanceSheet.of(work.figures.trial(known, on))
    own = {line.amount.asset.id for line in (*sheet.assets, *sheet.liabilities)}
    rates = work.rates.table(own, known.base.id, [on], upto=known.rates)
    return SheetReport(
        on=on,
        closing=known.closing,
        sheet=sheet,
        in_base=base_sheet(sheet, rates, known.base, on),
    )


def _cash_flow(work: ReportsWork, since: date, until: date, closing: int | None) -> CashFlow:
    months = months_of(since, until)
    known = work.figures.known(closing)
    known.check(until)
    moved = work.figures.moved(known, since, until)
    held = work.figures.held(known, until)
    days = [before(since), until, *rate_days(months, until).values()]
    assets = {each.amount.asset.id for each in moved} | {each.amount.asset.id for each in held}
    rates = work.rates.table(assets, known.base.id, days, upto=known.rates)
    names = {account.id: account.name for account in work.accounts.list()}
    return cash_flow(since, until, known, held, moved, rates, names)


def _rates(
    work: ReportsWork, known: Known, moved: Sequence[Moved], days: Sequence[date]
) -> RateTable:
    assets = {each.amount.asset.id for each in moved}
    return work.rates.table(assets, known.base.id, days, upto=known.rates)


@contextmanager
def _document(work: ReportsWork, asked: Asked) -> Iterator[Document]:
    """What has been asked, as tables; what streams is over with the block."""
    since, until = asked.since, asked.until
    if asked.kind is Kind.BALANCE_SHEET:
        assert until is not None  # as Asked has it
        yield tables.balance_sheet(_balance_sheet(work, until, asked.closing))
    elif asked.kind in _BY_MONTH:
        assert since is not None and until is not None  # as Asked has it
        if asked.kind is Kind.CASH_FLOW:
            yield tables.cash_flow(_cash_flow(work, since, until, asked.closing))
        else:
            yield tables.profit_and_loss(_profit_and_loss(work, since, until, asked.closing))
    elif asked.kind is Kind.STATEMENT:
        assert asked.account_id is not None  # as Asked has it
        rows = _statement(work, asked.account_id, since, until)
        yield tables.statement(work.accounts.get(asked.account_id), rows, since, until)
    else:
        found = work.figures.records(since, until, asked.account_id)
        try:
            if asked.kind is Kind.RECORDS:
                yield tables.records(found, since, until)
            else:
                yield tables.books(work.accounts.list(), work.accounts.balances(), found)
        finally:
            found.close()


def _statement(
    work: ReportsWork, account_id: UUID, since: date | None, until: date | None
) -> Iterator[StatementRow]:
    cursor = None
    while True:
        page = work.journal.statement(account_id, since, until, cursor, _PAGE)
        yield from page.items
        cursor = page.next
        if cursor is None:
            return
