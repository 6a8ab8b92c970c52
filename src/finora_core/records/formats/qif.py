"""QIF: one letter a field, `^` ends a record. It says neither currency nor notation.

The file is read twice: once to learn from all of it how its dates and numbers are written, once
for its lines. What the file does not tell is asked, never guessed.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from itertools import combinations, product
from typing import BinaryIO, ClassVar, Literal

import attrs

from finora_core.plugins import (
    FaultyLine,
    Reading,
    StatementAccount,
    StatementAmbiguous,
    StatementEmpty,
    StatementItem,
    StatementLine,
    StatementRefused,
    StatementTooLarge,
)
from finora_core.records.formats.numbers import BadNumber, plain_number
from finora_core.text_files import open_text, text_of_head

# Limits, each far above what a program writes.
_LARGEST_RECORD = 1 << 16
_MOST_FIELDS = 5_000
_MOST_BLANK = 10_000
_MOST_SKIPPED = 2_000_000
_MOST_PREAMBLE = 1_000
_MOST_HEADS = 200_000
_LONGEST_HEADER = 60
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
_DECIMALS = (".", ",")
_ORDERS = ("dmy", "mdy", "ymd")
# Dates that go on in one direction for so many steps do not do so by accident.
_ENOUGH_STEPS = 4
_MOST_SAMPLES = 3
_LONGEST_SAMPLE = 200


@attrs.frozen
class QifStatements:
    """Bank, cash, card and other accounts in QIF files.

    Answers: `date_order` (`dmy`, `mdy` or `ymd`) and `decimal` (`.` or `,`), asked only where the
    file can be read both ways.
    """

    name: ClassVar[str] = "qif"

    def recognises(self, head: bytes, filename: str) -> int:
        """Sure where a line begins as the headers of QIF do; a file name is a weak hint."""
        header = r"(?:^|[\r\n])\s*!(?:type\s*:|account|option\s*:|clear\s*:)"
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
                faults = _one_more(faults, item.place)
            yield item


def _one_more(faults: int, place: int) -> int:
    if faults >= _MOST_FAULTS:
        raise StatementRefused.at(place, f"more than {_MOST_FAULTS:,} lines cannot be read")
    return faults + 1


# --- pieces --------------------------------------------------------------------------------------


@attrs.frozen
class _Header:
    """A line with `!`: `kind` says what follows it (transactions, account, skipped, unknown)."""

    place: int
    kind: str
    name: str


@attrs.frozen
class _Section:
    """A `!Type:` header of transactions, under the `!Account` before it."""

    account: str | None
    kind: Literal["asset", "liability"]


@attrs.frozen
class _Unknown:
    """A header that is not known."""

    place: int
    name: str

    @property
    def reason(self) -> str:
        return f"!{self.name} is no header that is known; what follows it is left out"


@attrs.frozen
class _Record:
    """One transaction or account: its fields in their order, as (letter, text)."""

    place: int
    fields: tuple[tuple[str, str], ...]
    ended: bool
    """`^` followed; else the file or another section did."""

    def first(self, letter: str) -> str:
        """The first field of that letter, or ""."""
        return next((text for key, text in self.fields if key == letter), "")


_Piece = _Section | _Unknown | _Record


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
    named: list[str] = []  # the accounts under the last !Account: one, or the start of a list
    used = ""  # the type of the sections that stood under it
    sections = 0
    unknown: _Unknown | None = None
    header = _Header(1, "", "")
    for read in _read(file):
        if isinstance(read, _Record):
            if header.kind == "transactions":
                yield read
            elif len(named) < 2:
                named.append(read.first("N"))
            continue
        header = read
        if header.kind == "account":
            named, used = [], ""
        elif header.kind == "transactions":
            sections += 1
            account = named[0] if len(named) == 1 and used in ("", header.name) else ""
            used = header.name
            yield _Section(account or None, _KINDS[header.name])
        elif header.kind == "unknown":
            fault = _Unknown(header.place, header.name)
            unknown = unknown or fault
            yield fault
    if not sections and unknown is not None:
        raise StatementRefused.at(unknown.place, unknown.reason)
    if not sections:
        raise StatementEmpty.at(1, "there is no list of transactions in this file")


def _read(file: BinaryIO) -> Iterator[_Header | _Record]:
    """The headers, and the records of transactions and accounts, within the limits."""
    within = ""
    gathered = _Gathered()
    skipped, heads = 0, 0
    for place, line in _filled(open_text(file)):
        if line[0] not in "!^":
            if within in ("transactions", "account"):
                gathered.add(place, line)
                continue
            skipped += 1
            if not within and skipped > _MOST_PREAMBLE:
                break
            if skipped > _MOST_SKIPPED:
                raise StatementTooLarge.at(place, f"more than {_MOST_SKIPPED:,} lines of lists")
            continue
        heads += line[0] == "!" or within == "account"
        if heads > _MOST_HEADS:
            raise StatementTooLarge.at(place, f"more than {_MOST_HEADS:,} headers and accounts")
        if gathered.fields:
            yield gathered.take(ended=line[0] == "^")
        if line[0] == "!":
            kind, name = _header(line)
            if kind:
                within = kind
                yield _Header(place, kind, name)
    if gathered.fields:
        yield gathered.take(ended=False)
    if skipped and not within:
        raise StatementRefused.at(1, "there is no !Type: header: this is no QIF file")


def _header(line: str) -> tuple[str, str]:
    """What the lines after this header are ("" where it changes nothing), and its name."""
    name = re.sub(r"\s*:\s*", ":", line[1:_LONGEST_HEADER].strip().lower())
    if name == "account" or name.startswith(("option:", "clear:")):
        return ("account" if name == "account" else ""), name
    kind = name.removeprefix("type:")
    if kind != name and kind in _KINDS:
        return "transactions", kind
    return ("skipped" if kind != name and kind in _SKIPPED else "unknown"), name


def _filled(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The lines that hold a field, a header, or the end of a record that has fields."""
    blank = 0
    for place, line in lines:
        line = line.strip()
        if line and line[0] != "^":
            blank = 0
            yield place, line
            continue
        blank += 1
        if blank > _MOST_BLANK:
            raise StatementTooLarge.at(place, f"more than {_MOST_BLANK:,} empty lines")
        if line:
            yield place, line


