"""What each column is: by its name, and by what its cells hold."""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import attrs

from finora_core.plugins import StatementRefused
from finora_core.records.formats.csv import money
from finora_core.records.formats.csv.dialect import (
    Dialect,
    Sample,
    is_date,
    is_number,
    moves_money,
)
from finora_core.records.formats.csv.words import (
    FOREIGN,
    HINTED,
    INDICATORS,
    OWN,
    is_others_account,
    plain,
    roles_of,
    words_of_cell,
)
from finora_core.records.formats.numbers import BadNumber

ROLES = (
    "date", "value_date", "amount", "debit", "credit", "indicator", "description", "counterparty",
    "currency", "category", "bank_id", "balance", "account", "fee", "state", "skip",
)  # fmt: skip
_LOOKED_AT = 500  # rows; what the first of them hold, the rest do
_MOST_NUMBERS = 8  # columns of numbers that are tried as amount and balance

_FEW = 10  # lines that are too few to tell, by its numbers alone, whose account a column has
_LETTER = re.compile(r"[^\W\d_]")
_IDENTIFIER = re.compile(r"0[0-9]+|[0-9]{8,}")
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")


@attrs.frozen(kw_only=True)
class Columns:
    """The place of each part of a line, counted from 0."""

    date: int
    value_date: int | None = None
    amount: int | None = None
    debit: int | None = None
    credit: int | None = None
    indicator: int | None = None
    directions: tuple[str, str] = ("", "")
    """What the indicator says for money out and money in."""
    description: tuple[int, ...] = ()
    counterparty: int | None = None
    currency: int | None = None
    category: int | None = None
    bank_id: int | None = None
    balance: int | None = None
    account: int | None = None
    fee: int | None = None
    state: int | None = None

    @property
    def dated(self) -> tuple[int, ...]:
        return tuple(at for at in (self.date, self.value_date) if at is not None)

    @property
    def moving(self) -> tuple[int, ...]:
        return tuple(at for at in (self.amount, self.debit, self.credit) if at is not None)

    @property
    def numeric(self) -> tuple[int, ...]:
        return self.moving + tuple(at for at in (self.fee, self.balance) if at is not None)

    def as_answer(self, width: int) -> str:
        """These columns as the answer that chooses them."""
        roles = ["skip"] * width
        for role in ROLES[:-1]:
            at = getattr(self, role)
            for place in at if isinstance(at, tuple) else (at,):
                if place is not None:
                    roles[place] = role
        return ",".join(roles)


class Column:
    """One column of the sample."""

    def __init__(self, at: int, name: str, cells: list[str]) -> None:
        self.at = at
        self.name = name
        self.cells = cells
        self.filled = [cell for cell in cells if cell]
        self.roles = roles_of(name) if name else {}

    def _percent(self, count: int) -> int:
        return count * 100 // len(self.filled) if self.filled else 0

    @cached_property
    def dates(self) -> int:
        """How many percent of its cells are dates."""
        return self._percent(sum(map(is_date, self.filled)))

    @cached_property
    def numbers(self) -> int:
        return self._percent(sum(map(is_number, self.filled)))

    @cached_property
    def codes(self) -> int:
        known = sum(len(cell) == 3 and money.code_of(cell) is not None for cell in self.filled)
        return self._percent(known)

    @cached_property
    def ibans(self) -> int:
        """How many percent of its cells look like IBANs, whatever their check digits."""
        return self._percent(sum(_IBAN.fullmatch(cell) is not None for cell in self.filled))

    @cached_property
    def mark(self) -> str:
        """The decimal mark that most cells can be read with."""
        found = [money.readings(cell) for cell in self.filled]
        return max(money.MARKS, key=lambda mark: sum(mark in one for one in found))

    @cached_property
    def values(self) -> list[Decimal | None]:
        found = (money.readings(cell).get(self.mark) for cell in self.cells)
        return [None if text is None else Decimal(text) for text in found]

    @property
    def is_full(self) -> bool:
        return len(self.filled) == len(self.cells) > 0

    @property
    def is_date(self) -> bool:
        return self.dates >= 50

    @property
    def is_number(self) -> bool:
        return self.numbers >= 50 > self.dates

    @property
    def is_money(self) -> bool:
        """Numbers, and not account numbers or ids."""
        return (
            self.is_number
            and self.numbers >= 90
            and not all(map(_IDENTIFIER.fullmatch, self.filled))
        )

    @property
    def is_text(self) -> bool:
        lettered = sum(_LETTER.search(cell) is not None for cell in self.filled)
        return (
            bool(self.filled)
            and self._percent(lettered) >= 50
            and max(self.dates, self.numbers, self.codes, self.ibans) < 50
        )

    @property
    def has_fractions(self) -> bool:
        return any(re.search(r"[-+.,]", cell) for cell in self.filled)

    @property
    def kind(self) -> str:
        if self.is_date:
            return "dates"
        if self.is_number:
            return "numbers"
        return "text" if self.filled else "empty"


