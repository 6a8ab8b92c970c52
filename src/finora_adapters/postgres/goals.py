"""Goals and the shares of accounts that are meant for them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, select, text
from sqlalchemy import update as change

from finora_adapters.postgres import flows
from finora_adapters.postgres.budgets import LOCK
from finora_adapters.postgres.ledger import PgAssets
from finora_adapters.postgres.schema import goal, goal_share
from finora_core.insights.goals.model import Goal, GoalNotFound, Grown, Share

_COLUMNS = [column for column in goal.c if column.name != "tenant_id"]
_GROWN = text(f"""
select p.account_id, p.asset, sum(p.units) as units
from unnest(cast(:accounts as uuid[])) wanted (account_id)
join finora.posting p on p.tenant_id = :tenant and p.account_id = wanted.account_id
  and p.on_date > :since and p.on_date <= :until
join finora.entry e on e.tenant_id = :tenant and e.id = p.entry_id
{flows.LABEL}
where {flows.FLOW} <> 'opening'
group by 1, 2 having sum(p.units) <> 0 order by 1, 2
""")
_BEGAN = text("""
select account_id, min(month) as month from finora.total
where tenant_id = :tenant and account_id = any(:accounts) and direction <> 'opening'
  and postings <> 0
group by 1
""")


@attrs.frozen
class PgGoals:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets

    def all(self) -> Sequence[Goal]:
        mine = goal.c.tenant_id == self.tenant_id
        query = select(*_COLUMNS).where(mine).order_by(goal.c.name, goal.c.id)
        shares = self._shares(goal_share.c.tenant_id == self.tenant_id)
        return [self._goal(row, shares[row.id]) for row in self.connection.execute(query)]

    def get(self, goal_id: UUID, *, lock: bool = False) -> Goal:
        query = select(*_COLUMNS).where(self._at(goal_id))
        row = self.connection.execute(query.with_for_update() if lock else query).first()
        if row is None:
            raise GoalNotFound(f"no goal {goal_id}")
        return self._goal(row, self._shares(self._of(goal_id))[goal_id])

    def lock(self) -> None:
        self.connection.execute(LOCK, {"what": "goal", "tenant": self.tenant_id})

    def add(self, new: Goal) -> None:
        values = self._values(new) | {
            "tenant_id": self.tenant_id,
            "id": new.id,
            "asset": new.target.asset.id,
            "created_by": new.created_by,
        }
        self.connection.execute(insert(goal).values(values))
        self._add_shares(new)

    def save(self, changed: Goal) -> None:
        values = self._values(changed)
        self.connection.execute(change(goal).where(self._at(changed.id)).values(values))
        self.connection.execute(delete(goal_share).where(self._of(changed.id)))
        self._add_shares(changed)

    def delete(self, goal_id: UUID) -> None:
        self.connection.execute(delete(goal).where(self._at(goal_id)))

    def reach(self, goal_id: UUID) -> bool:
        first = and_(self._at(goal_id), goal.c.reached_at.is_(None))
        noted = change(goal).where(first).values(reached_at=func.now())
        return bool(self.connection.execute(noted).rowcount)

    def grown(self, accounts: Sequence[UUID], since: date, until: date) -> Sequence[Grown]:
        values = {"accounts": list(accounts), "since": since, "until": until}
        rows = self.connection.execute(_GROWN, values | {"tenant": self.tenant_id})
        return [
            Grown(account_id=row.account_id, amount=self.assets.amount(row.units, row.asset))
            for row in rows
        ]

    def began(self, accounts: Sequence[UUID]) -> Mapping[UUID, date]:
        values = {"accounts": list(accounts), "tenant": self.tenant_id}
        rows = self.connection.execute(_BEGAN, values)
        return {row.account_id: row.month for row in rows}

    def _add_shares(self, of: Goal) -> None:
        rows = [
            {
                "tenant_id": self.tenant_id,
                "goal_id": of.id,
                "account_id": share.account_id,
                "percent": share.percent,
            }
            for share in of.shares
        ]
        if rows:
            self.connection.execute(insert(goal_share), rows)

    def _shares(self, where: ColumnElement[bool]) -> dict[UUID, list[Share]]:
        columns = goal_share.c
        query = select(columns.goal_id, columns.account_id, columns.percent).where(where)
        found: dict[UUID, list[Share]] = defaultdict(list)
        for row in self.connection.execute(query.order_by(columns.goal_id, columns.account_id)):
            found[row.goal_id].append(Share(row.account_id, row.percent))
        return found

    def _goal(self, row: Row[Any], shares: Sequence[Share]) -> Goal:
        values = dict(row._mapping)
        units, asset = values.pop("units"), values.pop("asset")
        by = values.pop("by_date")
        target = self.assets.amount(units, asset)
        return Goal(**values, target=target, by=by, shares=tuple(shares))

    def _values(self, of: Goal) -> dict[str, object]:
        return {"name": of.name, "units": of.target.units, "by_date": of.by}

    def _at(self, goal_id: UUID) -> ColumnElement[bool]:
        return and_(goal.c.tenant_id == self.tenant_id, goal.c.id == goal_id)

    def _of(self, goal_id: UUID) -> ColumnElement[bool]:
        return and_(goal_share.c.tenant_id == self.tenant_id, goal_share.c.goal_id == goal_id)
