"""How long prices take: taking in ten years of a thousand assets, and converting by them.

    python benchmarks/prices.py --assets 1000

The prices are a file of one line each, taken in through the service, with its gate, pairs and
revisions; beside it is a plain COPY of the same rows, made beforehand, into a table with the same
key and no checks, by the same server in the same run. Then 10,000 amounts are converted along three
facts each: in memory, and in one call with what it reads; the peer of the call is a query for the
first fact of each conversion, one by one. Beside the call's time is what this process itself took
of the processor: it says the same whatever else runs. Every conversion is compared with the same
sum by Python's Fractions.
"""

import argparse
import csv
import random
import statistics
import time
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import psycopg
from common import DAYS, FIRST_DAY, Watch, finish, show, workplace

from finora import Amount, Finora, Scope, Settings, currency
from finora_adapters.embedded import open_engines
from finora_adapters.postgres.work import Postgres
from finora_core.kernel.asset import Asset
from finora_core.market.prices.model import Factor, midnight
from finora_core.market.rates.model import Rate

LOAD_S, CONVERT_MS, MANY_MS = 20.0, 1.0, 200.0
_MANY = 10_000
_PEER = """
create table peer (asset text, quote text, at timestamptz, granularity text, source text,
  revision integer, value numeric, number bigint,
  primary key (asset, quote, at, granularity, source, revision))
"""
_ONE = (
    "select value from finora.price where asset = %s and quote = 'USD' and at <= %s "
    "order by at desc limit 1"
)


def name(asset: int) -> str:
    return f"ticker:A{asset:05}"


def value(asset: int, day: int) -> str:
    return f"{asset % 500 + 1}.{(asset * 7919 + day * 104_729) % 10_000:04}"


def write(path: Path, assets: int) -> int:
    days = [(FIRST_DAY + timedelta(day)).isoformat() for day in range(DAYS)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("asset", "quote", "date", "price"))
        for asset in range(assets):
            writer.writerows((name(asset), "USD", days[day], value(asset, day))
                             for day in range(DAYS))  # fmt: skip
    return assets * DAYS


def rates() -> Iterator[Rate]:
    for day in range(DAYS):
        on = FIRST_DAY + timedelta(day)
        for quote, rate in (("USD", "1.1"), ("GBP", "0.87")):
            yield Rate(base="EUR", quote=quote, on_date=on, value=Decimal(rate), source="bench")


def copied(dsn: str, assets: int) -> float:
    """The peer: the same rows, made beforehand, by COPY and no more."""
    rows = [
        "\t".join((name(asset), "USD", f"{FIRST_DAY + timedelta(day)} 00:00:00+00", "daily",
                   "bench", "1", value(asset, day), "1")) + "\n"
        for asset in range(assets) for day in range(DAYS)
    ]  # fmt: skip
    with psycopg.connect(dsn) as connection:
        connection.execute(_PEER)
        watch = Watch()
        with connection.cursor() as cursor, cursor.copy("copy peer from stdin") as copy:
            for start in range(0, len(rows), 2_000):
                copy.write("".join(rows[start : start + 2_000]))
        connection.commit()
        took = watch.lap()
        connection.execute("drop table peer")
    return took


