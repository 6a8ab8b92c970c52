"""Finora's own table of records, as reports write it. A line that is in the books already is known
by its id, whatever was changed in it since: reading an export again adds nothing.
"""

import csv
from collections.abc import Iterator, Mapping
from datetime import date
from typing import BinaryIO, ClassVar

from finora_core.plugins import (
    FaultyLine,
    StatementAccount,
    StatementItem,
    StatementLine,
    StatementRefused,
)
from finora_core.records.exported.model import RECORD_COLUMNS, unguarded
from finora_core.text_files import open_text

ID = "finora:"
"""Before a record's id, where it stands for a bank's."""
_HEAD = b",".join(b'"%s"' % name.encode() for name in RECORD_COLUMNS)
_COLUMNS = len(RECORD_COLUMNS)


class FinoraRecords:
    name: ClassVar[str] = "finora"

    def recognises(self, head: bytes, filename: str) -> int:
        plain = head.removeprefix(b"\xef\xbb\xbf")
        return 100 if plain.startswith((_HEAD, _HEAD.replace(b'"', b""))) else 0

    def layout(self, head: bytes) -> str | None:
        return None

    def read(self, file: BinaryIO, answers: Mapping[str, str]) -> Iterator[StatementItem]:
        account = None
        rows = csv.reader((f"{line}\n" for _, line in open_text(file)), strict=True)
        try:
            next(rows, None)
            for row in rows:
                place = rows.line_num
                if len(row) < _COLUMNS:
                    yield FaultyLine(place=place, reason=f"fewer than {_COLUMNS} columns")
                    continue
                cells = dict(zip(RECORD_COLUMNS, map(unguarded, row), strict=False))
                if cells["account_id"] != account:
                    account = cells["account_id"]
                    yield StatementAccount(number=account, asset=cells["currency"])
                yield _line(place, cells)
        except csv.Error as error:
            raise StatementRefused.at(rows.line_num, "this is no line of CSV") from error


def _line(place: int, cells: Mapping[str, str]) -> StatementItem:
    try:
        day = date.fromisoformat(cells["date"])
    except ValueError:
        return FaultyLine(place=place, reason=f"{cells['date'][:40]!r} is no day")
    return StatementLine(
        place=place,
        date=day,
        amount=cells["amount"],
        asset=cells["currency"],
        description=cells["description"],
        counterparty=cells["counterparty"] or None,
        bank_id=ID + cells["id"],
        booked=cells["state"] != "pending",
        category=cells["category"] or None,
        raw=list(cells.values()),
    )
