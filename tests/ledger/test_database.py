"""The database itself keeps the books, whoever writes SQL to it: the run-time roles are refused,
and where it can be, so is the owner."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any
from uuid import UUID

import attrs
import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from books import DAY, EUR, Books
from finora import Amount, Scope
from finora_adapters.compose import connector
from finora_adapters.embedded import Engines
from finora_adapters.postgres import access, functions
from finora_adapters.postgres.schema import metadata
from finora_adapters.postgres.warrants import Warrants
from finora_core.kernel.ids import new_id

NO_RIGHT, CHECK, UNIQUE, FOREIGN = "42501", "23514", "23505", "23503"
TABLES = sorted(table.name for table in metadata.tables.values())
TENANT_TABLES = [name for name in TABLES if name not in access.GLOBAL | access.PEOPLE]


@pytest.fixture(scope="module")
def engine(engines: Engines, warrants: Warrants) -> Iterator[Engine]:
    """The login of the running program, without anything of ours between it and the server."""
    engine = create_engine("postgresql+psycopg://", creator=connector(engines.postgres_dsn))
    yield engine
    engine.dispose()


@attrs.frozen
class Raw:
    """SQL as one role in one tenant."""

    engine: Engine
    scope: Scope
    warrants: Warrants
    role: str = access.API

    def open(self, connection: Connection) -> Connection:
        self.warrants.be(connection, self.scope.tenant_id, self.scope.user_id)
        connection.execute(text("select set_config('role', :r, true)"), {"r": self.role})
        return connection

    def run(self, *statements: str, **values: object) -> list[Any]:
        """Run them in one transaction; the rows of the last, if it gives any."""
        with self.engine.begin() as connection:
            self.open(connection)
            for statement in statements:
                result = connection.execute(text(statement), values)
            return list(result) if result.returns_rows else []

    def refused(self, *statements: str, **values: object) -> tuple[str, str]:
        """Run what must be refused; the SQLSTATE, and the constraint or code."""
        with pytest.raises(DBAPIError) as caught:
            self.run(*statements, **values)
        error: Any = caught.value.orig
        return error.sqlstate, error.diag.constraint_name or error.diag.message_primary


@pytest.fixture
def api(engine: Engine, scope: Scope, warrants: Warrants) -> Raw:
    return Raw(engine, scope, warrants)


ENTRY = "insert into finora.entry (tenant_id, id, on_date, cause) values (:t, :e, :d, 'raw')"
POSTING = (
    "insert into finora.posting (tenant_id, entry_id, line, account_id, asset, units, on_date) "
    "values (:t, :e, 0, :a, 'EUR', {0}, :d), (:t, :e, 1, :b, 'EUR', {1}, :d)"
)


@pytest.fixture
def values(scope: Scope, cash: UUID, world: UUID) -> dict[str, object]:
    return {"t": scope.tenant_id, "e": new_id(), "d": DAY, "a": cash, "b": world}


# --- I-01, I-02, I-06: what an entry is ----------------------------------------------------------


@pytest.mark.invariant("I-02")
def test_a_balanced_entry_by_hand_is_taken_and_moves_the_balances(
    api: Raw, books: Books, cash: UUID, values: dict[str, object]
) -> None:
    api.run(ENTRY, POSTING.format(-5, 5), **values)
    assert books.units(cash) == 9_995


@pytest.mark.invariant("I-01")
@pytest.mark.parametrize(("one", "other"), [(-5, 4), (5, 5), (-1, 2), (5, -6)])
def test_an_entry_that_does_not_balance_is_refused(
    api: Raw, values: dict[str, object], one: int, other: int
) -> None:
    assert api.refused(ENTRY, POSTING.format(one, other), **values) == ("FN001", "UNBALANCED")


@pytest.mark.invariant("I-01")
def test_two_entries_do_not_balance_each_other(api: Raw, values: dict[str, object]) -> None:
    statement = (
        "insert into finora.posting (tenant_id, entry_id, line, account_id, asset, units, on_date) "
        "values (:t, :e, 0, :a, 'EUR', -5, :d), (:t, :f, 0, :b, 'EUR', 5, :d)"
    )
    second = ENTRY.replace(":e", ":f")
    said = api.refused(ENTRY, second, statement, f=new_id(), **values)
    assert said == ("FN001", "UNBALANCED")


@pytest.mark.invariant("I-01")
def test_one_asset_does_not_balance_another(api: Raw, values: dict[str, object]) -> None:
    statement = (
        "insert into finora.posting (tenant_id, entry_id, line, account_id, asset, units, on_date) "
        "values (:t, :e, 0, :a, 'EUR', -5, :d), (:t, :e, 1, :b, 'USD', 5, :d)"
    )
    assert api.refused(ENTRY, statement, **values) == ("FN001", "UNBALANCED")


@pytest.mark.invariant("I-01")
def test_a_balance_that_comes_in_a_second_statement_comes_too_late(
    api: Raw, values: dict[str, object]
) -> None:
    leg = (
        "insert into finora.posting (tenant_id, entry_id, line, account_id, asset, units, on_date) "
        "values (:t, :e, {}, :a, 'EUR', {}, :d)"
    )
    said = api.refused(ENTRY, leg.format(0, -5), leg.format(1, 5), **values)
    assert said == ("FN001", "UNBALANCED")


@pytest.mark.invariant("I-06")
def test_an_entry_of_an_earlier_transaction_is_closed(
    api: Raw, books: Books, cash: UUID, values: dict[str, object]
) -> None:
    api.run(ENTRY, POSTING.format(-5, 5), **values)
    later = POSTING.replace("0, :a", "7, :a").replace("1, :b", "8, :b").format(-1, 1)
    assert api.refused(later, **values) == ("FN002", "ENTRY_CLOSED")
    assert books.units(cash) == 9_995


@pytest.mark.invariant("I-06")
def test_an_entry_without_postings_cannot_be_kept_for_later(
    api: Raw, admin: Engine, values: dict[str, object]
) -> None:
    """Not even under a transaction id that is still to come."""
    assert api.refused(
        "insert into finora.entry (tenant_id, id, on_date, cause, tx) values "
        "(:t, :e, :d, 'raw', (pg_current_xact_id()::text::bigint + 1)::text::xid8)",
        **values,
    )[0] == NO_RIGHT  # fmt: skip


@pytest.mark.invariant("I-06")
def test_a_posting_has_the_date_of_its_entry(api: Raw, values: dict[str, object]) -> None:
    wrong = POSTING.format(-5, 5).replace(":d", ":other")
    said = api.refused(ENTRY, wrong, other=date(2026, 3, 2), **values)
    assert said == ("FN002", "ENTRY_CLOSED")


@pytest.mark.invariant("I-06")
def test_a_posting_needs_an_entry_and_an_account_of_its_tenant(
    api: Raw, books: Books, stranger: Scope, values: dict[str, object]
) -> None:
    theirs = books.ledger.open_account(stranger, "Theirs").id
    ours = books.pay(values["b"], values["a"], 1)
    made = POSTING.format(-5, 5)
    assert api.refused(made, **values) == ("FN002", "ENTRY_CLOSED")
    for account in (theirs, new_id()):
        said = api.refused(ENTRY, made, **values | {"b": account})
        assert said == ("FN003", "ACCOUNT_NOT_FOUND")
    them = attrs.evolve(api, scope=stranger)
    other = values | {"t": stranger.tenant_id, "a": theirs, "b": theirs}
    assert them.refused(made, **other | {"e": ours.id}) == ("FN002", "ENTRY_CLOSED")


@pytest.mark.invariant("I-06")
@pytest.mark.parametrize("asset", ["XXX", "", "eur"])
def test_a_posting_is_in_an_asset_that_exists(
    api: Raw, values: dict[str, object], asset: str
) -> None:
    made = POSTING.format(-5, 5).replace("'EUR'", f"'{asset}'")
    assert api.refused(ENTRY, made, **values) == (FOREIGN, "balance_asset_fkey")


# --- I-11: amounts -------------------------------------------------------------------------------

BAD_UNITS = ("'NaN'", "'Infinity'", "'-Infinity'", "0.5", "-0.000001", "1e78", "-1e78", "1e400")


@pytest.mark.invariant("I-11")
@pytest.mark.parametrize("units", BAD_UNITS)
def test_an_amount_is_whole_finite_and_in_range(
    api: Raw, values: dict[str, object], units: str
) -> None:
    wrong = (CHECK, "money_units_check")
    assert api.refused(ENTRY, POSTING.format(units, "5"), **values) == wrong
    assert api.refused(ENTRY, POSTING.format(units, f"-({units}::numeric)"), **values) == wrong
    hold = (
        "insert into finora.hold (tenant_id, id, account_id, asset, units) "
        f"values (:t, :e, :a, 'EUR', {units})"
    )
    assert api.refused(hold, **values) == wrong


@pytest.mark.invariant("I-11")
def test_a_posting_of_nothing_is_refused(api: Raw, values: dict[str, object]) -> None:
    assert api.refused(ENTRY, POSTING.format(0, 0), **values) == (CHECK, "posting_units_check")


@pytest.mark.invariant("I-11")
def test_a_balance_cannot_grow_out_of_range(
    api: Raw, books: Books, values: dict[str, object]
) -> None:
    most = "9" * 78
    other = books.open("Other")
    api.run(ENTRY, POSTING.format(most, f"-{most}"), **values | {"b": other, "a": values["b"]})
    said = api.refused(ENTRY, POSTING.format(most, f"-{most}"), **values | {"e": new_id()})
    assert said == (CHECK, "money_units_check")


# --- I-05, I-08, I-09, I-13: floors, holds, reversals, exchanges ---------------------------------


@pytest.mark.invariant("I-05")
def test_a_balance_below_its_floor_is_refused(
    api: Raw, books: Books, cash: UUID, values: dict[str, object]
) -> None:
    too_much = POSTING.format(-10_001, 10_001)
    assert api.refused(ENTRY, too_much, **values) == (CHECK, "balance_floor_check")
    hold = (
        "insert into finora.hold (tenant_id, id, account_id, asset, units) "
        "values (:t, :h, :a, 'EUR', {})"
    )
    said = api.refused(hold.format(10_001), h=new_id(), **values)
    assert said == (CHECK, "balance_floor_check")
    api.run(hold.format(10_000), h=new_id(), **values)
    said = api.refused(ENTRY, POSTING.format(-1, 1), **values)
    assert said == (CHECK, "balance_floor_check")
    assert books.available(cash) == 0


END = (
    "insert into finora.hold_end (tenant_id, hold_id, outcome, units, entry_id) "
    "values (:t, :h, '{}', {}, {})"
)


@pytest.mark.invariant("I-08")
@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ([("voided", 0, "null"), ("voided", 0, "null")], (UNIQUE, "hold_end_pkey")),
        ([("voided", 0, "null"), ("posted", 5, ":e")], (UNIQUE, "hold_end_pkey")),
        ([("posted", 101, ":e")], ("FN005", "HOLD_EXCEEDED")),
        ([("posted", 0, ":e")], (CHECK, "hold_end_units_check")),
        ([("posted", -5, ":e")], (CHECK, "hold_end_units_check")),
        ([("posted", 5, "null")], (CHECK, "hold_end_entry_check")),
        ([("posted", 5, "gen_random_uuid()")], (FOREIGN, "hold_end_entry_fkey")),
        ([("voided", 5, "null")], (CHECK, "hold_end_units_check")),
        ([("voided", 0, ":e")], (CHECK, "hold_end_entry_check")),
        ([("expired", 0, "null")], ("FN007", "HOLD_NOT_EXPIRED")),
        ([("lost", 0, "null")], (CHECK, "hold_end_outcome_check")),
    ],
    ids=str,
)
def test_a_hold_ends_once_within_its_amount_by_the_rules(
    api: Raw, books: Books, cash: UUID, values: dict[str, object],
    ends: list[tuple[str, int, str]], said: tuple[str, str],
) -> None:  # fmt: skip
    held = books.ledger.hold(books.scope, cash, Amount(100, EUR))
    made = [END.format(*end) for end in ends]
    assert api.refused(ENTRY, POSTING.format(-5, 5), *made, h=held.id, **values) == said
    assert books.held(cash) == 100


@pytest.mark.invariant("I-08")
def test_a_hold_of_another_tenant_is_not_there_to_be_ended(
    api: Raw, books: Books, cash: UUID, stranger: Scope
) -> None:
    held = books.ledger.hold(books.scope, cash, Amount(100, EUR))
    them = attrs.evolve(api, scope=stranger)
    statement = END.format("voided", 0, "null")
    said = them.refused(statement, t=stranger.tenant_id, h=held.id)
    assert said == (FOREIGN, "hold_end_hold_fkey")
    assert them.refused(statement, t=books.scope.tenant_id, h=held.id)[0] == NO_RIGHT


REVERSAL = (
    "insert into finora.entry (tenant_id, id, on_date, cause, reverses) "
    "values (:t, :e, :d, 'raw', :o)"
)


@pytest.mark.invariant("I-09")
def test_a_second_reversal_and_a_false_one_are_refused(
    api: Raw, books: Books, cash: UUID, world: UUID, values: dict[str, object]
) -> None:
    made = books.pay(cash, world, 7)
    false = POSTING.format(6, -6)
    assert api.refused(REVERSAL, false, o=made.id, **values) == ("FN009", "BAD_REVERSAL")
    back = books.ledger.reverse(books.scope, made.id)
    said = api.refused(REVERSAL, o=made.id, **values)
    assert said == (UNIQUE, "entry_tenant_id_reverses_key")
    again = POSTING.format(-7, 7)
    assert api.refused(REVERSAL, again, o=back.id, **values) == ("FN009", "BAD_REVERSAL")
    itself = REVERSAL.replace(":o", ":e")
    assert api.refused(itself, **values) == (CHECK, "entry_reverses_check")


@pytest.mark.invariant("I-13")
@pytest.mark.parametrize(
    ("rate", "source", "said"),
    [("null", "'x'", "entry_rate_check"), ("1.5", "null", "entry_rate_check"),
     ("0", "'x'", "rate_check"), ("-1", "'x'", "rate_check"), ("'NaN'", "'x'", "rate_check"),
     ("'Infinity'", "'x'", "rate_check")],
)  # fmt: skip
def test_an_exchange_has_a_rate_and_its_source(
    api: Raw, values: dict[str, object], rate: str, source: str, said: str
) -> None:
    statement = (
        "insert into finora.entry (tenant_id, id, on_date, cause, flow, rate, rate_source) "
        f"values (:t, :e, :d, 'raw', 'exchange', {rate}, {source})"
    )
    assert api.refused(statement, **values) == (CHECK, said)


# --- I-03, I-07, I-14: what nobody may write -----------------------------------------------------

FACTS = sorted(functions._FACTS)
CHANGES = ("update finora.{0} set {1} = {1}", "delete from finora.{0}", "truncate finora.{0}")


def first_column(table: str) -> str:
    return metadata.tables[f"finora.{table}"].columns.keys()[0]


@pytest.mark.invariant("I-07")
@pytest.mark.parametrize("role", [access.API, access.WORKER, access.CONTROL])
@pytest.mark.parametrize("table", FACTS)
def test_no_run_time_role_changes_a_fact(
    engine: Engine, scope: Scope, table: str, role: str, warrants: Warrants
) -> None:
    raw = Raw(engine, scope, warrants, role)
    for change in CHANGES:
        assert raw.refused(change.format(table, first_column(table)))[0] == NO_RIGHT


@pytest.mark.invariant("I-07")
@pytest.mark.parametrize("table", FACTS)
def test_not_even_the_owner_changes_a_fact(
    admin: Engine, scope: Scope, table: str, warrants: Warrants
) -> None:
    owner = Raw(admin, scope, warrants, access.MIGRATOR)
    for change in (*CHANGES, "truncate finora.{0} cascade"):
        said = owner.refused(change.format(table, first_column(table)))
        # What a foreign key points at is refused to be emptied before any trigger is asked.
        assert said[1] == "FACT_IMMUTABLE" or said[0] == "0A000"


@pytest.mark.invariant("I-07")
def test_a_fact_is_not_changed_by_writing_it_twice(api: Raw, values: dict[str, object]) -> None:
    upsert = (
        POSTING.format(-5, 5) + " on conflict (tenant_id, entry_id, line) do update set units = 1"
    )
    assert api.refused(ENTRY, upsert, **values)[0] == NO_RIGHT


@pytest.mark.invariant("I-03")
@pytest.mark.parametrize("role", [access.API, access.WORKER, access.CONTROL])
@pytest.mark.parametrize("table", ["balance", "total"])
def test_a_balance_is_moved_by_postings_alone(
    engine: Engine, scope: Scope, table: str, role: str, warrants: Warrants
) -> None:
    raw = Raw(engine, scope, warrants, role)
    for change in (*CHANGES, "insert into finora.{0} default values"):
        assert raw.refused(change.format(table, "units"))[0] == NO_RIGHT


@pytest.mark.invariant("I-07")
@pytest.mark.parametrize(
    ("table", "change"),
    [("account", "update finora.account set floor = null"),
     ("account", "update finora.account set id = id"),
     ("account", "delete from finora.account"),
     ("tenant", "update finora.tenant set key = key"),
     ("membership", "update finora.membership set user_id = user_id"),
     ("tenant", "delete from finora.tenant"),
     ("person", "delete from finora.person"),
     ("guess", "select * from finora.guess"),
     ("signing_key", "delete from finora.signing_key"),
     ("command", "update finora.command set reply = ''"),
     ("command", "delete from finora.command"),
     ("job", "update finora.job set payload = '{}'"),
     ("job", "delete from finora.job"),
     ("seal", "insert into finora.seal (tenant_id, seq, event_id, tx, hash) values "
      "(:t, 1, :t, '1', decode(repeat('00', 32), 'hex'))"),
     ("seal_mark", "select * from finora.seal_mark"),
     ("schema_state", "update finora.schema_state set digest = ''"),
     ("alembic_version", "select * from finora.alembic_version")],
    ids=str,
)  # fmt: skip
def test_what_is_not_granted_is_denied(api: Raw, table: str, change: str) -> None:
    assert api.refused(change, t=api.scope.tenant_id)[0] == NO_RIGHT


@pytest.mark.invariant("I-14")
@pytest.mark.parametrize("column", ["recorded_at", "tx"])
@pytest.mark.parametrize(
    ("table", "given"),
    [("entry", "id, on_date, cause"), ("event", "id, type, payload, actor, request_id"),
     ("hold", "id, account_id, asset, units"), ("hold_end", "hold_id, outcome"),
     ("account", "id, name, kind, normal")],
)  # fmt: skip
def test_the_database_alone_says_when(api: Raw, table: str, given: str, column: str) -> None:
    if column not in metadata.tables[f"finora.{table}"].columns:
        column = {"account": "opened_at"}.get(table, "recorded_at")
    names = f"tenant_id, {given}, {column}"
    nulls = ", ".join("null" for _ in names.split(","))
    assert api.refused(f"insert into finora.{table} ({names}) values ({nulls})")[0] == NO_RIGHT


@pytest.mark.invariant("I-34")
@pytest.mark.parametrize(
    "statement",
    ["create table finora.mine (id int)", "create table public.mine (id int)",
     "create schema mine", "create function finora.f() returns int language sql return 1",
     "create extension hstore", "drop table finora.posting", "alter table finora.posting disable "
     "trigger all", "alter table finora.posting disable row level security",
     "create policy p on finora.posting using (true)", "drop policy posting_api on finora.posting",
     "alter role finora_api bypassrls", "set role finora_migrator", "set role postgres",
     "set session authorization postgres", "set session_replication_role = replica",
     "copy finora.account to program 'true'", "select pg_read_file('/etc/passwd')",
     "select lo_import('/etc/passwd')", "grant finora_migrator to finora_api",
     "create view finora.v as select 1", "create event trigger x on ddl_command_end execute "
     "function finora.refuse_change()", "select finora.posting_added()",
     "set log_statement = 'none'", "load 'auto_explain'",
     "create trigger x before insert on finora.posting for each row execute function "
     "finora.refuse_change()"],
)  # fmt: skip
def test_a_run_time_role_can_do_nothing_to_the_house(api: Raw, statement: str) -> None:
    # 0A000: functions for triggers cannot be called at all.
    assert api.refused(statement)[0] in (NO_RIGHT, "0A000")


# --- I-35: other tenants -------------------------------------------------------------------------


@pytest.fixture
def rows(admin: Engine, books: Books, cash: UUID, world: UUID) -> Callable[[], dict[str, int]]:
    """How many rows of each table the tenant has; with some in it."""
    held = books.ledger.hold(books.scope, cash, Amount(5, EUR))
    books.ledger.void_hold(books.scope, held.id)

    def count() -> dict[str, int]:
        with admin.connect() as connection:
            return {
                name: int(
                    connection.scalar(
                        text(f"select count(*) from finora.{name} where tenant_id = :t"),
                        {"t": books.scope.tenant_id},
                    )
                    or 0
                )
                for name in TENANT_TABLES
            }

    return count


@pytest.mark.invariant("I-37")
@pytest.mark.spec("S3-2", partial=True)
@pytest.mark.parametrize("role", [access.API, access.WORKER, access.MIGRATOR])
def test_one_tenant_sees_no_row_of_another(
    admin: Engine,
    rows: Callable[[], dict[str, int]],
    books: Books,
    stranger: Scope,
    role: str,
    warrants: Warrants,
) -> None:
    ours = rows()
    assert {name for name, n in ours.items() if n} >= {
        "tenant", "membership", "account", "balance", "entry", "posting", "hold", "hold_end",
        "event", "total",
    }  # fmt: skip
    them = Raw(admin, stranger, warrants, role)
    hidden = {name for name in TENANT_TABLES if role != access.MIGRATOR
              and (name, role) not in access.grants()}  # fmt: skip
    if role == access.MIGRATOR:  # its definer functions find these by key
        hidden = {"tenant", "membership"}
    for name in set(TENANT_TABLES) - hidden:
        query = f"select count(*) from finora.{name} where tenant_id = :t"
        [(seen,)] = them.run(query, t=books.scope.tenant_id)
        assert seen == 0, name


@pytest.mark.invariant("I-37")
def test_one_tenant_writes_no_row_of_another(
    engine: Engine,
    books: Books,
    stranger: Scope,
    cash: UUID,
    values: dict[str, object],
    warrants: Warrants,
) -> None:
    them = Raw(engine, stranger, warrants)
    for statement in (
        ENTRY,
        "insert into finora.account (tenant_id, id, name, kind, normal) "
        "values (:t, :e, 'x', 'asset', 1)",
        "insert into finora.hold (tenant_id, id, account_id, asset, units) "
        "values (:t, :e, :a, 'EUR', 1)",
        "insert into finora.event (tenant_id, id, type, payload, actor, request_id) "
        "values (:t, :e, 'x', '{}', :a, 'x')",
        "insert into finora.label (tenant_id, entry_id, number, source, set_by) "
        "values (:t, :e, 1, 'human', :a)",
        "insert into finora.command (tenant_id, user_id, key, fingerprint, reply) "
        "values (:t, :e, 'x', '', '')",
    ):
        assert them.refused(statement, **values)[0] == NO_RIGHT
    assert books.units(cash) == 10_000
