"""What reports read and keep."""

from collections.abc import Generator, Sequence
from datetime import date, datetime
from typing import BinaryIO, Protocol
from uuid import UUID

from finora_core.files.ports import Files
from finora_core.insights.reports.model import Held, Known, Moved, Report, Unapproved
from finora_core.insights.reports.tables import Document
from finora_core.kernel.page import Page
from finora_core.ledger.model import TrialBalance
from finora_core.ledger.ports import LedgerWork
from finora_core.market.rates.ports import Rates
from finora_core.records.model import Record
from finora_core.records.ports import Records


class Figures(Protocol):
    """The books in figures, as they are or as they were known at a closing."""

    def known(self, closing: int | None) -> Known:
        """Raises ClosingNotFound; BadReport for one that closed nothing."""

    def moved(self, known: Known, since: date, until: date) -> Sequence[Moved]:
        """By month, account, category and direction, on own accounts."""

    def held(self, known: Known, on: date) -> Sequence[Held]:
        """What own accounts held at the end of the day."""

    def trial(self, known: Known, on: date) -> TrialBalance:
        """Every balance at the end of the day."""

    def unapproved(self, known: Known, since: date, until: date) -> Sequence[Unapproved]:
        """Per asset; as of a closing by whole months."""

    def unapproved_records(self, since: date, until: date, limit: int) -> Sequence[Record]:
        """Latest first."""

    def records(
        self, since: date | None, until: date | None, account_id: UUID | None
    ) -> Generator[tuple[Record, date | None], None, None]:
        """Every record that is not void, oldest first, streamed, with the day it was booked on."""


class Reports(Protocol):
    def add(self, report: Report) -> None: ...

    def get(self, report_id: UUID) -> Report:
        """Raises ReportNotFound."""

    def list(self, cursor: str | None, limit: int) -> Page[Report]:
        """Newest first."""

    def finish(self, report_id: UUID, file_id: UUID, at: datetime, expires_at: datetime) -> None:
        """Its file is there."""


class Writer(Protocol):
    """Writes documents in one format."""

    def write(self, document: Document, out: BinaryIO) -> None:
        """Raises ReportTooLarge."""


class ReportsWork(LedgerWork, Protocol):
    @property
    def figures(self) -> Figures: ...
    @property
    def reports(self) -> Reports: ...
    @property
    def rates(self) -> Rates: ...
    @property
    def records(self) -> Records: ...
    @property
    def files(self) -> Files: ...
