"""Accounts at institutions, and the activities that put holdings there.

A holding is a balance of the ledger: so many of one asset in one account. An activity is one thing
that happened to holdings, as a person or a broker tells it; it posts one entry, and nothing else
moves a holding. It is never changed: what was wrong is ended, which reverses its entry.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from itertools import accumulate
from typing import ClassVar
from uuid import UUID

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import CURRENCIES, Asset
from finora_core.kernel.errors import Conflict, Invalid, NotFound
from finora_core.kernel.events import Plain
from finora_core.kernel.ids import derived_id
from finora_core.kernel.scope import Scope

_CURRENCIES = frozenset(asset.id for asset in CURRENCIES)
MAX_PRICE_DIGITS = 60
MANUAL = "manual"
RECONCILED = "reconciliation"
"""The source of opening balances that observations ask for."""
DERIVED = "derived"
"""The source of those that stand for what no file has shown yet: see openings.py."""
OWN_SCALE = 8


class BadActivity(Invalid):
    """A part of the activity is missing, or has a sign or a size that its kind cannot have."""

    code = "BAD_ACTIVITY"


class ActivityNotFound(NotFound):
    """There is no such activity in this tenant."""

    code = "ACTIVITY_NOT_FOUND"


class ActivityExists(Conflict):
    """The account has an activity with this id of this source already."""

    code = "ACTIVITY_EXISTS"


class ActivityEnded(Conflict):
    """The activity was corrected or deleted before."""

    code = "ACTIVITY_ENDED"


class InsufficientHolding(Conflict):
    """More would leave the holding than there was at that time, or is needed for what left it
    later. Enter what was bought before, or an opening balance."""

    code = "INSUFFICIENT_HOLDING"


class BadPortfolioAccount(Invalid):
    """An account's institution or type is not one that is known."""

    code = "BAD_PORTFOLIO_ACCOUNT"


class InstitutionType(StrEnum):
    BANK = "bank"
    BROKER = "broker"
    CRYPTO_EXCHANGE = "crypto_exchange"
    CRYPTO_WALLET = "crypto_wallet"
    INVESTMENT_FUND = "investment_fund"
    PRIVATE_EQUITY = "private_equity"
    REAL_ESTATE = "real_estate"
    OTHER = "other"


@attrs.frozen
class Institution:
    id: str
    name: str
    type: InstitutionType


class AccountType(StrEnum):
    CHECKING = "checking"
    SAVINGS = "savings"
    CREDIT_CARD = "credit_card"
    LOAN = "loan"
    BROKERAGE = "brokerage"
    RETIREMENT = "retirement"
    CRYPTO = "crypto"
    PROPERTY = "property"
    OTHER = "other"


@attrs.frozen(kw_only=True)
class PortfolioAccount:
    """An account of the ledger, and where in the world it is."""

    id: UUID
    """The ledger account's."""
    institution: Institution
    name: str
    """At its institution: the ledger's name of it has the institution too."""
    type: AccountType
    owner: UUID
    hidden: bool = False
    """Its holdings are in no total."""
    created_at: datetime | None = None

    @property
    def ledger_name(self) -> str:
        return f"{self.institution.name}: {self.name}"


class ActivityKind(StrEnum):
    BUY = "buy"
    SELL = "sell"
    DEPOSIT = "deposit"
    WITHDRAW = "withdraw"
    TRANSFER_IN = "transfer_in"
    TRANSFER_OUT = "transfer_out"
    SWAP_IN = "swap_in"
    SWAP_OUT = "swap_out"
    FEE = "fee"
    TAX = "tax"
    REWARD = "reward"
    INTEREST = "interest"
    DIVIDEND = "dividend"
    AIRDROP = "airdrop"
    OPENING_BALANCE = "opening_balance"
    SPLIT = "split"
    UNKNOWN = "unknown"


