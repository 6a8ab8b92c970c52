"""Running jobs, and what their users and operators do with them."""

import random
import threading
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID

import attrs

from finora_core.jobs.model import Claimed, Failure, Handler, Job, JobState
from finora_core.jobs.ports import RENEW_S, JobWork, Queue, Sealer
from finora_core.kernel.errors import Refusal, Unavailable
from finora_core.kernel.page import DEFAULT_LIMIT, Page, checked_limit
from finora_core.kernel.scope import Claim, Scope
from finora_core.kernel.work import Begin, StaleClaim, retried

_FIRST_RETRY_S = 2
_LONGEST_RETRY_S = 600


@attrs.frozen
class JobService:
    begin: Begin[JobWork]

    def get(self, scope: Scope, job_id: UUID) -> Job:
        with self.begin(scope) as work:
            return work.jobs.get(job_id)

    def list(
        self, scope: Scope, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT
    ) -> Page[Job]:
        with self.begin(scope) as work:
            return work.jobs.list(cursor, checked_limit(limit))

    @retried
    def replay(self, scope: Scope, job_id: UUID) -> Job:
        """Run a dead or refused job again, under its own id."""
        with self.begin(scope) as work:
            return work.done(work.jobs.replay(job_id))

    @retried
    def cancel(self, scope: Scope, job_id: UUID) -> Job:
        with self.begin(scope) as work:
            return work.done(work.jobs.cancel(job_id))

    @retried
    def dismiss(self, scope: Scope, job_id: UUID) -> Job:
        with self.begin(scope) as work:
            return work.done(work.jobs.dismiss(job_id))


@attrs.frozen
class JobRunner:
    """Drains the job rows in the caller's process. As many as one likes may run at once."""

    queue: Queue
    sealer: Sealer
    handlers: Mapping[str, Handler]

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

    def run_one(self, job: Claimed) -> str:
        """Run one claimed job and say how the attempt ended: done, taken_over, or a state."""
        scope = Scope(
            tenant_id=job.tenant_id,
            user_id=job.user_id,
            request_id=job.request_id,
            cause=Claim(job_id=job.id, epoch=job.epoch),
        )
        try:
            with self._lease(job):
                self.handlers[job.name](scope, job.payload, self._progress(job))
        except StaleClaim:
            return "taken_over"
        except BaseException as error:
            # Whatever a handler raises must end the attempt and be kept, or the job would look
            # alive until its lease ran out. Who pressed Ctrl-C wants more than that to end.
            failure = failure_of(error, job)
            self.queue.fail(job, failure)
            if not isinstance(error, Exception):
                raise
            return failure.state.value
        return "done"

    def _progress(self, job: Claimed) -> "_Progress":
        return _Progress(self.queue, job)

    @contextmanager
    def _lease(self, job: Claimed) -> Iterator[None]:
        over = threading.Event()

        def keep() -> None:
            while not over.wait(RENEW_S):
                try:
                    if not self.queue.renew(job):
                        return
                except Unavailable:
                    continue

        keeper = threading.Thread(target=keep, name=f"lease-{job.id}", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            over.set()
            keeper.join()


@attrs.frozen
class _Progress:
    queue: Queue
    job: Claimed

    def __call__(self, done: int, total: int | None = None) -> None:
        if not self.queue.progress(self.job, done, total):
            raise StaleClaim(f"job {self.job.id} was claimed again")


def failure_of(error: BaseException, job: Claimed) -> Failure:
    """A refusal ends the job; anything else is tried again, until the attempts are used up."""
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
    longest = min(_LONGEST_RETRY_S, _FIRST_RETRY_S * 2**job.attempts)
    return Failure(
        state=JobState.WAITING,
        reason=reason,
        message=message,
        error=said,
        retry_in_s=random.randint(1, longest),
    )
