"""What a file begins in the middle of is opened: so much as had to be there, at nobody knows what
cost, until earlier activities say what it was."""

import io
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desk import EUR, Desk
from finora import Amount, Asset, Finora, ImportRequest, Refusal, Scope
from finora_adapters.postgres.work import Postgres
from finora_core.portfolio.model import DERIVED, Activity, ActivityFilter, ActivityKind
from finora_core.portfolio.openings import missing
from finora_core.portfolio.service import NewActivity
from together import errors, together

HEAD = "Symbol,Type,Quantity,Price,Value,Fees,Date\n"
BTC = Asset("crypto:BTC", 18)
DAY = timedelta(days=1)
MAY = datetime(2020, 5, 1, 22, 10, 57, tzinfo=UTC)


def line(day: int, kind: str, quantity: str, value: str, price: str = "10.00") -> str:
    at = MAY + (day - 1) * DAY
    said = at.strftime("%b %d, %Y, %I:%M:%S %p")
    return f'BTC,{kind},{quantity},"€{price}",€{value},€0.00,"{said}"\n'


def bring(finora: Finora, scope: Scope, *lines: str) -> Any:
    text = HEAD + "".join(lines)
    return finora.import_file(scope, io.BytesIO(text.encode()), name="coins.csv")


def openings(finora: Finora, scope: Scope, **asked: Any) -> list[Activity]:
    wanted = ActivityFilter(kind=ActivityKind.OPENING_BALANCE, **asked)
    return list(finora.portfolio.list(scope, wanted, limit=100).items)


def held(finora: Finora, scope: Scope) -> str | None:
    found = [each.quantity.text for each in finora.portfolio.holdings(scope)]
    return found[0].rstrip("0").rstrip(".") if found else None


@pytest.mark.spec("S0-51")
def test_a_file_that_begins_in_the_middle_opens_what_it_lacks(finora: Finora, scope: Scope) -> None:
    result = bring(finora, scope, line(6, "Sell", "0.5", "10.00"), line(7, "Buy", "0.2", "4.00"),
                   line(8, "Sell", "0.3", "6.00"))  # fmt: skip
    assert (result["added"], result["set_aside_count"]) == (3, 0)
    [said] = result["differences"]
    assert (said["stated"]["amount"], said["booked"]["amount"], said["on_date"]) == (
        "0.600000000000000000", "0.000000000000000000", "2020-05-06",
    )  # fmt: skip
    [opening] = openings(finora, scope)
    assert (opening.source, opening.quantity, opening.at) == (
        DERIVED, Amount.parse("0.6", BTC), MAY + 5 * DAY,
    )  # fmt: skip
    assert "more had left by 2020-05-06" in opening.note
    assert held(finora, scope) is None
    balances = {
        (each.account.name, str(each.amount.asset)): each.amount.text
        for each in finora.ledger.balances(scope) if each.amount
    }  # fmt: skip
    assert balances["Opening balances", "crypto:BTC"] == "-0.600000000000000000"
    # What it cost nobody knows, and so not what was gained either.
    found = finora.portfolio.valuation(scope, MAY + 6 * DAY)
    assert "not known what crypto:BTC cost" in getattr(found.gain, "gap", "")
    assert "not known what crypto:BTC cost" in getattr(found.invested, "gap", "")
    [coin] = [each for each in found.holdings if each.quantity.asset == BTC]
    assert (coin.invested, coin.gain, coin.realised) == (None, None, None)


@pytest.mark.spec("S0-51", partial=True)
def test_earlier_files_replace_it_by_reversal(finora: Finora, scope: Scope) -> None:
    sell = line(6, "Sell", "0.5", "8.00", "16.00")
    bring(finora, scope, sell)
    [first] = openings(finora, scope)
    some = bring(finora, scope, line(5, "Buy", "0.2", "4.00"))
    [second] = openings(finora, scope)
    assert (second.quantity, second.at) == (Amount.parse("0.3", BTC), MAY + 4 * DAY)
    assert finora.portfolio.get(scope, first.id).replaced_by == second.id
    assert some["differences"][0]["stated"]["amount"] == "0.300000000000000000"
    bring(finora, scope, line(4, "Buy", "0.3", "3.00"), sell)
    assert openings(finora, scope) == []
    ended = openings(finora, scope, ended=True)
    assert len(ended) == 2 and all(each.ended_at for each in ended)
    balances = [each.amount for each in finora.ledger.balances(scope)
                if each.account.name == "Opening balances" and each.amount]  # fmt: skip
    assert not any(balances)
    found = finora.portfolio.valuation(scope, MAY + 9 * DAY)
    [coin] = [each for each in found.holdings if each.quantity.asset == BTC]
    assert (coin.realised, coin.costless) == (Amount.parse("3.00", EUR), None)


