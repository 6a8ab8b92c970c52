"""What people do with receipts: add, look for the record, attach, detach."""

from collections.abc import Sequence
from uuid import UUID

import attrs

from finora_core.kernel.ids import new_id
from finora_core.kernel.page import DEFAULT_LIMIT, Page, checked_limit
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried
from finora_core.records.model import RecordVoid
from finora_core.records.receipts.model import (
    BadReceipt,
    Hint,
    Proposal,
    Receipt,
    ReceiptAttached,
    ReceiptChanged,
    ReceiptNotFound,
    proposals_of,
)
from finora_core.records.receipts.ports import ReceiptsWork


@attrs.frozen
class ReceiptService:
    begin: Begin[ReceiptsWork]

    @retried
    def add(
        self,
        scope: Scope,
        file_id: UUID,
        hint: Hint | None = None,
        *,
        record_id: UUID | None = None,
    ) -> Receipt:
        """Make a receipt of a kept file, at a record or waiting for one. Raises FileNotFound,
        FileNotUploaded, FileQuarantined, FileExpired, BadReceipt, ReceiptExists, RecordNotFound,
        RecordVoid."""
        said = hint or Hint()
        with self.begin(scope) as work:
            file = work.files.get(file_id, lock=True)
            file.check_readable(work.now)
            if file.expires_at is not None:
                raise BadReceipt("a temporary file is gone in a month: keep it for good")
            if said.amount is not None:
                work.assets.get(said.amount.asset.id)
            if record_id is not None:
                _check_record(work, record_id)
            receipt = Receipt(
                id=new_id(),
                file_id=file_id,
                name=file.name,
                media_type=file.media_type,
                bytes=file.bytes,
                record_id=record_id,
                hint=said,
                added_by=scope.user_id,
                created_at=work.now,
            )
            work.receipts.add(receipt)
            _tell(work, receipt.id, record_id, "added")
            return work.done(receipt)

    def list(
        self,
        scope: Scope,
        *,
        attached: bool | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Receipt]:
        """Newest first: all of them, or those at a record, or those that wait for one."""
        with self.begin(scope) as work:
            return work.receipts.list(attached, cursor, checked_limit(limit))

    def of_record(self, scope: Scope, record_id: UUID) -> Sequence[Receipt]:
        """Raises RecordNotFound."""
        with self.begin(scope) as work:
            work.records.get(record_id)
            return work.receipts.of_record(record_id)

    def proposals(self, scope: Scope, receipt_id: UUID) -> Sequence[Proposal]:
        """The records that a receipt may belong to, best first; somebody attaches it to one. None
        where nothing is said of it. Raises ReceiptNotFound."""
        with self.begin(scope) as work:
            hint = work.receipts.get(receipt_id).hint
            return proposals_of(hint, work.receipts.near(hint)) if hint != Hint() else ()

    @retried
    def attach(self, scope: Scope, record_id: UUID, receipt_id: UUID) -> Receipt:
        """Put a waiting receipt to a record; once more to the same changes nothing. Raises
        ReceiptNotFound, ReceiptAttached, RecordNotFound, RecordVoid."""
        with self.begin(scope) as work:
            receipt = work.receipts.get(receipt_id, lock=True)
            if receipt.record_id == record_id:
                return work.done(receipt)
            if receipt.record_id is not None:
                raise ReceiptAttached(f"receipt {receipt_id} is at record {receipt.record_id}")
            _check_record(work, record_id)
            work.receipts.attach(receipt_id, record_id)
            _tell(work, receipt_id, record_id, "attached")
            return work.done(attrs.evolve(receipt, record_id=record_id))

    @retried
    def detach(self, scope: Scope, record_id: UUID, receipt_id: UUID) -> Receipt:
        """Take it from its record; it waits for another one. Raises ReceiptNotFound."""
        with self.begin(scope) as work:
            receipt = work.receipts.get(receipt_id, lock=True)
            if receipt.record_id != record_id:
                raise ReceiptNotFound(f"no receipt {receipt_id} at record {record_id}")
            work.receipts.attach(receipt_id, None)
            _tell(work, receipt_id, record_id, "detached")
            return work.done(attrs.evolve(receipt, record_id=None))

    @retried
    def remove(self, scope: Scope, receipt_id: UUID) -> None:
        """Forget that the file is a receipt; the file stays. Raises ReceiptNotFound."""
        with self.begin(scope) as work:
            receipt = work.receipts.get(receipt_id, lock=True)
            work.receipts.delete(receipt_id)
            _tell(work, receipt_id, receipt.record_id, "removed")
            work.done(None)


def _check_record(work: ReceiptsWork, record_id: UUID) -> None:
    if work.records.get(record_id, lock=True).void:
        raise RecordVoid("the record was deleted")


def _tell(work: ReceiptsWork, receipt_id: UUID, record_id: UUID | None, what: str) -> None:
    work.events.record(ReceiptChanged(receipt_id=receipt_id, record_id=record_id, what=what))
