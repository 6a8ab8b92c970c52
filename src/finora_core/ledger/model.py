"""Accounts, entries, postings and holds.

Sign convention: a posting's units are positive for a debit and negative for a credit. An account's
*natural* balance is its balance in the direction that its kind grows: debit for asset, expense and
outside, credit for liability, income and equity. A debt of 20 is a liability balance of -20 units,
20 naturally.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

import attrs

from finora_core.kernel.amount import MAX_UNITS, Amount, BadAmount
from finora_core.kernel.errors import Conflict, Invalid, NotFound
from finora_core.kernel.events import Plain

MAX_POSTINGS = 10_000


class AccountNotFound(NotFound):
    """There is no such account in this tenant."""

    code = "ACCOUNT_NOT_FOUND"


class AccountExists(Conflict):
    """The tenant has an account of this name already."""

    code = "ACCOUNT_EXISTS"


class BadAccount(Invalid):
    """The account's name, kind or floor breaks the rules for accounts."""

    code = "BAD_ACCOUNT"


class EntryNotFound(NotFound):
    """There is no such entry in this tenant."""

    code = "ENTRY_NOT_FOUND"


class EntryExists(Conflict):
    """An entry with this id was posted before."""

    code = "ENTRY_EXISTS"


class SealNotFound(NotFound):
    """The tenant's log is not sealed as far as that."""

    code = "SEAL_NOT_FOUND"


class Unbalanced(Invalid):
    """The postings of an entry do not sum to zero in every asset, or are fewer than two."""

    code = "UNBALANCED"


class BadPosting(Invalid):
    """A posting moves nothing, or the wrong way, or an entry's rate or reference is not sound."""

    code = "BAD_POSTING"


class EntryClosed(Conflict):
    """Postings can only be added in the transaction that made their entry, at its date."""

    code = "ENTRY_CLOSED"


class AlreadyReversed(Conflict):
    """The entry was reversed before, or is a reversal itself."""

    code = "ALREADY_REVERSED"


class InsufficientFunds(Conflict):
    """The account would go below its floor."""

    code = "INSUFFICIENT_FUNDS"


class HoldNotFound(NotFound):
    """There is no such hold in this tenant."""

    code = "HOLD_NOT_FOUND"


class HoldEnded(Conflict):
    """The hold was posted, voided or expired before."""

    code = "HOLD_ENDED"


class HoldExceeded(Invalid):
    """More was to be posted than the hold reserved."""

    code = "HOLD_EXCEEDED"


class HoldExpired(Conflict):
    """The hold's time had run out."""

    code = "HOLD_EXPIRED"


class HoldNotExpired(Conflict):
    """The hold's time has not run out."""

    code = "HOLD_NOT_EXPIRED"


class FactImmutable(Conflict):
    """A fact of the books was to be changed; it can only be reversed by a new one."""

    code = "FACT_IMMUTABLE"


class PeriodClosed(Conflict):
    """The day is in a closed period: what is booked and labelled there does not change. Book the
    correction on an open day, or have an owner reopen the period."""

    code = "PERIOD_CLOSED"

    @classmethod
    def through(cls, day: date) -> "PeriodClosed":
        return cls(f"the books are closed through {day}", facts={"closed_through": day.isoformat()})


class AccountKind(StrEnum):
    ASSET = "asset"
    LIABILITY = "liability"
    INCOME = "income"
    EXPENSE = "expense"
    EQUITY = "equity"
    OUTSIDE = "outside"
    """The rest of the world, as far as it is not booked in more detail."""

    @property
    def normal(self) -> int:
        """1 where debit is the natural side, -1 where credit is."""
        return 1 if self in (self.ASSET, self.EXPENSE, self.OUTSIDE) else -1


class Flow(StrEnum):
    """How an entry's money counts in the totals of the accounts one owns."""

    FLOW = "flow"
    """It comes from or goes to the outside: income or spending."""
    TRANSFER = "transfer"
    OPENING = "opening"
    EXCHANGE = "exchange"


@attrs.frozen(kw_only=True)
class Account:
    id: UUID
    name: str
    kind: AccountKind
    floor: int | None = None
    """Lowest natural available balance, in units of any asset it holds: 0, or a credit line below
    it. None has no floor."""
    asset: str | None = None
    """The asset its statements are in, where it has one."""
    owner: UUID | None = None

    def __attrs_post_init__(self) -> None:
        if not 1 <= len(self.name) <= 200 or self.name != self.name.strip():
            raise BadAccount("an account's name has 1 to 200 characters, no blanks around")
        if not self.name.isprintable():
            raise BadAccount("an account's name is one line of printable characters")
        # Above zero it would refuse the very first payment in.
        if self.floor is not None and not (
            type(self.floor) is int and -MAX_UNITS <= self.floor <= 0
        ):
            raise BadAccount("a floor is a whole number of units, zero or below")


