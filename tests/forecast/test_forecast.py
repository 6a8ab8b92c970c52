"""The forecast of cash flow, and its back-test."""

from collections.abc import Mapping
from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from entered import EUR, Entered, eur
from finora import Finora, Refusal, Scope
from finora_core.insights.forecast.model import (
    BackTest,
    Course,
    Outlook,
    coverage_of,
    expected_of,
    outlook_of,
    quantile,
)
from finora_core.insights.model import NoForecast, Reason
from finora_core.insights.recurring.model import RecurringLine, Verdict

TODAY = date(2026, 6, 28)
BEGAN = date(2024, 6, 1)


def course(daily: Mapping[date, int], lines: list[RecurringLine], began: date = BEGAN) -> Course:
    sums = dict(daily)
    for line in lines:
        sums[line.on_date] = sums.get(line.on_date, 0) + line.units
    return Course(asset=EUR, began=began, daily=sums, lines=lines)


def bills(key: str, units: int, day: int = 1) -> list[RecurringLine]:
    """Monthly, from July 2024 to June 2026."""
    return [
        RecurringLine(UUID(int=hash((key, number)) & (1 << 100) - 1),
                      date(2024 + (6 + number) // 12, (6 + number) % 12 + 1, day), units, EUR, key)
        for number in range(24)
    ]  # fmt: skip


def steady(units: int) -> dict[date, int]:
    """As much every day."""
    return {BEGAN + timedelta(days=day): units for day in range((TODAY - BEGAN).days + 1)}


def test_what_never_varies_is_foretold_without_error() -> None:
    """Salary and rent once a month, and 10.00 every day: four weeks hold one of each at most."""
    made = course(steady(-1_000), bills("PAY", 250_000) + bills("RENT", -90_000, 5))
    found = outlook_of(made, TODAY, 28)
    assert isinstance(found, Outlook)
    assert found.expected.rest == eur("-280.00")
    assert found.expected.recurring == eur("1600.00")
    assert [(each.on_date, each.amount.text) for each in found.expected.due] == [
        (date(2026, 7, 1), "2500.00"), (date(2026, 7, 5), "-900.00"),
    ]  # fmt: skip
    assert found.test == BackTest(origins=12, mean_error=eur("0.00"), coverage=10_000)
    assert found.low == found.high == found.expected.net == eur("1320.00")


def test_one_large_payment_does_not_move_the_median_and_widens_the_interval() -> None:
    daily = steady(-1_000)
    daily[date(2026, 4, 20)] -= 500_000
    found = outlook_of(course(daily, []), TODAY, 28)
    assert isinstance(found, Outlook)
    assert found.expected.net == eur("-280.00")
    # It lay in the windows of four of the twelve origins, which is more than one of five.
    assert found.test.mean_error == eur("1666.67")
    assert found.high - found.low == eur("10000.00")


@pytest.mark.parametrize("weeks, known", [(12 + 4 + 3, False), (12 + 4 + 4, True)])
def test_too_little_history_is_no_forecast(weeks: int, known: bool) -> None:
    """Twelve weeks before the oldest of five origins, a week apart, four weeks before today."""
    began = TODAY - timedelta(weeks=weeks)
    found = outlook_of(course(steady(-1_000), [], began), TODAY, 28)
    assert isinstance(found, Outlook) is known
    if not known:
        assert found == NoForecast(Reason.TOO_LITTLE_HISTORY)


def test_nothing_of_the_days_to_come_is_used() -> None:
    """As of an earlier day the forecast is what it was then, whatever came after."""
    origin = TODAY - timedelta(days=60)
    lines = bills("PAY", 250_000)
    before = course(steady(-1_000), lines)
    later = course(
        {day: units if day <= origin else 77 for day, units in steady(-1_000).items()},
        [line for line in lines if line.on_date <= origin],
    )
    assert expected_of(before, origin, 30) == expected_of(later, origin, 30)


def test_an_ignored_payment_is_of_the_rest() -> None:
    made = course({}, bills("PAY", 250_000))
    known = expected_of(made, TODAY, 28)
    assert known is not None and known.recurring == eur("2500.00")
    [due] = known.due
    ignored = frozenset({due.recurring.id})
    rest = expected_of(Course(asset=EUR, began=BEGAN, daily=made.daily, lines=made.lines,
                              ignored=ignored), TODAY, 28)  # fmt: skip
    assert rest is not None and rest.due == () and rest.rest == eur("0.00")


@given(errors=st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=40))
def test_the_interval_is_as_wide_as_four_of_five_errors(errors: list[int]) -> None:
    width = quantile(errors)
    within = sum(abs(error) <= width for error in errors)
    narrower = sum(abs(error) < width for error in errors)
    assert within * 100 >= 80 * len(errors) > narrower * 100
    judged = coverage_of(errors)
    assert (judged is None) == (len(errors) <= 4)
    assert judged is None or 0 <= judged <= 10_000


@given(
    daily=st.dictionaries(
        st.integers(0, 700).map(lambda day: BEGAN + timedelta(days=day)),
        st.integers(-(10**6), 10**6), max_size=60,
    ),
    days=st.integers(1, 90),
)  # fmt: skip
@hypothesis_settings(deadline=None, max_examples=30)
def test_the_sum_is_the_sum_of_its_parts(daily: dict[date, int], days: int) -> None:
    made = course(daily, bills("PAY", 250_000))
    found = outlook_of(made, TODAY, days)
    assert isinstance(found, Outlook)
    parts = found.expected
    assert parts.net == parts.recurring + parts.rest
    assert parts.recurring.units == sum(due.amount.units for due in parts.due)
    assert all(TODAY < due.on_date <= TODAY + timedelta(days=days) for due in parts.due)
    assert found.low + found.high == parts.net + parts.net
    assert outlook_of(made, TODAY, days) == found


# --- over real books ---


def test_the_forecast_of_real_books(finora: Finora, scope: Scope) -> None:
    giro = Entered.into(finora, scope)
    dollars = Entered.into(finora, scope, "Dollars", "USD")
    dollars.add("2026-06-01", "5.00", asset="USD")
    for number in range(12):
        month = date(2025 + (6 + number) // 12, (6 + number) % 12 + 1, 1)
        giro.add(month.isoformat(), "2500.00", text="Acme payroll")
        giro.add(month.replace(day=5).isoformat(), "-900.00", text="Rent")
    for week in range(52):
        shop = f"Shop {chr(65 + week % 26)}{chr(65 + week // 26)}"
        giro.add((TODAY - timedelta(weeks=week)).isoformat(), "-70.00", text=shop)
    euros, dollars_too = finora.forecasts.forecast(scope, 28, today=TODAY)
    known = euros.outlook
    assert isinstance(known, Outlook)
    assert known.expected.recurring == eur("1600.00")
    assert known.expected.rest == eur("-280.00")
    assert euros.ends_at == euros.held + known.expected.net
    assert known.test.origins >= 5
    assert dollars_too.asset.id == "USD"
    assert dollars_too.held.text == "5.00"
    # What somebody says is none is forecast no more.
    rent = next(due.recurring for due in known.expected.due if due.amount.units < 0)
    finora.recurring.judge(scope, rent.id, Verdict.IGNORED, today=TODAY)
    again = finora.forecasts.forecast(scope, 28, today=TODAY)[0].outlook
    assert isinstance(again, Outlook)
    assert again.expected.recurring == eur("2500.00")


def test_empty_books_have_no_forecast(finora: Finora, scope: Scope) -> None:
    [only] = finora.forecasts.forecast(scope)
    assert only.outlook == NoForecast(Reason.TOO_LITTLE_HISTORY)
    assert only.ends_at is None
    for days in (0, 367):
        with pytest.raises(Refusal) as refusal:
            finora.forecasts.forecast(scope, days)
        assert refusal.value.code == "BAD_FORECAST"
