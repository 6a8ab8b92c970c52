"""What people do with their portfolio: open accounts, enter activities, correct them, look."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.ids import new_id
from finora_core.kernel.page import DEFAULT_LIMIT, MAX_LIMIT, Page, checked_limit
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried
from finora_core.ledger.model import check_range
from finora_core.market.prices.model import Price, PriceTable
from finora_core.portfolio.allocation import Allocation, Spread, allocation
from finora_core.portfolio.booking import book, books_of, open_account, take_back
from finora_core.portfolio.institutions import CATALOGUE, MANUAL, institution
from finora_core.portfolio.model import (
    RECONCILED,
    AccountType,
    ActivitiesAdded,
    Activity,
    ActivityEnded,
    ActivityFilter,
    ActivityKind,
    Holding,
    HoldingIncluded,
    HoldingObserved,
    Institution,
    InsufficientHolding,
    Observation,
    OwnAsset,
    OwnAssetAdded,
    OwnPrice,
    OwnPriceSet,
    PortfolioAccount,
    PortfolioAccountChanged,
    Running,
    bad,
    balance_at,
    is_currency,
    is_price,
    own_asset_of,
    short,
    split_of,
    with_money,
    zero_of,
)
from finora_core.portfolio.openings import derive
from finora_core.portfolio.ports import PortfolioWork
from finora_core.portfolio.valuation import Valuation, valued, wanted_of


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
    ratio: Fraction | None = None
    """Of a split, instead of its quantity: so many new ones for an old one."""


@attrs.frozen
class PortfolioService:
    begin: Begin[PortfolioWork]

    def institutions(self, scope: Scope) -> Sequence[Institution]:
        """Spread type and name; the tenant's own is `manual`."""
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
            _open_less(work, scope, activity)
            return work.done(activity)

    @retried
    def correct(self, scope: Scope, activity_id: UUID, new: NewActivity) -> Activity:
        """End an activity and enter another in its place. Raises ActivityNotFound, ActivityEnded,
        and what `add` does."""
        with self.begin(scope) as work:
            old = _open(work, activity_id)
            if new.account_id != old.account_id:
                work.portfolio_accounts.get(new.account_id)  # First: another's is not there.
                raise bad("account_id", "an activity stays in its account: delete and enter anew")
            new_one = new_id()
            take_back(work, scope, old, new_one)
            activity = told(work, scope, new, new_one)
            enter(work, activity)
            _check_none_below_zero(work, old)
            _open_less(work, scope, old, activity)
            return work.done(activity)

    @retried
    def delete(self, scope: Scope, activity_id: UUID) -> None:
        """End an activity: its entry is reversed, and a file that tells of it again does not bring
        it back. Raises ActivityNotFound, ActivityEnded, InsufficientHolding."""
        with self.begin(scope) as work:
            old = _open(work, activity_id)
            take_back(work, scope, old, None)
            _check_none_below_zero(work, old)
            _open_less(work, scope, old)
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
            return work.activities.list(asked, cursor, checked_limit(limit))

    def holdings(self, scope: Scope, account_id: UUID | None = None) -> Sequence[Holding]:
        """What is held now, by account and asset."""
        with self.begin(scope) as work:
            if account_id is not None:
                work.portfolio_accounts.get(account_id)
            return work.holdings.all(account_id)

    def valuation(
        self,
        scope: Scope,
        at: datetime | None = None,
        *,
        to: str | None = None,
        account_id: UUID | None = None,
    ) -> Valuation:
        """What is held at a time (now, if not given), in `to` or the tenant's base. Raises
        AccountNotFound, UnknownAsset."""
        with self.begin(scope) as work:
            if account_id is not None:
                work.portfolio_accounts.get(account_id)
            return valuation_of(work, at or work.now, to or work.holdings.base(), account_id)

    def allocation(
        self,
        scope: Scope,
        by: Spread = Spread.ASSET,
        at: datetime | None = None,
        *,
        to: str | None = None,
    ) -> Allocation:
        """How what is held at a time is spread over assets, types of them, accounts or
        institutions: shares of the value that is known. Raises UnknownAsset."""
        return self.spread(scope, self.valuation(scope, at, to=to), by)

    def spread(self, scope: Scope, found: Valuation, by: Spread) -> Allocation:
        """The same of a valuation that is there."""
        assets = [each.quantity.asset.id for each in found.counted] if by is Spread.TYPE else []
        with self.begin(scope) as work:
            identities, names = work.identities.of(assets), work.own_assets.names()
        return allocation(found, by, identities, names)

    def balance_at(self, scope: Scope, account_id: UUID, asset: str, at: datetime) -> Amount | None:
        """How much of an asset an account had; None where nothing is known of it. Raises
        AccountNotFound, UnknownAsset."""
        with self.begin(scope) as work:
            work.portfolio_accounts.get(account_id)
            counted = work.assets.get(asset)
            moved = work.activities.moved(account_id, [asset]).get(asset, ())
            held = [each.amount.units for each in work.accounts.balances(account_id)
                    if each.amount.asset == counted]  # fmt: skip
            seen = [(each.at, each.quantity.units)
                    for each in work.observations.of(account_id, asset)]  # fmt: skip
            found = balance_at(at, seen, held[0] if held else None, moved)
        return None if found is None else Amount(found, counted)

    @retried
    def observe(self, scope: Scope, seen: Observation) -> Activity | None:
        """Keep what was seen, and let an opening balance make the books agree with the latest
        observation: the opening, where it is a new one. Again it changes nothing. Raises
        AccountNotFound, ObservationExists, PeriodClosed."""
        with self.begin(scope) as work:
            work.portfolio_accounts.get(seen.account_id, lock=True)
            work.assets.get(seen.quantity.asset.id)
            if work.observations.add(seen, scope.user_id):
                work.events.record(
                    HoldingObserved(
                        account_id=seen.account_id,
                        quantity=seen.quantity,
                        at=seen.at,
                        source=seen.source.value,
                    )
                )
            return work.done(_reconcile(work, scope, seen.account_id, seen.quantity.asset))

    def observations(self, scope: Scope, account_id: UUID, asset: str) -> Sequence[Observation]:
        """Oldest first. Raises AccountNotFound."""
        with self.begin(scope) as work:
            work.portfolio_accounts.get(account_id)
            return work.observations.of(account_id, asset)

    @retried
    def add_own(self, scope: Scope, name: str, quote: str) -> OwnAsset:
        """Make a thing of one's own known, by its name; the same name is the same thing. Raises
        BadActivity, UnknownAsset."""
        with self.begin(scope) as work:
            asset = own_asset_of(scope, name)
            new = OwnAsset(asset=asset, name=name, quote=work.assets.get(quote).id)
            work.own_assets.ensure(asset, new.name, new.quote, scope.user_id)
            work.events.record(OwnAssetAdded(asset.id))
            return work.done(work.own_assets.get(asset.id))

    def own_assets(self, scope: Scope) -> Mapping[str, str]:
        """Asset -> name, by name."""
        with self.begin(scope) as work:
            return work.own_assets.names()

    @retried
    def set_price(
        self,
        scope: Scope,
        asset_id: str,
        value: Decimal,
        *,
        at: datetime | None = None,
        quote: str | None = None,
        reason: str = "",
    ) -> OwnPrice:
        """Say what a thing of one's own is worth; what was said before of that time stays in its
        history. Raises OwnAssetNotFound, BadPrice, UnknownAsset."""
        with self.begin(scope) as work:
            own = work.own_assets.get(asset_id)
            priced = work.assets.get(quote or own.quote).id
            when = at or work.now
            # Checks it, as one of the market's is.
            Price(asset=asset_id, quote=priced, at=when, value=value, source="own")
            if not is_price(value) or len(reason) > 500:
                raise bad("value", "it has at most 60 digits, and a reason 500 characters")
            kept = work.own_assets.set_price(
                asset_id, priced, when, value, reason.strip(), scope.user_id
            )
            work.events.record(OwnPriceSet(asset=asset_id, at=when, revision=kept.revision))
            return work.done(kept)

    def own_prices(self, scope: Scope, asset_id: str) -> Sequence[OwnPrice]:
        """Every price that was said, and every change of one, latest first. Raises
        OwnAssetNotFound."""
        with self.begin(scope) as work:
            work.own_assets.get(asset_id)
            return work.own_assets.history(asset_id)

    @retried
    def include(self, scope: Scope, account_id: UUID, asset: str, included: bool) -> None:
        """Count a holding in totals, or leave it out. Raises AccountNotFound, UnknownAsset."""
        with self.begin(scope) as work:
            work.portfolio_accounts.get(account_id)
            work.holdings.choose(account_id, work.assets.get(asset).id, included)
            work.events.record(HoldingIncluded(account_id, asset, included))
            work.done(None)


