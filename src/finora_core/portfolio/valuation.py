"""What holdings are worth, what they cost, and what was gained: exact, and rounded once where it is
shown.

The cost of what leaves is the average of what is there. What has no price has no value, and what
came without one has no cost; neither is nothing: totals leave it out and say so. Money has a value
and no gain of its own.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from uuid import UUID

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.outcome import Ok, Partial
from finora_core.market.prices.model import Factor, NoPrice, PriceTable
from finora_core.portfolio.model import (
    TRADES,
    Activity,
    ActivityKind,
    Holding,
    PortfolioAccount,
    is_currency,
)

Key = tuple[UUID, str]
"""Account and asset."""
_EARNED = frozenset({ActivityKind.REWARD, ActivityKind.AIRDROP, ActivityKind.INTEREST})


class Coverage(StrEnum):
    """How much of a total is known: of its holdings, by count."""

    FULL = "full"
    """95 % have a price that is fresh."""
    PARTIAL = "partial"
    """95 % have one, and some are old."""
    ESTIMATED = "estimated"
    """Half have one."""
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, asked: int, priced: int, stale: int) -> "Coverage":
        if not asked or (priced - stale) * 100 >= asked * 95:
            return cls.FULL
        if priced * 100 >= asked * 95:
            return cls.PARTIAL
        return cls.ESTIMATED if priced * 2 >= asked else cls.UNKNOWN


@attrs.define
class Position:
    """What happened to one holding until some time, in whole units of the base."""

    units: int = 0
    cost: Fraction = Fraction(0)
    """Of what is there."""
    unpriced: bool = False
    """Something in it came without a price, or there was no rate for it: `cost` and `realised` are
    not all."""
    realised: Fraction = Fraction(0)
    gainless: bool = False
    """Something was sold that came without a price, or for what has no rate."""
    fees: Fraction = Fraction(0)
    taxes: Fraction = Fraction(0)
    income: Fraction = Fraction(0)
    uncounted: bool = False
    """Of fees, taxes and income something had no rate."""

    def come(self, units: int, worth: Fraction | None) -> None:
        self.units += units
        if worth is None:
            self.unpriced = True
        else:
            self.cost += worth

    def leave(self, units: int, worth: Fraction | None, *, sold: bool) -> None:
        """`units` above zero."""
        cost = self.cost * units / self.units if self.units > 0 else Fraction(0)
        self.units -= units
        self.cost -= cost
        if sold and worth is not None:
            self.realised += worth - cost
        elif sold:
            self.unpriced = True
        self.gainless |= sold and self.unpriced
        if not self.units:
            self.cost = Fraction(0)

    def split(self, units: int) -> None:
        """So many more of the same, or fewer: what they cost stays. What closes the old ones may
        stand before what opens the new ones; new ones of nothing came from nobody knows where."""
        self.unpriced |= units > 0 and self.units <= 0 and not self.cost
        self.units += units


class Ledger:
    """Positions, as activities happen; given in the order of time."""

    def __init__(self, base: str, prices: PriceTable) -> None:
        self.base = base
        self.prices = prices
        self.positions: dict[Key, Position] = defaultdict(Position)

    def tell(self, activity: Activity) -> None:
        """Take one in."""
        worth = self._worth(activity)
        account, quantity, counter = activity.account_id, activity.quantity, activity.counter
        own = self.positions[account, quantity.asset.id]
        money = is_currency(quantity.asset.id)
        if not money:
            self._move(own, quantity.units, worth, activity.kind)
        if activity.kind is ActivityKind.DIVIDEND:
            own.income += self._taken(own, counter, activity.at)
        elif counter is not None and not is_currency(counter.asset.id):
            self._move(
                self.positions[account, counter.asset.id], counter.units, worth, activity.kind
            )
        if money and activity.kind is ActivityKind.INTEREST:
            own.income += self._taken(own, quantity, activity.at)
        if activity.fee or activity.tax or money:
            self._costs(activity, own)

    def _move(
        self, position: Position, units: int, worth: Fraction | None, kind: ActivityKind
    ) -> None:
        if kind is ActivityKind.SPLIT:
            position.split(units)
        elif units > 0:
            position.come(units, worth)
        elif units:
            position.leave(-units, worth, sold=kind in TRADES)

    def _costs(self, activity: Activity, own: Position) -> None:
        own.fees += self._taken(own, activity.fee, activity.at)
        own.taxes += self._taken(own, activity.tax, activity.at)
        if is_currency(activity.quantity.asset.id):
            if activity.kind is ActivityKind.FEE:
                own.fees -= self._taken(own, activity.quantity, activity.at)
            elif activity.kind is ActivityKind.TAX:
                own.taxes -= self._taken(own, activity.quantity, activity.at)
        for paid in (activity.fee, activity.tax):
            # A fee in coins is coins that leave.
            if paid and not is_currency(paid.asset.id):
                position = self.positions[activity.account_id, paid.asset.id]
                if paid.units > 0:
                    position.leave(paid.units, None, sold=False)
                else:
                    position.come(-paid.units, None)

    def _worth(self, activity: Activity) -> Fraction | None:
        """In the base, when it happened. What is earned is worth its price of then; a deposit came
        without one, unless it says which. A price that was old then is none: what something is
        worth now is shown with an old price's date, but what it cost stays in every gain after."""
        said = activity.worth
        if said is not None:
            if said[1] == self.base:
                return said[0]
            factor = self._factor(said[1], activity.at)
            return None if factor is None else said[0] * factor
        if activity.kind is ActivityKind.BUY:
            return Fraction(0)
        if activity.kind in _EARNED:
            return self._value(activity.quantity, activity.at)
        return None

    def _value(self, amount: Amount, at: datetime) -> Fraction | None:
        factor = self._factor(amount.asset.id, at)
        return None if factor is None else Fraction(amount.units, 10**amount.asset.scale) * factor

    def _factor(self, asset: str, at: datetime) -> Fraction | None:
        found = self.prices.factor(asset, self.base, at)
        return found.value if isinstance(found, Factor) and not found.stale else None

    def _taken(self, position: Position, amount: Amount | None, at: datetime) -> Fraction:
        if not amount:
            return Fraction(0)
        found = self._value(amount, at)
        if found is None:
            position.uncounted = True
            return Fraction(0)
        return found


