"""The days: each is what a valuation at its end says, whoever asks and however often it is made."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from desk import CHF, EUR, START, USD, Desk, thing
from finora import Amount, Asset, Finora, Ok, Scope, currency
from finora_adapters.postgres.errors import TooSlow
from finora_adapters.postgres.work import Postgres
from finora_core.market.prices.model import Granularity, Price, line
from finora_core.portfolio.columns import Days
from finora_core.portfolio.days import HistoryService
from finora_core.portfolio.history import DayValue, end_of
from finora_core.portfolio.model import ActivityKind, InsufficientHolding
from finora_core.portfolio.valuation import Coverage
from together import errors, together

TODAY = datetime.now(UTC).date()


def days(finora: Finora, scope: Scope, **asked: object) -> dict[date, DayValue]:
    return {each.day: each for each in finora.portfolio_history.read(scope, **asked)}  # type: ignore[arg-type]  # by name


def same_as_valuations(finora: Finora, scope: Scope, since: date, step: int = 1) -> None:
    found = days(finora, scope)
    day = since
    while day <= TODAY:
        worth = finora.portfolio.valuation(scope, end_of(day))
        there = found[day]
        assert (there.value, there.holdings, there.priced, there.stale) == (
            worth.total.value, worth.asked, worth.priced, worth.stale,
        ), day  # fmt: skip
        assert there.coverage is worth.coverage
        owned = [each for each in worth.counted if not each.quantity.asset.id.isupper()]
        exact = sum(each.position.cost for each in owned)
        assert there.cost.units == round(exact * 100)
        day += timedelta(days=step)


@pytest.mark.spec("S0-54")
@pytest.mark.spec("S0-53")
def test_every_day_is_what_a_valuation_at_its_end_says(desk: Desk, finora: Finora) -> None:
    tag = desk.account.id.hex[-8:]
    one, two, gap, coin = (thing(f"{name}-{tag}") for name in ("ONE", "TWO", "GAP", "OUT"))
    start = datetime(2026, 8, 3, 15, 30, tzinfo=UTC)
    desk.trade(one, "10", "10.01", start, fee="1.00")
    desk.trade(one, "-4", "12", start + timedelta(days=20))
    desk.trade(one, "2.5", "11", start + timedelta(days=20, hours=1))
    desk.trade(two, "3.33333333", "7.77", start + timedelta(days=5), USD)
    desk.trade(two, "-3.33333333", "8", start + timedelta(days=60), USD)
    desk.trade(gap, "1", "5", start + timedelta(days=9))
    desk.trade(coin, "1", "5", start)
    desk.finora.portfolio.include(desk.scope, desk.account.id, coin.id, included=False)
    desk.add(kind=ActivityKind.DEPOSIT, asset="USD", at=start + timedelta(days=2),
             quantity=Amount.parse("100.00", USD))  # fmt: skip
    for number in range(0, 40, 3):
        at = start.replace(hour=0, minute=0) + timedelta(days=number)
        desk.price(one, f"{10 + number * Decimal('0.137')}", at)
        desk.price(coin, "1000", at)
    for number in (4, 5, 6, 11, 58):
        desk.price(two, f"{7 + number * Decimal('0.01')}", start + timedelta(days=number), USD)
    desk.price(USD, "0.8711", start.replace(hour=0, minute=0), EUR)
    desk.price(USD, "0.91", start.replace(hour=0, minute=0) + timedelta(days=30), EUR)
    finora.portfolio_history.rebuild(desk.scope)
    same_as_valuations(finora, desk.scope, start.date())
    first = days(finora, desk.scope)
    assert {each.coverage for each in first.values()} >= {Coverage.FULL, Coverage.ESTIMATED}
    for since in (date.min, TODAY):  # all of them, and one day more, on which nothing happened
        finora.portfolio_history.rebuild(desk.scope, since=since)
        assert days(finora, desk.scope) == first
    of = ("account", str(desk.account.id))
    assert list(days(finora, desk.scope, of=of).values()) == list(first.values())
    assert list(days(finora, desk.scope, of=("institution", "manual")).values()) == list(
        first.values()
    )


@pytest.mark.spec("S0-54", partial=True)
def test_of_several_quotes_the_one_that_holds_on_a_day_is_taken(desk: Desk, finora: Finora) -> None:
    """The base's own price until it is old, and then what is fresh in another currency."""
    asset = thing(f"SE-{desk.account.id.hex[-8:]}")
    start = end_of(TODAY - timedelta(days=60)) - timedelta(hours=3)
    desk.trade(asset, "2", "10", start)
    desk.price(asset, "10", start)
    for number in (0, 30):
        desk.price(USD, "0.9", start + timedelta(days=number))
    for number in range(0, 61, 5):
        desk.price(asset, f"{20 + number}", start + timedelta(days=number), USD)
    finora.portfolio_history.rebuild(desk.scope)
    same_as_valuations(finora, desk.scope, start.date())
    first = days(finora, desk.scope)
    assert first[start.date() + timedelta(days=10)].value == Amount.parse("20.00", EUR)
    assert first[TODAY].value.units > 10_000 and first[TODAY].coverage is Coverage.FULL
    finora.portfolio_history.rebuild(desk.scope, since=TODAY)
    assert days(finora, desk.scope) == first


