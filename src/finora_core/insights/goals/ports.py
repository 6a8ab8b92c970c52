"""What goals need of a transaction."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from finora_core.insights.goals.model import Goal, Grown
from finora_core.kernel.work import Work
from finora_core.ledger.ports import Accounts, Assets
from finora_core.market.rates.ports import Rates


class Goals(Protocol):
    def all(self) -> Sequence[Goal]:
        """With their shares, by name."""

    def get(self, goal_id: UUID, *, lock: bool = False) -> Goal:
        """Raises GoalNotFound."""

    def lock(self) -> None:
        """Until the transaction ends nobody else adds a goal to the tenant."""

    def add(self, goal: Goal) -> None: ...

    def save(self, goal: Goal) -> None:
        """Name, target, day and shares."""

    def delete(self, goal_id: UUID) -> None: ...

    def reach(self, goal_id: UUID) -> bool:
        """Note that it is reached; False where that was noted before."""

    def grown(self, accounts: Sequence[UUID], since: date, until: date) -> Sequence[Grown]:
        """What came into each account after `since`, per asset, opening balances apart."""

    def began(self, accounts: Sequence[UUID]) -> Mapping[UUID, date]:
        """The month of each account's first movement that is no opening balance."""


class GoalsWork(Work, Protocol):
    @property
    def accounts(self) -> Accounts: ...
    @property
    def assets(self) -> Assets: ...
    @property
    def goals(self) -> Goals: ...
    @property
    def rates(self) -> Rates: ...
    @property
    def now(self) -> datetime: ...
