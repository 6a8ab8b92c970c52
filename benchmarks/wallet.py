"""How long the wallet's summary takes, and that it does not grow with the history.

    python benchmarks/wallet.py --rows 10000 100000 1000000

Each size is imported into a tenant of its own; the summary is read from one warm thread, as of the
last day of the data, and compared with the same figures by a full scan of the records. First the
server tidies up after the import, which it would else do by itself in the midst of the reads.
"""

import argparse
import statistics
from pathlib import Path

from common import LAST_DAY, Watch, finish, lines, show, workplace, write_csv
from sqlalchemy import create_engine, text

from finora import Finora, ImportRequest, Job, Scope, Settings
from finora_adapters.compose import connector
from finora_adapters.embedded import open_engines

LIMIT_MS = 2.0
_SCAN = text("""
select date_trunc('month', on_date), units > 0, sum(units) from finora.record
where tenant_id = :tenant and entry_id is not null group by 1, 2
""")


def imported(finora: Finora, folder: Path, rows: int) -> Scope:
    scope = finora.scope(tenant=f"rows-{rows}", user="bench")
    path = folder / f"{rows}.csv"
    write_csv(path, lines(rows))
    result = finora.import_file(scope, path, ImportRequest(account="Giro", currency="EUR"))
    if isinstance(result, Job):
        raise SystemExit(f"the import was refused: {result.message}")
    path.unlink()
    return scope


def summaries(finora: Finora, scope: Scope, reads: int) -> float:
    """Median milliseconds of a summary."""
    times = []
    for _ in range(reads + 20):
        watch = Watch()
        finora.wallet.summary(scope, today=LAST_DAY)
        times.append(watch.lap() * 1000)
    return statistics.median(times[20:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--reads", type=int, default=300)
    asked = parser.parse_args()
    with workplace() as folder:
        settings = Settings(data=folder / "data")
        with Finora.open(settings) as finora, open_engines(settings.data) as engines:
            admin = create_engine("postgresql+psycopg://", creator=connector(engines.admin_dsn))
            figures = []
            for rows in asked.rows:
                scope = imported(finora, folder, rows)
                with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.execute(text("vacuum analyze"))
                    connection.execute(text("checkpoint"))
                    watch = Watch()
                    connection.execute(_SCAN, {"tenant": scope.tenant_id}).all()
                    scan = watch.lap() * 1000
                figures.append((rows, summaries(finora, scope, asked.reads), scan))
            admin.dispose()
    first = figures[0][1]
    show(
        ("records", "summary ms", "of the limit", "of the smallest", "full scan ms"),
        [(f"{rows:,}", ms, ms / LIMIT_MS, ms / first, scan) for rows, ms, scan in figures],
    )
    finish(
        rows=figures[-1][0],
        summary_p50_ms=figures[-1][1],
        ratio_to_limit=figures[-1][1] / LIMIT_MS,
        ratio_to_smallest=figures[-1][1] / first,
        full_scan_ms=figures[-1][2],
    )


if __name__ == "__main__":
    main()
