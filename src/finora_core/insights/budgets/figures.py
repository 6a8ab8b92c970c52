"""The figures of budgets, read from totals where months do, and from days where weeks are asked."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date

import attrs

from finora_core.insights.budgets.model import (
    Budget,
    BudgetPeriod,
    BudgetReached,
    BudgetStatus,
    Figures,
    Rollover,
    figures_of,
)
from finora_core.insights.budgets.ports import BudgetsWork
from finora_core.insights.conversion import table_of
from finora_core.insights.model import rate_day
from finora_core.insights.wallet.model import Moved
from finora_core.kernel.amount import Amount
from finora_core.market.rates.ports import Rates

Since = Callable[[Budget], date]
"""From where on a budget's movements are wanted."""


def statuses(work: BudgetsWork, budgets: Sequence[Budget], today: date) -> list[BudgetStatus]:
    """The present period of each, in two reads at most however many there are."""
    moved = moved_of(work, budgets, today, lambda budget: needed(budget, today))
    return [BudgetStatus(budget=each, figures=_last(each, moved(each), today)) for each in budgets]


def moved_of(
    work: BudgetsWork, budgets: Iterable[Budget], today: date, since: Since
) -> Callable[[Budget], Sequence[Moved]]:
    """What moved since each budget's day, until the end of its present period, of what it counts
    and in its asset, as far as there are rates."""
    totals = work.totals
    weekly = [each for each in budgets if each.period is BudgetPeriod.WEEKLY]
    others = [each for each in budgets if each.period is not BudgetPeriod.WEEKLY]

    def ends(of: list[Budget]) -> tuple[date, date]:
        lasts = (each.period.last_day(each.current(today)) for each in of)
        return min(map(since, of)), max(lasts)

    daily = totals.daily(*ends(weekly)) if weekly else ()
    monthly = totals.monthly(*ends(others)) if others else ()

    def seen(budget: Budget) -> Sequence[Moved]:
        moved = daily if budget.period is BudgetPeriod.WEEKLY else monthly
        return converted(work.rates, budget, moved, today)

    return seen


def converted(rates: Rates, budget: Budget, moved: Iterable[Moved], today: date) -> list[Moved]:
    """What the budget counts, in its asset at the rates that reports convert at; what has no rate
    stays as it is."""
    counted = [each for each in moved if budget.counts(each.category)]
    days = [rate_day(each.day, today) for each in counted]
    table = table_of(rates, (each.amount for each in counted), budget.asset, days)
    found = []
    for each, day in zip(counted, days, strict=True):
        amount = table.convert(each.amount, budget.asset, day)
        found.append(attrs.evolve(each, amount=amount) if isinstance(amount, Amount) else each)
    return found


def needed(budget: Budget, today: date) -> date:
    """The first day that matters for the present period."""
    carries = budget.rollover is not Rollover.NONE
    return budget.starts_on if carries else budget.current(today)


def raise_alerts(work: BudgetsWork, today: date) -> int:
    """Tell of each budget that came to a level, in its present period or the one before it, whose
    statement may only have come now; once a period and level, whoever else looks at this moment."""
    raised = 0
    budgets = work.budgets.all()

    def since(budget: Budget) -> date:
        return min(needed(budget, today), _before(budget, today))

    moved = moved_of(work, budgets, today, since) if budgets else None
    for budget in budgets:
        assert moved is not None
        before, current = _before(budget, today), budget.current(today)
        for figures in figures_of(budget, moved(budget), before, current):
            if figures.since < before:
                continue
            for level in figures.reached:
                if work.budgets.alert(budget, figures, level):
                    raised += 1
                    work.events.record(_reached(budget, figures, level))
    return raised


def _before(budget: Budget, today: date) -> date:
    return max(budget.starts_on, budget.period.moved(budget.current(today), -1))


def _last(budget: Budget, moved: Sequence[Moved], today: date) -> Figures:
    current = budget.current(today)
    return figures_of(budget, moved, current, current)[-1]


def _reached(budget: Budget, figures: Figures, level: int) -> BudgetReached:
    return BudgetReached(
        budget_id=budget.id,
        user_id=budget.created_by,
        since=figures.since,
        level=level,
        spent=figures.spent.value,
        available=figures.available,
    )
