"""What receipts need of a transaction."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from finora_core.files.ports import FilesWork
from finora_core.kernel.page import Page
from finora_core.records.model import Record
from finora_core.records.ports import RecordsWork
from finora_core.records.receipts.model import Hint, Receipt


class Receipts(Protocol):
    def add(self, receipt: Receipt) -> None:
        """Raises ReceiptExists where the file is one already."""

    def get(self, receipt_id: UUID, *, lock: bool = False) -> Receipt:
        """Raises ReceiptNotFound."""

    def list(self, attached: bool | None, cursor: str | None, limit: int) -> Page[Receipt]:
        """Newest first; None for all of them."""

    def of_record(self, record_id: UUID) -> Sequence[Receipt]:
        """Oldest first."""

    def attach(self, receipt_id: UUID, record_id: UUID | None) -> None:
        """None takes it from its record."""

    def delete(self, receipt_id: UUID) -> None: ...

    def near(self, hint: Hint) -> Sequence[Record]:
        """Records that a hint could mean: of that amount in or out, and near that day; of what is
        not said, any. The latest few hundred."""


class ReceiptsWork(RecordsWork, FilesWork, Protocol):
    @property
    def receipts(self) -> Receipts: ...
