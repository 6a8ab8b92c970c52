"""From an activity to the one entry that it posts.

A trade is two balanced legs through the conversion account, as an exchange is, and so is a split,
old ones against new; a fee is a leg of its own; dividends, interest and rewards are income; an
opening balance is against equity.
"""

from collections import defaultdict
from decimal import Context, Decimal
from uuid import UUID

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.ledger.model import Entry, Flow, Posting, is_rate
from finora_core.portfolio.model import EARNED, PAID, TRADES, Activity, ActivityKind, is_currency

_RATE = Context(prec=34)


@attrs.frozen(kw_only=True)
class Books:
    """The accounts of the ledger that activities post against."""

    conversion: UUID
    outside: UUID
    opening: UUID
    income: UUID
    fees: UUID
    taxes: UUID


class _Legs:
    def __init__(self) -> None:
        self.units: dict[tuple[UUID, Asset], int] = defaultdict(int)

    def move(self, amount: Amount | None, into: UUID, out_of: UUID) -> None:
        if amount is not None:
            self.units[into, amount.asset] += amount.units
            self.units[out_of, amount.asset] -= amount.units

    @property
    def postings(self) -> tuple[Posting, ...]:
        return tuple(
            Posting(account, Amount(units, asset))
            for (account, asset), units in self.units.items()
            if units
        )


def entry_of(activity: Activity, entry_id: UUID, books: Books) -> Entry | None:
    """None where nothing moves: two of nothing were bought."""
    legs, account = _Legs(), activity.account_id

    def place(amount: Amount | None) -> UUID:
        """Where this leg is: what is no money is always the account's."""
        away = amount is not None and is_currency(amount.asset.id) and not activity.settled
        return books.outside if away else account

    # What was deposited is the account's, money or not: that is what a deposit says.
    held = place(activity.quantity) if activity.kind in PAID else account
    legs.move(activity.quantity, held, _against(activity.kind, books))
    counter_from = books.conversion if activity.kind in TRADES else books.income
    legs.move(activity.counter, place(activity.counter), counter_from)
    legs.move(activity.fee, books.fees, place(activity.fee))
    legs.move(activity.tax, books.taxes, place(activity.tax))
    if not legs.postings:
        return None
    rate = _rate(activity)
    flow = _flow(activity.kind, traded=rate is not None)
    return Entry(
        id=entry_id,
        on_date=activity.at.date(),
        postings=legs.postings,
        cause="activity",
        flow=flow,
        rate=rate if flow is Flow.EXCHANGE else None,
        rate_source=activity.source if flow is Flow.EXCHANGE else None,
    )


def _against(kind: ActivityKind, books: Books) -> UUID:
    if kind in TRADES or kind is ActivityKind.SPLIT:
        return books.conversion
    if kind in EARNED:
        return books.income
    return {
        ActivityKind.FEE: books.fees,
        ActivityKind.TAX: books.taxes,
        ActivityKind.OPENING_BALANCE: books.opening,
    }.get(kind, books.outside)


def _flow(kind: ActivityKind, *, traded: bool) -> Flow:
    """Money that only changes its place or its shape is neither income nor spending."""
    if kind in PAID:
        return Flow.FLOW
    if kind is ActivityKind.OPENING_BALANCE:
        return Flow.OPENING
    return Flow.EXCHANGE if traded else Flow.TRANSFER


def _rate(activity: Activity) -> Decimal | None:
    """Of the other leg per whole of the first."""
    if activity.kind not in TRADES or activity.counter is None or not activity.quantity:
        return None
    rate = _RATE.divide(abs(activity.counter.decimal), abs(activity.quantity.decimal))
    return rate if is_rate(rate) else None
