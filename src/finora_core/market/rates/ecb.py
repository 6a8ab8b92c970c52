"""The European Central Bank's reference rates, as its CSV file has them: a day a line, a currency a
column, `N/A` where there is none. One euro is worth so much of each."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import BinaryIO

from finora_core.market.rates.model import PIVOT, BadRates, Rate

SOURCE = "ecb"
MAX_BYTES = 16 << 20
"""All of it since 1999 has not one."""

_CODE = re.compile(r"[A-Z]{3}")
_VALUE = re.compile(r"(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def read_ecb(file: BinaryIO) -> Iterator[Rate]:
    """Raises BadRates with the line, for anything that is not exactly such a file."""
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise BadRates(f"the file has more than {MAX_BYTES >> 20} MB")
    try:
        rows = csv.reader(io.StringIO(content.decode("utf-8-sig")), strict=True)
        head = [cell.strip() for cell in next(rows, [])]
        # The file ends each line with a comma.
        codes = [(at, code) for at, code in enumerate(head) if at and code]
        if head[:1] != ["Date"] or not codes:
            raise BadRates("line 1 is not `Date` and codes of currencies")
        if any(not _CODE.fullmatch(code) for _, code in codes) or len(dict(codes)) != len(
            {code for _, code in codes}
        ):
            raise BadRates("line 1 names something that is no currency, or one twice")
        for number, row in enumerate(rows, start=2):
            yield from _day(number, row, codes, len(head))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadRates("this is no CSV file in UTF-8") from error


def _day(number: int, row: list[str], codes: list[tuple[int, str]], width: int) -> Iterator[Rate]:
    if not row:
        return
    if len(row) != width or not _DAY.fullmatch(row[0].strip()):
        raise BadRates(f"line {number} is not a day with its rates")
    try:
        day = date.fromisoformat(row[0].strip())
    except ValueError as error:
        raise BadRates(f"line {number} is not a day with its rates") from error
    for at, code in codes:
        cell = row[at].strip()
        if cell in ("", "N/A"):
            continue
        if not _VALUE.fullmatch(cell) or not Decimal(cell):
            raise BadRates(f"line {number}: {cell[:40]!r} is no rate of {code}")
        yield Rate(base=PIVOT, quote=code, on_date=day, value=Decimal(cell), source=SOURCE)
