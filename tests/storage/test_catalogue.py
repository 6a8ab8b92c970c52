"""What the database's own catalogue says about tables, roles and rights."""

import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, text

from finora_adapters.postgres import access, functions
from finora_adapters.postgres.schema import metadata

ROOT = Path(__file__).parents[2]

# Unique over all tenants on purpose; read before a tenant is known, through one definer function.
GLOBAL_UNIQUES = {"tenant_key_key", "person_key_key", "identity_kind_issuer_subject_key"}
GLOBAL_UNIQUES |= {f"{table}_pkey" for table in access.PEOPLE}
GLOBAL_UNIQUES |= {f"{table}_pkey" for table in access.GLOBAL} | {"alembic_version_pkc"}
GLOBAL_UNIQUES |= {"address_default_key"}  # One a person.
# Of global tables.
GLOBAL_UNIQUES |= {"fx_rate_number_key", "asset_identity_symbol_kind_segment_key"}
GLOBAL_UNIQUES |= {"asset_name_asset_namespace_key"}

# Functions that run with the owner's rights. Row security holds for them too: it is forced.
DEFINERS = {
    "finora.open_tenant", "finora.lock_balances", "finora.posting_added", "finora.label_added",
    "finora.label_part_added",
    "finora.hold_added", "finora.hold_ended", "finora.record_added", "finora.record_changed",
    "finora.find_person", "finora.home_of", "finora.my_tenants", "finora.members", "finora.people",
    "finora.guesses", "finora.guessed_wrong", "finora.guessed_right",
    "finora.closed_to_postings", "finora.closed_to_labels",
    "finora.finora_tenant", "finora.finora_user", "finora.finora_control",
}  # fmt: skip

RUN_TIME = ("finora_api", "finora_worker", "finora_control", "finora_eraser", "finora_app")


@pytest.fixture
def catalogue(admin: Engine) -> "Catalogue":
    return Catalogue(admin)


class Catalogue:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def rows(self, sql: str, **values: object) -> list[tuple[object, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql), values)]

    def column(self, sql: str, **values: object) -> set[object]:
        return {row[0] for row in self.rows(sql, **values)}


OURS = "join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'finora'"


# --- I-33 ----------------------------------------------------------------------------------------


@pytest.mark.invariant("I-33")
def test_every_table_is_a_tenants_a_persons_or_a_listed_few(catalogue: Catalogue) -> None:
    tables = catalogue.column(f"select relname from pg_class c {OURS} where relkind in ('r', 'p')")
    assert tables == {table.name for table in metadata.tables.values()} | {"alembic_version"}
    tenants = catalogue.column(
        f"select relname from pg_class c {OURS} join pg_attribute a on a.attrelid = c.oid "
        "where relkind in ('r', 'p') and attname = 'tenant_id' and attnotnull"
    )
    assert tables - tenants == access.GLOBAL | access.PEOPLE | {"alembic_version"}


@pytest.mark.invariant("I-33")
@pytest.mark.spec("S3-2", partial=True)
def test_the_key_of_a_tenants_table_starts_with_the_tenant(catalogue: Catalogue) -> None:
    first = catalogue.rows(
        f"""select c.relname, a.attname from pg_class c {OURS}
        join pg_index i on i.indrelid = c.oid and i.indisprimary
        join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]"""
    )
    other = {table for table, column in first if column != "tenant_id"}
    assert other == access.GLOBAL | access.PEOPLE | {"alembic_version"}


@pytest.mark.invariant("I-33")
def test_row_security_is_on_and_forced_for_the_owner_too(catalogue: Catalogue) -> None:
    open_tables = catalogue.column(
        f"select relname from pg_class c {OURS} where relkind in ('r', 'p') "
        "and not (relrowsecurity and relforcerowsecurity)"
    )
    assert open_tables == access.GLOBAL | {"alembic_version"}


@pytest.mark.invariant("I-33")
def test_a_role_has_one_policy_a_table_that_reads_and_writes_alike(catalogue: Catalogue) -> None:
    policies = catalogue.rows(
        f"""select c.relname, r.rolname, p.polcmd, p.polpermissive, array_length(p.polroles, 1),
        pg_get_expr(p.polqual, c.oid), pg_get_expr(p.polwithcheck, c.oid)
        from pg_policy p join pg_class c on c.oid = p.polrelid {OURS}
        left join pg_roles r on r.oid = p.polroles[1]"""
    )
    by_table = [(table, role) for table, role, *_ in policies]
    assert len(set(by_table)) == len(by_table)
    for table, role, command, permissive, roles, using, check in policies:
        assert (command, permissive, roles) == ("*", True, 1), table
        assert role is not None, "a policy for everybody"
        assert using == check is not None
        column, setting = ("user_id", "user") if table in access.PEOPLE else ("tenant_id", "tenant")
        own = f"{column} = ( SELECT finora.finora_{setting}() AS finora_{setting})"
        looked_up = {"tenant", "person", "membership", "identity"}
        owner_looks_up = role == access.MIGRATOR and table in looked_up
        # By its address alone, in whatever tenant it is.
        invited = (role, table) == (access.ERASER, "invite")
        control = "( SELECT finora.finora_control() AS finora_control)"
        wanted = "true" if owner_looks_up or invited else f"({own})"
        if role == access.CONTROL:
            wanted = control
        assert using == wanted, (table, role)


