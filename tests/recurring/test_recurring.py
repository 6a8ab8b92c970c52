"""Recurring payments: what is found, and what is not."""

import csv
import random
from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entered import EUR, Entered
from finora import Finora, Refusal, Scope
from finora_core.insights.recurring.model import (
    Recurring,
    RecurringLine,
    Rhythm,
    State,
    Verdict,
    find_recurring,
)
from finora_core.records.model import merchant_key
from shared_data import SHARED, needs_shared

LABELLED = SHARED / "categorise" / "beancount-example-labelled.csv"
JUNE = date(2026, 6, 20)


def paid(key: str, *payments: tuple[str, int]) -> list[RecurringLine]:
    return [
        RecurringLine(
            UUID(int=hash((key, day, units)) & (1 << 120) - 1), date.fromisoformat(day), units, EUR,
            key,
        )
        for day, units in payments
    ]  # fmt: skip


def monthly(key: str, units: int, months: range, day: int = 5) -> list[RecurringLine]:
    return paid(key, *((f"2026-{month:02}-{day:02}", units) for month in months))


def only(lines: list[RecurringLine], today: date = JUNE) -> Recurring:
    [found] = find_recurring(lines, today)
    return found


@pytest.mark.spec("S0-70", partial=True)
@needs_shared
def test_the_bills_of_the_beancount_example_are_found_and_its_meals_are_not() -> None:
    """Three years of somebody's card: six monthly bills, and hundreds of meals and groceries."""
    with LABELLED.open() as file:
        rows = list(csv.DictReader(file))
    lines = [
        RecurringLine(
            UUID(int=number), date.fromisoformat(row["date"]),
            -int(row["amount"].replace(".", "")), EUR, merchant_key(row["payee"]),
        )
        for number, row in enumerate(rows, 1)
        if row["payee"]
    ]  # fmt: skip
    last = max(line.on_date for line in lines)
    found = find_recurring(lines, last)
    bills = {
        "BANK FEES", "RIVERBANK PROPERTIES", "EDISON POWER", "VERIZON WIRELESS",
        "WINE-TARNER CABLE", "METRO TRANSPORT AUTHORITY",
    }  # fmt: skip
    assert {each.merchant_key for each in found} == bills
    assert {each.rhythm for each in found} == {Rhythm.MONTHLY}
    assert State.ENDED not in {each.state for each in found}
    usual = {each.merchant_key: each.usual.text for each in found}
    assert usual["BANK FEES"] == "-4.00" and usual["RIVERBANK PROPERTIES"] == "-2400.00"
    for each in found:
        assert each.seen == sum(line.merchant_key == each.merchant_key for line in lines)
        assert each.next_on is not None and abs(each.next_on - last) <= timedelta(days=36)


