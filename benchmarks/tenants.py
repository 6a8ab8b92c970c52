"""What a tenant costs among ten and among a hundred thousand.

    python benchmarks/tenants.py --tenants 10 100 1000 10000

Tenants with a few records each are written by set-based SQL past the triggers, with the balances
and totals that the triggers would keep; the invariants are checked at the smallest size. Then what
a person does is timed through the library, in tenants drawn by chance, and the claim of one job
among as many waiting ones as there are tenants.
"""

import argparse
import random
import statistics
from collections.abc import Callable
from datetime import date
from uuid import UUID

import attrs
from common import Watch, finish, show, workplace
from sqlalchemy import Engine, create_engine, text

from finora import Amount, Finora, Posting, Settings, currency
from finora_adapters.compose import connector
from finora_adapters.embedded import open_engines
from finora_adapters.postgres.invariants import violations
from finora_core.kernel.scope import Scope

RECORDS = 20
TODAY = date(2026, 1, 28)

# `t` is the new tenants: number, tenant, person and account ids. All ids follow from the number.
_FILL = [
    "set local session_replication_role = replica",
    """create temp table t on commit drop as
    select n, md5('tenant' || n)::uuid as tenant_id, md5('person' || n)::uuid as user_id,
      md5('cash' || n)::uuid as cash, md5('outside' || n)::uuid as outside
    from generate_series(cast(:first as int), cast(:last as int)) n""",
    "insert into finora.tenant (tenant_id, key) select tenant_id, 'bench ' || n from t",
    "insert into finora.person (user_id, key) select user_id, 'bench ' || n from t",
    "insert into finora.membership (tenant_id, user_id) select tenant_id, user_id from t",
    "insert into finora.version (tenant_id, number) select tenant_id, 1 from t",
    """insert into finora.account (tenant_id, id, name, kind, normal)
    select tenant_id, cash, 'Giro', 'asset', 1 from t
    union all select tenant_id, outside, 'Outside', 'outside', 1 from t""",
    """create temp table e on commit drop as
    select t.*, r, md5('entry' || n || ' ' || r)::uuid as entry_id,
      date '2026-01-01' + (r % 28) as on_date,
      case when r % 5 = 0 then 100000 else -(100 + (n * 31 + r * 17) % 9000) end as units
    from t, generate_series(1, :records) r""",
    """insert into finora.entry (tenant_id, id, on_date, cause)
    select tenant_id, entry_id, on_date, 'bench' from e""",
    """insert into finora.posting (tenant_id, entry_id, line, account_id, asset, units, on_date)
    select tenant_id, entry_id, 1, cash, 'EUR', units, on_date from e
    union all select tenant_id, entry_id, 2, outside, 'EUR', -units, on_date from e""",
    """insert into finora.record (tenant_id, id, received_account_id, identity, occurrence, place,
      source, account_id, on_date, units, asset, description, merchant_key, bank_state, entry_id)
    select tenant_id, md5('record' || n || ' ' || r)::uuid, cash, md5(entry_id::text)::uuid, 1, r,
      'csv', cash, on_date, units, 'EUR', 'CARD PAYMENT ' || r, 'bench', 'booked', entry_id
    from e""",
    """insert into finora.balance (tenant_id, account_id, asset, units, normal)
    select tenant_id, cash, 'EUR', sum(units), 1 from e group by 1, 2
    union all select tenant_id, outside, 'EUR', -sum(units), 1 from e group by 1, 2""",
    """insert into finora.total (tenant_id, month, account_id, asset, category, direction, units,
      postings)
    select tenant_id, date_trunc('month', on_date)::date, cash, 'EUR', '',
      finora.direction('flow', units, null), sum(units), count(*)
    from e group by 1, 2, 3, 6""",
    """insert into finora.event (tenant_id, id, type, payload, actor, request_id)
    select tenant_id, md5('event' || n)::uuid, 'bench', '{}', user_id, 'bench' from t""",
    """insert into finora.job (tenant_id, id, name, queue, event_id, user_id, request_id, payload,
      max_attempts)
    select tenant_id, md5('job' || n)::uuid, 'bench', 'bench', md5('event' || n)::uuid, user_id,
      'bench', '{}', 1000 from t""",
]
_BATCH = 5_000


