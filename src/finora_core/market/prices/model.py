"""Prices as facts, and the graph that converts along them. Exact until its one rounding, half to
even. What has no price is NoPrice, never 0 or 1; an old price is a factor that says it is stale."""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import StrEnum
from fractions import Fraction
from typing import ClassVar

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.errors import Invalid
from finora_core.kernel.events import Plain
from finora_core.kernel.outcome import Ok, Partial
from finora_core.market.rates.model import Rate

HUBS = ("USD", "crypto:USDT", "EUR")
"""What two assets that no fact compares are compared through; the display currency is one more."""


class BadPrice(Invalid):
    """A price is not a finite number above zero, or compares an asset with itself."""

    code = "BAD_PRICE"


class Granularity(StrEnum):
    INTRADAY = "intraday"
    DAILY = "daily"
    EXACT = "exact"
    """Of one transaction."""


FRESH = {
    Granularity.INTRADAY: timedelta(days=7),
    Granularity.DAILY: timedelta(days=45),
    Granularity.EXACT: timedelta(days=7),
}
"""How old a fact may be before what it says is stale."""


def midnight(day: date) -> datetime:
    """Where a day's close is filed: it holds on the whole of its day, as a date has no time."""
    return datetime.combine(day, time.min, UTC)


@attrs.frozen(kw_only=True)
class Price:
    """One whole unit of `asset` was worth `value` whole units of `quote`, said `source`. A daily
    one is its day's close and filed at its midnight, UTC."""

    asset: str
    quote: str
    at: datetime
    value: Decimal
    source: str
    granularity: Granularity = Granularity.DAILY
    revision: int = 1

    def __attrs_post_init__(self) -> None:
        if not self.value.is_finite() or self.value <= 0:
            raise BadPrice(f"{self.value} {self.quote} is no price of {self.asset}")
        if self.asset == self.quote:
            raise BadPrice(f"{self.asset} has no price in itself")

    @classmethod
    def of_rate(cls, rate: Rate) -> "Price":
        """A currency's rate is the price of its base."""
        return cls(
            asset=rate.base,
            quote=rate.quote,
            at=midnight(rate.on_date),
            value=rate.value,
            source=rate.source,
            revision=rate.revision,
        )

    def stale(self, at: datetime) -> bool:
        return at - self.at > FRESH[self.granularity]


@attrs.frozen(kw_only=True)
class NoPrice:
    """No chain of facts leads from the asset to the other at that time. `nearest` is the first
    time after it from which the asset has one, if any is at hand."""

    asset: str
    to: str
    at: datetime
    nearest: datetime | None = None

    def __str__(self) -> str:
        return f"no price for {self.asset} in {self.to} on {self.at:%Y-%m-%d}"


_READ = Context(prec=28, rounding=ROUND_HALF_EVEN)


@attrs.frozen
class Factor:
    """What one whole unit of an asset is worth in another, and the facts that say so."""

    value: Fraction
    facts: tuple[Price, ...]
    path: tuple[str, ...]
    """The assets it goes along, both ends in it."""
    effective_at: datetime
    """Of the oldest fact; of an asset in itself, when it was asked for."""
    stale: bool
    """One of the facts is too old to be relied on."""

    @property
    def rate(self) -> Decimal:
        """The value to 28 digits, half to even: for reading, and not to reckon with."""
        return _READ.divide(Decimal(self.value.numerator), Decimal(self.value.denominator))

    def convert(self, amount: Amount, to: Asset) -> Amount:
        """Rounded once, half to even, to a whole unit of `to`."""
        above, below = amount.units * self.value.numerator, self.value.denominator
        shift = to.scale - amount.asset.scale
        if shift >= 0:
            above *= 10**shift
        else:
            below *= 10**-shift
        units, rest = divmod(above, below)
        if 2 * rest > below or (2 * rest == below and units % 2):
            units += 1
        return Amount(units, to)


@attrs.frozen
class Sum:
    """Amounts of several assets as one. `missing` is what it leaves out, which is not zero;
    `stale` is what is in it at a price that is too old."""

    total: Amount
    facts: tuple[Price, ...]
    missing: tuple[NoPrice, ...] = ()
    stale: tuple[tuple[str, datetime], ...] = ()
    """Each such asset, and of when its price is."""
    priced: int = 0
    """How many amounts are in the total, the stale ones too."""
    asked: int = 0
    """How many there were, those of nothing not counted."""

    @property
    def outcome(self) -> Ok[Amount] | Partial[Amount]:
        gaps = [str(each) for each in self.missing]
        gaps += [f"the price of {asset} is of {at:%Y-%m-%d}" for asset, at in self.stale]
        return Partial(self.total, "; ".join(gaps)) if gaps else Ok(self.total)


