"""How dates and amounts are written in this file, as far as all its lines tell."""

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from datetime import date
from decimal import Decimal
from itertools import islice
from typing import Protocol, TypeVar

import attrs

from finora_core.plugins import StatementRefused
from finora_core.records.formats.csv import dates, money
from finora_core.records.formats.csv.balances import Chain
from finora_core.records.formats.csv.columns import Columns
from finora_core.records.formats.csv.dialect import Record, Sample
from finora_core.records.formats.csv.votes import Run, Votes
from finora_core.records.formats.csv.words import words_of_cell

Rows = Generator[Record, None, None]

_EXAMPLES = 3
_BLOCK = 1000  # rows between two looks at whether the evidence suffices


@attrs.frozen(kw_only=True)
class Notation:
    """How to read the cells."""

    order: str | None = None
    """Of dates; None where every date is plain."""
    marks: Mapping[int, str]
    """Column -> its decimal mark."""
    unit: str | None = ""
    """What stands beside the amounts; None where a column gives the currency of each."""
    negative_out: bool = False
    """Whether money out is written with a minus where another column or word says it is out."""
    negative_in: bool = False
    fee: int = 0
    """0: within the amount; -1: to be taken off it; 1: to be added, being negative itself."""


@attrs.frozen
class Doubt:
    """A question the file does not answer, the answers there are, and lines they differ in."""

    question: str
    choices: tuple[tuple[Mapping[str, str], Notation], ...]
    examples: list[Record]


class _Evidence(Protocol):
    @property
    def settled(self) -> bool: ...
    def add(self, place: int, row: list[str]) -> None: ...


E = TypeVar("E", bound=_Evidence)


def gather(new: Callable[[], E], sample: Sample, whole: Callable[[], Rows]) -> E:
    """Evidence from the sample, from the whole file where the sample does not suffice."""
    evidence = new()
    for place, row in sample.rows:
        evidence.add(place, row)
    if evidence.settled or sample.complete:
        return evidence
    evidence = new()
    with closing(whole()) as rows:
        while block := list(islice(rows, _BLOCK)):
            for place, row in block:
                evidence.add(place, row)
            if evidence.settled:
                break
    return evidence


