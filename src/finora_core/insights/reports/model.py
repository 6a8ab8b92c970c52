"""What reports say. Per asset, always; one figure over several assets names the rates that it used
and what it leaves out. Everything adds up to the change of what is owned."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

import attrs

from finora_core.insights.model import rate_day
from finora_core.insights.wallet.model import BadPeriod, Flows
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from finora_core.kernel.events import Plain
from finora_core.ledger.model import BalanceSheet, Line
from finora_core.market.rates.model import NoRate, Rate, RateTable, Sum
from finora_core.records.model import Record

MAX_MONTHS = 120
LISTED = 50
"""Records that are not approved, as far as a report lists them itself."""


class ReportNotFound(NotFound):
    """There is no such report in this tenant."""

    code = "REPORT_NOT_FOUND"


class ReportNotReady(Conflict):
    """The report is not made yet; ask its job how far it is."""

    code = "REPORT_NOT_READY"


class ReportExpired(Conflict):
    """The report's file was kept for 30 days; ask for the report again."""

    code = "REPORT_EXPIRED"


class ReportTooLarge(Invalid):
    """The report has more lines than its format takes; ask for a shorter period or for CSV."""

    code = "REPORT_TOO_LARGE"


class BadReport(Invalid):
    """What was asked does not fit the kind of report."""

    code = "BAD_REPORT"


class FormatUnavailable(Unavailable):
    """This installation does not write the format: the extra `finora[export]` is not installed."""

    code = "FORMAT_UNAVAILABLE"


@attrs.frozen(kw_only=True)
class Known:
    """What a report goes by: all that is known, or what was when a period was closed."""

    base: Asset
    closing: int | None = None
    through: date | None = None
    tx: str | None = None
    rates: int | None = None

    def check(self, until: date) -> None:
        """Raise BadPeriod for days that were open at the closing: they were not final."""
        if self.through is not None and until > self.through:
            raise BadPeriod(f"closing {self.closing} is of the days through {self.through}")


@attrs.frozen
class Moved:
    """What moved on one account in a month, under one category, in one direction."""

    month: date
    account_id: UUID
    category: str
    direction: str
    amount: Amount


@attrs.frozen(kw_only=True)
class CategoryLine:
    """A category with everything below it. `path` is '' for what has no category."""

    path: str
    level: int
    """From 1, the number of names in the path."""
    total: Flows
    own: Flows
    """Of the category itself, without those below it."""
    months: tuple[Flows, ...]
    """Of `total`, by the report's months."""


@attrs.frozen(kw_only=True)
class Result:
    """Income and expense in one asset."""

    asset: Asset
    lines: tuple[CategoryLine, ...]
    """By path; each includes those below it."""
    total: Flows
    months: tuple[Flows, ...]


@attrs.frozen(kw_only=True)
class AssetResult(Result):
    """With what is neither, so that it adds up to the change of what is owned."""

    transfers: Amount
    openings: Amount
    exchanges: Amount

    @property
    def change(self) -> Amount:
        return self.total.net + self.transfers + self.openings + self.exchanges


@attrs.frozen(kw_only=True)
class BaseResult(Result):
    """All assets as one, each month at the rate of its last day. Every figure of a category and
    month is rounded once; sums are sums of those."""

    rates: tuple[Rate, ...]
    missing: tuple[NoRate, ...]

    @property
    def gap(self) -> str | None:
        return "; ".join(map(str, self.missing)) or None


@attrs.frozen(kw_only=True)
class Unapproved:
    """Records that nobody and no rule has accepted yet. They count in the report all the same."""

    asset: Asset
    records: int
    income: Amount
    expense: Amount


@attrs.frozen(kw_only=True)
class ProfitLoss:
    since: date
    until: date
    closing: int | None
    months: tuple[date, ...]
    assets: tuple[AssetResult, ...]
    in_base: BaseResult
    unapproved: tuple[Unapproved, ...]
    unapproved_records: tuple[Record, ...]
    """The latest ones, at most 50; none in a report as of a closing."""


@attrs.frozen(kw_only=True)
class BaseSheet:
    """Each side in the base asset, at the rate of the day."""

    assets: Sum
    liabilities: Sum

    @property
    def net_worth(self) -> Amount:
        return self.assets.total + self.liabilities.total

    @property
    def missing(self) -> tuple[NoRate, ...]:
        return tuple(dict.fromkeys((*self.assets.missing, *self.liabilities.missing)))

    @property
    def rates(self) -> tuple[Rate, ...]:
        return tuple(dict.fromkeys((*self.assets.rates, *self.liabilities.rates)))

    @property
    def gap(self) -> str | None:
        return "; ".join(map(str, self.missing)) or None


