"""What a queue of jobs promises, whatever keeps it. Held by the one in Postgres and by the one in
memory under which histories are explored."""

from collections.abc import Collection, Iterable
from typing import Any, Protocol

import attrs
import pytest

from finora_core.jobs.model import Claimed, Failure, JobState, QueueStatus
from finora_core.jobs.ports import ANNOUNCE_AGAIN_S, LEASE_S, Queue
from finora_core.kernel.work import StaleClaim

AGAIN = Failure(state=JobState.WAITING, reason="X", message="x", error="x", retry_in_s=5)
NO = attrs.evolve(AGAIN, state=JobState.REFUSED)
DEAD = attrs.evolve(AGAIN, state=JobState.DEAD)
DAY = 86_400


class Bench(Protocol):
    """A queue, a clock that can be moved, and jobs of the test's own."""

    @property
    def queue(self) -> Queue: ...

    def ask(self, queue: str = "c", attempts: int = 3) -> Any:
        """A committed cause; the id of its job."""

    def own(self, found: Iterable[Any]) -> list[Any]:
        """Those of a claim or an announcement that are of this test."""

    def row(self, job: Any) -> Any:
        """Its row, or None."""

    def later(self, seconds: float) -> None: ...

    def finish(self, claimed: Claimed) -> None:
        """An effect and the job's end, in one transaction."""

    def write(self, claimed: Claimed) -> None:
        """An effect that does not end the job."""

    def effects(self) -> int: ...

    def replay(self, job: Any) -> None: ...

    def cancel(self, job: Any) -> None: ...