def test_who_enters_by_hand_what_had_come_needs_no_opening(desk: Desk, finora: Finora) -> None:
    scope = desk.scope
    file = io.BytesIO((HEAD + line(6, "Sell", "0.5", "10.00")).encode())
    finora.import_file(scope, file, ImportRequest(account="Main"), name="c.csv")
    [opening] = openings(finora, scope)
    with pytest.raises(Refusal) as caught:
        finora.portfolio.delete(scope, opening.id)
    assert caught.value.code == "INSUFFICIENT_HOLDING"
    with pytest.raises(Refusal):
        desk.trade(BTC, "-0.1", "10", MAY + 9 * DAY)
    desk.trade(BTC, "0.4", "10", MAY)
    [less] = openings(finora, scope)
    assert (less.quantity, less.at) == (Amount.parse("0.1", BTC), MAY)
    bought = NewActivity(
        account_id=desk.account.id,
        kind=ActivityKind.BUY,
        asset=BTC.id,
        at=MAY,
        quantity=Amount.parse("0.1", BTC),
        price=Decimal(10),
        quote=EUR,
    )
    finora.portfolio.correct(scope, less.id, bought)
    assert openings(finora, scope) == []
    assert held(finora, scope) is None
    [sold] = finora.portfolio.list(scope, ActivityFilter(kind=ActivityKind.SELL)).items
    finora.portfolio.delete(scope, sold.id)
    assert held(finora, scope) == "0.5"


def test_taking_a_sale_back_takes_back_what_it_lacked(finora: Finora, scope: Scope) -> None:
    bring(finora, scope, line(6, "Sell", "0.5", "10.00"), line(7, "Sell", "0.1", "2.00"))
    sales = finora.portfolio.list(scope, ActivityFilter(kind=ActivityKind.SELL)).items
    finora.portfolio.delete(scope, sales[0].id)
    assert [each.quantity.text[:4] for each in openings(finora, scope)] == ["0.50"]
    finora.portfolio.delete(scope, sales[1].id)
    assert openings(finora, scope) == []
    assert held(finora, scope) is None


def test_what_is_closed_stays_and_the_rest_opens_after_it(finora: Finora, scope: Scope) -> None:
    bring(finora, scope, line(6, "Sell", "0.5", "10.00"))
    finora.closings.close(scope, date(2020, 5, 10))
    result = bring(finora, scope, line(4, "Buy", "0.5", "5.00"), line(20, "Sell", "0.2", "4.00"))
    assert (result["added"], result["set_aside_count"]) == (1, 1)
    found = [(each.at, each.quantity.text[:4]) for each in openings(finora, scope)]
    assert found == [
        (datetime(2020, 5, 11, tzinfo=UTC), "0.20"), (MAY + 5 * DAY, "0.50"),
    ]  # fmt: skip
    bring(finora, scope, line(15, "Buy", "0.2", "4.00"))
    assert [each.at for each in openings(finora, scope)] == [MAY + 5 * DAY]


def test_files_that_come_at_once_open_once(finora: Finora, scope: Scope) -> None:
    finora.portfolio.open_account(scope, "Main", "revolut")
    files = [[line(day, "Sell", "0.1", "1.00")] for day in range(2, 8)]
    results = together(*[partial(bring, finora, scope, *file) for file in files])
    assert errors(results) == []
    [opening] = openings(finora, scope)
    assert (opening.quantity, opening.at) == (Amount.parse("0.6", BTC), MAY + DAY)
    assert held(finora, scope) is None


_STEPS = st.lists(st.tuples(st.integers(0, 9), st.integers(-9, 9)), max_size=12)


@given(steps=_STEPS)
def test_it_is_the_least_that_had_to_be_there(steps: list[tuple[int, int]]) -> None:
    booked = [(MAY + day * DAY, units) for day, units in steps if units]
    lacks = missing(booked)
    if lacks is None:
        assert missing([*booked, (MAY, 0)]) is None
        return
    assert lacks.since == min(at for at, _ in booked)
    assert lacks.since <= lacks.short
    assert missing([*booked, (lacks.since, lacks.units)]) is None
    less = missing([*booked, (lacks.since, lacks.units - 1)])
    assert less is not None and less.units == 1


@pytest.mark.spec("S0-51", partial=True)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    moves=st.lists(
        st.tuples(st.integers(1, 20), st.booleans(), st.integers(1, 9), st.integers(0, 3)),
        min_size=1, max_size=10,
    )
)  # fmt: skip
def test_the_order_of_files_changes_nothing(
    finora: Finora, database: Postgres, moves: list[tuple[int, bool, int, int]]
) -> None:
    files: dict[int, list[str]] = {}
    for day, buys, tenths, number in dict.fromkeys(moves):
        said = line(day, "Buy" if buys else "Sell", f"0.{tenths}", f"{tenths}.00")
        files.setdefault(number, []).append(said)
    # Equal lines of two files are one: a file that overlaps adds nothing.
    ends = []
    for order in (sorted(files), sorted(files, reverse=True)):
        scope = finora.scope(tenant=f"t-{uuid4()}", user="u1")
        for number in order:
            bring(finora, scope, *files[number])
        standing = finora.portfolio.list(scope, limit=100).items
        what = Counter((each.kind, each.quantity, each.at, each.source) for each in standing)
        ends.append((what, held(finora, scope)))
    assert ends[0] == ends[1]
