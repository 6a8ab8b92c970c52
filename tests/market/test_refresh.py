"""What is held is kept priced: hourly prices, nightly days and rates, weekly names."""

import itertools
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4
from zlib import crc32

import attrs
import pytest
from sqlalchemy import Engine, text

from finora import Finora, Scope
from finora_adapters.compose import SCHEDULES
from finora_adapters.postgres.holdings import PgHoldings
from finora_adapters.postgres.work import Postgres
from finora_core.jobs.model import JobState
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.events import Event
from finora_core.kernel.outcome import Down, Missing
from finora_core.ledger.model import AccountKind, Posting
from finora_core.market.assets.model import AssetKind, Identity
from finora_core.market.prices.chain import IdentityChain, PriceChain, RateChain, UnknownSource
from finora_core.market.prices.model import Price, midnight
from finora_core.market.prices.refresh import (
    PricesDisagree,
    RefreshService,
    Wanted,
    missing_span,
)
from finora_core.plugins import Identified
from market.sources import Manifest, Source

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
TODAY = NOW.date()


@attrs.define
class Held:
    """Holdings as they are told to be."""

    found: list[Wanted] = attrs.field(factory=list)
    told: list[tuple[UUID, Event]] = attrs.field(factory=list)

    def wanted(self, tenant_id: UUID | None = None) -> list[Wanted]:
        return [each for each in self.found if tenant_id in (None, each.tenant_id)]

    def tell(self, tenant_id: UUID, event: Event) -> None:
        self.told.append((tenant_id, event))


@attrs.define
class Market:
    """A market with sources and holdings of its own."""

    database: Postgres
    scope: Scope
    open: int = 0
    """Transactions that are open now."""
    held: Held = attrs.field(factory=Held)
    sources: list[Source] = attrs.field(factory=list)
    now: datetime = NOW

    def begin(self, scope: Scope) -> Any:
        from contextlib import contextmanager

        @contextmanager
        def opened() -> Any:
            with self.database.begin(scope) as work:
                self.open += 1
                try:
                    yield work
                finally:
                    self.open -= 1

        return opened()

    def _alone(self) -> None:
        assert not self.open, "a source was asked inside a transaction"

    def source(self, name: str | None = None, **more: Any) -> Source:
        told = {key: more.pop(key) for key in ("capabilities", "assets") if key in more}
        name = name or f"s{uuid4().hex[:8]}"
        made = Source(provides=Manifest(name=name, **told), now=self.now, watch=self._alone, **more)
        self.sources.append(made)
        return made

    def coin(self, since: date = TODAY, quote: str = "EUR") -> str:
        names = (f"crypto:T{uuid4().hex[:10].upper()}" for _ in itertools.count())
        # Of a day's coins those are asked of a second source whose hour it is: not of this one.
        asset = Asset(next(n for n in names if crc32(n.encode()) % 24 != self.now.hour), 18)
        with self.database.begin(self.scope) as work:
            work.assets.add(asset)
        self.hold(asset.id, since, quote)
        return asset.id

    def hold(self, asset: str, since: date, quote: str = "EUR") -> None:
        self.held.found.append(
            Wanted(tenant_id=self.scope.tenant_id, asset=asset, quote=quote, since=since)
        )

    def run(self, what: str) -> Any:
        service = RefreshService(
            begin=self.begin, holdings=self.held, prices=PriceChain(self.sources),
            rates=RateChain(self.sources), identities=IdentityChain(self.sources),
            now=lambda: self.now,
        )  # fmt: skip
        return getattr(service, what)(self.scope, {}, lambda *done: None)


@pytest.fixture
def market(database: Postgres, scope: Scope) -> Market:
    return Market(database, scope)


def hold(finora: Finora, scope: Scope, asset: Asset, units: int, day: date) -> None:
    names = {account.name: account.id for account in finora.ledger.accounts(scope)}
    coins = names.get("Coins") or finora.ledger.open_account(scope, "Coins", asset=asset.id).id
    out = names.get("Out") or finora.ledger.open_account(scope, "Out", kind=AccountKind.OUTSIDE).id
    legs = [Posting(coins, Amount(units, asset)), Posting(out, Amount(-units, asset))]
    finora.ledger.post(scope, legs, on_date=day)


