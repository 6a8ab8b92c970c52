"""Prices as facts that are only added to; conversion, coverage, gaps and repair over them."""

import io
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from finora import Amount, Finora, Ok, Partial, Scope, currency
from finora_adapters.postgres.work import Postgres
from finora_core.kernel.asset import Asset, UnknownAsset
from finora_core.market.prices.files import BadPrices
from finora_core.market.prices.model import (
    BadSource,
    BadSpan,
    Factor,
    Gap,
    Granularity,
    NoPrice,
    Price,
    gaps_between,
    midnight,
)
from finora_core.market.prices.repair import Fault
from together import errors, together

FOLDER = Path(__file__).parents[2] / ".." / "shared" / "data" / "market" / "yfinance"
EUR, USD, CHF = currency("EUR"), currency("USD"), currency("CHF")
DAY = date(1995, 3, 6)  # A Monday of a year that is these tests' alone: prices are everybody's.

Thing = Callable[[], Asset]


@pytest.fixture
def thing(database: Postgres, scope: Scope) -> Thing:
    """Assets that are known, and nobody's but this test's."""

    def make() -> Asset:
        asset = Asset(f"ticker:T{uuid4().hex[:12].upper()}.DE", 8)
        with database.begin(scope) as work:
            work.assets.add(asset)
        return asset

    return make


def csv(*rows: str) -> io.BytesIO:
    return io.BytesIO("\n".join(("date,price", *rows, "")).encode())


def take(finora: Finora, scope: Scope, asset: Asset, *rows: str, source: str = "test") -> object:
    taken = finora.prices.import_file(
        scope, csv(*rows), source=source, asset=asset.id, quote="EUR"
    ).prices
    return taken.added, taken.corrected, taken.existing


@pytest.mark.spec("S0-48")
def test_a_price_is_kept_once_and_a_correction_stands_beside(
    finora: Finora, scope: Scope, thing: Thing, admin: Engine
) -> None:
    fund = thing()
    rows = ("1995-03-06,100.25", "1995-03-06T10:00:00+01:00,99", "1995-03-07,101")
    assert take(finora, scope, fund, *rows) == (3, 0, 0)
    assert take(finora, scope, fund, *rows) == (0, 0, 3)
    # Of the same time: another source, and another granularity.
    assert take(finora, scope, fund, "1995-03-06,100.5", source="other") == (1, 0, 0)
    assert take(finora, scope, fund, "1995-03-06T00:00:00Z,7", "1995-03-08,3") == (2, 0, 0)
    assert take(finora, scope, fund, "1995-03-06,100.3", "1995-03-07,101") == (0, 1, 1)
    found = finora.prices.list(scope, fund.id, until=DAY).items
    assert [(each.granularity, each.source, str(each.value), each.revision) for each in found] == [
        (Granularity.INTRADAY, "test", "99", 1),
        (Granularity.INTRADAY, "test", "7", 1),
        (Granularity.DAILY, "test", "100.3", 2),
        (Granularity.DAILY, "test", "100.25", 1),
        (Granularity.DAILY, "other", "100.5", 1),
    ]
    assert found[0].at == datetime(1995, 3, 6, 9, tzinfo=UTC)
    # Of two lines of one time the first holds.
    assert take(finora, scope, fund, "1995-03-09,1", "1995-03-09,2") == (1, 0, 1)
    for change in ("update finora.price set value = 2", "delete from finora.price"):
        with admin.connect() as connection, pytest.raises(DBAPIError, match="FACT_IMMUTABLE"):
            connection.execute(text(change))


