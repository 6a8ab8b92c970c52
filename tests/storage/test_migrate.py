"""Migrations: an empty database becomes what the code declares, once, whoever asks, and drift and
strange versions are noticed.

After a migration was added, or 0001 was made anew before the first release:

    (cd src/finora_adapters/postgres/migrations/versions && sha256sum *) > tests/storage/checksums.txt
"""  # noqa: E501  # one line to copy

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import pytest
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, create_engine, text

from finora import Amount, Finora, Posting, Settings, currency
from finora_adapters.compose import connector
from finora_adapters.embedded import Engines, open_engines
from finora_adapters.postgres import access, migrate
from finora_adapters.postgres.invariants import violations
from finora_adapters.postgres.schema import SCHEMA
from finora_adapters.postgres.warrants import Warrants, enforced
from finora_core.kernel.asset import CURRENCIES
from folders import short_folder
from together import errors, together

VERSIONS = migrate.MIGRATIONS / "versions"
CHECKSUMS = Path(__file__).parent / "checksums.txt"

MakeDatabase = Callable[[], Engine]


@pytest.fixture
def make_database(admin: Engine, engines: Engines) -> Iterator[MakeDatabase]:
    """Makes empty databases on the run's server, opened as the superuser."""
    made: dict[str, Engine] = {}

    def run(sql: str) -> None:
        with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(sql))

    def make() -> Engine:
        name = f"d{secrets.token_hex(4)}"
        run(f"create database {name} template template0")
        dsn = make_conninfo(engines.admin_dsn, dbname=name)
        made[name] = create_engine("postgresql+psycopg://", creator=connector(dsn))
        return made[name]

    yield make
    for name, engine in made.items():
        engine.dispose()
        run(f"drop database {name} with (force)")


def catalogue(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return migrate.catalogue(connection)


@pytest.mark.spec("S0-12")
def test_an_empty_database_becomes_what_the_code_declares(make_database: MakeDatabase) -> None:
    migrated, declared = make_database(), make_database()
    assert migrate.migrate(migrated, "finora_app") == migrate.head()
    with declared.begin() as connection:
        migrate.ensure_vectors(connection)
        connection.execute(text(f"create schema {SCHEMA} authorization {access.MIGRATOR}"))
        connection.execute(text(f"set local role {access.MIGRATOR}"))
        for statement in migrate.declared():
            connection.execute(text(statement.replace(":", r"\:")))
    assert catalogue(migrated) == catalogue(declared)
    assert len(catalogue(migrated)) > 300


@pytest.mark.spec("S4-78")
def test_numbered_migrations_are_never_edited() -> None:
    noted = dict(
        reversed(line.split()) for line in CHECKSUMS.read_text().splitlines() if line.strip()
    )
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VERSIONS.iterdir()
        if path.is_file()
    }
    assert found == noted, "a migration was edited, or is new: see the top of this file"


def test_migrations_are_numbered_without_a_gap_and_go_forward_only() -> None:
    names = sorted(path.stem for path in VERSIONS.glob("*.py"))
    assert [name.split("_")[0] for name in names] == [f"{n:04}" for n in range(1, len(names) + 1)]
    assert all((VERSIONS / f"{name}.py").read_text().count("def downgrade") == 0 for name in names)
    assert migrate.head() == names[-1]


def test_migrating_again_changes_nothing(make_database: MakeDatabase) -> None:
    engine = make_database()
    migrate.migrate(engine, "finora_app")
    before = catalogue(engine)
    assert migrate.migrate(engine, "finora_app") == migrate.head()
    assert catalogue(engine) == before
    with engine.connect() as connection:
        known = connection.scalar(text("select count(*) from finora.asset"))
        assert known == len(CURRENCIES)
        assert violations(connection) == []


def test_two_migrations_at_once_make_one_schema(make_database: MakeDatabase) -> None:
    engine = make_database()
    results = together(*[lambda: migrate.migrate(engine, "finora_app")] * 4)
    assert not errors(results)
    assert set(results) == {migrate.head()}
    with engine.connect() as connection:
        assert connection.scalar(text("select count(*) from finora.schema_state")) == 1
        assert not migrate.drift(connection)


