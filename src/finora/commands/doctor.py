"""`finora doctor`: what runs, in which version and with which settings, and what is wrong."""

import os
import platform
from collections.abc import Callable, Iterator

import attrs
import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection

import finora
from finora_adapters import embedded
from finora_adapters.compose import (
    engine_of,
    installed_plugins,
    letters_of,
    mailer_of,
    notifiers_of,
    objects_of,
    require_durable,
    warrants_of,
)
from finora_adapters.crypto.cipher import AesGcm
from finora_adapters.crypto.ring import secret_keys
from finora_adapters.postgres.access import API, CONTROL
from finora_adapters.postgres.invariants import violations
from finora_adapters.postgres.migrate import drift, head, require_current, revision_of
from finora_adapters.postgres.secrets import key_problems
from finora_adapters.postgres.warrants import enforced
from finora_adapters.settings import Settings
from finora_core.kernel.errors import Refusal


@attrs.frozen(kw_only=True)
class Finding:
    """One thing that was looked at. `remedy` says what to do where it is not well."""

    subject: str
    said: str
    well: bool = True
    remedy: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything, also where something is broken; starts the embedded server if need be."""
    yield Finding(subject="finora", said=f"{finora.__version__}, schema {head()}")
    yield Finding(subject="python", said=platform.python_version())
    yield _settings(settings)
    if settings.database_url is not None:
        yield from _server(settings)
    elif (settings.data / "postgres").exists():
        yield from _embedded(settings)
    else:
        yield _nothing_yet(settings)
    yield from _plugins(settings)
    yield _storage(settings)
    yield _mail(settings)
    if settings.notified_by:
        yield _notifiers(settings)


def _mail(settings: Settings) -> Finding:
    """Which way letters go. Whether they arrive, `finora mail test` finds out."""
    try:
        return Finding(subject="mail", said=mailer_of(settings).way)
    except Refusal as refusal:
        return Finding(subject="mail", said=refusal.message, well=False,
                       remedy="correct the setting")  # fmt: skip


def _notifiers(settings: Settings) -> Finding:
    said = ", ".join(settings.notified_by)
    return _tried("notices", f"by {said}", lambda: notifiers_of(settings, letters_of(settings)),
                  "correct the setting")  # fmt: skip


def _settings(settings: Settings) -> Finding:
    names = ("env", "pool_size", "statement_limit_s", "lock_limit_s", "import_max_lines")
    said = ", ".join(f"{name} {getattr(settings, name)}" for name in names)
    return Finding(subject="settings", said=said)


def _nothing_yet(settings: Settings) -> Finding:
    """Before the first use: looking makes no data folder."""
    try:
        programs = embedded.find_postgres(settings.postgres_bin)
    except Refusal as refusal:
        return Finding(subject="embedded servers", said=refusal.message, well=False,
                       remedy="install or set one of them")  # fmt: skip
    said = f"no books yet; the first command makes them in {settings.data}, with {programs}"
    return Finding(subject="embedded servers", said=said)


def _embedded(settings: Settings) -> Iterator[Finding]:
    state = embedded.status(settings.data)
    running = f"runs, pid {state.pid}, {state.holders} holders" if state.running else "stopped"
    yield Finding(subject="embedded servers", said=f"{running}; data in {settings.data}")
    for problem in state.problems:
        yield Finding(subject="embedded servers", said=problem, well=False,
                      remedy="see supervisor.log and postgres.log in the data folder")  # fmt: skip

    try:
        with embedded.open_engines(settings.data, postgres_bin=settings.postgres_bin) as engines:
            yield from _examined(engines.admin_dsn, settings)
    except Refusal as refusal:
        yield Finding(subject="postgres", said=f"{refusal.code}: {refusal.message}", well=False,
                      remedy="see supervisor.log and postgres.log in the data folder")  # fmt: skip


def _server(settings: Settings) -> Iterator[Finding]:
    # The owner past row security sees every tenant; the run-time login sees at least the schema.
    urls = {"direct database": settings.database_direct_url, "database": settings.database_url}
    given = {name: url.get_secret_value() for name, url in urls.items() if url is not None}
    try:
        for name, url in given.items():
            known = conninfo_to_dict(url)
            shown = (f"{key} {known[key]}" for key in ("host", "dbname", "user") if key in known)
            yield Finding(subject=name, said=", ".join(shown))
    except psycopg.Error:
        # What it says would show the password.
        yield Finding(subject=name, said="not a Postgres URL", well=False,
                      remedy="postgresql://user:password@host/database")  # fmt: skip
        return
    yield from _examined(next(iter(given.values())), settings)


def _examined(dsn: str, settings: Settings) -> Iterator[Finding]:
    engine = engine_of(dsn, settings)
    try:
        with engine.connect() as connection:
            yield _version(connection)
            yield _tried(
                "durability",
                "a commit is on disk when it is acknowledged",
                lambda: require_durable(connection),
                "change the server's settings",
            )
            yield from _schema(connection, settings)
    except Exception as error:
        # A database that does not answer is a finding, whatever the driver raised.
        yield Finding(subject="postgres", said=str(error).splitlines()[0], well=False,
                      remedy="start the server or correct the setting")  # fmt: skip
    finally:
        engine.dispose()


def _version(connection: Connection) -> Finding:
    rows = connection.exec_driver_sql(
        "select name, setting || coalesce(unit, '') from pg_settings where name in "
        "('server_version', 'max_connections', 'shared_buffers', 'TimeZone') order by name"
    )
    shown = ", ".join(f"{name} {value}" for name, value in rows)
    return Finding(subject="postgres", said=shown)


def _schema(connection: Connection, settings: Settings) -> Iterator[Finding]:
    sees_all = connection.exec_driver_sql(
        "select rolsuper or rolbypassrls from pg_roles where rolname = current_user"
    ).scalar()
    if not sees_all and connection.exec_driver_sql("select to_regrole('finora_api')").scalar():
        # A login has no right of its own: it takes a role, as every transaction does.
        connection.exec_driver_sql(f"set role {API}")
    found = revision_of(connection)
    if found is None:
        yield Finding(subject="schema", said="not installed", well=False,
                      remedy="run `finora migrate`")  # fmt: skip
        return
    yield _tried("schema", f"at {found}", lambda: require_current(connection),
                 "run `finora migrate`, or this database's own release")  # fmt: skip
    changed = drift(connection)
    yield Finding(
        subject="schema drift",
        said="the catalogue differs from what the migration left" if changed else "none",
        well=not changed,
        remedy="restore what was changed by hand" if changed else "",
    )
    yield from _keys(connection, settings, sees_all=bool(sees_all))
    if not sees_all:
        yield Finding(subject="invariants", said="not checked: this login sees one tenant at a "
                      "time; set FINORA_DATABASE_DIRECT_URL to one with BYPASSRLS")  # fmt: skip
        return
    if found == head() and not enforced(connection):
        yield Finding(
            subject="warrants",
            said="not asked for: a statement that somebody slips in may name any tenant",
            well=False,
            remedy="run `finora migrate` once more, when every process is of this release",
        )
    broken = violations(connection)
    for violation in broken:
        yield Finding(subject="invariants", said=f"{violation.invariant}: {violation.rows[:3]}",
                      well=False, remedy="keep the database as it is and report it")  # fmt: skip
    if not broken:
        yield Finding(subject="invariants", said="all hold")


def _keys(connection: Connection, settings: Settings, *, sees_all: bool) -> Iterator[Finding]:
    if connection.exec_driver_sql("select to_regclass('finora.key_version')").scalar() is None:
        return  # An older schema, which was told of already.
    ring = secret_keys(settings, AesGcm())
    if not sees_all:
        connection.exec_driver_sql(f"set role {CONTROL}")
        warrants_of(settings).be_control(connection)
    try:
        problems = key_problems(connection, ring)
    except Refusal as refusal:
        problems = [refusal.message]
    for problem in problems:
        yield Finding(subject="secret keys", said=problem, well=False,
                      remedy="set FINORA_SECRET_KEYS as docs/secrets.md says")  # fmt: skip
    if not problems:
        said = ", ".join(map(str, ring.versions))
        yield Finding(subject="secret keys", said=f"{said}, the first one wraps")


def _plugins(settings: Settings) -> Iterator[Finding]:
    for plugin in installed_plugins(settings):
        name = f"plugin {plugin.name}"
        if plugin.works:
            yield Finding(subject=name, said=", ".join(plugin.provides))
            # That a source lacks its key is a choice, and that it was set aside is not.
            for source in plugin.sources:
                aside, subject = source.aside is not None, f"source {source.declared.name}"
                if source.said != "ok":
                    yield Finding(subject=subject, said=source.said, well=not aside,
                                  remedy="mend or uninstall it" if aside else "")  # fmt: skip
        else:
            yield Finding(subject=name, said=f"set aside: {plugin.reason}", well=False,
                          remedy="correct or uninstall it")  # fmt: skip


def _storage(settings: Settings) -> Finding:
    if settings.storage_plugin is not None:
        said = f"the plugin {settings.storage_plugin}"
        return _tried("stored files", said, lambda: next(objects_of(settings).pages(), None),
                      "correct FINORA_STORAGE_PLUGIN, or wait for the store")  # fmt: skip
    if settings.storage_s3_bucket is not None:
        said = f"bucket {settings.storage_s3_bucket}"
        return _tried("stored files", said, lambda: next(objects_of(settings).pages(), None),
                      "correct FINORA_STORAGE_S3_*, or wait for the store")  # fmt: skip
    folder = settings.files
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    writable = os.access(existing, os.W_OK)
    return Finding(subject="stored files", said=str(folder), well=writable,
                   remedy="" if writable else f"make {existing} writable")  # fmt: skip


def _tried(subject: str, said: str, check: Callable[[], object], remedy: str) -> Finding:
    try:
        check()
    except Refusal as refusal:
        return Finding(subject=subject, said=refusal.message, well=False, remedy=remedy)
    return Finding(subject=subject, said=said)
