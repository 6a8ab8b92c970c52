"""What people do with budgets."""

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

import attrs

from finora_core.insights.budgets.figures import moved_of, needed, statuses
from finora_core.insights.budgets.model import (
    FULL_PERIODS,
    MOST_BUDGETS,
    Budget,
    BudgetChanged,
    BudgetPeriod,
    BudgetStatus,
    Figures,
    Limit,
    Rollover,
    Simulation,
    TooManyBudgets,
    check_start,
    figures_of,
    simulated,
)
from finora_core.insights.budgets.ports import BudgetsWork, today_of
from finora_core.insights.model import paged
from finora_core.kernel.amount import Amount
from finora_core.kernel.events import Plain
from finora_core.kernel.ids import new_id
from finora_core.kernel.page import DEFAULT_LIMIT, Page, checked_limit
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried


@attrs.frozen
class BudgetService:
    begin: Begin[BudgetsWork]

    @retried
    def create(
        self,
        scope: Scope,
        name: str,
        category: str,
        limit: Amount,
        period: BudgetPeriod = BudgetPeriod.MONTHLY,
        *,
        rollover: Rollover = Rollover.NONE,
        starts_on: date | None = None,
        today: date | None = None,
    ) -> BudgetStatus:
        """A budget from the period of `starts_on` on, or else from the present one. Raises
        BadBudget, TooManyBudgets."""
        with self.begin(scope) as work:
            now = today_of(work, today)
            wanted = starts_on or now
            check_start(wanted, now)
            first = period.first_day(wanted)
            work.assets.get(limit.asset.id)
            work.budgets.lock()
            if len(work.budgets.all()) >= MOST_BUDGETS:
                raise TooManyBudgets(f"there are {MOST_BUDGETS} budgets already")
            budget = Budget(
                id=new_id(),
                name=name,
                category=category,
                period=period,
                rollover=rollover,
                starts_on=first,
                limits=(Limit(first, limit),),
                created_by=scope.user_id,
                created_at=work.now,
            )
            work.budgets.add(budget)
            work.events.record(BudgetChanged(budget_id=budget.id, what="created", limit=limit))
            return work.done(statuses(work, (budget,), now)[0])

    @retried
    def change(
        self,
        scope: Scope,
        budget_id: UUID,
        *,
        name: str | None = None,
        category: str | None = None,
        limit: Amount | None = None,
        rollover: Rollover | None = None,
        today: date | None = None,
    ) -> BudgetStatus:
        """What is not given stays. Another limit holds from the present period on: a past period
        keeps its own. Raises BudgetNotFound, BadBudget."""
        with self.begin(scope) as work:
            now = today_of(work, today)
            old = work.budgets.get(budget_id, lock=True)
            new = attrs.evolve(
                old,
                name=old.name if name is None else name,
                category=old.category if category is None else category,
                rollover=rollover or old.rollover,
            )
            if limit is not None:
                since = Limit(old.current(now), limit)
                new = new.limited(since)
                work.budgets.set_limit(budget_id, since)
            if new != old:
                work.budgets.save(new)
                in_force = new.limit_of(new.current(now))
                changed = BudgetChanged(budget_id=budget_id, what="changed", limit=in_force)
                work.events.record(changed)
            return work.done(statuses(work, (new,), now)[0])

    @retried
    def delete(self, scope: Scope, budget_id: UUID) -> None:
        """Raises BudgetNotFound."""
        with self.begin(scope) as work:
            old = work.budgets.get(budget_id, lock=True)
            work.budgets.delete(budget_id)
            last = old.limits[-1].amount
            work.events.record(BudgetChanged(budget_id=budget_id, what="deleted", limit=last))
            work.done(None)

    def get(self, scope: Scope, budget_id: UUID, *, today: date | None = None) -> BudgetStatus:
        """Raises BudgetNotFound."""
        with self.begin(scope) as work:
            return statuses(work, (work.budgets.get(budget_id),), today_of(work, today))[0]

    def list(
        self,
        scope: Scope,
        *,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
        today: date | None = None,
    ) -> Page[BudgetStatus]:
        """Budgets by name, each with its present period."""
        with self.begin(scope) as work:
            shown = paged(work.budgets.all(), lambda each: (each.name, each.id), cursor, limit)
            found = statuses(work, shown.items, today_of(work, today))
            return Page(tuple(found), shown.next)

    def history(
        self, scope: Scope, budget_id: UUID, periods: int = 12, *, today: date | None = None
    ) -> Sequence[Figures]:
        """The last periods, the present one first, each with the limit it had. Raises
        BudgetNotFound."""
        with self.begin(scope) as work:
            now = today_of(work, today)
            budget = work.budgets.get(budget_id)
            first = budget.current(now)
            since = max(budget.starts_on, budget.period.moved(first, 1 - checked_limit(periods)))
            moved = moved_of(work, (budget,), now, lambda b: min(since, needed(b, now)))
            found = figures_of(budget, moved(budget), since, first)
            return [figures for figures in reversed(found) if figures.since >= since]

    def simulate(
        self, scope: Scope, budget_id: UUID, percent: int, *, today: date | None = None
    ) -> Simulation:
        """What `percent` more, or less, would mean; writes nothing. Raises BudgetNotFound,
        BadBudget."""
        with self.begin(scope) as work:
            now = today_of(work, today)
            budget = work.budgets.get(budget_id)
            first = budget.current(now)
            back = budget.period.moved(first, -FULL_PERIODS)
            moved = moved_of(work, (budget,), now, lambda b: min(back, needed(b, now)))
            seen = moved(budget)
            figures = figures_of(budget, seen, first, first)[-1]
            found = simulated(budget, figures, seen, work.totals.began(), now, percent)
            return work.done(found)

    def words(self, scope: Scope, payload: Mapping[str, Plain]) -> Mapping[str, str] | None:
        """What a letter says of a level that was reached; None where the budget is gone."""
        with self.begin(scope) as work:
            wanted = UUID(str(payload["budget"]))
            found = next((each for each in work.budgets.all() if each.id == wanted), None)
            if found is None:
                return None
            spent, available = (
                Amount(int(str(payload[name])), found.asset) for name in ("spent", "available")
            )
            return {
                "budget": found.name,
                "level": str(payload["level"]),
                "spent": str(spent),
                "available": str(available),
                "since": str(payload["since"]),
            }
