"""Jobs: written with their cause, run at least once, effective once, dead in the end."""

import io
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import attrs
import pytest
from sqlalchemy import Engine, create_engine, text

from finora import Finora, Job, JobState, Refusal, Scope
from finora_adapters.compose import SUBSCRIPTIONS, by_event, connector
from finora_adapters.embedded import Engines
from finora_adapters.postgres.events import PgSealer
from finora_adapters.postgres.jobs import PgQueue, dump
from finora_adapters.postgres.warrants import Warrants
from finora_adapters.postgres.work import Postgres
from finora_core.jobs.model import PAUSE_S, Claimed, Progress
from finora_core.jobs.service import JobRunner, failure_of
from finora_core.kernel.errors import Unavailable
from finora_core.kernel.events import Plain
from finora_core.kernel.scope import Claim
from finora_core.kernel.work import StaleClaim
from finora_core.records.model import ImportRequested

CSV = b"Date,Amount,Description\n2026-01-01,-1.00,a\n"


@pytest.fixture
def database(engines: Engines, warrants: Warrants) -> Iterator[Postgres]:
    """The books as a second process would open them."""
    engine = create_engine("postgresql+psycopg://", creator=connector(engines.postgres_dsn))
    yield Postgres(engine, warrants, by_event(SUBSCRIPTIONS))
    engine.dispose()


@pytest.fixture
def queue(database: Postgres) -> PgQueue:
    return PgQueue(database)


def request_job(database: Postgres, scope: Scope) -> UUID:
    """A committed cause and the job it makes; the id is found by its event."""
    import_id = UUID(int=attrs.evolve(scope).tenant_id.int ^ 1)
    with database.begin(scope) as work:
        work.events.record(ImportRequested(import_id))
        [job] = work.jobs.list(None, 1).items
    return job.id


def claim(queue: PgQueue, job_id: UUID) -> Claimed:
    """Claim until it is that job's turn; what is claimed besides belongs to this test run."""
    for _ in range(20):
        for claimed in queue.claim(10):
            if claimed.id == job_id:
                return claimed
    raise AssertionError("the job was not ready")


def overdue(admin: Engine, job_id: UUID, column: str = "lease_until") -> None:
    """As if its time had come: the database's clock cannot be moved."""
    with admin.begin() as connection:
        connection.execute(
            text(f"update finora.job set {column} = now() - interval '1 s' where id = :id"),
            {"id": job_id},
        )


def runner(database: Postgres, handler: Any) -> JobRunner:
    return JobRunner(PgQueue(database), PgSealer(database), {"records.import": handler})


@pytest.mark.invariant("I-19")
@pytest.mark.invariant("I-20")
def test_a_job_commits_with_its_cause_or_not_at_all(
    database: Postgres, scope: Scope, finora: Finora
) -> None:
    with pytest.raises(RuntimeError), database.begin(scope) as work:
        work.events.record(ImportRequested(UUID(int=7)))
        raise RuntimeError
    assert finora.jobs.list(scope).items == ()


@pytest.mark.spec("S0-38", partial=True)
def test_a_double_click_is_one_job(finora: Finora, scope: Scope) -> None:
    """The same request about the same file: one id, one row."""
    first = finora.imports.submit(scope, io.BytesIO(CSV), "a.csv")
    assert finora.imports.submit(scope, io.BytesIO(CSV), "a.csv") == first
    assert [job.id for job in finora.jobs.list(scope).items] == [first[1]]
    finora.run_jobs()


