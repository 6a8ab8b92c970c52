"""Statements that every transaction runs, handed to psycopg: SQLAlchemy's part in each of them
would cost more than the server's. And the pool's check of a connection before it is used.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, LiteralString, cast

import psycopg
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, DisconnectionError

_FRESH_S = 1.0


def run(
    connection: Connection,
    statement: LiteralString,
    values: Mapping[str, object],
    *,
    binary: bool = False,
) -> "psycopg.Cursor[tuple[Any, ...]]":
    """Run a statement with `%(name)s` parameters in the connection's open transaction. `binary` is
    how the answer travels: half as long, where it is bytes."""
    driver = cast("psycopg.Connection[tuple[Any, ...]]", connection.connection.driver_connection)
    return driver.execute(statement, values, binary=binary)


Statement = tuple[LiteralString, Mapping[str, object]]


def run_all(
    connection: Connection, statements: Sequence[Statement], *, commit: bool = False
) -> list[Any]:
    """Run them one after another in a single round trip; the first row of each, or None. With
    `commit` the transaction ends there too, unless it is within another, or a statement fails: what
    comes after that one is not done."""
    driver = cast("psycopg.Connection[tuple[Any, ...]]", connection.connection.driver_connection)
    with driver.pipeline() as pipeline:
        cursors = [driver.execute(statement, values) for statement, values in statements]
        if commit and not connection.in_nested_transaction():
            driver.execute("COMMIT", prepare=False)
        pipeline.sync()
        return [cursor.fetchone() if cursor.description else None for cursor in cursors]


def check_when_idle(engine: Engine) -> None:
    """Ask a pooled connection whether it lives before it is used, unless it was used within the
    last second: asking each time would be a round trip for every transaction."""

    def returned(driver: Any, record: Any) -> None:
        record.info["returned"] = time.monotonic()

    def taken(driver: Any, record: Any, proxy: object) -> None:
        idle = time.monotonic() - record.info.get("returned", float("-inf"))
        if driver.closed:
            raise DisconnectionError("the connection was closed")
        if idle < _FRESH_S or "returned" not in record.info:
            return
        try:
            engine.dialect.do_ping(driver)
        except (DBAPIError, psycopg.Error) as error:
            raise DisconnectionError("the connection does not answer") from error

    event.listen(engine, "checkin", returned)
    event.listen(engine, "checkout", taken)
