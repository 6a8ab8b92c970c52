"""Other currencies in wallet, budgets and goals: at the rates and with the digits of reports."""

import io
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from entered import Entered, eur
from finora import Finora, Ok, Partial, Scope
from finora_core.insights.goals.model import Share
from finora_core.kernel.ids import new_id

# Days that are these tests' own: rates are of all tenants.
RATES = b"Date,USD,JPY\n2014-02-27,1.37,139.95\n2014-03-31,1.3788,142.42\n2014-04-09,1.25,140\n"
TODAY = date(2014, 4, 10)


@pytest.fixture
def rated(finora: Finora, scope: Scope) -> Finora:
    finora.rates.import_ecb(scope, io.BytesIO(RATES))
    return finora


@pytest.mark.spec("S2-30", partial=True)
@pytest.mark.spec("S0-63", partial=True)
def test_budget_wallet_and_goal_say_what_reports_say(rated: Finora, scope: Scope) -> None:
    giro = Entered.into(rated, scope)
    dollars = Entered.into(rated, scope, "Dollars", "USD")
    giro.add("2014-04-01", "-10.00", "Food")
    dollars.add("2014-04-02", "-12.50", "Food:Out", asset="USD")
    dollars.add("2014-03-03", "100.00", "Gifts", asset="USD")
    budget = rated.budgets.create(
        scope, "Food", "Food", eur("100.00"), starts_on=date(2014, 3, 1), today=TODAY
    )
    assert budget.figures.spent == Ok(eur("20.00"))
    report = rated.reports.profit_and_loss(scope, date(2014, 4, 1), TODAY)
    food = next(line for line in report.in_base.lines if line.path == "Food")
    assert food.total.expense == -budget.figures.spent.value
    # Of what is there: 87.50 USD at 1.25, less 10.00 EUR.
    assert rated.wallet.summary(scope, today=TODAY).total == Ok(eur("60.00"))
    sheet = rated.reports.balance_sheet(scope, TODAY).in_base
    assert sheet.assets.total == eur("60.00")
    goal = rated.goals.create(
        scope, "Boat", eur("100.00"), shares=(Share(dollars.id, 50),), today=TODAY
    )
    assert goal.current == Ok(eur("35.00"))
    assert goal.shares[0].amount == eur("35.00")


@pytest.mark.spec("S0-63", partial=True)
def test_what_has_no_rate_is_named_and_left_out(rated: Finora, scope: Scope) -> None:
    dinars = Entered.into(rated, scope, "Dinars", "KWD")
    dinars.add("2014-04-01", "-5.000", "Food", asset="KWD")
    dinars.add("2014-04-02", "-12.50", "Food", asset="USD")
    gap = "no rate for KWD on 2014-04-10"
    assert rated.wallet.summary(scope, today=TODAY).total == Partial(eur("-10.00"), gap)
    budget = rated.budgets.create(
        scope, "Food", "Food", eur("100.00"), starts_on=date(2014, 4, 1), today=TODAY
    )
    assert budget.figures.spent == Partial(eur("10.00"), "no rate for KWD")
    goal = rated.goals.create(scope, "B", eur("1.00"), shares=(Share(dinars.id, 50),), today=TODAY)
    assert goal.current == Partial(eur("-5.00"), gap)
    # A rate of the day before the week is too old, and says so.
    late = rated.wallet.summary(scope, today=date(2014, 4, 20)).total
    assert isinstance(late, Partial)
    assert "no rate for USD on 2014-04-20: the last one is of 2014-04-09" in late.gap


@pytest.mark.spec("S2-30", partial=True)
@hypothesis_settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    moves=st.lists(
        st.tuples(
            st.integers(0, 68),
            st.integers(-9_999, 9_999).filter(bool),
            st.sampled_from(["EUR", "USD", "JPY"]),
            st.sampled_from(["Food", "Food:Out", "Other"]),
        ),
        max_size=10,
    )
)
def test_any_months_budget_is_the_reports_figure(
    rated: Finora, moves: list[tuple[int, int, str, str]]
) -> None:
    """To the last unit, whatever is rounded on the way."""
    scope = rated.scope(tenant=f"t-{new_id()}", user="u1")
    giro = Entered.into(rated, scope)
    for day, units, asset, category in moves:
        said = str(units) if asset == "JPY" else str(Decimal(units).scaleb(-2))
        on = date.fromordinal(date(2014, 2, 1).toordinal() + day)
        giro.add(on.isoformat(), said, category, asset=asset)
    budget = rated.budgets.create(
        scope, "Food", "Food", eur("100.00"), starts_on=date(2014, 2, 1), today=TODAY
    )
    for figures in rated.budgets.history(scope, budget.budget.id, today=TODAY):
        until = min(figures.until, TODAY)
        report = rated.reports.profit_and_loss(scope, figures.since, until).in_base
        food = [line.total.net for line in report.lines if line.path == "Food"]
        assert figures.spent == Ok(-food[0] if food else eur("0.00"))
