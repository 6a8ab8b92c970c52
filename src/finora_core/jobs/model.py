"""Jobs and their states."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import ClassVar, Protocol
from uuid import UUID

import attrs

from finora_core.kernel.errors import Conflict, NotFound, Unavailable
from finora_core.kernel.events import Plain
from finora_core.kernel.scope import Scope

PAUSE_S = 2


class JobNotFound(NotFound):
    """There is no such job in this tenant."""

    code = "JOB_NOT_FOUND"


class JobStateConflict(Conflict):
    """The job's state does not allow this."""

    code = "JOB_STATE"


class JobTooLong(Unavailable):
    """The attempt took longer than a job may; it is tried again."""

    code = "JOB_TIME_LIMIT"


class JobState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    """It cannot succeed; the user is told why."""
    DEAD = "dead"
    """It failed as often as it may; it can be replayed."""
    PAUSED = "paused"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        return self in (self.DONE, self.REFUSED, self.DEAD, self.CANCELLED)


@attrs.frozen(kw_only=True)
class Subscription:
    """An event makes a job: declared in a slice's `reactions.py`, next to the job's handler."""

    event: str
    """Type of the event."""
    job: str
    """Name of the job, `noun.verb`."""
    queue: str = "default"
    attempts: int = 3
    """How often it may be tried in all."""
    pause_s: int = PAUSE_S
    """Seconds that it waits after its first failure, or up to twice as many; twice as long after
    each further one."""
    subject: str = ""
    """The payload's key that names what the job is about. One request makes one job a subject."""
    only: tuple[str, Plain] | None = None
    """A key and the value that the payload must have there, for a job of some of the events."""


@attrs.frozen(kw_only=True)
class Schedule:
    """A job that the clock makes. Times are UTC, so that no hour is skipped or comes twice."""

    name: str
    """`noun.verb`, and the name of its job."""
    cron: str
    """Minute, hour, day, month, weekday."""
    queue: str = "schedules"
    attempts: int = 3
    catch_up: int = 1
    """Of the periods that nobody started, how many of the latest are made up for."""

    @property
    def subscription(self) -> Subscription:
        return Subscription(
            event=ScheduleDue.type,
            job=self.name,
            queue=self.queue,
            attempts=self.attempts,
            subject="due_at",
            only=("schedule", self.name),
        )


@attrs.frozen
class ScheduleDue:
    """A period of a schedule began."""

    type: ClassVar[str] = "schedule.due"

    schedule: str
    due_at: datetime

    def payload(self) -> Mapping[str, Plain]:
        return {"schedule": self.schedule, "due_at": self.due_at.isoformat()}


@attrs.frozen
class JobReplayed:
    """Its user let a job run again."""

    type: ClassVar[str] = "job.replayed"

    job_id: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"job": str(self.job_id)}


@attrs.frozen
class JobCancelled:
    type: ClassVar[str] = "job.cancelled"

    job_id: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"job": str(self.job_id)}


@attrs.frozen
class JobDismissed:
    """Its user has seen how a job ended."""

    type: ClassVar[str] = "job.dismissed"

    job_id: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"job": str(self.job_id)}


@attrs.frozen
class JobFailed:
    """A job that somebody waits for has failed for good; recorded some minutes later."""

    type: ClassVar[str] = "job.failed"

    job_id: UUID
    user_id: UUID
    name: str
    at: datetime
    reason: str

    def payload(self) -> Mapping[str, Plain]:
        return {
            "failed": str(self.job_id),
            "user": str(self.user_id),
            "name": self.name,
            "at": self.at.isoformat(),
            "reason": self.reason,
        }


@attrs.frozen
class Fault:
    """What an operator should look at. `what` is `dead_letters` or `silent`."""

    what: str
    where: str
    """The schedule that is silent; empty for dead letters."""
    said: str
    """For people."""