@pytest.mark.invariant("I-33")
def test_no_role_is_granted_a_table_without_a_policy(catalogue: Catalogue) -> None:
    granted = catalogue.rows(
        f"""select distinct c.relname, r.rolname from pg_class c {OURS}
        cross join pg_roles r
        where r.rolname = any(:roles) and c.relkind in ('r', 'p', 'v') and (
          has_table_privilege(r.oid, c.oid, 'select, insert, update, delete, truncate, references,'
            'trigger') or has_any_column_privilege(r.oid, c.oid, 'select, insert, update'))""",
        roles=list(access.TAKEN),
    )
    policies = {(policy.table, policy.role) for policy in access.policies()}
    assert {pair for pair in granted if pair[0] not in access.GLOBAL} <= policies
    assert set(granted) == set(access.grants())


# --- I-34 ----------------------------------------------------------------------------------------


@pytest.mark.invariant("I-34")
def test_no_run_time_role_is_above_the_rules(catalogue: Catalogue) -> None:
    attributes = catalogue.rows(
        "select rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication "
        "from pg_roles where rolname like 'finora%'"
    )
    assert {row[0] for row in attributes} == {*access.ROLES, "finora_app"}
    assert all(row[1:] == (False,) * 5 for row in attributes)


@pytest.mark.invariant("I-34")
def test_the_login_has_rights_only_in_a_transaction_that_takes_a_role(
    catalogue: Catalogue,
) -> None:
    memberships = catalogue.rows(
        "select pg_get_userbyid(member), pg_get_userbyid(roleid), inherit_option, admin_option "
        "from pg_auth_members where pg_get_userbyid(member) = any(:roles)",
        roles=list(RUN_TIME),
    )
    assert sorted(memberships) == [
        ("finora_app", role, False, False)
        for role in ("finora_api", "finora_control", "finora_eraser", "finora_worker")
    ]
    readable = catalogue.column(
        f"select relname from pg_class c {OURS} "
        "where has_any_column_privilege('finora_app', c.oid, 'select, insert, update')"
    )
    assert readable == set()


@pytest.mark.invariant("I-34")
def test_run_time_roles_own_nothing_and_create_nowhere(catalogue: Catalogue) -> None:
    owned = "pg_get_userbyid({}) = any(:roles)"
    for table, owner in (
        ("pg_class", "relowner"), ("pg_proc", "proowner"), ("pg_namespace", "nspowner"),
        ("pg_type", "typowner"), ("pg_database", "datdba"),
    ):  # fmt: skip
        where = owned.format(owner)
        assert catalogue.rows(f"select 1 from {table} where {where}", roles=list(RUN_TIME)) == []
    for query in (
        "select nspname, r.rolname from pg_namespace cross join pg_roles r "
        "where r.rolname = any(:roles) and has_schema_privilege(r.oid, nspname, 'create') "
        "and nspname not like 'pg_temp%'",
        "select datname, r.rolname from pg_database cross join pg_roles r "
        "where r.rolname = any(:roles) and datname = current_database() "
        "and has_database_privilege(r.oid, datname, 'create')",
    ):
        assert catalogue.rows(query, roles=list(RUN_TIME)) == []


