"""The database into a file and back: pg_dump and pg_restore, and what they do not see to.

A restored database is closed until it was checked: its tables' rights are there, the right to use
the schema is given last.
"""

import hashlib
import json
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import Connection, Engine, text

from finora_adapters.postgres import access, warrants
from finora_adapters.postgres.invariants import violations
from finora_adapters.postgres.migrate import (
    SchemaAhead,
    drift,
    ensure_roles,
    ensure_vectors,
    head,
    is_known,
    migrate,
    revision_of,
)
from finora_adapters.postgres.schema import SCHEMA
from finora_adapters.postgres.tenants import UPKEEP
from finora_core.kernel.errors import Conflict, Forbidden, NotFound, Unavailable

_JOBS = 2


class ProgramsMissing(Unavailable):
    """pg_dump and pg_restore are not here, or too old for the server."""

    code = "POSTGRES_PROGRAMS"


class DumpFailed(Unavailable):
    """pg_dump or pg_restore did not do it; the message is theirs."""

    code = "DUMP_FAILED"


class NothingToDump(NotFound):
    """There are no books here to back up."""

    code = "BACKUP_NOTHING"


class DumpForbidden(Forbidden):
    """Row-level security binds this login, so its backup would lack every tenant's rows."""

    code = "BACKUP_NOT_ALLOWED"


class NotEmpty(Conflict):
    """Books are restored into an empty place only."""

    code = "RESTORE_NOT_EMPTY"


class RestoreDiffers(Conflict):
    """What was restored is not what was backed up, or does not hold together; it was removed."""

    code = "RESTORE_DIFFERS"


# --- the programs --------------------------------------------------------------------------------


@attrs.frozen
class Programs:
    dump: Path
    restore: Path


def find_programs(wheel: Path | None, postgres_bin: Path | None, server: int) -> Programs:
    """Those of the folder that was set, else of the wheel, else on the PATH; of the server's major
    version or newer."""
    folders = [postgres_bin] if postgres_bin else [wheel, _on_path()]
    seen = []
    for folder in filter(None, folders):
        programs = Programs(folder / "pg_dump", folder / "pg_restore")
        version = _version(programs.dump) if programs.restore.exists() else None
        if version is not None and version >= server:
            return programs
        seen.append(f"{folder} has {f'version {version}' if version else 'none'}")
    raise ProgramsMissing(
        f"pg_dump and pg_restore of PostgreSQL {server} or newer are needed: install "
        f"'finora[embedded]' or postgresql-client-{server}, or set FINORA_POSTGRES_BIN"
        + (f" ({'; '.join(seen)})" if seen else "")
    )


def _on_path() -> Path | None:
    found = shutil.which("pg_dump")
    return Path(found).parent if found else None


def _version(program: Path) -> int | None:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return None
    number = re.search(r"\d+", done.stdout)
    return int(number[0]) if number else None


@contextmanager
def _conninfo(dsn: str) -> Iterator[str]:
    """The address without its password, which everybody could read in the list of processes."""
    values = conninfo_to_dict(dsn)
    password = values.pop("password", None)
    if password is None:
        yield make_conninfo("", **values)
        return
    with tempfile.NamedTemporaryFile("w", prefix="finora-pass-") as file:
        escaped = str(password).replace("\\", "\\\\").replace(":", "\\:")
        file.write(f"*:*:*:*:{escaped}\n")
        file.flush()
        yield make_conninfo("", **values, passfile=file.name)


# --- out -----------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Snapshot:
    """One moment of the database, held by an open transaction."""

    connection: Connection
    name: str
    revision: str
    server: int

    def counts(self) -> dict[str, int]:
        return _counts(self.connection)

    def links(self) -> Iterator[bytes]:
        return _links(self.connection)


@contextmanager
def snapshot(engine: Engine) -> Iterator[Snapshot]:
    """Raises NothingToDump or DumpForbidden."""
    with engine.connect() as connection, connection.begin():
        connection.execute(text("set transaction isolation level repeatable read, read only"))
        sees_all = text(
            "select rolsuper or rolbypassrls from pg_roles where rolname = current_user"
        )
        if not connection.scalar(sees_all):
            raise DumpForbidden(
                "this login sees one tenant at a time; back up with a superuser or a role made by "
                "`create role ... login bypassrls in role pg_read_all_data`, "
                "in FINORA_DATABASE_DIRECT_URL"
            )
        revision = revision_of(connection)
        if revision is None:
            raise NothingToDump("there are no books in this database")
        yield Snapshot(
            connection=connection,
            name=str(connection.scalar(text("select pg_export_snapshot()"))),
            revision=revision,
            server=server_of(connection),
        )


