"""Periods, rollover and projection, without a database."""

import re
import shutil
import subprocess
from datetime import date, timedelta
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entered import eur
from finora import Amount, Ok, Partial, Refusal, currency
from finora_core.insights.budgets.model import (
    Budget,
    BudgetPeriod,
    Limit,
    Rollover,
    Simulation,
    figures_of,
    simulated,
)
from finora_core.insights.model import months_after, rounded
from finora_core.insights.wallet.model import Moved
from shared_data import SHARED

EUR, USD = currency("EUR"), currency("USD")
HLEDGER = shutil.which("hledger")
JOURNAL = SHARED / "ledger" / "hledger-goal-budget-1.journal"


def budget(**given: object) -> Budget:
    period = given.get("period", BudgetPeriod.MONTHLY)
    assert isinstance(period, BudgetPeriod)
    start = given.pop("starts_on", period.first_day(date(2026, 1, 1)))
    assert isinstance(start, date)
    plain: dict[str, object] = {
        "id": UUID(int=1), "name": "Food", "category": "food", "period": period,
        "starts_on": start, "limits": (Limit(start, eur("500.00")),), "created_by": UUID(int=2),
    }  # fmt: skip
    return Budget(**plain | given)  # type: ignore[arg-type]  # spread


def spent(day: str, amount: str, category: str = "food", direction: str = "out") -> Moved:
    return Moved(date.fromisoformat(day), category, direction, -eur(amount))


@given(
    period=st.sampled_from(BudgetPeriod),
    day=st.dates(date(1990, 1, 1), date(2100, 1, 1)),
    far=st.integers(-60, 60),
)
def test_periods_lie_side_by_side(period: BudgetPeriod, day: date, far: int) -> None:
    first = period.first_day(day)
    assert first <= day <= period.last_day(first)
    assert period.first_day(first) == first
    assert period.last_day(first) + timedelta(days=1) == period.moved(first, 1)
    assert period.moved(period.moved(first, far), -far) == first
    if period is BudgetPeriod.WEEKLY:
        assert first.isoweekday() == 1


@given(
    limits=st.lists(st.integers(1, 10**6), min_size=1, max_size=24),
    costs=st.lists(st.integers(-(10**6), 10**6), min_size=24, max_size=24),
    rollover=st.sampled_from(Rollover),
    period=st.sampled_from(BudgetPeriod),
)
def test_rollover_conserves(
    limits: list[int], costs: list[int], rollover: Rollover, period: BudgetPeriod
) -> None:
    """Each period starts with its own limit and what the rule lets pass; with `all`, what remains
    in the end is all limits less all spending."""
    start = period.first_day(date(2024, 5, 15))
    firsts = [period.moved(start, number) for number in range(24)]
    revisions = tuple(
        Limit(first, Amount(units, EUR)) for first, units in zip(firsts, limits, strict=False)
    )
    made = budget(period=period, starts_on=start, limits=revisions, rollover=rollover)
    moved = [
        Moved(first, "food:out", "out", Amount(-units, EUR))
        for first, units in zip(firsts, costs, strict=True)
    ]
    found = figures_of(made, moved, start, firsts[-1])
    assert [each.since for each in found] == firsts
    carried = 0
    for number, each in enumerate(found):
        assert each.limit.units == limits[min(number, len(limits) - 1)]
        assert each.carried.units == carried
        assert each.remaining.units == each.limit.units + carried - costs[number]
        carried = {
            Rollover.NONE: 0,
            Rollover.SURPLUS: max(0, each.remaining.units),
            Rollover.ALL: each.remaining.units,
        }[rollover]
    if rollover is Rollover.ALL:
        total = sum(each.limit.units for each in found) - sum(costs)
        assert found[-1].remaining.units == total


def test_a_category_counts_with_all_below_it_and_nothing_beside() -> None:
    moved = [
        spent("2026-01-02", "1.00"),
        spent("2026-01-03", "2.00", "food:out:lunch"),
        spent("2026-01-04", "4.00", "foodbank"),
        spent("2026-01-05", "8.00", "Food"),
        spent("2026-01-06", "-0.50", "food", "in"),
    ]
    [only] = figures_of(budget(), moved, date(2026, 1, 1), date(2026, 1, 1))
    assert only.spent == Ok(eur("2.50"))
    assert (only.remaining, only.progress, only.reached) == (eur("497.50"), 50, ())


