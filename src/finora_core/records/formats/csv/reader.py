"""From rows to statement items, in one pass and bounded memory."""

from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter

import attrs

from finora_core.plugins import FaultyLine, StatementAccount, StatementItem, StatementLine
from finora_core.records.formats.csv import money
from finora_core.records.formats.csv.balances import Running
from finora_core.records.formats.csv.columns import Columns, account_number
from finora_core.records.formats.csv.dates import BadDate, Days
from finora_core.records.formats.csv.dialect import Dialect
from finora_core.records.formats.csv.evidence import Notation
from finora_core.records.formats.csv.words import (
    DECLINED,
    PENDING,
    is_summary,
    plain,
    words_of_cell,
)
from finora_core.records.formats.numbers import BadNumber

Row = list[str]
_MOST_ACCOUNTS = 10_000  # remembered, so that a file cannot fill the memory with them


@attrs.frozen(kw_only=True)
class Plan:
    """Everything that was decided about a file before its lines are read."""

    dialect: Dialect
    columns: Columns
    notation: Notation
    number: str | None
    asset: str | None
    asset_said: bool = False
    """Whether the caller named the currency: lines in another one carry it."""
    switches: bool = False
    """Whether lines of several accounts take turns: then no balance is one account's."""
    inverted: bool = False
    single: bool = False
    """Whether the caller named the account: the file's own account column then says nothing."""


class _Declined(Exception):
    """The line never moved money."""


# --- amounts -------------------------------------------------------------------------------------


def amount_reader(plan: Plan) -> Callable[[Row], str]:
    """A function from a row to its signed amount."""
    columns = plan.columns
    if columns.amount is None:
        read = _in_two_columns(columns, plan.notation)
    elif columns.indicator is not None:
        read = _with_indicator(columns.amount, columns.indicator, columns.directions, plan.notation)
    else:
        read = _signed(columns.amount, plan.notation)
    if not plan.inverted:
        return read
    return lambda row: money.negate(read(row))


def _signed(at: int, notation: Notation) -> Callable[[Row], str]:
    cell = money.cell_reader(notation.marks[at], notation.unit)

    def read(row: Row) -> str:
        return cell(row[at])

    return read


def _with_indicator(
    at: int, indicator: int, directions: tuple[str, str], notation: Notation
) -> Callable[[Row], str]:
    cell = money.cell_reader(notation.marks[at], notation.unit)
    out, into = directions
    flips = {out: not notation.negative_out, into: notation.negative_in}

    def read(row: Row) -> str:
        amount = cell(row[at])
        word = words_of_cell(row[indicator])
        if word not in flips:
            raise BadNumber(f"{row[indicator][:20]!r} is neither {out!r} nor {into!r}")
        return money.negate(amount) if flips[word] else amount

    return read


def _in_two_columns(columns: Columns, notation: Notation) -> Callable[[Row], str]:
    sides = [
        (at, money.cell_reader(notation.marks[at], notation.unit), flips)
        for at, flips in (
            (columns.debit, not notation.negative_out),
            (columns.credit, notation.negative_in),
        )
        if at is not None
    ]

    def read(row: Row) -> str:
        zero, found = None, None
        for at, cell, flips in sides:
            if not (text := row[at]) or text.isspace():
                continue
            amount = cell(text)
            if money.is_zero(amount):
                zero = zero or amount
            elif found is not None:
                raise BadNumber("both money out and money in")
            else:
                found = money.negate(amount) if flips else amount
        if found is None and zero is None:
            raise BadNumber("no amount")
        return found or zero or ""

    return read


def _fee_reader(plan: Plan) -> Callable[[Row], str | None] | None:
    at, how = plan.columns.fee, plan.notation.fee
    if at is None or not how:
        return None
    cell = money.cell_reader(plan.notation.marks[at], plan.notation.unit)

    def read(row: Row) -> str | None:
        if not row[at].strip() or money.is_zero(fee := cell(row[at])):
            return None
        return money.negate(fee) if (how < 0) != plan.inverted else fee

    return read


# --- lines ---------------------------------------------------------------------------------------


class _States(dict[str, bool]):
    """Cell -> whether the line is booked."""

    def __missing__(self, cell: str) -> bool:
        words = plain(cell)
        if words in DECLINED:
            raise _Declined(cell.strip())
        booked = words not in PENDING
        if len(self) < 1000:
            self[cell] = booked
        return booked


