"""Rates as facts, and conversion at a date. Exact until its one rounding, half to even."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.errors import Invalid
from finora_core.kernel.events import Plain
from finora_core.kernel.outcome import Ok, Partial

PIVOT = "EUR"
"""What two currencies that no source compares directly are compared through."""
STALE_DAYS = 7
"""How old a rate may be: central banks rest at most five days in a row."""


class BadRates(Invalid):
    """The file of rates is not one that can be read; nothing of it was taken."""

    code = "BAD_RATES"


@attrs.frozen(kw_only=True)
class Rate:
    """One unit of `base` was worth `value` of `quote`, said `source`. Whole units of value, not
    the smallest: 1 EUR and not 1 cent."""

    base: str
    quote: str
    on_date: date
    value: Decimal
    source: str
    revision: int = 1


@attrs.frozen(kw_only=True)
class NoRate:
    """An asset could not be converted. `nearest` is the last day with a rate, if it is too old."""

    asset: str
    to: str
    on_date: date
    nearest: date | None = None

    def __str__(self) -> str:
        if self.nearest is None:
            return f"no rate for {self.asset} on {self.on_date}"
        return f"no rate for {self.asset} on {self.on_date}: the last one is of {self.nearest}"


@attrs.frozen
class Factor:
    """What one unit of an asset is worth in another, and the facts that say so."""

    value: Fraction
    rates: tuple[Rate, ...]

    def convert(self, amount: Amount, to: Asset) -> Amount:
        """Rounded once, half to even, to a whole unit of `to`."""
        exact = amount.units * self.value * Fraction(10) ** (to.scale - amount.asset.scale)
        return Amount(round(exact), to)


@attrs.frozen
class Sum:
    """Amounts of several assets as one. `missing` is what it leaves out, which is not zero."""

    total: Amount
    rates: tuple[Rate, ...]
    missing: tuple[NoRate, ...] = ()

    @property
    def outcome(self) -> Ok[Amount] | Partial[Amount]:
        if not self.missing:
            return Ok(self.total)
        return Partial(self.total, "; ".join(map(str, self.missing)))


@attrs.frozen
class RateTable:
    """The rates that hold around some days, ready to convert with."""

    facts: Mapping[tuple[str, str], Sequence[Rate]]
    """By (base, quote), latest day first."""
    stale_days: int = STALE_DAYS

    @classmethod
    def of(cls, rates: Iterable[Rate], stale_days: int = STALE_DAYS) -> "RateTable":
        """Of two facts of one pair and day the first given holds."""
        facts = defaultdict[tuple[str, str], dict[date, Rate]](dict)
        for rate in rates:
            facts[rate.base, rate.quote].setdefault(rate.on_date, rate)
        ordered = {
            pair: tuple(sorted(days.values(), key=lambda rate: rate.on_date, reverse=True))
            for pair, days in facts.items()
        }
        return cls(ordered, stale_days)

    def factor(self, asset: str, to: str, on: date) -> Factor | NoRate:
        """The pair itself, either way round; else through the pivot. Of two that fit, the one of
        the later day."""
        if asset == to:
            return Factor(Fraction(1), ())
        found = self._direct(asset, to, on)
        if isinstance(found, Factor) or PIVOT in (asset, to):
            return found
        one, other = self._direct(asset, PIVOT, on), self._direct(PIVOT, to, on)
        if isinstance(one, Factor) and isinstance(other, Factor):
            return Factor(one.value * other.value, (*one.rates, *other.rates))
        days = [leg.nearest for leg in (one, other) if isinstance(leg, NoRate)]
        known = [day for day in days if day is not None]
        nearest = min(known) if len(known) == len(days) else None
        return NoRate(asset=asset, to=to, on_date=on, nearest=nearest)

    def convert(self, amount: Amount, to: Asset, on: date) -> Amount | NoRate:
        factor = self.factor(amount.asset.id, to.id, on)
        return factor.convert(amount, to) if isinstance(factor, Factor) else factor

    def sum(self, amounts: Iterable[Amount], to: Asset, on: date) -> Sum:
        """Each amount converted and rounded for itself, so that what is shown adds up."""
        total, used, missing = Amount(0, to), dict[Rate, None](), dict[NoRate, None]()
        for amount in amounts:
            if not amount:
                continue
            factor = self.factor(amount.asset.id, to.id, on)
            if isinstance(factor, Factor):
                total += factor.convert(amount, to)
                used.update(dict.fromkeys(factor.rates))
            else:
                missing[factor] = None
        return Sum(total, tuple(used), tuple(missing))

    def _direct(self, asset: str, to: str, on: date) -> Factor | NoRate:
        best: Rate | None = None
        for pair in ((asset, to), (to, asset)):
            for rate in self.facts.get(pair, ()):
                if rate.on_date <= on:
                    if best is None or rate.on_date > best.on_date:
                        best = rate
                    break
        if best is None:
            return NoRate(asset=asset, to=to, on_date=on)
        if on - best.on_date > timedelta(days=self.stale_days):
            return NoRate(asset=asset, to=to, on_date=on, nearest=best.on_date)
        value = Fraction(best.value)
        return Factor(value if best.base == asset else 1 / value, (best,))


def pairs_of(assets: Iterable[str], to: str) -> list[tuple[str, str]]:
    """Every pair that a conversion of these may need, either way round."""
    wanted = {tuple(sorted((asset, other))) for asset in (*assets, to) for other in (to, PIVOT)}
    both = {(a, b) for a, b in wanted if a != b}
    return sorted(both | {(b, a) for a, b in both})


@attrs.frozen(kw_only=True)
class ImportedRates:
    """What became of a file of rates."""

    source: str
    added: int
    corrected: int
    """New revisions of what was there with another value."""
    existing: int
    unknown: tuple[str, ...] = ()
    """Codes of no known asset, which were left out."""


@attrs.frozen
class RatesImported:
    type: ClassVar[str] = "rates.imported"

    source: str
    added: int
    corrected: int

    def payload(self) -> Mapping[str, Plain]:
        return {"source": self.source, "added": self.added, "corrected": self.corrected}
