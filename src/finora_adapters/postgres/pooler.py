"""What a connection through a transaction pooler cannot have.

There each transaction may run on another server process: what was prepared, listened for or set on
one is not there in the next. Nobody has to say so: the pooler names a process of its own making to
its clients, and the server its own.
"""

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

# A server that vanished without a word is noticed within half a minute, where TCP alone would wait
# for a quarter of an hour. What the DSN itself says goes before.
_LIVELY: dict[str, Any] = {
    "application_name": "finora",
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}


def connect(dsn: str) -> psycopg.Connection[tuple[Any, ...]]:
    """Open a connection that prepares statements only where they stay."""
    connection = psycopg.connect(autocommit=True, **_LIVELY | conninfo_to_dict(dsn))
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