@pytest.mark.invariant("I-23")
def test_effect_and_completion_commit_together(
    database: Postgres, scope: Scope, finora: Finora, admin: Engine, queue: PgQueue
) -> None:
    """A runner that dies before commit leaves nothing; the next one does it once."""
    job_id = request_job(database, scope)
    claimed = claim(queue, job_id)
    mine = attrs.evolve(scope, cause=Claim(job_id=job_id, epoch=claimed.epoch))
    with pytest.raises(KeyboardInterrupt), database.begin(mine) as work:
        work.events.record(ImportRequested(UUID(int=8)))
        work.done({"n": 1})
        raise KeyboardInterrupt
    assert finora.jobs.get(scope, job_id).state is JobState.RUNNING
    overdue(admin, job_id)
    again = claim(queue, job_id)
    assert again.epoch == claimed.epoch + 1
    mine = attrs.evolve(scope, cause=Claim(job_id=job_id, epoch=again.epoch))
    with database.begin(mine) as work:
        work.done({"n": 2})
    job = finora.jobs.get(scope, job_id)
    assert (job.state, job.result) == (JobState.DONE, {"n": 2})


@pytest.mark.invariant("I-24")
def test_a_stale_runner_cannot_write(
    database: Postgres, scope: Scope, finora: Finora, admin: Engine, queue: PgQueue
) -> None:
    """Neither at its completion, nor at an effect without one, nor its progress or failure."""
    job_id = request_job(database, scope)
    old = claim(queue, job_id)
    overdue(admin, job_id)
    claim(queue, job_id)
    stale = attrs.evolve(scope, cause=Claim(job_id=job_id, epoch=old.epoch))
    with pytest.raises(StaleClaim), database.begin(stale):
        pass
    assert not queue.renew([old])
    assert not queue.progress(old, 1, 2)
    queue.fail(old, failure_of(RuntimeError("late"), old))
    assert finora.jobs.get(scope, job_id).state is JobState.RUNNING


@pytest.mark.invariant("I-24")
def test_a_runner_that_goes_stale_while_it_works_is_fenced_at_commit(
    database: Postgres, scope: Scope, admin: Engine, queue: PgQueue
) -> None:
    job_id = request_job(database, scope)
    old = claim(queue, job_id)
    mine = attrs.evolve(scope, cause=Claim(job_id=job_id, epoch=old.epoch))
    with pytest.raises(StaleClaim), database.begin(mine) as work:
        overdue(admin, job_id)
        claim(queue, job_id)
        work.events.record(ImportRequested(UUID(int=9)))
    with admin.connect() as connection:
        written = connection.scalar(
            text("select count(*) from finora.event where tenant_id = :t"), {"t": scope.tenant_id}
        )
    assert written == 1


