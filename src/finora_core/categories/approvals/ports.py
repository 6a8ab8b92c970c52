"""What reviewing needs of a transaction."""

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from finora_core.categories.approvals.model import SourceAccuracy
from finora_core.categories.rules.ports import Rules
from finora_core.kernel.page import Page
from finora_core.records.model import Record
from finora_core.records.ports import RecordsWork


class Reviews(Protocol):
    def queue(self, cursor: str | None, limit: int) -> Page[Record]:
        """Records that wait for a person, the least certain first, then the oldest."""

    def accuracy(self, since: date, until: date) -> Sequence[SourceAccuracy]:
        """By week and source, of the decisions of these days."""


class ReviewWork(RecordsWork, Protocol):
    @property
    def reviews(self) -> Reviews: ...
    @property
    def rules(self) -> Rules: ...
