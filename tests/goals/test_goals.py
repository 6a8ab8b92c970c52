"""Goals: shares, progress, forecast, and that reaching one is told once."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from entered import EUR, Entered, eur
from finora import AccountKind, Amount, Finora, Ok, Partial, Refusal, Scope
from finora_core.insights.goals.model import GoalStatus, Grown, Share, forecast_of, shared_out
from finora_core.insights.model import NoForecast, Reason
from finora_core.insights.service import WatchService
from together import together

APRIL = date(2026, 4, 10)


@pytest.fixture
def giro(finora: Finora, scope: Scope) -> Entered:
    return Entered.into(finora, scope)


@pytest.fixture
def watching(finora: Finora) -> WatchService:
    return finora._services.get(WatchService)


def make(finora: Finora, scope: Scope, *shares: Share, **given: Any) -> GoalStatus:
    plain = {"name": "Boat", "target": eur("1000.00"), "today": APRIL} | given
    return finora.goals.create(scope, shares=shares, **plain)


def reached(admin: Engine, scope: Scope) -> list[Any]:
    query = text(
        "select payload from finora.event "
        "where tenant_id = :t and type = 'goal.reached' order by id"
    )
    with admin.connect() as connection:
        return list(connection.scalars(query, {"t": scope.tenant_id}))


@given(
    units=st.integers(-(10**12), 10**12),
    percents=st.dictionaries(
        st.integers(1, 10**6).map(lambda number: UUID(int=number)), st.integers(1, 100),
        min_size=1, max_size=6,
    ),
)  # fmt: skip
def test_shares_of_an_account_lose_and_make_nothing(units: int, percents: dict[UUID, int]) -> None:
    shares = shared_out(units, percents)
    whole = sum(percents.values())
    for goal, percent in percents.items():
        assert abs(shares[goal] * 100 - units * percent) < 200
    if whole == 100:
        assert sum(shares.values()) == units
    elif whole < 100:
        assert abs(sum(shares.values())) <= abs(units)
    else:
        sign = -1 if units < 0 else 1
        assert sum(shares.values()) == sign * (abs(units) * whole // 100)
    assert shared_out(-units, percents) == {goal: -each for goal, each in shares.items()}


@pytest.mark.spec("S0-58", partial=True)
def test_a_third_each_is_all_of_it(finora: Finora, scope: Scope, giro: Entered) -> None:
    giro.add("2026-04-01", "100.01")
    parts = [make(finora, scope, Share(giro.id, percent), name=str(percent) + tail)
             for percent, tail in ((33, "a"), (33, "b"), (34, "c"))]  # fmt: skip
    found = {each.goal.id: each.current for each in finora.goals.list(scope, today=APRIL).items}
    assert sum((found[each.goal.id].value for each in parts), eur("0.00")) == eur("100.01")


@pytest.mark.spec("S2-33", partial=True)
@pytest.mark.spec("S0-58")
def test_a_goal_has_the_shares_of_its_accounts(finora: Finora, scope: Scope, giro: Entered) -> None:
    savings = Entered.into(finora, scope, "Savings")
    giro.add("2026-04-01", "200.00")
    savings.add("2026-04-02", "600.00")
    boat = make(finora, scope, Share(giro.id, 50), Share(savings.id, 75))
    assert (boat.current, boat.missing) == (Ok(eur("550.00")), eur("450.00"))
    assert (boat.progress, boat.reached, boat.in_time) == (5500, False, None)
    # Over-allocation is allowed, and shown.
    house = make(finora, scope, Share(savings.id, 60), name="House", target=eur("300.00"))
    assert house.reached and house.progress == 12000
    assert [share.promised for share in house.shares] == [135]
    assert house.shares[0].amount == eur("360.00")
    again = finora.goals.get(scope, boat.goal.id, today=APRIL)
    assert {share.account_id: share.promised for share in again.shares} == {
        giro.id: 50, savings.id: 135,
    }  # fmt: skip


def test_what_has_no_rate_is_partial(finora: Finora, scope: Scope) -> None:
    dollars = Entered.into(finora, scope, "Dollars", "USD")
    dollars.add("2026-04-01", "5.000", asset="KWD")
    boat = make(finora, scope, Share(dollars.id, 100))
    assert boat.current == Partial(eur("0.00"), "no rate for KWD on 2026-04-10")


@pytest.mark.parametrize("percent", [0, 101, -1])
def test_a_share_is_1_to_100_per_cent(percent: int) -> None:
    with pytest.raises(Refusal) as refusal:
        Share(UUID(int=1), percent)
    assert refusal.value.code == "BAD_GOAL"


def test_what_makes_no_sense_is_refused(
    finora: Finora, scope: Scope, stranger: Scope, giro: Entered
) -> None:
    shop = finora.ledger.open_account(scope, "Shop", AccountKind.EXPENSE)
    theirs = Entered.into(finora, stranger)
    for code, wrong in (
        ("BAD_GOAL", {"target": eur("0.00")}),
        ("BAD_GOAL", {"name": ""}),
        ("BAD_GOAL", {"shares": (Share(giro.id, 1), Share(giro.id, 2))}),
        ("BAD_GOAL", {"shares": (Share(shop.id, 1),)}),
        ("ACCOUNT_NOT_FOUND", {"shares": (Share(theirs.id, 1),)}),
    ):
        with pytest.raises(Refusal) as refusal:
            finora.goals.create(scope, **{"name": "x", "target": eur("1.00")} | wrong)  # type: ignore[arg-type]  # spread
        assert refusal.value.code == code
    mine = make(finora, scope)
    for act in (finora.goals.get, finora.goals.delete, finora.goals.change):
        with pytest.raises(Refusal) as refusal:
            act(stranger, mine.goal.id)
        assert refusal.value.code == "GOAL_NOT_FOUND"


@pytest.mark.spec("S2-33")
def test_the_forecast_goes_on_as_in_the_last_90_days(
    finora: Finora, scope: Scope, giro: Entered
) -> None:
    """300.00 in 90 days, of which 50 % count: 850.00 are missing, and take 510 days."""
    for day in ("2025-06-01", "2026-01-15", "2026-02-15", "2026-03-15"):
        giro.add(day, "100.00" if day > "2026" else "0.01")
    boat = make(finora, scope, Share(giro.id, 50), by=date(2027, 9, 3))
    assert boat.missing == eur("850.00")
    assert boat.forecast == Ok(APRIL + timedelta(days=510))
    assert boat.in_time is True
    sooner = finora.goals.change(scope, boat.goal.id, by=date(2027, 9, 1), today=APRIL)
    assert sooner.in_time is False
    assert finora.goals.change(scope, boat.goal.id, by=None, today=APRIL).in_time is None


@given(
    missing=st.integers(1, 10**12),
    came=st.integers(1, 10**9),
    percent=st.integers(1, 100),
    days=st.integers(28, 2_000),
)
def test_on_the_day_of_the_forecast_and_not_before_it_is_there(
    missing: int, came: int, percent: int, days: int
) -> None:
    account = UUID(int=1)
    found = forecast_of(
        Amount(missing, EUR), [Share(account, percent)],
        [Grown(account_id=account, amount=Amount(came, EUR))], timedelta(days=days), APRIL,
    )  # fmt: skip
    window = min(days, 90)
    if isinstance(found, NoForecast):
        assert found.reason is Reason.TOO_FAR
        return
    needed = (found.value - APRIL).days
    assert needed * came * percent >= missing * 100 * window
    assert (needed - 1) * came * percent < missing * 100 * window


@pytest.mark.spec("S2-33")
def test_a_forecast_that_cannot_be_made_says_why(
    finora: Finora, scope: Scope, giro: Entered
) -> None:
    assert make(finora, scope).forecast == NoForecast(Reason.NO_ACCOUNTS)
    young = make(finora, scope, Share(giro.id, 100))
    assert young.forecast == NoForecast(Reason.TOO_LITTLE_HISTORY)
    giro.add("2026-01-01", "-1.00")
    falls = finora.goals.get(scope, young.goal.id, today=APRIL)
    assert falls.forecast == NoForecast(Reason.NOT_GROWING)
    giro.add("2026-03-01", "1.01")
    far = finora.goals.change(scope, young.goal.id, target=eur("9000000.00"), today=APRIL)
    assert far.forecast == NoForecast(Reason.TOO_FAR)
    giro.add("2026-03-02", "9000000.00")
    assert finora.goals.get(scope, young.goal.id, today=APRIL).forecast == Ok(APRIL)


@pytest.mark.spec("S2-33")
def test_reaching_a_goal_is_told_once_whoever_looks(
    finora: Finora, scope: Scope, giro: Entered, admin: Engine, watching: WatchService
) -> None:
    boat = make(finora, scope, Share(giro.id, 100))
    giro.add("2026-04-01", "999.99")
    assert watching.watch(scope)["goals"] == 0
    giro.add("2026-04-01", "0.01")
    found = together(*[lambda: watching.watch(scope)["goals"]] * 6)
    assert sorted(found) == [0] * 5 + [1]
    giro.add("2026-04-02", "-500.00")
    giro.add("2026-04-03", "500.00")
    finora.run_jobs()
    [told] = reached(admin, scope)
    assert told == {"goal": str(boat.goal.id), "user": str(scope.user_id), "current": "100000",
                    "asset": "EUR"}  # fmt: skip
    assert finora.goals.get(scope, boat.goal.id).goal.reached_at is not None


def test_a_goal_is_changed_and_deleted(finora: Finora, scope: Scope, giro: Entered) -> None:
    boat = make(finora, scope, Share(giro.id, 100))
    changed = finora.goals.change(scope, boat.goal.id, name="Ship", shares=())
    assert (changed.goal.name, changed.shares) == ("Ship", ())
    finora.goals.delete(scope, boat.goal.id)
    assert finora.goals.list(scope).items == ()
