"""What jobs need: the tenant's view of them, and the runner's."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from finora_core.jobs.model import Claimed, Failure, Job
from finora_core.kernel.page import Page
from finora_core.kernel.work import Work

LEASE_S = 15
RENEW_S = 5


class Jobs(Protocol):
    def get(self, job_id: UUID) -> Job:
        """Raises JobNotFound."""

    def list(self, cursor: str | None, limit: int) -> Page[Job]:
        """Newest first."""

    def replay(self, job_id: UUID) -> Job:
        """A dead or refused job waits again, with all its attempts. Raises JobStateConflict."""

    def cancel(self, job_id: UUID) -> Job:
        """A waiting or paused job will not run. Raises JobStateConflict."""

    def dismiss(self, job_id: UUID) -> Job:
        """Its user has seen how it ended. Raises JobStateConflict."""


class JobWork(Work, Protocol):
    @property
    def jobs(self) -> Jobs: ...


class Queue(Protocol):
    """The runner's side, over all tenants. Each call is a transaction of its own."""

    def claim(self, limit: int) -> Sequence[Claimed]:
        """Take ready jobs and jobs whose lease ran out; a job that used up its attempts while
        running becomes dead instead. Two runners never get the same epoch of a job."""

    def renew(self, job: Claimed) -> bool:
        """Lengthen the lease; False when the job was taken over."""

    def progress(self, job: Claimed, done: int, total: int | None) -> bool:
        """Note progress; False when the job was taken over."""

    def fail(self, job: Claimed, failure: Failure) -> None:
        """End this attempt, unless the job was taken over."""

    def purge(self) -> int:
        """Forget what is over: done after 24 hours, refused and dead after 14 days."""


class Sealer(Protocol):
    def seal(self) -> int:
        """Number and chain every event that can no longer be overtaken; returns how many."""
