"""Receipts: stored files that prove records."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from finora_core.kernel.page import Page
from finora_core.kernel.scope import Scope
from finora_core.records.receipts.model import Hint, Receipt
from finora_web.api.auth import Done, done
from finora_web.api.records import RecordOut
from finora_web.contract import (
    Day,
    Id,
    In,
    Listed,
    MoneyIn,
    MoneyOut,
    Name,
    Out,
    Paged,
    Routes,
    Single,
    listed,
    whole,
)
from finora_web.money import money
from finora_web.services import Services

routes = Routes("receipts")


class ReceiptOut(Out):
    id: UUID
    file_id: UUID
    url: str = Field(description="Where its bytes are, for who may read files.")
    name: str
    media_type: str
    bytes: int
    record_id: UUID | None
    amount: MoneyOut | None = Field(description="What is said of it, like the two below.")
    on_date: date | None
    merchant: str | None
    added_by: UUID
    created_at: datetime | None


class ProposalOut(Out):
    record: RecordOut
    score: int = Field(description="In basis points: 10000 where amount, day and merchant agree.")
    same_amount: bool
    days_apart: int | None
    same_merchant: bool


class NewReceipt(In):
    file_id: Id = Field(description="Of a file that is kept; `POST /files` keeps one.")
    record_id: Id | None = Field(None, description="Without one it waits for its record.")
    amount: MoneyIn | None = Field(None, description="What it says was paid, without a sign.")
    on_date: Day | None = None
    merchant: Name | None = None


class AttachIn(In):
    receipt_id: Id


class ReceiptQuery(Paged):
    attached: Annotated[bool, Field(description="Only those at a record, or only the others.")] = (
        False
    )


def _receipt(receipt: Receipt) -> dict[str, Any]:
    names = ("id", "file_id", "name", "media_type", "bytes", "record_id", "added_by", "created_at")
    hint = receipt.hint
    said = {"amount": hint.amount, "on_date": hint.on_date, "merchant": hint.merchant}
    where = {"url": f"/api/v1/files/{receipt.file_id}/content"}
    return {name: getattr(receipt, name) for name in names} | said | where


def _one(receipt: Receipt) -> object:
    return {"data": _receipt(receipt)}


def _page(page: Page[Receipt]) -> object:
    return listed(Page(tuple(_receipt(each) for each in page.items), page.next))


@routes.get("/receipts", "books:read", Listed[ReceiptOut], shape=_page)
def list_receipts(app: Services, scope: Scope, query: ReceiptQuery) -> object:
    """Receipts that wait for a record, newest first; or those that have one."""
    attached = query.attached
    return app.receipts.list(scope, attached=attached, cursor=query.cursor, limit=query.limit)


@routes.post("/receipts", "books:write", Single[ReceiptOut], status=201, shape=_one)
def add_receipt(app: Services, scope: Scope, body: NewReceipt) -> object:
    """Make a receipt of a stored file, with what is known of it."""
    hint = Hint(
        amount=None if body.amount is None else money(app, scope, body.amount),
        on_date=body.on_date,
        merchant=body.merchant,
    )
    return app.receipts.add(scope, body.file_id, hint, record_id=body.record_id)


@routes.get("/receipts/{receipt_id}/proposals", "books:read", Listed[ProposalOut], shape=whole)
def propose_records(app: Services, scope: Scope, receipt_id: UUID) -> object:
    """Records that it may belong to, best first."""
    return app.receipts.proposals(scope, receipt_id)


@routes.delete("/receipts/{receipt_id}", "books:write", Single[Done], shape=done)
def remove_receipt(app: Services, scope: Scope, receipt_id: UUID) -> None:
    """Forget that the file is a receipt; the file stays."""
    app.receipts.remove(scope, receipt_id)


@routes.get("/records/{record_id}/receipts", "books:read", Listed[ReceiptOut],
            shape=lambda found: whole(_receipt(each) for each in found))  # fmt: skip
def list_record_receipts(app: Services, scope: Scope, record_id: UUID) -> object:
    """The receipts of a record, oldest first."""
    return app.receipts.of_record(scope, record_id)


@routes.post("/records/{record_id}/receipts", "books:write", Single[ReceiptOut], shape=_one)
def attach_receipt(app: Services, scope: Scope, record_id: UUID, body: AttachIn) -> object:
    """Put a waiting receipt to the record."""
    return app.receipts.attach(scope, record_id, body.receipt_id)


@routes.delete("/records/{record_id}/receipts/{receipt_id}", "books:write", Single[ReceiptOut],
               shape=_one)  # fmt: skip
def detach_receipt(app: Services, scope: Scope, record_id: UUID, receipt_id: UUID) -> object:
    """Take a receipt from the record; it waits for another one."""
    return app.receipts.detach(scope, record_id, receipt_id)
