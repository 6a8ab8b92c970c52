"""How long ten years of a portfolio take: the days made anew, read, and one more.

    python benchmarks/portfolio.py --holdings 1000 --days 3650 --trades 20

Made-up holdings with a price on each day, in one account, through the services. What is stored of
every day is compared with a plain sum over what was made up, and with valuations at the ends of
some of them, exactly.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import attrs
from common import finish, show, workplace

from finora import Amount, Asset, Finora, Scope, Settings
from finora_adapters.postgres.work import PgWork
from finora_core.kernel.ids import new_id
from finora_core.market.prices.model import midnight
from finora_core.portfolio.booking import book, books_of
from finora_core.portfolio.history import end_of
from finora_core.portfolio.model import Activity, ActivityKind, with_money

REBUILD_S, READ_MS, DAY_MS = 2.0, 10, 20
_BATCH = 2_000


Moves = list[tuple[int, int, int]]
"""Number of the asset, number of the day, units."""


def held(finora: Finora, scope: Scope, assets: list[Asset], days: int, trades: int) -> Moves:
    """Buys and sales of every asset, spread over the days."""
    moves: Moves = []
    chance = random.Random(1)
    account = finora.portfolio.open_account(scope, "Main")
    first = datetime.now(UTC).replace(hour=12) - timedelta(days=days - 1)
    with finora._opened.database.begin(scope) as work:
        for asset in assets:
            work.assets.add(asset)
        eur = work.assets.get("EUR")
        made: list[Activity] = []
        for place, asset in enumerate(assets):
            there = 0
            for number in range(trades):
                day = number * (days - 1) // trades
                at = first + timedelta(days=day)
                sold = there and chance.random() < 0.4
                units = -chance.randrange(1, there) if sold and there > 1 else (
                    chance.randrange(1, 10**10)
                )  # fmt: skip
                there += units
                moves.append((place, day, units))
                made.append(with_money(Activity(
                    id=new_id(), account_id=account.id, quantity=Amount(units, asset), at=at,
                    kind=ActivityKind.SELL if units < 0 else ActivityKind.BUY, quote=eur,
                    price=Decimal(chance.randrange(10_000, 2_000_000)).scaleb(-4),
                    settled=False, source="bench", created_by=scope.user_id,
                )))  # fmt: skip
        _book(work, made)
    return moves


def _book(work: PgWork, made: list[Activity]) -> None:
    books = books_of(work)
    for start in range(0, len(made), _BATCH):
        batch = made[start : start + _BATCH]
        entries = book(work, batch, books)
        booked = [attrs.evolve(each, entry_id=entries[each.id]) for each in batch]
        work.activities.add(booked)


def prices(days: int) -> Iterator[list[int]]:
    """Of one asset after another, in ten thousandths of a euro, day by day."""
    chance = random.Random(2)
    while True:
        yield [chance.randrange(10_000, 2_000_000) for _ in range(days)]


def priced(finora: Finora, scope: Scope, assets: list[Asset], days: int, last: date) -> None:
    stamps = [midnight(last - timedelta(days=n)).isoformat() for n in reversed(range(days))]
    with finora._opened.database.begin(scope) as work:
        work.prices.add("bench", (
            (asset.id, "EUR", at, "daily", f"{price // 10_000}.{price % 10_000:04}")
            for asset, course in zip(assets, prices(days), strict=False)
            for at, price in zip(stamps, course, strict=True)
        ))  # fmt: skip


def plainly(count: int, days: int, moves: Moves) -> list[int]:
    """What it was worth at the end of each day, in cents: a sum over every holding."""
    steps = [[0] * days for _ in range(count)]
    for place, day, units in moves:
        steps[place][day] += units
    totals = [0] * days
    for changes, course in zip(steps, prices(days), strict=False):
        there = 0
        for day, price in enumerate(course):
            there += changes[day]
            totals[day] += there * price
    return [round(Fraction(total, 10**10)) for total in totals]


def timed(work: Callable[[], object], times: int = 1) -> float:
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--holdings", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=3_650)
    parser.add_argument("--trades", type=int, default=20)
    asked = parser.parse_args()
    with (
        workplace() as folder,
        Finora.open(Settings(data=folder / "data", env="test", statement_limit_s=600)) as finora,
    ):
        scope = finora.scope("bench", "bench")
        assets = [Asset(f"ticker:B{number}", 8) for number in range(asked.holdings)]
        moves = held(finora, scope, assets, asked.days, asked.trades)
        today = datetime.now(UTC).date()
        loading = timed(lambda: priced(finora, scope, assets, asked.days, today))
        history = finora.portfolio_history
        rebuild = timed(lambda: history.rebuild(scope, since=date.min), 3)
        read = timed(lambda: history.read(scope), 11) * 1000
        days = history.read(scope)
        assert len(days) == asked.days, len(days)
        slow = plainly(len(assets), asked.days, moves)
        assert [each.value.units for each in days] == slow
        for place in (0, len(days) // 3, len(days) - 1):
            found = finora.portfolio.valuation(scope, end_of(days[place].day))
            assert found.total.value == days[place].value
        one = timed(lambda: history.rebuild(scope, since=today), 5) * 1000
        assert history.read(scope) == days
        account = finora.portfolio.accounts(scope)[0].id
        alone = timed(lambda: history.of_holding(scope, account, assets[0].id), 11) * 1000
        show(("what", "figure", "at most"), [
            ("prices loaded", f"{loading:.1f} s", ""),
            ("days made anew", f"{rebuild:.2f} s", f"{REBUILD_S} s"),
            ("days read", f"{read:.1f} ms", f"{READ_MS} ms"),
            ("one day more", f"{one:.1f} ms", f"{DAY_MS} ms"),
            ("days of one holding", f"{alone:.1f} ms", ""),
        ])  # fmt: skip
        finish(load_s=loading, rebuild_s=rebuild, read_ms=read, day_ms=one,
               holding_ms=alone)  # fmt: skip


if __name__ == "__main__":
    main()