@attrs.frozen(kw_only=True)
class Balance:
    """What an account has of one asset. `held` is reserved by open holds; `available` is the
    natural balance less `held`."""

    account: Account
    amount: Amount
    held: Amount
    available: Amount

    @property
    def natural(self) -> Amount:
        return self.amount if self.account.kind.normal == 1 else -self.amount


@attrs.frozen
class Posting:
    account_id: UUID
    amount: Amount

    def __attrs_post_init__(self) -> None:
        check_range(self.amount)


@attrs.frozen(kw_only=True)
class Entry:
    """One balanced movement. `cause` is a code that says what made it (`transfer`, `record`)."""

    id: UUID
    on_date: date
    postings: tuple[Posting, ...]
    cause: str = "entry"
    flow: Flow = Flow.FLOW
    reference: str | None = None
    reverses: UUID | None = None
    rate: Decimal | None = None
    rate_source: str | None = None
    recorded_at: datetime | None = None
    bank_date: date | None = None
    """The day that the bank says, where that one was closed and `on_date` is the first open one."""

    def __attrs_post_init__(self) -> None:
        check_balanced(self.postings)
        if len(self.postings) > MAX_POSTINGS:
            raise BadPosting(f"an entry has at most {MAX_POSTINGS} postings")
        if not (self.cause and self.cause.isprintable() and len(self.cause) <= 100):
            raise BadPosting("a cause is a code of 1 to 100 printable characters")
        check_text(self.reference)
        check_text(self.rate_source)
        if self.rate is not None and not is_rate(self.rate):
            raise BadPosting(f"{self.rate} is not a rate")
        if self.flow is Flow.EXCHANGE and (self.rate is None or not self.rate_source):
            raise BadPosting("an exchange names its rate and where the rate is from")

    def reversal(self, new_id: UUID) -> "Entry":
        """The entry that undoes this one, at its own business date."""
        if self.reverses is not None:
            raise AlreadyReversed(f"entry {self.id} is itself a reversal")
        back = tuple(Posting(posting.account_id, -posting.amount) for posting in self.postings)
        return attrs.evolve(self, id=new_id, postings=back, reverses=self.id, recorded_at=None)


@attrs.frozen(kw_only=True)
class EntryWords:
    """What people and banks say of an entry. None of it is a fact of the books."""

    entry_id: UUID
    on_date: date
    description: str
    counterparty: str | None
    category: str


def check_balanced(postings: Iterable[Posting]) -> None:
    """Raise Unbalanced, naming each asset's difference, or BadPosting for a posting of nothing."""
    sums: dict[str, Amount] = {}
    count = 0
    for posting in postings:
        count += 1
        if not posting.amount:
            raise BadPosting("a posting moves at least one unit")
        asset = posting.amount.asset.id
        sums[asset] = sums[asset] + posting.amount if asset in sums else posting.amount
    wrong = [(asset, f"off by {amount}") for asset, amount in sums.items() if amount]
    if wrong or count < 2:
        said = "; ".join(f"{asset} {off}" for asset, off in wrong) or "fewer than two postings"
        raise Unbalanced(f"the entry does not balance: {said}", details=tuple(wrong))


def check_range(amount: Amount) -> None:
    """Raise BadAmount for what one posting or hold cannot carry; a sum of many may be larger."""
    if abs(amount.units) > MAX_UNITS:
        raise BadAmount("the amount is larger than the ledger can hold")


def check_text(text: str | None) -> None:
    """Raise BadPosting for a text that the database cannot keep as it is."""
    if text is None:
        return
    if len(text) > 1000 or "\0" in text or text.encode(errors="ignore").decode() != text:
        raise BadPosting("a reference has at most 1000 characters, and no NUL or half characters")


def is_rate(rate: Decimal) -> bool:
    """Whether it is positive and finite, and of a size that is computed with exactly."""
    if not rate.is_finite() or rate <= 0:
        return False
    return len(rate.as_tuple().digits) <= 100 and abs(rate.adjusted()) <= 100


