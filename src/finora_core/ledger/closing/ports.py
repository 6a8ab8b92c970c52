"""What closing needs of a transaction."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from finora_core.kernel.page import Page
from finora_core.kernel.work import Work
from finora_core.ledger.closing.model import Closing, LateLine


class Closings(Protocol):
    def lock(self) -> None:
        """Wait for everybody who posts or labels, and keep them waiting until the end. To be
        called before anything is written."""

    def last(self) -> Closing | None:
        """The one that holds."""

    def get(self, number: int) -> Closing:
        """Raises ClosingNotFound."""

    def list(self) -> Sequence[Closing]:
        """All, latest first."""

    def add(self, through: date | None, reason: str, by: UUID) -> Closing:
        """The next one, with what a report as of it will need."""

    def late(self, cursor: str | None, limit: int) -> Page[LateLine]:
        """Lines that came late, latest booking first."""


class ClosingWork(Work, Protocol):
    @property
    def closings(self) -> Closings: ...
    @property
    def now(self) -> datetime: ...