@pytest.mark.spec("S0-54", partial=True)
def test_a_change_makes_the_days_from_its_own_anew(desk: Desk, finora: Finora) -> None:
    asset = thing(f"CH-{desk.account.id.hex[-8:]}")
    start = end_of(TODAY - timedelta(days=12)) - timedelta(hours=3)
    desk.trade(asset, "1", "10", start)
    desk.price(asset, "10", start)
    finora.run_jobs()
    assert days(finora, desk.scope)[TODAY].value == Amount.parse("10.00", EUR)
    desk.trade(asset, "1", "10", start + timedelta(days=3))
    finora.run_jobs()
    found = days(finora, desk.scope)
    assert [found[start.date() + timedelta(days=days_)].value.text for days_ in (2, 3)] == [
        "10.00", "20.00",
    ]  # fmt: skip
    # A price that became known later is seen by the clock's own job.
    desk.price(asset, "11", start + timedelta(days=5))
    finora.portfolio_history.rebuild(desk.scope)
    found = days(finora, desk.scope)
    assert [found[start.date() + timedelta(days=days_)].value.text for days_ in (4, 5)] == [
        "20.00", "22.00",
    ]  # fmt: skip
    same_as_valuations(finora, desk.scope, start.date())


@pytest.mark.spec("S0-26")
def test_the_clock_adds_a_day_to_everybodys(
    desk: Desk, finora: Finora, admin: Engine, upkeep_runs: Callable[[], None]
) -> None:
    asset = thing(f"NI-{desk.account.id.hex[-8:]}")
    start = end_of(TODAY - timedelta(days=5))
    desk.trade(asset, "2", "10", start, fee="0.50")
    desk.price(asset, "10.005", start)
    finora.run_jobs()
    whole = days(finora, desk.scope)
    with admin.begin() as connection:  # as it was yesterday
        connection.execute(
            text("delete from finora.portfolio_day where tenant_id = :t and day = :d"),
            {"t": desk.scope.tenant_id, "d": TODAY},
        )
        connection.execute(text("update finora.portfolio_history set built_through = :d "
                                "where tenant_id = :t"),
                           {"t": desk.scope.tenant_id, "d": TODAY - timedelta(days=1)})  # fmt: skip
    upkeep_runs()
    assert days(finora, desk.scope) == whole
    assert whole[TODAY].value == Amount.parse("20.01", EUR)


@pytest.fixture
def upkeep_runs(finora: Finora, database: Postgres) -> Callable[[], None]:
    service = finora._services.get(HistoryService)

    def run() -> None:
        service.nightly(finora._upkeep, {}, lambda done, total=None: None)

    return run


def test_what_has_no_price_is_in_no_day_and_none_is_nothing(desk: Desk, finora: Finora) -> None:
    asset = thing(f"NO-{desk.account.id.hex[-8:]}")
    at = end_of(TODAY - timedelta(days=2))
    desk.trade(asset, "1", "10", at)
    finora.run_jobs()
    today = days(finora, desk.scope)[TODAY]
    assert (today.holdings, today.priced, today.coverage) == (1, 0, Coverage.UNKNOWN)
    assert today.unrealised is None
    own = finora.portfolio.add_own(desk.scope, "Boat", "EUR")
    desk.trade(own.asset, "1", "900", at)
    finora.portfolio.set_price(desk.scope, own.asset.id, Decimal("1000"), at=at)
    finora.run_jobs()
    today = days(finora, desk.scope)[TODAY]
    assert (today.value, today.holdings, today.priced) == (Amount.parse("1000.00", EUR), 2, 1)
    assert finora.portfolio.valuation(desk.scope).total.value == today.value
    finora.portfolio_history.rebuild(desk.scope, since=TODAY)
    assert days(finora, desk.scope)[TODAY] == today