@pytest.mark.spec("S0-49")
def test_it_converts_along_stored_prices_and_rates(
    finora: Finora, scope: Scope, thing: Thing
) -> None:
    fund, coin = thing(), thing()
    finora.rates.import_ecb(scope, io.BytesIO(b"Date,CHF,USD\n1995-03-06,1.6,1.25\n"))
    take(finora, scope, fund, "1995-03-06,80")
    finora.prices.add(
        scope, "test", [Price(asset=coin.id, quote="USD", at=midnight(DAY), value=Decimal("500"),
                              source="test", granularity=Granularity.INTRADAY)],
    )  # fmt: skip
    at = midnight(DAY) + timedelta(hours=5)
    one = finora.prices.convert(scope, Amount.parse("2", fund), "CHF", at)
    assert one.outcome == Ok(Amount.parse("256.00", CHF))
    two = finora.prices.convert(scope, Amount.parse("2", coin), "CHF", at)
    assert two.outcome == Ok(Amount.parse("1280.00", CHF))
    assert isinstance(two.by, Factor) and two.by.path == (coin.id, "USD", "EUR", "CHF")
    assert [fact.source for fact in two.by.facts] == ["test", "ecb", "ecb"]
    assert (two.by.rate, two.by.effective_at, two.by.stale) == (640, midnight(DAY), False)
    assert finora.prices.convert(scope, Amount.parse("1", coin), fund.id, at).result == (
        Amount.parse("5", fund)
    )
    late = finora.prices.convert(scope, Amount.parse("2", coin), "USD", at + timedelta(days=8))
    assert late.result == Amount.parse("1000.00", USD) and isinstance(late.by, Factor)
    assert late.by.stale and late.outcome == Partial(
        late.result, f"the price of {coin.id} is of 1995-03-06"
    )
    early = finora.prices.convert(scope, Amount.parse("2", coin), "USD", at - timedelta(days=1))
    assert early.result is None and isinstance(early.by, NoPrice)
    assert finora.prices.convert(scope, Amount.parse("2", coin), coin.id, at).result is not None
    with pytest.raises(UnknownAsset):
        finora.prices.convert(scope, Amount.parse("2", coin), "own:nothing", at)


def test_many_at_once_are_what_each_is_alone(finora: Finora, scope: Scope, thing: Thing) -> None:
    fund, coin = thing(), thing()
    for number in range(10):
        take(finora, scope, fund, f"{DAY + timedelta(number)},{number + 1}")
    asked = [
        (Amount.parse(str(count), asset), midnight(DAY + timedelta(days)))
        for count, (asset, days) in enumerate([(fund, 3), (coin, 3), (fund, 30), (fund, -1)], 1)
    ] * 2
    found = finora.prices.convert_all(scope, asked, "EUR")
    alone = [finora.prices.convert(scope, amount, "EUR", at) for amount, at in asked]
    assert [(each.result, each.outcome) for each in found] == [
        (each.result, each.outcome) for each in alone
    ]
    assert [each.result and each.result.text for each in found][:4] == ["4.00", None, "30.00", None]
    with pytest.raises(BadSpan):
        finora.prices.convert_all(scope, asked * 5_000, "EUR")


def test_what_was_known_then_is_still_told(
    finora: Finora, scope: Scope, thing: Thing, database: Postgres
) -> None:
    fund = thing()
    take(finora, scope, fund, "1995-03-06,80")
    with database.begin(scope) as work:
        known = work.prices.known()
    take(finora, scope, fund, "1995-03-06,90")
    at = midnight(DAY)
    with database.begin(scope) as work:
        then = work.prices.table([(fund.id, at)], "EUR", upto=known)
        now = work.prices.table([(fund.id, at)], "EUR")
    assert then.convert(Amount.parse("1", fund), EUR, at) == Amount.parse("80.00", EUR)
    assert now.convert(Amount.parse("1", fund), EUR, at) == Amount.parse("90.00", EUR)


def test_coverage_and_gaps_are_shown_as_what_they_are(
    finora: Finora, scope: Scope, thing: Thing
) -> None:
    fund, none = thing(), thing()
    take(finora, scope, fund, "1995-03-08,1", "1995-03-13,1", "1995-03-16T10:00:00Z,1")
    until = DAY + timedelta(70)
    covered, bare = sorted(
        finora.prices.coverage(scope, [fund.id, none.id], "EUR", DAY, until),
        key=lambda each: each.asset != fund.id,
    )
    # Two days before the first price; the intraday one is stale after a week.
    assert (covered.days, covered.missing, covered.priced) == (71, 2, 69)
    assert covered.stale == (until - date(1995, 3, 24)).days + 1
    assert covered.first == midnight(date(1995, 3, 8))
    assert (bare.days, bare.priced, bare.missing, bare.first) == (71, 0, 71, None)
    gaps = finora.prices.gaps(scope, fund.id, DAY, DAY + timedelta(14))
    # The ninth to the tenth; the weekend is none; and from the seventeenth over one to the last.
    assert gaps == [
        Gap(date(1995, 3, 6), date(1995, 3, 7)), Gap(date(1995, 3, 9), date(1995, 3, 10)),
        Gap(date(1995, 3, 14), date(1995, 3, 15)), Gap(date(1995, 3, 17), date(1995, 3, 20)),
    ]  # fmt: skip
    with pytest.raises(BadSpan, match="before it begins"):
        finora.prices.gaps(scope, fund.id, until, DAY)


