"""Jobs run once, are tried again, and end dead: with real workers, and poison among the jobs."""

import asyncio
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from finora import Finora, JobState
from finora_adapters.embedded import Engines
from finora_core.jobs.model import Wakeup
from finora_core.jobs.service import JobRunner
from finora_worker.upkeep import Relay, forever
from servers import eventually
from worker.load import ATTEMPTS, Asked, Handlers, Load, once, starts
from worker.processes import WorkerProcess

Start = Callable[..., WorkerProcess]


@pytest.mark.spec("S1-8")
@pytest.mark.invariant("F-29")
@pytest.mark.invariant("I-22")
@pytest.mark.invariant("I-23")
@pytest.mark.spec("S0-17", partial=True)
def test_three_workers_relays_and_schedulers_run_each_job_once(load: Load, start: Start) -> None:
    workers = [start(schedules=True) for _ in range(3)]
    for number in range(0, 150, 30):
        load.ask("add", *range(number, number + 30))
    for worker in workers:
        worker.ready()
    for number in range(150, 300, 10):
        load.ask("add", *range(number, number + 10))
    load.await_states(done=300)
    assert load.effects() == once(range(300))
    assert {row.attempts for row in load.rows().values()} == {1}
    assert [worker.stop() for worker in workers] == [0, 0, 0]


@pytest.mark.invariant("I-19")
def test_a_commit_wakes_the_relay_and_a_rollback_does_not(load: Load, engines: Engines) -> None:
    with ThreadPoolExecutor(1) as threads:
        asyncio.run(_listen(load, engines, threads))


async def _listen(load: Load, engines: Engines, threads: ThreadPoolExecutor) -> None:
    relay = Relay(load.queue, lambda name: pytest.fail("nothing is told here"), threads)
    listening = asyncio.create_task(relay.listen(engines.postgres_dsn))
    await asyncio.wait_for(relay.woken.wait(), 60)  # it looks once when it begins to listen
    relay.woken.clear()
    with pytest.raises(RuntimeError), load.database.begin(load.scope) as work:
        work.events.record(Asked("add", 2))
        raise RuntimeError
    load.ask("add", 1)
    await asyncio.wait_for(relay.woken.wait(), 60)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert load.states() == {"waiting": 1}


@pytest.mark.invariant("F-28")
def test_a_relay_that_is_stopped_at_the_moment_of_its_news_stops() -> None:
    """Python 3.11's `wait_for` swallows such a cancellation, and the process would never end."""

    class Nothing:
        def announce(self, limit: int) -> list[Wakeup]:
            return []

    async def stop() -> None:
        with ThreadPoolExecutor(1) as threads:
            relay = Relay(Nothing(), lambda name: pytest.fail("nothing is told here"), threads)
            for _ in range(20):
                loop = asyncio.create_task(forever("relay", relay.act, 0.0))
                await asyncio.sleep(0.02)
                relay.woken.set()
                loop.cancel()
                await asyncio.wait([loop], timeout=20)
                assert loop.cancelled()

    asyncio.run(stop())


@pytest.mark.spec("S2-53", partial=True)
@pytest.mark.spec("S3-12", partial=True)
def test_a_job_that_fails_is_tried_again_later(load: Load, start: Start) -> None:
    start().ready()
    [job] = load.ask("flaky", 1)
    eventually(lambda: load.rows()[job].reason, "it did not fail")
    row = load.rows()[job]
    assert (row.state, row.reason) == ("waiting", "INTERNAL")
    assert row.run_at > row.created_at
    load.await_states(done=1)
    assert load.rows()[job].attempts == 2
    assert load.effects() == once([1])