def server_of(connection: Connection) -> int:
    """The server's major version."""
    return int(str(connection.scalar(text("show server_version_num")))) // 10_000


def dumped(programs: Programs, dsn: str, moment: Snapshot) -> Generator[bytes]:
    """What pg_dump writes of that moment, compressed, piece by piece."""
    with _conninfo(dsn) as address, tempfile.TemporaryFile() as said:
        command = [
            str(programs.dump), "--format=custom", f"--schema={SCHEMA}", "--no-password",
            f"--snapshot={moment.name}", f"--dbname={address}",
        ]  # fmt: skip
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
        ) as process:
            assert process.stdout
            try:
                while piece := process.stdout.read(1 << 20):
                    yield piece
            except BaseException:
                # Whoever read gave up: nobody waits for the rest.
                process.kill()
                raise
        if process.returncode:
            said.seek(0)
            raise DumpFailed(f"pg_dump: {_complaint(said.read())}")


def _complaint(said: bytes) -> str:
    lines = [line for line in said.decode(errors="replace").splitlines() if "error:" in line]
    return " | ".join(lines[:2])[:1000] or "it said nothing"


def _tables(connection: Connection) -> list[str]:
    named = text(
        "select relname from pg_class where relnamespace = cast(:schema as regnamespace) "
        "and relkind in ('r', 'p') order by relname"
    )
    return [str(name) for name in connection.scalars(named, {"schema": SCHEMA})]


def _counts(connection: Connection) -> dict[str, int]:
    return {
        table: int(connection.scalar(text(f'select count(*) from {SCHEMA}."{table}"')) or 0)
        for table in _tables(connection)
    }


_LINKS = text(
    "select distinct on (tenant_id) tenant_id, seq, encode(hash, 'hex') as hash from finora.seal "
    "order by tenant_id desc, seq desc"
)


def _links(connection: Connection) -> Iterator[bytes]:
    """The last link of every tenant's seal, a line each."""
    rows = connection.execution_options(yield_per=1000).execute(_LINKS)
    for row in rows:
        line = {"tenant": str(row.tenant_id), "seq": row.seq, "hash": row.hash}
        yield json.dumps(line).encode() + b"\n"


