"""FX rates: facts that are only added to, the central bank's file, and exact conversion."""

import io
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from finora import Amount, Finora, Ok, Partial, Scope, currency
from finora_core.market.rates.ecb import read_ecb
from finora_core.market.rates.model import BadRates, NoRate, Rate, RateTable, pairs_of
from together import together

ECB = Path(__file__).parents[2] / ".." / "shared" / "data" / "market"
ECB /= "ecb-eurofxref-2020-2023.csv"
EUR, USD, GBP, JPY, KWD = (currency(code) for code in ("EUR", "USD", "GBP", "JPY", "KWD"))
DAY = date(2023, 12, 29)


def rate(quote: str, value: str, on: date = DAY, base: str = "EUR", revision: int = 1) -> Rate:
    return Rate(
        base=base, quote=quote, on_date=on, value=Decimal(value), source="ecb", revision=revision
    )


def money(text: str, asset: str = "USD") -> Amount:
    return Amount.parse(text, currency(asset))


TABLE = RateTable.of([rate("USD", "1.105"), rate("GBP", "0.86905"), rate("JPY", "156.33")])


@pytest.mark.spec("S3-34", partial=True)
def test_it_converts_directly_backwards_and_through_the_euro() -> None:
    assert TABLE.convert(money("100.00", "EUR"), USD, DAY) == money("110.50")
    assert TABLE.convert(money("110.50"), EUR, DAY) == money("100.00", "EUR")
    # 100 USD = 90.4977... EUR = 78.6470... GBP; and a yen has no hundredths.
    assert TABLE.convert(money("100.00"), GBP, DAY) == money("78.65", "GBP")
    assert TABLE.convert(money("1.00"), JPY, DAY) == money("141", "JPY")
    factor = TABLE.factor("USD", "GBP", DAY)
    assert not isinstance(factor, NoRate)
    assert [each.quote for each in factor.rates] == ["USD", "GBP"]


def test_it_rounds_once_and_half_to_even() -> None:
    half = RateTable.of([rate("USD", "0.5")])
    cents = [half.convert(Amount(units, EUR), USD, DAY) for units in (1, 3, 5, -1, -3)]
    assert [each.units for each in cents if isinstance(each, Amount)] == [0, 2, 2, 0, -2]


def test_a_rate_that_is_missing_or_old_is_neither_zero_nor_one() -> None:
    assert TABLE.convert(money("1.000", "KWD"), EUR, DAY) == NoRate(
        asset="KWD", to="EUR", on_date=DAY
    )
    later = DAY + timedelta(days=8)
    stale = TABLE.factor("USD", "EUR", later)
    assert stale == NoRate(asset="USD", to="EUR", on_date=later, nearest=DAY)
    assert not isinstance(TABLE.factor("USD", "EUR", DAY + timedelta(days=7)), NoRate)
    assert isinstance(TABLE.factor("USD", "EUR", DAY - timedelta(days=1)), NoRate)
    both = TABLE.sum((money("110.50"), money("1.000", "KWD"), Amount(0, GBP)), EUR, DAY)
    assert both.outcome == Partial(money("100.00", "EUR"), f"no rate for KWD on {DAY}")
    assert [each.quote for each in both.rates] == ["USD"]
    assert TABLE.sum((money("5.00", "EUR"),), EUR, DAY).outcome == Ok(money("5.00", "EUR"))


@given(
    st.integers(-(10**40), 10**40),
    st.decimals("0.000001", "1000000", places=6),
    st.decimals("0.000001", "1000000", places=6),
    st.sampled_from([EUR, USD, JPY, KWD]),
    st.sampled_from([EUR, USD, JPY, KWD]),
)
def test_conversion_is_exact(
    units: int, one: Decimal, other: Decimal, a: object, b: object
) -> None:
    assert isinstance(a, type(EUR)) and isinstance(b, type(EUR))
    facts = {"USD": one, "JPY": other, "KWD": Decimal("0.33")}
    table = RateTable.of(rate(code, str(value)) for code, value in facts.items())
    found = table.convert(Amount(units, a), b, DAY)
    assert isinstance(found, Amount)
    value = {"EUR": Decimal(1)} | facts
    exact = Fraction(units, 10**a.scale) / Fraction(value[a.id]) * Fraction(value[b.id])
    error = abs(Fraction(found.units) - exact * 10**b.scale)
    assert error <= Fraction(1, 2) and (error != Fraction(1, 2) or found.units % 2 == 0)
    if a == b:
        assert found.units == units
    # Decimal with enough digits says the same.
    context = Context(prec=200, rounding=ROUND_HALF_EVEN)
    scaled = context.multiply(Decimal(exact.numerator), Decimal(10) ** b.scale)
    if exact.denominator == 1:
        assert found.units == int(scaled)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "line 1"),
        (b"Day,USD\n2020-01-01,1\n", "line 1"),
        (b"Date,USD,USD\n2020-01-01,1,1\n", "line 1"),
        (b"Date,usd\n2020-01-01,1\n", "line 1"),
        (b"Date,USD\n2020-01-01,0\n", "line 2: '0' is no rate"),
        (b"Date,USD\n2020-01-01,-1\n", "no rate"),
        (b"Date,USD\n2020-01-01,NaN\n", "no rate"),
        (b"Date,USD\n2020-01-01,1e3\n", "no rate"),
        (b"Date,USD\n2020-01-01,1_0\n", "no rate"),
        (b"Date,USD\n2020-13-01,1\n", "line 2 is not a day"),
        (b"Date,USD\n2020-01-01,1,2\n", "line 2 is not a day"),
        (b"Date,USD\n2020-01-01,\xff\n", "UTF-8"),
        (b'Date,USD\n2020-01-01,"1', "CSV"),
    ],
)
def test_a_file_that_is_not_the_banks_is_refused_with_its_line(content: bytes, said: str) -> None:
    with pytest.raises(BadRates, match=said):
        list(read_ecb(io.BytesIO(content)))