class _Assets(dict[str, str | None]):
    """Cell -> currency code."""

    def __missing__(self, cell: str) -> str | None:
        code = money.asset_of(cell) if cell.strip() else None
        if len(self) < 1000:
            self[cell] = code
        return code


def _describer(places: tuple[int, ...]) -> Callable[[Row], str]:
    if not places:
        return lambda row: ""
    if len(places) == 1:
        return itemgetter(places[0])
    cells = itemgetter(*places)
    return lambda row: " ".join(text for cell in cells(row) if (text := cell.strip()))


def line_reader(plan: Plan) -> Callable[[int, Row, str | None], StatementLine]:
    """A function from a row to its line, given the statement's currency. It runs once for every
    row of the file, so whatever can be looked up beforehand is."""
    columns = plan.columns
    date_at, value_at, state_at = columns.date, columns.value_date, columns.state
    payee_at, currency_at = columns.counterparty, columns.currency
    category_at, id_at = columns.category, columns.bank_id
    days, states, assets = Days(plan.notation.order), _States(), _Assets()
    amount_of, description_of = amount_reader(plan), _describer(columns.description)

    def read(place: int, row: Row, asset: str | None) -> StatementLine:
        booked = True if state_at is None else states[row[state_at]]
        try:
            day = days[row[date_at]]
        except BadDate:
            if value_at is None or row[date_at].strip():
                raise
            day = days[row[value_at]]
        code = None if currency_at is None else assets[row[currency_at]]
        return StatementLine(
            place=place,
            date=day,
            amount=amount_of(row),
            description=description_of(row),
            counterparty=None if payee_at is None else row[payee_at] or None,
            bank_id=None if id_at is None else row[id_at].strip() or None,
            booked=booked,
            category=None if category_at is None else row[category_at] or None,
            asset=None if code == asset else code,
            raw=row,
        )

    return read


# --- the file ------------------------------------------------------------------------------------