Events = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def events(admin: Engine, scope: Scope) -> Events:
    def events(kind: str) -> list[dict[str, Any]]:
        query = text("select payload from finora.event where tenant_id = :t and type = :k")
        with admin.connect() as connection:
            return list(connection.scalars(query, {"t": scope.tenant_id, "k": kind}))

    return events


@pytest.mark.spec("S0-20")
def test_every_hour_each_holding_has_one_more_price_and_one_that_fails_stops_nothing(
    market: Market, finora: Finora, scope: Scope, events: Events
) -> None:
    one, two, three = market.coin(), market.coin(), market.coin(quote="USD")
    market.hold("USD", TODAY)
    market.source("broken", prices=Down("it answers 500"))
    market.source("good", prices={one: "1.5", three: "3"})
    result = market.run("refresh")
    assert (result["tokens"], result["priced"], result["failed"]) == (3, 2, 1)
    assert result["sources"] == {"broken": {"down": 2}, "good": {"ok": 2}}
    [kept] = finora.prices.list(scope, one).items
    assert (kept.value, kept.quote, kept.granularity.value, kept.source, kept.at) == (
        Decimal("1.5"), "EUR", "intraday", "good", NOW,
    )  # fmt: skip
    assert finora.prices.list(scope, two).items == ()
    # Whoever holds them is told, and nothing is told where nothing is new.
    [(tenant, event)] = market.held.told
    assert tenant == scope.tenant_id and event.payload() == {"assets": 2}
    assert market.run("refresh")["kept"] == 0 and len(market.held.told) == 1
    assert events("prices.imported")[0]["added"] == 2


@pytest.mark.spec("S2-36")
def test_a_tenant_asks_for_its_prices_and_its_caches_are_old_from_then_on(
    finora: Finora, scope: Scope, database: Postgres, admin: Engine, market: Market
) -> None:
    asset = Asset(f"crypto:T{uuid4().hex[:10].upper()}", 18)
    with database.begin(scope) as work:
        work.assets.add(asset)
    hold(finora, scope, asset, 5, date(2026, 1, 2))
    job_id = finora.market.ask(scope)
    finora.run_jobs()
    assert finora.jobs.get(scope, job_id).state is JobState.DONE
    with pytest.raises(UnknownSource):
        finora.market.ask(scope, "nobody")
    # The same job over a source of the test's own.
    version = text("select number from finora.version where tenant_id = :t")
    with admin.connect() as connection:
        before = connection.scalar(version, {"t": scope.tenant_id})
    service = RefreshService(
        begin=database.begin, holdings=PgHoldings(database, finora._upkeep),
        prices=PriceChain([market.source("one", prices={asset.id: "7"}), market.source("two")]),
        rates=RateChain([]), identities=IdentityChain([]), now=lambda: NOW,
    )  # fmt: skip
    result = service.update(scope, {"source": "one"}, lambda *done: None)
    assert result["priced"] == 1 and result["sources"] == {"one": {"ok": 1}}  # type: ignore[index]  # it is one
    with admin.connect() as connection:
        assert connection.scalar(version, {"t": scope.tenant_id}) > before
        kinds = connection.scalars(
            text("select type from finora.event where tenant_id = :t"), {"t": scope.tenant_id}
        ).all()
    assert "prices.refreshed" in kinds


def test_what_nobody_has_is_not_asked_for_again_until_a_day_has_passed(
    market: Market, finora: Finora, scope: Scope
) -> None:
    coin = market.coin()
    source = market.source(prices={})
    market.now = datetime.now(UTC)
    assert market.run("refresh")["failed"] == 1 and len(source.asked) == 1
    result = market.run("refresh")
    assert (result["skipped"], len(source.asked)) == (1, 1)
    # A price from anywhere, and it is asked for as before.
    import io

    rows = io.BytesIO(b"date,price\n2026-01-01,5\n")
    finora.prices.import_file(scope, rows, source="file", asset=coin, quote="EUR")
    assert market.run("refresh")["skipped"] == 0 and len(source.asked) == 2