@attrs.frozen
class Figures:
    tenants: int
    summary_ms: float
    page_ms: float
    post_ms: float
    claim_ms: float
    kilobytes: float
    """of tables and indexes, a tenant"""


def fill(admin: Engine, first: int, last: int) -> None:
    for start in range(first, last + 1, _BATCH):
        values = {"first": start, "last": min(last, start + _BATCH - 1), "records": RECORDS}
        with admin.begin() as connection:
            for statement in _FILL:
                connection.execute(text(statement), values if ":" in statement else {})
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("vacuum analyze"))


def size(admin: Engine) -> int:
    query = text(
        "select sum(pg_total_relation_size(c.oid)) from pg_class c "
        "where c.relnamespace = 'finora'::regnamespace and c.relkind = 'r'"
    )
    with admin.connect() as connection:
        return int(connection.scalar(query) or 0)


def median(times: int, act: Callable[[], object]) -> float:
    """Milliseconds; the first tenth only warms up."""
    found = []
    for number in range(times + times // 10):
        watch = Watch()
        act()
        if number >= times // 10:
            found.append(watch.lap() * 1000)
    return statistics.median(found)


def measure(finora: Finora, admin: Engine, tenants: int, times: int, empty: int) -> Figures:
    chance = random.Random(tenants)
    with admin.connect() as connection:
        rows = connection.execute(
            text(
                "select md5('tenant' || n)::uuid as tenant_id, md5('person' || n)::uuid as user_id,"
                " md5('cash' || n)::uuid as cash, md5('outside' || n)::uuid as outside "
                "from generate_series(1, :tenants) n"
            ),
            {"tenants": tenants},
        ).all()
    euro = Amount(123, currency("EUR"))

    def scope() -> tuple[Scope, UUID, UUID]:
        row = chance.choice(rows)
        made = Scope(tenant_id=row.tenant_id, user_id=row.user_id, request_id="bench")
        return made, row.cash, row.outside

    def post() -> None:
        mine, cash, outside = scope()
        finora.ledger.post(mine, [Posting(cash, euro), Posting(outside, -euro)], on_date=TODAY)

    def claim() -> None:
        [job] = finora.queue.claim(1)
        finora.queue.release(job)

    kilobytes = (size(admin) - empty) / tenants / 1024
    return Figures(
        tenants,
        median(times, lambda: finora.wallet.summary(scope()[0], today=TODAY)),
        median(times, lambda: finora.records.list(scope()[0])),
        median(times, post),
        median(times, claim),
        kilobytes,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tenants", type=int, nargs="+", default=[10, 100, 1_000, 10_000])
    parser.add_argument("--times", type=int, default=300)
    asked = parser.parse_args()
    with workplace() as folder:
        settings = Settings(data=folder / "data")
        with Finora.open(settings) as finora, open_engines(settings.data) as engines:
            admin = create_engine("postgresql+psycopg://", creator=connector(engines.admin_dsn))
            figures, there, empty = [], 0, size(admin)
            for tenants in sorted(asked.tenants):
                fill(admin, there + 1, tenants)
                if there == 0:
                    with admin.connect() as connection:
                        assert violations(connection) == []
                figures.append(measure(finora, admin, tenants, asked.times, empty))
                there = tenants
            admin.dispose()
    show(
        ("tenants", "summary ms", "records ms", "post ms", "claim ms", "KB a tenant"),
        [(f"{each.tenants:,}", *attrs.astuple(each)[1:]) for each in figures],
    )
    first, last = figures[0], figures[-1]
    finish(
        tenants=last.tenants,
        records_per_tenant=RECORDS,
        summary_ms=last.summary_ms,
        records_ms=last.page_ms,
        post_ms=last.post_ms,
        claim_ms=last.claim_ms,
        kb_per_tenant=last.kilobytes,
        summary_ratio_to_smallest=last.summary_ms / first.summary_ms,
        post_ratio_to_smallest=last.post_ms / first.post_ms,
        claim_ratio_to_smallest=last.claim_ms / first.claim_ms,
    )


if __name__ == "__main__":
    main()
