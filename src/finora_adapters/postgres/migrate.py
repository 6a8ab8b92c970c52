"""Bringing a database to this release's schema, and telling whether it has drifted from it.

Forward only. Numbered migrations are SQL files that never change once released; a test compares
what they make with what `schema.py`, `functions.py` and `access.py` declare.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.schema import CreateIndex, CreateTable

from finora_adapters.postgres import access, functions, warrants
from finora_adapters.postgres.schema import SCHEMA, metadata
from finora_core.kernel.errors import Unavailable

MIGRATIONS = Path(__file__).parent / "migrations"
OLDEST_POSTGRES = 16
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped upstream
_REPLACES = text("select substr(obj_description('finora.schema_state'::regclass, 'pg_class'), 10)")
_LOCK = 0x46494E4F5241  # "FINORA": one migration of a database at a time


class SchemaBehind(Unavailable):
    """The database's schema is older than this release needs; run `finora migrate`."""

    code = "SCHEMA_BEHIND"


class SchemaAhead(Unavailable):
    """The database was migrated by a newer release than this one."""

    code = "SCHEMA_AHEAD"


class RolesMissing(Unavailable):
    """The database roles are missing and this login may not create them."""

    code = "DATABASE_ROLES_MISSING"


class VectorsMissing(Unavailable):
    """The database server has no pgvector, or this login may not switch it on."""

    code = "PGVECTOR_MISSING"


class PostgresTooOld(Unavailable):
    """Finora needs PostgreSQL 16 or newer."""

    code = "POSTGRES_TOO_OLD"


def migrate(
    engine: Engine,
    login: str | None = None,
    to: str | None = None,
    keys: Sequence[bytes] = (),
) -> str:
    """Bring the database to the newest revision, or to an older one that it has not reached yet,
    and return it; `login` is the run-time user, which is given the right to act as the run-time
    roles. Warrants count under `keys`, and are asked for from the start in a new database, and else
    by the second run of a release: by then no process of the one before serves."""
    with engine.connect() as connection, connection.begin():
        _check_version(connection)
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        connection.execute(text("set local lock_timeout = '5s'"))
        connection.execute(text("set local statement_timeout = '10min'"))
        ensure_roles(connection, login)
        ensure_vectors(connection)
        make_schema = f"create schema if not exists {SCHEMA} authorization {access.MIGRATOR}"
        connection.execute(text(make_schema))
        connection.execute(text(f"set local role {access.MIGRATOR}"))
        config = _config()
        config.attributes["connection"] = connection
        before, revision = revision_of(connection), to or head()
        command.upgrade(config, revision)
        if keys:
            warrants.install(connection, keys, enforce=before in (None, revision))
        _note(connection, revision)
        return revision


def head() -> str:
    """The revision that this release was written for."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    assert newest is not None  # the package always ships its migrations
    return newest


def revision_of(connection: Connection) -> str | None:
    """The revision the database is at; None where Finora was never installed in it."""
    if connection.scalar(text("select to_regclass('finora.schema_state')")) is None:
        return None
    found: str | None = connection.scalar(text("select revision from finora.schema_state"))
    return found


def is_known(revision: str) -> bool:
    """Whether this release's migrations lead on from it."""
    return revision in {step.revision for step in _steps()}


def require_current(connection: Connection) -> None:
    """Raise SchemaBehind or SchemaAhead unless this release works on the schema: on its own, and
    on the next release's, which migrates while this one still serves."""
    found, wanted = revision_of(connection), head()
    if found == wanted:
        return
    if found is None or is_known(found):
        at = found or "nothing"
        raise SchemaBehind(f"the schema is at {at}, not at {wanted}: run `finora migrate`")
    if connection.scalar(_REPLACES) == wanted:
        return
    raise SchemaAhead(f"the schema is at {found}, which this release ({wanted}) does not know")


