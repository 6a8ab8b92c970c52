"""The event log with its seal: a tenant's, as its feed and for its check, and all tenants'."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, Row, TextClause, text

from finora_adapters.postgres.events import Control
from finora_core.audit.model import (
    AnchorMade,
    FeedFilter,
    FeedItem,
    Head,
    Link,
    Logged,
    Unsealed,
)
from finora_core.audit.ports import UNSEALED_S
from finora_core.identity.erasure.model import TenantErased

_LAST = text("select coalesce(max(seq), 0) from finora.seal where tenant_id = :tenant")
_FEED = text("""
select s.seq, e.id, e.type, e.payload, e.actor, e.source_agent, e.request_id as trace_id,
  e.recorded_at, s.sealed_at, s.hash
from finora.seal s join finora.event e on e.tenant_id = s.tenant_id and e.id = s.event_id
where s.tenant_id = :tenant and s.seq > :after and s.seq <= :upto
  and (cast(:type as text) is null or e.type = :type)
  and (cast(:actor as uuid) is null or e.actor = :actor)
  and (cast(:since as timestamptz) is null or e.recorded_at >= :since)
  and (cast(:until as timestamptz) is null or e.recorded_at < :until)
order by s.seq limit :limit
""")
# Whoever changed a row may have put there what Python cannot hold: a year, or a number, too large.
_LINKS = text("""
select s.tenant_id, s.seq, s.event_id, s.tx as seal_tx, s.hash,
  case when s.sealed_at between '0002-01-01' and '9998-01-01' then s.sealed_at end as sealed_at,
  e.id, e.type, e.payload::text as payload, e.actor, e.source_agent, e.request_id,
  case when e.recorded_at between '0002-01-01' and '9998-01-01' then e.recorded_at end
    as recorded_at, e.tx as event_tx
from finora.seal s left join finora.event e on e.tenant_id = s.tenant_id and e.id = s.event_id
where s.tenant_id = :tenant and s.seq > :after order by s.seq limit :limit
""")
# One statement, so one snapshot: the mark and the links below it are written together.
_UNSEALED = """
select e.id, e.tx < m.below as passed, 1 + (
  select count(*) from finora.seal s
  where s.tenant_id = e.tenant_id and (s.tx, s.event_id) < (e.tx, e.id)) as place
from finora.event e, {mark} m
where e.tenant_id = :tenant
  and (e.tx < m.below or e.recorded_at < clock_timestamp() - make_interval(secs => :seconds))
  and not exists (
    select from finora.seal s
    where s.tenant_id = e.tenant_id and s.event_id = e.id and s.seq > 0)
