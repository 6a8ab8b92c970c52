"""How long each level of an explanation takes, and that it does not grow with the history.

    python benchmarks/explain.py --rows 10000 1000000

Each size is imported into a tenant of its own and every third line gets one of forty categories. A
year's spending is then explained: by category, by month, by posting; and what is held, by account
and by month. Beside each level stands a full scan of that year's records, which gives the sum
alone.
"""

import argparse
import statistics
from collections.abc import Callable
from datetime import date
from functools import partial

from common import LAST_DAY, Watch, finish, show, workplace
from sqlalchemy import create_engine, text
from wallet import imported

from finora import Finora, Settings
from finora_adapters.compose import connector, warrants_of
from finora_adapters.embedded import open_engines
from finora_core.insights.explain.model import Direction, Figure

LIMIT_MS = 200.0
YEAR = date(LAST_DAY.year, 1, 1)
_LABEL = text("""
insert into finora.label (tenant_id, entry_id, number, category, source, set_by)
select r.tenant_id, r.entry_id, coalesce(l.number, 0) + 1,
  'Group ' || (n % 8) || chr(58) || 'Name ' || (n % 40), 'human', r.tenant_id
from (select *, row_number() over (order by id) as n from finora.record
  where tenant_id = :tenant and entry_id is not null) r
left join lateral (select number from finora.label l where l.tenant_id = r.tenant_id
  and l.entry_id = r.entry_id order by number desc limit 1) l on true
where n % 3 = 0
""")
_SCAN = text("""
select sum(units) from finora.record
where tenant_id = :tenant and entry_id is not null and units < 0 and on_date >= :since
""")


def median(call: Callable[[], object], reads: int) -> float:
    times = []
    for _ in range(reads + 3):
        watch = Watch()
        call()
        times.append(watch.lap() * 1000)
    return statistics.median(times[3:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--reads", type=int, default=30)
    asked = parser.parse_args()
    spent = Figure(asset="EUR", since=YEAR, until=LAST_DAY, direction=Direction.OUT)
    group = Figure(asset="EUR", since=YEAR, until=LAST_DAY, direction=Direction.OUT,
                   category="Group 0:Name 0")  # fmt: skip
    month = Figure(asset="EUR", since=LAST_DAY.replace(day=1), until=LAST_DAY,
                   direction=Direction.OUT, category="Group 0:Name 0")  # fmt: skip
    held = Figure(asset="EUR", until=LAST_DAY)
    levels = {"by category": spent, "by month": group, "by posting": month, "held": held}
    rows = []
    with workplace() as folder:
        settings = Settings(data=folder / "data")
        with Finora.open(settings) as finora, open_engines(settings.data) as engines:
            admin = create_engine("postgresql+psycopg://", creator=connector(engines.admin_dsn))
            for count in asked.rows:
                scope = imported(finora, folder, count)
                with admin.begin() as connection:
                    # The triggers' owner sees the rows of the tenant that is set, as everybody.
                    warrants_of(settings).be(connection, scope.tenant_id, scope.user_id)
                    connection.execute(_LABEL, {"tenant": scope.tenant_id})
                with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.execute(text("vacuum analyze"))
                    connection.execute(text("checkpoint"))
                    watch = Watch()
                    connection.execute(_SCAN, {"tenant": scope.tenant_id, "since": YEAR}).all()
                    scan = watch.lap() * 1000
                for name, figure in levels.items():
                    ms = median(partial(finora.explain.explain, scope, figure), asked.reads)
                    rows.append((f"{count:,}", name, ms, ms / LIMIT_MS, scan))
            admin.dispose()
    show(("records", "level", "ms", "of the limit", "full scan ms"), rows)
    worst = max(ms for _, _, ms, _, _ in rows)
    finish(rows=asked.rows[-1], slowest_ms=worst, ratio_to_limit=worst / LIMIT_MS)


if __name__ == "__main__":
    main()