def _sorted_out(record: _Record) -> tuple[dict[str, str], list[dict[str, str]]]:
    """The record's own fields, and those of its splits. A field that occurs twice has both texts,
    so that two transactions run into one have no readable amount and are set aside."""
    own: dict[str, str] = {}
    splits: list[dict[str, str]] = []
    for letter, text in record.fields:
        if letter == "S":
            splits.append({})
        # Some programs date the splits too.
        in_split = splits and (letter in "SE$%" or (letter == "D" and "D" in own))
        target = splits[-1] if in_split else own
        target[letter] = f"{target[letter]}\n{text}" if letter in target else text
    return own, splits


# --- notation ------------------------------------------------------------------------------------


@attrs.frozen
class _Notation:
    order: str
    decimal: str


_DATE = re.compile(r"([0-9]{1,4}) *([/.\- ]) *([0-9]{1,2}) *(['/.\- ]) *([0-9]{1,4})")
_LONGEST_DATE = 30
_PIVOT = 70


def _dates(text: str) -> Mapping[str, date]:
    """What the text says in each order of day, month and year that can read it."""
    return _dates_of_short(text) if len(text) <= _LONGEST_DATE else {}


@lru_cache(maxsize=4096)
def _dates_of_short(text: str) -> Mapping[str, date]:
    match = _DATE.fullmatch(text)
    if match is None:
        return {}
    first, second, mark, third = match[1], int(match[3]), match[4], match[5]
    if len(first) == 4:
        told = _day(first, second, third, mark="")
        return dict.fromkeys(_ORDERS, told) if told else {}
    readings = {
        "dmy": _day(third, second, first, mark),
        "mdy": _day(third, int(first), str(second), mark),
        "ymd": _day(first, second, third, mark="") if mark != "'" else None,
    }
    return {order: day for order, day in readings.items() if day is not None}


def _day(year: str, month: int, day: str, mark: str) -> date | None:
    if len(day) > 2 or not (len(year) in (2, 4) or (len(year) == 1 and mark == "'")):
        return None
    number = int(year)
    if len(year) < 4:
        # 2/14'08 was invented to say 2008; two digits alone mean what they mean elsewhere.
        number += 2000 if mark == "'" or number < _PIVOT else 1900
    try:
        return date(number, month, int(day)) if 1900 <= number < 2200 else None
    except ValueError:
        return None