class _Statement:
    """The statement that is open while rows go by."""

    def __init__(self, plan: Plan) -> None:
        columns = plan.columns
        self._plan = plan
        self._read = line_reader(plan)
        self._amount = amount_reader(plan)
        self._fee = _fee_reader(plan)
        self._balance_at = columns.balance or 0
        self._balance = (
            None
            if columns.balance is None
            else money.cell_reader(plan.notation.marks[columns.balance], plan.notation.unit)
        )
        self._account_at = None if plan.single else columns.account
        self._running: Running | None = None
        self._seen: set[str | None] = set()
        self._cell: str | None = None
        self._number: str | None = None
        self.asset = plan.asset

    def items(self, records: Iterable[tuple[int, Row | None]]) -> Iterator[StatementItem]:
        dialect, account_at = self._plan.dialect, self._account_at
        least, width = dialect.least, dialect.width
        read, fee_of = self._read, self._fee
        if account_at is None:
            yield self._open(self._plan.number, None)
        for place, row in records:
            if row is None or (not least <= len(row) <= width and self._is_ragged(row)):
                if not self._seen:
                    yield self._open(self._plan.number, None)
                yield from self._odd(place, row)
                continue
            if account_at is not None and row[account_at] != self._cell:
                yield from self._turn(row, account_at)
            try:
                fee = None if fee_of is None else fee_of(row)
                line = read(place, row, self.asset)
            except (BadDate, BadNumber, _Declined, IndexError) as error:
                yield from self._fault(place, row, error)
                continue
            yield line
            if fee is not None:
                yield self._fee_line(line, fee)
            if self._running is not None:
                self._balanced(line, row, fee)
        if not self._seen:
            yield self._open(self._plan.number, None)
        yield from self._close(last=True)

    def _open(self, number: str | None, row: Row | None) -> StatementAccount:
        again = number in self._seen or len(self._seen) >= _MOST_ACCOUNTS
        if not again:
            self._seen.add(number)
        self._number = number
        proving = self._balance is not None and not again and not self._plan.switches
        self._running = Running() if proving else None
        self.asset = self._asset(row)
        name = None if number is None or any(map(str.isdigit, number)) else number
        return StatementAccount(number=number, asset=self.asset, name=name)

    def _asset(self, row: Row | None) -> str | None:
        at = self._plan.columns.currency
        if row is None or at is None or self._plan.asset_said:
            return self._plan.asset
        try:
            return money.asset_of(row[at])
        except BadNumber:
            return self._plan.asset

    def _turn(self, row: Row, account_at: int) -> Iterator[StatementItem]:
        """The row is of another account than the one before it."""
        self._cell = row[account_at]
        number = account_number(self._cell)
        if self._seen and number in ("", self._number):
            return
        yield from self._close(last=False)
        yield self._open(number or self._plan.number, row)

    def _close(self, *, last: bool) -> Iterator[StatementItem]:
        if self._running is None:
            return
        # One line proves nothing about its balance, unless nothing else is in the file.
        yield from self._running.items(1 if last and len(self._seen) == 1 else 2)

    def _fee_line(self, line: StatementLine, fee: str) -> StatementLine:
        """The fee is a movement of its own, under the name that its column has."""
        at = self._plan.columns.fee
        names = self._plan.dialect.names
        name = (names and at is not None and names[at]) or "fee"
        text = line.description or line.counterparty or ""
        return attrs.evolve(
            line,
            amount=fee,
            description=f"{name}: {text}" if text.strip() else name,
            bank_id=None,
            category=None,
        )

    def _balanced(self, line: StatementLine, row: Row, fee: str | None) -> None:
        if self._running is None or not line.booked:
            return
        if line.asset is not None:
            self._running.break_off()
            return
        balance = self._claimed(row)
        if balance is None:
            self._running.break_off()
            return
        self._running.add(line.date, line.place, balance, line.amount, fee)

    def _claimed(self, row: Row) -> str | None:
        """The balance that the row gives."""
        if self._balance is None:
            return None
        try:
            return self._balance(row[self._balance_at])
        except (BadNumber, IndexError):
            return None

    def _is_ragged(self, row: Row) -> bool:
        dialect = self._plan.dialect
        return len(row) < dialect.least or any(map(str.strip, row[dialect.width :]))

    def _odd(self, place: int, row: Row | None) -> Iterator[FaultyLine]:
        """A row with too few or too many cells, or one that a stray quote tore apart."""
        if row is None:
            yield self._aside(place, "a quoted text does not end where it should")
        elif not self._says_nothing(row):
            width = self._plan.dialect.width
            yield self._aside(place, f"has {len(row)} columns where the file has {width}")

    def _fault(self, place: int, row: Row, error: Exception) -> Iterator[FaultyLine]:
        if isinstance(error, _Declined):
            yield FaultyLine(place=place, reason=f"declined: {error}")
        elif not self._says_nothing(row) and not self._carries_over(row):
            reason = "too few columns" if isinstance(error, IndexError) else str(error)
            yield self._aside(place, reason, row)

    def _aside(self, place: int, reason: str, row: Row | None = None) -> FaultyLine:
        amount = None if row is None else _tried(self._amount, row)
        if self._running is not None:
            balance = None if row is None else self._claimed(row)
            if amount is None or balance is None or self._fee:
                self._running.break_off()
            else:
                self._running.add(None, place, balance, amount, None)
        return FaultyLine(place=place, reason=reason, amount=amount)

    def _says_nothing(self, row: Row) -> bool:
        """Blank, the header once more, or a total: no line, so nothing to report."""
        cells = [cell for cell in row if cell.strip()]
        if not cells:
            return True
        names = self._plan.dialect.names
        if names and [cell.strip() for cell in cells] == [name for name in names if name]:
            return True
        at = self._plan.columns.date
        day = row[at] if at < len(row) else ""
        return (not day.strip() or is_summary(day)) and is_summary(cells[0])

    def _carries_over(self, row: Row) -> bool:
        """A dated row that moves nothing and says that it is a balance."""
        moving = self._plan.columns.moving
        moves = any(at < len(row) and row[at].strip() for at in moving)
        return not moves and any(map(is_summary, row))


def _tried(read: Callable[[Row], str], row: Row) -> str | None:
    try:
        return read(row)
    except (BadNumber, IndexError):
        return None


def items(plan: Plan, records: Iterable[tuple[int, Row | None]]) -> Iterator[StatementItem]:
    """The statement items of a file whose plan is known."""
    return _Statement(plan).items(records)


def preview(plan: Plan, rows: Iterable[tuple[int, Row]]) -> list[StatementLine]:
    """The lines that can be read of a few rows."""
    found = (item for item in _Statement(plan).items(rows))
    return [item for item in found if isinstance(item, StatementLine)]