@attrs.frozen
class Series:
    """The facts of one pair, oldest first."""

    times: Sequence[datetime]
    facts: Sequence[Price]

    def until(self, at: datetime) -> Price | None:
        """The last one at that time or before."""
        place = bisect_right(self.times, at)
        return self.facts[place - 1] if place else None


@attrs.define  # Three are made for each conversion, and a frozen one takes three times as long.
class _Chain:
    """Facts one after another: the assets after the first, and what one of that is worth."""

    path: tuple[str, ...]
    legs: tuple[Price, ...]
    above: int
    below: int
    oldest: datetime
    fresh: bool

    @classmethod
    def of(cls, asset: str, to: str, leg: Price, at: datetime) -> "_Chain":
        above, below = leg.value.as_integer_ratio()
        if leg.asset != asset:
            above, below = below, above
        return cls((to,), (leg,), above, below, leg.at, not leg.stale(at))

    def then(self, more: "_Chain") -> "_Chain":
        return _Chain(
            self.path + more.path,
            self.legs + more.legs,
            self.above * more.above,
            self.below * more.below,
            self.oldest if self.oldest < more.oldest else more.oldest,
            self.fresh and more.fresh,
        )

    def factor(self, asset: str) -> Factor:
        """What one whole unit of the asset that it begins with is worth."""
        value = Fraction(self.above, self.below)
        return Factor(value, self.legs, (asset, *self.path), self.oldest, not self.fresh)


