"""What watching needs of a transaction: all that budgets and goals need."""

from typing import Protocol

from finora_core.insights.budgets.ports import BudgetsWork
from finora_core.insights.goals.ports import GoalsWork


class WatchWork(BudgetsWork, GoalsWork, Protocol): ...