def test_what_fails_is_asked_for_again_the_next_time(market: Market) -> None:
    market.coin()
    source = market.source(prices=Down("no"))
    market.run("refresh")
    assert market.run("refresh")["skipped"] == 0 and len(source.asked) == 2


def test_what_pretends_and_what_is_ones_own_is_not_priced(
    market: Market, finora: Finora, scope: Scope
) -> None:
    scam = market.coin()
    said = Identity(asset=scam, symbol=f"S{uuid4().hex[:8]}", kind=AssetKind.CRYPTO, scam=9_000)
    finora.assets.identify(scope, Asset(scam, 18), said, source="test")
    market.hold("own:painting", TODAY)
    source = market.source(prices={scam: "1"})
    assert market.run("refresh")["tokens"] == 0 and source.asked == []


def test_a_leap_and_a_difference_are_alarms(
    market: Market, finora: Finora, scope: Scope, events: Events
) -> None:
    coin = market.coin()
    first = market.source(prices={coin: "10"})
    market.run("refresh")
    first.prices, first.now = {coin: "1000"}, NOW + timedelta(hours=1)
    market.now = NOW + timedelta(hours=1)
    market.source("other", prices={coin: "11"})
    assert market.run("refresh")["priced"] == 0
    assert [price.value for price in finora.prices.list(scope, coin).items] == [Decimal(10)]
    assert events("prices.doubted") == [{"asset": coin, "quote": "EUR"}]
    [alarm] = events(PricesDisagree.type)
    assert (alarm["price"], alarm["other"], alarm["other_price"]) == ("1000", "other", "11")


@pytest.mark.spec("S0-24")
def test_every_night_missing_days_are_filled_and_what_has_none_is_left_for_a_week(
    market: Market, finora: Finora, scope: Scope, admin: Engine
) -> None:
    market.now = datetime.now(UTC)
    today = market.now.date()
    since = today - timedelta(days=40)
    days = {since + timedelta(number): str(number + 1) for number in range(40)}
    coin, none, young = market.coin(since), market.coin(since), market.coin(today - timedelta(9))
    source = market.source(days={coin: days})
    result = market.run("backfill")
    assert (result["filled"], result["unpriceable"]) == (1, 1)
    facts = finora.prices.list(scope, coin, limit=100).items
    assert len(facts) == 40 and {fact.granularity.value for fact in facts} == {"daily"}
    assert finora.prices.gaps(scope, coin, since, today - timedelta(1)) == []
    # What is there is not asked for again; the one without any is left alone, the young one not.
    source.asked.clear()
    assert market.run("backfill")["skipped"] == 1
    assert [asked[1] for asked in source.asked] == [young]
    with admin.connect() as connection:
        until = connection.scalar(
            text("select until from finora.price_absence where asset = :a"), {"a": none}
        )
    assert timedelta(days=6, hours=23) < until - market.now <= timedelta(days=7)
    # Any price that is kept ends that: it is asked for again.
    finora.prices.add(scope, "file", [Price(asset=none, quote="EUR", at=midnight(since),
                                            value=Decimal(1), source="file")])  # fmt: skip
    source.asked.clear()
    assert market.run("backfill")["skipped"] == 0
    assert none in {asked[1] for asked in source.asked}
    # A day in the middle is missing: only from there to there.
    gap = since + timedelta(20)
    other = market.coin(since)
    source.days = {other: {day: price for day, price in days.items() if day != gap}}
    market.run("backfill")
    source.days, source.asked = {other: days}, []
    market.run("backfill")
    assert ("history", other, gap, gap) in source.asked
    assert finora.prices.gaps(scope, other, since, today - timedelta(1)) == []


def test_a_history_that_fails_is_not_taken_for_none(market: Market) -> None:
    market.coin(TODAY - timedelta(days=40))
    market.source(days=Missing())
    market.source(days=Down("it answers 500"))
    result = market.run("backfill")
    assert (result["filled"], result["unpriceable"]) == (0, 0)


