"""The price graph: paths, age, staleness, exactness, and what has no price."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finora import Amount, Ok, Partial, currency
from finora_core.kernel.asset import Asset
from finora_core.market.prices.model import (
    HUBS,
    BadPrice,
    Factor,
    Granularity,
    NoPrice,
    Price,
    PriceTable,
    midnight,
)
from finora_core.market.rates.model import Rate

EUR, USD, GBP, JPY = (currency(code) for code in ("EUR", "USD", "GBP", "JPY"))
BTC, FUND, USDT = Asset("crypto:BTC", 18), Asset("isin:IE00B4L5Y983", 8), Asset("crypto:USDT", 18)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def price(
    asset: Asset, quote: Asset, value: str, ago: timedelta = timedelta(), kind: str = "intraday"
) -> Price:
    return Price(
        asset=asset.id,
        quote=quote.id,
        at=NOON - ago,
        value=Decimal(value),
        source="test",
        granularity=Granularity(kind),
    )


def found(table: PriceTable, asset: Asset, to: Asset, at: datetime = NOON) -> Factor:
    factor = table.factor(asset.id, to.id, at)
    assert isinstance(factor, Factor), factor
    return factor


@pytest.mark.spec("S0-49", partial=True)
def test_each_kind_of_path() -> None:
    hour = timedelta(hours=1)
    table = PriceTable.of(
        [
            price(BTC, USD, "50000", hour),
            price(EUR, USD, "1.25", 2 * hour),
            price(EUR, GBP, "0.8", 3 * hour),
            price(FUND, EUR, "80", 5 * hour),
        ]
    )
    itself = found(table, BTC, BTC)
    assert (itself.value, itself.facts, itself.effective_at) == (Fraction(1), (), NOON)
    assert found(table, BTC, USD).value == 50_000
    assert found(table, USD, BTC).value == Fraction(1, 50_000)
    one = found(table, BTC, EUR)
    assert (one.value, one.path) == (40_000, ("crypto:BTC", "USD", "EUR"))
    two = found(table, BTC, GBP)
    assert (two.value, two.path) == (32_000, ("crypto:BTC", "USD", "EUR", "GBP"))
    assert [fact.asset for fact in two.facts] == ["crypto:BTC", "EUR", "EUR"]
    assert two.effective_at == NOON - 3 * hour and not two.stale
    # No hub is between a fund in euros and bitcoin in dollars, but the two of them are.
    assert found(table, FUND, BTC).value == Fraction(80 * 125, 100 * 50_000)


def test_the_display_currency_is_a_hub_of_its_own() -> None:
    facts = [price(BTC, JPY, "9000000"), price(FUND, JPY, "12000")]
    assert isinstance(PriceTable.of(facts).factor(BTC.id, FUND.id, NOON), NoPrice)
    assert found(PriceTable.of(facts, display="JPY"), BTC, FUND).value == 750


def test_at_or_before_and_never_after() -> None:
    day = timedelta(days=1)
    table = PriceTable.of([price(BTC, USD, "1", 3 * day), price(BTC, USD, "2", day)])
    assert found(table, BTC, USD, NOON - 2 * day).value == 1
    assert found(table, BTC, USD, NOON - day).value == 2
    early = NOON - 4 * day
    assert table.factor(BTC.id, "USD", early) == NoPrice(
        asset=BTC.id, to="USD", at=early, nearest=NOON - 3 * day
    )
    assert str(table.factor(BTC.id, "USD", early)) == (
        "no price for crypto:BTC in USD on 2026-11-16"
    )


@pytest.mark.spec("S0-49", partial=True)
@pytest.mark.parametrize(("kind", "days"), [("intraday", 7), ("daily", 45), ("exact", 7)])
def test_an_old_price_says_that_it_is_stale(kind: str, days: int) -> None:
    table = PriceTable.of([price(BTC, USD, "2", timedelta(days=days), kind)])
    assert not found(table, BTC, USD).stale
    late = found(table, BTC, USD, NOON + timedelta(seconds=1))
    assert late.stale and late.value == 2


def test_a_fresh_way_round_is_better_than_a_stale_straight_one() -> None:
    year = timedelta(days=365)
    facts = [price(BTC, EUR, "1", year), price(BTC, USD, "50000"), price(EUR, USD, "1.25")]
    assert found(PriceTable.of(facts), BTC, EUR).value == 40_000
    old = found(PriceTable.of(facts[:1]), BTC, EUR)
    assert (old.value, old.stale, old.effective_at) == (1, True, NOON - year)
    # All are stale: the least old.
    both = [price(BTC, EUR, "1", 2 * year), price(BTC, USD, "3", year), price(EUR, USD, "1", year)]
    assert found(PriceTable.of(both), BTC, EUR).value == 3


def test_of_two_hubs_the_one_with_the_later_facts() -> None:
    hour = timedelta(hours=1)
    facts = [
        price(BTC, USD, "10", 5 * hour), price(USD, GBP, "1", 5 * hour),
        price(BTC, USDT, "20", hour), price(USDT, GBP, "1", hour),
    ]  # fmt: skip
    assert found(PriceTable.of(facts), BTC, GBP).path[1] == "crypto:USDT"
    same = [attrs_at(each) for each in facts]
    assert found(PriceTable.of(same), BTC, GBP).path[1] == "USD"


def attrs_at(fact: Price) -> Price:
    return Price(
        asset=fact.asset, quote=fact.quote, at=NOON, value=fact.value, source=fact.source,
        granularity=fact.granularity,
    )  # fmt: skip


def test_a_rate_is_the_price_of_its_base_at_its_midnight() -> None:
    rate = Rate(base="EUR", quote="USD", on_date=NOON.date(), value=Decimal("1.25"), source="ecb")
    fact = Price.of_rate(rate)
    assert (fact.at, fact.granularity) == (midnight(NOON.date()), Granularity.DAILY)
    assert found(PriceTable.of([fact]), EUR, USD, midnight(date(2026, 11, 20))).value == Fraction(
        5, 4
    )


@pytest.mark.parametrize("value", ["0", "-1", "NaN", "Infinity", "-0"])
def test_what_is_no_price_is_no_fact(value: str) -> None:
    with pytest.raises(BadPrice):
        price(BTC, USD, value)
    with pytest.raises(BadPrice):
        price(USD, USD, "1")


def test_a_sum_says_what_it_leaves_out_and_what_is_old() -> None:
    table = PriceTable.of([price(BTC, USD, "2"), price(GBP, USD, "3", timedelta(days=30))])
    amounts = [
        Amount.parse("1", BTC), Amount.parse("1.00", GBP), Amount.parse("5", JPY),
        Amount(0, EUR), Amount.parse("1.00", USD),
    ]  # fmt: skip
    both = table.sum(amounts, USD, NOON)
    assert both.total == Amount.parse("6.00", USD) and (both.priced, both.asked) == (3, 4)
    assert both.missing == (NoPrice(asset="JPY", to="USD", at=NOON),)
    assert both.stale == (("GBP", NOON - timedelta(days=30)),)
    assert both.outcome == Partial(
        both.total, "no price for JPY in USD on 2026-11-20; the price of GBP is of 2026-10-21"
    )
    assert table.sum(amounts[:1], USD, NOON).outcome == Ok(Amount.parse("2.00", USD))


VALUES = st.decimals("0.000000000001", "1000000000", places=12)


@pytest.mark.spec("S0-49", partial=True)
@given(
    st.integers(-(10**60), 10**60), VALUES, VALUES, VALUES,
    st.tuples(*[st.booleans()] * 3), st.integers(0, 36), st.integers(0, 36),
)  # fmt: skip
def test_two_hops_are_exact_whichever_way_each_fact_is_written(
    units: int,
    one: Decimal,
    two: Decimal,
    three: Decimal,
    turned: tuple[bool, ...],
    scale: int,
    to_scale: int,
) -> None:
    start, end = Asset("own:a", scale), Asset("own:b", to_scale)
    legs = [(start, USD, one), (USD, EUR, two), (EUR, end, three)]
    facts, exact = [], Fraction(1)
    for (a, b, value), reverse in zip(legs, turned, strict=True):
        facts.append(price(b, a, str(value)) if reverse else price(a, b, str(value)))
        exact *= 1 / Fraction(value) if reverse else Fraction(value)
    factor = found(PriceTable.of(facts), start, end)
    assert factor.value == exact and len(factor.facts) == 3
    converted = factor.convert(Amount(units, start), end)
    wanted = Fraction(units, 10**scale) * exact * 10**to_scale
    assert converted.units == round(wanted)
    # There and back is the same number.
    assert found(PriceTable.of(facts), end, start).value * exact == 1


ASSETS = [*HUBS, "GBP", "crypto:BTC", "crypto:ETH"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(ASSETS), st.sampled_from(ASSETS), st.integers(0, 60),
            st.integers(1, 9), st.sampled_from(list(Granularity)),
        ).filter(lambda each: each[0] != each[1]),
        max_size=12,
    ),
    st.sampled_from(ASSETS),
    st.sampled_from(ASSETS),
)  # fmt: skip
def test_a_factor_is_the_product_of_its_facts_and_nothing_else(
    drawn: list[tuple[str, str, int, int, Granularity]], asset: str, to: str
) -> None:
    table = PriceTable.of(
        Price(
            asset=a, quote=b, at=NOON - timedelta(days=days - 10), value=Decimal(value),
            source="test", granularity=kind,
        )
        for a, b, days, value, kind in drawn
    )  # fmt: skip
    factor = table.factor(asset, to, NOON)
    if isinstance(factor, NoPrice):
        pair = {(a, b) for a, b, days, *_ in drawn if days >= 10}
        assert (asset, to) not in pair and (to, asset) not in pair and asset != to
        return
    assert (factor.path[0], factor.path[-1]) == (asset, to)
    assert len(factor.facts) == len(factor.path) - 1 <= 3
    product = Fraction(1)
    for a, b, fact in zip(factor.path, factor.path[1:], factor.facts, strict=False):
        assert {fact.asset, fact.quote} == {a, b} and fact.at <= NOON
        product *= Fraction(fact.value) if fact.asset == a else 1 / Fraction(fact.value)
    assert factor.value == product
    assert factor.effective_at == min((fact.at for fact in factor.facts), default=NOON)
    assert factor.stale == any(fact.stale(NOON) for fact in factor.facts)


@pytest.mark.spec("S0-49", partial=True)
def test_what_is_quoted_in_a_currency_that_is_no_hub_goes_through_it() -> None:
    """When nothing shorter leads there: straight on, or through one hub; never from a currency."""
    facts = [price(FUND, GBP, "10"), price(USD, GBP, "0.5"), price(USD, JPY, "150")]
    table = PriceTable.of(facts)
    assert found(table, FUND, USD).path == (FUND.id, "GBP", "USD")
    far = found(table, FUND, JPY)
    assert (far.value, far.path) == (3_000, (FUND.id, "GBP", "USD", "JPY"))
    assert isinstance(table.factor("JPY", FUND.id, NOON), NoPrice)
    direct = PriceTable.of([*facts, price(FUND, JPY, "2000")])
    assert found(direct, FUND, JPY).path == (FUND.id, "JPY")


def test_a_rate_is_told_with_28_digits_however_small_it_is() -> None:
    for value, wanted in (
        (Fraction(1, 3), "0." + "3" * 28),
        (Fraction(2, 3 * 10**40), "0." + "0" * 40 + "6" * 27 + "7"),
        (Fraction(640), "640"),
    ):
        factor = Factor(value, (), ("A", "B"), NOON, stale=False)
        assert f"{factor.rate:f}" == wanted
