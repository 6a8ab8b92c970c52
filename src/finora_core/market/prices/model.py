"""Prices as facts, and the graph that converts along them. Exact until its one rounding, half to
even. What has no price is NoPrice, never 0 or 1; an old price is a factor that says it is stale."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.errors import Invalid
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
        said = f"no price for {self.asset} in {self.to} on {self.at:%Y-%m-%d}"
        return said if self.nearest is None else f"{said}: the first is of {self.nearest:%Y-%m-%d}"


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


@attrs.frozen
class PriceTable:
    """The prices that hold around some times, ready to convert with."""

    facts: Mapping[tuple[str, str], Series]
    hubs: tuple[str, ...] = HUBS
    # A table lives for one question, in which the legs between hubs come again and again.
    _legs: dict[tuple[str, str, datetime], Price | None] = attrs.field(
        factory=dict, init=False, repr=False, eq=False
    )

    @classmethod
    def of(cls, prices: Iterable[Price], display: str | None = None) -> "PriceTable":
        """Of two facts of one pair and time the first given holds. `display` is the currency that
        figures are shown in: one more asset to go through."""
        facts = defaultdict[tuple[str, str], dict[datetime, Price]](dict)
        for price in prices:
            facts[price.asset, price.quote].setdefault(price.at, price)
        ordered = {}
        for pair, by_time in facts.items():
            times = sorted(by_time)
            ordered[pair] = Series(times, [by_time[each] for each in times])
        more = (display,) if display is not None and display not in HUBS else ()
        return cls(ordered, (*HUBS, *more))

    def factor(self, asset: str, to: str, at: datetime) -> Factor | NoPrice:
        """The shortest chain of fresh facts: the pair itself, either way round, then through one
        hub, then through two. Of chains of one length the one whose oldest fact is the latest, then
        the one whose hub is named first. Where every chain is stale, the least old of all."""
        if asset == to:
            return Factor(Fraction(1), (), (asset,), at, stale=False)
        old: Factor | None = None
        for chains in (self._straight, self._one_hop, self._two_hops):
            best: tuple[bool, datetime, tuple[str, ...], tuple[Price, ...]] | None = None
            for path, legs in chains(asset, to, at):
                fresh = not any(leg.stale(at) for leg in legs)
                oldest = min(leg.at for leg in legs)
                if best is None or (fresh, oldest) > best[:2]:
                    best = (fresh, oldest, path, legs)
            if best is None:
                continue
            fresh, oldest, path, legs = best
            if fresh:
                return _factor(path, legs, oldest, stale=False)
            if old is None or oldest > old.effective_at:
                old = _factor(path, legs, oldest, stale=True)
        return old or NoPrice(asset=asset, to=to, at=at, nearest=self._next(asset, at))

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

    def _straight(self, asset: str, to: str, at: datetime) -> Iterator["_Chain"]:
        leg = self._leg(asset, to, at)
        if leg is not None:
            yield (asset, to), (leg,)

    def _one_hop(self, asset: str, to: str, at: datetime) -> Iterator["_Chain"]:
        for hub in self.hubs:
            if hub in (asset, to) or (out := self._leg(asset, hub, at)) is None:
                continue
            if (into := self._leg(hub, to, at)) is not None:
                yield (asset, hub, to), (out, into)

    def _two_hops(self, asset: str, to: str, at: datetime) -> Iterator["_Chain"]:
        for hub in self.hubs:
            if hub in (asset, to) or (out := self._leg(asset, hub, at)) is None:
                continue
            for other in self.hubs:
                if other in (asset, to, hub) or (into := self._leg(other, to, at)) is None:
                    continue
                if (across := self._leg(hub, other, at)) is not None:
                    yield (asset, hub, other, to), (out, across, into)

    def _leg(self, asset: str, to: str, at: datetime) -> Price | None:
        """The later of what the pair and its reverse say; of equal times the pair itself."""
        key = (asset, to, at)
        if key in self._legs:
            return self._legs[key]
        best: Price | None = None
        for pair in ((asset, to), (to, asset)):
            series = self.facts.get(pair)
            found = series.until(at) if series is not None else None
            if found is not None and (best is None or found.at > best.at):
                best = found
        self._legs[key] = best
        return best

    def _next(self, asset: str, at: datetime) -> datetime | None:
        later = (
            series.times[place]
            for pair, series in self.facts.items()
            if asset in pair and (place := bisect_right(series.times, at)) < len(series.times)
        )
        return min(later, default=None)


_Chain = tuple[tuple[str, ...], tuple[Price, ...]]


def _factor(
    path: tuple[str, ...], legs: tuple[Price, ...], oldest: datetime, *, stale: bool
) -> Factor:
    above = below = 1
    for asset, leg in zip(path, legs, strict=False):
        one, other = leg.value.as_integer_ratio()
        if leg.asset != asset:
            one, other = other, one
        above *= one
        below *= other
    return Factor(Fraction(above, below), legs, path, oldest, stale)


def pairs_of(assets: Iterable[str], to: str, display: str | None = None) -> list[tuple[str, str]]:
    """Every pair that a conversion of these may need, either way round."""
    hubs = {*HUBS, to, *(() if display is None else (display,))}
    wanted = {(asset, hub) for asset in {*assets, *hubs} for hub in hubs if asset != hub}
    return sorted(wanted | {(b, a) for a, b in wanted})
