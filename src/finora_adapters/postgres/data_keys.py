"""Keys of the data provider: what each may, and what its meters stood at."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, Row, text

from finora_core.kernel.page import Page, decode_cursor, encode_cursor
from finora_core.market.provision.model import Account, Plan, Quota, Reading, Usage, Window

_PLAN = "select key_id, monthly, requests, seconds, blocked_at from finora.data_plan"
_PUT = text(
    "insert into finora.data_plan (tenant_id, key_id, monthly, requests, seconds, blocked_at) "
    "values (:tenant, :key, :monthly, :requests, :seconds, :blocked) "
    "on conflict (tenant_id, key_id) do update set monthly = excluded.monthly, "
    "requests = excluded.requests, seconds = excluded.seconds, blocked_at = excluded.blocked_at"
)
_ADD = text(
    "insert into finora.data_use "
    "(tenant_id, key_id, on_date, source, meter, requests, cost_micros) "
    "values (:tenant, :key, :day, :source, :meter, :requests, :cost) on conflict do nothing"
)
# Of each meter the highest reading: it only goes up.
_METERS = (
    "select key_id, on_date, source, max(requests) as requests, max(cost_micros) as cost "
    "from finora.data_use where tenant_id = :tenant "
)
# From one meter's highest reading to the next meter's, and over all between: a busy key has tens of
# thousands of readings a month, and a few meters a day.
_COUNT = text(
    "with recursive highest as ((select on_date, source, meter, requests from finora.data_use "
    "where tenant_id = :tenant and key_id = :key "
    "and on_date >= :month and on_date < cast(:month as date) + interval '1 month' "
    "order by on_date desc, source desc, meter desc, requests desc limit 1) union all "
    "select n.* from highest h cross join lateral ("
    "select u.on_date, u.source, u.meter, u.requests from finora.data_use u "
    "where u.tenant_id = :tenant and u.key_id = :key and u.on_date >= :month "
    "and (u.on_date, u.source, u.meter) < (h.on_date, h.source, h.meter) "
    "order by u.on_date desc, u.source desc, u.meter desc, u.requests desc limit 1) n) "
    "select coalesce(sum(requests), 0) from highest "
    "where cast(:meter as uuid) is null or meter <> :meter"
)
_MONTHS = text(
    f"select key_id, sum(requests) as requests, sum(cost) as cost from ({_METERS} "
    "and on_date >= :month and on_date < cast(:month as date) + interval '1 month' "
    "group by key_id, on_date, source, meter) m group by key_id"
)
_LIST = text(
    "select key_id, on_date, source, sum(requests) as requests, sum(cost) as cost "
    f"from ({_METERS} and (cast(:key as uuid) is null or key_id = :key) "
    "and (cast(:since as date) is null or on_date >= :since) "
    "and (cast(:until as date) is null or on_date <= :until) "
    "and (cast(:day as date) is null or on_date <= :day) "
    "group by key_id, on_date, source, meter) m "
    "where cast(:day as date) is null or on_date < :day or (key_id, source) > (:after, :name) "
    "group by on_date, key_id, source order by on_date desc, key_id, source limit :limit"
)


@attrs.frozen
class PgDataPlans:
    connection: Connection
    tenant_id: UUID

    def get(self, key_id: UUID) -> Plan | None:
        query = text(f"{_PLAN} where tenant_id = :tenant and key_id = :key")
        row = self.connection.execute(query, {"tenant": self.tenant_id, "key": key_id}).first()
        return None if row is None else _plan(row)

    def put(self, plan: Plan) -> None:
        window = plan.quota.window
        values = {
            "tenant": self.tenant_id,
            "key": plan.key_id,
            "monthly": plan.quota.monthly,
            "requests": window and window.requests,
            "seconds": window and window.seconds,
            "blocked": plan.blocked_at,
        }
        self.connection.execute(_PUT, values)

    def list(self) -> Mapping[UUID, Plan]:
        query = text(f"{_PLAN} where tenant_id = :tenant")
        rows = self.connection.execute(query, {"tenant": self.tenant_id})
        return {row.key_id: _plan(row) for row in rows}


@attrs.frozen
class PgDataUses:
    connection: Connection
    tenant_id: UUID

    def add(self, readings: Sequence[Reading]) -> None:
        rows = [
            {
                "tenant": self.tenant_id,
                "key": each.key_id,
                "day": each.on_date,
                "source": each.source,
                "meter": each.meter,
                "requests": each.requests,
                "cost": each.cost_micros,
            }
            for each in readings
        ]
        if rows:
            self.connection.execute(_ADD, rows)

    def count(self, account: Account, meter: UUID | None = None) -> int:
        values = {
            "tenant": self.tenant_id,
            "key": account.key_id,
            "month": account.month,
            "meter": meter,
        }
        return int(self.connection.execute(_COUNT, values).scalar_one())

    def months(self, month: date) -> Mapping[UUID, tuple[int, int]]:
        rows = self.connection.execute(_MONTHS, {"tenant": self.tenant_id, "month": month})
        return {row.key_id: (int(row.requests), int(row.cost)) for row in rows}

    def list(
        self,
        key_id: UUID | None,
        since: date | None,
        until: date | None,
        cursor: str | None,
        limit: int,
    ) -> Page[Usage]:
        day, after, name = (None, None, None)
        if cursor is not None:
            day, after, name = decode_cursor(cursor, (date, UUID, str))
        values = {
            "tenant": self.tenant_id,
            "key": key_id,
            "since": since,
            "until": until,
            "day": day,
            "after": after,
            "name": name,
            "limit": limit + 1,
        }
        rows = self.connection.execute(_LIST, values).all()
        items = tuple(_usage(row) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(items)
        last = items[-1]
        return Page(items, encode_cursor(str(last.on_date), str(last.key_id), last.source))


def _plan(row: Row[Any]) -> Plan:
    window = None if row.requests is None else Window(row.requests, row.seconds)
    quota = Quota(monthly=row.monthly, window=window)
    return Plan(key_id=row.key_id, quota=quota, blocked_at=row.blocked_at)


def _usage(row: Row[Any]) -> Usage:
    return Usage(
        key_id=row.key_id,
        on_date=row.on_date,
        source=row.source,
        requests=int(row.requests),
        cost_micros=int(row.cost),
    )
