"""Job rows: the tenant's view, and the runner's claims over all tenants."""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, Row, text

from finora_adapters.postgres.access import CONTROL
from finora_adapters.postgres.events import Control
from finora_adapters.postgres.warrants import Warrants
from finora_core.jobs.model import (
    Claimed,
    DeadJob,
    Failure,
    Job,
    JobNotFound,
    JobState,
    JobStateConflict,
    OperatedJob,
    QueueStatus,
    Wakeup,
)
from finora_core.jobs.ports import ANNOUNCE_AGAIN_S, LEASE_S
from finora_core.kernel.page import Page, decode_cursor, encode_cursor
from finora_core.kernel.plain import to_plain

MAX_RESULT = 32_768
# What Postgres takes neither in a text nor in jsonb.
_UNSTORABLE = dict.fromkeys([0, *range(0xD800, 0xE000)], "\N{REPLACEMENT CHARACTER}")


def dump(result: object) -> str | None:
    """A job's result as JSON, at most 32 KiB; a longer one is cut to its counts and short texts."""
    plain = _storable(to_plain(result))
    if plain is not None and not isinstance(plain, dict):
        plain = {"value": plain}
    whole = json.dumps(plain)
    if len(whole.encode()) <= MAX_RESULT or not isinstance(plain, dict):
        return whole
    short = {
        key: value
        for key, value in plain.items()
        if len(json.dumps(value).encode()) <= MAX_RESULT // (2 * len(plain))
    }
    return json.dumps(short | {"truncated": True})


def _storable(plain: object) -> object:
    match plain:
        case str():
            return plain.translate(_UNSTORABLE)
        case dict():
            return {_storable(key): _storable(value) for key, value in plain.items()}
        case list():
            return [_storable(value) for value in plain]
    return plain


def _told(failure: Failure) -> str | None:
    try:
        return None if failure.told is None else dump(failure.told)
    except TypeError:
        # A plugin's facts that have no plain form must not keep the attempt from ending.
        return None


_COLUMNS = (
    "id, name, queue, state, attempts, max_attempts, done_parts, all_parts, result, reason, "
    "message, created_at, started_at, finished_at, dismissed_at, request_id"
)