def test_two_that_make_the_days_at_once_make_them_once(desk: Desk, finora: Finora) -> None:
    asset = thing(f"TW-{desk.account.id.hex[-8:]}")
    at = end_of(TODAY - timedelta(days=30))
    desk.trade(asset, "1", "10", at)
    desk.price(asset, "10", at)
    rebuild = partial(finora.portfolio_history.rebuild, desk.scope, since=date.min)
    assert errors(together(*[rebuild] * 4)) == []
    assert len(days(finora, desk.scope)) == 31


def test_another_base_is_kept_beside(desk: Desk, finora: Finora) -> None:
    asset = thing(f"FR-{desk.account.id.hex[-8:]}")
    at = end_of(TODAY - timedelta(days=2))
    desk.trade(asset, "1", "10", at)
    desk.price(asset, "10", at)
    desk.price(EUR, "0.95", at, CHF)
    finora.portfolio_history.rebuild(desk.scope)
    finora.portfolio_history.rebuild(desk.scope, to="CHF")
    found = days(finora, desk.scope, to="CHF")[TODAY]
    assert found.value == finora.portfolio.valuation(desk.scope, to="CHF").total.value
    assert found.value.asset == currency("CHF")
    assert days(finora, desk.scope)[TODAY].value == Amount.parse("10.00", EUR)


def test_nothing_held_is_no_day(finora: Finora, scope: Scope, stranger: Scope) -> None:
    assert finora.portfolio_history.rebuild(scope) == {"days": 0}
    assert days(finora, stranger) == {}
    assert finora.portfolio.valuation(scope).total == Ok(Amount(0, EUR))
    assert START.tzinfo is UTC


_SPREAD = st.integers(0, 60)
_VALUE = st.decimals("0.0000001", "99999.9", places=7)


@pytest.mark.spec("S0-54", partial=True)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    trades=st.lists(
        st.tuples(st.integers(0, 3), _SPREAD, st.integers(1, 10**10), st.booleans()),
        min_size=1, max_size=9,
    ),
    prices=st.lists(
        st.tuples(st.integers(0, 2), _SPREAD, st.integers(0, 23), _VALUE), max_size=14,
    ),
    rates=st.lists(st.tuples(_SPREAD, _VALUE), max_size=4),
    since=st.integers(0, 60),
)  # fmt: skip
def test_days_are_what_valuations_say_whatever_happened(
    finora: Finora,
    database: Postgres,
    trades: list[tuple[int, int, int, bool]],
    prices: list[tuple[int, int, int, Decimal]],
    rates: list[tuple[int, Decimal]],
    since: int,
) -> None:
    """Of three assets that are priced now and then, several times a day, by two who say other
    things of one time, too old, very finely, in a currency of which the rates have gaps, or never;
    and the same when only some of the days are made anew."""
    scope = finora.scope(tenant=f"t-{uuid4()}", user="u1")
    one, two = (
        Desk(finora, scope, finora.portfolio.open_account(scope, name), database)
        for name in ("One", "Two")
    )
    tag = one.account.id.hex[-12:]
    first = datetime.combine(TODAY - timedelta(days=60), datetime.min.time(), UTC)
    assets = [thing(f"P{number}-{tag}") for number in range(4)]
    foreign = Asset("crypto:USDT", 18)  # a hub that no other test has prices of
    quotes = (EUR, foreign, EUR)
    for asset in (*assets, foreign):
        finora.ledger.register_asset(scope, asset)
    with database.begin(scope) as work:
        for source in ("test", "tset"):
            work.prices.add(source, [
                line(Price(
                    asset=assets[number].id, quote=quotes[number].id, source=source,
                    at=first + timedelta(days=day, hours=hour),
                    value=value if source == "test" else value.next_plus(),
                    granularity=Granularity.INTRADAY if hour % 2 else Granularity.DAILY,
                )) for number, day, hour, value in prices
                if source == "test" or hour > 11
            ])  # fmt: skip
        work.prices.add("test", [
            line(Price(asset=foreign.id, quote="EUR", at=first + timedelta(days=day), value=value,
                       source="test"))
            for day, value in dict(rates).items()
        ])  # fmt: skip
    for number, day, units, buys in sorted(trades, key=lambda each: each[1]):
        desk = one if units % 3 else two
        quantity = Amount(units if buys else -units, assets[number])
        try:
            desk.trade(assets[number], quantity.text, "3.7", first + timedelta(days=day, hours=9))
        except InsufficientHolding:
            continue
    finora.portfolio_history.rebuild(scope)
    made = days(finora, scope)
    if made:
        same_as_valuations(finora, scope, min(made))
    for some in (since, 0):
        finora.portfolio_history.rebuild(scope, since=TODAY - timedelta(days=some))
        assert days(finora, scope) == made


