"""Running jobs, and what their users and operators do with them."""

import random
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from types import MappingProxyType
from uuid import UUID

import attrs

from finora_core.jobs.model import (
    PAUSE_S,
    Claimed,
    Failure,
    Handler,
    Job,
    JobCancelled,
    JobDismissed,
    JobReplayed,
    JobState,
    JobTooLong,
    Schedule,
    ScheduleDue,
)
from finora_core.jobs.ports import RENEW_S, JobWork, Queue, Sealer
from finora_core.kernel.errors import Refusal, Unavailable
from finora_core.kernel.ids import derived_id
from finora_core.kernel.page import DEFAULT_LIMIT, Page, checked_limit
from finora_core.kernel.scope import Claim, Scope
from finora_core.kernel.work import Begin, StaleClaim, retried

_LONGEST_RETRY_S = 600
_UNKNOWN_AGAIN_S = 30
_IDLE_ROUNDS = 3


@attrs.frozen
class JobService:
    begin: Begin[JobWork]

    def get(self, scope: Scope, job_id: UUID) -> Job:
        with self.begin(scope) as work:
            return work.jobs.get(job_id)

    def list(
        self,
        scope: Scope,
        *,
        state: JobState | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Job]:
        with self.begin(scope) as work:
            return work.jobs.list(cursor, checked_limit(limit), state)

    @retried
    def replay(self, scope: Scope, job_id: UUID) -> Job:
        """Run a dead or refused job again, under its own id."""
        with self.begin(scope) as work:
            job = work.jobs.replay(job_id)
            work.events.record(JobReplayed(job_id))
            return work.done(job)

    @retried
    def cancel(self, scope: Scope, job_id: UUID) -> Job:
        with self.begin(scope) as work:
            job = work.jobs.cancel(job_id)
            work.events.record(JobCancelled(job_id))
            return work.done(job)

    @retried
    def dismiss(self, scope: Scope, job_id: UUID) -> Job:
        with self.begin(scope) as work:
            job = work.jobs.dismiss(job_id)
            work.events.record(JobDismissed(job_id))
            return work.done(job)


@attrs.frozen
class JobRunner:
    """Runs job rows in the caller's process. As many as one likes may run at once."""

    queue: Queue
    sealer: Sealer
    handlers: Mapping[str, Handler]
    limit_s: float = 1800
    """Seconds that one attempt may take; each of its statements has a limit of its own within."""
    pauses: Mapping[str, int] = attrs.field(factory=dict)
    """Of each job, the seconds of the first pause before it is tried again."""
    _leases: "Leases" = attrs.field(
        init=False,
        default=attrs.Factory(
            lambda self: Leases(self.queue, self.limit_s, self.pauses), takes_self=True
        ),
    )

    def run(self, limit: int | None = None) -> Counter[str]:
        """Run ready jobs until there are none, or `limit` of them; count how they ended."""
        ended: Counter[str] = Counter()
        while limit is None or ended.total() < limit:
            claimed = self.queue.claim(1)
            if not claimed:
                break
            ended[self.run_one(claimed[0])] += 1
        self.sealer.seal()
        self.queue.purge()
        return ended

    def run_id(self, tenant_id: UUID, job_id: UUID) -> str | None:
        """Run this job if it is ready, and say how the attempt ended; None when it is not."""
        claimed = self.queue.claim_one(tenant_id, job_id)
        return None if claimed is None else self.run_one(claimed)

    def run_one(self, job: Claimed) -> str:
        """Run one claimed job and say how the attempt ended: done, taken_over, or a state."""
        handler = self.handlers.get(job.name)
        if handler is None:
            # Of a newer release, while the old one still runs; one that knows it will take it.
            self.queue.release(job, _UNKNOWN_AGAIN_S)
            return "unknown"
        scope = Scope(
            tenant_id=job.tenant_id,
            user_id=job.user_id,
            request_id=job.request_id,
            cause=Claim(job_id=job.id, epoch=job.epoch),
        )
        try:
            with self._leases.kept(job):
                handler(scope, job.payload, _Progress(self.queue, job))
        except StaleClaim:
            return "taken_over"
        except BaseException as error:
            # Whatever a handler raises must end the attempt and be kept, or the job would look
            # alive until its lease ran out. Who pressed Ctrl-C wants more than that to end; a
            # handler that calls sys.exit ends itself only, and no other job of this process.
            failure = failure_of(error, job, self.pauses)
            self.queue.fail(job, failure)
            if isinstance(error, KeyboardInterrupt):
                raise
            return failure.state.value
        return "done"

    def give_back(self) -> int:
        """Release every job that runs here, for another runner to start at once: whatever these
        threads still do will meet the fence. The last act of a process that must end."""
        running = self._leases.running()
        for job in running:
            self.queue.release(job)
        return len(running)


