"""What the portfolio was worth at the end of every day: made of facts, stored by scope, base and
day, and made anew from the earliest day that changed.

The database joins what was held with what it was worth, span by span, and sums exactly by what
prices are in; here those sums are converted at the rates of each day, and rounded once. A day of
what has no price counts it as not priced: it is in no sum.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from uuid import UUID

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.market.prices.model import Factor, PriceTable
from finora_core.portfolio.model import Activity, PortfolioAccount, is_currency
from finora_core.portfolio.valuation import Coverage, Key, Ledger, Position

DAY = timedelta(days=1)
USER, INSTITUTION, ACCOUNT = "user", "institution", "account"
Scoped = tuple[str, str]
"""What a row is about: all of it, an institution or an account, and its id."""


def end_of(day: date) -> datetime:
    """The last moment of a day, as a balance at its end sees it."""
    return datetime.combine(day + DAY, time.min, UTC) - timedelta(microseconds=1)


@attrs.frozen
class Span:
    """So many units of an asset in an account, from a day until before another."""

    account: UUID
    asset: str
    since: date
    until: date
    units: int
    scale: int


@attrs.frozen
class Piece:
    """Of all spans of an account that are priced in `quote`: what they were worth in it, exactly,
    from a day until before another, how many they were, and from when on their price is old."""

    account: UUID
    quote: str
    since: date
    until: date
    stale_from: date | None
    worth: Fraction
    count: int


@attrs.frozen(kw_only=True)
class DayValue:
    """One scope at the end of one day."""

    day: date
    value: Amount
    cost: Amount
    """Of what is there and was bought at a known price."""
    realised: Amount
    holdings: int
    priced: int
    stale: int
    costless: int
    gainless: int = 0
    """Of how many, that are there or were, it is not known what was gained when they were sold."""

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


@attrs.define
class _Steps:
    """Changes by day, that add up to what holds on each."""

    units: dict[date, int] = attrs.field(factory=lambda: defaultdict(int))

    def span(self, since: date, until: date, amount: int) -> None:
        self.units[since] += amount
        self.units[until] -= amount


@attrs.define
class _Book:
    """What is said of one account, as changes by day."""

    worth: dict[str, dict[date, Fraction]] = attrs.field(
        factory=lambda: defaultdict(lambda: defaultdict(Fraction))
    )
    """By what it is in."""
    cost: dict[date, Fraction] = attrs.field(factory=lambda: defaultdict(Fraction))
    realised: dict[date, Fraction] = attrs.field(factory=lambda: defaultdict(Fraction))
    holdings: _Steps = attrs.field(factory=_Steps)
    stale: _Steps = attrs.field(factory=_Steps)
    costless: _Steps = attrs.field(factory=_Steps)
    gainless: _Steps = attrs.field(factory=_Steps)
    priced: dict[str, _Steps] = attrs.field(factory=lambda: defaultdict(_Steps))
    """How many holdings are in that worth, by what it is in."""


_Costs = tuple[Fraction, Fraction, bool, bool]
"""Cost, what was realised, and whether the one and the other are not all."""


class Course:
    """What was held, from one day through another, and what that cost."""

    def __init__(self, since: date, through: date, counted: frozenset[Key]) -> None:
        self.since, self.through = since, through
        self.counted = counted
        self.spans: list[Span] = []
        self.books: dict[UUID, _Book] = defaultdict(_Book)
        self._cash: dict[Key, int] = defaultdict(int)

    def walk(self, activities: Iterable[Activity], ledger: Ledger) -> None:
        """Activities in the order of time. What was before the first day is where it begins."""
        held: dict[Key, tuple[int, int]] = {}
        began: dict[Key, date] = {}
        told: dict[Key, _Costs] = {}
        day: date | None = None
        touched: dict[Key, Asset] = {}
        for activity in activities:
            on = activity.at.astimezone(UTC).date()
            if on > self.through:
                break
            if day is not None and on != day:
                self._close(day, touched, ledger, held, began, told)
                touched = {}
            day = on
            for key in ledger.tell(activity):
                touched.setdefault(key, activity.quantity.asset)
            for amount in (activity.quantity, activity.counter, activity.fee, activity.tax):
                if amount is not None:
                    touched[activity.account_id, amount.asset.id] = amount.asset
            for asset, units in activity.in_account.items():
                if is_currency(asset):
                    self._cash[activity.account_id, asset] += units
        if day is not None:
            self._close(day, touched, ledger, held, began, told)
        end = self.through + DAY
        for key, (units, scale) in held.items():
            self._span(key, began[key], end, units, scale)

    def _close(
        self,
        day: date,
        touched: Mapping[Key, Asset],
        ledger: Ledger,
        held: dict[Key, tuple[int, int]],
        began: dict[Key, date],
        told: dict[Key, _Costs],
    ) -> None:
        start = max(day, self.since)
        for key, asset in touched.items():
            if key not in self.counted:
                continue
            money = is_currency(key[1])
            position = Position() if money else ledger.positions[key]
            units = self._cash[key] if money else position.units
            before = held.get(key, (0, asset.scale))
            if before[0] != units:
                if before[0]:
                    self._span(key, began[key], start, *before)
                held[key], began[key] = (units, asset.scale), start
            if not money:
                self._tell(key, start, position, told)

    def _tell(
        self,
        key: Key,
        start: date,
        position: Position,
        told: dict[Key, _Costs],
    ) -> None:
        cost, realised, unpriced, unknown = told.get(key, (Fraction(0), Fraction(0), False, False))
        book = self.books[key[0]]
        if position.cost != cost:
            book.cost[start] += position.cost - cost
        if position.realised != realised:
            book.realised[start] += position.realised - realised
        now = position.unpriced and position.units != 0
        if now != unpriced:
            book.costless.units[start] += 1 if now else -1
        if position.gainless != unknown:
            book.gainless.units[start] += 1
        told[key] = position.cost, position.realised, now, position.gainless

    def _span(self, key: Key, since: date, until: date, units: int, scale: int) -> None:
        since = max(since, self.since)
        if not units or since >= until:
            return
        book = self.books[key[0]]
        book.holdings.span(since, until, 1)
        if is_currency(key[1]):
            whole = Fraction(units, 10**scale)
            book.worth[key[1]][since] += whole
            book.worth[key[1]][until] -= whole
            book.priced[key[1]].span(since, until, 1)
        else:
            self.spans.append(Span(key[0], key[1], since, until, units, scale))

    def hold(self, account: UUID, quantity: Amount) -> None:
        """It is there on all of the days."""
        key = (account, quantity.asset.id)
        self._span(key, self.since, self.through + DAY, quantity.units, quantity.asset.scale)

    def price(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            book = self.books[piece.account]
            book.worth[piece.quote][piece.since] += piece.worth
            book.worth[piece.quote][piece.until] -= piece.worth
            book.priced[piece.quote].span(piece.since, piece.until, piece.count)
            if piece.stale_from is not None:
                book.stale.span(piece.stale_from, piece.until, piece.count)

    @property
    def quotes(self) -> frozenset[str]:
        return frozenset(quote for book in self.books.values() for quote in book.worth)

    def days(
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
                made[key] = list(self._course(books, factors, base, before.get(scope)))
            for value in made[key]:
                yield scope, value

    def _factors(self, prices: PriceTable, base: Asset) -> Mapping[str, list[Factor | None]]:
        found: dict[str, list[Factor | None]] = {}
        for quote in self.quotes:
            row: list[Factor | None] = []
            for day in days_of(self.since, self.through):
                factor = prices.factor(quote, base.id, end_of(day))
                row.append(factor if isinstance(factor, Factor) else None)
            found[quote] = row
        return found

    def _course(
        self,
        books: Sequence[_Book],
        factors: Mapping[str, Sequence[Factor | None]],
        base: Asset,
        before: DayValue | None,
    ) -> Iterator[DayValue]:
        merged = _merged(books)
        worth: dict[str, Fraction] = defaultdict(Fraction)
        counts: dict[str, int] = defaultdict(int)
        holdings = stale = 0
        unit = 10**base.scale
        cost = Fraction(before.cost.units if before else 0, unit)
        realised = Fraction(before.realised.units if before else 0, unit)
        costless = before.costless if before else 0
        gainless = before.gainless if before else 0
        for number, day in enumerate(days_of(self.since, self.through)):
            for quote, steps in merged.worth.items():
                if day in steps:
                    worth[quote] += steps[day]
            for quote, counted in merged.priced.items():
                counts[quote] += counted.units.get(day, 0)
            cost += merged.cost.get(day, 0)
            realised += merged.realised.get(day, 0)
            holdings += merged.holdings.units.get(day, 0)
            stale += merged.stale.units.get(day, 0)
            costless += merged.costless.units.get(day, 0)
            gainless += merged.gainless.units.get(day, 0)
            total, priced, old = Fraction(0), 0, stale
            for quote, amount in worth.items():
                factor = factors[quote][number]
                if factor is not None:
                    total += amount * factor.value
                    priced += counts[quote]
                    old += counts[quote] if factor.stale else 0
            yield DayValue(
                day=day,
                value=Amount(round(total * unit), base),
                cost=Amount(round(cost * unit), base),
                realised=Amount(round(realised * unit), base),
                holdings=holdings,
                priced=priced,
                stale=min(old, priced),
                costless=costless,
                gainless=gainless,
            )


def _merged(books: Sequence[_Book]) -> _Book:
    if len(books) == 1:
        return books[0]
    found = _Book()
    for book in books:
        for quote, steps in book.worth.items():
            for day, amount in steps.items():
                found.worth[quote][day] += amount
        for quote, counted in book.priced.items():
            _add(found.priced[quote], counted)
        for day, amount in book.cost.items():
            found.cost[day] += amount
        for day, amount in book.realised.items():
            found.realised[day] += amount
        for name in ("holdings", "stale", "costless", "gainless"):
            _add(getattr(found, name), getattr(book, name))
    return found


def _add(steps: _Steps, more: _Steps) -> None:
    for day, units in more.units.items():
        steps.units[day] += units


def scopes_of(account: PortfolioAccount) -> tuple[Scoped, ...]:
    return (USER, ""), (INSTITUTION, account.institution.id), (ACCOUNT, str(account.id))


def days_of(since: date, through: date) -> Iterator[date]:
    for number in range((through - since).days + 1):
        yield since + timedelta(days=number)
