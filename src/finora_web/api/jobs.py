"""Jobs: how far they are, how they ended, and what can be done about it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from finora_core.jobs.model import JobState
from finora_core.kernel.scope import Scope
from finora_web.contract import Listed, Out, Paged, Routes, Single, listed
from finora_web.services import Services

routes = Routes("jobs")


class JobOut(Out):
    id: UUID
    name: str
    queue: str
    state: JobState
    attempts: int
    max_attempts: int
    done_parts: int
    all_parts: int | None = Field(description="Null while it is not known.")
    result: dict[str, Any] | None
    reason: str | None
    message: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    dismissed_at: datetime | None
    request_id: str


class JobQuery(Paged):
    state: JobState | None = None


@routes.get("/jobs", "jobs:read", Listed[JobOut], shape=listed)
def list_jobs(app: Services, scope: Scope, query: JobQuery) -> object:
    """Jobs, newest first."""
    return app.jobs.list(scope, state=query.state, cursor=query.cursor, limit=query.limit)


@routes.get("/jobs/{job_id}", "jobs:read", Single[JobOut])
def get_job(app: Services, scope: Scope, job_id: UUID) -> object:
    """One job."""
    return app.jobs.get(scope, job_id)


@routes.post("/jobs/{job_id}/replay", "jobs:write", Single[JobOut])
def replay_job(app: Services, scope: Scope, job_id: UUID) -> object:
    """Run a dead or refused job again, under its own id."""
    return app.jobs.replay(scope, job_id)


@routes.post("/jobs/{job_id}/cancel", "jobs:write", Single[JobOut])
def cancel_job(app: Services, scope: Scope, job_id: UUID) -> object:
    """Let a waiting job not run."""
    return app.jobs.cancel(scope, job_id)


@routes.post("/jobs/{job_id}/dismiss", "jobs:write", Single[JobOut])
def dismiss_job(app: Services, scope: Scope, job_id: UUID) -> object:
    """Note that its user has seen how it ended."""
    return app.jobs.dismiss(scope, job_id)