_IN = frozenset({
    ActivityKind.BUY, ActivityKind.DEPOSIT, ActivityKind.TRANSFER_IN, ActivityKind.SWAP_IN,
    ActivityKind.REWARD, ActivityKind.AIRDROP,
})  # fmt: skip
_OUT = frozenset({
    ActivityKind.SELL, ActivityKind.WITHDRAW, ActivityKind.TRANSFER_OUT, ActivityKind.SWAP_OUT,
})  # fmt: skip
TRADES = frozenset({
    ActivityKind.BUY, ActivityKind.SELL, ActivityKind.SWAP_IN, ActivityKind.SWAP_OUT,
})  # fmt: skip
EARNED = frozenset({
    ActivityKind.REWARD, ActivityKind.INTEREST, ActivityKind.AIRDROP, ActivityKind.DIVIDEND,
})  # fmt: skip
PAID = EARNED | {ActivityKind.FEE, ActivityKind.TAX}
"""Of these an account that does not settle has seen no money."""
_SWAPS = frozenset({ActivityKind.SWAP_IN, ActivityKind.SWAP_OUT})


def is_currency(asset_id: str) -> bool:
    return asset_id in _CURRENCIES


@attrs.frozen(kw_only=True)
class Activity:
    """One thing that happened. `quantity` is signed as the holding saw it: a sale is negative. It
    is zero for what concerns an asset without moving it: a dividend, a fee."""

    id: UUID
    account_id: UUID
    kind: ActivityKind
    quantity: Amount
    at: datetime
    price: Decimal | None = None
    """Of one whole, in whole units of `quote`, as it was told; zero is a gift."""
    quote: Asset | None = None
    counter: Amount | None = None
    """The other leg, signed: the money of a trade before fees, what a swap gave, a dividend."""
    fee: Amount | None = None
    """What was paid on top; a refund is negative. So with tax."""
    tax: Amount | None = None
    settled: bool = True
    """Money of it is the account's own. Else it came from, and went to, where nobody looks: a
    source that tells of trades and not of money."""
    source: str = MANUAL
    external_id: str | None = None
    """The source's own: told apart by it, so that it comes in once."""
    note: str = ""
    entry_id: UUID | None = None
    """None where nothing moved."""
    created_by: UUID | None = None
    recorded_at: datetime | None = None
    ended_at: datetime | None = None
    """When it was corrected or deleted; its entry is reversed."""
    replaced_by: UUID | None = None

    def __attrs_post_init__(self) -> None:
        units = self.quantity.units
        if self.at.tzinfo is None:
            raise bad("at", "an instant has a time zone")
        if (self.kind in _IN and units < 0) or (self.kind in _OUT and units > 0):
            raise bad("quantity", f"of a {self.kind.value} it has the other sign")
        if self.kind is ActivityKind.DIVIDEND and (self.counter is None or units):
            raise bad("counter", "a dividend moves money, and none of what it is paid on")
        if self.kind is ActivityKind.SPLIT and is_currency(self.quantity.asset.id):
            raise bad("asset", "money is not split")
        if self.kind is ActivityKind.SPLIT and self.price is not None:
            raise bad("price", "nothing is paid for a split")
        if self.kind in _SWAPS and self.counter is None:
            raise bad("counter", "a swap says what it was against")
        if self.counter is not None:
            self._check_counter(units, self.counter)
        if (self.price is None) != (self.quote is None):
            raise bad("price", "a price and its currency come together")
        if self.price is not None and not is_price(self.price):
            raise bad("price", "it is a decimal of at most 60 digits, zero or above")
        if len(self.note) > 1_000 or len(self.source) > 64 or not self.source:
            raise bad("note", "it has at most 1000 characters, a source at most 64")
        if self.external_id is not None and not 1 <= len(self.external_id) <= 200:
            raise bad("external_id", "it has 1 to 200 characters")

    def _check_counter(self, units: int, counter: Amount) -> None:
        if self.kind not in TRADES and self.kind is not ActivityKind.DIVIDEND:
            raise bad("counter", "only a trade, a swap and a dividend have one")
        if self.kind in TRADES and units * counter.units > 0:
            raise bad("counter", "one leg goes in and the other out")
        if counter.asset == self.quantity.asset:
            raise bad("counter", "it is another asset")

    @property
    def amounts(self) -> Sequence[Amount]:
        """All that it tells of."""
        legs = (self.quantity, self.counter, self.fee, self.tax)
        return [amount for amount in legs if amount is not None]

    @property
    def moved(self) -> Mapping[str, int]:
        """What it added to, or took from, the account's holdings that are no money, by asset."""
        found = {self.quantity.asset.id: self.quantity.units}
        legs = ((self.counter, 1), (self.fee, -1), (self.tax, -1))
        for amount, sign in legs:
            if amount is not None:
                found[amount.asset.id] = found.get(amount.asset.id, 0) + sign * amount.units
        return {asset: units for asset, units in found.items() if units and not is_currency(asset)}

    @property
    def in_account(self) -> Mapping[str, int]:
        """What it added to, or took from, the account, money too: see posting.entry_of."""
        found: dict[str, int] = {}
        legs = ((self.quantity, 1), (self.counter, 1), (self.fee, -1), (self.tax, -1))
        for number, (amount, sign) in enumerate(legs):
            if amount is None:
                continue
            own = number == 0 and self.kind not in PAID
            if self.settled or own or not is_currency(amount.asset.id):
                asset = amount.asset.id
                found[asset] = found.get(asset, 0) + sign * amount.units
        return {asset: units for asset, units in found.items() if units}

    @property
    def worth(self) -> tuple[Fraction, str] | None:
        """What its quantity was worth when it happened, positive, exactly as it was told: price by
        quantity, else the money of it. None where it says neither."""
        if self.price is not None and self.quote is not None:
            above, below = self.price.as_integer_ratio()
            one = 10**self.quantity.asset.scale
            return Fraction(abs(self.quantity.units) * above, one * below), self.quote.id
        if self.counter is not None:
            asset = self.counter.asset
            return Fraction(abs(self.counter.units), 10**asset.scale), asset.id
        return None

    @property
    def worth_in(self) -> str | None:
        """What `worth` is in."""
        if self.price is not None and self.quote is not None:
            return self.quote.id
        return None if self.counter is None else self.counter.asset.id