def test_prices_finer_and_larger_than_most_are_exact_too(desk: Desk, finora: Finora) -> None:
    tag = desk.account.id.hex[-8:]
    at = end_of(TODAY - timedelta(days=6))
    for number, values in enumerate((
        ("0.000000000000000000000123", "0.00000000000000000000000000000000000456"),
        ("1.5", "98765432109876543210.123456789012345678901234"),
        ("0.1", "0.123456789012345"),
        ("899999", "900000.00000001"),
    )):  # fmt: skip
        asset = thing(f"W{number}-{tag}")
        desk.trade(asset, "98765432109.87654321", "1", at)
        for value, days_ in zip(values, (0, 3), strict=True):
            desk.price(asset, value, at + timedelta(days=days_))
    finora.portfolio_history.rebuild(desk.scope)
    same_as_valuations(finora, desk.scope, at.date())


def test_who_stops_asking_for_prices_has_the_connection_back(
    desk: Desk, finora: Finora, database: Postgres
) -> None:
    """What was not asked yet is not asked any more; what fails, fails there."""
    asset = thing(f"ST-{desk.account.id.hex[-8:]}")
    desk.price(asset, "10", end_of(TODAY - timedelta(days=3)))
    assets = [asset.id, *(f"ticker:none{number}" for number in range(1_000))]
    span = Days(TODAY - timedelta(days=2), TODAY)
    with database.begin(desk.scope) as work:
        with work.history.columns(assets, span, "EUR") as columns:
            column = next(iter(columns))
        assert (column.asset, column.since, len(column.values)) == (asset.id, 0, 3)
        assert [Fraction(each, 10**column.scale) for each in column.values] == [10] * 3
        assert work.holdings.base() == "EUR"
    with pytest.raises(TooSlow), database.begin(desk.scope) as work:
        work.connection.execute(text("set local statement_timeout = 1"))
        with work.history.columns(assets * 500, span, "EUR") as columns:
            list(columns)
    assert finora.portfolio.holdings(desk.scope) == []


@pytest.mark.spec("S0-49", partial=True)
def test_what_is_quoted_in_another_currency_only_is_worth_it_by_the_rates(
    desk: Desk, finora: Finora
) -> None:
    """In days as in valuations: of the market, and of one's own; before there is a rate it is a
    gap. No other test has rates of ngultrum."""
    far, tag = currency("BTN"), desk.account.id.hex[-8:]
    at = end_of(TODAY - timedelta(days=8))
    share = thing(f"BT-{tag}")
    desk.trade(share, "2", "100", at, far)
    own = finora.portfolio.add_own(desk.scope, "Cabin", "BTN")
    desk.trade(own.asset, "1", "100", at, far)
    for days_, value in ((1, "110"), (5, "120.5")):
        desk.price(share, value, at + timedelta(days=days_), far)
        finora.portfolio.set_price(
            desk.scope, own.asset.id, Decimal(value), at=at + timedelta(days=days_)
        )
    desk.price(EUR, "10", at + timedelta(days=3), far)
    finora.portfolio_history.rebuild(desk.scope)
    same_as_valuations(finora, desk.scope, at.date())
    made = days(finora, desk.scope)
    assert made[TODAY].value == Amount.parse("36.15", EUR)
    assert [made[at.date() + timedelta(days=number)].priced for number in (2, 3)] == [0, 2]
    finora.portfolio_history.rebuild(desk.scope, since=TODAY)
    assert days(finora, desk.scope) == made
