"""What the planner takes a tenant for that came after the statistics."""

import pytest
from sqlalchemy import Connection, Engine, text

from finora_adapters.postgres import access
from finora_adapters.postgres.schema import metadata

ROOM = 15_000
LOOK_UP = "explain (format json) select n from thing where tenant_id = 0 and id = 7"
ALL = "explain (format json) select n from thing where tenant_id = 0"


def owned() -> list[str]:
    return [table.name for table in metadata.sorted_tables if "tenant_id" in table.c]


def test_every_table_of_tenants_has_them(admin: Engine) -> None:
    with admin.connect() as connection:
        rows = connection.execute(
            text(
                "select c.relname, a.attstattarget, a.attoptions, c.reloptions from pg_class c "
                "join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' "
                "where c.relnamespace = 'finora'::regnamespace and c.relkind = 'r'"
            )
        )
        found = {name: (target, each, options) for name, target, each, options in rows}
    assert set(found) >= set(owned()) - access.GLOBAL
    for name, (target, each, options) in found.items():
        assert target == 1, name
        assert each == ["n_distinct=-0.005"], name
        assert set(options or ()) >= {
            "autovacuum_analyze_scale_factor=0.01",
            "autovacuum_analyze_threshold=500",
        }, name


@pytest.mark.parametrize("rows", [1, 3, 40])
def test_one_that_has_just_come_is_taken_for_an_average_one(admin: Engine, rows: int) -> None:
    with admin.connect() as connection:
        _known(connection, rows)
        (plan,) = connection.execute(text(ALL)).scalar_one()
        assert plan["Plan"]["Plan Rows"] > 1
        # And so the row is looked up by its key, not among all of the tenant's.
        look_up = str(connection.execute(text(LOOK_UP)).scalar_one())
        assert "thing_pkey" in look_up and "thing_n_idx" not in look_up
        connection.rollback()


def test_the_largest_is_taken_for_what_it_is(admin: Engine) -> None:
    with admin.connect() as connection:
        _known(connection, 3)
        connection.execute(text("analyze thing"))
        (plan,) = connection.execute(text(ALL)).scalar_one()
        assert plan["Plan"]["Plan Rows"] == pytest.approx(ROOM, rel=0.1)
        connection.rollback()


def _known(connection: Connection, rows: int) -> None:
    """Sixty tenants of so many rows, all of them in the statistics, and one that came later."""
    for statement in (
        "create temp table thing (tenant_id int, id int, n int, primary key (tenant_id, id))",
        "create index thing_n_idx on thing (tenant_id, n) include (id)",
        "alter table thing alter column tenant_id set statistics 1, "
        "alter column tenant_id set (n_distinct = -0.005)",
        "insert into thing select t, n, n "
        f"from generate_series(1, 60) t, generate_series(1, {rows}) n",
        "analyze thing",
        f"insert into thing select 0, n, n from generate_series(1, {ROOM}) n",
    ):
        connection.execute(text(statement))