@attrs.define
class Leases:
    """Renews the leases of all jobs that run in this process, from one thread. A job that runs
    longer than it may fails, and whatever its thread still does will meet the fence: no thread can
    be stopped from outside."""

    queue: Queue
    limit_s: float
    pauses: Mapping[str, int]
    _running: dict[tuple[UUID, int], tuple[Claimed, float]] = attrs.field(factory=dict)
    """With the moment at which its time is up."""
    _lock: threading.Lock = attrs.field(factory=threading.Lock)
    _keeper: threading.Thread | None = None

    def running(self) -> list[Claimed]:
        with self._lock:
            return [job for job, _ in self._running.values()]

    @contextmanager
    def kept(self, job: Claimed) -> Iterator[None]:
        key = (job.id, job.epoch)
        with self._lock:
            self._running[key] = (job, time.monotonic() + self.limit_s)
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="leases", daemon=True)
                self._keeper.start()
        try:
            yield
        finally:
            with self._lock:
                self._running.pop(key, None)

    def _keep(self) -> None:
        idle = 0
        while True:
            time.sleep(RENEW_S)
            with self._lock:
                jobs = list(self._running.values())
                idle = 0 if jobs else idle + 1
                if idle > _IDLE_ROUNDS:
                    self._keeper = None
                    return
            # Without the database nothing can be renewed, nor taken over: try again. Whatever else
            # it is must not end this thread, and with it the lease of every job that runs here.
            with suppress(Exception):
                self._look_after(jobs)

    def _look_after(self, jobs: Sequence[tuple[Claimed, float]]) -> None:
        now = time.monotonic()
        if kept := [job for job, ends in jobs if now < ends]:
            self.queue.renew(kept)
        for job in [job for job, ends in jobs if now >= ends]:
            error = JobTooLong(f"it ran longer than the {self.limit_s:.0f} s that a job may")
            self.queue.fail(job, failure_of(error, job, self.pauses))
            with self._lock:
                self._running.pop((job.id, job.epoch), None)


@attrs.frozen
class _Progress:
    queue: Queue
    job: Claimed

    def __call__(self, done: int, total: int | None = None) -> None:
        if not self.queue.progress(self.job, done, total):
            raise StaleClaim(f"job {self.job.id} was claimed again")


Periods = Callable[[str, datetime, datetime], Sequence[datetime]]
"""(cron, after, until) -> the times at which a period begins, after < time <= until, in order."""


@attrs.frozen
class Scheduler:
    """Starts the periods of schedules by the database's clock. As many as one likes may run: the
    key of the period's row is what makes it start once."""

    begin: Begin[JobWork]
    schedules: Sequence[Schedule]
    periods: Periods

    def tick(self, scope: Scope) -> dict[str, bool]:
        """Start whatever is due; says of each due schedule whether it ran here. It did not when
        another scheduler was first, or while the job of its period before is not over."""
        ran = {}
        for schedule in self.schedules:
            with self.begin(scope) as work:
                last = work.periods.last(schedule.name)
                since = last[0] if last else work.now - timedelta(days=1)
                due = self.periods(schedule.cron, since, work.now)[-schedule.catch_up :]
                if not due:
                    continue
                ran[schedule.name] = False
                if last is None or last[1]:
                    ran[schedule.name] = _start(work, scope, schedule, due[0])
        return ran


def _start(work: JobWork, scope: Scope, schedule: Schedule, due_at: datetime) -> bool:
    subject = due_at.isoformat()
    job_id = derived_id(schedule.name, str(scope.user_id), subject, scope.request_id)
    if not work.periods.take(schedule.name, due_at, job_id):
        return False
    work.events.record(ScheduleDue(schedule.name, due_at))
    return True


def failure_of(
    error: BaseException, job: Claimed, pauses: Mapping[str, int] = MappingProxyType({})
) -> Failure:
    """A refusal ends the job; anything else is tried again, until the attempts are used up, each
    time after a pause about twice as long."""
    said = "".join(traceback.format_exception(error))
    if isinstance(error, Refusal) and not isinstance(error, Unavailable):
        return Failure(
            state=JobState.REFUSED,
            reason=error.code,
            message=error.message,
            error=said,
            told={"details": error.details, "facts": error.facts},
        )
    if isinstance(error, Refusal):
        reason, message = error.code, error.message
    elif isinstance(error, Exception):
        reason, message = "INTERNAL", "something went wrong on our side"
    else:
        reason, message = "INTERRUPTED", "it was stopped before it was done"
    if job.attempts >= job.max_attempts:
        return Failure(state=JobState.DEAD, reason=reason, message=message, error=said)
    # Between the pause and its double: no two jobs that failed together come back together, and no
    # pause is shorter than the one before.
    pause_s = pauses.get(job.name, PAUSE_S)
    least = min(_LONGEST_RETRY_S // 2, pause_s * 2 ** (job.attempts - 1))
    retry_in_s = random.randint(least, 2 * least)
    asked = error.facts.get("retry_after") if isinstance(error, Refusal) else None
    if isinstance(asked, int):
        # Whoever was asked too often says itself when it may be asked again.
        retry_in_s = min(max(retry_in_s, asked), _LONGEST_RETRY_S)
    return Failure(
        state=JobState.WAITING,
        reason=reason,
        message=message,
        error=said,
        retry_in_s=retry_in_s,
    )
