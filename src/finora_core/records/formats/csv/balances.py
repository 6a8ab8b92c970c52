"""The running balance: whether it follows from the amounts, and what it says then."""

from collections.abc import Iterator
from datetime import date
from decimal import Context, Decimal

from finora_core.plugins import StatementBalance

_PRECISION = 300  # exact for any two numbers that plain_number lets through


class Chain:
    """Adds up lines and compares with the balance each claims, oldest or newest line first."""

    def __init__(self) -> None:
        self.rows = 0
        self._up = self._down = True
        self._add = Context(prec=_PRECISION).add
        self._subtract = Context(prec=_PRECISION).subtract
        self._first = self._last = (Decimal(), Decimal())

    def add(self, amount: Decimal, balance: Decimal) -> None:
        """Take the next line."""
        before, claimed = self._last
        if not self.rows:
            self._first = (amount, balance)
        else:
            if self._up and self._add(claimed, amount) != balance:
                self._up = False
            if self._down and self._add(balance, before) != claimed:
                self._down = False
        self._last = (amount, balance)
        self.rows += 1

    def total(self, amounts: tuple[str, ...]) -> Decimal:
        """Their exact sum."""
        total = Decimal(amounts[0])
        for amount in amounts[1:]:
            total = self._add(total, Decimal(amount))
        return total

    def break_off(self) -> None:
        """A line whose amount nobody knows: no balance can be proved any more."""
        self._up = self._down = False

    @property
    def holds(self) -> bool:
        return self._up or self._down

    def ends(self, first: date, last: date) -> tuple[Decimal, Decimal, bool]:
        """Opening and closing balance, and whether the file runs upward. Where both directions
        add up, the dates of its first and last line decide."""
        upward = self._up and (not self._down or first <= last)
        earliest, latest = (self._first, self._last) if upward else (self._last, self._first)
        return self._subtract(earliest[1], earliest[0]), latest[1], upward


class Running:
    """The balance of one statement while its lines go by."""

    def __init__(self) -> None:
        self._chain = Chain()
        self._ends: list[tuple[date, int]] = []

    def add(self, day: date | None, place: int, balance: str, *amounts: str) -> None:
        """Take the next line; one whose date cannot be read still moves the balance."""
        self._chain.add(self._chain.total(amounts), Decimal(balance))
        if day is not None:
            self._ends = [self._ends[0] if self._ends else (day, place), (day, place)]

    def break_off(self) -> None:
        self._chain.break_off()

    def items(self, least: int) -> Iterator[StatementBalance]:
        """The two balances, where at least `least` lines bear them out."""
        if not self._ends or not self._chain.holds or self._chain.rows < least:
            return
        (first, first_place), (last, last_place) = self._ends
        opening, closing, upward = self._chain.ends(first, last)
        if not upward:
            first, first_place, last, last_place = last, last_place, first, first_place
        yield StatementBalance(
            kind="opening", date=first, amount=format(opening, "f"), place=first_place
        )
        yield StatementBalance(
            kind="closing", date=last, amount=format(closing, "f"), place=last_place
        )
