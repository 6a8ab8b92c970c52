"""Reading a whole tenant whatever the statistics believe of it."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DataError

from finora_adapters.postgres.streams import streamed

JOINED = (
    "select b.n from thing a join part b on b.tenant = a.tenant and b.thing = a.id "
    "where a.tenant = :tenant order by b.n"
)
GROWN = 15_000


@pytest.fixture
def grown(admin: Engine) -> Iterator[Connection]:
    """Two tables whose statistics were taken when every tenant had one row; then one grew."""
    with admin.connect() as connection:
        for statement in (
            "create temp table thing (tenant int, id int, primary key (tenant, id))",
            "create temp table part (tenant int, thing int, n int, primary key (tenant, thing))",
            "insert into thing select n, n from generate_series(1, 300) n",
            "insert into part select n, n, n from generate_series(1, 300) n",
            "analyze thing, part",
            f"insert into thing select 0, n from generate_series(1, {GROWN}) n",
            f"insert into part select 0, n, n from generate_series(1, {GROWN}) n",
        ):
            connection.execute(text(statement))
        yield connection
        connection.rollback()


def test_a_tenant_that_the_statistics_do_not_know_is_not_joined_row_by_row(
    grown: Connection,
) -> None:
    explained, values = text(f"explain {JOINED}"), {"tenant": 0}
    assert "Nested Loop" in "\n".join(grown.execute(explained, values).scalars())
    # A cursor cannot be explained: what it is planned with is read, and the plan made with that.
    with streamed(grown, text("select current_setting('enable_nestloop')")) as rows:
        assert rows.scalar_one() == "off"
    grown.execute(text("set local enable_nestloop = off"))
    assert "Nested Loop" not in "\n".join(grown.execute(explained, values).scalars())


def test_all_of_it_comes_and_what_follows_is_planned_as_before(grown: Connection) -> None:
    with streamed(grown, text(JOINED), {"tenant": 0}) as rows:
        assert grown.scalar(text("show enable_nestloop")) == "on"
        assert list(rows.scalars()) == list(range(1, GROWN + 1))


def test_a_query_that_fails_leaves_nothing_behind(grown: Connection) -> None:
    failing = streamed(grown, text("select 1 / 0"))
    with pytest.raises(DataError, match="division by zero"), grown.begin_nested(), failing:
        raise AssertionError("there are no rows")
    assert grown.scalar(text("show enable_nestloop")) == "on"