@pytest.mark.invariant("I-25")
def test_a_job_that_always_fails_is_dead_and_can_be_replayed(
    database: Postgres, scope: Scope, finora: Finora, admin: Engine
) -> None:
    """Retries wait longer each time; the user's message holds nothing of our inside."""

    def fail(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        raise RuntimeError("secret detail")

    job_id = request_job(database, scope)
    broken = runner(database, fail)
    for attempt in (1, 2):
        broken.run()
        job = finora.jobs.get(scope, job_id)
        assert job.attempts == attempt
        overdue(admin, job_id, "run_at")
    assert job.state is JobState.DEAD
    assert (job.reason, job.message) == ("INTERNAL", "something went wrong on our side")
    with admin.connect() as connection:
        query = text("select error from finora.job where id = :id")
        assert "secret detail" in str(connection.scalar(query, {"id": job_id}))
    replayed = finora.jobs.replay(scope, job_id)
    assert (replayed.id, replayed.state, replayed.attempts) == (job_id, JobState.WAITING, 0)

    def work(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        with database.begin(scope) as open_work:
            return open_work.done("fine")

    runner(database, work).run()
    assert finora.jobs.get(scope, job_id).result == {"value": "fine"}
    with pytest.raises(Refusal) as refusal:
        finora.jobs.replay(scope, job_id)
    assert refusal.value.code == "JOB_STATE"


@pytest.mark.spec("S2-49", partial=True)
@pytest.mark.parametrize("error", [RuntimeError("no"), Unavailable("not now")])
@pytest.mark.parametrize("first", [PAUSE_S, 30])
def test_each_pause_is_longer_than_the_last(error: Exception, first: int) -> None:
    """Twice as long, up to ten minutes; no two jobs that failed together come back together."""
    pauses = {"mail.send": first}
    longest = 0
    for attempt in range(1, 13):
        job = Claimed(
            tenant_id=UUID(int=1), id=UUID(int=2), epoch=attempt, name="mail.send",
            user_id=UUID(int=3), request_id="r", payload={}, attempts=attempt, max_attempts=12,
        )  # fmt: skip
        ends = [failure_of(error, job, pauses) for _ in range(200)]
        if attempt == 12:
            assert {(end.state, end.retry_in_s) for end in ends} == {(JobState.DEAD, None)}
            return
        waits = [end.retry_in_s or 0 for end in ends]
        least = min(300, first * 2 ** (attempt - 1))
        assert least <= min(waits) and max(waits) <= 2 * least
        assert min(waits) >= min(longest, 300)
        assert len(set(waits)) > 1
        longest = max(waits)


@pytest.mark.spec("S2-49", partial=True)
def test_a_job_waits_as_long_as_it_is_told_to(
    database: Postgres, scope: Scope, admin: Engine
) -> None:
    """What may pass is tried again, three times in all where the subscription says three."""

    def fail(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        raise Unavailable("the server is busy")

    job_id = request_job(database, scope)
    with admin.begin() as connection:
        change = text("update finora.job set max_attempts = 3 where id = :id")
        connection.execute(change, {"id": job_id})
    busy = attrs.evolve(runner(database, fail), pauses={"records.import": 60})
    look = text(
        "select attempts, state, reason, extract(epoch from run_at - clock_timestamp())::float "
        "from finora.job where id = :id"
    )
    for attempt, state, least in ((1, "waiting", 60), (2, "waiting", 120), (3, "dead", 0)):
        busy.run_id(scope.tenant_id, job_id)
        with admin.connect() as connection:
            row = connection.execute(look, {"id": job_id}).one()
        assert row[:3] == (attempt, state, "UNAVAILABLE")
        assert state == "dead" or least - 30 < row[3] <= 2 * least
        assert busy.run_id(scope.tenant_id, job_id) is None
        overdue(admin, job_id, "run_at")


def test_every_job_has_the_pause_of_its_subscription(finora: Finora) -> None:
    assert finora._runner.pauses == {each.job: each.pause_s for each in SUBSCRIPTIONS}


@pytest.mark.invariant("I-22")
def test_a_job_whose_runner_vanished_on_its_last_attempt_is_dead(
    database: Postgres, scope: Scope, finora: Finora, admin: Engine, queue: PgQueue
) -> None:
    job_id = request_job(database, scope)
    for _ in range(2):
        claim(queue, job_id)
        overdue(admin, job_id)
    queue.claim(1)
    job = finora.jobs.get(scope, job_id)
    assert (job.state, job.reason) == (JobState.DEAD, "LOST")


@pytest.mark.spec("S0-38", partial=True)
def test_a_refusal_ends_the_job_and_tells_why(finora: Finora, scope: Scope) -> None:
    """One attempt, the public code, a message for people; dismissed when seen."""
    result = finora.import_file(scope, io.BytesIO(CSV), name="a.csv")
    assert isinstance(result, Job)
    assert (result.state, result.attempts, result.reason) == (
        JobState.REFUSED, 1, "ACCOUNT_NEEDED",
    )  # fmt: skip
    assert finora.jobs.dismiss(scope, result.id).dismissed_at is not None


@pytest.mark.spec("S0-38")
def test_progress_is_told_while_the_job_runs(
    database: Postgres, scope: Scope, finora: Finora
) -> None:
    job_id = request_job(database, scope)
    seen: list[tuple[int, int | None]] = []

    def work(scope_: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        progress(5, 20)
        job = finora.jobs.get(scope, job_id)
        seen.append((job.done_parts, job.all_parts))
        with database.begin(scope_) as open_work:
            return open_work.done(None)

    runner(database, work).run()
    assert seen == [(5, 20)]
    assert finora.jobs.get(scope, job_id).done_parts == 20


def test_eight_runners_do_each_job_once(database: Postgres, scope: Scope, finora: Finora) -> None:
    """Claims skip what another has locked."""
    for number in range(40):
        with database.begin(attrs.evolve(scope, request_id=str(number))) as work:
            work.events.record(ImportRequested(UUID(int=number)))
    done: list[str] = []

    def work_once(scope_: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        with database.begin(scope_) as open_work:
            done.append(str(payload["import"]))
            return open_work.done(None)

    threads = [threading.Thread(target=runner(database, work_once).run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == sorted(str(UUID(int=number)) for number in range(40))
    assert {job.state for job in finora.jobs.list(scope, limit=100).items} == {JobState.DONE}


def test_a_waiting_job_can_be_cancelled_and_a_finished_one_cannot(
    database: Postgres, scope: Scope, finora: Finora
) -> None:
    job_id = request_job(database, scope)
    assert finora.jobs.cancel(scope, job_id).state is JobState.CANCELLED
    with pytest.raises(Refusal) as refusal:
        finora.jobs.cancel(scope, job_id)
    assert refusal.value.code == "JOB_STATE"


def test_another_tenant_cannot_see_a_job(
    database: Postgres, scope: Scope, stranger: Scope, finora: Finora
) -> None:
    job_id = request_job(database, scope)
    assert finora.jobs.list(stranger).items == ()
    with pytest.raises(Refusal) as refusal:
        finora.jobs.get(stranger, job_id)
    assert refusal.value.code == "JOB_NOT_FOUND"
    finora.jobs.cancel(scope, job_id)


def test_what_is_over_is_forgotten_in_time(
    database: Postgres, scope: Scope, finora: Finora, admin: Engine, queue: PgQueue
) -> None:
    """Cancelled after a day; not before."""
    job_id = request_job(database, scope)
    finora.jobs.cancel(scope, job_id)
    queue.purge()
    assert finora.jobs.get(scope, job_id)
    with admin.begin() as connection:
        connection.execute(
            text("update finora.job set finished_at = now() - interval '25 h' where id = :id"),
            {"id": job_id},
        )
    assert queue.purge() >= 1
    assert finora.jobs.list(scope).items == ()


def test_a_long_result_is_cut_to_its_short_parts() -> None:
    kept = dump({"count": 3, "lines": ["x" * 100] * 1000})
    assert kept == '{"count": 3, "truncated": true}'


@pytest.mark.invariant("F-25")
def test_a_job_that_runs_for_ever_fails_and_is_tried_again(
    finora: Finora, scope: Scope, database: Postgres
) -> None:
    """Its thread cannot be stopped; its writes are, by the fence."""
    job_id = request_job(database, scope)
    let_go, began = threading.Event(), threading.Event()

    def stuck(run_in: Scope, payload: object, progress: object) -> None:
        began.set()
        let_go.wait(60)
        with database.begin(run_in) as work:
            work.done(None)

    queue = PgQueue(database)
    runner = JobRunner(queue, PgSealer(database), {"records.import": stuck}, limit_s=0.1)
    thread = threading.Thread(target=runner.run_id, args=(scope.tenant_id, job_id))
    thread.start()
    try:
        assert began.wait(20)
        while finora.jobs.get(scope, job_id).state is JobState.RUNNING:
            let_go.wait(0.1)
        job = finora.jobs.get(scope, job_id)
        assert (job.state, job.reason) == (JobState.WAITING, "JOB_TIME_LIMIT")
    finally:
        let_go.set()
        thread.join()
    assert finora.jobs.get(scope, job_id).state is JobState.WAITING