def told(
    work: PortfolioWork, scope: Scope, new: NewActivity, activity_id: UUID | None = None
) -> Activity:
    """What a person entered, as an activity. Raises BadActivity, UnknownAsset."""
    asset = work.assets.get(new.asset)
    quantity = new.quantity or zero_of(asset)
    if new.ratio is not None:
        quantity = _split(work, new, asset)
    if quantity.asset != asset:
        raise bad("quantity", f"it is of {asset}")
    activity = Activity(
        id=activity_id or new_id(),
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


def _split(work: PortfolioWork, new: NewActivity, asset: Asset) -> Amount:
    """Of what was held then."""
    if new.kind is not ActivityKind.SPLIT or new.quantity or new.ratio is None or new.ratio <= 0:
        raise bad("ratio", "only a split has one, above zero, and no quantity beside it")
    moved = work.activities.moved(new.account_id, [asset.id]).get(asset.id, ())
    held = sum(units for at, units in moved if at <= new.at)
    return split_of(Amount(held, asset), new.ratio)


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


def _open_less(work: PortfolioWork, scope: Scope, *changed: Activity) -> None:
    """Who says by hand what had come needs no derived opening for it any more."""
    assets = {amount.asset for each in changed for amount in each.amounts}
    derive(work, scope, changed[0].account_id, assets)


def valuation_of(
    work: PortfolioWork, at: datetime, base_id: str, account_id: UUID | None = None
) -> Valuation:
    """Of activities until then. Money is what the ledger has, less what moved it since."""
    base = work.assets.get(base_id)
    activities = [each for each in work.activities.standing()
                  if account_id is None or each.account_id == account_id]  # fmt: skip
    accounts = {each.id: each for each in work.portfolio_accounts.all()}
    units = {(each.account.id, each.quantity.asset.id): each.quantity.units
             for each in work.holdings.all(account_id)}  # fmt: skip
    until = [each for each in activities if each.at <= at]
    for each in activities:
        for asset, moved in each.in_account.items():
            key = (each.account_id, asset)
            units[key] = units.get(key, 0) - (moved if each.at > at else 0)
        # What it concerns and never moved: a fee has its place, too.
        units.setdefault((each.account_id, each.quantity.asset.id), 0)
    prices = prices_of(work, base_id, at, units, until)
    choices, scams = work.holdings.choices(), work.holdings.scams()
    holdings = {
        (account, asset): Holding(
            account=accounts[account],
            quantity=Amount(held, work.assets.get(asset)),
            included=choices.get((account, asset), True)
            and not accounts[account].hidden
            and asset not in scams,
        )
        for (account, asset), held in sorted(units.items())
    }
    return valued(holdings, until, prices, base, at)


def prices_of(
    work: PortfolioWork,
    base_id: str,
    at: datetime,
    held: Iterable[tuple[UUID, str]],
    activities: Sequence[Activity],
) -> PriceTable:
    """The market's and the tenant's own, as far as they are needed."""
    own = work.own_assets.prices()
    wanted = wanted_of(activities) | {(asset, at) for _, asset in held}
    priced = {each.asset: each.quote for each in own}
    wanted |= {(priced[asset], when) for asset, when in wanted if asset in priced}
    found = work.prices.table(wanted, base_id, display=base_id)
    if not own:
        return found
    facts = (fact for both in found.series.values() for pair in both.values()
             for series in pair for fact in series.facts)  # fmt: skip
    return PriceTable.of((*own, *facts), base_id)


def _reconcile(
    work: PortfolioWork, scope: Scope, account_id: UUID, asset: Asset
) -> Activity | None:
    """One opening balance, so that what moved until the latest observation adds up to it."""
    latest = max(work.observations.of(account_id, asset.id), key=lambda each: each.at)
    wanted = ActivityFilter(
        account_id=account_id, asset=asset.id, kind=ActivityKind.OPENING_BALANCE
    )
    openings = [each for each in work.activities.list(wanted, None, MAX_LIMIT).items
                if each.source == RECONCILED]  # fmt: skip
    moved = work.activities.moved(account_id, [asset.id]).get(asset.id, ())
    before = sum(units for at, units in moved if at <= latest.at)
    missing = latest.quantity.units - before
    if not missing:
        return None
    was = sum(each.quantity.units for each in openings)
    first = min((at for at, _ in moved), default=latest.at)
    for each in openings:
        first = min(each.at, first)
        take_back(work, scope, each, None)
    if not missing + was:
        return None
    opening = Activity(
        id=new_id(),
        account_id=account_id,
        kind=ActivityKind.OPENING_BALANCE,
        quantity=Amount(missing + was, asset),
        at=first if openings else min(first, latest.at),
        source=RECONCILED,
        created_by=scope.user_id,
        recorded_at=work.now,
    )
    entry_id = book(work, (opening,), books_of(work))[opening.id]
    opening = attrs.evolve(opening, entry_id=entry_id)
    work.activities.add((opening,))
    work.events.record(
        ActivitiesAdded(first=opening.id, count=1, source=RECONCILED, since=opening.at)
    )
    return opening


def _open(work: PortfolioWork, activity_id: UUID) -> Activity:
    found = work.activities.get(activity_id)
    work.portfolio_accounts.get(found.account_id, lock=True)
    # Again, for another may have ended it while this one waited.
    found = work.activities.get(activity_id)
    if found.ended_at is not None:
        raise ActivityEnded(f"activity {activity_id} was corrected or deleted before")
    return found


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