def _numbers(text: str) -> Mapping[str, str]:
    """What the text says with each decimal mark that can read it."""
    readings: dict[str, str] = {}
    for decimal in _DECIMALS:
        try:
            readings[decimal] = plain_number(text, decimal)
        except BadNumber:
            continue
    return readings


class _Run:
    """Whether dates run evenly, up or down, within each section."""

    def __init__(self) -> None:
        self.even = True
        self.confirmed = 0
        self.restart()

    def restart(self) -> None:
        self.last: date | None = None
        self.rising: bool | None = None

    def take(self, day: date) -> None:
        if self.last is not None and day != self.last:
            rising = day > self.last
            if self.rising is not None:
                self.even = self.even and rising == self.rising
                self.confirmed += 1
            self.rising = rising
        self.last = day


class _DateEvidence:
    """What all the dates of a file tell of the order they are written in."""

    def __init__(self) -> None:
        self.unfit: set[str] = set()
        self.seen: set[str] = set()
        self.differing: set[tuple[str, str]] = set()
        self.dotted = self.dashed = True
        self.first_years: set[int] = set()
        self.last_years: set[int] = set()
        self.runs = {order: _Run() for order in _ORDERS}

    def take(self, text: str) -> bool:
        """Whether this date is one thing day-first and another month-first."""
        readings = _dates(text)
        if not readings:
            return False  # its line will be set aside; it tells nothing
        self.seen.update(readings)
        self.unfit.update(order for order in _ORDERS if order not in readings)
        for order, day in readings.items():
            self.runs[order].take(day)
            (self.first_years if order == "ymd" else self.last_years).add(day.year)
        differing = [
            (one, other)
            for one, other in combinations(_ORDERS, 2)
            if one in readings and other in readings and readings[one] != readings[other]
        ]
        self.differing.update(differing)
        if differing or len(readings) < len(_ORDERS):
            self.dotted = self.dotted and "." in text
            self.dashed = self.dashed and "-" in text
        return ("dmy", "mdy") in differing

    def restart(self) -> None:
        """Another account's lines follow: their dates start anew."""
        for run in self.runs.values():
            run.restart()

    def candidates(self) -> list[str]:
        """The orders that read all dates; where none does, those that read some."""
        found = [order for order in ("dmy", "mdy") if order not in self.unfit]
        # Two digits of a year come first only with dashes, and change less often than a day.
        year_first = self.dashed and len(self.first_years) <= len(self.last_years)
        if "ymd" not in self.unfit and (year_first or not found):
            found.append("ymd")
        return found or sorted(self.seen)

    def settled(self, answer: str | None) -> str | None:
        """The order to read in; None where it must be asked."""
        candidates = self.candidates()
        contradictory = self.unfit.issuperset(candidates)
        if not contradictory and not self.differing.intersection(combinations(candidates, 2)):
            return candidates[0]
        if answer in candidates:
            return answer
        if contradictory:
            return None
        if self.dotted and "dmy" in candidates:
            return "dmy"
        even = [order for order in candidates if self.runs[order].even]
        if len(even) == 1 and self.runs[even[0]].confirmed >= _ENOUGH_STEPS:
            return even[0]
        return None


class _NumberEvidence:
    """What all the numbers of a file tell of their decimal mark."""

    def __init__(self) -> None:
        self.only: set[str] = set()
        self.ambiguous = False

    def take(self, text: str) -> bool:
        """Whether this number is another with another decimal mark."""
        readings = _numbers(text)
        if len(readings) == 1:
            self.only.update(readings)
        ambiguous = len({Decimal(reading) for reading in readings.values()}) > 1
        self.ambiguous = self.ambiguous or ambiguous
        return ambiguous

    def settled(self, answer: str | None) -> str | None:
        """The decimal mark; None where it must be asked."""
        if len(self.only) == 1:
            return next(iter(self.only))
        if not self.only and not self.ambiguous:
            return "."
        return answer if answer in _DECIMALS else None


