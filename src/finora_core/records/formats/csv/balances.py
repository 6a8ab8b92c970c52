"""The running balance: whether it follows from the amounts, and what it says then."""

from collections.abc import Iterator
from datetime import date
from decimal import Context, Decimal

from finora_core.plugins import StatementBalance

# Exact for any numbers that plain_number lets through. Its flags are never looked at, so threads
# may share it.
EXACT = Context(prec=400)
_add = EXACT.add


class Chain:
    """Adds up lines and compares with the balance each claims, oldest or newest line first."""

    def __init__(self) -> None:
        self.rows = 0
        self._up = self._down = True
        self._first = self._last = (Decimal(), Decimal())

    def add(self, amount: Decimal, balance: Decimal) -> None:
        """Take the next line."""
        before, claimed = self._last
        if not self.rows:
            self._first = (amount, balance)
        else:
            if self._up and _add(claimed, amount) != balance:
                self._up = False
            if self._down and _add(balance, before) != claimed:
                self._down = False
        self._last = (amount, balance)
        self.rows += 1

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
        return EXACT.subtract(earliest[1], earliest[0]), latest[1], upward


class Running:
    """The balance of one statement while its lines go by."""

    def __init__(self) -> None:
        self._chain = Chain()
        self._first: tuple[date, int] | None = None
        self._last: tuple[date, int] | None = None

    def add(self, day: date | None, place: int, balance: str, amount: str, fee: str | None) -> None:
        """Take the next line; one whose date cannot be read still moves the balance."""
        moved = Decimal(amount)
        self._chain.add(moved if fee is None else EXACT.add(moved, Decimal(fee)), Decimal(balance))
        if day is not None:
            self._last = (day, place)
            if self._first is None:
                self._first = self._last

    def break_off(self) -> None:
        self._chain.break_off()

    def items(self, least: int) -> Iterator[StatementBalance]:
        """The two balances, where at least `least` lines bear them out."""
        chain, first, last = self._chain, self._first, self._last
        if first is None or last is None or not chain.holds or chain.rows < least:
            return
        opening, closing, upward = chain.ends(first[0], last[0])
        earliest, latest = (first, last) if upward else (last, first)
        (opened, opened_at), (closed, closed_at) = earliest, latest
        yield StatementBalance(
            kind="opening", date=opened, amount=format(opening, "f"), place=opened_at
        )
        yield StatementBalance(
            kind="closing", date=closed, amount=format(closing, "f"), place=closed_at
        )
