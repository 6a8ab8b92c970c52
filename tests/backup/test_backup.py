"""Out into one file, gone, and back: the same books, under the same rules, or nothing at all."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import create_engine, text

from finora import Amount, Finora, Posting, Settings, currency
from finora.commands.demo import HOUSEHOLD
from finora_adapters import archive
from finora_adapters.compose import connector
from finora_adapters.embedded import Engines, open_engines
from finora_adapters.postgres import dump, migrate
from finora_adapters.postgres.invariants import violations
from finora_adapters.postgres.tenants import UPKEEP
from finora_core.kernel.errors import Refusal
from folders import short_folder

DOCS = Path(__file__).parents[2] / "docs"
LIVELY = 30.0
# What another server counts for itself, and what must not come back.
MOVED = {"event": ["tx"], "entry": ["tx"], "seal": ["tx"], "seal_mark": ["below"],
         "version": ["number"],
         # Of the installation that restores, not of the one that was backed up.
         "warrant_key": ["inner_pad", "outer_pad"]}  # fmt: skip

Run = Callable[..., subprocess.CompletedProcess[str]]


def start(*arguments: str, **env: str) -> "subprocess.Popen[str]":
    clean = {key: value for key, value in os.environ.items() if not key.startswith("FINORA_")}
    return subprocess.Popen(
        [sys.executable, "-m", "finora", *arguments],
        text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=clean | env,
    )  # fmt: skip


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    process = start(*arguments, **env)
    out, err = process.communicate(timeout=90)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def done(*arguments: str, **env: str) -> Any:
    """What the command answers in JSON."""
    finished = run(*arguments, "--json", **env)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return json.loads(finished.stdout)


def refused(*arguments: str, **env: str) -> str:
    """The code with which the command refuses."""
    finished = run(*arguments, "--json", **env)
    assert finished.returncode == 1, finished.stdout + finished.stderr
    return str(json.loads(finished.stdout)["error"]["code"])


@pytest.fixture
def place() -> Iterator[Path]:
    with short_folder("finora-b-") as folder:
        yield folder


@pytest.fixture(scope="module")
def kept() -> Iterator[tuple[Path, Path]]:
    """A data folder with books of two tenants, stopped, and a backup of it."""
    with short_folder("finora-k-") as folder:
        data, file = folder / "data", folder / "books.finora"
        with Finora.open(Settings(data=data, env="test")) as finora:
            fill(finora)
        done("backup", str(file), "--data", str(data))
        yield data, file


def fill(finora: Finora) -> None:
    for name in ("acme", "rival"):
        scope = finora.scope(tenant=name, user="u1")
        for path in sorted(HOUSEHOLD.iterdir())[: 9 if name == "acme" else 2]:
            if path.is_file():
                finora.import_file(scope, path)
        a, b = (finora.ledger.open_account(scope, each).id for each in "AB")
        finora.ledger.post(scope, [Posting(a, eur(5)), Posting(b, -eur(5))])
        finora.tokens.create(scope, "of a program")
    finora.run_jobs()
    # Not sealed yet when the backup is made.
    scope = finora.scope(tenant="acme", user="u1")
    finora.ledger.post(scope, pair(finora, scope))


def pair(finora: Finora, scope: Any) -> list[Posting]:
    by_name = {account.name: account.id for account in finora.ledger.accounts(scope)}
    return [Posting(by_name["A"], eur(1)), Posting(by_name["B"], -eur(1))]


def eur(units: int) -> Amount:
    return Amount(units, currency("EUR"))


def content(dsn: str) -> dict[str, tuple[int, str]]:
    """Every table: how many rows, and the digest of all of them."""
    found = {}
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "select relname from pg_class where relkind = 'r' and "
            "relnamespace = 'finora'::regnamespace order by 1"
        ).fetchall()
        for (table,) in tables:
            moved = MOVED.get(table, [])
            rows = connection.execute(
                sql.SQL("select (to_jsonb(t) - %s::text[])::text as row from {} t order by 1")
                .format(sql.Identifier("finora", table)),
                [moved],
            ).fetchall()  # fmt: skip
            lines = "\n".join(row for (row,) in rows)
            found[table] = len(rows), hashlib.sha256(lines.encode()).hexdigest()
    return found


def files(data: Path) -> dict[str, bytes]:
    root = data / "files"
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def order(dsn: str) -> list[Any]:
    """Who came before whom: of each tenant's events, entries and seal, by transaction."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            "select tenant_id, kind, id, dense_rank() over (partition by tenant_id order by tx) "
            "from (select tenant_id, 'event' as kind, id, tx from finora.event "
            "union all select tenant_id, 'entry', id, tx from finora.entry "
            "union all select tenant_id, 'seal', event_id, tx from finora.seal) t order by 1, 2, 3"
        ).fetchall()