def test_a_migration_that_fails_leaves_nothing(make_database: MakeDatabase) -> None:
    engine = make_database()
    with engine.begin() as connection:
        connection.execute(text(f"create schema {SCHEMA} authorization {access.MIGRATOR}"))
        connection.execute(text(f"create table {SCHEMA}.revision (id int)"))
    with pytest.raises(Exception, match="already exists"):
        migrate.migrate(engine)
    with engine.connect() as connection:
        tables = connection.scalars(
            text("select relname from pg_class where relnamespace = 'finora'::regnamespace")
        ).all()
        assert tables == ["revision"]
        assert migrate.revision_of(connection) is None


# A household of the release before rules: an account, a payment that somebody gave a category and
# one that nobody did.
HOUSEHOLD = """
select set_config('finora.tenant', '00000000-0000-0000-0000-00000000000a', true);
insert into finora.tenant (tenant_id, key) values ('00000000-0000-0000-0000-00000000000a', 'a');
insert into finora.account (tenant_id, id, name, kind, normal, asset) values
  ('00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-0000000000a1', 'Giro',
   'asset', 1, 'EUR'),
  ('00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-0000000000a2', 'Outside',
   'outside', 1, null);
insert into finora.entry (tenant_id, id, on_date, cause)
  select '00000000-0000-0000-0000-00000000000a', id, '2026-01-31', 'record' from unnest(array[
  '00000000-0000-0000-0000-0000000000e1', '00000000-0000-0000-0000-0000000000e2']::uuid[]) id;
insert into finora.posting (tenant_id, entry_id, line, account_id, asset, units, on_date)
  select e.tenant_id, e.id, line, account_id, 'EUR', units, e.on_date from finora.entry e, (values
  (1, '00000000-0000-0000-0000-0000000000a1'::uuid, -450),
  (2, '00000000-0000-0000-0000-0000000000a2'::uuid, 450)) v (line, account_id, units);
insert into finora.label (tenant_id, entry_id, number, category, source, set_by) values
  ('00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-0000000000e1', 1, 'Food:Out',
   'human', '00000000-0000-0000-0000-0000000000ff');
insert into finora.record (tenant_id, id, received_account_id, identity, occurrence, source,
  account_id, on_date, units, asset, description, merchant_key, bank_state, entry_id)
  select tenant_id, id, '00000000-0000-0000-0000-0000000000a1', id, 1, 'csv',
  '00000000-0000-0000-0000-0000000000a1', on_date, -450, 'EUR', 'lunch', 'LUNCH', 'booked', id
  from finora.entry;
"""


def test_books_go_through_all_later_migrations(make_database: MakeDatabase) -> None:
    """With rows in the tables, which triggers and policies look at."""
    engine = make_database()
    assert migrate.migrate(engine, "finora_app", to="0009_explain") == "0009_explain"
    with engine.begin() as connection:
        connection.exec_driver_sql(HOUSEHOLD)
    assert migrate.migrate(engine, "finora_app") == migrate.head()
    with engine.connect() as connection:
        assert not migrate.drift(connection)
        assert violations(connection) == []
        said = connection.execute(text(
            "select locked from finora.record order by entry_id"
        )).scalars()  # fmt: skip
        assert list(said) == ["category", ""]
        known = connection.scalars(text("select name from finora.category"))
        assert list(known) == ["Food:Out"]


@pytest.mark.invariant("T-24")
@pytest.mark.invariant("F-27")
def test_warrants_are_asked_for_when_the_release_before_is_gone(
    make_database: MakeDatabase,
) -> None:
    engine, keys = make_database(), [b"1" * 32, b"2" * 32]

    def seen(place: Mapping[str, str]) -> bool:
        with engine.connect() as connection:
            connection.execute(text("select set_config('finora.warrant', '', true)"))
            for name, value in place.items():
                setting = text("select set_config(:name, :value, true)")
                connection.execute(setting, {"name": f"finora.{name}", "value": value})
            return connection.scalar(text("select finora.finora_tenant()")) is not None

    named = {"tenant": str(uuid4()), "user": str(uuid4())}
    proven = [named | {"warrant": Warrants(key).of(*named.values())} for key in (*keys, b"3" * 32)]
    migrate.migrate(engine, "finora_app", to="0016_taken_back")
    migrate.migrate(engine, "finora_app", keys=keys)
    assert seen(named)
    migrate.migrate(engine, "finora_app", keys=keys)
    assert not seen(named)
    assert [seen(each) for each in proven] == [True, True, False]
    # A key comes, another goes; they are asked for from the start.
    migrate.migrate(engine, "finora_app", keys=[b"3" * 32, keys[0]])
    assert not seen(named)
    assert [seen(each) for each in proven] == [True, False, True]
    new = make_database()
    migrate.migrate(new, "finora_app", keys=keys)
    with new.connect() as connection:
        assert enforced(connection)


