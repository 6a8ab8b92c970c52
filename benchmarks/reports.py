"""How long reports take over many records.

    python benchmarks/reports.py --rows 1000000

One tenant of so many records over ten years; the profit and loss of a year, of a year that is cut
within months, and as of a closing; balance sheet and cash flow. Compared with a full scan.
"""

import argparse
import csv
import statistics
from collections.abc import Callable
from datetime import date
from pathlib import Path

from common import Watch, finish, lines, show, workplace
from sqlalchemy import create_engine, text

from finora import Finora, ImportRequest, Job, Scope, Settings
from finora_adapters.compose import connector
from finora_adapters.embedded import open_engines

LIMIT_MS = 300
SINCE, UNTIL = date(2023, 1, 1), date(2023, 12, 31)
_TOP = ("Household", "Food", "Travel", "Fun", "Health", "Work")
_SUB = ("Rent", "Market", "Rail", "Books", "Gym")


def filled(finora: Finora, folder: Path, rows: int) -> Scope:
    """Books whose lines have thirty categories."""
    scope = finora.scope(tenant=f"rows-{rows}", user="bench")
    path = folder / "lines.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("Date", "Amount", "Description", "Counterparty", "Category"))
        for number, line in enumerate(lines(rows)):
            category = f"{_TOP[number % 6]}:{_SUB[number % 5]}"
            writer.writerow((line.day, line.amount, line.description, line.counterparty, category))
    asked = ImportRequest(account="Giro", currency="EUR")
    result = finora.import_file(scope, path, asked)
    if isinstance(result, Job):
        raise SystemExit(f"the import was refused: {result.message}")
    path.unlink()
    return scope


def median_ms(act: Callable[[], object], times: int) -> float:
    found = []
    for _ in range(times + 2):
        watch = Watch()
        act()
        found.append(watch.lap() * 1000)
    return statistics.median(found[2:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--reads", type=int, default=15)
    asked = parser.parse_args()
    with workplace() as folder:
        settings = Settings(data=folder / "data")
        with Finora.open(settings) as finora, open_engines(settings.data) as engines:
            admin = create_engine("postgresql+psycopg://", creator=connector(engines.admin_dsn))
            scope = filled(finora, folder, asked.rows)
            with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("vacuum analyze"))
            number = finora.closings.close(scope, UNTIL).number
            reports = finora.reports
            year = reports.profit_and_loss(scope, SINCE, UNTIL)
            [result] = year.assets
            assert len(result.lines) == 36
            acts: dict[str, Callable[[], object]] = {
                "profit and loss of a year": lambda: reports.profit_and_loss(scope, SINCE, UNTIL),
                "cut within months": lambda: reports.profit_and_loss(
                    scope, date(2022, 12, 15), date(2023, 12, 14)
                ),
                "as of a closing": lambda: reports.profit_and_loss(
                    scope, SINCE, UNTIL, closing=number
                ),
                "balance sheet": lambda: reports.balance_sheet(scope, UNTIL),
                "cash flow": lambda: reports.cash_flow(scope, SINCE, UNTIL),
            }
            figures = {name: median_ms(act, asked.reads) for name, act in acts.items()}
            admin.dispose()
    show(
        ("report", "ms", "of the limit"),
        [(name, ms, ms / LIMIT_MS) for name, ms in figures.items()],
    )
    finish(
        rows=asked.rows,
        pnl_year_ms=figures["profit and loss of a year"],
        ratio_to_limit=figures["profit and loss of a year"] / LIMIT_MS,
        **{name.replace(" ", "_") + "_ms": ms for name, ms in figures.items()},
    )


if __name__ == "__main__":
    main()