def test_what_trades_every_day_has_gaps_at_weekends_too() -> None:
    known = {DAY + timedelta(number) for number in range(5)}
    week = DAY, DAY + timedelta(6)
    assert gaps_between(known, *week, daily=False) == []
    assert gaps_between(known, *week, daily=True) == [Gap(DAY + timedelta(5), DAY + timedelta(6))]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"day,price\n1995-03-06,1\n", "no column date"),
        (b"date,cost\n1995-03-06,1\n", "no column price"),
        (b"date,price\n1995-03-06,0\n", "line 2: '0' is no price"),
        (b"date,price\n1995-03-06,0.000\n", "is no price"),
        (b"date,price\n1995-03-06,1\n1995-03-07,-1\n", "line 3: '-1' is no price"),
        (b"date,price\n1995-03-06,NaN\n", "'NaN' is no price"),
        (b"date,price\n1995-03-06,1e9\n", "is no price"),
        (b"date,price\n1995-03-06,1\tx\n", "is no price"),
        (b"date,price\nnow,1\n", "line 2: 'now' is no instant"),
        (b"date,price\n1995-03-06T10:00:00,1\n", "no instant with its zone"),
        (b"date,price\n1995-02-30,1\n", "is no day"),
        (b"date,price\n1995-03-06,1,2\n", "line 2 has 3 cells"),
        (b"date,price,asset\n1995-03-06,1,a b\n", "line 2: 'a b' is no asset"),
        (b"date,price,asset\n1995-03-06,1,EUR\n", "EUR has no price in itself"),
        (b"date,price\n1995-03-06,\xff\n", "UTF-8"),
        (b'date,price\n1995-03-06,"1', "CSV"),
    ],
)
def test_a_file_that_is_no_table_of_prices_is_refused_with_its_line(
    finora: Finora, scope: Scope, thing: Thing, content: bytes, said: str
) -> None:
    fund = thing()
    with pytest.raises(BadPrices, match=said):
        finora.prices.import_file(
            scope, io.BytesIO(content), source="test", asset=fund.id, quote="EUR"
        )
    assert finora.prices.list(scope, fund.id).items == ()


def test_a_file_names_its_assets_and_unknown_ones_are_left_out(
    finora: Finora, scope: Scope, thing: Thing
) -> None:
    fund = thing()
    rows = f"asset,quote,date,price\n{fund.id},CHF,1995-03-06,5\nown:nobody,CHF,1995-03-06,6\n"
    taken = finora.prices.import_file(scope, io.BytesIO(rows.encode()), source="test").prices
    assert (taken.added, taken.existing, taken.unknown) == (1, 0, ("own:nobody",))
    with pytest.raises(BadPrices, match="which asset"):
        finora.prices.import_file(scope, csv("1995-03-06,1"), source="test")
    with pytest.raises(BadSource):
        finora.prices.import_file(scope, csv("1995-03-06,1"), source="A B")


def test_many_that_take_in_at_once_keep_each_fact_once(
    finora: Finora, scope: Scope, stranger: Scope, thing: Thing, admin: Engine
) -> None:
    fund = thing()
    rows = [f"{DAY + timedelta(number)},{number + 1}" for number in range(50)]
    results = together(
        *(lambda who=who: take(finora, who, fund, *rows) for who in (scope, stranger) * 2)
    )
    assert not errors(results) and sum(each[0] for each in results) == 50, results
    with admin.connect() as connection:
        numbers = connection.execute(
            text("select count(*), max(number) from finora.price_load")
        ).one()
        kept = connection.scalar(
            text("select count(*) from finora.price where asset = :a"), {"a": fund.id}
        )
    assert numbers[0] == numbers[1] and kept == 50