@pytest.mark.parametrize(
    "rhythm, days",
    [
        (Rhythm.WEEKLY, ["2026-05-18", "2026-05-25", "2026-06-01", "2026-06-08", "2026-06-16"]),
        (Rhythm.MONTHLY, ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-29", "2026-05-31"]),
        (Rhythm.QUARTERLY, ["2025-09-15", "2025-12-16", "2026-03-14", "2026-06-15"]),
        (Rhythm.YEARLY, ["2024-06-18", "2025-06-15"]),
    ],
)
def test_each_rhythm_is_found_with_its_jitter(rhythm: Rhythm, days: list[str]) -> None:
    found = only(paid("GYM", *((day, -2_990) for day in days)))
    assert (found.rhythm, found.state, found.seen) == (rhythm, State.ACTIVE, len(days))
    assert found.direction == "out" and not found.changed


def test_the_day_of_the_month_is_kept_over_short_months() -> None:
    ends = ("2025-09-30", "2025-10-31", "2025-11-30", "2025-12-31", "2026-01-31", "2026-02-28")
    found = only(paid("RENT", *((day, -90_000) for day in ends)), date(2026, 2, 28))
    assert found.next_on == date(2026, 3, 30)
    steady = only(monthly("RENT", -90_000, range(1, 6), 15))
    assert steady.next_on == date(2026, 6, 15)


def test_a_salary_recurs_too() -> None:
    assert only(monthly("ACME", 250_000, range(1, 7), 1)).direction == "in"


def test_a_payment_that_did_not_come_is_missed_and_then_ended() -> None:
    lines = monthly("GYM", -2_990, range(1, 5))
    assert only(lines, date(2026, 5, 10)).state is State.ACTIVE
    late = only(lines, date(2026, 5, 11))
    assert (late.state, late.missed, late.next_on) == (State.MISSED, 1, date(2026, 6, 5))
    assert only(lines, date(2026, 7, 10)).missed == 2
    over = only(lines, date(2026, 7, 11))
    assert (over.state, over.next_on) == (State.ENDED, None)


def test_a_changed_amount_is_said() -> None:
    steady = monthly("MUSIC", -999, range(1, 6))
    assert not only(steady).changed
    raised = only([*steady, *monthly("MUSIC", -1_299, range(6, 7))])
    assert raised.changed
    assert (raised.amount.text, raised.usual.text) == ("-12.99", "-9.99")
    # A bill that is never the same has not changed while it stays within what was usual.
    power = paid("POWER", *((f"2026-{n:02}-05", -units) for n, units in
                            enumerate((6_500, 7_100, 6_900, 7_300, 6_600, 7_000), 1)))  # fmt: skip
    assert not only(power).changed


def test_two_subscriptions_of_one_shop_are_two() -> None:
    lines = monthly("APPLE", -299, range(1, 6)) + monthly("APPLE", -999, range(1, 6), 17)
    found = find_recurring(lines, JUNE)
    assert sorted(each.usual.units for each in found) == [-999, -299]
    assert len({each.id for each in found}) == 2


def test_shopping_is_no_recurring_payment() -> None:
    """Whatever somebody buys every Saturday, and wherever somebody eats now and then."""
    chance = random.Random(7)
    saturdays = [date(2026, 1, 3) + timedelta(weeks=week) for week in range(24)]
    groceries = paid("MARKET", *((day.isoformat(), -chance.randint(1_500, 15_000))
                                 for day in saturdays))  # fmt: skip
    meals = paid("CAFE", *(((date(2026, 1, 1) + timedelta(days=chance.randint(0, 160))).isoformat(),
                            -450 - number) for number in range(20)))  # fmt: skip
    once = paid("SHOP", ("2026-01-02", -1_000))
    twice = paid("BOOK", ("2025-06-02", -1_000), ("2026-06-02", -1_250))
    assert find_recurring(groceries + meals + once + twice, JUNE) == ()


def test_one_in_five_may_be_skipped() -> None:
    lines = monthly("CLUB", -1_000, range(1, 4)) + monthly("CLUB", -1_000, range(5, 7))
    lines += paid("CLUB", ("2025-12-05", -1_000), ("2025-11-05", -1_000))
    assert only(lines).seen == 7
    gaps = [line for line in lines if line.on_date.month not in (12, 2)]
    assert find_recurring(gaps, JUNE) == ()


payments = st.lists(
    st.builds(
        lambda number, day, units, key: RecurringLine(
            UUID(int=number), date(2024, 1, 1) + timedelta(days=day), units, EUR, key
        ),
        st.integers(1, 1 << 64),
        st.integers(0, 900),
        st.sampled_from([-1_000, -1_050, -2_000, -50, 300_000]),
        st.sampled_from(["A", "B"]),
    ),
    max_size=40,
    unique_by=lambda line: line.record_id,
)


@given(payments, st.randoms(use_true_random=False), st.integers(0, 1_500))
def test_the_order_of_the_records_says_nothing_and_every_answer_names_its_own(
    lines: list[RecurringLine], chance: random.Random, after: int
) -> None:
    today = date(2024, 1, 1) + timedelta(days=after)
    lines = [line for line in lines if line.on_date <= today]
    found = find_recurring(lines, today)
    shuffled = lines[:]
    chance.shuffle(shuffled)
    assert find_recurring(shuffled, today) == found
    by_id = {line.record_id: line for line in lines}
    used: set[UUID] = set()
    for each in found:
        assert each.records and not used & set(each.records)
        used |= set(each.records)
        mine = [by_id[record] for record in each.records]
        assert {(line.merchant_key, line.units > 0) for line in mine} == {
            (each.merchant_key, each.amount.units > 0)
        }
        assert each.last_on == max(line.on_date for line in mine) <= today
        assert (each.next_on is None) == (each.state is State.ENDED)
        days = each.coming(today, today + timedelta(days=400))
        assert list(days) == sorted(set(days)) and all(day > today for day in days)


# --- over real books ---


@pytest.fixture
def giro(finora: Finora, scope: Scope) -> Entered:
    made = Entered.into(finora, scope)
    for month in range(1, 7):
        made.add(f"2026-{month:02}-05", "-29.90", text=f"Gym {month}77")
        made.add(f"2026-{month:02}-01", "2500.00", text="Acme payroll")
        made.add(f"2026-{month:02}-0{month}", f"-{month * month}.00", text="Cafe")
    return made


@pytest.mark.spec("S0-70", partial=True)
def test_recurring_payments_are_found_in_the_records(
    finora: Finora, scope: Scope, giro: Entered, stranger: Scope
) -> None:
    found = finora.recurring.list(scope, today=JUNE).items
    assert [each.merchant_key for each in found] == ["ACME PAYROLL", "GYM"]
    gym = found[1]
    assert finora.records.get(scope, gym.records[-1]).on_date == gym.last_on == date(2026, 6, 5)
    assert gym.next_on == date(2026, 7, 5)
    due = finora.recurring.list(scope, due_until=date(2026, 7, 3), today=JUNE).items
    assert [each.merchant_key for each in due] == ["ACME PAYROLL"]
    page = finora.recurring.list(scope, limit=1, today=JUNE)
    assert page.items == found[:1]
    assert finora.recurring.list(scope, cursor=page.next, limit=1, today=JUNE).items == found[1:]
    assert finora.recurring.list(stranger, today=JUNE).items == ()


def test_void_pending_and_transferred_records_do_not_count(
    finora: Finora, scope: Scope, giro: Entered
) -> None:
    savings = Entered.into(finora, scope, "Savings")
    gym = finora.recurring.list(scope, today=JUNE).items[1]
    for record_id in gym.records[:3]:
        record = finora.records.get(scope, record_id)
        other = savings.add(record.on_date.isoformat(), "29.90", text="from giro")
        finora.records.link_transfer(scope, record_id, other.id)
    finora.records.delete(scope, gym.records[3])
    assert [each.merchant_key for each in finora.recurring.list(scope, today=JUNE).items] == [
        "ACME PAYROLL"
    ]


def test_a_person_confirms_ignores_and_takes_it_back(
    finora: Finora, scope: Scope, giro: Entered, stranger: Scope
) -> None:
    gym = finora.recurring.list(scope, today=JUNE).items[1]
    said = finora.recurring.judge(scope, gym.id, Verdict.CONFIRMED, today=JUNE)
    assert said.verdict is Verdict.CONFIRMED
    finora.recurring.judge(scope, gym.id, Verdict.IGNORED, today=JUNE)
    assert gym.id not in {each.id for each in finora.recurring.list(scope, today=JUNE).items}
    shown = finora.recurring.list(scope, ignored=True, today=JUNE).items
    assert [each.verdict for each in shown] == [None, Verdict.IGNORED]
    # A payment more is the same one.
    giro.add("2026-07-05", "-29.90", text="Gym 777")
    later = finora.recurring.list(scope, ignored=True, today=date(2026, 7, 6)).items
    assert later[1].id == gym.id and later[1].verdict is Verdict.IGNORED
    finora.recurring.judge(scope, gym.id, None, today=JUNE)
    assert finora.recurring.list(scope, today=JUNE).items[1].verdict is None
    for who, which in ((stranger, gym.id), (scope, UUID(int=1))):
        with pytest.raises(Refusal) as refusal:
            finora.recurring.judge(who, which, Verdict.IGNORED, today=JUNE)
        assert refusal.value.code == "RECURRING_NOT_FOUND"
