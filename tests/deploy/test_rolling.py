"""A release that still serves while the next one has migrated goes on; one older than that does
not."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, text

from finora import Finora, Settings
from finora_adapters.embedded import Engines, open_engines
from finora_adapters.postgres import access, migrate
from folders import short_folder


def note(connection: Connection, revision: str, replaces: str) -> None:
    """What the `finora migrate` of another release leaves."""
    connection.execute(text("update finora.schema_state set revision = :r"), {"r": revision})
    connection.execute(text(f"comment on table finora.schema_state is 'replaces {replaces}'"))


@pytest.mark.invariant("F-27")
@pytest.mark.parametrize("role", [access.API, access.CONTROL])
def test_the_release_before_goes_on_after_a_migration(admin: Engine, role: str) -> None:
    with admin.connect() as connection:
        note(connection, "9998_next", migrate.head())
        connection.execute(text(f"set local role {role}"))
        migrate.require_current(connection)
        connection.execute(text("reset role"))
        note(connection, "9999_after_next", "9998_next")
        with pytest.raises(migrate.SchemaAhead):
            migrate.require_current(connection)
        connection.rollback()
        migrate.require_current(connection)


@pytest.mark.invariant("F-27")
def test_a_migration_notes_what_it_replaces(admin: Engine) -> None:
    steps = [step.revision for step in migrate._steps()]
    assert steps[0] == migrate.head()
    with admin.connect() as connection:
        assert connection.scalar(migrate._REPLACES) == steps[1]
        connection.execute(text("comment on table finora.schema_state is null"))
        note(connection, "9999_unknown", "somebody else")
        with pytest.raises(migrate.SchemaAhead):
            migrate.require_current(connection)
        connection.rollback()


@pytest.mark.invariant("F-27")
def test_it_also_starts_anew_and_serves(
    admin: Engine, engines: Engines, settings: Settings
) -> None:
    """A pod of the old release may be started again in the middle of the rollout."""
    name = "rolling"
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"create database {name} template template0"))
    host = conninfo_to_dict(engines.admin_dsn)["host"]
    try:
        url = f"postgresql://finora_app@/{name}?host={host}"
        owner = f"postgresql://postgres@/{name}?host={host}"
        given = Settings(data=settings.data, env="test", database_url=SecretStr(url),
                         database_direct_url=SecretStr(owner),
                         rate_limits="all=1000000/60")  # fmt: skip
        Finora.migrate(given)
        with Finora.open(given) as finora:
            with psycopg.connect(owner) as connection:
                connection.execute("update finora.schema_state set revision = '9998_next'")
                connection.execute(
                    f"comment on table finora.schema_state is 'replaces {migrate.head()}'"
                )
            scope = finora.scope(tenant="acme", user="u")
            finora.ledger.open_account(scope, "A")
        with Finora.open(given) as finora:
            scope = finora.scope(tenant="acme", user="u")
            assert [account.name for account in finora.ledger.accounts(scope)] == ["A"]
    finally:
        with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"drop database {name} with (force)"))


def test_an_embedded_database_of_a_newer_release_is_refused_as_such(place: Path) -> None:
    with Finora.open(Settings(data=place / "data")):
        pass
    with open_engines(place / "data") as engines, psycopg.connect(engines.admin_dsn) as admin:
        admin.execute("update finora.schema_state set revision = '9999_after_next'")
    with pytest.raises(migrate.SchemaAhead):
        Finora.open(Settings(data=place / "data"))


@pytest.fixture
def place() -> Iterator[Path]:
    with short_folder("finora-r-") as folder:
        yield folder