@attrs.frozen
class PriceTable:
    """The prices that hold around some times, ready to convert with."""

    series: Mapping[str, Mapping[str, tuple[Series, ...]]]
    """What compares an asset with another: the pair's own facts and those of its reverse."""
    hubs: tuple[str, ...] = HUBS
    # A table lives for one question, in which the way on from a hub comes again and again.
    _hubs: dict[str, list[tuple[str, tuple[Series, ...]]]] = attrs.field(
        factory=dict, init=False, repr=False, eq=False
    )
    _ways: dict[tuple[str, str, datetime], tuple[Sequence[_Chain], Sequence[_Chain]]] = attrs.field(
        factory=dict, init=False, repr=False, eq=False
    )

    @classmethod
    def of(cls, prices: Iterable[Price], display: str | None = None) -> "PriceTable":
        """Of two facts of one pair and time the first given holds. `display` is the currency that
        figures are shown in: one more asset to go through."""
        facts = defaultdict[tuple[str, str], dict[datetime, Price]](dict)
        for price in prices:
            facts[price.asset, price.quote].setdefault(price.at, price)
        series = defaultdict[str, dict[str, tuple[Series, ...]]](dict)
        for (asset, quote), by_time in facts.items():
            times = sorted(by_time)
            one = Series(times, [by_time[each] for each in times])
            # The pair's own first: of equal times it holds.
            series[asset][quote] = (one, *series[asset].get(quote, ()))
            series[quote][asset] = (*series[quote].get(asset, ()), one)
        more = (display,) if display is not None and display not in HUBS else ()
        return cls(series, (*HUBS, *more))

    def factor(self, asset: str, to: str, at: datetime) -> Factor | NoPrice:
        """The shortest chain of fresh facts: the pair itself, either way round, then through one
        hub, then through two; to a currency at last through another one that the asset is quoted
        in, and from that straight or through one hub. Of chains of one length the one whose oldest
        fact is the latest, then the one whose hub is named first. Where every chain is stale, the
        least old of all."""
        if asset == to:
            return Factor(Fraction(1), (), (asset,), at, stale=False)
        straight = self._leg(asset, to, at)
        old = None if straight is None else _Chain.of(asset, to, straight, at)
        if old is not None and old.fresh:
            return old.factor(asset)
        starts = [
            (_Chain.of(asset, hub, leg, at), self._onward(hub, to, at))
            for hub, leg in self._hubs_of(asset, at)
        ]
        for hubs in (0, 1):
            chosen = _best(asset, [(start, onward[hubs]) for start, onward in starts])
            if chosen is None:
                continue
            start, tail = chosen
            if start.fresh and tail.fresh:
                return start.then(tail).factor(asset)
            if old is None or min(start.oldest, tail.oldest) > old.oldest:
                old = start.then(tail)
        found = None if old is None else old.factor(asset)
        for factor in self._by_quote(asset, to, at):
            if found is None or _rank(factor) > _rank(found):
                found = factor
        return found or NoPrice(asset=asset, to=to, at=at, nearest=self._next(asset, at))

    def _by_quote(self, asset: str, to: str, at: datetime) -> Iterator[Factor]:
        if is_code(asset) or not is_code(to):
            return
        for quote in sorted(self.series.get(asset, ())):
            if not is_code(quote) or quote in self.hubs or quote == to:
                continue
            leg, rest = self._leg(asset, quote, at), self.factor(quote, to, at)
            if leg is None or isinstance(rest, NoPrice) or not 1 <= len(rest.facts) <= 2:
                continue
            first = _Chain.of(asset, quote, leg, at)
            yield Factor(
                Fraction(first.above, first.below) * rest.value,
                (leg, *rest.facts),
                (asset, *rest.path),
                min(leg.at, rest.effective_at),
                stale=rest.stale or not first.fresh,
            )

    def convert(self, amount: Amount, to: Asset, at: datetime) -> Amount | NoPrice:
        factor = self.factor(amount.asset.id, to.id, at)
        return factor.convert(amount, to) if isinstance(factor, Factor) else factor

    def sum(self, amounts: Iterable[Amount], to: Asset, at: datetime) -> Sum:
        """Each amount converted and rounded for itself, so that what is shown adds up."""
        found: dict[str, Factor | NoPrice] = {}
        units, priced, asked = 0, 0, 0
        for amount in amounts:
            if not amount:
                continue
            asked += 1
            factor = found.get(amount.asset.id)
            if factor is None:
                factor = found[amount.asset.id] = self.factor(amount.asset.id, to.id, at)
            if isinstance(factor, Factor):
                priced += 1
                units += factor.convert(amount, to).units
        factors = [(asset, each) for asset, each in found.items() if isinstance(each, Factor)]
        return Sum(
            Amount(units, to),
            facts=tuple(dict.fromkeys(fact for _, each in factors for fact in each.facts)),
            missing=tuple(each for each in found.values() if isinstance(each, NoPrice)),
            stale=tuple((asset, each.effective_at) for asset, each in factors if each.stale),
            priced=priced,
            asked=asked,
        )

    def _onward(self, hub: str, to: str, at: datetime) -> tuple[Sequence[_Chain], Sequence[_Chain]]:
        """The ways on from a hub: straight, and through one more."""
        key = (hub, to, at)
        found = self._ways.get(key)
        if found is None:
            into = [] if hub == to else self._hubs_of(to, at)
            across = dict(self._hubs_of(hub, at)) if into else {}
            found = self._ways[key] = (
                [_Chain.of(hub, to, leg, at) for last, leg in into if last == hub],
                [
                    _Chain.of(hub, last, across[last], at).then(_Chain.of(last, to, leg, at))
                    for last, leg in into
                    if last in across
                ],
            )
        return found

    def _hubs_of(self, asset: str, at: datetime) -> list[tuple[str, Price]]:
        """The hubs that an asset has a fact with at that time, in their order."""
        hubs = self._hubs.get(asset)
        if hubs is None:
            near = self.series.get(asset, {})
            hubs = self._hubs[asset] = [(hub, near[hub]) for hub in self.hubs if hub in near]
        return [(hub, leg) for hub, both in hubs if (leg := _latest(both, at)) is not None]

    def _leg(self, asset: str, to: str, at: datetime) -> Price | None:
        return _latest(self.series.get(asset, {}).get(to, ()), at)

    def _next(self, asset: str, at: datetime) -> datetime | None:
        later = (
            series.times[place]
            for both in self.series.get(asset, {}).values()
            for series in both
            if (place := bisect_right(series.times, at)) < len(series.times)
        )
        return min(later, default=None)


def _best(
    asset: str, ways: Iterable[tuple[_Chain, Iterable[_Chain]]]
) -> tuple[_Chain, _Chain] | None:
    """Of facts to a first hub, each with the ways on from there, one with one of its ways. None
    goes through what it began with."""
    best: tuple[_Chain, _Chain] | None = None
    rank: tuple[bool, datetime] | None = None
    for start, tails in ways:
        for tail in tails:
            if tail.path[0] == asset:
                continue
            oldest = start.oldest if start.oldest < tail.oldest else tail.oldest
            own = start.fresh and tail.fresh, oldest
            if rank is None or own > rank:
                rank, best = own, (start, tail)
    return best


def _latest(both: Iterable[Series], at: datetime) -> Price | None:
    """The later of what a pair and its reverse say; of equal times the pair itself."""
    best: Price | None = None
    for series in both:
        found = series.until(at)
        if found is not None and (best is None or found.at > best.at):
            best = found
    return best


def _rank(factor: Factor) -> tuple[bool, datetime]:
    return not factor.stale, factor.effective_at


_CODE = re.compile(r"[A-Z]{3}", re.ASCII)


def is_code(asset: str) -> bool:
    """Whether it is a currency, by how its id is written."""
    return _CODE.fullmatch(asset) is not None