@pytest.mark.invariant("T-24")
def test_a_process_whose_warrants_would_not_count_does_not_start(
    server: Engines,
) -> None:
    as_admin(server, "create database warranted")
    place = server.admin_dsn.split()[0].removeprefix("host=")
    url = SecretStr(f"postgresql://postgres@/warranted?host={place}")
    one, two = f"1:{secrets.token_hex(32)}", f"2:{secrets.token_hex(32)}"

    def settings(keys: str) -> Settings:
        return Settings(data=server.data, database_url=url, secret_keys=SecretStr(keys))

    Finora.migrate(settings(one))
    with Finora.open(settings(f"{one},{two}")):
        pass
    with pytest.raises(migrate.SchemaBehind, match="FINORA_SECRET_KEYS"):
        Finora.open(settings(f"{two},{one}"))
    Finora.migrate(settings(f"{one},{two}"))
    for order in (f"{one},{two}", f"{two},{one}"):
        with Finora.open(settings(order)) as finora:
            assert finora.ledger.accounts(finora.scope("acme", "u1")) == []


# --- drift ---------------------------------------------------------------------------------------

DRIFTS = (
    "drop policy posting_api on finora.posting",
    "alter policy posting_api on finora.posting using (true)",
    "drop policy posting_api on finora.posting; create policy posting_api on finora.posting as "
    "restrictive to finora_api using (tenant_id = finora.finora_tenant()) "
    "with check (tenant_id = finora.finora_tenant())",
    "create policy more on finora.posting to finora_api using (true)",
    "alter table finora.posting disable row level security",
    "alter table finora.posting no force row level security",
    "alter table finora.posting disable trigger posting_added",
    "drop trigger posting_fixed on finora.posting",
    "alter table finora.balance drop constraint balance_floor_check",
    "alter domain finora.money_units drop constraint money_units_check",
    "drop index finora.posting_tenant_id_account_id_on_date_idx",
    "alter table finora.entry alter cause drop not null",
    "alter table finora.entry add more text",
    "alter table finora.entry alter cause type varchar(10)",
    "alter table finora.entry alter recorded_at set default 'yesterday'",
    "create table finora.more (id int)",
    "create view finora.more as select * from finora.posting",
    "create rule more as on insert to finora.label do instead nothing",
    "alter table finora.total set unlogged",
    "grant update on finora.balance to finora_api",
    "grant update (units) on finora.posting to finora_api",
    "revoke insert on finora.posting from finora_api",
    "grant create on schema finora to finora_api",
    "grant execute on function finora.posting_added() to public",
    "alter function finora.posting_added() security invoker",
    "alter function finora.posting_added() reset search_path",
    "alter function finora.posting_added() owner to postgres",
    "create or replace function finora.finora_tenant() returns uuid language sql stable "
    "return gen_random_uuid()",
    "create function finora.more() returns int language sql return 1",
    "alter table finora.posting owner to postgres",
    "alter role finora_api bypassrls",
    "alter role finora_api login",
)


@pytest.mark.spec("S0-12", partial=True)
@pytest.mark.parametrize("change", DRIFTS)
def test_drift_is_seen(admin: Engine, change: str) -> None:
    with admin.connect() as connection:
        assert not migrate.drift(connection)
        for statement in change.split("; "):
            connection.execute(text(statement))
        assert migrate.drift(connection)
        connection.rollback()
        assert not migrate.drift(connection)


def test_books_that_fill_up_are_no_drift(admin: Engine, finora: Finora) -> None:
    with admin.connect() as connection:
        before = migrate.catalogue(connection)
    finora.ledger.open_account(finora.scope(tenant="drift", user="u"), f"A {secrets.token_hex(4)}")
    with admin.connect() as connection:
        connection.execute(text("analyze finora.account"))
        assert migrate.catalogue(connection) == before


# --- versions ------------------------------------------------------------------------------------


def at(connection: Connection, revision: str) -> None:
    connection.execute(text("update finora.schema_state set revision = :r"), {"r": revision})


