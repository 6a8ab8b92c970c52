"""What is said to the database, as libpq sees it: every statement of a request, in its order."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import pq
from sqlalchemy import Engine, event

_MESSAGES = re.compile(r"^(?=[FB]\t)", re.MULTILINE)
_SAID = re.compile(r'F\t\d+\t(?:Query\t|Parse\t "[^"]*") "(.*)"[ \d]*', re.DOTALL)


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """Filled when it is over; without the values, and with what begins and ends transactions."""
    found: list[str] = []
    with tempfile.NamedTemporaryFile("w+") as file:

        def take(driver: Any, record: Any, proxy: object) -> None:
            # Prepared, a statement would be said by a name that tells nothing.
            record.info["prepared"], driver.prepare_threshold = driver.prepare_threshold, None
            driver.pgconn.trace(file.fileno())
            driver.pgconn.set_trace_flags(pq.Trace.SUPPRESS_TIMESTAMPS)

        def give_back(driver: Any, record: Any) -> None:
            driver.pgconn.untrace()
            driver.prepare_threshold = record.info.pop("prepared")

        event.listen(engine, "checkout", take)
        event.listen(engine, "checkin", give_back)
        try:
            yield found
        finally:
            event.remove(engine, "checkout", take)
            event.remove(engine, "checkin", give_back)
        file.seek(0)
        for message in _MESSAGES.split(file.read()):
            if message.startswith("F\t") and ("\tParse\t" in message or "\tQuery\t" in message):
                said = _SAID.fullmatch(message.strip())
                assert said, message
                text = " ".join(said.group(1).split())
                # Psycopg's own: what it had prepared before is of no use after a rollback.
                if text != "DEALLOCATE ALL":
                    found.append(text)


def without_keys(spoken: list[str]) -> list[str]:
    """Without the transactions that read which keys sign: one a second, whoever asks."""
    left = list(spoken)
    for place in reversed(range(len(left))):
        if "from finora.signing_key" in left[place]:
            assert (left[place - 2], left[place + 1]) == ("BEGIN", "COMMIT")
            del left[place - 2 : place + 2]
    return left