class Writing:
    """Evidence on dates and decimal marks."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._plain = 0
        self._dotted = True
        self._order: Votes[date] = Votes(dates.ORDERS)
        self._other: Votes[date] = Votes(dates.ORDERS)
        self._runs = {order: Run() for order in self._order.rivals}
        self._marks: dict[int, Votes[str]] = {at: Votes(money.MARKS) for at in columns.numeric}
        self._dated: list[Record] = []
        self._marked: list[Record] = []

    def add(self, place: int, row: list[str]) -> None:
        if self._columns.date < len(row):
            self._add_date(place, row)
        differs = False
        for at, votes in self._marks.items():
            if at < len(row):
                differs = votes.add(money.readings(row[at])) or differs
        if differs and len(self._marked) < _EXAMPLES:
            self._marked.append((place, row))

    def _add_date(self, place: int, row: list[str]) -> None:
        text = row[self._columns.date]
        found = dates.readings(text)
        for order, run in self._runs.items():
            if order in found:
                run.add(found[order])
        if dates.is_plain(found):
            self._plain += 1
        elif found:
            self._dotted = self._dotted and dates.is_dotted(text)
            if self._order.add(found) and len(self._dated) < _EXAMPLES:
                self._dated.append((place, row))
        other = self._columns.value_date
        if other is not None and other < len(row):
            found = dates.readings(row[other])
            if not dates.is_plain(found):
                self._other.add(found)

    @property
    def settled(self) -> bool:
        dated = not self._order.open or self._order.cells == 0 or self._dotted or self._mostly_plain
        marks = [votes for votes in self._marks.values() if votes.cells]
        return dated and (not marks or any(not votes.open for votes in marks))

    @property
    def _mostly_plain(self) -> bool:
        return self._order.cells * 10 <= self._plain

    def _orders(self) -> list[str | None]:
        votes = self._order
        if votes.cells == 0 or self._mostly_plain:
            return [None]
        won: list[str | None] = [*votes.winners()]
        if len(won) == 1 or not votes.open:
            return won
        if not votes.differ or self._dotted:
            return won[:1]
        if not self._other.open and len(other := self._other.winners()) == 1:
            return [*other]
        in_order = [order for order, run in self._runs.items() if run.is_sorted]
        return [*in_order] if len(in_order) == 1 else won

    def _decimals(self) -> list[dict[int, str]]:
        won = {at: votes.winners() for at, votes in self._marks.items()}
        sure = {marks[0] for marks in won.values() if len(marks) == 1}
        doubted = any(
            len(won[at]) > 1 and (votes.differ or not votes.open)
            for at, votes in self._marks.items()
        )
        if len(sure) == 1 or not doubted:
            rest = min(sure, default=".")
            return [{at: marks[0] if len(marks) == 1 else rest for at, marks in won.items()}]
        return [
            {at: marks[0] if len(marks) == 1 else mark for at, marks in won.items()}
            for mark in money.MARKS
        ]

    def notation(self, answers: Mapping[str, str]) -> Notation | Doubt:
        """What the evidence says, or the first question that it leaves open."""
        order = _choice(answers, "date_order", dates.ORDERS)
        mark = _choice(answers, "decimal", money.MARKS)
        orders = [order] if order else self._orders()
        decimals = [dict.fromkeys(self._marks, mark)] if mark else self._decimals()
        if len(orders) > 1:
            return Doubt(
                "date_order",
                tuple(
                    ({"date_order": one or ""}, Notation(order=one, marks=decimals[0]))
                    for one in orders
                ),
                self._dated,
            )
        if len(decimals) > 1:
            return Doubt(
                "decimal",
                tuple(
                    ({"decimal": one}, Notation(order=orders[0], marks=marks))
                    for one, marks in zip(money.MARKS, decimals, strict=True)
                ),
                self._marked,
            )
        return Notation(order=orders[0], marks=decimals[0])


def _choice(answers: Mapping[str, str], key: str, allowed: Iterable[str]) -> str | None:
    answer = answers.get(key)
    if answer and answer not in allowed:
        raise StatementRefused.at(key, f"{answer[:20]!r} is none of {' '.join(allowed)}")
    return answer or None


# --- signs, units, fees --------------------------------------------------------------------------


def _value(row: list[str], at: int | None, marks: Mapping[int, str]) -> Decimal | None:
    if at is None or at >= len(row):
        return None
    text = money.readings(row[at]).get(marks[at])
    return None if text is None else Decimal(text)


def _mostly_negative(values: Iterable[Decimal | None]) -> bool:
    signs = [value < 0 for value in values if value]
    return sum(signs) * 2 > len(signs)


def with_signs(notation: Notation, sample: Sample, columns: Columns) -> Notation:
    """Add what the sample says of signs and units."""
    rows = [row for _, row in sample.rows]
    out, into = columns.directions
    sides = [(columns.debit, ""), (columns.credit, "")]
    if columns.indicator is not None:
        sides = [(columns.amount, out), (columns.amount, into)]
    negative = [
        _mostly_negative(
            _value(row, at, notation.marks) for row in rows if _says(row, columns, word)
        )
        for at, word in sides
    ]
    units = (money.split(row[at])[1] for row in rows for at in columns.moving if _read(row, at))
    unit = None if columns.currency is not None else next(filter(None, units), "")
    return attrs.evolve(notation, negative_out=negative[0], negative_in=negative[1], unit=unit)


def _read(row: list[str], at: int) -> bool:
    return at < len(row) and bool(money.readings(row[at]))


def _says(row: list[str], columns: Columns, word: str) -> bool:
    at = columns.indicator
    return at is None or (at < len(row) and words_of_cell(row[at]) == word)


class AnyFee:
    """Whether a fee was ever charged; mostly none was, and there is nothing to find out."""

    def __init__(self, columns: Columns) -> None:
        self._at = columns.fee or 0
        self._none: set[str] = set()
        self.settled = False

    def add(self, place: int, row: list[str]) -> None:
        cell = row[self._at] if self._at < len(row) else ""
        if cell in self._none:
            return
        if any(not money.is_zero(one) for one in money.readings(cell).values()):
            self.settled = True
        elif len(self._none) < 1000:
            self._none.add(cell)


class Fees:
    """Evidence on whether a fee is within the amount: the running balance knows."""

    def __init__(self, columns: Columns, notation: Notation) -> None:
        self._columns, self._marks = columns, notation.marks
        self._chains = {how: Chain() for how in (0, -1, 1)}
        self._fees: list[Record] = []

    def add(self, place: int, row: list[str]) -> None:
        columns = self._columns
        fee = _value(row, columns.fee, self._marks)
        if fee and len(self._fees) < _EXAMPLES:
            self._fees.append((place, row))
        amount = _value(row, columns.amount, self._marks)
        balance = _value(row, columns.balance, self._marks)
        if amount is not None and balance is not None:
            for how, chain in self._chains.items():
                chain.add(amount + how * (fee or 0), balance)

    @property
    def settled(self) -> bool:
        """Once a fee was charged and all that it can be has been tried on enough lines."""
        return bool(self._fees) and (not self._proved or len(self._proved) == 1)

    @property
    def _proved(self) -> list[int]:
        return [how for how, chain in self._chains.items() if chain.holds and chain.rows > 1]

    def modes(self) -> list[int]:
        """The ways that are left."""
        return self._proved if len(self._proved) == 1 else [0, self.extra]

    @property
    def extra(self) -> int:
        """How a fee counts that is not within the amount."""
        values = [_value(row, self._columns.fee, self._marks) for _, row in self._fees]
        return 1 if _mostly_negative(values) else -1

    @property
    def examples(self) -> list[Record]:
        return self._fees
