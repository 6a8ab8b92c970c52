"""What a connection through a transaction pooler cannot have.

There each transaction may run on another server process: what was prepared, listened for or set on
one is not there in the next. Nobody has to say so: the pooler names a process of its own making to
its clients, and the server its own.
"""

from typing import Any

import psycopg


def connect(dsn: str) -> psycopg.Connection[tuple[Any, ...]]:
    """Open a connection that prepares statements only where they stay."""
    connection = psycopg.connect(
        dsn, connect_timeout=10, application_name="finora", autocommit=True
    )
    try:
        if is_pooled(connection):
            connection.prepare_threshold = None
        connection.autocommit = False
    except BaseException:
        connection.close()
        raise
    return connection


def is_pooled(connection: psycopg.Connection[tuple[Any, ...]]) -> bool:
    """Whether something between us and the server takes our place there. Asked outside of a
    transaction."""
    row = connection.execute("select pg_backend_pid()", prepare=False).fetchone()
    return row is not None and row[0] != connection.info.backend_pid
