"""Budgets and their figures. A budget counts a category with all below it, in one asset."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from statistics import median
from typing import ClassVar
from uuid import UUID

import attrs

from finora_core.insights.model import months_after, rounded, without_rates
from finora_core.insights.wallet.model import Moved
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.errors import Conflict, Invalid, NotFound
from finora_core.kernel.events import Plain
from finora_core.kernel.outcome import Ok, Partial

MOST_BUDGETS = 500
MAX_BACK = timedelta(days=3_660)
MAX_AHEAD = timedelta(days=366)
LEVELS = (80, 100)
"""Per cent of what may be spent, at which its owner is told."""
FULL_PERIODS = 3
"""How many periods before this one a projection looks at."""
MIN_PERCENT, MAX_PERCENT = -100, 1_000


class BudgetNotFound(NotFound):
    """There is no such budget in this tenant."""

    code = "BUDGET_NOT_FOUND"


class BadBudget(Invalid):
    """A part of the budget is missing, too long, or not what it should be."""

    code = "BAD_BUDGET"


class TooManyBudgets(Conflict):
    """A tenant has at most 500 budgets: delete one first."""

    code = "TOO_MANY_BUDGETS"


class BudgetPeriod(StrEnum):
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    YEARLY = "YEARLY"

    def first_day(self, day: date) -> date:
        """Of the period that holds `day`; weeks begin on Monday (ISO 8601)."""
        match self:
            case BudgetPeriod.WEEKLY:
                return date.fromordinal(day.toordinal() - day.weekday())
            case BudgetPeriod.MONTHLY:
                return day.replace(day=1)
            case BudgetPeriod.YEARLY:
                return day.replace(month=1, day=1)

    def moved(self, first: date, periods: int) -> date:
        """The first day of the period that comes so many after, or before, the one of `first`."""
        match self:
            case BudgetPeriod.WEEKLY:
                return first + timedelta(weeks=periods)
            case BudgetPeriod.MONTHLY:
                return months_after(first, periods)
            case BudgetPeriod.YEARLY:
                return months_after(first, 12 * periods)

    def last_day(self, first: date) -> date:
        return self.moved(first, 1) - timedelta(days=1)


class Rollover(StrEnum):
    """What of a period goes on into the next."""

    NONE = "none"
    SURPLUS = "surplus"
    """What was not spent; an overspent period leaves nothing."""
    ALL = "all"
    """What was not spent, and what was spent too much."""

    def carry(self, remaining: int) -> int:
        match self:
            case Rollover.NONE:
                return 0
            case Rollover.SURPLUS:
                return max(remaining, 0)
            case Rollover.ALL:
                return remaining


@attrs.frozen
class Limit:
    """What may be spent in each period from `since` on, until a later limit."""

    since: date
    amount: Amount

    def __attrs_post_init__(self) -> None:
        if self.amount.units <= 0:
            raise _bad("limit", "it is more than zero")


@attrs.frozen(kw_only=True)
class Budget:
    id: UUID
    name: str
    category: str
    """A path with `:` between its names; what is below it counts too."""
    period: BudgetPeriod
    rollover: Rollover = Rollover.NONE
    starts_on: date
    """First day of the first period that counts."""
    limits: tuple[Limit, ...]
    """Oldest first; a period has the one that was in force at its beginning."""
    created_by: UUID
    created_at: datetime | None = None

    def __attrs_post_init__(self) -> None:
        for part in ("name", "category"):
            text = getattr(self, part)
            if not 1 <= len(text) <= 200 or text != text.strip() or not text.isprintable():
                raise _bad(part, "1 to 200 printable characters, no blanks around")
        if self.starts_on != self.period.first_day(self.starts_on):
            raise _bad("starts_on", "a budget starts with a period")

    @property
    def asset(self) -> Asset:
        return self.limits[0].amount.asset

    def limit_of(self, first: date) -> Amount:
        """Of the period that begins on that day."""
        held = [limit.amount for limit in self.limits if limit.since <= first]
        return held[-1] if held else self.limits[0].amount

    def limited(self, limit: Limit) -> "Budget":
        """With another limit from its day on; what came before keeps its own."""
        if limit.amount.asset != self.asset:
            raise _bad("limit", f"this budget is in {self.asset}")
        kept = [each for each in self.limits if each.since < limit.since]
        return attrs.evolve(self, limits=(*kept, limit))

    def counts(self, category: str) -> bool:
        return category == self.category or category.startswith(f"{self.category}:")

    def current(self, today: date) -> date:
        """First day of the period of `today`, or of its first one, where that is still to come."""
        return max(self.period.first_day(today), self.starts_on)


@attrs.frozen(kw_only=True)
class Figures:
    """One period of a budget."""

    since: date
    until: date
    limit: Amount
    carried: Amount
    """From the periods before."""
    spent: Ok[Amount] | Partial[Amount]
    """Less what came back; partial where something was spent in assets that have no rate."""
    carried_gap: str | None = None
    """What is not in what was carried over, for want of a rate in a period before."""

    @property
    def gap(self) -> str | None:
        """What the figures leave out, of this period or of those that are carried over."""
        gaps = (self.spent.gap if isinstance(self.spent, Partial) else None, self.carried_gap)
        return "; ".join(dict.fromkeys(gap for gap in gaps if gap)) or None

    @property
    def available(self) -> Amount:
        """What may be spent in all: limit and what was carried over."""
        return self.limit + self.carried

    @property
    def remaining(self) -> Amount:
        return self.available - self.spent.value

    @property
    def progress(self) -> int | None:
        """Spent of available in basis points, rounded down: 10000 is all of it. None where nothing
        is available, for then there is no such share."""
        if self.available.units <= 0:
            return None
        return self.spent.value.units * 10_000 // self.available.units

    @property
    def reached(self) -> tuple[int, ...]:
        """The levels that spending has come to."""
        spent, available = self.spent.value.units, self.available.units
        if spent <= 0:
            return ()
        return tuple(level for level in LEVELS if spent * 100 >= available * level)


@attrs.frozen(kw_only=True)
class BudgetStatus:
    budget: Budget
    figures: Figures
    """Of the present period."""


@attrs.frozen(kw_only=True)
class Simulation:
    """What another limit would mean for the present period."""

    original_budget: Amount
    adjusted_budget: Amount
    projected_spending: Ok[Amount] | Partial[Amount]
    """Partial where there is no full period before this one to go by, or a rate is missing."""
    surplus: Amount


def figures_of(
    budget: Budget, moved: Iterable[Moved], since: date, until: date
) -> tuple[Figures, ...]:
    """The periods from the one that begins on `since` to the one of `until`, oldest first; where
    something is carried over, all from the budget's first. `moved` holds what moved in them."""
    spent, others = spending_of(budget, moved)
    found: list[Figures] = []
    carries = budget.rollover is not Rollover.NONE
    carried, first = 0, budget.starts_on if carries else max(since, budget.starts_on)
    gap: str | None = None
    while first <= until:
        known = Amount(spent.get(first, 0), budget.asset)
        figures = Figures(
            since=first,
            until=budget.period.last_day(first),
            limit=budget.limit_of(first),
            carried=Amount(carried, budget.asset),
            spent=without_rates(known, others.get(first, ())),
            carried_gap=gap,
        )
        found.append(figures)
        gap = figures.gap if carries else None
        carried = budget.rollover.carry(figures.remaining.units)
        first = budget.period.moved(first, 1)
    return tuple(found)


