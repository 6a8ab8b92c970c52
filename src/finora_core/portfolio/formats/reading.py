"""What the formats of brokers share: tables, numbers as people write them, instants, assets."""

import codecs
import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import BinaryIO, ClassVar

import attrs

from finora_core.plugins import (
    ActivityLine,
    FaultyLine,
    StatementRefused,
)
from finora_core.portfolio.model import is_currency
from finora_core.text_files import open_text

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?", re.ASCII)
_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]", re.ASCII)
_SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
SIGNS = {"€": "EUR", "$": "USD", "£": "GBP"}


class Unreadable(Exception):
    """This line cannot be read; the message says why."""


@attrs.frozen
class Row:
    """A line of a table, by its header."""

    place: int
    cells: Mapping[str, str]
    values: Sequence[str]

    def __getitem__(self, name: str) -> str:
        return self.cells.get(name, "").strip()


Lines = Iterator[ActivityLine | FaultyLine]


class Table:
    """A format that is a table with a header of its own. `line` says what a row means; a row that
    moves nothing is nothing."""

    name: ClassVar[str]
    institution: ClassVar[str]
    settles: ClassVar[bool] = True
    header: ClassVar[tuple[str, ...]]
    """The columns that make it this one, in their order."""
    delimiter: ClassVar[str] = ","

    def recognises(self, head: bytes, filename: str) -> int:
        cells = [cell.lower() for cell in header_of(head, self.delimiter)]
        wanted = [name.lower() for name in self.header]
        return 95 if cells[: len(wanted)] == wanted else 0

    def read(self, file: BinaryIO) -> Lines:
        for row in rows_of(file, self.delimiter):
            try:
                yield from self.line(row)
            except Unreadable as error:
                yield FaultyLine(place=row.place, reason=str(error))

    def line(self, row: Row) -> Iterator[ActivityLine]:
        raise NotImplementedError


def header_of(head: bytes, delimiter: str) -> list[str]:
    """The cells of a file's first line; none where it is no line of a table."""
    lines = head.removeprefix(codecs.BOM_UTF8).splitlines()
    first = lines[0].decode("utf-8", "replace") if lines else ""
    try:
        return [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter), [])]
    except csv.Error:
        return []


def rows_of(file: BinaryIO, delimiter: str) -> Iterator[Row]:
    """Every row below the first, which names the columns. Of columns without a name, or with one
    that came before, only `values` knows."""
    lines = csv.reader((f"{line}\n" for _, line in open_text(file)), delimiter=delimiter)
    try:
        names = [name.strip() for name in next(lines, [])]
        for values in lines:
            if not any(cell.strip() for cell in values):
                continue
            cells: dict[str, str] = {}
            for name, value in zip(names, values, strict=False):
                if name:
                    cells.setdefault(name, value)
            yield Row(lines.line_num, cells, values)
    except csv.Error as error:
        raise StatementRefused.at(lines.line_num, "this is no line of CSV") from error


def number(text: str, decimal: str | None = None) -> str:
    """A plain decimal: `1 757,95` is 1757.95, `(0.10)` is -0.10, `-$30.93` is -30.93. Which mark is
    the decimal one is `decimal`, or else the last of two kinds; of one kind it is that, unless it
    comes twice. Raises Unreadable."""
    said = "".join(text.split()).replace("\u202f", "").replace("'", "").replace("\u2212", "-")
    below = said.startswith("(") and said.endswith(")")
    said = said.strip("()")
    for sign in SIGNS:
        said = said.replace(sign, "")
    if decimal is None:
        comma, point = said.rfind(","), said.rfind(".")
        decimal = "," if comma > point else "."
        if said.count(decimal) > 1:
            decimal = "." if decimal == "," else ","
    said = said.replace("." if decimal == "," else ",", "").replace(decimal, ".").removeprefix("+")
    if not _NUMBER.fullmatch(said):
        raise Unreadable(f"{text[:40]!r} is no number")
    whole, _, fraction = said.removeprefix("-").partition(".")
    plain = (whole.lstrip("0") or "0") + (f".{fraction}" if fraction else "")
    negative = below != said.startswith("-")
    return f"-{plain}" if negative and plain.strip("0.") else plain


def sized(text: str, sign: int, decimal: str | None = None) -> str:
    """The number with this sign, whatever sign it has."""
    plain = number(text, decimal).removeprefix("-")
    return f"-{plain}" if sign < 0 and plain.strip("0.") else plain


def negated(plain: str) -> str:
    return plain.removeprefix("-") if plain.startswith("-") else sized(plain, -1)


def added(*plain: str) -> str:
    return format(sum(map(Decimal, plain), Decimal(0)), "f")


def money(text: str, asset: str, decimal: str | None = None) -> tuple[str, str] | None:
    """An amount that may be missing; one of nothing is none."""
    if not text.strip():
        return None
    plain = number(text, decimal)
    return (plain, asset) if plain.strip("-0.") else None


def signed_money(text: str) -> tuple[str, str]:
    """`89,162.28 SEK`, `€10.00`: a number that names its currency. Raises Unreadable."""
    said = text.strip()
    for sign, code in SIGNS.items():
        if sign in said:
            return number(said, "."), code
    amount, _, code = said.rpartition(" ")
    if not is_currency(code):
        raise Unreadable(f"{text[:40]!r} names no currency")
    return number(amount, "."), code


def instant(text: str, *shapes: str) -> datetime:
    """By ISO 8601, or else by the first shape that fits; what names no zone is UTC."""
    said = text.strip()
    for shape in ("", *shapes):
        try:
            # What names no zone gets one below.
            read = datetime.strptime(said, shape) if shape else datetime.fromisoformat(said)  # noqa: DTZ007
        except ValueError:
            continue
        return read if read.tzinfo else read.replace(tzinfo=UTC)
    raise Unreadable(f"{text[:40]!r} is no time")


def security(isin: str, ticker: str = "") -> str:
    """By its ISIN, else by its ticker."""
    if _ISIN.fullmatch(isin.strip()):
        return f"isin:{isin.strip()}"
    return symbol("ticker", ticker or isin)


def symbol(kind: str, text: str) -> str:
    """`ticker:VWCE.DE`, `crypto:BTC`."""
    if not _SYMBOL.fullmatch(text.strip()):
        raise Unreadable(f"{text[:40]!r} is no symbol")
    return f"{kind}:{text.strip()}"


def coin(text: str) -> str:
    """Money where its code is a currency's, else a coin."""
    code = text.strip().upper()
    return code if is_currency(code) else symbol("crypto", code)


def currency(text: str) -> str:
    code = text.strip()
    if not is_currency(code) and code not in PENCE:
        raise Unreadable(f"{code[:40]!r} is no currency")
    return code


PENCE = {"GBX": "GBP", "GBp": "GBP", "ZAc": "ZAR", "ZAC": "ZAR", "ILA": "ILS"}
"""Hundredths that exchanges quote in, and what they are hundredths of."""


def whole(plain: str, code: str) -> tuple[str, str]:
    """Of hundredths that exchanges quote in, the currency."""
    if code not in PENCE:
        return plain, code
    return format(Decimal(plain).scaleb(-2), "f"), PENCE[code]
