"""Job rows: the tenant's view, and the runner's claims over all tenants."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, Row, text

from finora_adapters.postgres.events import Control
from finora_core.jobs.model import Claimed, Failure, Job, JobNotFound, JobState, JobStateConflict
from finora_core.jobs.ports import LEASE_S
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

    def list(self, cursor: str | None, limit: int) -> Page[Job]:
        at, last = (None, None) if cursor is None else decode_cursor(cursor, (datetime, UUID))
        query = text(
            f"select {_COLUMNS} from finora.job where tenant_id = :tenant and "
            "(cast(:at as timestamptz) is null or (created_at, id) < (:at, cast(:last as uuid))) "
            "order by created_at desc, id desc limit :limit"
        )
        values = {"tenant": self.tenant_id, "at": at, "last": last, "limit": limit + 1}
        rows = self.connection.execute(query, values).all()
        items = tuple(_job(row) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(items)
        return Page(items, encode_cursor(items[-1].created_at.isoformat(), str(items[-1].id)))

    def replay(self, job_id: UUID) -> Job:
        change = (
            "state = 'waiting', attempts = 0, run_at = now(), finished_at = null, "
            "dismissed_at = null"
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


# A job whose runner vanished counts that attempt; when it was the last, it is dead.
_BURY = text("""
update finora.job set state = 'dead', finished_at = clock_timestamp(), lease_until = null,
  reason = coalesce(reason, 'LOST'), message = coalesce(message, 'its worker vanished'),
  epoch = epoch + 1
where state = 'running' and lease_until < clock_timestamp() and attempts >= max_attempts
""")
_CLAIM = text(f"""
update finora.job j set state = 'running', epoch = j.epoch + 1, attempts = j.attempts + 1,
  started_at = coalesce(j.started_at, clock_timestamp()),
  lease_until = clock_timestamp() + interval '{LEASE_S} seconds'
from (
  select tenant_id, id from finora.job
  where state in ('waiting', 'running') and run_at <= clock_timestamp()
    and (state = 'waiting' or lease_until < clock_timestamp()) and attempts < max_attempts
  order by run_at limit :limit for update skip locked
) ready
where j.tenant_id = ready.tenant_id and j.id = ready.id
returning j.tenant_id, j.id, j.epoch, j.name, j.user_id, j.request_id, j.payload, j.attempts,
  j.max_attempts
""")
_MINE = "where tenant_id = :tenant and id = :job and epoch = :epoch and state = 'running'"
_RENEW = text(
    f"update finora.job set lease_until = clock_timestamp() + interval '{LEASE_S} seconds' {_MINE}"
)
_PROGRESS = text(
    f"update finora.job set done_parts = :done, all_parts = coalesce(:all, all_parts) {_MINE}"
)
_FAIL = text(
    "update finora.job set state = :state, reason = :reason, message = :message, error = :error, "
    "result = cast(:result as jsonb), lease_until = null, "
    "finished_at = case when :state in ('dead', 'refused') then clock_timestamp() end, "
    "run_at = clock_timestamp() + make_interval(secs => :delay) "
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

    def renew(self, job: Claimed) -> bool:
        return self._change(_RENEW, job)

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

    def _change(self, statement: Any, job: Claimed, **values: object) -> bool:
        mine = {"tenant": job.tenant_id, "job": job.id, "epoch": job.epoch}
        with self.database.control() as connection:
            return bool(connection.execute(statement, mine | values).rowcount)