Line = tuple[str, str, str, str, str]
"""Asset, quote, time, granularity and value as text that has been through the gate: see `line`."""


def line(price: Price) -> Line:
    at, value = price.at.astimezone(UTC).isoformat(), format(price.value, "f")
    return price.asset, price.quote, at, price.granularity.value, value


@attrs.frozen(kw_only=True)
class ImportedPrices:
    """What became of some prices."""

    source: str
    added: int
    corrected: int
    """New revisions of what was there with another value."""
    existing: int
    unknown: tuple[str, ...] = ()
    """Ids of no known asset, whose prices were left out."""


@attrs.frozen
class PricesImported:
    type: ClassVar[str] = "prices.imported"

    source: str
    added: int
    corrected: int

    def payload(self) -> Mapping[str, Plain]:
        return {"source": self.source, "added": self.added, "corrected": self.corrected}


_SOURCE = re.compile(r"[a-z][a-z0-9._-]{0,63}", re.ASCII)
_TRADED = re.compile(r"[A-Z]{3}|(isin|ticker):.*")


class BadSource(Invalid):
    """The name of a source is lower-case letters, digits and `._-`, beginning with a letter."""

    code = "BAD_SOURCE"


class BadSpan(Invalid):
    """The span ends before it begins, or more is asked for at once than is answered."""

    code = "BAD_SPAN"


def checked_source(source: str) -> str:
    if not _SOURCE.fullmatch(source):
        raise BadSource(f"{source[:40]!r} is no name of a source")
    return source


@attrs.frozen
class Converted:
    """An amount in another asset. Without a price there is no result, and `by` says so."""

    amount: Amount
    at: datetime
    result: Amount | None
    by: Factor | NoPrice

    @property
    def outcome(self) -> Ok[Amount] | Partial[Amount | None]:
        if isinstance(self.by, NoPrice):
            return Partial(None, str(self.by))
        if self.result is not None and not self.by.stale:
            return Ok(self.result)
        asset = self.amount.asset.id
        return Partial(self.result, f"the price of {asset} is of {self.by.effective_at:%Y-%m-%d}")


@attrs.frozen(kw_only=True)
class Coverage:
    """Of how many days an asset has a price in another, and of which runs of them not."""

    asset: str
    to: str
    days: int
    priced: int
    """With a price, too old ones among them."""
    stale: int
    missing: int
    first: datetime | None
    """Of the oldest price that was used, and of the latest."""
    last: datetime | None

    @classmethod
    def of(cls, asset: str, to: str, found: Sequence[Factor | NoPrice]) -> "Coverage":
        factors = [each for each in found if isinstance(each, Factor)]
        times = [each.effective_at for each in factors]
        return cls(
            asset=asset,
            to=to,
            days=len(found),
            priced=len(factors),
            stale=sum(each.stale for each in factors),
            missing=len(found) - len(factors),
            first=min(times, default=None),
            last=max(times, default=None),
        )


@attrs.frozen
class Gap:
    """Days, both in it, of which nobody said a price."""

    since: date
    until: date


def trades_daily(asset: str) -> bool:
    """Currencies and securities rest on Saturday and Sunday; nothing else does."""
    return not _TRADED.fullmatch(asset)


def gaps_between(known: Set[date], since: date, until: date, *, daily: bool) -> Sequence[Gap]:
    """A run goes on over days of rest, and neither begins nor ends with one."""
    found: list[Gap] = []
    open_ = False
    for number in range((until - since).days + 1):
        day = since + timedelta(number)
        if day in known:
            open_ = False
        elif daily or day.weekday() < 5:
            found[-1:] = [Gap(found[-1].since, day)] if open_ else [*found[-1:], Gap(day, day)]
            open_ = True
    return found


@attrs.frozen(kw_only=True)
class Said:
    """What one source says an asset is worth in another."""

    source: str
    quote: str
    granularity: Granularity
    facts: int
    corrected: int
    """How many of its facts it, or a repair, said otherwise later."""
    first: datetime
    last: datetime

    def stale(self, at: datetime) -> bool:
        return at - self.last > FRESH[self.granularity]


@attrs.frozen(kw_only=True)
class Course:
    """An asset in another, day by day."""

    asset: str
    said: Sequence[Said]
    """By all sources, in anything; the latest first."""
    quote: str | None
    """What the rest is in; None where nobody said a price."""
    days: Sequence[Price] = ()
    """The last price of each day that has one, oldest first."""
    gaps: Sequence[Gap] = ()
    """From the first price on."""
    corrections: Sequence[tuple[Price, ...]] = ()
    """Facts that were said otherwise later, latest first, each with all that was said of it, the
    first of it first."""
