"""What is read of a whole tenant, as it comes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, LiteralString

from sqlalchemy import Connection, CursorResult, Executable, text

_NESTED: LiteralString = "select set_config('enable_nestloop', :how, true)"


@contextmanager
def streamed(
    connection: Connection,
    query: Executable,
    values: Mapping[str, Any] | None = None,
    batch: int = 5_000,
) -> Iterator[CursorResult[*tuple[Any, ...]]]:
    """The rows of `query`, `batch` of them in memory at a time.

    They are never joined row by row. Of a tenant that the statistics do not know yet, such as one
    that has just brought its first file, Postgres expects one row in every table, for which it
    costs the same to find its match by index and to look through all of the tenant's rows: 10,000
    entries took 34 s instead of 20 ms where it chose the latter."""
    connection.execute(text(_NESTED), {"how": "off"})
    # The plan is made here, and stays while the rows are fetched.
    with connection.execute(query, values, execution_options={"yield_per": batch}) as rows:
        connection.execute(text(_NESTED), {"how": "on"})
        yield rows