@attrs.frozen(kw_only=True)
class HoldingValue:
    """One holding at a time. What has no price has no value here, and no gain."""

    account: PortfolioAccount
    quantity: Amount
    included: bool
    base: Asset
    factor: Factor | NoPrice
    position: Position

    @property
    def exact_value(self) -> Fraction | None:
        if isinstance(self.factor, NoPrice):
            return None if self.quantity else Fraction(0)
        whole = Fraction(self.quantity.units, 10**self.quantity.asset.scale)
        return whole * self.factor.value

    @property
    def exact_gain(self) -> Fraction | None:
        """What it is worth, and what was sold brought, over what that cost: before fees."""
        value = self.exact_value
        if value is None or self.position.unpriced or is_currency(self.quantity.asset.id):
            return None
        return value - self.position.cost + self.position.realised

    @property
    def value(self) -> Amount | None:
        return self._shown(self.exact_value)

    @property
    def invested(self) -> Amount | None:
        """What that which is there cost; None where that is not known, and of money."""
        if self.position.unpriced or is_currency(self.quantity.asset.id):
            return None
        return self._shown(self.position.cost)

    @property
    def gain(self) -> Amount | None:
        return self._shown(self.exact_gain)

    @property
    def realised(self) -> Amount | None:
        return None if self.position.unpriced else self._shown(self.position.realised)

    @property
    def fees(self) -> Amount:
        return self._sum(self.position.fees)

    @property
    def taxes(self) -> Amount:
        return self._sum(self.position.taxes)

    @property
    def income(self) -> Amount:
        return self._sum(self.position.income)

    @property
    def gain_bp(self) -> int | None:
        """Of what it cost, in basis points, rounded down; None where it cost nothing or nobody
        knows."""
        gain, cost = self.exact_gain, self.position.cost
        return None if gain is None or not cost else int(gain * 10_000 // cost)

    @property
    def stale(self) -> bool:
        return isinstance(self.factor, Factor) and self.factor.stale

    @property
    def unpriced(self) -> str | None:
        return str(self.factor) if self.value is None else None

    @property
    def costless(self) -> str | None:
        if not self.position.unpriced or is_currency(self.quantity.asset.id):
            return None
        return f"it is not known what {self.quantity.asset} cost"

    @property
    def uncounted(self) -> str | None:
        if not self.position.uncounted:
            return None
        return f"no rate for a fee, a tax or an income of {self.quantity.asset}"

    @property
    def gap(self) -> str | None:
        """What its figures lack; None: nothing."""
        return "; ".join(filter(None, (self.unpriced, self.costless, self.uncounted))) or None

    def _sum(self, exact: Fraction) -> Amount:
        return Amount(round(exact * 10**self.base.scale), self.base)

    def _shown(self, exact: Fraction | None) -> Amount | None:
        return None if exact is None else self._sum(exact)


@attrs.frozen(kw_only=True)
class Valuation:
    """What a portfolio is worth at a time. Totals are of what is included and known."""

    at: datetime
    base: Asset
    holdings: tuple[HoldingValue, ...]

    @property
    def counted(self) -> Sequence[HoldingValue]:
        """What totals are of."""
        return [each for each in self.holdings if each.included and each.quantity]

    @property
    def total(self) -> Ok[Amount] | Partial[Amount]:
        """Exact, and rounded once: the same as the day's in the history."""
        gap = told(self.counted)
        total = Amount(round(self.exact_total * 10**self.base.scale), self.base)
        return Partial(total, gap) if gap else Ok(total)

    @property
    def exact_total(self) -> Fraction:
        return sum((each.exact_value or Fraction(0) for each in self.counted), Fraction(0))

    @property
    def invested(self) -> Ok[Amount] | Partial[Amount]:
        return self._told((each.invested for each in self._owned), self._costless)

    @property
    def gain(self) -> Ok[Amount] | Partial[Amount]:
        """It rests on what they are worth now: an old price is told, as in the total."""
        gaps = [*self._costless, *filter(None, (told(self._owned),))]
        return self._told((each.gain for each in self._owned), gaps)

    @property
    def fees(self) -> Ok[Amount] | Partial[Amount]:
        return self._told((each.fees for each in self._included), self._uncounted)

    @property
    def taxes(self) -> Ok[Amount] | Partial[Amount]:
        return self._told((each.taxes for each in self._included), self._uncounted)

    @property
    def income(self) -> Ok[Amount] | Partial[Amount]:
        return self._told((each.income for each in self._included), self._uncounted)

    @property
    def coverage(self) -> Coverage:
        return Coverage.of(self.asked, self.priced, self.stale)

    @property
    def asked(self) -> int:
        return len(self.counted)

    @property
    def priced(self) -> int:
        return sum(each.value is not None for each in self.counted)

    @property
    def stale(self) -> int:
        return sum(each.stale for each in self.counted)

    @property
    def _included(self) -> Sequence[HoldingValue]:
        return [each for each in self.holdings if each.included]

    @property
    def _owned(self) -> Sequence[HoldingValue]:
        """What has a cost and a gain: no money."""
        return [each for each in self._included if not is_currency(each.quantity.asset.id)]

    @property
    def _costless(self) -> list[str]:
        return [each.costless for each in self._owned if each.costless]

    @property
    def _uncounted(self) -> list[str]:
        return [each.uncounted for each in self._included if each.uncounted]

    def _told(
        self, amounts: Iterable[Amount | None], gaps: Sequence[str]
    ) -> Ok[Amount] | Partial[Amount]:
        total = sum((each for each in amounts if each is not None), Amount(0, self.base))
        return Partial(total, "; ".join(dict.fromkeys(gaps))) if gaps else Ok(total)


def told(holdings: Iterable[HoldingValue]) -> str | None:
    """What the sum of their values lacks, or rests on though it is old; None: nothing."""
    counted = list(holdings)
    gaps = [each.unpriced for each in counted if each.unpriced]
    gaps += [
        f"the price of {each.quantity.asset} is of {each.factor.effective_at:%Y-%m-%d}"
        for each in counted
        if isinstance(each.factor, Factor) and each.factor.stale
    ]
    return "; ".join(dict.fromkeys(gaps)) or None


def wanted_of(activities: Iterable[Activity]) -> set[tuple[str, datetime]]:
    """What must be converted, and when, to know what they cost."""
    found: set[tuple[str, datetime]] = set()
    for each in activities:
        worth_in = each.worth_in
        if worth_in is not None:
            found.add((worth_in, each.at))
        elif each.kind in _EARNED:
            found.add((each.quantity.asset.id, each.at))
        for amount in (each.counter, each.fee, each.tax, each.quantity):
            if amount is not None and is_currency(amount.asset.id):
                found.add((amount.asset.id, each.at))
    return found


def valued(
    holdings: Mapping[Key, Holding],
    activities: Iterable[Activity],
    prices: PriceTable,
    base: Asset,
    at: datetime,
) -> Valuation:
    """Holdings by account and asset, with what was sold of others that are there no more."""
    ledger = Ledger(base.id, prices)
    for activity in activities:
        ledger.tell(activity)
    return Valuation(
        at=at,
        base=base,
        holdings=tuple(
            HoldingValue(
                account=holding.account,
                quantity=holding.quantity,
                included=holding.included,
                base=base,
                factor=prices.factor(holding.quantity.asset.id, base.id, at),
                position=ledger.positions[key],
            )
            for key, holding in holdings.items()
        ),
    )