@pytest.mark.invariant("F-25")
@pytest.mark.invariant("I-25")
@pytest.mark.spec("S0-40", partial=True)
def test_poison_that_raises_or_exits_dies_alone(load: Load, start: Start) -> None:
    """`sys.exit` in a job is a failure of the job; its process and the others go on."""
    worker = start().ready()
    poison = [*load.ask("raise", 1), *load.ask("exit", 2)]
    for attempt in range(ATTEMPTS):
        load.ask("add", 10 + attempt)
        eventually(
            lambda tries=attempt + 1: all(
                load.rows()[job].attempts == tries and load.rows()[job].state != "running"
                for job in poison
            ),
            "an attempt is missing",
        )
        load.retry_now()
    load.await_states(dead=2, done=ATTEMPTS)
    assert [load.rows()[job].reason for job in poison] == ["INTERNAL", "INTERRUPTED"]
    assert all("Traceback" in load.rows()[job].error for job in poison)
    assert worker.lives
    assert load.effects() == once(range(10, 10 + ATTEMPTS))


@pytest.mark.invariant("F-25")
@pytest.mark.invariant("I-25")
def test_poison_that_kills_its_process_is_dead_in_the_end(load: Load, start: Start) -> None:
    """Whoever keeps workers running starts the next; the attempt counts from the claim on."""
    [poison] = load.ask("die", 1)
    for attempt in range(1, ATTEMPTS + 1):
        worker = start()
        assert worker.process.wait(60) == 9
        assert len(starts(load.folder, "die", 1)) == attempt
        load.lose_leases()
    start().ready()
    load.ask("add", 2)
    load.await_states(dead=1, done=1)
    assert load.rows()[poison].reason == "LOST"
    assert len(starts(load.folder, "die", 1)) == ATTEMPTS


@pytest.mark.invariant("F-25")
def test_poison_that_loops_for_ever_is_dead_in_the_end_and_holds_up_no_other(
    load: Load, start: Start
) -> None:
    [poison] = load.ask("loop", 1)
    for attempt in range(1, ATTEMPTS + 1):
        worker = start().ready()
        load.await_note("loop-1", attempt)
        load.ask("add", 10 + attempt)
        load.await_states(running=1, done=attempt)
        worker.signal(signal.SIGKILL)
        worker.process.wait()
        load.lose_leases()
    start().ready()
    load.await_states(dead=1, done=ATTEMPTS)
    assert load.rows()[poison].reason == "LOST"


@pytest.mark.invariant("I-25")
@pytest.mark.spec("S0-40")
@pytest.mark.spec("S3-12")
@pytest.mark.spec("S0-17")
def test_a_dead_letter_is_kept_with_its_error_and_replayed_under_its_id(
    load: Load, start: Start, finora: Finora
) -> None:
    """The tenant sees that it failed and may replay it; operators see why."""
    start().ready()
    [job] = load.ask("raise", 1)
    for tries in range(1, ATTEMPTS + 1):
        eventually(
            lambda tries=tries: (
                load.rows()[job].attempts == tries and load.rows()[job].state != "running"
            ),
            "an attempt is missing",
        )
        load.retry_now()
    [dead] = finora.jobs.list(load.scope, state=JobState.DEAD).items
    assert (dead.id, dead.attempts, dead.reason) == (job, ATTEMPTS, "INTERNAL")
    assert "secret detail" not in str(dead)
    assert "secret detail" in load.rows()[job].error
    (load.folder / "repaired").touch()
    replayed = finora.jobs.replay(load.scope, job)
    assert (replayed.id, replayed.attempts) == (job, 0)
    load.await_states(done=1)
    assert load.effects() == once([1])
    assert finora.jobs.get(load.scope, job).result == {"number": 1}


@pytest.mark.invariant("F-05")
@pytest.mark.invariant("I-23")
def test_a_wake_up_that_comes_twice_runs_the_job_once(load: Load) -> None:
    handlers = Handlers(load.database, load.folder).all()
    runner = JobRunner(load.queue, _NoSealer(), handlers)
    [job] = load.ask("add", 1)
    ended = [runner.run_id(load.scope.tenant_id, job) for _ in range(3)]
    assert ended == ["done", None, None]
    assert load.effects() == once([1])


class _NoSealer:
    def seal(self) -> int:
        return 0