def test_another_asset_is_a_gap_and_not_a_zero() -> None:
    there = Moved(date(2026, 1, 2), "food", "out", Amount(-700, USD))
    back = Moved(date(2026, 1, 3), "food", "in", Amount(700, USD))
    first = date(2026, 1, 1)
    [only] = figures_of(budget(), [spent("2026-01-01", "1.00"), there], first, first)
    assert only.spent == Partial(eur("1.00"), "no rate for USD")
    [even] = figures_of(budget(), [there, back], first, first)
    assert even.spent == Ok(eur("0.00"))


def test_progress_is_rounded_down_and_levels_are_exact() -> None:
    first = date(2026, 1, 1)

    def at(amount: str) -> tuple[int | None, tuple[int, ...]]:
        [only] = figures_of(budget(), [spent("2026-01-02", amount)], first, first)
        return only.progress, only.reached

    assert at("399.99") == (7999, ())
    assert at("400.00") == (8000, (80,))
    assert at("499.99") == (9999, (80,))
    assert at("500.00") == (10000, (80, 100))


def test_progress_of_what_is_not_available_is_unknown() -> None:
    made = budget(rollover=Rollover.ALL)
    found = figures_of(made, [spent("2026-01-02", "1100.00"), spent("2026-02-02", "1.00")],
                       date(2026, 1, 1), date(2026, 2, 1))  # fmt: skip
    assert (found[1].available, found[1].progress) == (eur("-100.00"), None)
    assert found[1].reached == (80, 100)


@pytest.mark.spec("S2-30", partial=True)
@pytest.mark.parametrize(
    "options, rollover", [((), Rollover.NONE), (("--cumulative",), Rollover.ALL)]
)
@pytest.mark.skipif(HLEDGER is None or not JOURNAL.exists(), reason="no hledger, or no journal")
def test_the_goal_budget_of_hledger(options: tuple[str, ...], rollover: Rollover) -> None:
    """Its budget report and ours say the same of the same journal: actual and goal of each month,
    alone and carried on."""
    assert HLEDGER is not None
    command = [HLEDGER, "-f", str(JOURNAL), "balance", "--budget", "-M", "expenses",
               "date:2020q1", "-O", "csv", *options]  # fmt: skip
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    row = next(line for line in printed.splitlines() if line.startswith('"expenses:food"'))
    theirs = [int(figure) for figure in re.findall(r'"\$?(\d+)"', row)]
    start = date(2020, 1, 1)
    made = budget(category="expenses:food", starts_on=start, rollover=rollover,
                  limits=(Limit(start, eur("500.00")),))  # fmt: skip
    moved = [spent("2020-01-15", "400.00", "expenses:food"),
             spent("2020-03-15", "600.00", "expenses:food")]  # fmt: skip
    found = figures_of(made, moved, start, date(2020, 3, 1))
    goals = theirs[1::2]
    actual = theirs[0::2]
    remaining = [goal - done for goal, done in zip(goals, actual, strict=True)]
    assert remaining == ([100, 500, -100] if rollover is Rollover.NONE else [100, 600, 500])
    assert [each.remaining.units for each in found] == [100 * units for units in remaining]


