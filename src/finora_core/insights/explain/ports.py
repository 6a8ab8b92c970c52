"""What explaining reads."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from finora_core.insights.explain.model import Figure, Origin, Posted, Sum
from finora_core.kernel.amount import Amount
from finora_core.kernel.page import Page
from finora_core.ledger.ports import LedgerWork
from finora_core.market.rates.ports import Rates


class Explained(Protocol):
    def sums(self, figure: Figure) -> Sequence[Sum]:
        """By account, month and category: from the totals for whole months, from postings for the
        days of months that are asked in part."""

    def postings(self, figure: Figure, cursor: str | None, limit: int) -> Page[Posted]:
        """One by one, oldest first."""

    def origin(self, entry_id: UUID) -> Origin:
        """Raises EntryNotFound."""

    def every_asset(self) -> Sequence[str]:
        """All that own accounts ever moved."""

    def amount(self, units: int, asset: str) -> Amount:
        """Raises UnknownAsset."""


class ExplainWork(LedgerWork, Protocol):
    @property
    def explained(self) -> Explained: ...
    @property
    def rates(self) -> Rates: ...