def require_roles(connection: Connection) -> None:
    """Raise SchemaBehind unless this login may act as the run-time roles; asked before any of them
    is taken, which would be a plain error where they do not exist."""
    if not _can_act(connection, access.TAKEN):
        raise SchemaBehind("this login was not given Finora's roles here: run `finora migrate`")


def drift(connection: Connection) -> bool:
    """Whether the catalogue differs from what the last migration left behind."""
    noted = connection.scalar(text("select digest from finora.schema_state"))
    return bool(noted != _digest(connection))


def declared() -> Iterator[str]:
    """The whole schema as the code declares it, statement by statement."""
    yield from functions.DOMAINS
    for table in metadata.sorted_tables:
        yield _tidy(str(CreateTable(table).compile(dialect=_DIALECT)))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield _tidy(str(CreateIndex(index).compile(dialect=_DIALECT)))
    yield from functions.FUNCTIONS
    yield from functions.TRIGGERS
    yield from functions.access_statements()
    yield from access.statements()


def catalogue(connection: Connection) -> list[str]:
    """Every relation, column, constraint, index, policy, grant, rule, function and trigger of the
    schema, and the roles, one line each, in order: two databases with equal catalogues are the same
    to Finora."""
    return [str(line) for line in connection.scalars(text(_CATALOGUE))]


def run_sql(name: str) -> str:
    """The text of a numbered migration."""
    return (MIGRATIONS / "versions" / f"{name}.sql").read_text()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def _before(revision: str) -> str:
    before = ScriptDirectory.from_config(_config()).get_revision(revision).down_revision
    return before if isinstance(before, str) else "nothing"


def _steps() -> list[Script]:
    return list(ScriptDirectory.from_config(_config()).walk_revisions())


def _check_version(connection: Connection) -> None:
    number = int(str(connection.scalar(text("show server_version_num")))) // 10_000
    if number < OLDEST_POSTGRES:
        raise PostgresTooOld(f"this is PostgreSQL {number}; Finora needs {OLDEST_POSTGRES}")


def ensure_roles(connection: Connection, login: str | None) -> None:
    """Make the roles that are missing, let this login act as all and `login` as the run-time ones.
    Raises RolesMissing with what an administrator has to run."""
    found = set(connection.scalars(text("select rolname from pg_roles")))
    wanted = [f"create role {role} nologin" for role in access.ROLES if role not in found]
    me = str(connection.scalar(text("select current_user")))
    roles = ", ".join(access.ROLES)
    # Not inherited: a login has a role's rights only in a transaction that took the role.
    wanted.append(f'grant {roles} to "{me}" with inherit false, set true')
    if login and login != me:
        runtime = ", ".join(access.TAKEN)
        wanted.append(f'grant {runtime} to "{login}" with inherit false, set true')
    for statement in wanted:
        try:
            with connection.begin_nested():
                connection.execute(text(statement))
        except ProgrammingError as error:
            if "already exists" in str(error) or _can_act(connection, access.ROLES):
                continue
            script = ";\n".join(wanted)
            raise RolesMissing(f"have an administrator run once:\n{script};") from error


def ensure_vectors(connection: Connection) -> None:
    """Switch pgvector on. Raises VectorsMissing with what an administrator has to run: it is one's
    own database, but what the server may load is not one's own affair everywhere."""
    if connection.scalar(text("select 1 from pg_extension where extname = 'vector'")):
        return
    try:
        with connection.begin_nested():
            connection.execute(text("create extension if not exists vector"))
    except DBAPIError as error:
        raise VectorsMissing(
            "install pgvector on the database server, and have an administrator run once in this "
            "database: create extension vector;"
        ) from error


def _can_act(connection: Connection, roles: Sequence[str]) -> bool:
    mine = text(
        "select count(*) from pg_roles where rolname = any(:roles) and pg_has_role(oid, 'set')"
    )
    return bool(connection.scalar(mine, {"roles": list(roles)}) == len(roles))


