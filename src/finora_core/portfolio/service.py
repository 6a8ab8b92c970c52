"""What people do with their portfolio: open accounts, enter activities, correct them, look."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.ids import new_id
from finora_core.kernel.page import DEFAULT_LIMIT, Page, checked_limit
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried
from finora_core.ledger.model import check_range
from finora_core.portfolio.booking import book, books_of, open_account
from finora_core.portfolio.institutions import CATALOGUE, MANUAL, institution
from finora_core.portfolio.model import (
    AccountType,
    ActivitiesAdded,
    Activity,
    ActivityEnded,
    ActivityFilter,
    ActivityKind,
    ActivityWasEnded,
    Holding,
    HoldingIncluded,
    Institution,
    InsufficientHolding,
    PortfolioAccount,
    PortfolioAccountChanged,
    Running,
    bad,
    is_currency,
    short,
    with_money,
    zero_of,
)
from finora_core.portfolio.ports import PortfolioWork


@attrs.frozen(kw_only=True)
class NewActivity:
    """What a person enters. The money of a trade is price by quantity where it is not given."""

    account_id: UUID
    kind: ActivityKind
    asset: str
    quantity: Amount | None = None
    at: datetime
    price: Decimal | None = None
    quote: Asset | None = None
    counter: Amount | None = None
    fee: Amount | None = None
    tax: Amount | None = None
    settled: bool = False
    note: str = ""
    external_id: str | None = None


@attrs.frozen
class PortfolioService:
    begin: Begin[PortfolioWork]

    def institutions(self, scope: Scope) -> Sequence[Institution]:
        """By type and name; the tenant's own is `manual`."""
        return sorted(CATALOGUE.values(), key=lambda each: (each.type, each.name))

    @retried
    def open_account(
        self,
        scope: Scope,
        name: str,
        institution_id: str = MANUAL.id,
        kind: AccountType = AccountType.BROKERAGE,
    ) -> PortfolioAccount:
        """Raises BadPortfolioAccount, AccountExists."""
        with self.begin(scope) as work:
            return work.done(open_account(work, scope, name, institution(institution_id), kind))

    def accounts(self, scope: Scope) -> Sequence[PortfolioAccount]:
        with self.begin(scope) as work:
            return work.portfolio_accounts.all()

    @retried
    def hide_account(self, scope: Scope, account_id: UUID, hidden: bool = True) -> PortfolioAccount:
        """Leave its holdings out of every total, or count them again. Raises AccountNotFound."""
        with self.begin(scope) as work:
            account = work.portfolio_accounts.get(account_id, lock=True)
            if account.hidden != hidden:
                work.portfolio_accounts.hide(account_id, hidden)
                work.events.record(PortfolioAccountChanged(account_id, hidden))
            return work.done(attrs.evolve(account, hidden=hidden))

    @retried
    def add(self, scope: Scope, new: NewActivity) -> Activity:
        """Enter an activity. Raises AccountNotFound, BadActivity, InsufficientHolding,
        PeriodClosed."""
        with self.begin(scope) as work:
            work.portfolio_accounts.get(new.account_id, lock=True)
            activity = told(work, scope, new)
            enter(work, activity)
            return work.done(activity)

    @retried
    def correct(self, scope: Scope, activity_id: UUID, new: NewActivity) -> Activity:
        """End an activity and enter another in its place. Raises ActivityNotFound, ActivityEnded,
        and what `add` does."""
        with self.begin(scope) as work:
            old = _open(work, activity_id)
            if new.account_id != old.account_id:
                raise bad("account_id", "an activity stays in its account: delete and enter anew")
            activity = told(work, scope, new)
            _reverse(work, scope, old, activity.id)
            enter(work, activity)
            _check_none_below_zero(work, old)
            return work.done(activity)

    @retried
    def delete(self, scope: Scope, activity_id: UUID) -> None:
        """End an activity: its entry is reversed, and a file that tells of it again does not bring
        it back. Raises ActivityNotFound, ActivityEnded, InsufficientHolding."""
        with self.begin(scope) as work:
            old = _open(work, activity_id)
            _reverse(work, scope, old, None)
            _check_none_below_zero(work, old)
            work.done(None)

    def get(self, scope: Scope, activity_id: UUID) -> Activity:
        """Raises ActivityNotFound."""
        with self.begin(scope) as work:
            return work.activities.get(activity_id)

    def list(
        self,
        scope: Scope,
        wanted: ActivityFilter | None = None,
        *,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Activity]:
        """Activities, latest first."""
        with self.begin(scope) as work:
            asked = wanted or ActivityFilter()
            if asked.account_id is not None:
                work.portfolio_accounts.get(asked.account_id)
            return work.activities.list(asked, cursor, checked_limit(limit))

    def holdings(self, scope: Scope, account_id: UUID | None = None) -> Sequence[Holding]:
        """What is held now, by account and asset."""
        with self.begin(scope) as work:
            if account_id is not None:
                work.portfolio_accounts.get(account_id)
            return work.holdings.all(account_id)

    @retried
    def include(self, scope: Scope, account_id: UUID, asset: str, included: bool) -> None:
        """Count a holding in totals, or leave it out. Raises AccountNotFound, UnknownAsset."""
        with self.begin(scope) as work:
            work.portfolio_accounts.get(account_id)
            work.holdings.choose(account_id, work.assets.get(asset).id, included)
            work.events.record(HoldingIncluded(account_id, asset, included))
            work.done(None)


