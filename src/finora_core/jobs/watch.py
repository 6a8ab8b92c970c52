"""Watching over the work: who waits for what failed, and what an operator should look at."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import attrs

from finora_core.jobs.model import Fault, FaultFound, FaultSeen, JobFailed, Schedule
from finora_core.jobs.ports import JobWork, Queue
from finora_core.jobs.service import Periods
from finora_core.kernel.ids import derived_id
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin

WATCH = "jobs.watch"
EVERY = timedelta(minutes=5)
_MISSED = 3
"""So many periods in a row that nobody started are silence, and not a slow moment."""


@attrs.frozen
class Watch:
    """Its schedule's job calls `look` for each period that was started."""

    begin: Begin[JobWork]
    queue: Queue
    schedules: Sequence[Schedule]
    periods: Periods
    many: int
    """So many dead letters are a fault."""

    def look(self, scope: Scope, due_at: datetime) -> object:
        """Tell of people's jobs that died since the period before this one, both ends five minutes
        earlier: by then every commit of that time is there to be seen. Each of them is in exactly
        one such span, however long nobody kept the clock, and a repetition of this job makes no
        second letter, for the request's id makes the letter's job."""
        with self.begin(attrs.evolve(scope, cause=None)) as work:
            last = work.periods.before(WATCH, due_at)
        died = self.queue.died((last or due_at - EVERY) - EVERY, due_at - EVERY)
        for job in died:
            told = Scope(
                tenant_id=job.tenant_id,
                user_id=job.user_id,
                request_id=str(derived_id("job.failed", str(job.id), job.finished_at.isoformat())),
            )
            failed = JobFailed(job.id, job.user_id, job.name, job.finished_at, job.reason)
            with self.begin(told) as work:
                work.events.record(failed)
                work.done(None)
        faults = self.faults(scope)
        with self.begin(scope) as work:
            for fault in faults:
                work.events.record(FaultSeen(fault, work.now.date()))
            return work.done({"told": len(died), "faults": [fault.said for fault in faults]})

    def faults(self, scope: Scope) -> Sequence[Fault]:
        """Those that last at this moment; the scope is the schedules' own."""
        dead = sum(queue.dead for queue in self.queue.status())
        found = []
        if dead >= self.many:
            found.append(Fault("dead_letters", "", f"dead letters: {dead}"))
        with self.begin(attrs.evolve(scope, cause=None)) as work:
            for schedule in self.schedules:
                last = work.periods.last(schedule.name)
                # One that was never started has just come with this release.
                if last and len(self.periods(schedule.cron, last[0], work.now)) >= _MISSED:
                    said = f"{schedule.name} was last started for {last[0]:%Y-%m-%d %H:%M} UTC"
                    found.append(Fault("silent", schedule.name, said))
        return found

    def require(self, scope: Scope) -> None:
        """Raises FaultFound, which names every one."""
        found = self.faults(scope)
        if found:
            raise FaultFound("; ".join(fault.said for fault in found))
