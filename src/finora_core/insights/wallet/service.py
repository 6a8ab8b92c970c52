"""Summary, cash flow and net worth, from totals that every posting keeps up."""

from collections.abc import Sequence
from datetime import date, timedelta

import attrs

from finora_core.insights.wallet.model import (
    BadPeriod,
    DayFlows,
    MonthFlows,
    Period,
    Summary,
    Worth,
    in_base,
)
from finora_core.insights.wallet.ports import WalletWork
from finora_core.kernel.amount import Amount
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin

TOP = 5
TREND_MONTHS = 6
MAX_DAYS = 3_660
MAX_MONTHS = 600


@attrs.frozen
class WalletService:
    begin: Begin[WalletWork]

    def summary(
        self, scope: Scope, period: Period = Period.MONTH, *, today: date | None = None
    ) -> Summary:
        """The period that holds `today` (the database's, if not given), so far."""
        with self.begin(scope) as work:
            until = today or work.now.date()
            since = period.first_day(until)
            totals = work.totals
            balances = tuple(totals.own())
            return Summary(
                period=period,
                since=since,
                until=until,
                total=in_base(balances, Amount(0, totals.base())),
                balances=balances,
                flows=tuple(totals.flows(since, until)),
                top_categories=tuple(totals.spending(since, until, TOP)),
                trend=tuple(totals.months(months_before(until, TREND_MONTHS - 1), until)),
                generated_at=work.now,
            )

    def cashflow(self, scope: Scope, since: date, until: date) -> Sequence[DayFlows]:
        """Daily income and expense, both days included. Raises BadPeriod."""
        if not timedelta(0) <= until - since <= timedelta(MAX_DAYS):
            raise BadPeriod(f"from {since} to {until} is not 1 to {MAX_DAYS} days")
        with self.begin(scope) as work:
            return work.totals.days(since, until)

    def cashflow_by_month(self, scope: Scope, since: date, until: date) -> Sequence[MonthFlows]:
        """Monthly income and expense, every month from the first to the last."""
        if until < since:
            raise BadPeriod(f"{until} is before {since}")
        with self.begin(scope) as work:
            return work.totals.months(since.replace(day=1), until)

    def networth(
        self, scope: Scope, months: int = 12, *, today: date | None = None
    ) -> Sequence[Worth]:
        """Net worth at the end of each of the last months, the present one as of today."""
        if not 1 <= months <= MAX_MONTHS:
            raise BadPeriod(f"months must be 1 to {MAX_MONTHS}, not {months}")
        with self.begin(scope) as work:
            until = today or work.now.date()
            firsts = [months_before(until, back) for back in range(months - 1, -1, -1)]
            return work.totals.worth([min(last_day(first), until) for first in firsts])


def months_before(day: date, months: int) -> date:
    """The first day of the month that lies so many months before the one of `day`."""
    number = day.year * 12 + day.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)


def last_day(first: date) -> date:
    """The last day of the month that begins at `first`."""
    return months_before(first, -1) - timedelta(days=1)