@attrs.frozen
class PgJobs:
    connection: Connection
    tenant_id: UUID

    def get(self, job_id: UUID) -> Job:
        query = text(f"select {_COLUMNS} from finora.job where tenant_id = :tenant and id = :id")
        row = self.connection.execute(query, {"tenant": self.tenant_id, "id": job_id}).first()
        if row is None:
            raise JobNotFound(f"no job {job_id}")
        return _job(row)

    def list(self, cursor: str | None, limit: int, state: JobState | None = None) -> Page[Job]:
        at, last = (None, None) if cursor is None else decode_cursor(cursor, (datetime, UUID))
        query = text(
            f"select {_COLUMNS} from finora.job where tenant_id = :tenant and "
            "(cast(:at as timestamptz) is null or (created_at, id) < (:at, cast(:last as uuid))) "
            "and (cast(:state as text) is null or state = :state) "
            "order by created_at desc, id desc limit :limit"
        )
        values = {"tenant": self.tenant_id, "at": at, "last": last, "limit": limit + 1,
                  "state": state.value if state else None}  # fmt: skip
        rows = self.connection.execute(query, values).all()
        items = tuple(_job(row) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(items)
        return Page(items, encode_cursor(items[-1].created_at.isoformat(), str(items[-1].id)))

    def replay(self, job_id: UUID) -> Job:
        change = (
            "state = 'waiting', attempts = 0, run_at = now(), finished_at = null, "
            "dismissed_at = null, announced_at = null"
        )
        return self._move(job_id, change, JobState.DEAD, JobState.REFUSED)

    def cancel(self, job_id: UUID) -> Job:
        change = "state = 'cancelled', finished_at = now()"
        return self._move(job_id, change, JobState.WAITING, JobState.PAUSED)

    def dismiss(self, job_id: UUID) -> Job:
        return self._move(
            job_id,
            "dismissed_at = coalesce(dismissed_at, now())",
            *(state for state in JobState if state.over),
        )

    def _move(self, job_id: UUID, change: str, *states: JobState) -> Job:
        statement = text(
            f"update finora.job set {change} where tenant_id = :tenant and id = :id "
            "and state = any(:states)"
        )
        values = {"tenant": self.tenant_id, "id": job_id, "states": [s.value for s in states]}
        moved = self.connection.execute(statement, values).rowcount
        job = self.get(job_id)
        if not moved:
            raise JobStateConflict(f"job {job_id} is {job.state}")
        return job


def _job(row: Row[Any]) -> Job:
    values = dict(row._mapping)
    return Job(**values | {"state": JobState(row.state)})


# A job of a tenant has an id of its own, but the key is of both: of two, neither is meant.
_FIND = text("""
select tenant_id, id, name, queue, state, attempts, max_attempts from finora.job where id = :id
for update
""")
_READY_AGAIN = (
    "state = 'waiting', attempts = 0, run_at = clock_timestamp(), finished_at = null, "
    "dismissed_at = null, announced_at = null"
)
_RETRY = text(f"update finora.job set {_READY_AGAIN} where tenant_id = :tenant and id = :id")
_RETRY_DEAD = text(f"update finora.job set {_READY_AGAIN} where state = 'dead'")
_DELETE = text("delete from finora.job where tenant_id = :tenant and id = :id")
_RETRIED = (JobState.WAITING, JobState.DEAD, JobState.REFUSED)


@attrs.frozen
class PgEveryJob:
    """Acts as the control role within a transaction of another, which records what was done."""

    connection: Connection
    warrants: Warrants

    def retry(self, job_id: UUID, *, only_dead: bool = False) -> OperatedJob:
        with self._control():
            job = self._find(job_id)
            if job.state not in ((JobState.DEAD,) if only_dead else _RETRIED):
                raise JobStateConflict(f"job {job_id} is {job.state}")
            self.connection.execute(_RETRY, {"tenant": job.tenant_id, "id": job_id})
        return attrs.evolve(job, state=JobState.WAITING, attempts=0)

    def retry_dead(self) -> int:
        with self._control():
            return self.connection.execute(_RETRY_DEAD).rowcount

    def delete(self, job_id: UUID) -> OperatedJob:
        with self._control():
            job = self._find(job_id)
            if job.state is JobState.RUNNING:
                raise JobStateConflict(f"job {job_id} is {job.state}")
            self.connection.execute(_DELETE, {"tenant": job.tenant_id, "id": job_id})
        return job

    def _find(self, job_id: UUID) -> OperatedJob:
        rows = self.connection.execute(_FIND, {"id": job_id}).mappings().all()
        if not rows:
            raise JobNotFound(f"no job {job_id}")
        if len(rows) > 1:
            raise JobStateConflict(f"{len(rows)} tenants have a job {job_id}")
        return OperatedJob(**dict(rows[0]) | {"state": JobState(rows[0]["state"])})

    @contextmanager
    def _control(self) -> Iterator[None]:
        before = self.connection.execute(_IS).mappings().one()
        self.connection.execute(_BE, {"role": CONTROL, "warrant": self.warrants.control})
        yield
        # Not after an error: then the transaction is over, and the role with it.
        self.connection.execute(_BE, dict(before))


_IS = text("select current_setting('role') as role, current_setting('finora.warrant') as warrant")
_BE = text("select set_config('role', :role, true), set_config('finora.warrant', :warrant, true)")


@attrs.frozen
class PgPeriods:
    connection: Connection
    tenant_id: UUID

    def last(self, schedule: str) -> tuple[datetime, bool] | None:
        # A job that is gone was purged, and so is over.
        query = text(
            "select p.due_at, coalesce(j.state not in ('waiting', 'running', 'paused'), true) "
            "from finora.period p left join finora.job j "
            "on j.tenant_id = p.tenant_id and j.id = p.job_id "
            "where p.tenant_id = :tenant and p.schedule = :schedule order by p.due_at desc limit 1"
        )
        values = {"tenant": self.tenant_id, "schedule": schedule}
        row = self.connection.execute(query, values).first()
        return None if row is None else (row[0], row[1])

    def before(self, schedule: str, due_at: datetime) -> datetime | None:
        query = text(
            "select max(due_at) from finora.period "
            "where tenant_id = :tenant and schedule = :schedule and due_at < :due"
        )
        values = {"tenant": self.tenant_id, "schedule": schedule, "due": due_at}
        found: datetime | None = self.connection.scalar(query, values)
        return found

    def take(self, schedule: str, due_at: datetime, job_id: UUID) -> bool:
        statement = text(
            "insert into finora.period (tenant_id, schedule, due_at, job_id) "
            "values (:tenant, :schedule, :due, :job) on conflict do nothing"
        )
        values = {"tenant": self.tenant_id, "schedule": schedule, "due": due_at, "job": job_id}
        return self.connection.execute(statement, values).rowcount == 1


# Those that look for jobs wait for no row: a transaction that finishes its job holds it until it
# commits, and all other jobs would wait with it. A materialized choice is made once; joined, it
# could be made once a row, and give more than was asked for.

# A job whose runner vanished counts that attempt; when it was the last, it is dead.
_BURY = text("""
with lost as materialized (
  select tenant_id, id from finora.job
  where state = 'running' and lease_until < clock_timestamp() and attempts >= max_attempts
  for update skip locked
)
update finora.job j set state = 'dead', finished_at = clock_timestamp(), lease_until = null,
  reason = coalesce(reason, 'LOST'), message = coalesce(message, 'its worker vanished'),
  epoch = epoch + 1
from lost where j.tenant_id = lost.tenant_id and j.id = lost.id
""")
_READY = """state in ('waiting', 'running') and run_at <= clock_timestamp()
    and (state = 'waiting' or lease_until < clock_timestamp()) and attempts < max_attempts
    and queue not in (select queue from finora.paused_queue)"""
_TAKE = f"""
with ready as materialized (
  select tenant_id, id from finora.job
  where {_READY} {{which}}
  order by run_at limit :limit for update skip locked
)
update finora.job j set state = 'running', epoch = j.epoch + 1, attempts = j.attempts + 1,
  started_at = coalesce(j.started_at, clock_timestamp()), announced_at = clock_timestamp(),
  lease_until = clock_timestamp() + interval '{LEASE_S} seconds'
from ready where j.tenant_id = ready.tenant_id and j.id = ready.id
returning j.tenant_id, j.id, j.epoch, j.name, j.user_id, j.request_id, j.payload, j.attempts,
  j.max_attempts
"""
_CLAIMED = ("tenant_id", "id", "epoch", "name", "user_id", "request_id", "payload", "attempts",
            "max_attempts")  # fmt: skip
_CLAIM = text(_TAKE.format(which=""))
# This one waits: a second relay that was woken too holds the row for the moment in which it finds
# that the first has told of it; to pass it by would cost the ten seconds until it is told again.
_CLAIM_ONE = (
    _TAKE.format(which="and tenant_id = %(tenant)s and id = %(job)s")
    .replace(":limit", "1")
    .replace("for update skip locked", "for update")
)
# New ones first, which the index finds without a look at those that were announced already.
_ANNOUNCE = text(f"""
with ready as materialized (
  select tenant_id, id from finora.job
  where {_READY}
    and (announced_at is null
      or announced_at < clock_timestamp() - interval '{ANNOUNCE_AGAIN_S} seconds')
  order by announced_at nulls first limit :limit for update skip locked
)
update finora.job j set announced_at = clock_timestamp()
from ready where j.tenant_id = ready.tenant_id and j.id = ready.id
returning j.tenant_id, j.id, j.queue
""")
_STATUS = text("""
select queue, bool_or(paused) as paused,
  count(*) filter (where state = 'waiting') as waiting,
  count(*) filter (where state = 'running') as running,
  count(*) filter (where state = 'dead') as dead,
  coalesce(extract(epoch from clock_timestamp() - min(run_at) filter (
    where state = 'waiting' and run_at <= clock_timestamp())), 0)::float as oldest_s
from (
  select queue, false as paused, state, run_at from finora.job
  where state in ('waiting', 'running', 'dead')
  union all select queue, true, null, null from finora.paused_queue
) q group by queue order by queue
""")
_DIED = text("""
select tenant_id, id, user_id, name, coalesce(reason, '') as reason, finished_at from finora.job
where state = 'dead' and finished_at >= :since and finished_at < :until and user_id is not null
  and queue not in ('mail', 'notices') order by finished_at, id
""")
_MINE = "where tenant_id = :tenant and id = :job and epoch = :epoch and state = 'running'"
# Not for update: a job's transaction that refers to its row does not keep it from being renewed.
_RENEW = text(f"""
with mine as materialized (
  select j.tenant_id, j.id
  from unnest(cast(:tenants as uuid[]), cast(:jobs as uuid[]), cast(:epochs as int[]))
    as held (tenant_id, id, epoch)
  join finora.job j on j.tenant_id = held.tenant_id and j.id = held.id and j.epoch = held.epoch
    and j.state = 'running'
  for no key update of j skip locked
)
update finora.job j set lease_until = clock_timestamp() + interval '{LEASE_S} seconds'
from mine where j.tenant_id = mine.tenant_id and j.id = mine.id
returning j.id
""")
_RELEASE = text(
    "update finora.job set state = 'waiting', lease_until = null, announced_at = null, "
    "attempts = attempts - 1, run_at = clock_timestamp() + make_interval(secs => :delay), "
    f"epoch = epoch + 1 {_MINE}"
)
_PROGRESS = text(
    f"update finora.job set done_parts = :done, all_parts = coalesce(:all, all_parts) {_MINE}"
)
_FAIL = text(
    "update finora.job set state = :state, reason = :reason, message = :message, error = :error, "
    "result = cast(:result as jsonb), lease_until = null, "
    "finished_at = case when :state in ('dead', 'refused') then clock_timestamp() end, "
    "run_at = clock_timestamp() + make_interval(secs => :delay), announced_at = null "
    f"{_MINE}"
)
_PURGE = text("""
delete from finora.job where
  (state in ('done', 'cancelled') and finished_at < now() - interval '24 hours')
  or (state in ('refused', 'dead') and finished_at < now() - interval '14 days')
""")


@attrs.frozen
class PgQueue:
    database: Control

    def claim(self, limit: int) -> Sequence[Claimed]:
        with self.database.control() as connection:
            connection.execute(_BURY)
            rows = connection.execute(_CLAIM, {"limit": limit}).mappings()
            return [Claimed(**row) for row in rows]

    def claim_one(self, tenant_id: UUID, job_id: UUID) -> Claimed | None:
        row = self.database.control_row(_CLAIM_ONE, {"tenant": tenant_id, "job": job_id})
        return None if row is None else Claimed(**dict(zip(_CLAIMED, row, strict=True)))

    def announce(self, limit: int) -> Sequence[Wakeup]:
        with self.database.control() as connection:
            connection.execute(_BURY)
            rows = connection.execute(_ANNOUNCE, {"limit": limit})
            return [Wakeup(*row) for row in rows]

    def renew(self, jobs: Collection[Claimed]) -> Collection[UUID]:
        values = {
            "tenants": [job.tenant_id for job in jobs],
            "jobs": [job.id for job in jobs],
            "epochs": [job.epoch for job in jobs],
        }
        with self.database.control() as connection:
            return frozenset(connection.execute(_RENEW, values).scalars())

    def release(self, job: Claimed, delay_s: int = 0) -> None:
        self._change(_RELEASE, job, delay=delay_s)

    def progress(self, job: Claimed, done: int, total: int | None) -> bool:
        return self._change(_PROGRESS, job, done=done, all=total)

    def fail(self, job: Claimed, failure: Failure) -> None:
        self._change(
            _FAIL,
            job,
            state=failure.state.value,
            reason=failure.reason,
            message=failure.message[:2000].translate(_UNSTORABLE),
            error=failure.error[-8000:].translate(_UNSTORABLE),
            result=_told(failure),
            delay=failure.retry_in_s or 0,
        )

    def purge(self) -> int:
        with self.database.control() as connection:
            return connection.execute(_PURGE).rowcount

    def pause(self, queue: str) -> None:
        add = text("insert into finora.paused_queue (queue) values (:queue) on conflict do nothing")
        with self.database.control() as connection:
            connection.execute(add, {"queue": queue})

    def resume(self, queue: str) -> None:
        with self.database.control() as connection:
            remove = text("delete from finora.paused_queue where queue = :queue")
            connection.execute(remove, {"queue": queue})

    def status(self) -> Sequence[QueueStatus]:
        with self.database.control() as connection:
            return [QueueStatus(**row) for row in connection.execute(_STATUS).mappings()]

    def died(self, since: datetime, until: datetime) -> Sequence[DeadJob]:
        with self.database.control() as connection:
            rows = connection.execute(_DIED, {"since": since, "until": until}).mappings()
            return [DeadJob(**row) for row in rows]

    def _change(self, statement: Any, job: Claimed, **values: object) -> bool:
        mine = {"tenant": job.tenant_id, "job": job.id, "epoch": job.epoch}
        with self.database.control() as connection:
            return bool(connection.execute(statement, mine | values).rowcount)
