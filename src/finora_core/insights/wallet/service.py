"""Summary, cash flow and net worth, from totals that every posting keeps up."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import groupby

import attrs

from finora_core.insights.conversion import as_one
from finora_core.insights.model import last_day, months_before
from finora_core.insights.wallet.model import (
    BadPeriod,
    DayFlows,
    MonthFlows,
    Moved,
    Period,
    Summary,
    Worth,
    flows_of,
    spending_of,
)
from finora_core.insights.wallet.ports import Totals, WalletWork
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
            start = months_before(until, TREND_MONTHS - 1)
            months = _until(work.totals, min(since.replace(day=1), start), until)
            whole = since.day == 1
            moved = (
                [each for each in months if each.day >= since]
                if whole
                else work.totals.daily(since, until)
            )
            base, held = work.totals.held()
            return Summary(
                period=period,
                since=since,
                until=until,
                total=as_one(work.rates, held, base, until),
                balances=tuple(held),
                flows=flows_of(moved),
                top_categories=spending_of(moved, TOP),
                trend=_by_month(months, start, until),
                generated_at=work.now,
            )

    def cashflow(self, scope: Scope, since: date, until: date) -> Sequence[DayFlows]:
        """Daily income and expense, both days included. Raises BadPeriod."""
        if not timedelta(0) <= until - since <= timedelta(MAX_DAYS):
            raise BadPeriod(f"from {since} to {until} is not 1 to {MAX_DAYS} days")
        with self.begin(scope) as work:
            moved = work.totals.daily(since, until)
        days = ((day, flows_of(on_day)) for day, on_day in groupby(moved, key=lambda m: m.day))
        return [DayFlows(day=day, flows=flows) for day, flows in days if flows]

    def cashflow_by_month(self, scope: Scope, since: date, until: date) -> Sequence[MonthFlows]:
        """Monthly income and expense, every month from the first to the last."""
        if until < since:
            raise BadPeriod(f"{until} is before {since}")
        first = since.replace(day=1)
        with self.begin(scope) as work:
            return _by_month(work.totals.monthly(first, until), first, until)

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


def _until(totals: Totals, first: date, until: date) -> list[Moved]:
    """By month, the last one only until `until`: its totals less what comes after, which is
    nothing or little, where `until` is today."""
    months = list(totals.monthly(first, until))
    end = last_day(until)
    if until < end:
        months += (each.undone() for each in totals.daily(until + timedelta(days=1), end))
    return months


def _by_month(moved: Sequence[Moved], first: date, last: date) -> tuple[MonthFlows, ...]:
    """Every month from the first to the last, also those without a movement."""
    found: dict[date, list[Moved]] = defaultdict(list)
    for each in moved:
        found[each.day].append(each)
    count = (last.year - first.year) * 12 + last.month - first.month
    months = (months_before(last, back) for back in range(count, -1, -1))
    return tuple(MonthFlows(month=month, flows=flows_of(found[month])) for month in months)
