"""How long an import takes, against a bare COPY of its outcome and two readers of journals.

    python benchmarks/import.py --rows 1000000

A CSV of made-up lines is imported through the public surface by a process that does nothing else,
then once more. The floor is a superuser's COPY of the very rows that are then in the books, into a
second database of the same server with the same keys, indexes and triggers, in one transaction.
hledger and beancount read the first `--peer-rows` of the same lines, and keep nothing.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import attrs
import psycopg
from common import Line, Watch, finish, lines, show, workplace, write_csv
from psycopg import Connection, sql
from psycopg.conninfo import make_conninfo
from sqlalchemy import create_engine

from finora import Finora, ImportRequest, Job, Settings
from finora_adapters.compose import connector
from finora_adapters.embedded import open_engines
from finora_adapters.postgres.migrate import migrate
from finora_adapters.postgres.statements import WORK_MEM

ACCOUNT, CURRENCY = "Giro", "EUR"
TABLES = ("entry", "posting", "record")
LOADER = """
import sys
from beancount import loader
entries, errors, options = loader.load_file(sys.argv[1])
short = errors or len(entries) < int(sys.argv[2])
sys.exit(f"{len(entries)} entries, {errors[:1]}" if short else 0)
"""


class Wrong(Exception):
    """What was measured did not do what it should have done."""


def check(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise Wrong(f"{what}: {found}, not {wanted}")


# --- Finora, in a process of its own -------------------------------------------------------------


@attrs.frozen
class Imported:
    seconds: float
    whole_s: float
    """With the start of the process and the opening of the books."""
    before_mb: float
    peak_mb: float


def resident_peak() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def child(data: Path, file: Path, tenant: str) -> None:
    """Only import, and say what it took."""
    with Finora.open(Settings(data=data)) as finora:
        scope = finora.scope(tenant=tenant, user="bench")
        before, watch = resident_peak(), Watch()
        asked = ImportRequest(account=ACCOUNT, currency=CURRENCY)
        result = finora.import_file(scope, file, asked)
        seconds = watch.lap()
        if isinstance(result, Job):
            raise Wrong(f"the import ended as {result.state}: {result.reason} {result.message}")
        peak = resident_peak()
        (giro,) = (b for b in finora.ledger.balances(scope) if b.account.name == ACCOUNT)
        kept = {key: result[key] for key in ("read", "added", "existing", "set_aside_count")}
        said = {"seconds": seconds, "before": before, "peak": peak, "balance": giro.amount.units}
        print(json.dumps(kept | said))


def import_once(
    data: Path, file: Path, tenant: str, rows: int, cents: int, *, again: bool = False
) -> Imported:
    watch = Watch()
    command = [sys.executable, __file__, "--child", str(data), str(file), tenant]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    whole = watch.lap()
    said = json.loads(done.stdout)
    counts = [said[key] for key in ("read", "added", "existing", "set_aside_count")]
    check(counts, [rows, 0, rows, 0] if again else [rows, rows, 0, 0], "counts of the import")
    check(said["balance"], cents, "the balance")
    return Imported(said["seconds"], whole, said["before"], said["peak"])


# --- the floor -----------------------------------------------------------------------------------


def columns_of(connection: Connection, table: str) -> sql.Composed:
    """All but the transaction's id, which is the database's to give."""
    found = connection.execute(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 "
        "and not attisdropped and attgenerated = '' and attname <> 'tx' order by attnum",
        [f"finora.{table}"],
    )
    return sql.SQL(", ").join(sql.Identifier(name) for (name,) in found)


def dump(source: Connection, table: str, tenant: str, folder: Path) -> Path:
    """The tenant's rows of a table, in the order of their file, as COPY reads them."""
    order = sql.SQL({"posting": "entry_id, line", "entry": "id", "record": "id"}.get(table, "1"))
    query = sql.SQL(
        "copy (select {} from {} where tenant_id = {} order by {}) to stdout"
    ).format(
        columns_of(source, table), sql.Identifier("finora", table), sql.Literal(tenant), order
    )  # fmt: skip
    path = folder / f"{table}.copy"
    with path.open("wb") as file, source.cursor().copy(query) as rows:
        for block in rows:
            file.write(block)
    return path


