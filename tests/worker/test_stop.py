"""Stopping, pausing, and two releases side by side."""

import signal
from collections.abc import Callable

import pytest

from finora_core.jobs.model import Wakeup
from servers import eventually
from worker.load import OTHER, QUEUE, Load, once
from worker.processes import WorkerProcess

Start = Callable[..., WorkerProcess]


@pytest.mark.invariant("F-28")
@pytest.mark.spec("S0-39", partial=True)
def test_a_worker_that_is_told_to_stop_ends_its_jobs_first(load: Load, start: Start) -> None:
    load.hold("inside")
    worker = start(drain_s=120).ready()
    load.ask("steps", 1, 2)
    load.await_note("at-inside", 2)
    worker.signal(signal.SIGTERM)
    eventually(lambda: "stopping" in worker.said, "it does not hear")
    load.ask("add", 3)
    load.let_go("inside")
    assert worker.process.wait(60) == 0
    assert load.states() == {"done": 2, "waiting": 1}
    start().ready()
    load.await_states(done=3)
    assert load.effects() == once([1, 2, 3])
    assert {row.attempts for row in load.rows().values()} == {1}


@pytest.mark.invariant("F-28")
def test_a_worker_without_jobs_stops_at_once(load: Load, start: Start) -> None:
    """Not after the time that jobs would have: SAQ's own loops would sleep through it."""
    worker = start(drain_s=600).ready()
    assert worker.stop() == 0


@pytest.mark.invariant("F-28")
@pytest.mark.spec("S0-39")
def test_what_does_not_end_in_time_is_given_back_and_counts_no_attempt(
    load: Load, start: Start
) -> None:
    """At once, not when its lease runs out: the next worker need not wait."""
    load.hold("inside")
    worker = start(drain_s=1).ready()
    [job] = load.ask("steps", 1)
    load.await_note("at-inside")
    assert worker.stop() == 0
    row = load.rows()[job]
    assert (row.state, row.attempts, row.lease_until) == ("waiting", 0, None)
    load.let_go("inside")
    start().ready()
    load.await_states(done=1)
    assert load.rows()[job].attempts == 1
    assert load.effects() == once([1])


@pytest.mark.invariant("F-28")
def test_workers_come_and_go_under_load(load: Load, start: Start) -> None:
    asked = 0
    worker = start().ready()
    for _ in range(5):
        load.ask("add", *range(asked, asked + 40))
        asked += 40
        following = start()
        assert worker.stop() == 0
        worker = following.ready()
    load.await_states(done=asked)
    assert load.effects() == once(range(asked))
    assert {row.attempts for row in load.rows().values()} == {1}


@pytest.mark.spec("S2-53")
def test_a_paused_queue_stands_still_while_another_runs(load: Load, start: Start) -> None:
    """What runs goes on; what is told already is not started; resumed, it is."""
    load.hold("inside")
    start(queues=f"{QUEUE}=2,{OTHER}=2").ready()
    load.ask("steps", 1)
    load.await_note("at-inside")
    load.queue.pause(QUEUE)
    load.ask("add", 2)
    load.ask("other", 3)
    load.let_go("inside")
    load.await_states(done=2, waiting=1)
    assert load.effects() == once([1, 3])
    [paused] = [each for each in load.queue.status() if each.queue == QUEUE]
    assert (paused.paused, paused.running) == (True, 0)
    load.announce_again()
    assert all(each.queue != QUEUE for each in load.queue.announce(1000))
    load.queue.resume(QUEUE)
    load.await_states(done=3)
    assert load.effects() == once([1, 2, 3])


@pytest.mark.invariant("F-27")
def test_a_job_of_a_newer_release_is_given_back_by_the_older(load: Load, start: Start) -> None:
    """It counts no attempt, and waits for a worker that knows it."""
    older = start(unknown=["later"]).ready()
    [job] = load.ask("later", 1)
    eventually(lambda: load.rows()[job].epoch > 0, "nobody looks at it")
    eventually(lambda: load.rows()[job].state == "waiting", "it is not given back")
    row = load.rows()[job]
    assert row.attempts == 0
    assert row.run_at > row.created_at
    start().ready()
    # Until the last of the old ones is gone it may come to one of them again.
    older.kill()
    load.retry_now()
    load.await_states(done=1)
    assert load.effects() == once([1])


def test_what_a_stopped_worker_has_on_its_queue_another_takes(load: Load, start: Start) -> None:
    """A wake-up belongs to nobody: the same one for each."""
    [job] = load.ask("add", 1)
    told = [each for each in load.queue.announce(1000) if each.id == job]
    assert told == [Wakeup(load.scope.tenant_id, job, QUEUE)]
    load.announce_again()
    start().ready()
    load.await_states(done=1)