def test_the_banks_own_commas_at_the_ends_are_no_columns() -> None:
    [one] = read_ecb(io.BytesIO(b"\xef\xbb\xbfDate, USD, JPY, \n2023-12-29, 1.1050, N/A, \n"))
    assert (one.quote, one.value) == ("USD", Decimal("1.1050"))


def test_the_pairs_that_a_conversion_may_need() -> None:
    assert pairs_of(["USD"], "EUR") == [("EUR", "USD"), ("USD", "EUR")]
    assert ("GBP", "USD") in pairs_of(["USD"], "GBP") and ("EUR", "GBP") in pairs_of(["USD"], "GBP")
    assert pairs_of([], "EUR") == []


@pytest.mark.skipif(not ECB.exists(), reason="the central bank's file is not there")
@pytest.mark.spec("S3-34", partial=True)
def test_the_banks_file_is_taken_once_and_a_correction_stands_beside(
    finora: Finora, scope: Scope, admin: Engine
) -> None:
    content = ECB.read_bytes()
    first = finora.rates.import_ecb(scope, io.BytesIO(content))
    assert first.added + first.existing > 30_000 and not first.corrected and not first.unknown
    again = finora.rates.import_ecb(scope, io.BytesIO(content))
    assert (again.added, again.corrected) == (0, 0)
    assert again.existing == first.added + first.existing

    # A Sunday has Friday's.
    sunday = date(2023, 12, 31)
    found = finora.rates.convert(scope, money("1000.00"), "GBP", sunday)
    assert found.total == money("786.47", "GBP")
    assert [(each.quote, each.on_date) for each in found.rates] == [("USD", DAY), ("GBP", DAY)]

    corrected = b"Date,USD\n2020-01-02,1.5\n"
    result = finora.rates.import_ecb(scope, io.BytesIO(corrected))
    try:
        assert (result.added, result.corrected) == (0, 1)
        day = date(2020, 1, 2)
        kept = finora.rates.list(scope, base="EUR", quote="USD", since=day, until=day).items
        assert [(each.value, each.revision) for each in kept] == [
            (Decimal("1.5"), 2), (Decimal("1.1193"), 1),
        ]  # fmt: skip
        now = finora.rates.convert(scope, money("3.00"), "EUR", day)
        assert now.total == money("2.00", "EUR") and now.rates[0].revision == 2
    finally:
        finora.rates.import_ecb(scope, io.BytesIO(b"Date,USD\n2020-01-02,1.1193\n"))
    with admin.connect() as connection, pytest.raises(DBAPIError, match="FACT_IMMUTABLE"):
        connection.execute(text("update finora.fx_rate set value = 2"))


def test_many_that_import_at_once_make_each_fact_once(
    finora: Finora, scope: Scope, stranger: Scope, admin: Engine
) -> None:
    content = b"Date,ISK,ALL\n1999-01-04,81.5,150\n1999-01-05,81.6,151\n"
    asked = (scope, stranger, scope, stranger)
    results = together(
        *(lambda who=who: finora.rates.import_ecb(who, io.BytesIO(content)) for who in asked)
    )
    assert sum(each.added for each in results) in (0, 4), results
    with admin.connect() as connection:
        numbers = connection.execute(
            text("select count(*), max(number), count(distinct number) from finora.fx_rate")
        ).one()
    assert numbers[0] == numbers[1] == numbers[2]


def test_lists_go_on_by_cursor(finora: Finora, scope: Scope) -> None:
    content = b"Date,XAF,XOF\n1998-01-04,1,2\n1998-01-05,3,4\n"
    finora.rates.import_ecb(scope, io.BytesIO(content))
    # Rates are everybody's: of the days that are this test's alone.
    since, until = date(1998, 1, 4), date(1998, 1, 5)
    found, cursor = [], None
    while True:
        page = finora.rates.list(scope, since=since, until=until, cursor=cursor, limit=3)
        found += page.items
        cursor = page.next
        if cursor is None:
            break
    assert [(each.on_date.day, each.quote) for each in found] == [
        (5, "XOF"), (5, "XAF"), (4, "XOF"), (4, "XAF"),
    ]  # fmt: skip