@pytest.mark.spec("S0-12", partial=True)
def test_another_version_of_the_schema_is_refused(admin: Engine) -> None:
    with admin.connect() as connection:
        migrate.require_current(connection)
        at(connection, "9999_future")
        with pytest.raises(migrate.SchemaAhead) as ahead:
            migrate.require_current(connection)
        assert ahead.value.code == "SCHEMA_AHEAD"
        connection.rollback()


def test_an_empty_database_is_behind_and_is_not_opened(
    make_database: MakeDatabase, settings: Settings
) -> None:
    engine = make_database()
    with engine.connect() as connection:
        assert migrate.revision_of(connection) is None
        with pytest.raises(migrate.SchemaBehind):
            migrate.require_current(connection)
        name = connection.scalar(text("select current_database()"))
        host = connection.scalar(text("show unix_socket_directories"))
    url = f"postgresql:///{name}?host={host}&user=postgres"
    deployed = Settings(data=settings.data, database_url=SecretStr(url))
    with pytest.raises(migrate.SchemaBehind, match="finora migrate"):
        Finora.open(deployed)


class OldServer:
    """A connection to PostgreSQL 15, as far as its version goes."""

    def scalar(self, query: object) -> str:
        assert str(query) == "show server_version_num"
        return "150013"


def test_an_old_server_is_refused() -> None:
    with pytest.raises(migrate.PostgresTooOld, match="PostgreSQL 15"):
        migrate._check_version(OldServer())


# --- a database of one's own ---------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Engines]:
    """Another server, on which nobody made Finora's roles yet."""
    with short_folder("finora-own-") as folder, open_engines(folder / "data") as engines:
        yield engines


def as_admin(server: Engines, *statements: str, **place: str) -> None:
    dsn = make_conninfo(server.admin_dsn, **place)
    engine = create_engine("postgresql+psycopg://", creator=connector(dsn))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def test_a_login_that_is_no_superuser_installs_migrates_and_another_runs(server: Engines) -> None:
    as_admin(
        server,
        "create role owner_login login createrole",
        "create role runner login",
        "create role bystander login",
        "create database books owner owner_login",
    )
    place = server.admin_dsn.split()[0].removeprefix("host=")

    def settings(user: str) -> Settings:
        url = f"postgresql://{user}@/books?host={place}"
        owner = f"postgresql://owner_login@/books?host={place}"
        return Settings(
            data=server.data, database_url=SecretStr(url), database_direct_url=SecretStr(owner)
        )

    with pytest.raises(migrate.SchemaBehind):
        Finora.open(settings("runner"))
    with pytest.raises(migrate.VectorsMissing) as caught:
        Finora.migrate(settings("runner"))
    said = caught.value.message.partition(": ")[2]
    assert said == "create extension vector;"
    as_admin(server, said, dbname="books")
    assert Finora.migrate(settings("runner")) == migrate.head()
    assert Finora.migrate(settings("runner")) == migrate.head()
    with Finora.open(settings("runner")) as finora:
        scope = finora.scope(tenant="acme", user="u1")
        a, b = (finora.ledger.open_account(scope, name).id for name in "AB")
        one = Amount(1, currency("EUR"))
        finora.ledger.post(scope, [Posting(a, one), Posting(b, -one)])
        finora.run_jobs()
    engine = create_engine(
        "postgresql+psycopg://", creator=connector(f"host={place} dbname=books user=bystander")
    )
    with engine.connect() as connection, pytest.raises(Exception, match="permission denied"):
        connection.execute(text("select * from finora.posting"))
    engine.dispose()


def test_a_login_that_may_not_make_roles_is_told_what_to_run(server: Engines) -> None:
    as_admin(server, "create role owner_login login", "create database books owner owner_login")
    dsn = make_conninfo(server.admin_dsn, user="owner_login", dbname="books")
    engine = create_engine("postgresql+psycopg://", creator=connector(dsn))
    with pytest.raises(migrate.RolesMissing) as caught:
        migrate.migrate(engine)
    assert caught.value.code == "DATABASE_ROLES_MISSING"
    script = caught.value.message.partition("\n")[2]
    as_admin(server, *[line for line in script.split(";\n") if line])
    as_admin(server, "create extension vector", dbname="books")
    assert migrate.migrate(engine) == migrate.head()
    engine.dispose()
