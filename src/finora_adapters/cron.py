"""When the periods of a schedule begin."""

from datetime import UTC, datetime, timedelta
from itertools import takewhile


def periods_between(cron: str, after: datetime, until: datetime) -> list[datetime]:
    """The times after the first and up to the second at which a period of `cron` begins, in UTC;
    at most the last thousand."""
    from croniter import croniter  # only where schedules are kept

    # Backwards from the end: who was away for a year wants the last few, not all the others too.
    # It looks for whole seconds before its start.
    start = until.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
    times = croniter(cron, start, ret_type=datetime)
    found = takewhile(lambda time: time > after, (times.get_prev() for _ in range(1000)))
    return sorted(found)
