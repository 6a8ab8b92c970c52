"""What jobs need: the tenant's view of them, and the runner's."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from finora_core.jobs.model import (
    Claimed,
    DeadJob,
    Failure,
    Job,
    JobState,
    OperatedJob,
    QueueStatus,
    Wakeup,
)
from finora_core.kernel.page import Page
from finora_core.kernel.work import Work

LEASE_S = 15
RENEW_S = 5
ANNOUNCE_AGAIN_S = 10
"""A job that was announced and not claimed is announced again after so long."""


class Jobs(Protocol):
    def get(self, job_id: UUID) -> Job:
        """Raises JobNotFound."""

    def list(self, cursor: str | None, limit: int, state: JobState | None = None) -> Page[Job]:
        """Newest first."""

    def replay(self, job_id: UUID) -> Job:
        """A dead or refused job waits again, with all its attempts. Raises JobStateConflict."""

    def cancel(self, job_id: UUID) -> Job:
        """A waiting or paused job will not run. Raises JobStateConflict."""

    def dismiss(self, job_id: UUID) -> Job:
        """Its user has seen how it ended. Raises JobStateConflict."""


class Periods(Protocol):
    """Which periods of which schedules were started."""

    def last(self, schedule: str) -> tuple[datetime, bool] | None:
        """The latest period that was started, and whether its job is over; None for none."""

    def before(self, schedule: str, due_at: datetime) -> datetime | None:
        """The period that was started before this one."""

    def take(self, schedule: str, due_at: datetime, job_id: UUID) -> bool:
        """Start the period; False when it was started before, or is at this moment."""


class JobWork(Work, Protocol):
    @property
    def jobs(self) -> Jobs: ...

    @property
    def periods(self) -> Periods: ...

    @property
    def now(self) -> datetime: ...


class EveryJob(Protocol):
    """Jobs of all tenants, in the transaction of an operator's act."""

    def retry(self, job_id: UUID, *, only_dead: bool = False) -> OperatedJob:
        """A waiting, dead or refused job is ready now, with all its attempts. Raises JobNotFound,
        JobStateConflict."""

    def retry_dead(self) -> int:
        """The same of every dead job; how many."""

    def delete(self, job_id: UUID) -> OperatedJob:
        """Any but a running one. Raises JobNotFound, JobStateConflict."""


class OperatorWork(Work, Protocol):
    @property
    def every_job(self) -> EveryJob: ...


class Queue(Protocol):
    """The runner's side, over all tenants. Each call is a transaction of its own."""

    def claim(self, limit: int) -> Sequence[Claimed]:
        """Take ready jobs and jobs whose lease ran out; a job that used up its attempts while
        running becomes dead instead. Two runners never get the same epoch of a job."""

    def claim_one(self, tenant_id: UUID, job_id: UUID) -> Claimed | None:
        """Take this job, if it is ready and its queue not paused."""

    def announce(self, limit: int) -> Sequence[Wakeup]:
        """Ready jobs that no queue was told of, or not lately; they are noted as told. First of
        all, jobs that used up their attempts while running become dead."""

    def renew(self, jobs: Collection[Claimed]) -> Collection[UUID]:
        """Lengthen the leases; the ids of those that were. The others were taken over, or are in
        a transaction that ends them at this moment."""

    def release(self, job: Claimed, delay_s: int = 0) -> None:
        """Give the job back, ready after `delay_s`, as if this attempt had not been."""

    def progress(self, job: Claimed, done: int, total: int | None) -> bool:
        """Note progress; False when the job was taken over."""

    def fail(self, job: Claimed, failure: Failure) -> None:
        """End this attempt, unless the job was taken over."""

    def purge(self) -> int:
        """Forget what is over: done after 24 hours, refused and dead after 14 days."""

    def pause(self, queue: str) -> None:
        """Let no job of the queue start, from now on; those that run go on."""

    def resume(self, queue: str) -> None:
        """Let the queue's jobs start again."""

    def status(self) -> Sequence[QueueStatus]:
        """Every queue that has jobs or is paused, by name."""

    def died(self, since: datetime, until: datetime) -> Sequence[DeadJob]:
        """People's jobs that died from `since` on, before `until`; none of the queue `mail`, for
        a letter that cannot be sent is not told of by letter."""


class Sealer(Protocol):
    def seal(self) -> int:
        """Number and chain every event that can no longer be overtaken; returns how many."""

    def lag_s(self) -> float:
        """For how long the oldest event that is not sealed yet has waited; 0 without one."""
