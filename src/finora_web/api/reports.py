"""Reports: at once, or as files that a job makes."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator, Field, model_validator

from finora_core.insights.reports.model import Asked, Format, Kind
from finora_core.kernel.scope import Scope
from finora_core.ledger.model import AccountKind, Line
from finora_core.market.rates.model import Sum
from finora_web.api.files import download_file
from finora_web.api.rates import NoRateOut, RateOut
from finora_web.api.records import RecordOut
from finora_web.api.wallet import FlowsOut
from finora_web.contract import (
    Day,
    Id,
    In,
    Listed,
    MoneyOut,
    Out,
    Paged,
    Routes,
    Single,
    listed,
)
from finora_web.services import Services

routes = Routes("reports")

AssetOut = Annotated[str, BeforeValidator(str), Field(examples=["EUR"])]
SumOut = Annotated[MoneyOut, BeforeValidator(lambda it: it.total if isinstance(it, Sum) else it)]


class CategoryLineOut(Out):
    path: str = Field(description="Names with `:` between; empty for what has no category.")
    level: int
    total: FlowsOut = Field(description="With everything below it.")
    own: FlowsOut
    months: list[FlowsOut] = Field(description="Of `total`, one for each month of the report.")


class ResultOut(Out):
    asset: AssetOut
    lines: list[CategoryLineOut]
    total: FlowsOut
    months: list[FlowsOut]


class AssetResultOut(ResultOut):
    transfers: MoneyOut
    openings: MoneyOut
    exchanges: MoneyOut
    change: MoneyOut = Field(description="All of it: how what is owned changed.")


class BaseResultOut(ResultOut):
    rates: list[RateOut] = Field(description="The facts that it was converted with.")
    missing: list[NoRateOut]
    gap: str | None = Field(description="What it leaves out; null: nothing.")


class UnapprovedOut(Out):
    asset: AssetOut
    records: int
    income: MoneyOut
    expense: MoneyOut


class ProfitLossOut(Out):
    since: date
    until: date
    closing: int | None
    months: list[date]
    assets: list[AssetResultOut]
    in_base: BaseResultOut
    unapproved: list[UnapprovedOut]
    unapproved_records: list[RecordOut]


def _account(line: Line) -> dict[str, object]:
    return {"account_id": line.account.id, "account": line.account.name,
            "kind": line.account.kind, "amount": line.amount}  # fmt: skip


class SheetLineOut(Out):
    account_id: UUID
    account: str
    kind: AccountKind
    amount: MoneyOut


Lines = Annotated[list[SheetLineOut], BeforeValidator(lambda it: [_account(each) for each in it])]


class ReportedSheetOut(Out):
    assets: Lines
    liabilities: Lines
    equity: Lines


class BaseSheetOut(Out):
    assets: SumOut
    liabilities: SumOut
    net_worth: MoneyOut
    rates: list[RateOut]
    missing: list[NoRateOut]
    gap: str | None


class SheetReportOut(Out):
    on: date
    closing: int | None
    sheet: ReportedSheetOut
    in_base: BaseSheetOut


class CashLineOut(Out):
    account_id: UUID
    account: str
    opening: MoneyOut
    income: MoneyOut
    expense: MoneyOut
    transfers: MoneyOut
    openings: MoneyOut
    exchanges: MoneyOut
    closing: MoneyOut


class CashInBaseOut(Out):
    opening: MoneyOut
    income: MoneyOut
    expense: MoneyOut
    other: MoneyOut
    revaluation: MoneyOut = Field(description="What the change of rates made of what was held.")
    closing: MoneyOut
    rates: list[RateOut]
    missing: list[NoRateOut]
    gap: str | None


class CashFlowOut(Out):
    since: date
    until: date
    closing: int | None
    lines: list[CashLineOut]
    in_base: CashInBaseOut


Closing = Annotated[int, Field(ge=1, le=2_000_000_000)] | None


class PeriodQuery(In):
    since: Day
    until: Day
    closing: Annotated[int, Field(ge=0, le=2_000_000_000)] = Field(
        0, description="Number of a closing, for a report as it was known then; 0: as of now."
    )


class SheetQuery(In):
    on: Day
    closing: Annotated[int, Field(ge=0, le=2_000_000_000)] = Field(
        0, description="Number of a closing, for a report as it was known then; 0: as of now."
    )


@routes.get("/reports/profit-and-loss", "books:read", Single[ProfitLossOut], cache_s=60)
def report_profit_and_loss(app: Services, scope: Scope, query: PeriodQuery) -> object:
    """Income and expense by category and month, per asset and in the tenant's base asset."""
    return app.reports.profit_and_loss(
        scope, query.since, query.until, closing=query.closing or None
    )


@routes.get("/reports/balance-sheet", "books:read", Single[SheetReportOut], cache_s=60)
def report_balance_sheet(app: Services, scope: Scope, query: SheetQuery) -> object:
    """What is owned and owed at the end of a day, per account and in the base asset."""
    return app.reports.balance_sheet(scope, query.on, closing=query.closing or None)


@routes.get("/reports/cash-flow", "books:read", Single[CashFlowOut], cache_s=60)
def report_cash_flow(app: Services, scope: Scope, query: PeriodQuery) -> object:
    """How the balance of each own account came to be."""
    return app.reports.cash_flow(scope, query.since, query.until, closing=query.closing or None)


class NewReport(In):
    kind: Kind
    format: Format
    since: Day | None = None
    until: Day | None = Field(None, description="Of a balance sheet, its day.")
    account_id: Id | None = None
    closing: Closing = None


class ReportOut(Out):
    id: UUID
    kind: Kind
    format: Format
    since: date | None
    until: date | None
    account_id: UUID | None
    closing: int | None
    job_id: UUID
    created_at: datetime
    file_id: UUID | None = Field(description="Null until it is made.")
    finished_at: datetime | None
    expires_at: datetime | None

    @model_validator(mode="before")
    @classmethod
    def of(cls, report: Any) -> object:
        if isinstance(report, dict):
            return report
        asked = report.asked
        return {
            **{name: getattr(asked, name) for name in (
                "kind", "format", "since", "until", "closing", "account_id")},
            **{name: getattr(report, name) for name in (
                "id", "job_id", "created_at", "file_id", "finished_at", "expires_at")},
        }  # fmt: skip


@routes.post("/reports", "books:export", Single[ReportOut], status=202, step_up=True)
def request_report(app: Services, scope: Scope, body: NewReport) -> object:
    """Have a job make a file of a report; it is kept for 30 days.
    A token needs `books:export` by name."""
    asked = {name: getattr(body, name) for name in type(body).model_fields}
    return app.reports.request(scope, Asked(**asked))


@routes.get("/reports", "books:read", Listed[ReportOut], shape=listed)
def list_reports(app: Services, scope: Scope, query: Paged) -> object:
    """Reports that were asked for, newest first."""
    return app.reports.list(scope, cursor=query.cursor, limit=query.limit)


@routes.get("/reports/{report_id}", "books:read", Single[ReportOut])
def get_report(app: Services, scope: Scope, report_id: UUID) -> object:
    """How far a report is."""
    return app.reports.get(scope, report_id)


@routes.get("/reports/{report_id}/content", "books:read", None,
            media_type="application/octet-stream", also=("302", "409"))  # fmt: skip
def download_report(app: Services, scope: Scope, report_id: UUID) -> object:
    """The file; or a redirect to where it is, good for an hour."""
    return download_file(app, scope, app.reports.file_of(scope, report_id))
