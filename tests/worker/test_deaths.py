"""Workers that die, stall or lose a wake-up: another finishes the job, and its effect is there
once."""

import signal
import time
from collections.abc import Callable

import pytest

from finora_adapters.postgres.jobs import PgQueue
from finora_core.jobs.ports import LEASE_S
from servers import Valkey, eventually
from worker.load import POINTS, Load, noted, once
from worker.processes import WorkerProcess

Start = Callable[..., WorkerProcess]


@pytest.mark.invariant("F-02")
@pytest.mark.invariant("I-23")
@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_any_point_of_a_job_is_made_up_for(
    load: Load, start: Start, point: str
) -> None:
    load.hold(point)
    first = start().ready()
    load.ask("steps", 1)
    load.await_note(f"at-{point}")
    first.kill()
    load.let_go(point)
    load.lose_leases()
    start().ready()
    load.await_states(done=1)
    assert load.effects() == once([1])
    attempts = 1 if point == "after" else 2
    assert [row.attempts for row in load.rows().values()] == [attempts]


@pytest.mark.spec("S0-30", partial=True)
@pytest.mark.invariant("F-02")
@pytest.mark.invariant("F-03")
@pytest.mark.invariant("I-22")
def test_a_lease_runs_out_by_itself_and_the_job_is_told_again(load: Load, start: Start) -> None:
    """Nothing is helped along here: twenty jobs of a dead worker are done by the other."""
    load.hold("before")
    first, second = start(queues="test=20"), start()
    load.ask("steps", *range(20))
    load.await_note("at-before", 20)
    first.kill()
    load.let_go("before")
    second.ready()
    load.await_states(done=20)
    assert load.effects() == once(range(20))


@pytest.mark.invariant("F-02")
@pytest.mark.invariant("I-22")
def test_a_hundred_jobs_of_a_dead_worker_are_claimed_again_within_their_lease_and_ten_seconds(
    load: Load, start: Start
) -> None:
    """A bound of liveness: they all hang in one process, which is killed at once."""
    load.hold("before")
    first, second = start(queues="test=100"), start(queues="test=100")
    second.signal(signal.SIGSTOP)
    load.ask("steps", *range(100))
    load.await_note("at-before", 100)
    first.kill()
    died = time.monotonic()
    second.signal(signal.SIGCONT)
    load.await_note("at-before", 200)
    assert time.monotonic() - died < LEASE_S + 10
    load.let_go("before")
    load.await_states(done=100)
    assert load.effects() == once(range(100))


@pytest.mark.invariant("F-04")
@pytest.mark.invariant("I-24")
def test_a_worker_that_stood_still_meets_the_fence_and_works_on(load: Load, start: Start) -> None:
    load.hold("inside")
    stalled = start().ready()
    load.ask("steps", 1)
    load.await_note("at-inside")
    stalled.signal(signal.SIGSTOP)
    load.let_go("inside")
    load.lose_leases()
    other = start().ready()
    load.await_states(done=1)
    other.kill()
    stalled.signal(signal.SIGCONT)
    # It goes on where it stood, and writes; the commit is refused.
    load.await_note("past-inside", 2)
    load.ask("add", 2)
    load.await_states(done=2)
    assert noted(load.folder / "past-inside")[-1] == stalled.pid
    assert stalled.pid not in noted(load.folder / "past-after")
    assert load.effects() == once([1, 2])
    assert stalled.lives


@pytest.mark.spec("S0-30")
@pytest.mark.invariant("F-05")
@pytest.mark.invariant("I-21")
@pytest.mark.invariant("I-22")
def test_a_relay_that_dies_between_noting_and_telling_is_made_up_for(
    load: Load, start: Start
) -> None:
    """It noted the jobs as told, and told nobody: whoever looks next tells them."""
    jobs = load.ask("add", *range(10))
    while not set(jobs) <= {wakeup.id for wakeup in load.queue.announce(1000)}:
        load.announce_again()
    assert not [each for each in load.queue.announce(1000) if each.id in jobs]
    load.announce_again()
    start().ready()
    load.await_states(done=10)
    assert load.effects() == once(range(10))


@pytest.mark.invariant("I-19")
@pytest.mark.invariant("I-20")
def test_a_relay_that_dies_before_it_notes_has_told_nothing(load: Load, valkey: Valkey) -> None:
    [job] = load.ask("add", 1)

    class Died(Exception):
        pass

    with pytest.raises(Died):
        _announce_and_die(load.queue, Died)
    assert load.rows()[job].announced_at is None
    assert valkey.client.dbsize() == 0


def _announce_and_die(queue: PgQueue, death: type[Exception]) -> None:
    class Dying:
        """The database, whose transaction is cut off at its commit."""

        def control(self):
            return self

        def __enter__(self):
            self.open = queue.database.control()
            return self.open.__enter__()

        def __exit__(self, *error: object) -> None:
            cut = death()
            self.open.__exit__(death, cut, None)
            raise cut

    PgQueue(Dying()).announce(1000)


@pytest.mark.invariant("F-04")
@pytest.mark.spec("S0-19", partial=True)
def test_a_job_longer_than_its_lease_is_kept_and_runs_once(load: Load, start: Start) -> None:
    """Also longer than SAQ's own limit of ten seconds, after which it would run a second copy."""
    load.hold("inside")
    workers = [start(), start()]
    for worker in workers:
        worker.ready()
    [job] = load.ask("steps", 1)
    load.await_note("at-inside")
    first = load.rows()[job]
    eventually(
        lambda: (load.rows()[job].lease_until - first.lease_until).total_seconds() > 15,
        "the lease is not renewed",
    )
    load.let_go("inside")
    load.await_states(done=1)
    assert (load.rows()[job].epoch, load.rows()[job].attempts) == (first.epoch, 1)
    assert load.effects() == once([1])


@pytest.mark.invariant("F-18")
@pytest.mark.parametrize("skew", [3600, -3600], ids=["ahead", "behind"])
def test_a_worker_whose_clock_is_wrong_decides_nothing_by_it(
    load: Load, start: Start, skew: int
) -> None:
    """Leases, retries and schedules go by the database's clock alone."""
    load.hold("inside")
    right = start(queues="test:other=1,test=1").ready()
    [held] = load.ask("steps", 1)
    load.await_note("at-inside")
    start(queues="test:other=2,test=2", skew=skew, schedules=True).ready()
    [failing] = load.ask("raise", 2)
    load.ask("add", *range(10, 20))
    load.await_states(running=1, waiting=1, done=10)
    assert load.rows()[held].epoch == 1
    assert load.rows()[failing].run_at > load.rows()[failing].created_at
    load.let_go("inside")
    eventually(lambda: load.rows()[held].state == "done", "it does not end")
    assert noted(load.folder / "at-inside") == [right.pid]
    assert load.effects() == once([1, *range(10, 20)])