class HoldOutcome(StrEnum):
    POSTED = "posted"
    VOIDED = "voided"
    EXPIRED = "expired"


@attrs.frozen(kw_only=True)
class Hold:
    """Money of an account reserved for one purpose, until it is posted, voided or expires."""

    id: UUID
    account_id: UUID
    amount: Amount
    reference: str | None = None
    expires_at: datetime | None = None
    outcome: HoldOutcome | None = None

    def __attrs_post_init__(self) -> None:
        if self.amount.units <= 0:
            raise BadPosting("a hold reserves at least one unit")
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            raise BadPosting("a hold expires at an instant with a time zone")
        check_range(self.amount)
        check_text(self.reference)


@attrs.frozen(kw_only=True)
class StatementRow:
    """One posting of an account, with the account's balance in that asset after it."""

    entry_id: UUID
    on_date: date
    recorded_at: datetime
    cause: str
    reference: str | None
    amount: Amount
    balance: Amount


@attrs.frozen(kw_only=True)
class Line:
    """One account's balance in one asset, in a trial balance."""

    account: Account
    amount: Amount


@attrs.frozen
class TrialBalance:
    """Every balance that is not zero. The sum per asset is zero, always."""

    lines: tuple[Line, ...]

    @property
    def sums(self) -> Mapping[str, Amount]:
        """Per asset; each is zero in books that are whole."""
        sums: dict[str, Amount] = {}
        for line in self.lines:
            asset = line.amount.asset.id
            sums[asset] = sums[asset] + line.amount if asset in sums else line.amount
        return sums


@attrs.frozen(kw_only=True)
class BalanceSheet:
    """What is owned and owed, and the equity that makes the two equal, per asset.

    `equity` gathers the accounts of kind equity, and the result so far: income, expense and the
    outside. assets + liabilities + equity is zero in signed units; shown naturally,
    assets = liabilities + equity.
    """

    assets: tuple[Line, ...]
    liabilities: tuple[Line, ...]
    equity: tuple[Line, ...]

    @classmethod
    def of(cls, trial: TrialBalance) -> "BalanceSheet":
        sides: dict[AccountKind, list[Line]] = defaultdict(list)
        for line in trial.lines:
            kind = line.account.kind
            own = kind in (AccountKind.ASSET, AccountKind.LIABILITY)
            sides[kind if own else AccountKind.EQUITY].append(line)
        return cls(
            assets=tuple(sides[AccountKind.ASSET]),
            liabilities=tuple(sides[AccountKind.LIABILITY]),
            equity=tuple(sides[AccountKind.EQUITY]),
        )

    @property
    def net_worth(self) -> tuple[Amount, ...]:
        """Assets less liabilities, per asset, by asset id."""
        own = TrialBalance((*self.assets, *self.liabilities))
        return tuple(amount for _, amount in sorted(own.sums.items()))


@attrs.frozen
class AccountOpened:
    type: ClassVar[str] = "account.opened"

    account_id: UUID
    kind: AccountKind

    def payload(self) -> Mapping[str, Plain]:
        return {"account": str(self.account_id), "kind": self.kind}


@attrs.frozen
class EntriesPosted:
    """`first` and `count`: a batch is one event, not thousands."""

    type: ClassVar[str] = "entries.posted"

    first: UUID
    count: int
    cause: str

    def payload(self) -> Mapping[str, Plain]:
        return {"first": str(self.first), "count": self.count, "cause": self.cause}


@attrs.frozen
class EntryReversed:
    type: ClassVar[str] = "entry.reversed"

    entry_id: UUID
    reversal_id: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"entry": str(self.entry_id), "reversal": str(self.reversal_id)}


@attrs.frozen
class HoldPlaced:
    type: ClassVar[str] = "hold.placed"

    hold_id: UUID
    account_id: UUID
    amount: Amount

    def payload(self) -> Mapping[str, Plain]:
        return {
            "hold": str(self.hold_id),
            "account": str(self.account_id),
            "units": str(self.amount.units),
            "asset": self.amount.asset.id,
        }


@attrs.frozen
class HoldClosed:
    type: ClassVar[str] = "hold.ended"

    hold_id: UUID
    outcome: HoldOutcome
    entry_id: UUID | None = None

    def payload(self) -> Mapping[str, Plain]:
        entry = str(self.entry_id) if self.entry_id else None
        return {"hold": str(self.hold_id), "outcome": self.outcome, "entry": entry}