def account_number(cell: str) -> str:
    """The account in a cell; a stray quote around it is the export's, not the account's."""
    return cell.strip(" \t\"'=")


def is_iban(text: str) -> bool:
    """Whether the text is an IBAN whose check digits are right."""
    bare = text.replace(" ", "").upper()
    if not _IBAN.fullmatch(bare):
        return False
    return int("".join(str(int(digit, 36)) for digit in bare[4:] + bare[:4])) % 97 == 1


def table(sample: Sample) -> list[Column]:
    """The sample by columns; its rows that move no money, such as totals, left out."""
    dialect = sample.dialect
    rows = [row for _, row in sample.rows[:_LOOKED_AT] if dialect.least <= len(row)]
    rows = [row for row in rows if moves_money(row)] or rows
    names = dialect.names or ("",) * dialect.width
    return [
        Column(at, names[at], [row[at].strip() if at < len(row) else "" for row in rows])
        for at in range(dialect.width)
    ]


# --- amounts -------------------------------------------------------------------------------------


class Spec(NamedTuple):
    """One way to find the amount, and the balance that proves it."""

    amount: Column | None = None
    debit: Column | None = None
    credit: Column | None = None
    balance: Column | None = None

    def moves(self) -> list[Decimal | None]:
        if self.amount:
            return self.amount.values
        outs = self.debit.values if self.debit else None
        ins = self.credit.values if self.credit else None
        none: list[None] = [None] * len(outs or ins or [])
        return list(map(_difference, outs or none, ins or none))


def _difference(out: Decimal | None, into: Decimal | None) -> Decimal | None:
    if out is None and into is None:
        return None
    return (into or Decimal()) - abs(out or Decimal())


def _relation(moves: Sequence[Decimal | None], balances: Sequence[Decimal | None]) -> str | None:
    """`after` where each balance follows from the one before it and the amount, whichever way the
    file runs; `before` where the balance is the one the line found."""
    pairs = [
        (move, balance)
        for move, balance in zip(moves, balances, strict=True)
        if move is not None and balance is not None
    ]
    steps = list(pairwise(pairs))
    if not steps or not any(move for move, _ in pairs):
        return None
    if all(one[1] + two[0] == two[1] for one, two in steps):
        return "after"
    if all(two[1] + one[0] == one[1] for one, two in steps):
        return "after"
    if all(one[1] + one[0] == two[1] for one, two in steps):
        return "before"
    return "before" if all(two[1] + two[0] == one[1] for one, two in steps) else None


def _proved(specs: list[Spec], balances: list[Column]) -> list[Spec]:
    """The specs that a running balance bears out, with that balance; else all of them."""
    found: dict[str, list[Spec]] = {"after": [], "before": []}
    for spec in specs:
        moves = spec.moves()
        for balance in balances:
            if balance not in spec and (how := _relation(moves, balance.values)):
                found[how].append(spec._replace(balance=balance if how == "after" else None))
    return found["after"] or found["before"] or specs


def _never_both(one: Column, two: Column) -> bool:
    """Two columns of which each row fills one: money out and money in."""
    rows = list(zip(one.values, two.values, strict=True))
    used = [(bool(left), bool(right)) for left, right in rows]
    return (True, False) in used and (False, True) in used and (True, True) not in used


