"""What budgets need of a transaction."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from finora_core.insights.budgets.model import Budget, Figures, Limit
from finora_core.insights.wallet.ports import Totals
from finora_core.kernel.work import Work
from finora_core.ledger.ports import Assets
from finora_core.market.rates.ports import Rates


class Budgets(Protocol):
    def all(self) -> Sequence[Budget]:
        """With their limits, by name."""

    def get(self, budget_id: UUID, *, lock: bool = False) -> Budget:
        """Raises BudgetNotFound."""

    def lock(self) -> None:
        """Until the transaction ends nobody else adds a budget to the tenant."""

    def add(self, budget: Budget) -> None: ...

    def save(self, budget: Budget) -> None:
        """Its name, category and rollover."""

    def set_limit(self, budget_id: UUID, limit: Limit) -> None:
        """In place of those of that day and later."""

    def delete(self, budget_id: UUID) -> None: ...

    def alert(self, budget: Budget, figures: Figures, level: int) -> bool:
        """Note that the level was reached; False where that was noted before, also by a
        transaction that was open a moment ago."""


class BudgetsWork(Work, Protocol):
    @property
    def assets(self) -> Assets: ...
    @property
    def budgets(self) -> Budgets: ...
    @property
    def totals(self) -> Totals: ...
    @property
    def rates(self) -> Rates: ...
    @property
    def now(self) -> datetime: ...


def today_of(work: BudgetsWork, today: date | None) -> date:
    return today or work.now.date()