def _learnt(pieces: Iterator[_Piece], answers: Mapping[str, str]) -> _Notation:
    """How the file is written; raises StatementAmbiguous where it and the answers do not tell."""
    dates, numbers = _DateEvidence(), _NumberEvidence()
    # The first lines that a question is about, and the first of all.
    samples: dict[str, list[_Record]] = {"date_order": [], "decimal": [], "": []}
    faults = 0
    for piece in pieces:
        if isinstance(piece, _Section):
            dates.restart()
        if not isinstance(piece, _Record) or not piece.ended:
            continue
        own, splits = _sorted_out(piece)
        day, amount = own.get("D", ""), own.get("T") or own.get("U", "")
        if not _dates(day) or not _numbers(amount):
            faults = _one_more(faults, piece.place)
        parts = [numbers.take(split["$"]) for split in splits if "$" in split]
        shows = {"date_order": dates.take(day), "decimal": numbers.take(amount) or any(parts)}
        for question, kept in samples.items():
            if len(kept) < _MOST_SAMPLES and shows.get(question, True):
                kept.append(piece)
    order = dates.settled(answers.get("date_order"))
    decimal = numbers.settled(answers.get("decimal"))
    if order is None or decimal is None:
        raise _ambiguous(
            {
                "date_order": [order] if order else dates.candidates(),
                "decimal": [decimal] if decimal else list(_DECIMALS),
            },
            samples,
        )
    return _Notation(order, decimal)


def _ambiguous(
    choices: Mapping[str, list[str]], samples: Mapping[str, list[_Record]]
) -> StatementAmbiguous:
    asked = [question for question, choice in choices.items() if len(choice) > 1]
    shown = next((samples[question] for question in asked if samples[question]), samples[""])
    readings = []
    for order, decimal in product(choices["date_order"], choices["decimal"]):
        told = {"date_order": order, "decimal": decimal}
        sample = tuple(_sample(shown, _Notation(order, decimal)))
        readings.append(Reading({question: told[question] for question in asked}, sample))
    return StatementAmbiguous(" and ".join(asked), tuple(readings))


def _sample(records: list[_Record], notation: _Notation) -> Iterator[tuple[date, str, str]]:
    for record in records:
        line = _line(record, notation)
        if isinstance(line, StatementLine):
            yield line.date, line.amount, line.description[:_LONGEST_SAMPLE]


# --- items ---------------------------------------------------------------------------------------


def _items(pieces: Iterator[_Piece], notation: _Notation) -> Iterator[StatementItem]:
    account: StatementAccount | None = None
    unknown: list[_Unknown] = []
    for piece in pieces:
        if isinstance(piece, _Record):
            yield _line(piece, notation)
        elif isinstance(piece, _Unknown):
            if len(unknown) < _MOST_UNKNOWN:
                unknown.append(piece)
        else:
            opened = StatementAccount(
                number=piece.account, asset=None, name=piece.account, kind=piece.kind
            )
            # Some programs repeat the header before every record.
            if opened != account:
                yield opened
            account = opened
    for piece in unknown:
        yield FaultyLine(place=piece.place, reason=piece.reason)


def _line(record: _Record, notation: _Notation) -> StatementLine | FaultyLine:
    if not record.ended:
        return FaultyLine(place=record.place, reason="no ^ ends it: it may be cut off")
    own, splits = _sorted_out(record)
    amount: str | None = None
    try:
        amount = _amount(own, notation.decimal)
        day = _dates(_needed(own, "D", "date")).get(notation.order)
        if day is None:
            raise ValueError(f"{own['D'][:40]!r} is no date in the order {notation.order}")
    except ValueError as error:
        return FaultyLine(place=record.place, reason=str(error), amount=amount)
    return StatementLine(
        place=record.place,
        date=day,
        amount=amount,
        description=own.get("M") or own.get("P") or "",
        counterparty=own.get("P") or None,
        category=_category(own.get("L", "")),
        raw={**own, "splits": splits} if splits else own,
    )


def _amount(own: Mapping[str, str], decimal: str) -> str:
    # U is T again, for programs that allow larger amounts.
    return plain_number(own.get("T") or _needed(own, "U", "amount"), decimal)


def _needed(own: Mapping[str, str], letter: str, meaning: str) -> str:
    if not own.get(letter):
        raise ValueError(f"its {meaning} is missing")
    return own[letter]


def _category(text: str) -> str | None:
    """`Food:Groceries/Class` is `Food:Groceries`; a transfer and the mark of a split are none."""
    if text.startswith("[") or text.strip("|").lower() == "--split--":
        return None
    return text.partition("/")[0].strip() or None
