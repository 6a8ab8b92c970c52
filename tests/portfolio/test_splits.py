"""Splits: more of the same, or fewer, for the same money."""

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk import EUR, START, Desk, thing
from finora import Amount, Asset, Finora, Refusal, Scope
from finora_core.plugins import ActivityLine
from finora_core.portfolio.formats.trading212 import Trading212
from finora_core.portfolio.history import end_of
from finora_core.portfolio.model import ActivityFilter, ActivityKind, split_of
from finora_core.portfolio.valuation import Position

DAY = timedelta(days=1)


def split(desk: Desk, asset: Asset, ratio: str, at: datetime, **given: Any) -> None:
    desk.add(kind=ActivityKind.SPLIT, asset=asset.id, at=at,
             ratio=Fraction(ratio.replace(":", "/")), **given)  # fmt: skip


def quantities(finora: Finora, scope: Scope) -> dict[str, str]:
    return {each.quantity.asset.id: each.quantity.text for each in finora.portfolio.holdings(scope)}


@pytest.mark.spec("S0-46", partial=True)
def test_a_split_moves_the_quantity_and_neither_cost_nor_gain(desk: Desk, finora: Finora) -> None:
    """4 for 1, half of it sold, then 1 for 8: the money of it is what it was."""
    one = thing(f"SPLIT-{desk.account.id.hex[-8:]}")
    desk.trade(one, "10", "400", START)
    desk.price(one, "400", START)
    before = desk.worth(START)
    split(desk, one, "4:1", START + DAY)
    desk.price(one, "100", START + DAY)
    after = desk.worth(START + DAY)
    assert quantities(finora, desk.scope) == {one.id: "40.00000000"}
    assert [after.total, after.invested, after.gain] == [
        before.total, before.invested, before.gain,
    ]  # fmt: skip
    desk.trade(one, "-20", "110", START + 2 * DAY)
    split(desk, one, "1:8", START + 3 * DAY)
    desk.price(one, "880", START + 3 * DAY)
    last = desk.worth(START + 3 * DAY)
    assert quantities(finora, desk.scope) == {one.id: "2.50000000"}
    assert (last.invested.value.text, last.gain.value.text) == ("2000.00", "400.00")
    found = finora.portfolio.list(desk.scope, ActivityFilter(kind=ActivityKind.SPLIT)).items
    assert [each.quantity.text for each in found] == ["-17.50000000", "30.00000000"]
    balances = {
        (each.account.name, str(each.amount.asset)): each.amount.text
        for each in finora.ledger.balances(desk.scope) if each.amount
    }  # fmt: skip
    assert balances["Conversion", one.id] == "-2.50000000"


@pytest.mark.spec("S0-54", partial=True)
def test_its_days_go_on_through_a_split(desk: Desk, finora: Finora) -> None:
    one = thing(f"DAYS-{desk.account.id.hex[-8:]}")
    at = end_of(datetime.now(UTC).date() - 4 * DAY) - timedelta(hours=6)
    desk.trade(one, "3", "90", at)
    desk.price(one, "90", at)
    split(desk, one, "3:1", at + 2 * DAY)
    desk.price(one, "30", at + 2 * DAY)
    finora.run_jobs()
    days = finora.portfolio_history.read(desk.scope)
    assert [(each.value.text, each.cost.text, each.gap) for each in days] == [
        ("270.00", "270.00", None)
    ] * 5
    split(desk, one, "1:2", at + 3 * DAY)
    finora.run_jobs()
    assert [each.value.text for each in finora.portfolio_history.read(desk.scope)] == [
        "270.00", "270.00", "270.00", "135.00", "135.00",
    ]  # fmt: skip


def test_what_does_not_divide_is_told_and_not_rounded(desk: Desk, finora: Finora) -> None:
    one = thing(f"THIRD-{desk.account.id.hex[-8:]}")
    desk.trade(one, "10", "9", START)
    with pytest.raises(Refusal, match=r"10\.0+.* by 1 for 3 does not divide") as caught:
        split(desk, one, "1:3", START + DAY)
    assert caught.value.code == "BAD_ACTIVITY"
    # As the broker did it: three, and what the rest was paid for.
    desk.trade(one, "-1", "10", START + DAY)
    desk.add(kind=ActivityKind.SPLIT, asset=one.id, at=START + DAY + timedelta(hours=1),
             quantity=Amount.parse("-6", one))  # fmt: skip
    assert quantities(finora, desk.scope) == {one.id: "3.00000000"}
    assert desk.worth(START + 2 * DAY).invested.value.text == "81.00"


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"kind": "buy", "ratio": Fraction(4)}, "ratio"),
        ({"kind": "split", "ratio": Fraction(4), "quantity": "1"}, "ratio"),
        ({"kind": "split", "ratio": Fraction(0)}, "ratio"),
        ({"kind": "split", "ratio": Fraction(4), "at": START - DAY}, "ratio"),
        ({"kind": "split", "quantity": "1", "price": Decimal(1), "quote": EUR}, "price"),
        ({"kind": "split", "asset": EUR, "quantity": "1.00"}, "asset"),
    ],
)
def test_what_is_no_split_is_refused(desk: Desk, given: dict[str, Any], part: str) -> None:
    one = thing(f"BAD-{desk.account.id.hex[-8:]}")
    desk.trade(one, "1", "9", START)
    asset = given.pop("asset", one)
    quantity = Amount.parse(given.pop("quantity"), asset) if "quantity" in given else None
    asked = {"at": START + DAY, "asset": asset.id, "quantity": quantity, **given}
    with pytest.raises(Refusal) as caught:
        desk.add(**asked | {"kind": ActivityKind(given["kind"])})
    assert caught.value.details[0][0] == part


