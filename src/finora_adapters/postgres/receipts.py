"""Receipts: rows between stored files and records."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, Row, text

from finora_adapters.postgres.ledger import PgAssets
from finora_adapters.postgres.records import PgRecords
from finora_core.kernel.page import Page, decode_cursor, encode_cursor
from finora_core.records.model import Record
from finora_core.records.receipts.model import (
    NEAR,
    Hint,
    Receipt,
    ReceiptExists,
    ReceiptNotFound,
)

_SELECT = """
select c.id, c.file_id, f.name, f.media_type, f.bytes, c.record_id, c.units, c.asset, c.on_date,
  c.merchant, c.added_by, c.created_at
from finora.receipt c
join finora.stored_file f on f.tenant_id = c.tenant_id and f.id = c.file_id
where c.tenant_id = :tenant
"""
_ADD = text("""
insert into finora.receipt (tenant_id, id, file_id, record_id, units, asset, on_date, merchant,
  added_by)
values (:tenant, :id, :file_id, :record_id, :units, :asset, :on_date, :merchant, :added_by)
on conflict (tenant_id, file_id) do nothing returning id
""")
_ATTACH = text(
    "update finora.receipt set record_id = :record where tenant_id = :tenant and id = :id"
)
_DELETE = text("delete from finora.receipt where tenant_id = :tenant and id = :id")
_NEAR = text("""
select r.id from finora.record r
where r.tenant_id = :tenant and not r.void
  and (cast(:on_date as date) is null
    or r.on_date between cast(:on_date as date) - :near and cast(:on_date as date) + :near)
  and (cast(:asset as text) is null or (r.asset = :asset and abs(r.units) = :units))
order by r.on_date desc, r.id desc limit 300
""")


@attrs.frozen
class PgReceipts:
    connection: Connection
    tenant_id: UUID
    assets: PgAssets
    records: PgRecords

    def add(self, receipt: Receipt) -> None:
        amount = receipt.hint.amount
        values = {
            "tenant": self.tenant_id,
            "id": receipt.id,
            "file_id": receipt.file_id,
            "record_id": receipt.record_id,
            "units": amount and amount.units,
            "asset": amount and amount.asset.id,
            "on_date": receipt.hint.on_date,
            "merchant": receipt.hint.merchant,
            "added_by": receipt.added_by,
        }
        if self.connection.execute(_ADD, values).first() is None:
            raise ReceiptExists(f"the file {receipt.file_id} is a receipt already")

    def get(self, receipt_id: UUID, *, lock: bool = False) -> Receipt:
        query = _SELECT + " and c.id = :id" + (" for update of c" if lock else "")
        row = self.connection.execute(text(query), self._mine(id=receipt_id)).first()
        if row is None:
            raise ReceiptNotFound(f"no receipt {receipt_id}")
        return self._receipt(row)

    def list(self, attached: bool | None, cursor: str | None, limit: int) -> Page[Receipt]:
        query, values = _SELECT, self._mine(limit=limit + 1)
        if attached is not None:
            query += f" and c.record_id is {'not' if attached else ''} null"
        if cursor is not None:
            at, last = decode_cursor(cursor, (datetime, UUID))
            query += " and (c.created_at, c.id) < (:at, cast(:last as uuid))"
            values |= {"at": at, "last": last}
        query += " order by c.created_at desc, c.id desc limit :limit"
        rows = self.connection.execute(text(query), values).all()
        items = tuple(self._receipt(row) for row in rows[:limit])
        if len(rows) <= limit:
            return Page(items)
        end = rows[limit - 1]
        return Page(items, encode_cursor(end.created_at.isoformat(), str(end.id)))

    def of_record(self, record_id: UUID) -> Sequence[Receipt]:
        query = text(_SELECT + " and c.record_id = :record order by c.created_at, c.id")
        return [
            self._receipt(row)
            for row in self.connection.execute(query, self._mine(record=record_id))
        ]

    def attach(self, receipt_id: UUID, record_id: UUID | None) -> None:
        self.connection.execute(_ATTACH, self._mine(id=receipt_id, record=record_id))

    def delete(self, receipt_id: UUID) -> None:
        self.connection.execute(_DELETE, self._mine(id=receipt_id))

    def near(self, hint: Hint) -> Sequence[Record]:
        values = self._mine(
            on_date=hint.on_date,
            near=NEAR.days,
            asset=hint.amount and hint.amount.asset.id,
            units=hint.amount and hint.amount.units,
        )
        found = self.connection.scalars(_NEAR, values).all()
        return self.records.of(found)

    def _mine(self, **values: Any) -> dict[str, Any]:
        return {"tenant": self.tenant_id} | values

    def _receipt(self, row: Row[Any]) -> Receipt:
        values = dict(row._mapping)
        units, asset = values.pop("units"), values.pop("asset")
        hint = Hint(
            amount=None if asset is None else self.assets.amount(units, asset),
            on_date=values.pop("on_date"),
            merchant=values.pop("merchant"),
        )
        return Receipt(**values, hint=hint)
