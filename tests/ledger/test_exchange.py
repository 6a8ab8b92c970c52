"""Exchange: two balanced legs, an exact rate, and never a unit given away."""

from decimal import ROUND_UP, Context, Decimal, localcontext
from fractions import Fraction
from math import floor
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from books import DAY, EUR, Books
from finora import AccountKind, Amount, Asset, currency
from finora_core.kernel.amount import MAX_UNITS, BadAmount
from finora_core.ledger import model
from finora_core.ledger.model import Flow
from finora_core.ledger.service import CONVERSION, BadRate, converted

USD, JPY = currency("USD"), currency("JPY")


@pytest.mark.invariant("I-13")
def test_an_exchange_is_two_balanced_legs_with_its_rate_and_source(
    books: Books, cash: UUID
) -> None:
    rate = Decimal("162.305")
    made = books.ledger.exchange(
        books.scope, cash, Amount(10_000, EUR), JPY, rate, "ECB 2026-03-01", on_date=DAY
    )
    assert (made.flow, made.rate, made.rate_source) == (Flow.EXCHANGE, rate, "ECB 2026-03-01")
    assert (books.units(cash), books.units(cash, JPY)) == (0, 16_230)
    conversion = next(a for a in books.ledger.accounts(books.scope) if a.name == CONVERSION)
    assert conversion.kind is AccountKind.EQUITY
    assert (books.units(conversion.id), books.units(conversion.id, JPY)) == (10_000, -16_230)
    assert books.ledger.entry(books.scope, made.id) == made


def test_what_is_bought_may_go_to_another_account(books: Books, cash: UUID) -> None:
    dollars = books.open("Dollars")
    books.ledger.exchange(
        books.scope, cash, Amount(1_000, EUR), USD, Decimal("1.1"), "test", into=dollars
    )
    assert (books.units(cash), books.units(dollars, USD)) == (9_000, 1_100)


def test_an_exchange_keeps_the_floor_and_is_reversible(books: Books, cash: UUID) -> None:
    with pytest.raises(model.InsufficientFunds):
        books.ledger.exchange(books.scope, cash, Amount(10_001, EUR), USD, Decimal(1), "x")
    made = books.ledger.exchange(books.scope, cash, Amount(1, EUR), USD, Decimal(3), "x")
    books.ledger.reverse(books.scope, made.id)
    assert (books.units(cash), books.units(cash, USD)) == (10_000, 0)


def test_what_buys_less_than_a_unit_is_refused(books: Books, cash: UUID) -> None:
    with pytest.raises(model.BadPosting):
        books.ledger.exchange(books.scope, cash, Amount(50, EUR), JPY, Decimal("1.9"), "x")
    assert books.units(cash) == 10_000


@pytest.mark.invariant("I-13")
def test_a_hundred_round_trips_lose_less_than_a_unit_each_and_give_none_away(
    undone: Books,
) -> None:
    world = undone.open("World", AccountKind.OUTSIDE)
    purse = undone.open("Purse", floor=0)
    undone.pay(world, purse, 100_000)
    there, back = Decimal("1.0837"), Decimal(1) / Decimal("1.0837")
    trips = 100
    for n in range(trips):
        sold = Amount(101 + n, EUR)
        bought = undone.ledger.exchange(undone.scope, purse, sold, USD, there, "x")
        got = bought.postings[-1].amount
        undone.ledger.exchange(undone.scope, purse, got, EUR, back, "x")
    assert 100_000 - 2 * trips < undone.units(purse) <= 100_000
    assert undone.units(purse, USD) == 0


RATE = st.one_of(
    st.decimals(Decimal("1e-40"), Decimal("1e40"), allow_nan=False, allow_infinity=False),
    st.builds(lambda n, e: Decimal(n).scaleb(e), st.integers(1, 10**30), st.integers(-60, 30)),
).filter(model.is_rate)


@pytest.mark.invariant("I-13")
@settings(max_examples=500, deadline=None)
@given(
    units=st.integers(1, MAX_UNITS), rate=RATE, scale=st.integers(0, 36), other=st.integers(0, 36)
)
def test_a_conversion_is_exact_and_rounded_down(
    units: int, rate: Decimal, scale: int, other: int
) -> None:
    sold = Amount(units, Asset("a", scale))
    wanted = Fraction(units) * Fraction(rate) * Fraction(10) ** (other - scale)
    assert converted(sold, Asset("b", other), rate).units == floor(wanted)


def test_the_callers_decimal_context_does_not_matter() -> None:
    sold, rate = Amount(123_456_789_012_345, EUR), Decimal("1.23456789")
    plain = converted(sold, USD, rate)
    with localcontext(Context(prec=3, rounding=ROUND_UP)):
        assert converted(sold, USD, rate) == plain


@pytest.mark.parametrize(
    "rate", ["0", "-1", "NaN", "sNaN", "-Infinity", "Infinity", "1e-101", "1e101", "1e999999",
             "1e-999999", "1." + "1" * 100],
)  # fmt: skip
def test_what_is_no_rate_is_refused(books: Books, cash: UUID, rate: str) -> None:
    with pytest.raises(BadRate):
        books.ledger.exchange(books.scope, cash, Amount(1, EUR), USD, Decimal(rate), "x")


def test_an_exchange_that_buys_too_much_is_refused(books: Books, cash: UUID) -> None:
    with pytest.raises(BadAmount):
        books.ledger.exchange(books.scope, cash, Amount(1, EUR), USD, Decimal("1e99"), "x")
    with pytest.raises(BadAmount):
        converted(Amount(MAX_UNITS + 1, EUR), USD, Decimal(1))