@pytest.mark.parametrize(
    "given",
    [
        {"name": ""},
        {"name": " x"},
        {"category": ""},
        {"category": "a\nb"},
        {"starts_on": date(2026, 1, 2)},
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(Refusal) as refusal:
        budget(**given)
    assert refusal.value.code == "BAD_BUDGET"
    with pytest.raises(Refusal):
        Limit(date(2026, 1, 1), eur("0.00"))


def test_a_past_period_keeps_its_limit() -> None:
    made = budget().limited(Limit(date(2026, 3, 1), eur("600.00")))
    again = made.limited(Limit(date(2026, 3, 1), eur("700.00")))
    limits = [each.limit for each in figures_of(
        again, [], date(2026, 1, 1), date(2026, 4, 1))]  # fmt: skip
    assert limits == [eur("500.00"), eur("500.00"), eur("700.00"), eur("700.00")]
    with pytest.raises(Refusal):
        made.limited(Limit(date(2026, 3, 1), Amount(1, USD)))


# --- simulation ---


def simulate(
    moved: list[Moved], today: str, percent: int, began: str | None = "2025-01-01"
) -> Simulation:
    made = budget(limits=(Limit(date(2026, 1, 1), eur("5000.00")),))
    day = date.fromisoformat(today)
    first = made.current(day)
    figures = figures_of(made, moved, first, first)[-1]
    return simulated(
        made, figures, moved, date.fromisoformat(began) if began else None, day, percent
    )


@pytest.mark.spec("S2-31", partial=True)
def test_original_5000_at_10_per_cent_is_5500() -> None:
    found = simulate([], "2026-04-10", 10)
    assert (found.original_budget, found.adjusted_budget) == (eur("5000.00"), eur("5500.00"))
    assert simulate([], "2026-04-10", -100).adjusted_budget == eur("0.00")
    with pytest.raises(Refusal):
        simulate([], "2026-04-10", -101)


@pytest.mark.spec("S2-32")
def test_projected_is_spent_and_the_median_day_of_three_full_periods() -> None:
    """January 310.00 is 10.00 a day, February 56.00 is 2.00, March 155.00 is 5.00: 5.00 it is, for
    the 20 days that April has left after the 10th."""
    moved = [
        spent("2026-01-01", "310.00"), spent("2026-02-01", "56.00"),
        spent("2026-03-01", "155.00"), spent("2026-04-01", "70.00"),
    ]  # fmt: skip
    found = simulate(moved, "2026-04-10", 10)
    assert found.projected_spending == Ok(eur("170.00"))
    assert found.surplus == eur("5330.00")
    # On its last day nothing is left to come.
    assert simulate(moved, "2026-04-30", 0).projected_spending == Ok(eur("70.00"))


@pytest.mark.spec("S2-32")
def test_what_cannot_be_projected_is_partial() -> None:
    moved = [spent("2026-03-01", "155.00"), spent("2026-04-01", "70.00")]
    none = simulate(moved, "2026-04-10", 0, began="2026-04-01").projected_spending
    assert none == Partial(eur("70.00"), "no full period before this one")
    one = simulate(moved, "2026-04-10", 0, began="2026-03-01").projected_spending
    assert one == Ok(eur("170.00"))
    assert isinstance(simulate(moved, "2026-04-10", 0, began=None).projected_spending, Partial)


@given(
    costs=st.lists(st.integers(-(10**9), 10**9), min_size=4, max_size=4),
    day=st.integers(1, 30),
    percent=st.integers(-100, 1000),
)
def test_a_projection_is_exact_and_rounds_once(costs: list[int], day: int, percent: int) -> None:
    firsts = [months_after(date(2026, 1, 1), number) for number in range(4)]
    moved = [
        Moved(first, "food", "out", Amount(-units, EUR))
        for first, units in zip(firsts, costs, strict=True)
    ]
    found = simulate(moved, f"2026-04-{day:02}", percent)
    rates = sorted(Fraction(costs[number], days) for number, days in enumerate((31, 28, 31)))
    exact = costs[3] + rates[1] * (30 - day)
    projected = found.projected_spending.value.units
    assert abs(projected - exact) <= Fraction(1, 2)
    assert projected == costs[3] + rounded(rates[1] * (30 - day))
    assert found.surplus.units == found.adjusted_budget.units - projected


@given(st.fractions(max_denominator=1000))
def test_rounding_is_to_the_nearest_and_even_handed(value: Fraction) -> None:
    assert abs(rounded(value) - value) <= Fraction(1, 2)
    assert rounded(-value) == -rounded(value)
    assert [rounded(Fraction(each, 2)) for each in (-5, -3, -1, 1, 3, 5)] == [-3, -2, -1, 1, 2, 3]