@attrs.frozen
class FaultSeen:
    """A fault lasts. Told once a day for as long as it does."""

    type: ClassVar[str] = "operations.fault"

    fault: Fault
    day: date

    def payload(self) -> Mapping[str, Plain]:
        subject = f"{self.fault.what}:{self.fault.where}:{self.day.isoformat()}"
        return {"fault": subject, "said": self.fault.said}


class FaultFound(Unavailable):
    """The work goes on, and something of it should be looked at; the message says what."""

    code = "FAULT"


class OperatorAction(StrEnum):
    RETRY = "job.retry"
    DELETE = "job.delete"
    REPLAY = "dlq.replay"


class Outcome(StrEnum):
    SUCCESS = "success"
    FAILURE = "failure"
    """The operator is known, and what was asked for could not be done."""
    DENIED = "denied"
    """Nobody proved to be an operator; the event's actor is whom they said to be."""


@attrs.frozen(kw_only=True)
class OperatorActed:
    """Somebody called an operator's endpoint."""

    type: ClassVar[str] = "operator.acted"

    action: OperatorAction
    outcome: Outcome
    job_id: UUID | None = None
    owner: UUID | None = None
    """The job's tenant."""
    jobs: int = 0
    code: str | None = None
    """Of the refusal."""

    def payload(self) -> Mapping[str, Plain]:
        return {
            "action": self.action,
            "outcome": self.outcome,
            "job": str(self.job_id) if self.job_id else None,
            "tenant": str(self.owner) if self.owner else None,
            "jobs": self.jobs,
            "code": self.code,
        }


@attrs.frozen(kw_only=True)
class OperatedJob:
    """A job as an operator sees it: nothing of what its tenant put into it."""

    tenant_id: UUID
    id: UUID
    name: str
    queue: str
    state: JobState
    attempts: int
    max_attempts: int


@attrs.frozen(kw_only=True)
class DeadJob:
    """A dead letter that has somebody who waits for it."""

    tenant_id: UUID
    id: UUID
    user_id: UUID
    name: str
    reason: str
    finished_at: datetime


class Progress(Protocol):
    def __call__(self, done: int, total: int | None = None) -> None:
        """Say how much is done. Raises StaleClaim when the job was taken over."""


Handler = Callable[[Scope, Mapping[str, Plain], Progress], object]
"""What runs a job: it gets a scope whose cause is the claim, and the event's payload."""


@attrs.frozen(kw_only=True)
class Job:
    """A job as its user sees it. `done_parts` of `all_parts` (None while unknown) are done."""

    id: UUID
    name: str
    queue: str
    state: JobState
    attempts: int
    max_attempts: int
    done_parts: int
    all_parts: int | None
    result: Mapping[str, object] | None
    """What it gave; of a refused job the refusal's `details` and `facts`."""
    reason: str | None
    """Code of the refusal or failure."""
    message: str | None
    """What the user is told of it."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    dismissed_at: datetime | None
    request_id: str


@attrs.frozen(kw_only=True)
class Claimed:
    """A job that this runner may run now, until its lease ends or another epoch begins."""

    tenant_id: UUID
    id: UUID
    epoch: int
    name: str
    user_id: UUID
    request_id: str
    payload: Mapping[str, Plain]
    attempts: int
    max_attempts: int


@attrs.frozen
class Wakeup:
    """A job that is ready, for the queue that wakes a worker."""

    tenant_id: UUID
    id: UUID
    queue: str


@attrs.frozen(kw_only=True)
class QueueStatus:
    """What is in one queue now. `oldest_s` is how long the first ready job has waited."""

    queue: str
    paused: bool
    waiting: int
    running: int
    dead: int
    oldest_s: float


@attrs.frozen(kw_only=True)
class Failure:
    """How an attempt ended that did not succeed."""

    state: JobState
    reason: str
    message: str
    error: str
    """For operators: the traceback."""
    retry_in_s: int | None = None
    told: Mapping[str, object] | None = None
    """What a refusal says besides its message: its details and facts, for the job's result."""