def _pairs(columns: list[Column]) -> list[Spec]:
    specs = []
    for at, one in enumerate(columns):
        for two in columns[at + 1 :]:
            if not _never_both(one, two):
                continue
            signs = [any((value or 0) < 0 for value in column.values) for column in (one, two)]
            if signs != [False, True]:
                specs.append(Spec(debit=one, credit=two))
            if signs != [True, False]:
                specs.append(Spec(debit=two, credit=one))
    return specs


def _unnamed_amounts(free: list[Column]) -> list[Spec]:
    """Amounts by their cells alone."""
    numbers = [column for column in free if column.is_money]
    numbers = [column for column in numbers if column.has_fractions] or numbers
    numbers = numbers[:_MOST_NUMBERS]
    specs = _pairs(numbers) or [Spec(amount=column) for column in numbers]
    return _proved(specs, numbers)


def _pick(columns: Iterable[Column], role: str) -> list[Column]:
    """The columns whose name can mean `role`, the likeliest first."""
    named = [column for column in columns if role in column.roles]
    return sorted(named, key=lambda column: (column.roles[role], column.at))


def _named_amounts(columns: list[Column]) -> list[Spec]:
    amounts = [column for column in _pick(columns, "amount") if column.is_number]
    debit, credit = (
        next((c for c in _pick(columns, role) if c.is_number or not c.filled), None)
        for role in ("debit", "credit")
    )
    split = Spec(debit=debit, credit=credit)
    used = (debit and debit.filled) or (credit and credit.filled)
    signed = any((value or 0) < 0 for column in amounts[:1] for value in column.values)
    if used and (not amounts or (debit and credit and not signed)):
        return [split]
    best = [column for column in amounts if column.roles["amount"] == amounts[0].roles["amount"]]
    distinct = {tuple(column.cells): column for column in reversed(best)}
    return [Spec(amount=column) for column in sorted(distinct.values(), key=lambda c: c.at)]


def _amounts(columns: list[Column], taken: set[int]) -> list[Spec]:
    balances = [column for column in _pick(columns, "balance") if column.is_number]
    if specs := _named_amounts(columns):
        if len(specs) > 1:
            specs = _proved(specs, [column for column in columns if column.is_money])
        return [
            spec if spec.balance or not balances else spec._replace(balance=balances[0])
            for spec in specs
        ]
    free = [c for c in columns if c.at not in taken and not set(c.roles) - {"amount"}]
    native = [c for c in free if not FOREIGN & set(plain(c.name).split())]
    specs = _unnamed_amounts(native) or _unnamed_amounts(free)
    if balances:
        specs = [
            spec if spec.balance else spec._replace(balance=balances[0])
            for spec in _proved(specs, balances)
        ]
    return specs


# --- the rest ------------------------------------------------------------------------------------


def _dates(columns: list[Column]) -> list[Column]:
    found = [column for column in _pick(columns, "date") if column.is_date]
    if not found:
        found = [column for column in columns if column.dates >= 90]
    if found:
        return found
    # Named a date without one readable cell: every line will be set aside, with its reason.
    return [
        column
        for column in _pick(columns, "date")
        if column.roles["date"] < HINTED and max(column.numbers, column.codes) < 50
    ][:1]


def _directions(column: Column, *, named: bool) -> tuple[str, str] | None:
    said = {words_of_cell(cell) for cell in column.filled}
    return next(
        (
            pair
            for pair in INDICATORS
            if said and said <= set(pair) and (named or said == set(pair))
        ),
        None,
    )


def _tells_nothing(column: Column, pair: tuple[str, str], amount: Column) -> bool:
    """Whether the amounts carry the same sign themselves."""
    outs = [
        value
        for cell, value in zip(column.cells, amount.values, strict=True)
        if value and words_of_cell(cell) == pair[0]
    ]
    ins = [
        value
        for cell, value in zip(column.cells, amount.values, strict=True)
        if value and words_of_cell(cell) == pair[1]
    ]
    return bool(outs) and all(value < 0 for value in outs) and all(value > 0 for value in ins)