# --- back ----------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Restore:
    """One restore of one dump into one database."""

    engine: Engine
    dsn: str
    programs: Programs
    login: str | None
    """the run-time login"""
    keys: Sequence[bytes]
    """of warrants, in place of the backup's; none where nobody will open it"""
    told: Callable[[str], None]

    def run(
        self, dump: Path, manifest: Mapping[str, Any], links: Path, files: Callable[[], object]
    ) -> None:
        """Fill the empty database, check it, put the stored files, then open it to the run-time
        roles. What fails leaves the database as empty as it was."""
        self._prepare()
        try:
            self._fill(dump)
            self.told("checking")
            with self._all_seen() as connection:
                _compare(connection, manifest, links)
            self._check_access(manifest)
            if manifest["schema"] != head():
                migrate(self.engine, self.login)
            with self._all_seen() as connection:
                broken = violations(connection)
            if broken:
                raise RestoreDiffers("; ".join(str(each) for each in broken[:10]))
            files()
            self._open()
        except BaseException:
            self._forget()
            raise
        # Notes the catalogue as this server words it, which is another's where it is newer.
        if manifest["schema"] != head() or self._drifted():
            migrate(self.engine, self.login)
        if self.keys:
            with self._as_owner() as connection:
                warrants.install(connection, self.keys, enforce=True)

    def _prepare(self) -> None:
        with self.engine.begin() as connection:
            ensure_roles(connection, self.login)
            require_empty(connection)
            ensure_vectors(connection)
            connection.execute(text(f"drop schema if exists {SCHEMA} cascade"))
            make = f"create schema {SCHEMA} authorization {access.MIGRATOR}"
            connection.execute(text(make))

    def _fill(self, dump: Path) -> None:
        self.told("tables")
        self._restore(dump, "pre-data")
        self.told("rows")
        self._restore(dump, "data")
        self.told("transaction numbers")
        _renumber(self.engine)
        self.told("indexes, constraints, triggers, policies")
        self._finish(dump)
        with self._as_owner() as connection:
            for table in _tables(connection):
                connection.execute(text(f'analyze {SCHEMA}."{table}"'))

    def _restore(self, dump: Path, section: str, chosen: Path | None = None) -> None:
        with _conninfo(self.dsn) as address:
            _run(
                self.programs.restore, "--exit-on-error", "--no-password", "--no-owner",
                f"--role={access.MIGRATOR}", f"--schema={SCHEMA}", f"--section={section}",
                f"--jobs={_JOBS}", f"--dbname={address}", str(dump),
                *([] if chosen is None else [f"--use-list={chosen}"]),
            )  # fmt: skip

    def _finish(self, dump: Path) -> None:
        """Row security last: the owner that it binds could not check a foreign key."""
        listed = _run(self.programs.restore, "--list", str(dump)).decode().splitlines()
        bound = [line for line in listed if re.match(r"\d+; \d+ \d+ ROW SECURITY ", line)]
        for lines in ([line for line in listed if line not in bound], bound):
            with tempfile.NamedTemporaryFile("w", prefix="finora-toc-") as file:
                file.write("\n".join(lines) + "\n")
                file.flush()
                self._restore(dump, "post-data", Path(file.name))

    @contextmanager
    def _as_owner(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            connection.execute(text(f"set local role {access.MIGRATOR}"))
            yield connection

    @contextmanager
    def _all_seen(self) -> Iterator[Connection]:
        """The owner past row security, for as long as the transaction lasts: no other role can
        look in, and forcing it again is no step that could be forgotten."""
        with self.engine.connect() as connection, connection.begin() as transaction:
            connection.execute(text(f"set local role {access.MIGRATOR}"))
            for table in _tables(connection):
                lift = f'alter table {SCHEMA}."{table}" no force row level security'
                connection.execute(text(lift))
            yield connection
            transaction.rollback()

    def _check_access(self, manifest: Mapping[str, Any]) -> None:
        """Policies, grants, functions and roles are those that the migration left."""
        with self.engine.connect() as connection, connection.begin() as transaction:
            connection.execute(text(f"set local role {access.MIGRATOR}"))
            # Two versions of Postgres word the same catalogue differently.
            same = manifest["postgres"] == server_of(connection)
            _let_in(connection)
            changed = same and drift(connection)
            transaction.rollback()
        if changed:
            raise RestoreDiffers("tables, policies or rights are not those of the backup's schema")

    def _open(self) -> None:
        with self._as_owner() as connection:
            _let_in(connection)

    def _drifted(self) -> bool:
        with self._as_owner() as connection:
            return drift(connection)

    def _forget(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(f"drop schema if exists {SCHEMA} cascade"))


def _run(program: Path, *arguments: str) -> bytes:
    done = subprocess.run(
        [program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode:
        raise DumpFailed(f"{program.name}: {_complaint(done.stderr)}")
    return done.stdout


def require_empty(connection: Connection) -> None:
    """Raise NotEmpty where somebody keeps books, or something else, under our name."""
    # A schema where nobody has been but the schedules' own tenant holds nothing that anybody made.
    if connection.scalar(text("select to_regnamespace(:schema)"), {"schema": SCHEMA}) is None:
        return
    found = revision_of(connection)
    if found is not None:
        with connection.begin_nested() as looked:
            connection.execute(text(f"set local role {access.MIGRATOR}"))
            others = "select exists (select from finora.tenant where key <> :upkeep)"
            used = connection.scalar(text(others), {"upkeep": UPKEEP})
            looked.rollback()
        if not used:
            return
    raise NotEmpty(
        f"the database holds {'books' if found else 'a half-made schema'} already; restore into "
        f"another one, or look at it and then `drop schema {SCHEMA} cascade`"
    )


@contextmanager
def scratch_database(dsn: str) -> Iterator[str]:
    """The address of a new database on that server, which is dropped in the end."""
    name = f"finora_verify_{secrets.token_hex(4)}"
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise DumpForbidden("this login may not create a database to try the backup on") from error
    try:
        yield make_conninfo(dsn, dbname=name)
    finally:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
            drop = sql.SQL("drop database if exists {} with (force)")
            connection.execute(drop.format(sql.Identifier(name)))


def require_known(manifest: Mapping[str, Any]) -> None:
    """Raise SchemaAhead where the backup's schema is of a newer release."""
    if not is_known(str(manifest["schema"])):
        raise SchemaAhead(f"the backup's schema is {manifest['schema']}, this release has {head()}")


def _compare(connection: Connection, manifest: Mapping[str, Any], links: Path) -> None:
    counts = _counts(connection)
    if counts != manifest["tables"]:
        names = sorted(counts.keys() | manifest["tables"].keys())
        differing = [name for name in names if counts.get(name) != manifest["tables"].get(name)]
        raise RestoreDiffers(f"other numbers of rows than in the manifest: {', '.join(differing)}")
    digest = hashlib.sha256()
    with links.open("rb") as file:
        for line in _links(connection):
            digest.update(line)
            if (noted := file.readline()) != line:
                raise RestoreDiffers(f"another end of a seal: {line!r}, in the backup {noted!r}")
    if digest.hexdigest() != manifest["seals"]["sha256"]:
        raise RestoreDiffers("the seals' ends are not those of the manifest")


def _let_in(connection: Connection) -> None:
    connection.execute(text(f"revoke all on schema {SCHEMA} from public"))
    # An older schema does not know every role yet; its migration gives those their rights.
    known = connection.scalars(text(_KNOWN), {"roles": list(access.TAKEN), "schema": SCHEMA})
    connection.execute(text(f"grant usage on schema {SCHEMA} to {', '.join(known)}"))


_KNOWN = """
select distinct r.rolname::text from pg_class c
cross join aclexplode(c.relacl) a join pg_roles r on r.oid = a.grantee
where c.relnamespace = cast(:schema as regnamespace) and r.rolname = any(:roles) order by 1
"""


def _renumber(engine: Engine) -> None:
    """Numbers of transactions count on one server only. Where they come from one that was further
    than this, its events would seem to lie in the future and never be sealed, and entries as if
    somebody still wrote them: they get smaller ones, in the same order within their tenant. Data
    versions go up, past every copy that a cache may hold of what was written after the backup.
    Done before there are triggers, which would refuse it."""
    with engine.begin() as connection:
        connection.execute(text(f"set local role {access.MIGRATOR}"))
        # The oldest schema keeps none.
        if connection.scalar(text("select to_regclass('finora.version')")) is not None:
            connection.execute(_PAST_COPIES)
        columns = connection.execute(_NUMBERED, {"schema": SCHEMA}).all()
        every = " union all ".join(
            f'select tenant_id, "{column}" as tx from {SCHEMA}."{table}"'
            for table, column in columns
        )
        ahead = text(
            "select greatest(max(tx), (select below from finora.seal_mark)) "
            f">= pg_current_xact_id() from ({every}) numbered"
        )
        if not connection.scalar(ahead):
            return
        connection.execute(text(_RENUMBERED.format(every=every)))
        connection.execute(text("analyze renumbered"))
        for table, column in columns:
            change = text(
                f'update {SCHEMA}."{table}" t set "{column}" = r.number from renumbered r '
                f'where t.tenant_id = r.tenant_id and t."{column}" = r.tx'
            )
            connection.execute(change)
        connection.execute(text(_RENUMBERED_MARK))
        missing = connection.scalar(text(_MISSING))
    if missing and missing > 0:
        _pass(engine, missing)


_PAST_COPIES = text(
    "update finora.version set number = greatest(number + 1, "
    "(extract(epoch from clock_timestamp()) * 1000000)::bigint)"
)
_NUMBERED = text(
    "select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid "
    "where c.relnamespace = cast(:schema as regnamespace) and c.relkind in ('r', 'p') "
    "and a.atttypid = 'xid8'::regtype and a.attnum > 0 and not a.attisdropped "
    "and exists (select from pg_attribute t where t.attrelid = c.oid and t.attname = 'tenant_id') "
    "order by 1, 2"
)
# What was sealed gets numbers up to the largest rank; what was not, numbers after it.
_RENUMBERED = """
create temp table renumbered on commit drop as
with ranked as (
  select tenant_id, tx, tx < m.below as sealed,
    dense_rank() over (partition by tenant_id, tx < m.below order by tx) as rank
  from (select distinct tenant_id, tx from ({every}) numbered) d, finora.seal_mark m
), top as (select coalesce(max(rank) filter (where sealed), 0) as rank from ranked)
select tenant_id, tx,
  (case when sealed then ranked.rank else top.rank + ranked.rank end)::text::xid8 as number,
  sealed
from ranked, top
"""
_RENUMBERED_MARK = """
update finora.seal_mark set below = (
  (select coalesce(max(number::text::bigint) filter (where sealed), 0) + 1 from renumbered)::text
)::xid8
"""
_MISSING = """
select max(number::text::bigint) + 1 - pg_current_xact_id()::text::bigint from renumbered
"""


def _pass(engine: Engine, count: int) -> None:
    """Let the server's next transactions have numbers after those that are in the tables."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(
            text(
                f"do $$ begin for n in 1..{int(count)} loop perform pg_current_xact_id(); commit; "
                "end loop; end $$"
            )
        )