def own_asset_of(scope: Scope, name: str) -> Asset:
    """Of one name the same thing, always; of another tenant another."""
    return Asset(f"own:{derived_id('own', str(scope.tenant_id), name)}", OWN_SCALE)


def bad(part: str, said: str) -> BadActivity:
    return BadActivity(f"{part}: {said}", details=((part, said),))


def is_price(price: Decimal) -> bool:
    """Whether it is finite, not below zero, and of a size that is computed with exactly."""
    if not price.is_finite() or price < 0:
        return False
    return len(price.as_tuple().digits) <= MAX_PRICE_DIGITS and abs(price.adjusted()) <= 40


def zero_of(asset: Asset) -> Amount:
    return Amount(0, asset)


def split_of(held: Amount, ratio: Fraction) -> Amount:
    """What a split into so many new ones for an old one adds to what was held, or takes. Raises
    BadActivity where that is not whole: brokers pay for the rest, each in a way of their own."""
    after = held.units * ratio
    if not held.units:
        raise bad("ratio", f"no {held.asset} was held then")
    if after.denominator != 1:
        raise bad(
            "ratio",
            f"{held} by {ratio.numerator} for {ratio.denominator} does not divide into units of "
            f"10**-{held.asset.scale}: say the quantity that it added or took, and enter a sale "
            "where the rest was paid for",
        )
    return Amount(int(after) - held.units, held.asset)


