"""What others need of rules."""

from collections.abc import Mapping
from typing import Protocol
from uuid import UUID

from finora_core.categories.rules.model import Effect, RuleBook


class Rules(Protocol):
    def book(self) -> RuleBook:
        """The tenant's active rules."""

    def applied(self, effects: Mapping[UUID, Effect]) -> None:
        """Rules matched these records: count it, and write the fields other than the category."""