def test_a_split_is_corrected_by_what_was_held_before_it(desk: Desk, finora: Finora) -> None:
    from finora_core.portfolio.service import NewActivity

    one = thing(f"FIX-{desk.account.id.hex[-8:]}")
    desk.trade(one, "10", "9", START)
    split(desk, one, "5:1", START + DAY)
    [wrong] = finora.portfolio.list(desk.scope, ActivityFilter(kind=ActivityKind.SPLIT)).items
    right = NewActivity(account_id=desk.account.id, kind=ActivityKind.SPLIT, asset=one.id,
                        at=START + DAY, ratio=Fraction(2))  # fmt: skip
    made = finora.portfolio.correct(desk.scope, wrong.id, right)
    assert quantities(finora, desk.scope) == {one.id: "20.00000000"}
    assert finora.portfolio.get(desk.scope, wrong.id).replaced_by == made.id


_HEAD = (
    "Action,Time,ISIN,Ticker,Name,No. of shares,Price / share,Currency (Price / share),"
    "Exchange rate,Result,Currency (Result),Total,Currency (Total),Withholding tax,"
    "Currency (Withholding tax),Notes,ID,Currency conversion fee,"
    "Currency (Currency conversion fee)\n"
)


def _row(action: str, second: int, shares: str, number: int) -> str:
    return (f"{action},2025-03-24 07:24:{second:02},CA46500E8678,ISOU,IsoEnergy,{shares},2.00,USD,"
            f"1.03,,EUR,59.68,EUR,,,,EOF2995077285{number},,\n")  # fmt: skip


def test_two_lines_of_a_broker_are_one_split(finora: Finora, scope: Scope) -> None:
    """29.80478 shares became 7.451195: what they had cost, these cost."""
    text = _HEAD + _row("Market buy", 1, "29.8047800000", 0)
    text += _row("Stock split close", 24, "29.8047800000", 1)
    text += _row("Stock split open", 24, "7.4511950000", 2)
    for added in (3, 0):
        result: Any = finora.import_file(scope, io.BytesIO(text.encode()), name="t212.csv")
        assert (result["added"], result["set_aside_count"]) == (added, 0)
    assert quantities(finora, scope) == {"isin:CA46500E8678": "7.45119500", "EUR": "-59.68"}
    [share] = [each for each in finora.portfolio.valuation(scope, to="USD").holdings
               if each.quantity.asset.id != "EUR"]  # fmt: skip
    assert share.invested is not None and share.invested.text == "59.61"


@pytest.mark.parametrize("kept", ["Stock split close", "Stock split open"])
def test_half_of_a_split_is_set_aside(kept: str) -> None:
    text = _HEAD + _row(kept, 24, "7", 1)
    [line] = Trading212().read(io.BytesIO(text.encode()))
    assert not isinstance(line, ActivityLine) and "half of a split" in line.reason


def test_what_a_broker_says_a_split_added_costs_nothing_more(finora: Finora, scope: Scope) -> None:
    head = "Date,Ticker,Type,Quantity,Price per share,Total Amount,Currency,FX Rate\n"
    buy = "2022-08-01T08:00:00Z,TSLA,BUY - MARKET,0.08215962,$900,$73.94,USD,1.0\n"
    more = "2022-08-25T08:27:46Z,TSLA,STOCK SPLIT,0.16431924,,$0,USD,1.0\n"
    text = head + buy + more
    result: Any = finora.import_file(scope, io.BytesIO(text.encode()), name="revolut.csv")
    assert result["added"] == 2
    held = {each.quantity.asset.id: each for each in finora.portfolio.valuation(scope).holdings}
    tesla = held["ticker:TSLA"]
    assert tesla.quantity.text == "0.24647886"
    assert not tesla.position.unpriced or tesla.costless


@given(
    units=st.integers(1, 10**20),
    cost=st.fractions(0, 10**9),
    new=st.integers(1, 1_000),
    old=st.integers(1, 1_000),
)
def test_a_split_is_exact_or_refused(units: int, cost: Fraction, new: int, old: int) -> None:
    asset = Asset(f"ticker:{uuid4()}", 8)
    try:
        change = split_of(Amount(units, asset), Fraction(new, old))
    except Refusal:
        assert units * new % old
        return
    assert (units + change.units) * old == units * new
    position = Position(units=units, cost=cost)
    position.split(change.units)
    assert (position.units, position.cost, position.realised) == (units + change.units, cost, 0)
    assert not position.unpriced
    back = split_of(Amount(position.units, asset), Fraction(old, new))
    assert back.units == -change.units
