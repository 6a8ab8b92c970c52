"""The event log, the jobs that events cause, and the seal."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, LiteralString, Protocol

import attrs
from sqlalchemy import Connection, Row, text

from finora_adapters.postgres.driver import run
from finora_core.audit.model import START, Logged, link_hash
from finora_core.jobs.model import Subscription
from finora_core.kernel.errors import FinoraError
from finora_core.kernel.events import Event, Plain
from finora_core.kernel.ids import derived_id, new_id
from finora_core.kernel.plain import canonical
from finora_core.kernel.scope import Scope

_EVENT = (
    "insert into finora.event (tenant_id, id, type, payload, actor, request_id, source_agent) "
    "values (%(tenant)s, %(id)s, %(type)s, cast(%(payload)s as jsonb), %(actor)s, %(request)s, "
    "%(agent)s)"
)
_JOB = (
    "insert into finora.job (tenant_id, id, name, queue, event_id, user_id, request_id, payload, "
    "max_attempts) values (%(tenant)s, %(id)s, %(name)s, %(queue)s, %(event)s, %(person)s, "
    "%(request)s, "
    "cast(%(payload)s as jsonb), %(attempts)s) on conflict (tenant_id, id) do nothing"
)


MAX_KEYS, MAX_TEXT = 20, 1024


class EventTooLarge(FinoraError):
    """An event has at most 20 keys and 1024 characters in each: it names what happened, and is not
    the place where that is kept."""


@attrs.define
class PgEvents:
    connection: Connection
    scope: Scope
    subscriptions: Mapping[str, tuple[Subscription, ...]]
    recorded: int = 0

    def record(self, event: Event) -> None:
        scope, event_id = self.scope, new_id()
        payload = dict(event.payload())
        _check_size(event.type, payload)
        written = {
            "tenant": scope.tenant_id,
            "id": event_id,
            "type": event.type,
            "payload": canonical(payload),
            "actor": scope.user_id,
            "request": scope.request_id,
            "agent": scope.source_agent,
        }
        run(self.connection, _EVENT, written)
        self.recorded += 1
        for wanted in self.subscriptions.get(event.type, ()):
            if wanted.only is not None and payload.get(wanted.only[0]) != wanted.only[1]:
                continue
            about = str(payload.get(wanted.subject, event_id))
            job_id = derived_id(wanted.job, str(scope.user_id), about, scope.request_id)
            row = {
                "tenant": scope.tenant_id,
                "id": job_id,
                "name": wanted.job,
                "queue": wanted.queue,
                "event": event_id,
                "person": scope.user_id,
                "request": scope.request_id,
                "payload": canonical(payload | {"job": str(job_id)}),
                "attempts": wanted.attempts,
            }
            run(self.connection, _JOB, row)


def _check_size(kind: str, payload: Mapping[str, Plain]) -> None:
    if len(payload) > MAX_KEYS:
        raise EventTooLarge(f"{kind} has {len(payload)} keys; at most {MAX_KEYS}")
    for key, value in payload.items():
        if len(key) > MAX_TEXT or (isinstance(value, str) and len(value) > MAX_TEXT):
            raise EventTooLarge(f"{kind} has more than {MAX_TEXT} characters in {key[:40]!r}")


class Control(Protocol):
    def control(self) -> AbstractContextManager[Connection]: ...

    def control_row(self, statement: LiteralString, values: Mapping[str, object]) -> Any: ...


# Only what no running transaction can still precede: ids below the snapshot's xmin are decided.
_UNSEALED = text("""
select e.tenant_id, e.id, e.type, e.payload, e.actor, e.request_id, e.source_agent, e.recorded_at,
  e.tx
from finora.event e, finora.seal_mark m
where e.tx >= m.below and e.tx < cast(:below as xid8) order by e.tenant_id, e.tx, e.id
""")
_LAG = text("""
select extract(epoch from clock_timestamp() - min(e.recorded_at))::float
from finora.event e, finora.seal_mark m where e.tx >= m.below
""")
_LAST = text(
    "select distinct on (tenant_id) tenant_id, seq, hash from finora.seal "
    "where tenant_id = any(cast(:tenants as uuid[])) order by tenant_id, seq desc"
)
_SEAL = text(
    "insert into finora.seal (tenant_id, seq, event_id, tx, hash, sealed_at) "
    "values (:tenant, :seq, :event, cast(:tx as xid8), :hash, :at)"
)


@attrs.frozen
class PgSealer:
    """One at a time per database; a second one finds the lock taken and leaves."""

    database: Control

    def seal(self) -> int:
        with self.database.control() as connection:
            if not connection.scalar(text("select pg_try_advisory_xact_lock(0x5EA1)")):
                return 0
            below = connection.scalar(text("select pg_snapshot_xmin(pg_current_snapshot())::text"))
            rows = connection.execute(_UNSEALED, {"below": below}).all()
            now: datetime = connection.scalar(text("select clock_timestamp()"))
            links = list(_chain(connection, rows, now))
            if links:
                connection.execute(_SEAL, links)
            connection.execute(
                text("update finora.seal_mark set below = cast(:below as xid8)"), {"below": below}
            )
            return len(links)

    def lag_s(self) -> float:
        with self.database.control() as connection:
            return float(connection.scalar(_LAG) or 0)


def _chain(
    connection: Connection, rows: Sequence[Row[Any]], now: datetime
) -> Iterator[dict[str, Any]]:
    tenants = list({row.tenant_id for row in rows})
    last = {row.tenant_id: row for row in connection.execute(_LAST, {"tenants": tenants})}
    heads = {key: (row.seq, bytes(row.hash)) for key, row in last.items()}
    for row in rows:
        seq, previous = heads.get(row.tenant_id, (0, START))
        link = link_hash(previous, seq + 1, _logged(row), now)
        heads[row.tenant_id] = (seq + 1, link)
        yield {
            "tenant": row.tenant_id,
            "seq": seq + 1,
            "event": row.id,
            "tx": str(row.tx),
            "hash": link,
            "at": now,
        }


def _logged(row: Row[Any]) -> Logged:
    return Logged(
        tenant_id=row.tenant_id,
        id=row.id,
        type=row.type,
        payload=row.payload,
        actor=row.actor,
        source_agent=row.source_agent,
        request_id=row.request_id,
        recorded_at=row.recorded_at,
    )