def spending_of(
    budget: Budget, moved: Iterable[Moved]
) -> tuple[Mapping[date, int], Mapping[date, Sequence[str]]]:
    """By the first day of a period: what was spent less what came back, and the other assets in
    which something was."""
    spent: dict[date, int] = {}
    others: dict[date, dict[str, int]] = {}
    for each in moved:
        if not budget.counts(each.category):
            continue
        first = budget.period.first_day(each.day)
        if each.amount.asset == budget.asset:
            spent[first] = spent.get(first, 0) - each.amount.units
        else:
            seen = others.setdefault(first, {})
            asset = each.amount.asset.id
            seen[asset] = seen.get(asset, 0) + each.amount.units
    named = {
        first: sorted(asset for asset, units in seen.items() if units)
        for first, seen in others.items()
    }
    return spent, named


def simulated(
    budget: Budget,
    figures: Figures,
    moved: Iterable[Moved],
    began: date | None,
    today: date,
    percent: int,
) -> Simulation:
    """With `percent` more, or less, of the limit. Spending goes on as on the median day: each of
    the last three full periods has its spending by the day, and of these the median is taken; it is
    rounded once, at the end. Full is a period that begins no earlier than the books do."""
    if not MIN_PERCENT <= percent <= MAX_PERCENT:
        raise _bad("adjustmentPercent", f"it is {MIN_PERCENT} to {MAX_PERCENT}")
    spent, others = spending_of(budget, moved)
    rates, gap = [], set(others.get(figures.since, ()))
    for back in range(1, FULL_PERIODS + 1):
        first = budget.period.moved(figures.since, -back)
        if began is not None and first >= began:
            days = (budget.period.last_day(first) - first).days + 1
            rates.append(Fraction(spent.get(first, 0), days))
            gap.update(others.get(first, ()))
    left = max(0, (figures.until - max(today, figures.since - timedelta(days=1))).days)
    daily = median(rates) if rates else Fraction(0)
    asset = budget.asset
    projected = Amount(figures.spent.value.units + rounded(daily * left), asset)
    adjusted = Amount(rounded(Fraction(figures.limit.units * (100 + percent), 100)), asset)
    known: Ok[Amount] | Partial[Amount] = without_rates(projected, gap)
    if not rates and left:
        known = Partial(projected, "no full period before this one")
    return Simulation(
        original_budget=figures.limit,
        adjusted_budget=adjusted,
        projected_spending=known,
        surplus=adjusted - projected,
    )


def check_start(starts_on: date, today: date) -> None:
    """Raises BadBudget."""
    if not today - MAX_BACK <= starts_on <= today + MAX_AHEAD:
        raise _bad("starts_on", "within ten years back and one year ahead")


def _bad(part: str, said: str) -> BadBudget:
    return BadBudget(f"{part}: {said}", details=((part, said),))


@attrs.frozen(kw_only=True)
class BudgetChanged:
    type: ClassVar[str] = "budget.changed"

    budget_id: UUID
    what: str
    """created, changed, deleted"""
    limit: Amount

    def payload(self) -> Mapping[str, Plain]:
        return {
            "budget": str(self.budget_id),
            "what": self.what,
            "limit": str(self.limit.units),
            "asset": self.limit.asset.id,
        }


@attrs.frozen(kw_only=True)
class BudgetReached:
    """Spending has come to 80 or 100 per cent of a budget, for the first time in its period."""

    type: ClassVar[str] = "budget.reached"

    budget_id: UUID
    user_id: UUID
    """Whose budget it is."""
    since: date
    """First day of the period."""
    level: int
    spent: Amount
    available: Amount

    def payload(self) -> Mapping[str, Plain]:
        return {
            "budget": str(self.budget_id),
            "user": str(self.user_id),
            "since": self.since.isoformat(),
            "level": self.level,
            "spent": str(self.spent.units),
            "available": str(self.available.units),
            "asset": self.spent.asset.id,
        }