def _indicator(columns: list[Column], amount: Column) -> tuple[Column, tuple[str, str]] | None:
    for column in columns:
        named = "indicator" in column.roles
        if column is amount or not column.is_full or (column.roles and not named):
            continue
        pair = _directions(column, named=named)
        if pair and not _tells_nothing(column, pair, amount):
            return column, pair
    return None


def _currency(columns: list[Column], near: int) -> Column | None:
    named = [c for c in _pick(columns, "currency") if c.filled and all(map(_is_asset, c.filled))]
    found = named or [
        c for c in columns
        if c.codes == 100 and not c.roles and not FOREIGN & set(plain(c.name).split())
    ]  # fmt: skip
    return min(
        found,
        key=lambda c: (c.roles.get("currency", 0), c.at < near, abs(c.at - near)),
        default=None,
    )


def _is_asset(cell: str) -> bool:
    try:
        return bool(money.asset_of(cell))
    except BadNumber:
        return False


def _bank_id(columns: list[Column]) -> Column | None:
    for column in _pick(columns, "bank_id"):
        unique = column.is_full and len(set(column.filled)) == len(column.filled)
        counted = [str(number) for number in range(1, len(column.filled) + 1)]
        if unique and column.filled not in (counted, counted[::-1]) and not column.is_date:
            return column
    return None


def _accounts(columns: list[Column], counterparty: Column | None) -> list[Column | None]:
    """The own account; both it and None where a few lines leave open whose account it is."""
    doubtful: Column | None = None
    names_others = any(map(is_others_account, (column.name for column in columns)))
    for column in _pick(columns, "account"):
        if not column.is_full:
            continue
        if names_others or OWN & set(plain(column.name).split()):
            return [column]
        kinds = len(set(map(account_number, column.filled)))
        if kinds == 1 or kinds * 2 <= len(column.filled):
            # A bare number right after the payee is the payee's.
            if not counterparty or column.at != counterparty.at + 1:
                return [column]
        elif len(column.filled) <= _FEW:
            doubtful = doubtful or column
    if doubtful:
        return [doubtful, None]
    if any(column.name for column in columns):
        return [None]
    constant = (
        column for column in columns
        if column.is_full and column.ibans == 100 and len(set(column.filled)) == 1
    )  # fmt: skip
    return [next((column for column in constant if len(column.filled) > 1), None)]


def _texts(columns: list[Column], taken: set[int]) -> tuple[int, ...]:
    """Columns of text that nothing names: the description, where no column is called so."""
    free = [c for c in columns if c.at not in taken and not c.roles and c.is_text]
    varied = [c for c in free if len(set(c.filled)) > 1 or len(c.filled) < 2]
    return tuple(column.at for column in varied or free)


def _at(column: Column | None) -> int | None:
    return None if column is None else column.at


def _first(columns: Iterable[Column]) -> int | None:
    return _at(next(iter(columns), None))


def _complete(columns: list[Column], dates: list[Column], spec: Spec) -> list[Columns]:
    """Everything else, once date and amount are known."""
    taken = {column.at for column in (*dates[:2], *spec) if column}
    free = [column for column in columns if column.at not in taken]
    near = next(column.at for column in spec if column)
    directed = _indicator(free, spec.amount) if spec.amount else None
    counterparty = next((c for c in _pick(free, "counterparty") if c.filled), None)
    currency, bank_id = _currency(free, near), _bank_id(free)
    accounts = _accounts(free, counterparty)
    net = spec.amount is not None and {"net", "netto"} & set(plain(spec.amount.name).split())
    fee = next((c for c in _pick(free, "fee") if c.is_number and not net), None)
    found = [counterparty, currency, bank_id, *accounts, fee, directed[0] if directed else None]
    taken |= {column.at for column in found if column}
    described = tuple(
        column.at for column in free
        if column.at not in taken and "description" in column.roles and column.filled
    )  # fmt: skip
    taken |= set(described)
    if not described and not counterparty:
        described = _texts(free, taken)
    complete = Columns(
        date=dates[0].at,
        value_date=dates[1].at if len(dates) > 1 else None,
        amount=_at(spec.amount),
        debit=_at(spec.debit),
        credit=_at(spec.credit),
        balance=_at(spec.balance),
        indicator=directed[0].at if directed else None,
        directions=directed[1] if directed else ("", ""),
        description=described,
        counterparty=_at(counterparty),
        currency=_at(currency),
        category=_first(c for c in _pick(free, "category") if c.filled and c.at not in taken),
        bank_id=_at(bank_id),
        fee=_at(fee),
        state=_first(c for c in _pick(free, "state") if c.filled and c.at not in taken),
    )
    return [attrs.evolve(complete, account=_at(account)) for account in accounts]


