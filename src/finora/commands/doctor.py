"""`finora doctor`: what runs, in which version and with which settings, and what is wrong."""

import os
import platform
from collections.abc import Callable, Iterator

import attrs
from sqlalchemy import Connection

import finora
from finora_adapters import embedded
from finora_adapters.compose import engine_of, require_durable
from finora_adapters.plugins import load_plugins
from finora_adapters.postgres.invariants import violations
from finora_adapters.postgres.migrate import drift, head, require_current, revision_of
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
    if settings.database_url is None:
        yield from _embedded(settings)
    yield from _database(settings)
    yield from _plugins()
    yield _storage(settings)


def _embedded(settings: Settings) -> Iterator[Finding]:
    state = embedded.status(settings.data)
    running = f"runs, pid {state.pid}, {state.holders} holders" if state.running else "stopped"
    yield Finding(subject="embedded servers", said=f"{running}; data in {settings.data}")
    for problem in state.problems:
        yield Finding(subject="embedded servers", said=problem, well=False,
                      remedy="see supervisor.log and postgres.log in the data folder")  # fmt: skip


def _database(settings: Settings) -> Iterator[Finding]:
    try:
        if settings.database_url is None:
            with embedded.open_engines(
                settings.data, postgres_bin=settings.postgres_bin
            ) as engines:
                yield from _examined(engines.admin_dsn, settings)
            return
        # Only the owner past row security sees every tenant; the run-time login sees the schema.
        url = settings.database_direct_url or settings.database_url
        yield from _examined(url.get_secret_value(), settings)
    except Refusal as refusal:
        yield Finding(subject="postgres", said=f"{refusal.code}: {refusal.message}", well=False,
                      remedy="start the server or correct the setting")  # fmt: skip


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
            yield from _schema(connection)
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


def _schema(connection: Connection) -> Iterator[Finding]:
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
    if not connection.exec_driver_sql(
        "select rolsuper or rolbypassrls from pg_roles where rolname = current_user"
    ).scalar():
        yield Finding(subject="invariants",
                      said="not checked: this login does not see every tenant")  # fmt: skip
        return
    broken = violations(connection)
    for violation in broken:
        yield Finding(subject="invariants", said=f"{violation.invariant}: {violation.rows[:3]}",
                      well=False, remedy="keep the database as it is and report it")  # fmt: skip
    if not broken:
        yield Finding(subject="invariants", said="all hold")


def _plugins() -> Iterator[Finding]:
    for plugin in load_plugins().found:
        name = f"plugin {plugin.name}"
        if plugin.works:
            yield Finding(subject=name, said=", ".join(plugin.provides))
        else:
            yield Finding(subject=name, said=f"set aside: {plugin.reason}", well=False,
                          remedy="correct or uninstall it")  # fmt: skip


def _storage(settings: Settings) -> Finding:
    folder = settings.files
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    writable = os.access(existing, os.W_OK)
    return Finding(subject="stored files", said=str(folder), well=writable,
                   remedy="" if writable else f"make {existing} writable")  # fmt: skip


def _tried(subject: str, said: str, check: Callable[[], None], remedy: str) -> Finding:
    try:
        check()
    except Refusal as refusal:
        return Finding(subject=subject, said=refusal.message, well=False, remedy=remedy)
    return Finding(subject=subject, said=said)
