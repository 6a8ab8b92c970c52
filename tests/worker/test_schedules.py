"""Schedules: a period is started once, whoever keeps the clock, and none is skipped in silence."""

import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from sqlalchemy import Engine, text

from finora import Scope
from finora_adapters.compose import SCHEDULES, by_event
from finora_adapters.cron import periods_between
from finora_adapters.postgres.jobs import PgQueue
from finora_adapters.postgres.work import Postgres
from finora_core.jobs.model import Schedule
from finora_core.jobs.service import Scheduler
from servers import eventually
from together import errors, together


@attrs.frozen
class Clock:
    """Schedules of a tenant of the test's own, and the rows they leave."""

    database: Postgres
    scope: Scope
    admin: Engine

    def scheduler(self, *schedules: Schedule) -> Scheduler:
        wired = by_event([each.subscription for each in schedules])
        return Scheduler(
            attrs.evolve(self.database, subscriptions=wired).begin, schedules, periods_between
        )

    def tick(self, *schedules: Schedule) -> dict[str, bool]:
        return self.scheduler(*schedules).tick(self.scope)

    def rows(self, table: str) -> list[Any]:
        query = text(f"select * from finora.{table} where tenant_id = :tenant")
        with self.admin.connect() as connection:
            return list(connection.execute(query, {"tenant": self.scope.tenant_id}).all())

    def finish(self) -> None:
        """As if the jobs had run."""
        self._set("update finora.job set state = 'done', finished_at = now()")

    def earlier(self, hours: int) -> None:
        """As if the last period had been so long ago."""
        self._set(f"update finora.period set due_at = due_at - interval '{hours} h'")

    def _set(self, change: str) -> None:
        with self.admin.begin() as connection:
            connection.execute(
                text(f"{change} where tenant_id = :tenant"), {"tenant": self.scope.tenant_id}
            )


@pytest.fixture
def clock(database: Postgres, scope: Scope, admin: Engine) -> Iterator[Clock]:
    clock = Clock(database, scope, admin)
    yield clock
    clock.finish()


HOURLY = Schedule(name="test.hourly", cron="0 * * * *")


@pytest.mark.invariant("I-26")
@pytest.mark.spec("S0-18", partial=True)
def test_a_period_is_one_row_and_one_job(clock: Clock) -> None:
    assert clock.tick(HOURLY) == {"test.hourly": True}
    clock.finish()
    assert clock.tick(HOURLY) == {}
    [period], [job] = clock.rows("period"), clock.rows("job")
    assert (period.schedule, period.job_id) == ("test.hourly", job.id)
    assert (job.name, job.queue, job.state) == ("test.hourly", "schedules", "done")
    assert job.payload["due_at"] == period.due_at.astimezone(UTC).isoformat()
    assert period.due_at.minute == 0


@pytest.mark.invariant("I-26")
@pytest.mark.invariant("F-29")
@pytest.mark.spec("S0-18", partial=True)
@pytest.mark.spec("S0-19", partial=True)
def test_of_many_schedulers_one_starts_the_period(clock: Clock) -> None:
    """The others are told that it did not run with them, and nothing fails."""
    results = together(*[lambda: clock.tick(HOURLY)] * 8)
    assert not errors(results)
    assert sum(result.get("test.hourly", False) for result in results) == 1
    assert len(clock.rows("period")) == len(clock.rows("job")) == 1


@pytest.mark.invariant("I-26")
def test_missed_periods_are_made_up_for_as_far_as_the_schedule_says(clock: Clock) -> None:
    """The oldest first, each when the one before is over; the others are left out."""
    patient = attrs.evolve(HOURLY, catch_up=3)
    clock.tick(patient)
    clock.finish()
    clock.earlier(10)
    started = []
    while clock.tick(patient):
        started.append(max(row.due_at for row in clock.rows("period")))
        clock.finish()
    assert len(started) == 3
    assert [later - first for first, later in itertools.pairwise(started)] == [
        timedelta(hours=1)
    ] * 2


@pytest.mark.spec("S0-19")
def test_a_period_does_not_start_beside_the_one_before(clock: Clock) -> None:
    """`ran: false` is all that comes of it; it is made up for when the other is over."""
    clock.tick(HOURLY)
    clock.earlier(2)
    assert clock.tick(HOURLY) == {"test.hourly": False}
    assert len(clock.rows("period")) == 1
    clock.finish()
    assert clock.tick(HOURLY) == {"test.hourly": True}