# --- the answer ----------------------------------------------------------------------------------


def _answered(answer: str, columns: list[Column]) -> Columns:
    roles = [role.strip() for role in answer.split(",")]
    if unknown := [role for role in roles if role not in ROLES]:
        raise StatementRefused.at("columns", f"{unknown[0][:20]!r} is none of {', '.join(ROLES)}")
    if len(roles) > len(columns):
        raise StatementRefused.at("columns", f"names {len(roles)} columns of {len(columns)}")
    places: dict[str, list[int]] = {}
    for at, role in enumerate(roles):
        places.setdefault(role, []).append(at)
    described = tuple(places.pop("description", ()))
    places.pop("skip", None)
    if twice := [role for role, at in places.items() if len(at) > 1]:
        raise StatementRefused.at("columns", f"{twice[0]!r} can be one column only")
    one = {role: at[0] for role, at in places.items()}
    if "date" not in one or not {"amount", "debit", "credit"} & set(one):
        raise StatementRefused.at("columns", "must name date, and amount or debit or credit")
    if "amount" in one and {"debit", "credit"} & set(one):
        raise StatementRefused.at("columns", "names both amount and debit or credit")
    directions = None
    if "indicator" in one:
        directions = _directions(columns[one["indicator"]], named=True)
        if directions is None or "amount" not in one:
            raise StatementRefused.at("columns", "the indicator does not tell money out from in")
    return attrs.evolve(
        Columns(date=one["date"]), **one, description=described, directions=directions or ("", "")
    )


def _refusal(columns: list[Column], missing: str, dialect: Dialect) -> StatementRefused:
    found = ", ".join(
        f"{column.at + 1} {column.name[:40]!r} ({column.kind})" for column in columns
    )  # fmt: skip
    where = f"line {dialect.start}"
    return StatementRefused(
        f"no column can be {missing}; the columns are: {found or 'none'}. Say what they are, as "
        f"columns=date,description,amount (of: {', '.join(ROLES)})",
        details=((where, f"no column can be {missing}"),),
        facts={"columns": [column.name or f"column {column.at + 1}" for column in columns]},
    )


def assign(sample: Sample, answers: Mapping[str, str]) -> list[Columns]:
    """The ways the columns can be read, one where the file leaves no doubt."""
    columns = table(sample)
    if answer := answers.get("columns"):
        return [_answered(answer, columns)]
    if not sample.rows:
        return [_by_names(columns, sample.dialect)]
    dates = _dates(columns)
    if not dates:
        raise _refusal(columns, "a date", sample.dialect)
    specs = _amounts(columns, {column.at for column in columns if column.is_date})
    if not specs:
        raise _refusal(columns, "an amount", sample.dialect)
    found = [one for spec in specs for one in _complete(columns, dates, spec)]
    # With the account said, nothing hangs on whose the column is.
    return found if len(specs) > 1 or not answers.get("account") else found[:1]


def _by_names(columns: list[Column], dialect: Dialect) -> Columns:
    """A header without lines under it: names are all there is."""
    dates = _pick(columns, "date")
    money_columns = _pick(columns, "amount") or _pick(columns, "debit")
    if not dates or not money_columns:
        raise _refusal(columns, "an amount" if dates else "a date", dialect)
    return Columns(
        date=dates[0].at,
        amount=money_columns[0].at,
        account=_first(_pick(columns, "account")),
        currency=_first(_pick(columns, "currency")),
    )


def signature(sample: Sample) -> str:
    """Of a file without a header: how many columns, and which are dates and numbers."""
    return "".join(
        "d" if column.is_date else "n" if column.is_number else "." for column in table(sample)
    )
