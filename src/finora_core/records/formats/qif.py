"""QIF: one letter a field, `^` ends a record. It says neither currency nor notation.

The file is read twice: once to learn from all of it how its dates and numbers are written, once
for its lines. What the file does not tell is asked, never guessed.
"""

import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO, ClassVar, Literal

import attrs

from finora_core.plugins import (
    FaultyLine,
    StatementItem,
    StatementRefused,
    StatementTooLarge,
)
from finora_core.records.formats.text import open_text, text_of_head

# Limits, each far above what a program writes.
_LARGEST_RECORD = 1 << 16
_MOST_FIELDS = 5_000
_MOST_BLANK = 10_000
_MOST_SKIPPED = 2_000_000
_MOST_FAULTS = 10_000
_MOST_UNKNOWN = 100

_KINDS: Mapping[str, Literal["asset", "liability"]] = {
    "bank": "asset",
    "cash": "asset",
    "ccard": "liability",
    "oth a": "asset",
    "oth l": "liability",
}
# Lists, and investments, whose cash side belongs to what reads the trades.
_SKIPPED = {
    "cat", "class", "memorized", "security", "prices", "invst", "port", "budget", "invitem",
    "template", "tag", "bill", "tax",
}  # fmt: skip
_ORDERS = ("dmy", "mdy", "ymd")
_DECIMALS = (".", ",")
# A wrong order that runs evenly through so many different days is no accident.
_ENOUGH_DAYS = 6


@attrs.frozen
class QifStatements:
    """Bank, cash, card and other accounts in QIF files.

    Answers: `date_order` (`dmy`, `mdy` or `ymd`) and `decimal` (`.` or `,`), asked only where the
    file can be read both ways.
    """

    name: ClassVar[str] = "qif"

    def recognises(self, head: bytes, filename: str) -> int:
        """Sure where a line begins as the headers of QIF do; a file name is a weak hint."""
        header = r"(?:^|[\r\n])\ufeff?\s*!(?:type\s*:|account|option\s*:|clear\s*:)"
        if re.search(header, text_of_head(head), re.IGNORECASE):
            return 95
        return 30 if filename.lower().endswith(".qif") else 0

    def layout(self, head: bytes) -> str | None:
        """One name for all: QIF does not tell which program wrote it."""
        return "qif"

    def read(self, file: BinaryIO, answers: Mapping[str, str]) -> Iterator[StatementItem]:
        """See StatementFormat. A record that no `^` ends is set aside: it may be cut off."""
        notation = _learnt(_pieces(file), answers)
        faults = 0
        for item in _items(_pieces(file), notation):
            if isinstance(item, FaultyLine):
                faults += 1
                if faults > _MOST_FAULTS:
                    raise StatementRefused.at(
                        item.place, f"more than {_MOST_FAULTS:,} lines cannot be read"
                    )
            yield item


# --- pieces --------------------------------------------------------------------------------------


@attrs.frozen
class _Section:
    """A `!Type:` header of transactions, under the `!Account` before it."""

    account: str | None
    kind: Literal["asset", "liability"]


@attrs.frozen
class _Unknown:
    """A `!Type:` that is not known."""

    place: int
    name: str


@attrs.frozen
class _Record:
    """One transaction: its fields in their order, as (letter, text)."""

    place: int
    fields: tuple[tuple[str, str], ...]
    ended: bool
    """`^` followed; else the file or another section did."""

    def first(self, letter: str) -> str:
        """The first field of that letter, or ""."""
        return next((text for key, text in self.fields if key == letter), "")


_Piece = _Section | _Unknown | _Record
_HEADER = re.compile(r"!\s*(type\s*:\s*)?(.*?)\s*", re.IGNORECASE)


class _Gathered:
    """The fields of the record that is open."""

    def __init__(self) -> None:
        self.fields: list[tuple[str, str]] = []
        self.place = 0
        self.size = 0

    def add(self, place: int, line: str) -> None:
        if not self.fields:
            self.place, self.size = place, 0
        self.size += len(line)
        if self.size > _LARGEST_RECORD or len(self.fields) >= _MOST_FIELDS:
            raise StatementTooLarge.at(self.place, "a record too large for a transaction")
        self.fields.append((line[0], line[1:].strip()))

    def take(self, *, ended: bool) -> _Record:
        record = _Record(self.place, tuple(self.fields), ended)
        self.fields = []
        return record


def _pieces(file: BinaryIO) -> Iterator[_Piece]:
    """The sections of transactions with their records; raises StatementEmpty without a section."""
    section = ""  # "transactions", "account", "skipped"
    account: str | None = None
    open_record = _Gathered()
    sections = 0
    for place, line in _filled(open_text(file)):
        if line[0] == "!" or line == "^":
            if open_record.fields:
                record = open_record.take(ended=line == "^")
                if section == "account":
                    account = record.first("N") or None
                else:
                    yield record
        elif section == "skipped":
            continue
        elif section:
            open_record.add(place, line)
        if line[0] != "!":
            continue
        match = _HEADER.fullmatch(line)
        is_type, name = (bool(match[1]), match[2].lower()) if match else (False, "")
        section = "skipped"
        if is_type and name in _KINDS:
            section = "transactions"
            sections += 1
            yield _Section(account, _KINDS[name])
        elif is_type and name not in _SKIPPED:
            yield _Unknown(place, name[:40])
        elif name == "account":
            section, account = "account", None
        elif name == "clear:autoswitch":
            account = None  # a list of accounts ends; it is about none in particular