def asked(assets: int, days: int) -> list[tuple[Amount, date]]:
    chance = random.Random(7)
    spread = [FIRST_DAY + timedelta(chance.randrange(DAYS)) for _ in range(days)]
    picked = [chance.randrange(assets) for _ in range(_MANY // days)]
    return [
        (Amount(chance.randint(1, 10**12), Asset(name(asset), 8)), day)
        for asset in picked
        for day in spread
    ]


def exact(amount: Amount, day: date) -> int:
    asset = int(amount.asset.id.removeprefix("ticker:A"))
    price = Fraction(value(asset, (day - FIRST_DAY).days))
    return round(Fraction(amount.units, 10**8) * price / Fraction("1.1") * Fraction("0.87") * 100)


def in_memory(database: Postgres, scope: Scope, wanted: list[tuple[Amount, date]]) -> float:
    """Milliseconds for all, with the facts at hand; each checked."""
    pounds = currency("GBP")
    with database.begin(scope) as work:
        needed = {(amount.asset.id, midnight(day)) for amount, day in wanted}
        table = work.prices.table(needed, "GBP")
    times = {day: midnight(day) for _, day in wanted}
    watch = Watch()
    found = []
    for amount, day in wanted:
        factor = table.factor(amount.asset.id, "GBP", times[day])
        assert isinstance(factor, Factor)
        found.append((factor, factor.convert(amount, pounds)))
    took = watch.lap() * 1000
    for (amount, day), (factor, result) in zip(wanted, found, strict=True):
        if result.units != exact(amount, day) or len(factor.facts) != 3:
            raise SystemExit(f"{amount} on {day} came to {result}")
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--assets", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with workplace() as folder:
        settings = Settings(data=folder / "data")
        with Finora.open(settings) as finora, open_engines(settings.data) as engines:
            scope = finora.scope(tenant="bench", user="bench")
            database = finora._opened.database
            with database.begin(scope) as work:
                for asset in range(given.assets):
                    work.assets.add(Asset(name(asset), 8))
                work.rates.add("bench", rates())
            path = folder / "prices.csv"
            rows = write(path, given.assets)
            watch, began = Watch(), time.process_time()
            with path.open("rb") as file:
                taken = finora.prices.import_file(scope, file, source="bench").prices
            load, load_own = watch.lap(), time.process_time() - began
            if taken.added != rows:
                raise SystemExit(f"{taken} of {rows}")
            peer = copied(engines.admin_dsn, given.assets)
            with psycopg.connect(engines.admin_dsn, autocommit=True) as connection:
                connection.execute("vacuum analyze")
                connection.execute("checkpoint")
            spread = {"10 days": asked(given.assets, 10), "1,000 days": asked(given.assets, 1_000)}
            figures = []
            for label, wanted in spread.items():
                memory = statistics.median(
                    in_memory(database, scope, wanted) for _ in range(given.rounds)
                )
                calls, own = [], []
                at = [(amount, midnight(day)) for amount, day in wanted]
                for _ in range(given.rounds):
                    watch, began = Watch(), time.process_time()
                    finora.prices.convert_all(scope, at, "GBP")
                    calls.append(watch.lap() * 1000)
                    own.append((time.process_time() - began) * 1000)
                with psycopg.connect(engines.postgres_dsn) as connection:
                    connection.execute("set role finora_api")
                    watch = Watch()
                    for amount, when in at:
                        connection.execute(_ONE, (amount.asset.id, when)).fetchone()
                    singly = watch.lap() * 1000
                called = statistics.median(calls), statistics.median(own)
                figures.append((label, memory, *called, singly))
            watch = Watch()
            with path.open("rb") as file:
                again = finora.prices.import_file(scope, file, source="bench").prices
            repeat = watch.lap()
            if (again.added, again.corrected, again.existing) != (0, 0, rows):
                raise SystemExit(f"taken again: {again}")
    show(
        ("taking in", "seconds", "of the limit", "of a plain COPY"),
        [(f"{rows:,} prices", load, load / LOAD_S * DAYS * 1000 / rows, load / peer),
         ("the same again", repeat, repeat / LOAD_S * DAYS * 1000 / rows, repeat / peer),
         ("plain COPY", peer, "", 1.0)],
    )  # fmt: skip
    print()
    show(
        ("10,000 conversions over", "in memory ms", "each ms", "one call ms", "of the limit",
         "own processor ms", "peer, only its first fact, ms"),
        [(label, memory, memory / _MANY, call, call / MANY_MS, own, singly)
         for label, memory, call, own, singly in figures],
    )  # fmt: skip
    finish(
        rows=rows,
        load_s=load,
        load_own_s=load_own,
        load_ratio_to_copy=load / peer,
        load_again_s=repeat,
        convert_ms=figures[-1][1] / _MANY,
        convert_ratio_to_limit=figures[-1][1] / _MANY / CONVERT_MS,
        memory_10000_ms=figures[0][1],
        call_10000_ms=figures[0][2],
        call_ratio_to_limit=figures[0][2] / MANY_MS,
        call_own_ms=figures[0][3],
        call_scattered_ms=figures[1][2],
        call_scattered_ratio_to_limit=figures[1][2] / MANY_MS,
        call_scattered_own_ms=figures[1][3],
    )


if __name__ == "__main__":
    main()
