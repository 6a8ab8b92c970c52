"""What operators do with jobs of any tenant. Each act is an event of the platform's own tenant, in
the transaction of the act; one that was refused is an event too."""

from uuid import UUID

import attrs

from finora_core.jobs.model import OperatedJob, OperatorActed, OperatorAction, Outcome
from finora_core.jobs.ports import OperatorWork
from finora_core.kernel.ids import derived_id
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried


def operator_id(name: str) -> UUID:
    """An operator as the event log knows them: always the same for the same name, which the log
    itself does not hold."""
    return derived_id("operator", name)


@attrs.frozen
class OperatorService:
    """The scope is that of the platform's tenant, with the operator as its user."""

    begin: Begin[OperatorWork]

    @retried
    def retry(self, scope: Scope, job_id: UUID) -> OperatedJob:
        """Run a waiting, dead or refused job now, with all its attempts. Raises JobNotFound,
        JobStateConflict."""
        with self.begin(scope) as work:
            job = work.every_job.retry(job_id)
            work.events.record(_did(OperatorAction.RETRY, job))
            return work.done(job)

    @retried
    def delete(self, scope: Scope, job_id: UUID) -> OperatedJob:
        """Forget a job that does not run. Raises JobNotFound, JobStateConflict."""
        with self.begin(scope) as work:
            job = work.every_job.delete(job_id)
            work.events.record(_did(OperatorAction.DELETE, job))
            return work.done(job)

    @retried
    def replay_dead(self, scope: Scope, job_id: UUID | None = None) -> int:
        """Run a dead job again, or all that are dead; how many. Raises JobNotFound,
        JobStateConflict."""
        with self.begin(scope) as work:
            if job_id is not None:
                job = work.every_job.retry(job_id, only_dead=True)
                work.events.record(_did(OperatorAction.REPLAY, job))
                return work.done(1)
            count = work.every_job.retry_dead()
            acted = OperatorActed(action=OperatorAction.REPLAY, outcome=Outcome.SUCCESS, jobs=count)
            work.events.record(acted)
            return work.done(count)

    def note(
        self,
        scope: Scope,
        action: OperatorAction,
        outcome: Outcome,
        code: str,
        job_id: UUID | None = None,
    ) -> None:
        """Record an act that was denied, or that failed, with the code of its refusal."""
        with self.begin(scope) as work:
            acted = OperatorActed(action=action, outcome=outcome, job_id=job_id, code=code)
            work.events.record(acted)
            work.done(None)


def _did(action: OperatorAction, job: OperatedJob) -> OperatorActed:
    return OperatorActed(
        action=action, outcome=Outcome.SUCCESS, job_id=job.id, owner=job.tenant_id, jobs=1
    )