@pytest.mark.spec("S2-60")
@pytest.mark.invariant("F-30")
def test_dumped_wiped_and_restored_they_are_the_same(kept: tuple[Path, Path], place: Path) -> None:
    original, _ = kept
    data, file = place / "data", place / "b"
    subprocess.run(["cp", "-a", original, data], check=True)
    with open_engines(data) as engines:
        before, in_order = content(engines.admin_dsn), order(engines.admin_dsn)
        made = done("backup", str(file), "--data", str(data))
    assert made["rows"] == sum(count for count, _ in before.values()) > 300
    assert made["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    kept_files = files(data)
    assert made["files"] == len(kept_files) > 5
    shutil.rmtree(data)

    restored = done("restore", str(file), "--data", str(data))
    assert (restored["rows"], restored["files"]) == (made["rows"], made["files"])
    with open_engines(data) as engines:
        assert content(engines.admin_dsn) == before
        assert order(engines.admin_dsn) == in_order
    assert files(data) == kept_files

    with Finora.open(Settings(data=data, env="test")) as finora:
        goes_on(finora)
    doctor = done("doctor", "--data", str(data))
    assert doctor["well"], doctor


def goes_on(finora: Finora) -> None:
    """Restored books are written, sealed and kept apart as before."""
    scope, rival = (finora.scope(tenant=name, user="u1") for name in ("acme", "rival"))
    finora.ledger.post(scope, pair(finora, scope))
    finora.run_jobs()
    with open_engines(finora.settings.data) as engines, psycopg.connect(engines.admin_dsn) as admin:
        unsealed = admin.execute(
            "select count(*) from finora.event e where not exists (select from finora.seal s "
            "where s.tenant_id = e.tenant_id and s.event_id = e.id)"
        ).fetchone()
        assert unsealed == (0,)
    assert finora.auditor.verify().whole
    mine, theirs = (
        {account.id for account in finora.ledger.accounts(each)} for each in (scope, rival)
    )
    assert mine and theirs and not mine & theirs
    assert finora.import_file(scope, next(iter(sorted(HOUSEHOLD.glob("*.ofx")))))


@pytest.mark.invariant("F-30")
def test_books_of_a_server_that_was_further_go_on_where_they_are(
    kept: tuple[Path, Path], place: Path
) -> None:
    """Transaction numbers of a busy server lie ahead of a new one's; its events are sealed all the
    same, in the same order, and what is asked of a place of the seal stays what it was."""
    original, _ = kept
    data, file = place / "data", place / "b"
    subprocess.run(["cp", "-a", original, data], check=True)
    with Finora.open(Settings(data=data, env="test")) as finora:
        scope = finora.scope(tenant="acme", user="u1")
        lines = "".join(f"2026-01-{1 + n % 28:02},-1.{n % 100:02},EUR,{n}\n" for n in range(2500))
        (place / "many.csv").write_text(f"Date,Amount,Currency,Text\n{lines}")
        finora.import_file(scope, place / "many.csv", name="many.csv", request=request())
        finora.run_jobs()
        finora.ledger.post(scope, pair(finora, scope))
        with open_engines(data) as engines, psycopg.connect(engines.admin_dsn) as admin:
            admin.execute("set session_replication_role = replica")
            # As if each entry had been written by itself, on a server that had seen a lot.
            admin.execute(
                "update finora.entry e set tx = (e.tx::text::bigint + n)::text::xid8 from "
                "(select tenant_id, id, row_number() over (order by on_date) as n "
                "from finora.entry) r where r.tenant_id = e.tenant_id and r.id = e.id"
            )
            for table, column in (("event", "tx"), ("entry", "tx"), ("seal", "tx"),
                                  ("seal_mark", "below")):  # fmt: skip
                admin.execute(
                    sql.SQL("update {} set {c} = ({c}::text::bigint * 10000 + 5000000000)"
                            "::text::xid8")
                    .format(sql.Identifier("finora", table), c=sql.Identifier(column))
                )  # fmt: skip
        last = finora_seal(data)
        figures = finora.ledger.trial_balance(scope, at_seal=last)
    with open_engines(data) as engines:
        before = order(engines.admin_dsn)
        done("backup", str(file), "--data", str(data))
    done("restore", str(file), "--data", str(place / "new"))
    with open_engines(place / "new") as engines:
        assert order(engines.admin_dsn) == before
        with psycopg.connect(engines.admin_dsn) as admin:
            ahead = admin.execute(
                "select count(*) from finora.entry where tx >= pg_current_xact_id()"
            ).fetchone()
            assert ahead == (0,)
        with Finora.open(Settings(data=place / "new", env="test")) as finora:
            scope = finora.scope(tenant="acme", user="u1")
            assert finora.ledger.trial_balance(scope, at_seal=last) == figures
            goes_on(finora)
            assert finora.ledger.trial_balance(scope, at_seal=last) == figures
        engine = create_engine("postgresql+psycopg://", creator=connector(engines.admin_dsn))
        with engine.connect() as connection:
            assert violations(connection) == []
        engine.dispose()


def request() -> Any:
    from finora import ImportRequest

    return ImportRequest(account="Giro", currency="EUR")


def finora_seal(data: Path) -> int:
    with open_engines(data) as engines, psycopg.connect(engines.admin_dsn) as admin:
        row = admin.execute(
            "select max(seq) from finora.seal join finora.tenant using (tenant_id) "
            "where key = 'acme'"
        ).fetchone()
        assert row
        return int(row[0])


@pytest.mark.invariant("F-30")
def test_versions_go_up_past_every_cached_copy(kept: tuple[Path, Path], place: Path) -> None:
    _, file = kept
    versions = []
    for name in ("one", "two"):
        done("restore", str(file), "--data", str(place / name))
        with open_engines(place / name) as engines, psycopg.connect(engines.admin_dsn) as admin:
            versions.append(
                dict(admin.execute("select tenant_id, number from finora.version").fetchall())
            )
    assert all(versions[1][tenant] > number > 10**15 for tenant, number in versions[0].items())


# --- bad files -----------------------------------------------------------------------------------


def refusal(file: Path, place: Path) -> str:
    with pytest.raises(Refusal) as caught:
        dump.require_known(archive.unpack(file, place / "d", place / "s", lambda *_: None))
    return caught.value.code


@pytest.mark.spec("S2-60")
def test_a_changed_cut_or_lengthened_backup_is_refused(
    kept: tuple[Path, Path], place: Path
) -> None:
    whole, bad = kept[1].read_bytes(), place / "bad"
    places = [
        *range(0, len(whole), 9973),
        *range(0, 1200, 7),
        *range(len(whole) - 3000, len(whole), 3),
    ]
    found = set()
    for at in places:
        changed = bytearray(whole)
        changed[at] ^= 0x21
        bad.write_bytes(changed)
        found.add(refusal(bad, place))
    assert found <= {"BACKUP_DAMAGED", "BACKUP_FOREIGN", "BACKUP_NEWER"}
    assert "BACKUP_DAMAGED" in found
    for length in (0, 1, 511, 512, 513, 5000, len(whole) // 2, len(whole) - 1024, len(whole) - 1):
        bad.write_bytes(whole[:length])
        assert refusal(bad, place) in {"BACKUP_DAMAGED", "BACKUP_FOREIGN"}, length
    bad.write_bytes(whole + b"\0")
    assert refusal(bad, place) == "BACKUP_DAMAGED"


def test_a_foreign_file_and_a_newer_one_are_told_apart(
    kept: tuple[Path, Path], place: Path
) -> None:
    for text_ in (b"", b"PGDMP" + bytes(600), b"hello", bytes(5000), b"\x1f\x8b" * 999):
        (place / "foreign").write_bytes(text_)
        assert refusal(place / "foreign", place) == "BACKUP_FOREIGN"
    assert refusal(changed(kept[1], place, head={"format": 2}), place) == "BACKUP_NEWER"
    assert refusal(changed(kept[1], place, head={"schema": "9999_x"}), place) == "SCHEMA_AHEAD"
    newer = changed(kept[1], place, head={"postgres": 99})
    assert refused("restore", str(newer), "--data", str(place / "data")) == "BACKUP_NEWER"


def changed(
    file: Path, place: Path, *, head: Any = None, manifest: Any = None, skip: str = "-"
) -> Path:
    """The same backup, written anew with other claims, and a digest that fits them."""
    target = place / "changed"
    with file.open("rb") as source, target.open("wb") as opened:
        written = archive.Writer(opened)
        for member in archive._members(source):
            if member.name in (archive.HEAD, archive.MANIFEST):
                value = json.loads(b"".join(member.content))
                value |= (head if member.name == archive.HEAD else manifest) or {}
                written.add_text(member.name, json.dumps(value))
            elif member.name.startswith(skip):
                list(member.content)
            else:
                written.add(member.name, member.size, member.content)
        written.end()
    return target


@pytest.mark.parametrize("lost", ["database/", "seals/", "f/"])
def test_a_part_that_is_missing_is_missed(kept: tuple[Path, Path], place: Path, lost: str) -> None:
    assert refusal(changed(kept[1], place, skip=lost), place) == "BACKUP_DAMAGED"


@pytest.mark.parametrize(
    "name", ["../etc/passwd", "f/../../x", "/f/x", "database/00000007", "f/" + "0" * 32 + "/x"]
)
def test_a_member_of_another_name_is_refused(place: Path, name: str) -> None:
    file = place / "odd"
    with file.open("wb") as opened:
        written = archive.Writer(opened)
        written.add_text(archive.HEAD, json.dumps({"format": 1, "schema": migrate.head()}))
        written.add_text(name, "x")
        written.add_text(archive.MANIFEST, "{}")
        written.end()
    assert refusal(file, place) == "BACKUP_DAMAGED"


@pytest.mark.spec("S2-60")
@pytest.mark.invariant("F-30")
def test_what_does_not_fit_its_manifest_is_removed_again(
    kept: tuple[Path, Path], place: Path
) -> None:
    counts = dict(json.loads(manifest_of(kept[1]))["tables"])
    odd = changed(kept[1], place, manifest={"tables": counts | {"posting": counts["posting"] + 1}})
    data = place / "data"
    assert refused("restore", str(odd), "--data", str(data)) == "RESTORE_DIFFERS"
    with open_engines(data) as engines, psycopg.connect(engines.admin_dsn) as admin:
        assert admin.execute("select to_regnamespace('finora')").fetchone() == (None,)
    assert files(data) == {}
    # And so it can be tried again.
    assert done("restore", str(kept[1]), "--data", str(data))["files"] == len(files(data))


def manifest_of(file: Path) -> bytes:
    with file.open("rb") as source:
        for member in archive._members(source):
            said = b"".join(member.content)
            if member.name == archive.MANIFEST:
                return said
    raise AssertionError


# --- where it may go -----------------------------------------------------------------------------


@pytest.mark.spec("S2-60")
def test_books_are_restored_where_none_are(kept: tuple[Path, Path], place: Path) -> None:
    data, file = kept
    assert refused("restore", str(file), "--data", str(data)) == "RESTORE_NOT_EMPTY"
    unused = place / "unused"
    with Finora.open(Settings(data=unused, env="test")) as finora:
        finora.scope(tenant=UPKEEP, user=UPKEEP)  # Nobody has been there but the schedules.
    assert done("restore", str(file), "--data", str(unused))["rows"] > 300
    shutil.rmtree(unused / "files")
    assert refused("restore", str(file), "--data", str(unused)) == "RESTORE_NOT_EMPTY"


def test_a_backup_replaces_no_file_and_needs_books(kept: tuple[Path, Path], place: Path) -> None:
    data, file = kept
    before = file.read_bytes()
    assert refused("backup", str(file), "--data", str(data)) == "BACKUP_EXISTS"
    assert file.read_bytes() == before
    assert refused("backup", str(place / "b"), "--data", str(place / "none")) == "BACKUP_NOTHING"
    assert list(place.iterdir()) == []
    assert oct(file.stat().st_mode & 0o777) == "0o600"


@pytest.mark.spec("S2-60")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_backup_leaves_no_half_file(
    kept: tuple[Path, Path], place: Path, number: signal.Signals
) -> None:
    data, _ = kept
    file = place / "b"
    with open_engines(data) as engines, psycopg.connect(engines.admin_dsn) as admin:
        # It comes as far as this table, in the middle of its work.
        admin.execute("lock table finora.posting in access exclusive mode")
        process = start("backup", str(file), "--data", str(data))
        with psycopg.connect(engines.admin_dsn, autocommit=True) as other:
            waiting = "select exists (select from pg_locks where not granted)"
            eventually(lambda: other.execute(waiting).fetchone() == (True,))
        process.send_signal(number)
        eventually(lambda: process.poll() is not None or admin_cancels(engines))
        process.communicate(timeout=LIVELY)
    assert process.returncode != 0
    assert not file.exists()
    if number != signal.SIGKILL:
        assert list(place.iterdir()) == []


def admin_cancels(engines: Engines) -> bool:
    """The signal is seen when the query that waits has ended, as it will."""
    with psycopg.connect(engines.admin_dsn, autocommit=True) as other:
        other.execute(
            "select pg_cancel_backend(pid) from pg_stat_activity where wait_event_type = 'Lock'"
        )
    return False


def eventually(check: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIVELY
    while not check():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.02)


@pytest.mark.spec("S2-60")
@pytest.mark.invariant("F-30")
def test_a_backup_is_tried_on_a_scratch_database(kept: tuple[Path, Path], place: Path) -> None:
    _, file = kept
    tried = done("backup", "--verify", str(file), "--data", str(place / "untouched"))
    assert tried["verified"]
    assert not (place / "untouched").exists()
    odd = changed(file, place, manifest={"tables": {}})
    assert refused("backup", "--verify", str(odd)) == "RESTORE_DIFFERS"


# --- a server of one's own -----------------------------------------------------------------------


@pytest.mark.invariant("F-30")
def test_on_a_server_of_ones_own_nobody_needs_to_be_superuser(
    kept: tuple[Path, Path], place: Path
) -> None:
    _, file = kept
    with open_engines(place / "server") as engines:
        host = str(conninfo_to_dict(engines.admin_dsn)["host"])
        with psycopg.connect(f"host={host} port=5432 user=postgres dbname=template1") as admin:
            # Which only an administrator may switch on: in all databases from now on, also in the
            # one that a backup is tried in.
            admin.execute("create extension vector")
        with psycopg.connect(engines.admin_dsn, autocommit=True) as admin:
            for statement in (
                "create role owner_login login createrole createdb",
                "create role runner login",
                "create role keeper login bypassrls in role pg_read_all_data",
                "create database books owner owner_login",
            ):
                admin.execute(statement)

        def url(user: str) -> str:
            return f"postgresql://{user}@/books?host={host}"

        def env(owner: str) -> dict[str, str]:
            return {"FINORA_DATABASE_URL": url("runner"), "FINORA_DATABASE_DIRECT_URL": url(owner),
                    "FINORA_STORAGE_DIRECTORY": str(place / "store")}  # fmt: skip

        assert done("restore", str(file), **env("owner_login"))["rows"] > 300
        admin_dsn = f"host={host} port=5432 user=postgres dbname=books"
        before = content(admin_dsn)
        with psycopg.connect(admin_dsn) as admin:
            owners = admin.execute(
                "select distinct pg_get_userbyid(relowner) from pg_class "
                "where relnamespace = 'finora'::regnamespace"
            ).fetchall()
            assert owners == [("finora_migrator",)]
        assert done("accounts", **env("owner_login")) == {"accounts": []}  # Another tenant's.

        again = place / "again"
        assert refused("backup", str(again), **env("owner_login")) == "BACKUP_NOT_ALLOWED"
        assert not again.exists()
        done("backup", str(again), **env("keeper"))
        assert done("backup", "--verify", str(again), **env("owner_login"))["verified"]
        with psycopg.connect(admin_dsn) as admin:
            databases = admin.execute("select datname from pg_database where not datistemplate")
            assert sorted(databases.fetchall()) == [("books",), ("finora",), ("postgres",)]
        assert {n: v for n, v in content(admin_dsn).items() if n == "posting"} == {
            "posting": before["posting"]
        }


def test_a_password_is_in_no_list_of_processes() -> None:
    with dump._conninfo("postgresql://u:hun:t\\er2@db.example.com:6432/books") as address:
        assert "hun" not in address
        values = conninfo_to_dict(address)
        kept_at = Path(str(values.pop("passfile")))
        assert kept_at.read_text() == "*:*:*:*:hun\\:t\\\\er2\n"
        assert kept_at.stat().st_mode & 0o077 == 0
        assert values == {"user": "u", "host": "db.example.com", "port": "6432", "dbname": "books"}
    assert not kept_at.exists()


def test_programs_that_are_too_old_are_refused(place: Path) -> None:
    for name in ("pg_dump", "pg_restore"):
        (place / name).write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 15.9'\n")
        (place / name).chmod(0o755)
    assert dump.find_programs(None, place, 15).dump == place / "pg_dump"
    with pytest.raises(dump.ProgramsMissing, match="version 15"):
        dump.find_programs(None, place, 16)


# --- an older schema -----------------------------------------------------------------------------


@pytest.mark.invariant("F-30")
def test_a_backup_of_an_older_schema_is_migrated(place: Path) -> None:
    file = place / "old"
    with open_engines(place / "old-data") as engines:
        engine = create_engine("postgresql+psycopg://", creator=connector(engines.admin_dsn))
        with engine.begin() as connection:
            migrate.ensure_roles(connection, "finora_app")
            connection.execute(text("create schema finora authorization finora_migrator"))
            connection.execute(text("set local role finora_migrator"))
            config = migrate._config()
            config.attributes["connection"] = connection
            command.upgrade(config, "0001_books")
            migrate._note(connection, "0001_books")
        engine.dispose()
        done("backup", str(file), "--data", str(place / "old-data"))
    assert archive.unpack(file, place / "d", place / "s", lambda *_: None)["schema"] == "0001_books"
    done("restore", str(file), "--data", str(place / "data"))
    with Finora.open(Settings(data=place / "data", env="test")) as finora:
        scope = finora.scope(tenant="acme", user="u1")
        a, b = (finora.ledger.open_account(scope, each).id for each in "AB")
        finora.ledger.post(
            scope, [Posting(a, eur(5)), Posting(b, -eur(5))], on_date=date(2026, 1, 1)
        )
    assert done("doctor", "--data", str(place / "data"))["well"]


@pytest.mark.parametrize("name", ["backup", "restore"])
def test_the_commands_are_documented(name: str) -> None:
    shown = " ".join(run(name, "--help").stdout.split())
    assert f"Example: finora {name} " in shown and "--json" in shown
    assert f"## finora {name}" in (DOCS / "cli.md").read_text()