@pytest.mark.invariant("I-34")
def test_no_view_runs_with_its_owners_rights(catalogue: Catalogue) -> None:
    views = catalogue.rows(
        "select relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "where n.nspname not in ('pg_catalog', 'information_schema') and (relkind = 'm' or "
        "relkind = 'v' and not coalesce('security_invoker=true' = any(reloptions), false))"
    )
    assert views == []


@pytest.mark.invariant("I-34")
def test_functions_with_the_owners_rights_are_few_and_look_in_one_schema(
    catalogue: Catalogue,
) -> None:
    definers = catalogue.rows(
        "select n.nspname || '.' || proname, proconfig, pg_get_userbyid(proowner) from pg_proc p "
        "join pg_namespace n on n.oid = p.pronamespace "
        "where prosecdef and n.nspname not in ('pg_catalog', 'information_schema')"
    )
    assert {name for name, _, _ in definers} == DEFINERS
    for _, config, owner in definers:
        # How a query is planned is nobody's right.
        kept = [setting for setting in config if not setting.startswith("enable_")]
        assert kept == ["search_path=finora, pg_temp"]
        assert owner == access.MIGRATOR


@pytest.mark.invariant("I-34")
def test_only_named_functions_can_be_called_and_none_by_everybody(catalogue: Catalogue) -> None:
    callable_ = catalogue.rows(
        "select distinct p.oid::regprocedure::text, r.rolname from pg_proc p "
        "join pg_namespace n on n.oid = p.pronamespace and n.nspname = 'finora' "
        "cross join (select oid, rolname from pg_roles union all select 0, 'public') r "
        "where (r.rolname = any(:roles) or r.oid = 0) and case when r.oid = 0 "
        "then exists (select from aclexplode(coalesce(proacl, acldefault('f', proowner))) a "
        "where a.grantee = 0) else has_function_privilege(r.oid, p.oid, 'execute') end",
        roles=list(RUN_TIME),
    )
    by_role = {
        role: {
            str(name).removeprefix("finora.").replace(", ", ",") for name, who in callable_
            if who == role
        }
        for role in (*RUN_TIME, "public")
    }  # fmt: skip
    named = {signature.replace(", ", ",") for signature in functions.CALLABLE}
    assert by_role == {
        "finora_api": named, "finora_worker": named, "finora_control": {"finora_control()"},
        "finora_app": set(),
        "finora_eraser": {"finora_tenant()", "finora_user()"}, "public": set(),
    }  # fmt: skip


@pytest.mark.invariant("I-34")
@pytest.mark.spec("S0-36", partial=True)
def test_who_erases_deletes_and_reads_only_whose_a_row_is(catalogue: Catalogue) -> None:
    members = catalogue.column(
        "select pg_get_userbyid(member) from pg_auth_members "
        "where pg_get_userbyid(roleid) = 'finora_eraser' and not (select rolsuper from pg_roles "
        "where oid = member)"
    )
    assert members == {"finora_app"}
    asked = "has_table_privilege('finora_eraser', c.oid, '{0}')"
    deletes = catalogue.column(
        f"select relname from pg_class c {OURS} where relkind = 'r' and {asked.format('delete')}"
    )
    owned = {name for name, in catalogue.rows(
        f"select relname from pg_class c {OURS} where relkind = 'r'")} - access.GLOBAL  # fmt: skip
    # A person's row and a tenant's number stay, with nothing else in them.
    assert deletes == owned - {"person", "version", "alembic_version"}
    for right in ("select", "insert", "update", "truncate", "references", "trigger"):
        whole = f"select relname from pg_class c {OURS} where relkind = 'r' and "
        assert catalogue.column(whole + asked.format(right)) == set(), right
    columns = (
        f"select c.relname || '.' || a.attname from pg_class c {OURS} join pg_attribute a "
        "on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped where relkind = 'r' "
        "and has_column_privilege('finora_eraser', c.oid, a.attnum, '{0}')"
    )
    read = {str(name) for name in catalogue.column(columns.format("select"))}
    known = {name for name in read if name.split(".")[1] not in ("tenant_id", "user_id")}
    assert known == {"invite.id", "invite.email", "command.reply", "version.number"}
    changed = {str(name).split(".")[0] for name in catalogue.column(columns.format("update"))}
    assert changed == {"person", "version"}


# --- I-35 ----------------------------------------------------------------------------------------


@pytest.mark.invariant("I-35")
def test_a_reference_into_a_tenants_table_carries_the_tenant(catalogue: Catalogue) -> None:
    keys = catalogue.rows(
        f"""select k.conname, (select array_agg(a.attname::text || '>' || b.attname::text)
          from unnest(k.conkey, k.confkey) as p (x, y)
          join pg_attribute a on a.attrelid = k.conrelid and a.attnum = p.x
          join pg_attribute b on b.attrelid = k.confrelid and b.attnum = p.y)
        from pg_constraint k join pg_class c on c.oid = k.confrelid {OURS}
        where k.contype = 'f' and exists (select from pg_attribute t
          where t.attrelid = k.confrelid and t.attname = 'tenant_id')"""
    )
    assert len(keys) > 15
    across = [name for name, pairs in keys if "tenant_id>tenant_id" not in pairs]
    assert across == ["person_tenant_fkey"]  # A person's own tenant.


@pytest.mark.invariant("I-35")
def test_what_is_unique_is_unique_within_a_tenant(catalogue: Catalogue) -> None:
    across = catalogue.column(
        f"""select x.relname from pg_index i join pg_class c on c.oid = i.indrelid {OURS}
        join pg_class x on x.oid = i.indexrelid
        left join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
        where i.indisunique and a.attname is distinct from 'tenant_id'"""
    )
    assert across == GLOBAL_UNIQUES


@pytest.mark.spec("S2-62", partial=True)
def test_the_relations_of_the_schema_are_foreign_keys(catalogue: Catalogue) -> None:
    found = catalogue.rows(
        "select conrelid::regclass::text, confrelid::regclass::text from pg_constraint "
        "where contype = 'f' and connamespace = 'finora'::regnamespace"
    )
    relations = {(str(a)[7:], str(b)[7:]) for a, b in found}
    assert relations >= {
        ("membership", "tenant"), ("membership", "person"), ("account", "tenant"),
        ("account", "asset"), ("balance", "account"), ("hold", "account"), ("hold_end", "hold"),
        ("hold_end", "entry"), ("entry", "entry"), ("seal", "event"), ("job", "event"),
        ("revision", "record"), ("sighting", "record"), ("observation", "account"),
        ("opening", "account"), ("account_number", "account"),
    }  # fmt: skip


# --- money and time ------------------------------------------------------------------------------

COLUMNS = """
select c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod)
from pg_attribute a join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'finora'
where c.relkind in ('r', 'p', 'v', 'm') and a.attnum > 0 and not a.attisdropped
"""
MONEY = {
    "units",
    "held",
    "floor",
    "available",
    "counter_units",
    "fee_units",
    "tax_units",
    "cost",
    "realised",
}


@pytest.mark.spec("S1-6")
@pytest.mark.spec("S4-78")
@pytest.mark.invariant("I-11")
def test_money_is_whole_units_of_one_domain_and_nothing_is_a_float(catalogue: Catalogue) -> None:
    kinds = {str(name): str(kind) for name, kind in catalogue.rows(COLUMNS)}
    money = {name for name, kind in kinds.items() if kind == "finora.money_units"}
    assert {name for name in kinds if name.split(".")[1] in MONEY} == money
    assert len(money) >= 12
    inexact = ("real", "double precision", "money", "numeric", "json")
    assert [name for name, kind in kinds.items() if kind.startswith(inexact) and kind != "jsonb"
            ] == []  # fmt: skip
    assert {name for name, kind in kinds.items() if kind == "finora.rate"} == {
        "entry.rate",
        "fx_rate.value",
        "own_price.value",
        "price.value",
        "price_action.value",
    }


@pytest.mark.spec("S4-78")
@pytest.mark.invariant("I-11")
@pytest.mark.parametrize(
    ("units", "whole"),
    [("0", True), (str(2**256 - 1), True), ("-" + "9" * 78, True), ("1e77", True), ("1.0", True),
     ("1e78", False), ("-1e78", False), ("0.1", False), ("'NaN'", False), ("'Infinity'", False),
     ("'-Infinity'", False), ("1e-18", False)],
)  # fmt: skip
def test_the_domain_takes_whole_finite_units_and_rounds_nothing(
    admin: Engine, units: str, whole: bool
) -> None:
    query = text(f"select ({units}::numeric)::finora.money_units")
    with admin.connect() as connection:
        if whole:
            assert connection.scalar(query) == int(Decimal(units))
        else:
            with pytest.raises(Exception, match="money_units_check"):
                connection.scalar(query)


@pytest.mark.invariant("I-56")
def test_every_instant_has_a_time_zone(catalogue: Catalogue) -> None:
    kinds = catalogue.rows(COLUMNS)
    vague = ("timestamp without", "time without", "time with time zone", "interval")
    assert [name for name, kind in kinds if str(kind).startswith(vague)] == []
    assert "timestamp with time zone" in {kind for _, kind in kinds}


@pytest.mark.invariant("I-56")
def test_the_linter_refuses_naive_times() -> None:
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert "DTZ" in lint["select"]
    assert not [rule for rule in lint.get("ignore", []) if rule.startswith("DTZ")]


def test_no_index_is_invalid_or_double(catalogue: Catalogue) -> None:
    broken = catalogue.column(
        "select i.indexrelid::regclass::text from pg_index i "
        f"join pg_class c on c.oid = i.indrelid {OURS} where not (i.indisvalid and i.indisready)"
    )
    assert broken == set()
    double = catalogue.rows(
        f"select i.indrelid::regclass::text, i.indkey::text, count(*) from pg_index i "
        f"join pg_class c on c.oid = i.indrelid {OURS} group by 1, 2 having count(*) > 1"
    )
    assert double == []


def test_the_server_keeps_what_it_acknowledges(admin: Engine) -> None:
    with admin.connect() as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            assert _show(connection, setting) == "on"


def _show(connection: Connection, setting: str) -> object:
    return connection.scalar(text(f"show {setting}"))
