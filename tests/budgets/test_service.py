"""Budgets over real books: figures, alerts, races."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from entered import Entered, eur
from finora import Finora, Ok, Partial, RecordChange, Refusal, Scope
from finora_core.insights.budgets.model import BudgetPeriod, BudgetStatus, Rollover
from finora_core.insights.service import WatchService
from finora_core.kernel.amount import text_of
from together import together

APRIL = date(2026, 4, 10)


@pytest.fixture
def giro(finora: Finora, scope: Scope) -> Entered:
    return Entered.into(finora, scope)


@pytest.fixture
def watching(finora: Finora) -> WatchService:
    return finora._services.get(WatchService)


def make(finora: Finora, scope: Scope, limit: str = "500.00", **given: Any) -> BudgetStatus:
    plain = {"name": "Food", "category": "food", "today": APRIL} | given
    return finora.budgets.create(scope, limit=eur(limit), **plain)


def figures(finora: Finora, scope: Scope, made: BudgetStatus, today: date = APRIL) -> Any:
    return finora.budgets.get(scope, made.budget.id, today=today).figures


def events(admin: Engine, scope: Scope, kind: str) -> list[Any]:
    query = text(
        "select payload from finora.event where tenant_id = :t and type = :kind order by id"
    )
    with admin.connect() as connection:
        return list(connection.scalars(query, {"t": scope.tenant_id, "kind": kind}))


@pytest.mark.spec("S2-30")
def test_a_budget_says_what_is_spent_remains_and_how_far_it_is(
    finora: Finora, scope: Scope, giro: Entered
) -> None:
    giro.add("2026-04-01", "-100.00", "food")
    giro.add("2026-04-30", "-23.45", "food:out")
    giro.add("2026-03-31", "-50.00", "food")
    giro.add("2026-04-02", "-9.00", "rent")
    made = make(finora, scope)
    [listed] = finora.budgets.list(scope, today=APRIL).items
    assert listed == made
    found = made.figures
    assert (found.since, found.until) == (date(2026, 4, 1), date(2026, 4, 30))
    assert (found.spent, found.remaining) == (Ok(eur("123.45")), eur("376.55"))
    assert found.progress == 2469


@pytest.mark.spec("S2-30")
def test_refunds_reduce_it_and_transfers_never_count(
    finora: Finora, scope: Scope, giro: Entered
) -> None:
    made = make(finora, scope)
    lunch = giro.add("2026-04-01", "-100.00", "food")
    giro.add("2026-04-02", "30.00", "food")
    assert figures(finora, scope, made).spent == Ok(eur("70.00"))
    savings = Entered.into(finora, scope, "Savings")
    moved = giro.add("2026-04-03", "-40.00", "food")
    came = savings.add("2026-04-03", "40.00", "food")
    finora.records.link_transfer(scope, moved.id, came.id)
    assert figures(finora, scope, made).spent == Ok(eur("70.00"))
    finora.records.change(scope, lunch.id, RecordChange(amount=eur("-80.00")))
    assert figures(finora, scope, made).spent == Ok(eur("50.00"))
    finora.records.categorise(scope, lunch.id, "rent")
    assert figures(finora, scope, made).spent == Ok(eur("-30.00"))
    finora.records.delete(scope, lunch.id)
    assert figures(finora, scope, made).spent == Ok(eur("-30.00"))


@pytest.mark.spec("S2-30")
def test_a_new_limit_leaves_past_periods_theirs(
    finora: Finora, scope: Scope, giro: Entered
) -> None:
    giro.add("2026-01-05", "-400.00", "food")
    giro.add("2026-03-05", "-600.00", "food")
    made = make(finora, scope, rollover=Rollover.ALL, starts_on=date(2026, 1, 20))
    changed = finora.budgets.change(
        scope, made.budget.id, limit=eur("700.00"), name="Eating", today=APRIL
    )
    assert (changed.budget.name, changed.figures.limit) == ("Eating", eur("700.00"))
    past = finora.budgets.history(scope, made.budget.id, today=APRIL)
    assert [each.limit for each in past] == [eur("700.00"), *[eur("500.00")] * 3]
    assert [each.remaining for each in past] == [
        eur("1200.00"), eur("500.00"), eur("600.00"), eur("100.00"),
    ]  # fmt: skip
    assert [each.since.month for each in finora.budgets.history(
        scope, made.budget.id, 2, today=APRIL)] == [4, 3]  # fmt: skip


def test_a_weekly_budget_reads_days_and_a_yearly_one_months(
    finora: Finora, scope: Scope, giro: Entered
) -> None:
    for day in ("2026-03-31", "2026-04-05", "2026-04-06", "2026-04-12", "2026-04-13"):
        giro.add(day, "-10.00", "food")
    week = make(finora, scope, period=BudgetPeriod.WEEKLY)
    assert (week.figures.since, week.figures.spent) == (date(2026, 4, 6), Ok(eur("20.00")))
    back = make(finora, scope, period=BudgetPeriod.WEEKLY, rollover=Rollover.SURPLUS, name="b",
                starts_on=date(2026, 3, 30))  # fmt: skip
    assert back.figures.carried == eur("480.00")
    year = make(finora, scope, period=BudgetPeriod.YEARLY, name="y")
    assert (year.figures.until, year.figures.spent) == (date(2026, 12, 31), Ok(eur("50.00")))
    found = finora.budgets.list(scope, today=APRIL).items
    assert [each.figures for each in found] == [week.figures, back.figures, year.figures]


def test_spending_in_another_asset_is_partial(finora: Finora, scope: Scope) -> None:
    dollars = Entered.into(finora, scope, "Dollars", "USD")
    dollars.add("2026-04-01", "-5.00", "food", asset="USD")
    assert make(finora, scope).figures.spent == Partial(eur("0.00"), "no rate for USD")


@given(
    moves=st.lists(
        st.tuples(
            st.integers(0, 90),
            st.integers(-5_000, 5_000).filter(bool),
            st.sampled_from(["food", "food:out", "foodie", ""]),
        ),
        max_size=12,
    ),
    period=st.sampled_from(BudgetPeriod),
)
@hypothesis_settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_spent_is_what_the_ledger_says(
    finora: Finora, scope: Scope, moves: list[tuple[int, int, str]], period: BudgetPeriod
) -> None:
    """Against a sum over the records themselves, for every kind of period."""
    fresh = finora.scope(tenant=f"{scope.request_id}-{hash((tuple(moves), period))}", user="u")
    giro = Entered.into(finora, fresh)
    for days, units, category in moves:
        day = date(2026, 1, 1) + timedelta(days=days)
        giro.add(day.isoformat(), text_of(units, 2), category)
    today = date(2026, 2, 14)
    made = make(finora, fresh, period=period, starts_on=date(2026, 1, 1), today=today)
    for each in finora.budgets.history(fresh, made.budget.id, 60, today=today):
        wanted = -sum(
            record.amount.units
            for record in finora.records.list(fresh, limit=100).items
            if record.category in ("food", "food:out")
            and each.since <= record.on_date <= each.until
        )
        assert each.spent.value.units == wanted


@pytest.mark.spec("S2-31")
def test_simulating_persists_nothing(
    finora: Finora, scope: Scope, giro: Entered, admin: Engine
) -> None:
    giro.add("2026-01-01", "-310.00", "food")
    giro.add("2026-02-01", "-56.00", "food")
    giro.add("2026-03-01", "-155.00", "food")
    giro.add("2026-04-01", "-70.00", "food")
    made = make(finora, scope, "5000.00")
    tables = ("budget", "budget_limit", "budget_alert", "event", "job", "version")

    def rows() -> list[object]:
        with admin.connect() as connection:
            return [
                connection.execute(
                    text(f"select * from finora.{table} where tenant_id = :t order by 1, 2"),
                    {"t": scope.tenant_id},
                ).all()
                for table in tables
            ]

    before = rows()
    found = finora.budgets.simulate(scope, made.budget.id, 10, today=APRIL)
    assert (found.original_budget, found.adjusted_budget) == (eur("5000.00"), eur("5500.00"))
    assert found.projected_spending == Ok(eur("170.00"))
    assert found.surplus == eur("5330.00")
    assert rows() == before


@pytest.mark.spec("S2-34", partial=True)
def test_80_and_100_are_told_once_a_period_each(
    finora: Finora, scope: Scope, giro: Entered, admin: Engine, watching: WatchService
) -> None:
    made = make(finora, scope)

    def told() -> list[tuple[str, int]]:
        watching.watch(scope, today=APRIL)
        watching.watch(scope, today=APRIL)
        return [(each["since"], each["level"]) for each in events(admin, scope, "budget.reached")]

    giro.add("2026-04-01", "-399.99", "food")
    assert told() == []
    giro.add("2026-04-02", "-0.01", "food")
    assert told() == [("2026-04-01", 80)]
    # Under it and over it again is no news.
    giro.add("2026-04-02", "5.00", "food")
    giro.add("2026-04-02", "-5.00", "food")
    assert len(told()) == 1
    last = giro.add("2026-04-02", "-200.00", "food")
    assert told() == [("2026-04-01", 80), ("2026-04-01", 100)]
    finora.records.change(scope, last.id, RecordChange(on_date=date(2026, 5, 2)))
    giro.add("2026-05-02", "-300.00", "food")
    watching.watch(scope, today=date(2026, 5, 3))
    may = events(admin, scope, "budget.reached")[2:]
    assert [(each["since"], each["level"]) for each in may] == [
        ("2026-05-01", 80), ("2026-05-01", 100),
    ]  # fmt: skip
    assert may[1] == {
        "budget": str(made.budget.id), "user": str(scope.user_id), "since": "2026-05-01",
        "level": 100, "spent": "50000", "available": "50000", "asset": "EUR",
    }  # fmt: skip


@pytest.mark.spec("S2-34")
def test_a_level_is_told_once_whoever_looks_at_the_same_moment(
    finora: Finora, scope: Scope, giro: Entered, admin: Engine, watching: WatchService
) -> None:
    make(finora, scope)
    giro.add("2026-04-01", "-501.00", "food")
    found = together(*[lambda: watching.watch(scope, today=APRIL)["alerts"]] * 8)
    assert sorted(found) == [0] * 7 + [2]
    assert sorted(each["level"] for each in events(admin, scope, "budget.reached")) == [80, 100]


@pytest.mark.spec("S2-34")
def test_what_changes_spending_makes_the_job_that_looks(
    finora: Finora, scope: Scope, admin: Engine
) -> None:
    """A record by hand, an edit, and a budget that is made over what is spent already; the clock is
    the database's."""
    with finora._opened.database.begin(scope) as work:
        today = work.now.date()
    giro = Entered.into(finora, scope)
    finora.budgets.create(scope, "Food", "food", eur("100.00"))
    record = giro.add(today.isoformat(), "-85.00", "food")
    finora.run_jobs()
    assert [each["level"] for each in events(admin, scope, "budget.reached")] == [80]
    finora.records.change(scope, record.id, RecordChange(amount=eur("-120.00")))
    finora.run_jobs()
    assert [each["level"] for each in events(admin, scope, "budget.reached")] == [80, 100]
    finora.budgets.create(scope, "All", "food", eur("150.00"))
    finora.run_jobs()
    assert [each["level"] for each in events(admin, scope, "budget.reached")] == [80, 100, 80]


