"""Receipts: a stored file, what it is said to prove, and the record it was put to."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import ClassVar
from uuid import UUID

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.errors import Conflict, Invalid, NotFound
from finora_core.kernel.events import Plain
from finora_core.records.model import Record, merchant_key

NEAR = timedelta(days=10)
"""How far from the receipt's day a record may be to be proposed."""
MOST_PROPOSALS = 20
AMOUNT, DAY, MERCHANT = 5_000, 3_000, 2_000
"""What an equal amount, an equal day and an equal merchant weigh, in basis points."""


class ReceiptNotFound(NotFound):
    """There is no such receipt in this tenant, or not at this record."""

    code = "RECEIPT_NOT_FOUND"


class ReceiptExists(Conflict):
    """The file is a receipt already."""

    code = "RECEIPT_EXISTS"


class ReceiptAttached(Conflict):
    """The receipt is attached to another record: detach it first."""

    code = "RECEIPT_ATTACHED"


class BadReceipt(Invalid):
    """The file will be deleted by itself, or what is said of the receipt is too long."""

    code = "BAD_RECEIPT"


@attrs.frozen(kw_only=True)
class Hint:
    """What the receipt says, as far as whoever brought it knows."""

    amount: Amount | None = None
    """What was paid, without a sign."""
    on_date: date | None = None
    merchant: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.amount is not None and self.amount.units <= 0:
            raise BadReceipt("a receipt's amount is more than zero")
        name = self.merchant
        if name is not None and not (1 <= len(name) <= 200 and name.isprintable()):
            raise BadReceipt("a merchant's name has 1 to 200 printable characters")


@attrs.frozen(kw_only=True)
class Receipt:
    id: UUID
    file_id: UUID
    name: str
    media_type: str
    bytes: int
    record_id: UUID | None
    """None: it waits for a record."""
    hint: Hint
    added_by: UUID
    created_at: datetime | None = None


@attrs.frozen(kw_only=True)
class Proposal:
    """A record that the receipt may prove. `score` is in basis points, 10000 where amount, day and
    merchant are the same."""

    record: Record
    score: int
    same_amount: bool
    days_apart: int | None
    same_merchant: bool


def proposals_of(hint: Hint, records: Iterable[Record]) -> tuple[Proposal, ...]:
    """Best first; ties by day and id, so that the order is always the same."""
    found = [_proposal(hint, record) for record in records if not record.void]
    ranked = sorted(
        (each for each in found if each.score > 0),
        key=lambda each: (-each.score, each.record.on_date, str(each.record.id)),
    )
    return tuple(ranked[:MOST_PROPOSALS])


def _proposal(hint: Hint, record: Record) -> Proposal:
    same_amount = hint.amount is not None and abs(record.amount) == hint.amount
    apart = None if hint.on_date is None else abs((record.on_date - hint.on_date).days)
    key = merchant_key(hint.merchant) if hint.merchant else ""
    same = bool(key) and (key in record.merchant_key or (record.merchant_key or "-") in key)
    near = 0 if apart is None else max(0, NEAR.days + 1 - apart) * DAY // (NEAR.days + 1)
    return Proposal(
        record=record,
        score=AMOUNT * same_amount + near + MERCHANT * same,
        same_amount=same_amount,
        days_apart=apart,
        same_merchant=same,
    )


@attrs.frozen(kw_only=True)
class ReceiptChanged:
    type: ClassVar[str] = "receipt.changed"

    receipt_id: UUID
    record_id: UUID | None
    what: str
    """added, attached, detached, removed"""

    def payload(self) -> Mapping[str, Plain]:
        record = None if self.record_id is None else str(self.record_id)
        return {"receipt": str(self.receipt_id), "record": record, "what": self.what}