def with_money(activity: Activity) -> Activity:
    """A trade that says a price and no money moved as much as it was worth, rounded once to a unit
    of that money, half to even."""
    trade = activity.kind in (ActivityKind.BUY, ActivityKind.SELL)
    worth = activity.worth
    if not trade or activity.counter is not None or worth is None or activity.quote is None:
        return activity
    units = round(worth[0] * 10**activity.quote.scale)
    sign = -1 if activity.quantity.units > 0 else 1
    return attrs.evolve(activity, counter=Amount(sign * units, activity.quote) if units else None)


def short(activity: Activity, asset: str, there: int) -> InsufficientHolding:
    held = Amount(max(there, 0), activity.quantity.asset).text if (
        asset == activity.quantity.asset.id
    ) else "too little"  # fmt: skip
    return InsufficientHolding(
        f"{activity.kind.value} of {abs(activity.quantity)} on {activity.at.date()}: "
        f"{held} of {asset} is free to leave then",
        facts={"asset": asset, "available": held},
    )


class Running:
    """How much of one asset an account had at every moment, so that nothing leaves what was not
    there. Made of what is booked; what is added after must be added in the order of time."""

    def __init__(self, booked: Iterable[tuple[datetime, int]]) -> None:
        # Of one moment what came in counts first: files say minutes, and brokers fill in seconds.
        steps = sorted(booked, key=lambda step: (step[0], -step[1]))
        self._times = [at for at, _ in steps]
        after = list(accumulate((units for _, units in steps), initial=0))
        lowest, least = after[-1], [after[-1]]
        for level in reversed(after[:-1]):
            lowest = min(lowest, level)
            least.append(lowest)
        self._least = least[::-1]
        self._added = 0

    def available(self, at: datetime) -> int:
        """What may leave at that time: the least that there was from then on."""
        return self._least[bisect_right(self._times, at)] + self._added

    def add(self, units: int) -> None:
        self._added += units


def balance_at(
    at: datetime,
    seen: Sequence[tuple[datetime, int]],
    current: int | None,
    moved: Iterable[tuple[datetime, int]],
) -> int | None:
    """How much there was at a time: from the first observation at it or after, back along what
    moved; else from what there is now; else on from the last observation before. Never below zero:
    what is not known to have come cannot have been missing. None where nothing is known."""
    after = min((each for each in seen if each[0] >= at), default=None)
    if after is not None:
        found = after[1] - sum(units for when, units in moved if at < when <= after[0])
    elif current is not None:
        found = current - sum(units for when, units in moved if when > at)
    else:
        before = max((each for each in seen if each[0] < at), default=None)
        if before is None:
            return None
        found = before[1] + sum(units for when, units in moved if before[0] < when <= at)
    return max(found, 0)


@attrs.frozen(kw_only=True)
class ActivityFilter:
    account_id: UUID | None = None
    asset: str | None = None
    kind: ActivityKind | None = None
    source: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    ended: bool = False
    """Also those that were corrected or deleted."""


@attrs.frozen(kw_only=True)
class Holding:
    """So many of an asset in an account: a balance of the ledger."""

    account: PortfolioAccount
    quantity: Amount
    included: bool = True
    """In totals. What is hidden, or worth nothing but trouble, is not."""


class OwnAssetNotFound(NotFound):
    """The tenant has no such thing of its own."""

    code = "OWN_ASSET_NOT_FOUND"


class ObservationExists(Conflict):
    """Another quantity was observed there, at that time, by that source."""

    code = "OBSERVATION_EXISTS"


class ObservationSource(StrEnum):
    SYNC_CAPTURE = "sync-capture"
    STATEMENT_CLOSE = "statement-close"
    SCREENSHOT = "screenshot"
    USER_ENTERED = "user-entered"
    MANUAL_CORRECTION = "manual-correction"


@attrs.frozen(kw_only=True)
class Observation:
    """So much was seen in a holding at that time."""

    account_id: UUID
    quantity: Amount
    at: datetime
    source: ObservationSource

    def __attrs_post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise bad("at", "an instant has a time zone")