def test_a_budget_is_deleted_with_what_is_kept_of_it(
    finora: Finora, scope: Scope, giro: Entered, watching: WatchService, stranger: Scope
) -> None:
    made = make(finora, scope)
    giro.add("2026-04-01", "-501.00", "food")
    watching.watch(scope, today=APRIL)
    for act in (finora.budgets.get, finora.budgets.delete, finora.budgets.history):
        with pytest.raises(Refusal) as refusal:
            act(stranger, made.budget.id)
        assert refusal.value.code == "BUDGET_NOT_FOUND"
    finora.budgets.delete(scope, made.budget.id)
    assert finora.budgets.list(scope).items == ()
    with pytest.raises(Refusal):
        finora.budgets.change(scope, made.budget.id, name="x")


def test_pages_show_every_budget_once(finora: Finora, scope: Scope) -> None:
    for number in range(7):
        make(finora, scope, name=f"n{number % 3}")
    seen: list[BudgetStatus] = []
    cursor: str | None = None
    while True:
        page = finora.budgets.list(scope, cursor=cursor, limit=2, today=APRIL)
        seen += page.items
        cursor = page.next
        if cursor is None:
            break
    assert len(seen) == len({each.budget.id for each in seen}) == 7
    assert [each.budget.name for each in seen] == sorted(each.budget.name for each in seen)


def test_a_start_out_of_bounds_is_refused(finora: Finora, scope: Scope) -> None:
    for starts_on in (date(1999, 1, 1), date(2030, 1, 1)):
        with pytest.raises(Refusal) as refusal:
            make(finora, scope, starts_on=starts_on)
        assert refusal.value.code == "BAD_BUDGET"
    later = make(finora, scope, starts_on=date(2026, 6, 15))
    assert (later.figures.since, later.figures.spent) == (date(2026, 6, 1), Ok(eur("0.00")))
