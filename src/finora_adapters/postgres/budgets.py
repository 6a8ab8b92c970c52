"""Budgets, their limits, and which of their levels were reached."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from finora_adapters.postgres.ledger import PgAssets
from finora_adapters.postgres.schema import budget, budget_alert, budget_limit
from finora_core.insights.budgets.model import (
    Budget,
    BudgetNotFound,
    BudgetPeriod,
    Figures,
    Limit,
    Rollover,
)

_COLUMNS = [column for column in budget.c if column.name not in ("tenant_id", "asset")]
LOCK = text("select pg_advisory_xact_lock(hashtextextended(:what || cast(:tenant as text), 3))")


@attrs.frozen
class PgBudgets:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets

    def all(self) -> Sequence[Budget]:
        mine = budget.c.tenant_id == self.tenant_id
        query = select(*_COLUMNS).where(mine).order_by(budget.c.name, budget.c.id)
        limits = self._limits(budget_limit.c.tenant_id == self.tenant_id)
        return [_budget(row, limits[row.id]) for row in self.connection.execute(query)]

    def get(self, budget_id: UUID, *, lock: bool = False) -> Budget:
        query = select(*_COLUMNS).where(self._at(budget_id))
        row = self.connection.execute(query.with_for_update() if lock else query).first()
        if row is None:
            raise BudgetNotFound(f"no budget {budget_id}")
        return _budget(row, self._limits(self._of(budget_id))[budget_id])

    def lock(self) -> None:
        self.connection.execute(LOCK, {"what": "budget", "tenant": self.tenant_id})

    def add(self, new: Budget) -> None:
        values = {
            "tenant_id": self.tenant_id,
            "id": new.id,
            "name": new.name,
            "category": new.category,
            "period": new.period.value,
            "rollover": new.rollover.value,
            "asset": new.asset.id,
            "starts_on": new.starts_on,
            "created_by": new.created_by,
        }
        self.connection.execute(insert(budget).values(values))
        for limit in new.limits:
            self.set_limit(new.id, limit)

    def save(self, changed: Budget) -> None:
        values = {
            "name": changed.name,
            "category": changed.category,
            "rollover": changed.rollover.value,
        }
        self.connection.execute(update(budget).where(self._at(changed.id)).values(values))

    def set_limit(self, budget_id: UUID, limit: Limit) -> None:
        later = and_(self._of(budget_id), budget_limit.c.since >= limit.since)
        self.connection.execute(delete(budget_limit).where(later))
        values = {
            "tenant_id": self.tenant_id,
            "budget_id": budget_id,
            "since": limit.since,
            "units": limit.amount.units,
        }
        self.connection.execute(insert(budget_limit).values(values))

    def delete(self, budget_id: UUID) -> None:
        self.connection.execute(delete(budget).where(self._at(budget_id)))

    def alert(self, of: Budget, figures: Figures, level: int) -> bool:
        values = {
            "tenant_id": self.tenant_id,
            "budget_id": of.id,
            "since": figures.since,
            "level": level,
            "units": figures.spent.value.units,
            "available": figures.available.units,
        }
        # Waits for a twin that is not committed yet, and then adds nothing.
        added = upsert(budget_alert).values(values).on_conflict_do_nothing()
        return self.connection.scalar(added.returning(budget_alert.c.level)) is not None

    def _limits(self, where: ColumnElement[bool]) -> dict[UUID, list[Limit]]:
        query = (
            select(
                budget_limit.c.budget_id, budget_limit.c.since, budget_limit.c.units, budget.c.asset
            )
            .join_from(
                budget_limit,
                budget,
                and_(
                    budget.c.tenant_id == budget_limit.c.tenant_id,
                    budget.c.id == budget_limit.c.budget_id,
                ),
            )
            .where(where)
            .order_by(budget_limit.c.budget_id, budget_limit.c.since)
        )
        found: dict[UUID, list[Limit]] = defaultdict(list)
        for row in self.connection.execute(query):
            found[row.budget_id].append(Limit(row.since, self.assets.amount(row.units, row.asset)))
        return found

    def _at(self, budget_id: UUID) -> ColumnElement[bool]:
        return and_(budget.c.tenant_id == self.tenant_id, budget.c.id == budget_id)

    def _of(self, budget_id: UUID) -> ColumnElement[bool]:
        mine = budget_limit.c.tenant_id == self.tenant_id
        return and_(mine, budget_limit.c.budget_id == budget_id)


def _budget(row: Row[Any], limits: Sequence[Limit]) -> Budget:
    values = dict(row._mapping)
    return Budget(
        **values
        | {
            "period": BudgetPeriod(row.period),
            "rollover": Rollover(row.rollover),
            "limits": tuple(limits),
        }
    )