def copy_in(target: Connection, table: str, path: Path) -> None:
    query = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier("finora", table), columns_of(target, table)
    )
    with path.open("rb") as file, target.cursor().copy(query) as copy:
        while block := file.read(1 << 20):
            copy.write(block)


def books(connection: Connection, tenant: str) -> list[Any]:
    """Balances and totals: what the triggers made of the rows."""
    query = (
        "select account_id::text, asset, 'balance', units, 0 from finora.balance "
        "where tenant_id = %(tenant)s union all "
        "select account_id::text, month::text || category, direction, units, postings "
        "from finora.total where tenant_id = %(tenant)s order by 1, 2, 3"
    )
    return connection.execute(query, {"tenant": tenant}).fetchall()


def floor(admin_dsn: str, tenant_key: str, folder: Path) -> float:
    """Seconds to COPY the tenant's rows into the tables of a database made for it."""
    with psycopg.connect(admin_dsn, autocommit=True) as source:
        found = source.execute("select tenant_id::text from finora.tenant where key = %s",
                               [tenant_key]).fetchone()  # fmt: skip
        assert found is not None
        tenant = found[0]
        dumped = {name: dump(source, name, tenant, folder) for name in ("tenant", "account")}
        dumped |= {name: dump(source, name, tenant, folder) for name in TABLES}
        wanted = books(source, tenant)
        source.execute("create database floor")
    dsn = make_conninfo(admin_dsn, dbname="floor")
    engine = create_engine("postgresql+psycopg://", creator=connector(dsn))
    migrate(engine, "finora_app")
    engine.dispose()
    with psycopg.connect(dsn) as target:
        for name in ("tenant", "account"):
            copy_in(target, name, dumped[name])
    with psycopg.connect(dsn, autocommit=True) as target:
        target.execute("checkpoint")
        watch = Watch()
        with target.transaction():
            # The triggers run as the owner, whom row security binds; and with an import's memory.
            target.execute("select set_config('finora.tenant', %s, true)", [tenant])
            target.execute("select set_config('work_mem', %s, true)", [WORK_MEM])
            for name in TABLES:
                copy_in(target, name, dumped[name])
        seconds = watch.lap()
        check(books(target, tenant), wanted, "balances and totals of the floor")
    return seconds


# --- the peers -----------------------------------------------------------------------------------