order by e.tx, e.id limit 1
"""
_PAST_THE_MARK = text(_UNSEALED.format(mark="finora.seal_mark"))
# A tenant does not see the mark, and so sees later that its last links are gone.
_PAST_ITS_LAST = text(
    _UNSEALED.format(
        mark="(select coalesce((select tx from finora.seal where tenant_id = :tenant "
        "order by seq desc limit 1), '0') as below)"
    )
)


@attrs.frozen
class PgLog:
    connection: Connection
    tenant_id: UUID
    _unsealed: TextClause = _PAST_ITS_LAST

    def last(self) -> int:
        return int(self.connection.scalar(_LAST, {"tenant": self.tenant_id}) or 0)

    def feed(self, wanted: FeedFilter, after: int, upto: int, limit: int) -> Sequence[FeedItem]:
        values = attrs.asdict(wanted) | {
            "tenant": self.tenant_id, "after": after, "upto": upto, "limit": limit
        }  # fmt: skip
        rows = self.connection.execute(_FEED, values).mappings()
        return [FeedItem(**dict(row) | {"hash": bytes(row["hash"])}) for row in rows]

    def links(self, after: int, limit: int) -> Sequence[Link]:
        values = {"tenant": self.tenant_id, "after": after, "limit": limit}
        return [_link(row) for row in self.connection.execute(_LINKS, values)]

    def unsealed(self) -> Unsealed | None:
        values = {"tenant": self.tenant_id, "seconds": UNSEALED_S}
        row = self.connection.execute(self._unsealed, values).first()
        if row is None:
            return None
        return Unsealed(event_id=row.id, place=row.place, passed=row.passed)


_NO_TIME = datetime.min.replace(tzinfo=UTC)


def _link(row: Row[Any]) -> Link:
    there = row.id is not None
    return Link(
        tenant_id=row.tenant_id,
        seq=row.seq,
        event_id=row.event_id,
        tx=int(row.seal_tx or 0),
        sealed_at=row.sealed_at or _NO_TIME,
        hash=bytes(row.hash or b""),
        event=_event(row) if there else None,
        event_tx=int(row.event_tx or 0) if there else None,
    )


def _event(row: Row[Any]) -> Logged:
    try:
        payload = json.loads(row.payload)
    except (ValueError, RecursionError):
        payload = None  # never written, and so in no link
    return Logged(
        tenant_id=row.tenant_id,
        id=row.id,
        type=row.type,
        payload=payload,
        actor=row.actor,
        source_agent=row.source_agent,
        request_id=row.request_id,
        recorded_at=row.recorded_at or _NO_TIME,
    )


# From tenant to tenant by the key: a distinct over all rows would read them all.
_TENANTS = text("""
with recursive t (id) as (
  select (select least(
    (select tenant_id from finora.seal where tenant_id > :after order by tenant_id limit 1),
    (select tenant_id from finora.event where tenant_id > :after order by tenant_id limit 1)))
  union all
  select (select least(
    (select tenant_id from finora.seal where tenant_id > t.id order by tenant_id limit 1),
    (select tenant_id from finora.event where tenant_id > t.id order by tenant_id limit 1)))
  from t where t.id is not null
)
select id from t where id is not null limit :limit
""")
_HEADS = text("""
with recursive t (id) as (
  (select tenant_id from finora.seal order by tenant_id limit 1)
  union all
  select (select tenant_id from finora.seal where tenant_id > t.id order by tenant_id limit 1)
  from t where t.id is not null
)
select t.id, s.seq, s.hash from t cross join lateral (
  select seq, hash from finora.seal where tenant_id = t.id order by seq desc limit 1
) s where t.id is not null order by t.id
""")
_AT = text("""
select s.tenant_id, s.seq, s.hash
from unnest(cast(:tenants as uuid[]), cast(:seqs as bigint[])) as wanted (tenant_id, seq)
join finora.seal s on s.tenant_id = wanted.tenant_id and s.seq = wanted.seq
""")
# The latest are at the end of the index, and an anchor is made every hour.
_LAST_ANCHOR = text(
    "select payload from finora.event where type = :type order by tx desc, id desc limit 1"
)
_ERASED = text("select payload->>'tenant' from finora.event where type = :type")
_BEFORE_ALL = UUID(int=0)


@attrs.frozen
class PgEveryLog:
    database: Control

    def tenants(self, after: UUID | None, limit: int) -> Sequence[UUID]:
        values = {"after": after or _BEFORE_ALL, "limit": limit}
        with self.database.control() as connection:
            return connection.scalars(_TENANTS, values).all()

    def links(self, tenant_id: UUID, after: int, limit: int) -> Sequence[Link]:
        with self.database.control() as connection:
            return PgLog(connection, tenant_id).links(after, limit)

    def unsealed(self, tenant_id: UUID) -> Unsealed | None:
        with self.database.control() as connection:
            return PgLog(connection, tenant_id, _PAST_THE_MARK).unsealed()

    def last(self, tenant_id: UUID) -> int:
        with self.database.control() as connection:
            return PgLog(connection, tenant_id).last()

    def heads(self) -> tuple[datetime, Sequence[Head]]:
        with self.database.control() as connection:
            found = [Head(row.id, row.seq, bytes(row.hash)) for row in connection.execute(_HEADS)]
            now: datetime = connection.scalar(text("select now()"))
            return now, found

    def at(self, heads: Sequence[Head]) -> Mapping[tuple[UUID, int], bytes]:
        values = {
            "tenants": [each.tenant_id for each in heads],
            "seqs": [each.seq for each in heads],
        }
        with self.database.control() as connection:
            rows = connection.execute(_AT, values)
            return {(row.tenant_id, row.seq): bytes(row.hash) for row in rows}

    def erased(self) -> frozenset[UUID]:
        with self.database.control() as connection:
            return frozenset(map(UUID, connection.scalars(_ERASED, {"type": TenantErased.type})))

    def last_anchor(self) -> int:
        with self.database.control() as connection:
            payload = connection.scalar(_LAST_ANCHOR, {"type": AnchorMade.type})
        return int(payload["number"]) if payload else 0