def test_a_dead_run_does_not_stop_its_schedule(clock: Clock) -> None:
    clock.tick(HOURLY)
    clock.earlier(2)
    clock._set("update finora.job set state = 'dead', finished_at = now()")
    assert clock.tick(HOURLY) == {"test.hourly": True}


def test_a_run_that_was_forgotten_is_over(clock: Clock) -> None:
    clock.tick(HOURLY)
    clock._set("delete from finora.job")
    clock.earlier(2)
    assert clock.tick(HOURLY) == {"test.hourly": True}


def test_a_rolled_back_start_is_no_start(clock: Clock) -> None:
    """The row of the period and its job are one transaction."""

    @attrs.frozen
    class Broken:
        def __call__(self, cron: str, after: datetime, until: datetime) -> list[datetime]:
            return [until]

    scheduler = attrs.evolve(clock.scheduler(HOURLY), periods=Broken())
    with pytest.raises(RuntimeError):
        attrs.evolve(scheduler, begin=_failing(clock.database)).tick(clock.scope)
    assert clock.rows("period") == clock.rows("job") == []


def _failing(database: Postgres) -> Any:
    from contextlib import contextmanager

    @contextmanager
    def begin(scope: Scope) -> Iterator[Any]:
        with database.begin(scope) as work:
            yield work
            raise RuntimeError

    return begin


@pytest.mark.invariant("I-26")
def test_two_schedules_of_the_same_minute_both_start(clock: Clock) -> None:
    """SAQ gives two entries with one function one key, and only the first ever fires (Q11)."""
    both = (HOURLY, attrs.evolve(HOURLY, name="test.other"))
    assert clock.tick(*both) == {"test.hourly": True, "test.other": True}
    assert len({row.job_id for row in clock.rows("period")}) == 2
    names = [each.name for each in SCHEDULES]
    assert len(names) == len(set(names))


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process whose local time has two nights a year that are not a day long."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.invariant("I-26")
@pytest.mark.invariant("F-18")
@pytest.mark.parametrize(
    "night", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)]
)
def test_a_night_in_which_the_clocks_change_is_like_any_other(
    berlin: None, night: datetime
) -> None:
    """In local time 02:30 comes not at all in March, and twice in October."""
    since, until = night - timedelta(days=2), night + timedelta(days=3)
    found = periods_between("30 2 * * *", since, until)
    assert found == [since + timedelta(days=day, hours=2, minutes=30) for day in range(5)]
    hours = periods_between("0 * * * *", since, until)
    assert hours == [since + timedelta(hours=hour) for hour in range(1, 5 * 24 + 1)]


def test_a_schedule_that_slept_for_years_is_not_asked_for_every_minute_since() -> None:
    since = datetime(2020, 1, 1, tzinfo=UTC)
    assert len(periods_between("* * * * *", since, since + timedelta(days=365))) == 1000


@pytest.mark.spec("S0-18")
@pytest.mark.spec("S0-17", partial=True)
def test_the_products_own_schedules_run_in_two_workers_that_start_together(
    load: Any, start: Any, admin: Engine
) -> None:
    workers = [start(schedules=True, queues="schedules=1,test=1") for _ in range(2)]
    for worker in workers:
        worker.ready()
    query = text(
        "select p.schedule, j.state, j.attempts from finora.period p "
        "left join finora.job j on j.tenant_id = p.tenant_id and j.id = p.job_id "
        "where p.schedule = any(:names) and p.taken_at > now() - interval '10 min'"
    )
    # What is due once a week is due on few days.
    now = datetime.now(UTC)
    yesterday = now - timedelta(days=1)
    names = {each.name for each in SCHEDULES if periods_between(each.cron, yesterday, now)}
    assert len(names) > 6

    def runs() -> list[Any]:
        with admin.connect() as connection:
            return list(connection.execute(query, {"names": list(names)}).all())

    eventually(
        lambda: {row.schedule for row in runs() if row.state in ("done", None)} == names,
        "a schedule did not run",
    )
    assert PgQueue(load.database).status() is not None
