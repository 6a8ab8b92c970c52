"""What finding recurring payments needs of a transaction."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from finora_core.insights.recurring.model import RecurringLine, Verdict
from finora_core.kernel.work import Work


class RecurringRows(Protocol):
    def lines(self, since: date, until: date) -> Sequence[RecurringLine]:
        """The booked records of these days whose merchant comes again, transfers apart: of at most
        20,000, those of the merchants that are seen least: a bill comes rarely, a shop often."""

    def verdicts(self) -> Mapping[UUID, Verdict]: ...

    def judge(self, recurring_id: UUID, verdict: Verdict | None, by: UUID) -> None:
        """None takes back what was said."""


class RecurringWork(Work, Protocol):
    @property
    def recurring(self) -> RecurringRows: ...
    @property
    def now(self) -> datetime: ...