class QueueContract:
    @pytest.fixture
    def bench(self) -> Bench:
        raise NotImplementedError

    def test_a_ready_job_is_claimed_by_one(self, bench: Bench) -> None:
        job = bench.ask()
        first = one(bench, job)
        assert (first.id, first.epoch, first.attempts) == (job, 1, 1)
        assert one(bench, job, there=False) is None
        assert bench.own(bench.queue.claim(100)) == []
        assert bench.row(job).state == "running"

    def test_the_oldest_ready_job_is_claimed_first(self, bench: Bench) -> None:
        jobs = []
        for _ in range(3):
            jobs.append(bench.ask())
            bench.later(1)
        assert [claimed.id for claimed in bench.own(bench.queue.claim(100))] == jobs

    def test_effect_and_end_are_one(self, bench: Bench) -> None:
        job = bench.ask()
        bench.finish(one(bench, job))
        assert (bench.row(job).state, bench.effects()) == ("done", 1)
        assert one(bench, job, there=False) is None

    def test_a_lease_runs_out_and_the_next_epoch_begins(self, bench: Bench) -> None:
        job = bench.ask()
        old = one(bench, job)
        bench.later(LEASE_S - 1)
        assert one(bench, job, there=False) is None
        bench.later(2)
        new = one(bench, job)
        assert (new.epoch, new.attempts) == (old.epoch + 1, 2)

    def test_a_stale_runner_changes_nothing(self, bench: Bench) -> None:
        job = bench.ask()
        old = one(bench, job)
        bench.later(LEASE_S + 1)
        new = one(bench, job)
        for act in (bench.finish, bench.write):
            with pytest.raises(StaleClaim):
                act(old)
        assert not bench.queue.renew([old])
        assert not bench.queue.progress(old, 1, 2)
        bench.queue.fail(old, AGAIN)
        bench.queue.release(old)
        assert (bench.row(job).state, bench.row(job).epoch) == ("running", new.epoch)
        assert bench.effects() == 0
        bench.finish(new)
        assert bench.effects() == 1

    def test_whose_lease_ran_out_may_go_on_until_another_took_it(self, bench: Bench) -> None:
        job = bench.ask()
        claimed = one(bench, job)
        bench.later(LEASE_S + 1)
        bench.write(claimed)
        bench.finish(claimed)
        assert bench.effects() == 2

    def test_a_renewed_lease_does_not_run_out(self, bench: Bench) -> None:
        mine, other = bench.ask(), bench.ask()
        claimed, lost = one(bench, mine), one(bench, other)
        for _ in range(4):
            bench.later(LEASE_S - 5)
            assert set(bench.queue.renew([claimed])) == {mine}
        assert one(bench, mine, there=False) is None
        assert one(bench, other).epoch == lost.epoch + 1
        assert set(bench.queue.renew([claimed, lost])) == {mine}

    def test_progress_is_noted_for_the_runner(self, bench: Bench) -> None:
        job = bench.ask()
        claimed = one(bench, job)
        assert bench.queue.progress(claimed, 3, 10)
        assert bench.queue.progress(claimed, 4, None)
        assert (bench.row(job).done_parts, bench.row(job).all_parts) == (4, 10)
        bench.finish(claimed)
        assert bench.row(job).done_parts == 10
        assert not bench.queue.progress(claimed, 5, None)

    def test_a_failed_attempt_waits_and_counts(self, bench: Bench) -> None:
        job = bench.ask()
        claimed = one(bench, job)
        bench.queue.fail(claimed, AGAIN)
        assert (bench.row(job).state, bench.row(job).reason) == ("waiting", "X")
        assert one(bench, job, there=False) is None
        assert announced(bench) == []
        bench.later(6)
        assert announced(bench) == [job]
        assert one(bench, job).attempts == 2
        with pytest.raises(StaleClaim):
            bench.finish(claimed)

    @pytest.mark.parametrize("failure", [NO, DEAD], ids=lambda each: each.state)
    def test_a_refusal_and_a_last_failure_are_the_end(self, bench: Bench, failure: Failure) -> None:
        job = bench.ask()
        bench.queue.fail(one(bench, job), failure)
        bench.later(1000)
        assert one(bench, job, there=False) is None
        assert announced(bench) == []
        assert bench.row(job).state == failure.state

    def test_a_job_given_back_counts_no_attempt_and_is_ready_at_once(self, bench: Bench) -> None:
        job = bench.ask(attempts=1)
        for _ in range(3):
            claimed = one(bench, job)
            bench.queue.release(claimed)
            assert bench.row(job).attempts == 0
            assert announced(bench) == [job]
            with pytest.raises(StaleClaim):
                bench.finish(claimed)
        bench.queue.release(one(bench, job), 30)
        assert one(bench, job, there=False) is None
        bench.later(31)
        assert one(bench, job).attempts == 1

    def test_the_last_attempt_lost_is_the_end(self, bench: Bench) -> None:
        job = bench.ask(attempts=2)
        for _ in range(2):
            last = one(bench, job)
            bench.later(LEASE_S + 1)
        assert one(bench, job, there=False) is None
        bench.own(bench.queue.announce(1000))
        assert (bench.row(job).state, bench.row(job).reason) == ("dead", "LOST")
        with pytest.raises(StaleClaim):
            bench.finish(last)

    def test_a_claim_over_all_buries_too(self, bench: Bench) -> None:
        job = bench.ask(attempts=1)
        one(bench, job)
        bench.later(LEASE_S + 1)
        assert bench.own(bench.queue.claim(100)) == []
        assert bench.row(job).state == "dead"

    def test_the_dead_is_replayed_with_all_its_attempts(self, bench: Bench) -> None:
        job = bench.ask(attempts=1)
        bench.queue.fail(one(bench, job), DEAD)
        bench.replay(job)
        assert announced(bench) == [job]
        bench.finish(one(bench, job))
        assert bench.effects() == 1

    def test_a_cancelled_job_does_not_run(self, bench: Bench) -> None:
        job = bench.ask()
        bench.cancel(job)
        assert announced(bench) == []
        assert one(bench, job, there=False) is None

    def test_what_is_announced_is_announced_again_when_nobody_claims_it(self, bench: Bench) -> None:
        job = bench.ask()
        assert announced(bench) == [job]
        assert announced(bench) == []
        bench.later(ANNOUNCE_AGAIN_S + 1)
        assert announced(bench) == [job]
        claimed = one(bench, job)
        bench.later(ANNOUNCE_AGAIN_S + 1)
        assert announced(bench) == []
        bench.later(LEASE_S)
        assert announced(bench) == [job]
        assert one(bench, job).epoch == claimed.epoch + 1

    def test_what_is_new_is_announced_before_what_is_announced_again(self, bench: Bench) -> None:
        old = bench.ask()
        assert announced(bench) == [old]
        bench.later(ANNOUNCE_AGAIN_S + 1)
        new = bench.ask()
        assert set(announced(bench)) == {old, new}

    def test_a_paused_queue_starts_nothing_and_lets_what_runs_go_on(self, bench: Bench) -> None:
        running, waiting, other = bench.ask("c"), bench.ask("c"), bench.ask("d")
        claimed = one(bench, running)
        bench.queue.pause("c")
        bench.queue.pause("c")
        assert one(bench, waiting, there=False) is None
        assert announced(bench) == [other]
        assert [each.id for each in bench.own(bench.queue.claim(100))] == [other]
        assert set(bench.queue.renew([claimed])) == {running}
        bench.finish(claimed)
        assert status(bench, "c").paused
        bench.queue.resume("c")
        assert announced(bench) == [waiting]
        assert one(bench, waiting)

    def test_the_status_counts(self, bench: Bench) -> None:
        before = status(bench, "c")
        jobs = [bench.ask("c", attempts=1) for _ in range(3)]
        bench.queue.fail(one(bench, jobs[0]), DEAD)
        one(bench, jobs[1])
        bench.later(5)
        after = status(bench, "c")
        for count in ("waiting", "running", "dead"):
            assert getattr(after, count) - getattr(before, count) == 1
        assert after.oldest_s >= 5

    def test_what_is_over_is_forgotten_in_time(self, bench: Bench) -> None:
        done, dead, waiting = bench.ask(), bench.ask(), bench.ask()
        bench.finish(one(bench, done))
        bench.queue.fail(one(bench, dead), DEAD)
        bench.later(DAY - 60)
        bench.queue.purge()
        assert bench.row(done)
        bench.later(120)
        assert bench.queue.purge() >= 1
        assert bench.row(done) is None
        bench.later(13 * DAY)
        assert bench.queue.purge() >= 1
        assert bench.row(dead) is None
        assert bench.row(waiting).state == "waiting"

    def test_another_tenants_name_claims_nothing(self, bench: Bench) -> None:
        job, other = bench.ask(), bench.ask()
        tenant = one(bench, other).tenant_id
        assert bench.queue.claim_one(job, job) is None
        assert bench.queue.claim_one(tenant, tenant) is None


def one(bench: Bench, job: Any, there: bool = True) -> Any:
    """Claim this job; it must be `there`, or not."""
    claimed = bench.queue.claim_one(bench.row(job).tenant_id, job)
    assert (claimed is not None) == there
    return claimed


def announced(bench: Bench) -> list[Any]:
    """The jobs of this test that are told of now."""
    found: list[Any] = []
    while told := bench.queue.announce(1000):
        found += [each.id for each in bench.own(told)]
    return found


def status(bench: Bench, queue: str) -> QueueStatus:
    found: Collection[QueueStatus] = bench.queue.status()
    none = QueueStatus(queue=queue, paused=False, waiting=0, running=0, dead=0, oldest_s=0.0)
    return next((each for each in found if each.queue == queue), none)
