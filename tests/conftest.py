"""One embedded Postgres a run; a fresh tenant, or a rolled-back transaction, a test.

After every test that used the books, all of `finora_adapters.postgres.invariants` is checked.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from uuid import uuid4

import attrs
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, Engine, create_engine

from finora import Finora, Scope, Settings
from finora_adapters.compose import SUBSCRIPTIONS, by_event, connector
from finora_adapters.embedded import Engines, open_engines
from finora_adapters.postgres.invariants import violations
from finora_adapters.postgres.warrants import Warrants
from finora_adapters.postgres.work import Postgres
from folders import short_folder

LONG = (
    "chaos", "test_fuzz.py", "test_every_route.py",
    "test_deaths.py", "backup", "test_twin.py",
    "test_kills.py", "test_bad_requests.py", "embedded",
    "test_running.py", "web", "worker", "pages", "clients",
)  # fmt: skip
"""Folders and files. What waits stands between what reckons, so that both go on at once."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that no process has it left at the end."""

    def place(item: pytest.Item) -> int:
        parts = item.nodeid.partition("::")[0].split("/")
        return next((n for n, part in enumerate(LONG) if part in parts), len(LONG))

    items.sort(key=place)


@pytest.fixture(scope="session")
def settings() -> Iterator[Settings]:
    """Settings of this run's own embedded servers, in a folder that goes with the run."""
    with short_folder("finora-test-") as folder:
        yield Settings(
            data=folder / "data",
            env="test",
            pool_size=24,
            # What is not being tested must not wait for it.
            rate_limits="all=1000000/60",
            password_memory_kib=64,
            password_rounds=1,
            # No test asks anybody outside.
            ask_sources=False,
        )


@pytest.fixture(scope="session")
def finora(settings: Settings) -> Iterator[Finora]:
    with Finora.open(settings) as opened:
        yield opened


@pytest.fixture(scope="session")
def database(finora: Finora) -> Postgres:
    """The database as the services see it: for tests of what is under them."""
    return finora._opened.database


@pytest.fixture(scope="session")
def warrants(finora: Finora) -> Warrants:
    """With what SQL of a test's own names a tenant."""
    return finora._opened.database.warrants


@pytest.fixture(scope="session")
def engines(settings: Settings, finora: Finora) -> Iterator[Engines]:
    with open_engines(settings.data) as engines:
        yield engines


@pytest.fixture(scope="session")
def admin(engines: Engines) -> Iterator[Engine]:
    """The superuser, who sees every tenant: for checks, never for what is checked."""
    engine = create_engine("postgresql+psycopg://", creator=connector(engines.admin_dsn))
    yield engine
    engine.dispose()


@pytest.fixture
def scope(finora: Finora) -> Scope:
    """A tenant of the test's own."""
    return finora.scope(tenant=f"t-{uuid4()}", user="u1")


@pytest.fixture
def stranger(finora: Finora) -> Scope:
    """Another tenant."""
    return finora.scope(tenant=f"t-{uuid4()}", user="u2")


@attrs.frozen
class RolledBack(Postgres):
    """Every transaction is a savepoint of one that is rolled back in the end."""

    connection: Connection = attrs.field(kw_only=True)

    def connect(self) -> AbstractContextManager[Connection]:
        return _Savepoint(self.connection)


class _Savepoint(AbstractContextManager[Connection]):
    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def __enter__(self) -> Connection:
        self.savepoint = self.connection.begin_nested()
        return self.connection

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.savepoint.rollback() if kind else self.savepoint.commit()


@pytest.fixture
def store(finora: Finora, engines: Engines) -> Iterator[Postgres]:
    """The database in a transaction that is rolled back after the test. The suite refuses any
    server but the one it started: it must be on a unix socket."""
    if not conninfo_to_dict(engines.postgres_dsn).get("host", "").startswith("/"):
        pytest.exit(f"refused: {engines.postgres_dsn} is not a server of this run", returncode=3)
    engine = create_engine("postgresql+psycopg://", creator=connector(engines.postgres_dsn))
    with engine.connect() as connection:
        outer = connection.begin()
        warrants = finora._opened.database.warrants
        yield RolledBack(engine, warrants, by_event(SUBSCRIPTIONS), connection=connection)
        outer.rollback()
    engine.dispose()


@pytest.fixture(autouse=True)
def _invariants(request: pytest.FixtureRequest) -> Iterator[None]:
    wrote = "scope" in request.fixturenames
    admin: Engine | None = request.getfixturevalue("admin") if wrote else None
    yield
    if admin is not None:
        with admin.connect() as connection:
            assert violations(connection) == []