def write_hledger(path: Path, some: Sequence[Line]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for x in some:
            file.write(
                f"{x.day} * {x.counterparty} | {x.description}\n"
                f"    Assets:Giro  {x.amount} EUR\n    Equity:Outside  {x.negative} EUR\n\n"
            )


def write_beancount(path: Path, some: Sequence[Line]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"2000-01-01 open {name}\n" for name in ("Assets:Giro", "Equity:Outside"))
        for x in some:
            file.write(
                f'\n{x.day} * "{x.counterparty}" "{x.description}"\n'
                f"  Assets:Giro  {x.amount} EUR\n  Equity:Outside  {x.negative} EUR\n"
            )


def time_hledger(folder: Path, some: Sequence[Line], cents: int) -> float | None:
    if shutil.which("hledger") is None:
        print("hledger is not installed (apt-get install hledger): no figure for it")
        return None
    journal = folder / "peer.journal"
    write_hledger(journal, some)
    watch = Watch()
    done = subprocess.run(
        ["hledger", "-f", str(journal), "bal", "-O", "csv"],
        env=os.environ | {"LC_ALL": "C.UTF-8"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds = watch.lap()
    said = done.stdout.partition('"Assets:Giro","')[2].partition(" EUR")[0]
    check(round(float(said) * 100), cents, "hledger's balance")
    return seconds


def time_beancount(folder: Path, some: Sequence[Line]) -> float | None:
    path = folder / "peer.beancount"
    write_beancount(path, some)
    watch = Watch()
    done = subprocess.run(
        [sys.executable, "-c", LOADER, str(path), str(len(some))],
        # Only reading is measured, not writing its cache of what was read.
        env=os.environ | {"BEANCOUNT_DISABLE_LOAD_CACHE": "1"}, stderr=subprocess.PIPE, text=True,
        check=False,
    )  # fmt: skip
    if "No module named" in done.stderr:
        print("beancount is not installed (pip install beancount): no figure for it")
        return None
    check((done.returncode, done.stderr), (0, ""), "beancount")
    return watch.lap()


# --- one round -----------------------------------------------------------------------------------


def one_round(rows: int, peer_rows: int) -> dict[str, float | None]:
    with workplace() as folder:
        data, file, few = folder / "data", folder / "statement.csv", folder / "few.csv"
        write_csv(file, lines(rows))
        some = list(islice(lines(rows), peer_rows))
        write_csv(few, some)
        cents, few_cents = (sum(x.cents for x in y) for y in (lines(rows), some))
        with open_engines(data) as engines:
            Finora.open(Settings(data=data)).close()
            with psycopg.connect(engines.admin_dsn, autocommit=True) as admin:
                admin.execute("checkpoint")
                first = import_once(data, file, "big", rows, cents)
                admin.execute("checkpoint")
                again = import_once(data, file, "big", rows, cents, again=True)
                copied = floor(engines.admin_dsn, "big", folder)
                admin.execute("checkpoint")
            ours = import_once(data, few, "few", len(some), few_cents)
            hledger, beancount = time_hledger(folder, some, few_cents), time_beancount(folder, some)
    return {
        "import_s": first.seconds,
        "copy_s": copied,
        "ratio_to_copy": first.seconds / copied,
        "reimport_s": again.seconds,
        "reimport_ratio": again.seconds / first.seconds,
        "start_rss_mb": first.before_mb,
        "peak_rss_mb": max(first.peak_mb, again.peak_mb),
        "finora_peer_s": ours.whole_s,
        "hledger_s": hledger,
        "ratio_to_hledger": hledger and hledger / ours.whole_s,
        "beancount_s": beancount,
        "ratio_to_beancount": beancount and beancount / ours.whole_s,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000, help="lines to import (100,000)")
    parser.add_argument("--peer-rows", type=int, default=100_000,
                        help="how many of them the peers read (at most --rows)")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=1,
                        help="on a new server each; medians are shown (1)")  # fmt: skip
    parser.add_argument("--child", nargs=3, metavar=("DATA", "FILE", "TENANT"),
                        help=argparse.SUPPRESS)  # fmt: skip
    asked = parser.parse_args()
    if asked.child:
        child(Path(asked.child[0]), Path(asked.child[1]), asked.child[2])
        return
    if min(asked.rows, asked.peer_rows, asked.rounds) < 1:
        parser.error("--rows, --peer-rows and --rounds are at least 1")
    peer_rows = min(asked.rows, asked.peer_rows)
    rounds = [one_round(asked.rows, peer_rows) for _ in range(asked.rounds)]
    # `None` is a peer that is not installed, in every round alike.
    figures = {
        key: None if value is None else statistics.median(one[key] for one in rounds)
        for key, value in rounds[0].items()
    }
    show(
        ("what", "rows", "seconds", "Finora is"),
        [
            ("COPY of the finished rows", asked.rows, figures["copy_s"],
             f"{figures['ratio_to_copy']:.2f} x its time"),
            ("import, first time", asked.rows, figures["import_s"], ""),
            ("import, once more", asked.rows, figures["reimport_s"],
             f"{figures['reimport_ratio']:.2f} x the first"),
            ("whole process of an import", peer_rows, figures["finora_peer_s"], ""),
            ("hledger bal", peer_rows, figures["hledger_s"],
             times_faster(figures["ratio_to_hledger"])),
            ("beancount load", peer_rows, figures["beancount_s"],
             times_faster(figures["ratio_to_beancount"])),
        ],
    )  # fmt: skip
    print(f"peak of the importing process {figures['peak_rss_mb']:.0f} MB resident, "
          f"{figures['start_rss_mb']:.0f} MB of it before it imports")  # fmt: skip
    finish(rows=asked.rows, peer_rows=peer_rows, rounds=asked.rounds, **figures)


def times_faster(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f} x faster"


if __name__ == "__main__":
    main()