@attrs.frozen(kw_only=True)
class OwnAsset:
    """A thing of the tenant's own: a flat, a share of a firm."""

    asset: Asset
    name: str
    quote: str
    """What it is priced in."""

    def __attrs_post_init__(self) -> None:
        if not 1 <= len(self.name) <= 200 or not self.name.isprintable():
            raise bad("name", "1 to 200 printable characters")


@attrs.frozen(kw_only=True)
class OwnPrice:
    """What somebody said it was worth at that time, and who changed it when."""

    asset: str
    quote: str
    at: datetime
    value: Decimal
    previous: Decimal | None
    """What held before of that time, or else of the latest before it."""
    revision: int
    reason: str
    set_by: UUID
    recorded_at: datetime


@attrs.frozen(kw_only=True)
class HoldingObserved:
    type: ClassVar[str] = "holding.observed"

    account_id: UUID
    quantity: Amount
    at: datetime
    source: str

    def payload(self) -> Mapping[str, Plain]:
        return {
            "account": str(self.account_id),
            "units": str(self.quantity.units),
            "asset": self.quantity.asset.id,
            "since": self.at.date().isoformat(),
            "source": self.source,
        }


@attrs.frozen
class OwnAssetAdded:
    type: ClassVar[str] = "own_asset.added"

    asset: str

    def payload(self) -> Mapping[str, Plain]:
        return {"asset": self.asset}


@attrs.frozen(kw_only=True)
class OwnPriceSet:
    type: ClassVar[str] = "own_price.set"

    asset: str
    at: datetime
    revision: int

    def payload(self) -> Mapping[str, Plain]:
        since = self.at.date().isoformat()
        return {"asset": self.asset, "since": since, "revision": self.revision}


@attrs.frozen
class PortfolioAccountOpened:
    type: ClassVar[str] = "portfolio.account_opened"

    account_id: UUID
    institution: str

    def payload(self) -> Mapping[str, Plain]:
        return {"account": str(self.account_id), "institution": self.institution}


@attrs.frozen
class PortfolioAccountChanged:
    type: ClassVar[str] = "portfolio.account_changed"

    account_id: UUID
    hidden: bool

    def payload(self) -> Mapping[str, Plain]:
        return {"account": str(self.account_id), "hidden": self.hidden}


@attrs.frozen(kw_only=True)
class ActivitiesAdded:
    """`since`: the day of the earliest. A file is one event, not thousands."""

    type: ClassVar[str] = "activities.added"

    first: UUID
    count: int
    source: str
    since: datetime

    def payload(self) -> Mapping[str, Plain]:
        return {
            "first": str(self.first),
            "count": self.count,
            "source": self.source,
            "since": self.since.date().isoformat(),
        }


@attrs.frozen(kw_only=True)
class ActivityWasEnded:
    type: ClassVar[str] = "activity.ended"

    activity_id: UUID
    replaced_by: UUID | None
    since: datetime

    def payload(self) -> Mapping[str, Plain]:
        replaced = str(self.replaced_by) if self.replaced_by else None
        return {
            "activity": str(self.activity_id),
            "replaced_by": replaced,
            "since": self.since.date().isoformat(),
        }


@attrs.frozen(kw_only=True)
class OpeningsDerived:
    """What files had not shown was opened anew. Of hundreds of holdings it is one event."""

    type: ClassVar[str] = "openings.derived"

    account_id: UUID
    opened: int
    ended: int
    since: datetime

    def payload(self) -> Mapping[str, Plain]:
        return {
            "account": str(self.account_id),
            "opened": self.opened,
            "ended": self.ended,
            "since": self.since.date().isoformat(),
        }


@attrs.frozen
class HoldingIncluded:
    type: ClassVar[str] = "holding.included"

    account_id: UUID
    asset: str
    included: bool

    def payload(self) -> Mapping[str, Plain]:
        account = str(self.account_id)
        return {"account": account, "asset": self.asset, "included": self.included}