def _note(connection: Connection, revision: str) -> None:
    # A comment, because the release that reads it knows no more of the next one's tables.
    noted = f"comment on table finora.schema_state is 'replaces {_before(revision)}'"
    connection.execute(text(noted))
    values = {"revision": revision, "digest": _digest(connection)}
    connection.execute(
        text(
            "insert into finora.schema_state (revision, digest) values (:revision, :digest) "
            "on conflict (one) do update set revision = :revision, digest = :digest, "
            "migrated_at = now()"
        ),
        values,
    )


def _digest(connection: Connection) -> str:
    return hashlib.sha256("\n".join(catalogue(connection)).encode()).hexdigest()


def _tidy(sql: str) -> str:
    return "\n".join(line.rstrip() for line in sql.strip().splitlines())


_CATALOGUE = """
with ours as (select c.* from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = 'finora' and c.relname <> 'alembic_version')
select line from (
  select format('relation %s %s %s rls=%s force=%s owner=%s acl=%s', c.relname, c.relkind,
    c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, pg_get_userbyid(c.relowner),
    (select string_agg(a::text, ',' order by a::text) from unnest(c.relacl) a)) as line
    from ours c where c.relkind in ('r', 'v', 'm', 'S')
  union all select format('column %s.%s %s null=%s default=%s generated=%s acl=%s', c.relname,
    a.attname, format_type(a.atttypid, a.atttypmod), not a.attnotnull,
    pg_get_expr(d.adbin, d.adrelid), a.attgenerated,
    (select string_agg(x::text, ',' order by x::text) from unnest(a.attacl) x))
    from ours c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum where c.relkind = 'r'
  union all select format('constraint %s.%s %s', c.relname, k.conname, pg_get_constraintdef(k.oid))
    from ours c join pg_constraint k on k.conrelid = c.oid where k.contype <> 'n'
  union all select pg_get_indexdef(i.indexrelid) from ours c join pg_index i on i.indrelid = c.oid
  union all select format('policy %s.%s %s %s %s using=%s check=%s', c.relname, p.polname,
    p.polcmd, p.polpermissive,
    (select string_agg(r.rolname, ',' order by r.rolname) from pg_roles r
      where r.oid = any (p.polroles)),
    pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    from ours c join pg_policy p on p.polrelid = c.oid
  union all select format('trigger %s %s %s', c.relname, t.tgenabled, pg_get_triggerdef(t.oid))
    from ours c join pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal
  union all select format('rule %s %s', c.relname, pg_get_ruledef(r.oid))
    from ours c join pg_rewrite r on r.ev_class = c.oid
  union all select format('schema owner=%s acl=%s', pg_get_userbyid(n.nspowner),
    (select string_agg(a::text, ',' order by a::text) from unnest(n.nspacl) a))
    from pg_namespace n where n.nspname = 'finora'
  union all select format('role %s login=%s super=%s bypass=%s create=%s,%s', r.rolname,
    r.rolcanlogin, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb)
    from pg_roles r where r.rolname = any (array['finora_migrator', 'finora_api', 'finora_worker',
      'finora_control'])
      -- There also where the schema is one of before it came, which knew nothing of it.
      or r.rolname = 'finora_eraser'
        and exists (select from ours c where has_table_privilege(r.oid, c.oid, 'delete'))
  union all select format('function %s definer=%s owner=%s acl=%s md5=%s', p.oid::regprocedure,
    p.prosecdef, pg_get_userbyid(p.proowner),
    (select string_agg(a::text, ',' order by a::text) from unnest(p.proacl) a),
    md5(pg_get_functiondef(p.oid)))
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = 'finora'
  union all select format('domain %s %s %s', t.typname, format_type(t.typbasetype, t.typtypmod),
    pg_get_constraintdef(k.oid))
    from pg_type t join pg_namespace n on n.oid = t.typnamespace
    left join pg_constraint k on k.contypid = t.oid
    where n.nspname = 'finora' and t.typtype = 'd'
) lines order by line collate "C"
"""