@pytest.mark.spec("S0-25")
def test_every_night_missing_rates_of_all_currencies_in_use_are_filled(
    market: Market, finora: Finora, scope: Scope
) -> None:
    # Years that are this test's alone: rates are everybody's.
    market.now = datetime(1993, 3, 31, 3, 30, tzinfo=UTC)
    since = date(1993, 3, 1)
    market.hold("NOK", since, "ISK")
    market.coin(since, "CZK")
    days = {since + timedelta(n): "11.5" for n in range(30) if (since + timedelta(n)).weekday() < 5}
    source = market.source(days=dict.fromkeys(("NOK", "ISK", "CZK"), days))
    result = market.run("fill_rates")
    assert (result["currencies"], result["asked"], result["added"]) == (3, 3, 3 * len(days))
    found = finora.rates.convert(
        scope, Amount.parse("11.50", Asset("NOK", 2)), "EUR", date(1993, 3, 14)
    )
    assert found.total.text == "1.00"
    source.asked.clear()
    assert market.run("fill_rates")["asked"] == 0 and source.asked == []


@pytest.mark.spec("S0-28")
def test_every_week_what_was_not_looked_at_for_long_is_named_by_every_source(
    market: Market, finora: Finora, scope: Scope, admin: Engine
) -> None:
    coin = market.coin()
    symbol = coin.partition(":")[2]
    said = Identity(asset=coin, symbol=symbol, kind=AssetKind.CRYPTO, names={"first": symbol})
    finora.assets.identify(scope, Asset(coin, 18), said, source="test")
    market.source("first", known=[Identified(name="no", symbol=symbol, title="", kind="crypto")])
    market.source("second", known=[Identified(name=f"{symbol}-2", symbol=symbol, title="",
                                              kind="crypto")])  # fmt: skip
    assert market.run("enrich")["looked_at"] == 0
    market.now = datetime.now(UTC) + timedelta(days=31)
    assert market.run("enrich")["named"] >= 1
    assert finora.assets.get(scope, coin).names == {"first": symbol, "second": f"{symbol}-2"}


def test_the_schedules_are_those_of_the_promise() -> None:
    found = {each.name: each.cron for each in SCHEDULES}
    assert {name: found[name] for name in
            ("prices.refresh", "prices.backfill", "rates.backfill", "assets.enrich")} == {
        "prices.refresh": "0 * * * *", "prices.backfill": "0 3 * * *",
        "rates.backfill": "30 3 * * *", "assets.enrich": "0 2 * * 0",
    }  # fmt: skip


def test_what_is_held_is_found_tenant_by_tenant(
    finora: Finora, scope: Scope, stranger: Scope, database: Postgres
) -> None:
    asset = Asset(f"crypto:T{uuid4().hex[:10].upper()}", 18)
    with database.begin(scope) as work:
        work.assets.add(asset)
    hold(finora, scope, asset, 5, date(2026, 1, 2))
    hold(finora, scope, asset, 3, date(2026, 1, 5))
    hold(finora, stranger, asset, 5, date(2026, 1, 3))
    hold(finora, stranger, asset, -5, date(2026, 1, 4))
    held = PgHoldings(database, finora._upkeep)
    own = [each for each in held.wanted() if each.asset == asset.id]
    assert own == [Wanted(tenant_id=scope.tenant_id, asset=asset.id, quote="EUR",
                          since=date(2026, 1, 2))]  # fmt: skip


@pytest.mark.parametrize(
    ("had", "daily", "wanted"),
    [((), True, (0, 9)), ((0, 1, 2, 3, 4, 5, 6, 7, 8, 9), True, None), ((0, 1, 4, 9), True, (2, 8)),
     ((0, 1, 2, 3, 4, 7, 8, 9), False, None), ((0, 9), False, (1, 8)),
     ((0, 1, 2, 3), False, (4, 9)), ((4, 5, 6, 7, 8, 9), False, None)],
)  # fmt: skip
def test_days_of_rest_are_no_gap(
    had: tuple[int, ...], daily: bool, wanted: tuple[int, int] | None
) -> None:
    monday = date(2026, 11, 2)
    days = frozenset(monday + timedelta(number) for number in had)
    span = missing_span(days, monday, monday + timedelta(9), daily=daily)
    assert span == (wanted and tuple(monday + timedelta(number) for number in wanted))