def told(work: PortfolioWork, scope: Scope, new: NewActivity) -> Activity:
    """What a person entered, as an activity. Raises BadActivity, UnknownAsset."""
    asset = work.assets.get(new.asset)
    quantity = new.quantity or zero_of(asset)
    if quantity.asset != asset:
        raise bad("quantity", f"it is of {asset}")
    activity = Activity(
        id=new_id(),
        account_id=new.account_id,
        kind=new.kind,
        quantity=quantity,
        at=new.at,
        price=new.price,
        quote=new.quote,
        counter=new.counter,
        fee=new.fee or None,
        tax=new.tax or None,
        settled=new.settled,
        external_id=new.external_id,
        note=new.note,
        created_by=scope.user_id,
        recorded_at=work.now,
    )
    return with_money(activity)


def enter(work: PortfolioWork, activity: Activity) -> None:
    """Book one, if there is enough to take it from. Its account is locked."""
    leaving = {asset: units for asset, units in activity.moved.items() if units < 0}
    if leaving:
        booked = work.activities.moved(activity.account_id, leaving)
        for asset, units in leaving.items():
            there = Running(booked.get(asset, ())).available(activity.at)
            if there + units < 0:
                raise short(activity, asset, there)
    for amount in (activity.quantity, activity.counter, activity.fee, activity.tax):
        if amount is not None:
            check_range(amount)
    entry_id = book(work, (activity,), books_of(work))[activity.id]
    work.activities.add((attrs.evolve(activity, entry_id=entry_id),))
    work.events.record(
        ActivitiesAdded(first=activity.id, count=1, source=activity.source, since=activity.at)
    )


def _open(work: PortfolioWork, activity_id: UUID) -> Activity:
    found = work.activities.get(activity_id)
    work.portfolio_accounts.get(found.account_id, lock=True)
    # Again, for another may have ended it while this one waited.
    found = work.activities.get(activity_id)
    if found.ended_at is not None:
        raise ActivityEnded(f"activity {activity_id} was corrected or deleted before")
    return found


def _reverse(work: PortfolioWork, scope: Scope, old: Activity, by: UUID | None) -> None:
    reversal_id = None
    if old.entry_id is not None:
        reversal = work.journal.get(old.entry_id).reversal(new_id())
        work.journal.add((reversal,))
        reversal_id = reversal.id
    work.activities.end(old.id, by, reversal_id, scope.user_id)
    work.events.record(ActivityWasEnded(activity_id=old.id, replaced_by=by, since=old.at))


def _check_none_below_zero(work: PortfolioWork, old: Activity) -> None:
    """What the ended one had brought may have left since."""
    brought = [asset for asset, units in old.moved.items() if units > 0]
    for asset, steps in work.activities.moved(old.account_id, brought).items():
        there = Running(steps).available(old.at)
        if there < 0 and not is_currency(asset):
            raise InsufficientHolding(
                f"what this brought of {asset} has left since: change that first",
                facts={"asset": asset},
            )
