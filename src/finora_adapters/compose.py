"""The composition root: the only module that knows every concrete class."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import attrs
import psycopg
from injector import Injector, Module, provider, singleton
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, Engine, create_engine, text

from finora_adapters.embedded import Engines, open_engines
from finora_adapters.plugins import Plugins, load_plugins
from finora_adapters.postgres.errors import translated
from finora_adapters.postgres.events import PgSealer
from finora_adapters.postgres.jobs import PgQueue
from finora_adapters.postgres.migrate import (
    head,
    migrate,
    require_current,
    require_roles,
    revision_of,
)
from finora_adapters.postgres.tenants import PgTenants
from finora_adapters.postgres.work import Limits, Postgres
from finora_adapters.settings import Settings, check_production
from finora_adapters.storage.directory import DirectoryObjects
from finora_core.insights.wallet.service import WalletService
from finora_core.jobs.model import Subscription
from finora_core.jobs.service import JobRunner, JobService
from finora_core.kernel.errors import Unavailable
from finora_core.ledger.service import LedgerService
from finora_core.records import reactions as records_reactions
from finora_core.records.imports import ImportService
from finora_core.records.service import RecordService


class NotDurable(Unavailable):
    """The database server may lose what it acknowledged; its settings must be changed."""

    code = "DATABASE_NOT_DURABLE"


SUBSCRIPTIONS: tuple[Subscription, ...] = records_reactions.SUBSCRIPTIONS


def by_event(subscriptions: Iterable[Subscription]) -> Mapping[str, tuple[Subscription, ...]]:
    """Subscriptions by the event that they answer."""
    found: dict[str, list[Subscription]] = defaultdict(list)
    for subscription in subscriptions:
        found[subscription.event].append(subscription)
    return {event: tuple(wanted) for event, wanted in found.items()}


def connector(dsn: str) -> Callable[[], psycopg.Connection[tuple[object, ...]]]:
    """Opens connections to a libpq conninfo or URL."""
    return lambda: psycopg.connect(dsn, connect_timeout=10, application_name="finora")


def engine_of(dsn: str, settings: Settings) -> Engine:
    """A bounded pool; a connection that the server closed is replaced before it is used."""
    return create_engine(
        "postgresql+psycopg://",
        creator=connector(dsn),
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=settings.pool_wait_s,
        pool_pre_ping=True,
    )


@attrs.define(slots=False)  # injector writes to it
class Stores(Module):
    """Where things are kept."""

    settings: Settings
    database: Postgres

    @singleton
    @provider
    def postgres(self) -> Postgres:
        return self.database

    @singleton
    @provider
    def objects(self) -> DirectoryObjects:
        return DirectoryObjects(self.settings.files)

    @singleton
    @provider
    def tenants(self, database: Postgres) -> PgTenants:
        return PgTenants(database)


@attrs.define(slots=False)  # injector writes to it
class Providers(Module):
    """What plugins bring."""

    @singleton
    @provider
    def plugins(self) -> Plugins:
        return load_plugins()


@attrs.define(slots=False)  # injector writes to it
class Capabilities(Module):
    """What people can do."""

    settings: Settings

    @singleton
    @provider
    def ledger(self, database: Postgres) -> LedgerService:
        return LedgerService(database.begin)

    @singleton
    @provider
    def records(self, database: Postgres) -> RecordService:
        return RecordService(database.begin)

    @singleton
    @provider
    def imports(
        self, database: Postgres, objects: DirectoryObjects, plugins: Plugins
    ) -> ImportService:
        lines, size = self.settings.import_max_lines, self.settings.import_max_mb << 20
        return ImportService(database.begin, objects, plugins.statement_formats, lines, size)

    @singleton
    @provider
    def wallet(self, database: Postgres) -> WalletService:
        return WalletService(database.begin)

    @singleton
    @provider
    def jobs(self, database: Postgres) -> JobService:
        return JobService(database.begin)

    @singleton
    @provider
    def runner(self, database: Postgres, imports: ImportService) -> JobRunner:
        handlers = records_reactions.handlers(imports)
        return JobRunner(PgQueue(database), PgSealer(database), handlers)


def compose(settings: Settings, database: Postgres) -> Injector:
    """Wire everything. `auto_bind` is off: a port that nothing fills fails here, at the start."""
    modules = [Stores(settings, database), Providers(), Capabilities(settings)]
    return Injector(modules, auto_bind=False)


@attrs.frozen
class Opened:
    """A database that is ready for this release, and the embedded servers under it, if any."""

    database: Postgres
    engines: Engines | None

    def close(self) -> None:
        self.database.engine.dispose()
        if self.engines is not None:
            self.engines.close()


def open_database(settings: Settings) -> Opened:
    """Connect, by settings or to the embedded Postgres, which is migrated if it must be.

    Raises SchemaBehind where a database of one's own needs `finora migrate`.
    """
    check_production(settings)
    if settings.database_url is not None:
        engine = engine_of(settings.database_url.get_secret_value(), settings)
        return Opened(_ready(engine, settings), None)
    engines = open_engines(settings.data, postgres_bin=settings.postgres_bin)
    try:
        _migrate_embedded(engines, settings)
        engine = engine_of(engines.postgres_dsn, settings)
        return Opened(_ready(engine, settings), engines)
    except BaseException:
        engines.close()
        raise


def migrate_database(settings: Settings) -> str:
    """Bring the database to this release's schema; returns the revision."""
    check_production(settings)
    url = settings.database_direct_url or settings.database_url
    if url is None:
        engines = open_engines(settings.data, postgres_bin=settings.postgres_bin)
        with engines:
            return _migrate_embedded(engines, settings)
    engine = engine_of(url.get_secret_value(), settings)
    runtime = settings.database_url or url
    login = conninfo_to_dict(runtime.get_secret_value()).get("user")
    try:
        with translated():
            return migrate(engine, str(login) if login else None)
    finally:
        engine.dispose()


def _migrate_embedded(engines: Engines, settings: Settings) -> str:
    engine = engine_of(engines.admin_dsn, settings)
    try:
        with engine.connect() as connection:
            found = revision_of(connection)
        return head() if found == head() else migrate(engine, "finora_app")
    finally:
        engine.dispose()


def _ready(engine: Engine, settings: Settings) -> Postgres:
    limits = Limits(
        statement_ms=settings.statement_limit_s * 1000,
        job_statement_ms=settings.job_limit_s * 1000,
        lock_ms=settings.lock_limit_s * 1000,
    )
    database = Postgres(engine, by_event(SUBSCRIPTIONS), limits)
    try:
        with translated(), engine.connect() as connection:
            require_roles(connection)
        with database.look() as connection:
            require_current(connection)
            require_durable(connection)
    except BaseException:
        engine.dispose()
        raise
    return database


def require_durable(connection: Connection) -> None:
    """Raise NotDurable where the server may forget what it acknowledged."""
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        if connection.scalar(text(f"show {setting}")) == "off":
            raise NotDurable(f"the server runs with {setting} = off; commits could be lost")