@attrs.frozen(kw_only=True)
class SheetReport:
    on: date
    closing: int | None
    sheet: BalanceSheet
    in_base: BaseSheet


@attrs.frozen(kw_only=True)
class CashLine:
    """How an account's balance in one asset came to be what it is."""

    account_id: UUID
    account: str
    opening: Amount
    income: Amount
    expense: Amount
    transfers: Amount
    openings: Amount
    """Balances that accounts were opened with."""
    exchanges: Amount
    closing: Amount


@attrs.frozen(kw_only=True)
class CashInBase:
    """`revaluation` is what the change of rates made of what was held."""

    opening: Amount
    income: Amount
    expense: Amount
    other: Amount
    revaluation: Amount
    closing: Amount
    rates: tuple[Rate, ...]
    missing: tuple[NoRate, ...]

    @property
    def gap(self) -> str | None:
        return "; ".join(map(str, self.missing)) or None


@attrs.frozen(kw_only=True)
class CashFlow:
    since: date
    until: date
    closing: int | None
    lines: tuple[CashLine, ...]
    in_base: CashInBase


def months_of(since: date, until: date) -> tuple[date, ...]:
    """The first days of the months. Raises BadPeriod."""
    if until < since:
        raise BadPeriod(f"{until} is before {since}")
    first, last = since.year * 12 + since.month - 1, until.year * 12 + until.month - 1
    if last - first >= MAX_MONTHS:
        raise BadPeriod(f"a report has at most {MAX_MONTHS} months")
    return tuple(date(n // 12, n % 12 + 1, 1) for n in range(first, last + 1))


def rate_days(months: Iterable[date], until: date) -> dict[date, date]:
    """The day whose rate a month is converted at: its last, or the report's."""
    return {month: rate_day(month, until) for month in months}


# (month, category, direction) -> units, of one asset
Cells = Mapping[tuple[date, str, str], int]


def profit_and_loss(
    since: date,
    until: date,
    known: Known,
    moved: Sequence[Moved],
    rates: RateTable,
    unapproved: Sequence[Unapproved],
    records: Sequence[Record],
) -> ProfitLoss:
    months = months_of(since, until)
    days = rate_days(months, until)
    by_asset: dict[Asset, dict[tuple[date, str, str], int]] = defaultdict(lambda: defaultdict(int))
    for each in moved:
        key = (each.month, each.category, each.direction)
        by_asset[each.amount.asset][key] += each.amount.units
    in_base = defaultdict[tuple[date, str, str], int](int)
    used, missing = dict[Rate, None](), dict[NoRate, None]()
    for asset, cells in sorted(by_asset.items(), key=lambda item: item[0].id):
        for (month, category, direction), units in cells.items():
            if direction not in ("in", "out") or not units:
                continue
            one = rates.sum((Amount(units, asset),), known.base, days[month])
            in_base[month, category, direction] += one.total.units
            used.update(dict.fromkeys(one.rates))
            missing.update(dict.fromkeys(one.missing))
    return ProfitLoss(
        since=since,
        until=until,
        closing=known.closing,
        months=months,
        assets=tuple(
            AssetResult(
                **_fields(_result(asset, cells, months)),
                transfers=_sum(asset, cells, "transfer"),
                openings=_sum(asset, cells, "opening"),
                exchanges=_sum(asset, cells, "exchange"),
            )
            for asset, cells in sorted(by_asset.items(), key=lambda item: item[0].id)
        ),
        in_base=BaseResult(
            **_fields(_result(known.base, in_base, months)),
            rates=in_order(used),
            missing=_told(missing),
        ),
        unapproved=tuple(unapproved),
        unapproved_records=tuple(records),
    )


def _fields(result: Result) -> dict[str, Any]:
    return attrs.asdict(result, recurse=False)


def in_order(rates: Iterable[Rate]) -> tuple[Rate, ...]:
    return tuple(sorted(rates, key=lambda r: (r.on_date, r.base, r.quote, r.source, r.revision)))


def _told(missing: Iterable[NoRate]) -> tuple[NoRate, ...]:
    return tuple(sorted(missing, key=lambda each: (each.asset, each.on_date)))


def _sum(asset: Asset, cells: Cells, direction: str) -> Amount:
    return Amount(sum(units for key, units in cells.items() if key[2] == direction), asset)


class _Pair:
    """Income and expense while they are summed."""

    __slots__ = ("expense", "income")

    def __init__(self) -> None:
        self.income = self.expense = 0

    def add(self, direction: str, units: int) -> None:
        if direction == "in":
            self.income += units
        elif direction == "out":
            self.expense += units

    def flows(self, asset: Asset) -> Flows:
        return Flows(income=Amount(self.income, asset), expense=Amount(self.expense, asset))


def _result(asset: Asset, cells: Cells, months: Sequence[date]) -> Result:
    totals, owns = defaultdict[str, _Pair](_Pair), defaultdict[str, _Pair](_Pair)
    by_month = defaultdict[tuple[str, date], _Pair](_Pair)
    whole, whole_months = _Pair(), defaultdict[date, _Pair](_Pair)
    for (month, category, direction), units in cells.items():
        if direction not in ("in", "out"):
            continue
        owns[category].add(direction, units)
        whole.add(direction, units)
        whole_months[month].add(direction, units)
        for path in prefixes(category):
            totals[path].add(direction, units)
            by_month[path, month].add(direction, units)
    return Result(
        asset=asset,
        lines=tuple(
            CategoryLine(
                path=path,
                level=path.count(":") + 1,
                total=totals[path].flows(asset),
                own=owns[path].flows(asset),
                months=tuple(by_month[path, month].flows(asset) for month in months),
            )
            # A parent before its children; what has no category last.
            for path in sorted(totals, key=lambda path: (path == "", path.split(":")))
        ),
        total=whole.flows(asset),
        months=tuple(whole_months[month].flows(asset) for month in months),
    )


def prefixes(category: str) -> list[str]:
    """`A:B:C` is in A, in A:B and in A:B:C."""
    names = category.split(":")
    return [":".join(names[:n]) for n in range(1, len(names) + 1)]


@attrs.frozen
class Held:
    """What an own account held of one asset."""

    account_id: UUID
    account: str
    amount: Amount


def cash_flow(
    since: date,
    until: date,
    known: Known,
    closing: Sequence[Held],
    moved: Sequence[Moved],
    rates: RateTable,
    names: Mapping[UUID, str],
) -> CashFlow:
    """The opening balances are the closing ones less all that moved."""
    days = rate_days(months_of(since, until), until)
    sums: dict[tuple[UUID, Asset], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for held in closing:
        sums[held.account_id, held.amount.asset]["closing"] += held.amount.units
    for each in moved:
        sums[each.account_id, each.amount.asset][each.direction] += each.amount.units
    lines = []
    for (account_id, asset), units in sums.items():
        flows = sum(units[way] for way in ("in", "out", "transfer", "opening", "exchange"))
        if not any(units.values()):
            continue
        lines.append(
            CashLine(
                account_id=account_id,
                account=names[account_id],
                opening=Amount(units["closing"] - flows, asset),
                income=Amount(units["in"], asset),
                expense=Amount(units["out"], asset),
                transfers=Amount(units["transfer"], asset),
                openings=Amount(units["opening"], asset),
                exchanges=Amount(units["exchange"], asset),
                closing=Amount(units["closing"], asset),
            )
        )
    lines.sort(key=lambda line: (line.closing.asset.id, line.account, str(line.account_id)))
    return CashFlow(
        since=since,
        until=until,
        closing=known.closing,
        lines=tuple(lines),
        in_base=_cash_in_base(lines, moved, known.base, rates, since, until, days),
    )


def _cash_in_base(
    lines: Sequence[CashLine],
    moved: Sequence[Moved],
    base: Asset,
    rates: RateTable,
    since: date,
    until: date,
    days: Mapping[date, date],
) -> CashInBase:
    used, missing = dict[Rate, None](), dict[NoRate, None]()

    def one(amounts: Iterable[Amount], on: date) -> Amount:
        found = rates.sum(amounts, base, on)
        used.update(dict.fromkeys(found.rates))
        missing.update(dict.fromkeys(found.missing))
        return found.total

    cells: dict[tuple[str, date, Asset], int] = defaultdict(int)
    for each in moved:
        way = each.direction if each.direction in ("in", "out") else "other"
        cells[way, each.month, each.amount.asset] += each.amount.units
    flows = {way: Amount(0, base) for way in ("in", "out", "other")}
    for (way, month, asset), units in sorted(cells.items(), key=lambda i: (*i[0][:2], i[0][2].id)):
        flows[way] += one((Amount(units, asset),), days[month])
    opening = one(_by_asset(line.opening for line in lines), before(since))
    closing = one(_by_asset(line.closing for line in lines), until)
    moved_in = flows["in"] + flows["out"] + flows["other"]
    return CashInBase(
        opening=opening,
        income=flows["in"],
        expense=flows["out"],
        other=flows["other"],
        revaluation=closing - opening - moved_in,
        closing=closing,
        rates=in_order(used),
        missing=_told(missing),
    )


def before(day: date) -> date:
    return day if day == date.min else day - timedelta(days=1)


def _by_asset(amounts: Iterable[Amount]) -> list[Amount]:
    sums: dict[Asset, Amount] = {}
    for amount in amounts:
        sums[amount.asset] = sums.get(amount.asset, Amount(0, amount.asset)) + amount
    return [sums[asset] for asset in sorted(sums, key=lambda asset: asset.id)]


def base_sheet(sheet: BalanceSheet, rates: RateTable, base: Asset, on: date) -> BaseSheet:
    def side(lines: Iterable[Line]) -> Sum:
        return rates.sum(_by_asset(line.amount for line in lines), base, on)

    return BaseSheet(assets=side(sheet.assets), liabilities=side(sheet.liabilities))


# --- reports as files ---


class Kind(StrEnum):
    PROFIT_AND_LOSS = "profit_and_loss"
    BALANCE_SHEET = "balance_sheet"
    CASH_FLOW = "cash_flow"
    RECORDS = "records"
    STATEMENT = "statement"
    """One account's postings with the balance after each."""
    BOOKS = "books"
    """Everything of the tenant: accounts, balances, records."""


class Format(StrEnum):
    CSV = "csv"
    XLSX = "xlsx"
    PDF = "pdf"
    JSON = "json"


@attrs.frozen(kw_only=True)
class Asked:
    """What somebody wants a file of. Without days: everything, as far as the kind allows."""

    kind: Kind
    format: Format
    since: date | None = None
    until: date | None = None
    account_id: UUID | None = None
    closing: int | None = None

    def __attrs_post_init__(self) -> None:
        needs = {
            Kind.PROFIT_AND_LOSS: ("since", "until"),
            Kind.CASH_FLOW: ("since", "until"),
            Kind.BALANCE_SHEET: ("until",),
            Kind.STATEMENT: ("account_id",),
        }.get(self.kind, ())
        lacking = [name for name in needs if getattr(self, name) is None]
        if lacking:
            raise BadReport(f"{self.kind} needs {', '.join(lacking)}")
        if self.account_id is not None and self.kind not in (Kind.STATEMENT, Kind.RECORDS):
            raise BadReport(f"{self.kind} is not of one account")
        if self.closing is not None and self.kind not in (
            Kind.PROFIT_AND_LOSS,
            Kind.CASH_FLOW,
            Kind.BALANCE_SHEET,
        ):
            raise BadReport(f"{self.kind} is not made as of a closing")
        if self.since is not None and self.until is not None and self.until < self.since:
            raise BadPeriod(f"{self.until} is before {self.since}")


@attrs.frozen(kw_only=True)
class Report:
    """A report that was asked for; its file is there when `finished_at` is."""

    id: UUID
    asked: Asked
    asked_by: UUID
    job_id: UUID
    created_at: datetime
    file_id: UUID | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None

    def check_readable(self, now: datetime) -> UUID:
        """The file's id. Raises ReportNotReady, ReportExpired."""
        if self.file_id is None:
            raise ReportNotReady("the report is not made yet")
        if self.expires_at is not None and self.expires_at <= now:
            raise ReportExpired(f"the report expired at {self.expires_at.isoformat()}")
        return self.file_id


@attrs.frozen
class ReportRequested:
    type: ClassVar[str] = "report.requested"

    report_id: UUID
    kind: Kind
    format: Format

    def payload(self) -> Mapping[str, Plain]:
        return {"report": str(self.report_id), "kind": self.kind, "format": self.format}


@attrs.frozen
class ReportGenerated:
    type: ClassVar[str] = "report.generated"

    report_id: UUID
    kind: Kind
    format: Format
    file_id: UUID
    bytes: int

    def payload(self) -> Mapping[str, Plain]:
        return {
            "report": str(self.report_id),
            "kind": self.kind,
            "format": self.format,
            "file": str(self.file_id),
            "bytes": self.bytes,
        }
