"""What the portfolio was worth at the end of every day: made of facts, stored by scope, base and
day, and made anew from the earliest day that changed.

What was held is multiplied with what it was worth in whole numbers, day by day, and summed by what
prices are in; those sums are converted at the rates of each day, and rounded once. A day of what
has no price counts it as not priced: it is in no sum.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from itertools import accumulate
from operator import add
from typing import NamedTuple
from uuid import UUID

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.market.prices.model import Factor, PriceTable
from finora_core.portfolio.columns import Column, Days, Run
from finora_core.portfolio.model import Activity, PortfolioAccount, is_currency, zero_of
from finora_core.portfolio.valuation import Coverage, Key, Ledger, Position

DAY = timedelta(days=1)
USER, INSTITUTION, ACCOUNT = "user", "institution", "account"
Scoped = tuple[str, str]
"""What a row is about: all of it, an institution or an account, and its id."""


def end_of(day: date) -> datetime:
    """The last moment of a day, as a balance at its end sees it."""
    return datetime.combine(day + DAY, time.min, UTC) - timedelta(microseconds=1)


@attrs.frozen
class Standing:
    """Some holdings of an account: together worth so much, in units of 10**-scale of `quote`. What
    has no price has no quote."""

    account: UUID
    quote: str | None
    worth: int
    scale: int
    count: int
    old: int
    """Of how many the price is too old."""


class DayValue(NamedTuple):
    """One scope at the end of one day. Ten years have thousands, which a page waits for: a tuple of
    whole numbers is made in a third of the time."""

    base: Asset
    day: date
    value_units: int
    cost_units: int
    realised_units: int
    holdings: int
    priced: int
    stale: int
    costless: int
    gainless: int = 0
    """Of how many, that are there or were, it is not known what was gained when they were sold."""

    @property
    def value(self) -> Amount:
        return Amount(self.value_units, self.base)

    @property
    def cost(self) -> Amount:
        """Of what is there and was bought at a known price."""
        return Amount(self.cost_units, self.base)

    @property
    def realised(self) -> Amount:
        return Amount(self.realised_units, self.base)

    @property
    def unrealised(self) -> Amount | None:
        """None where some of it has no price or no cost: the two are not of the same things."""
        known = self.priced == self.holdings and not self.costless
        return self.value - self.cost if known else None

    @property
    def coverage(self) -> Coverage:
        return Coverage.of(self.holdings, self.priced, self.stale)

    @property
    def gap(self) -> str | None:
        """What its figures lack; None: nothing. Coverage is a share, which one holding of a hundred
        does not change."""
        counts = (
            (self.holdings - self.priced, "without a price"),
            (self.stale, "at an old price"),
            (self.costless, "of unknown cost"),
            (self.gainless, "sold at an unknown gain"),
        )
        return "; ".join(f"{count} {said}" for count, said in counts if count) or None


@attrs.frozen
class HoldingDay:
    """One holding at the end of one day: as if there were no other."""

    quantity: Amount
    figures: DayValue


class _Steps(list[int]):
    """Changes by day, that add up to what holds on each."""

    def __init__(self, days: int) -> None:
        super().__init__([0] * (days + 1))

    def over(self, run: Run, units: int) -> None:
        self[run[0]] += units
        self[run[1]] -= units

    def join(self, more: Sequence[int]) -> None:
        self[:] = map(add, self, more)

    def course(self, before: int = 0) -> list[int]:
        return [before + units for units in accumulate(self[:-1])]


@attrs.define
class Sum:
    """Exact figures of several holdings as they change, added up and rounded once for each day.

    Fractions of a thousand holdings have no common denominator worth having: they are added as
    whole parts of a unit, each rounded down, and exactly only where what was cut off could decide
    how the sum is rounded.
    """

    changes: list[tuple[int, int, Fraction]] = attrs.field(factory=list)
    """From a day on the figure of this number is so much; in the order of days."""

    def course(self, days: int, unit: int, before: int) -> list[int]:
        """In whole units, on top of those before."""
        parts, cut = _Steps(days), _Steps(days)
        last: dict[int, tuple[int, int]] = {}
        for place, number, exact in self.changes:
            whole, rest = divmod(exact.numerator * unit << _BITS, exact.denominator)
            now, was = (whole, 1 if rest else 0), last.get(number, (0, 0))
            parts[place] += now[0] - was[0]
            cut[place] += now[1] - was[1]
            last[number] = now
        # The sum is at least `least`, and less than `more` parts above it if anything was cut off.
        return [
            before + (self._rounded(least, more, place, unit) if least or more else 0)
            for place, (least, more) in enumerate(zip(parts.course(), cut.course(), strict=True))
        ]

    def _rounded(self, least: int, more: int, place: int, unit: int) -> int:
        if not more:
            return rounded(least, 1 << _BITS)
        half = 1 << _BITS - 1
        low, high = least + half >> _BITS, least + more - 1 + half >> _BITS
        return low if low == high else round(self._exact(place) * unit)

    def _exact(self, place: int) -> Fraction:
        last = {number: exact for since, number, exact in self.changes if since <= place}
        return sum(last.values(), Fraction(0))


_BITS = 64


def rounded(above: int, below: int) -> int:
    """above / below, half to even."""
    whole, rest = divmod(above, below)
    return whole + (2 * rest > below or (2 * rest == below and whole % 2))


Unit = tuple[str, int]
"""What sums are in: of an asset, 10**-scale."""


@attrs.define
class _Book:
    """What is said of one account, by day."""

    days: int
    worth: dict[Unit, list[int]] = attrs.field(factory=dict)
    priced: dict[str, _Steps] = attrs.field(factory=dict)
    """How many holdings are in that worth, by what it is in."""
    stale: dict[str, _Steps] = attrs.field(factory=dict)
    """Of how many of those the price is too old."""
    cost: Sum = attrs.field(factory=Sum)
    realised: Sum = attrs.field(factory=Sum)
    holdings: _Steps = attrs.field(default=attrs.Factory(lambda self: _Steps(self.days), True))
    costless: _Steps = attrs.field(default=attrs.Factory(lambda self: _Steps(self.days), True))
    gainless: _Steps = attrs.field(default=attrs.Factory(lambda self: _Steps(self.days), True))

    def value(self, since: int, units: Sequence[int], worth: Sequence[int], of: Unit) -> None:
        """From a day on there are so many, each worth so much."""
        total = self.worth.get(of)
        if total is None:
            total = self.worth[of] = [0] * self.days
            self.priced.setdefault(of[0], _Steps(self.days))
            self.stale.setdefault(of[0], _Steps(self.days))
        until = since + len(units)
        total[since:until] = [
            before + many * each
            for before, many, each in zip(total[since:until], units, worth, strict=True)
        ]


@attrs.define
class _Line:
    """One holding, as the walk comes by it."""

    number: int
    book: _Book
    since: int
    """From this day on there is as much as now."""
    quantity: Amount
    costless: bool = False
    gainless: bool = False

    def tell(self, place: int, position: Position) -> None:
        self.book.cost.changes.append((place, self.number, position.cost))
        self.book.realised.changes.append((place, self.number, position.realised))
        costless = position.unpriced and position.units != 0
        if costless != self.costless:
            self.book.costless[place] += 1 if costless else -1
            self.costless = costless
        if position.gainless and not self.gainless:
            self.book.gainless[place] += 1
            self.gainless = True


class Course:
    """What was held, from one day through another, and what that cost."""

    def __init__(self, days: Days, counts: Callable[[Key], bool]) -> None:
        self.days = days
        self.counts = counts
        """Whether a holding is in totals."""
        self.several: frozenset[str] = frozenset()
        """What is valued at each day's end as money is, and not by a column: several pairs say what
        it is worth."""
        self.spans: dict[str, dict[UUID, list[tuple[Run, int]]]] = {}
        """How many there were and when, by asset and account."""
        self._scales: dict[str, int] = {}
        self.books: dict[UUID, _Book] = {}
        self._lines: dict[Key, _Line] = {}
        self._cash: dict[Key, int] = defaultdict(int)

    def walk(self, activities: Iterable[Activity], ledger: Ledger) -> None:
        """Activities in the order of time. What was before the first day is where it begins."""
        until, place = end_of(self.days.first), 0
        touched: dict[Key, Asset] = {}
        for activity in activities:
            if activity.at > until:
                self._close(place, touched, ledger)
                touched = {}
                day = activity.at.astimezone(UTC).date()
                if day > self.days.last:
                    break
                until, place = end_of(day), self.days.place(day)
            ledger.tell(activity)
            account = activity.account_id
            for amount in activity.amounts:
                touched[account, amount.asset.id] = amount.asset
            if activity.settled or is_currency(activity.quantity.asset.id):
                for asset, units in activity.in_account.items():
                    if is_currency(asset):
                        self._cash[account, asset] += units
        self._close(place, touched, ledger)
        for (account, _), line in self._lines.items():
            self._span(account, (line.since, len(self.days)), line.quantity)

    def _close(self, place: int, touched: Mapping[Key, Asset], ledger: Ledger) -> None:
        for key, asset in touched.items():
            line = self._lines.get(key)
            if line is None:
                if not self.counts(key):
                    continue
                number = len(self._lines)
                line = _Line(number, self._book(key[0]), place, zero_of(asset))
                self._lines[key] = line
            if is_currency(asset.id):
                units = self._cash[key]
            else:
                position = ledger.positions[key]
                units = position.units
                line.tell(place, position)
            if units != line.quantity.units:
                self._span(key[0], (line.since, place), line.quantity)
                line.since, line.quantity = place, Amount(units, asset)

    def _span(self, account: UUID, run: Run, quantity: Amount) -> None:
        days = run[1] - run[0]
        if not quantity or days <= 0:
            return
        asset, units = quantity.asset, quantity.units
        book = self._book(account)
        book.holdings.over(run, 1)
        if is_currency(asset.id) or asset.id in self.several:
            book.value(run[0], [units] * days, [1] * days, (asset.id, asset.scale))
            book.priced[asset.id].over(run, 1)
        self.spans.setdefault(asset.id, {}).setdefault(account, []).append((run, units))
        self._scales[asset.id] = asset.scale

    def _book(self, account: UUID) -> _Book:
        if account not in self.books:
            self.books[account] = _Book(len(self.days))
        return self.books[account]

    def stand(self, standing: Iterable[Standing]) -> None:
        """That is there on all of the days."""
        run = 0, len(self.days)
        for each in standing:
            book = self._book(each.account)
            book.holdings.over(run, each.count)
            if each.quote is not None:
                book.value(0, [1] * run[1], [each.worth] * run[1], (each.quote, each.scale))
                book.priced[each.quote].over(run, each.count)
                book.stale[each.quote].over(run, each.old)

    def price(self, columns: Iterable[Column]) -> None:
        """What was held was worth this."""
        for column in columns:
            if column.asset in self.spans:
                self._price(column)

    def _price(self, column: Column) -> None:
        scale = column.scale + self._scales[column.asset]
        for account, spans in self.spans[column.asset].items():
            book = self.books[account]
            held = self.held((account, column.asset))
            book.value(column.since, held[column.since :], column.values, (column.quote, scale))
            for run, _ in spans:
                _overlap(book.priced[column.quote], run, (column.since, len(self.days)))
                for old in column.old:
                    _overlap(book.stale[column.quote], run, old)

    def held(self, key: Key) -> list[int]:
        """How many there were, by day."""
        found = [0] * len(self.days)
        for (since, until), units in self.spans.get(key[1], {}).get(key[0], ()):
            found[since:until] = [units] * (until - since)
        return found

    @property
    def quotes(self) -> frozenset[str]:
        return frozenset(quote for book in self.books.values() for quote, _ in book.worth)

    def course(
        self,
        accounts: Iterable[PortfolioAccount],
        prices: PriceTable,
        base: Asset,
        before: Mapping[Scoped, DayValue],
    ) -> Iterator[tuple[Scoped, DayValue]]:
        """Every scope on every day, by scope. `before` is the day before the first, of which costs
        go on where nothing was walked."""
        scopes: dict[Scoped, list[_Book]] = defaultdict(list)
        for account in accounts:
            book = self.books.get(account.id)
            if book is not None:
                for scope in scopes_of(account):
                    scopes[scope].append(book)
        factors = self._factors(prices, base)
        # An institution's only account is all of it: what is of the same books is reckoned once.
        made: dict[tuple[object, ...], list[DayValue]] = {}
        for scope, books in scopes.items():
            key = (*map(id, books), before.get(scope))
            if key not in made:
                made[key] = list(self._of(books, factors, base, before.get(scope)))
            for value in made[key]:
                yield scope, value

    def _factors(self, prices: PriceTable, base: Asset) -> Mapping[str, list[Factor | None]]:
        found: dict[str, list[Factor | None]] = {}
        for quote in self.quotes:
            row: list[Factor | None] = []
            for place in range(len(self.days)):
                factor = prices.factor(quote, base.id, end_of(self.days[place]))
                row.append(factor if isinstance(factor, Factor) else None)
            found[quote] = row
        return found

    def _of(
        self,
        books: Sequence[_Book],
        factors: Mapping[str, Sequence[Factor | None]],
        base: Asset,
        before: DayValue | None,
    ) -> Iterator[DayValue]:
        days, unit = len(self.days), 10**base.scale
        book = _merged(books, days)
        worth = {quote: (sums, scale, book.priced[quote].course(), book.stale[quote].course(),
                         factors[quote])
                 for (quote, scale), sums in book.worth.items()}  # fmt: skip
        cost = book.cost.course(days, unit, before.cost_units if before else 0)
        realised = book.realised.course(days, unit, before.realised_units if before else 0)
        costless = book.costless.course(before.costless if before else 0)
        gainless = book.gainless.course(before.gainless if before else 0)
        holdings = book.holdings.course()
        for place, day in enumerate(self.days):
            above, below, priced, old = 0, 1, 0, 0
            for sums, scale, counts, stale, row in worth.values():
                factor = row[place]
                if factor is not None:
                    one = 10**scale * factor.value.denominator
                    above = above * one + sums[place] * factor.value.numerator * below
                    below *= one
                    priced += counts[place]
                    old += (counts if factor.stale else stale)[place]
            yield DayValue(
                base=base,
                day=day,
                value_units=rounded(above * unit, below),
                cost_units=cost[place],
                realised_units=realised[place],
                holdings=holdings[place],
                priced=priced,
                stale=old,
                costless=costless[place],
                gainless=gainless[place],
            )


def _overlap(steps: _Steps, one: Run, other: Run) -> None:
    both = max(one[0], other[0]), min(one[1], other[1])
    if both[0] < both[1]:
        steps.over(both, 1)


def _merged(books: Sequence[_Book], days: int) -> _Book:
    """As one; of a quote there is one sum, in its finest unit."""
    found = _Book(days)
    finest: dict[str, int] = defaultdict(int)
    for book in books:
        for quote, scale in book.worth:
            finest[quote] = max(finest[quote], scale)
    for book in books:
        for (quote, scale), sums in book.worth.items():
            unit = (quote, finest[quote])
            times = 10 ** (finest[quote] - scale)
            there = found.worth.setdefault(unit, [0] * days)
            there[:] = [total + times * more for total, more in zip(there, sums, strict=True)]
        for quote, steps in book.priced.items():
            found.priced.setdefault(quote, _Steps(days)).join(steps)
        found.cost.changes.extend(book.cost.changes)
        found.realised.changes.extend(book.realised.changes)
        found.holdings.join(book.holdings)
        for quote, steps in book.stale.items():
            found.stale.setdefault(quote, _Steps(days)).join(steps)
        found.costless.join(book.costless)
        found.gainless.join(book.gainless)
    return found


def scopes_of(account: PortfolioAccount) -> tuple[Scoped, ...]:
    return (USER, ""), (INSTITUTION, account.institution.id), (ACCOUNT, str(account.id))
