"""A converted figure is the sum of its parts, each recomputed from the facts that it names."""

import io
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from entered import Entered, eur
from finora import Finora, Partial, Scope
from finora_core.insights.explain.model import Conversion, Direction, Figure
from finora_core.kernel.amount import Amount

# Rates are of all tenants: these days are of tests of conversion alone.
RATES = b"Date,USD,JPY\n2014-02-27,1.37,139.95\n2014-03-31,1.3788,142.42\n2014-04-09,1.25,140\n"
TODAY = date(2014, 4, 10)
MARCH = date(2014, 3, 1)


@pytest.fixture
def books(finora: Finora, scope: Scope) -> Finora:
    """Spending in three currencies over two months, and income in a fourth that has no rate."""
    finora.rates.import_ecb(scope, io.BytesIO(RATES))
    giro = Entered.into(finora, scope)
    for day, amount, category, asset in (
        ("2014-03-02", "-10.01", "Food", "EUR"),
        ("2014-03-03", "-33.33", "Food", "USD"),
        ("2014-03-04", "-0.01", "Food", "USD"),
        ("2014-03-05", "-77.77", "Food:Out", "USD"),
        ("2014-04-02", "-5.00", "Food:Out", "USD"),
        ("2014-04-03", "-777", "Travel", "JPY"),
        ("2014-04-04", "900.00", "Wages", "USD"),
        ("2014-04-05", "5.000", "Wages", "KWD"),
    ):
        giro.add(day, amount, category, asset=asset)
    return finora


def reckoned(part: Conversion) -> Amount:
    """By hand: through the named rates, rounded once, half to even."""
    assert part.converted is not None
    at, value = part.amount.asset.id, Fraction(Decimal(part.amount.text))
    for rate in part.rates:
        assert rate.on_date <= part.on and rate.source and rate.revision >= 1
        if rate.base == at:
            at, value = rate.quote, value * Fraction(rate.value)
        else:
            assert rate.quote == at
            at, value = rate.base, value / Fraction(rate.value)
    asset = part.converted.asset
    assert at == asset.id
    return Amount(round(value * 10**asset.scale), asset)


@pytest.mark.parametrize("direction", [Direction.OUT, Direction.IN])
@pytest.mark.parametrize("category", [None, "Food", "Travel", "Wages"])
def test_profit_and_loss_is_reckoned_again_from_its_rates(
    books: Finora, scope: Scope, direction: Direction, category: str | None
) -> None:
    report = books.reports.profit_and_loss(scope, MARCH, TODAY).in_base
    side = "expense" if direction is Direction.OUT else "income"
    said = getattr(report.total, side)
    if category is not None:
        said = next(getattr(each.total, side) for each in report.lines if each.path == category)
    figure = Figure(asset="EUR", since=MARCH, until=TODAY, direction=direction, category=category)
    found = books.explain.converted(scope, figure)
    assert found.amount == said
    known = [part for part in found.parts if part.converted is not None]
    for part in known:
        assert reckoned(part) == part.converted
        # And what was converted is a figure of its own.
        assert books.explain.explain(scope, part.figure).amount == part.amount
    assert sum((part.converted for part in known if part.converted), eur("0.00")) == said
    gaps = [str(part.missing) for part in found.parts if part.converted is None]
    wages = direction is Direction.IN and category in (None, "Wages")
    assert gaps == (["no rate for KWD on 2014-04-10"] if wages else [])
    assert isinstance(found.outcome, Partial) is wages
    # A page at a time it is the same.
    seen, cursor = [], None
    while True:
        page = books.explain.converted(scope, figure, cursor=cursor, limit=1)
        assert page.amount == said
        seen += page.parts
        cursor = page.next
        if cursor is None:
            break
    assert tuple(seen) == found.parts


def test_what_is_held_is_the_wallets_total(books: Finora, scope: Scope) -> None:
    total = books.wallet.summary(scope, today=TODAY).total
    found = books.explain.converted(scope, Figure(asset="EUR", until=date.max), on=TODAY)
    assert found.outcome == total
    assert [part.amount.asset.id for part in found.parts] == ["EUR", "JPY", "KWD", "USD"]
    assert [reckoned(part) == part.converted for part in found.parts if part.converted] == [
        True
    ] * 3
    in_yen = books.explain.converted(scope, Figure(asset="JPY", until=date.max), on=TODAY)
    dollars = next(part for part in in_yen.parts if part.amount.asset.id == "USD")
    assert len(dollars.rates) == 2 and reckoned(dollars) == dollars.converted