def test_lists_go_on_by_cursor(finora: Finora, scope: Scope, thing: Thing) -> None:
    fund = thing()
    take(finora, scope, fund, *(f"{DAY + timedelta(number)},1" for number in range(5)))
    take(finora, scope, fund, f"{DAY},2")
    found, cursor = [], None
    while True:
        page = finora.prices.list(scope, fund.id, quote="EUR", cursor=cursor, limit=2)
        found += page.items
        cursor = page.next
        if cursor is None:
            break
    assert [(each.at.day, each.revision) for each in found] == [
        (10, 1), (9, 1), (8, 1), (7, 1), (6, 2), (6, 1),
    ]  # fmt: skip


@pytest.mark.skipif(not FOLDER.exists(), reason="the histories are not there")
def test_a_history_is_mended_by_facts_beside_its_own(
    finora: Finora, scope: Scope, thing: Thing
) -> None:
    share = thing()
    path = FOLDER / "MOB-ST-1d-bad-stock-split.csv"

    def taken(repair: bool) -> object:
        with path.open("rb") as file:
            return finora.prices.import_file(
                scope, file, source="yahoo", asset=share.id, quote="SEK", repair=repair
            )

    assert taken(False).prices.added == 16  # type: ignore[attr-defined]  # it is TakenIn
    tried = finora.prices.repair(scope, share.id, "SEK", source="yahoo", dry_run=True)
    [fix] = tried.fixes
    assert (fix.fault, fix.at) == (Fault.SPLIT, midnight(date(2023, 5, 22)))
    assert (fix.before, fix.after) == (
        Fraction("2.2750000953674316"), Fraction("22.750000953674316"),
    )  # fmt: skip
    day = date(2023, 5, 22)
    assert len(finora.prices.list(scope, share.id, since=day, until=day).items) == 1
    assert finora.prices.repair(scope, share.id, "SEK", source="yahoo") == tried
    kept = finora.prices.list(scope, share.id, since=day, until=day).items
    assert [(str(each.value), each.revision) for each in kept] == [
        ("22.750000953674316", 2), ("2.2750000953674316", 1),
    ]  # fmt: skip
    # What is mended needs no mending; and the source saying the same again changes it back, and
    # is mended again.
    assert finora.prices.repair(scope, share.id, "SEK", source="yahoo").fixes == ()
    again = taken(True)
    assert len(again.mended.fixes) == 1  # type: ignore[attr-defined]  # it is TakenIn
    assert finora.prices.list(scope, share.id, since=day, until=day).items[0].value == kept[0].value


def test_a_stored_history_that_is_half_in_another_unit_needs_to_be_told(
    finora: Finora, scope: Scope, thing: Thing
) -> None:
    share = thing()
    take(finora, scope, share, *(f"{DAY + timedelta(n)},{14.55 if n < 5 else '0.1455'}"
                                 for n in range(9)))  # fmt: skip
    vague = finora.prices.repair(scope, share.id, "EUR", source="test")
    assert vague.fixes == () and "one unit" in vague.unclear[0]
    told = finora.prices.repair(scope, share.id, "EUR", source="test", right=Fraction("0.15"))
    assert [str(fix.after) for fix in told.fixes] == ["291/2000"] * 5


def test_an_asset_whose_name_says_how_it_is_counted_need_not_be_known(
    finora: Finora, scope: Scope
) -> None:
    """A share is counted as broker files count it; of what is on a chain the scale must be told."""
    name = f"ticker:T{uuid4().hex[:8].upper()}.L"
    taken = finora.prices.import_file(
        scope, csv("1995-03-06,2.5"), source="test", asset=name, quote="EUR"
    )
    assert taken.prices.added == 1
    share = finora.ledger.asset(scope, name)
    assert share.scale == 8
    found = finora.prices.convert(
        scope, Amount.parse("3", share), "EUR", datetime(1995, 3, 6, 12, tzinfo=UTC)
    )
    assert found.result == Amount.parse("7.50", currency("EUR"))
    for told in ("eip155:1/erc20:0x" + "a" * 40, f"own:{uuid4()}", "nothing"):
        with pytest.raises(UnknownAsset):
            finora.prices.import_file(
                scope, csv("1995-03-06,1"), source="test", asset=told, quote="EUR"
            )
