"""Keeping the days of a portfolio, and reading them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from uuid import UUID

import attrs

from finora_core.jobs.model import Progress
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.collector import uncollected
from finora_core.kernel.events import Plain
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried
from finora_core.market.prices.model import PriceTable
from finora_core.portfolio.columns import Days
from finora_core.portfolio.history import (
    ACCOUNT,
    DAY,
    Course,
    DayValue,
    HoldingDay,
    Scoped,
    end_of,
)
from finora_core.portfolio.model import Activity, is_currency
from finora_core.portfolio.ports import PortfolioWork
from finora_core.portfolio.valuation import Key, Ledger, wanted_of


@attrs.frozen
class HistoryService:
    begin: Begin[PortfolioWork]
    everybody: Callable[[], Sequence[UUID]]
    """Every tenant."""

    def read(
        self,
        scope: Scope,
        *,
        of: Scoped = ("user", ""),
        to: str | None = None,
        since: date | None = None,
        until: date | None = None,
    ) -> Sequence[DayValue]:
        """The stored days of the portfolio, an institution or an account, in the tenant's base or
        in `to`; of another asset than the base there are days once `rebuild` was asked for it."""
        with self.begin(scope) as work:
            base = to or work.holdings.base()
            return work.history.read(of, work.assets.get(base).id, since, until)

    def of_holding(
        self,
        scope: Scope,
        account_id: UUID,
        asset: str,
        *,
        to: str | None = None,
        since: date | None = None,
        until: date | None = None,
    ) -> Sequence[HoldingDay]:
        """The days of one holding, from its first on, whether it counts in totals or not: made for
        who asks, of the same facts as those of the whole. Raises AccountNotFound, UnknownAsset."""
        with self.begin(scope) as work:
            base = work.assets.get(to or work.holdings.base())
            account = work.portfolio_accounts.get(account_id)
            counted = work.assets.get(asset)
            last = min(until or work.now.date(), work.now.date())
            activities = [each for each in work.activities.standing(end_of(last), asset)
                          if each.account_id == account_id]  # fmt: skip
            # Money of a trade that came from outside never was a holding.
            own = (each.at for each in activities
                   if asset in each.in_account or each.quantity.asset == counted)  # fmt: skip
            begun = next(own, None)
            first = date.max if begun is None else begun.astimezone(UTC).date()
            days = Days(max(since or first, first), last)
            if days.first > last:
                return ()
            key = (account_id, asset)
            course = Course(days, {key}.__contains__)
            _walk(work, course, activities, [] if is_currency(asset) else [asset], base.id)
            rows = [value for of, value in _rows(work, course, base, {})
                    if of == (ACCOUNT, str(account.id))]  # fmt: skip
            held = course.held(key)
        return [HoldingDay(Amount(units, counted), row)
                for units, row in zip(held, rows, strict=True)]  # fmt: skip

    @retried
    def rebuild(
        self, scope: Scope, *, to: str | None = None, since: date | None = None
    ) -> Mapping[str, Plain]:
        """Make the days anew from `since`, or from the first that is missing or not true any more,
        through today."""
        with self.begin(scope) as work:
            return work.done(_rebuild(work, to or work.holdings.base(), since))

    def run(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        """The job `portfolio.roll`: something changed, from a day on or altogether."""
        said = payload.get("since")
        since = date.fromisoformat(str(said)) if said else date.min
        return self.rebuild(scope, since=since)

    def nightly(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        """The job `portfolio.nightly`: every tenant's days through today."""
        tenants = self.everybody()
        for number, tenant_id in enumerate(tenants, start=1):
            self.rebuild(attrs.evolve(scope, tenant_id=tenant_id, cause=None))
            progress(number, len(tenants))
        with self.begin(scope) as work:
            return work.done({"tenants": len(tenants)})


def _rebuild(work: PortfolioWork, base_id: str, since: date | None) -> Mapping[str, Plain]:
    work.history.lock()
    through = work.now.date()
    built, first = work.history.built(base_id), work.activities.first()
    if first is None:
        # There may be days of what was deleted.
        work.history.store(base_id, date.min, through, ())
        return {"days": 0}
    start = through if built is None else built + DAY
    if built is None:
        start = first
    for earlier in (since, work.history.changed(base_id)):
        if earlier is not None:
            start = min(start, earlier)
    start = max(start, first)
    if start > through:
        return {"days": 0}
    fresh = built is not None and built >= through - DAY
    if start == through and fresh and not work.activities.any_since(through):
        rows = _today(work, base_id, through)
    else:
        rows = _anew(work, base_id, start, through)
    return {"days": (through - start).days + 1, "rows": rows}


def _anew(work: PortfolioWork, base_id: str, since: date, through: date) -> int:
    with uncollected():
        activities = work.activities.standing(end_of(through))
        course = Course(Days(since, through), _counts(work))
        assets = {amount.asset.id for each in activities for amount in each.amounts}
        priced = [asset for asset in sorted(assets) if not is_currency(asset)]
        _walk(work, course, activities, priced, base_id)
        return _store(work, course, base_id, {})


def _walk(
    work: PortfolioWork,
    course: Course,
    activities: Sequence[Activity],
    priced: Sequence[str],
    base_id: str,
) -> None:
    wanted = {each for each in wanted_of(activities) if each[0] != base_id}
    ledger = Ledger(base_id, _table(work, wanted, base_id))
    course.several = work.history.several(priced, base_id)
    lone = [asset for asset in priced if asset not in course.several]
    with work.history.columns(lone, course.days, base_id) as columns:
        # Prices are looked for meanwhile.
        course.walk(activities, ledger)
        course.price(columns)


def _counts(work: PortfolioWork) -> Callable[[Key], bool]:
    """Whether a holding is in totals: as a valuation has it."""
    hidden = {each.id for each in work.portfolio_accounts.all() if each.hidden}
    scams, choices = work.holdings.scams(), work.holdings.choices()
    return lambda key: key[0] not in hidden and key[1] not in scams and choices.get(key, True)


def _today(work: PortfolioWork, base_id: str, today: date) -> int:
    """One day more, on which nothing happened: of what is there, at its price of today; what it
    cost is as it was."""
    course = Course(Days(today, today), lambda key: True)
    course.stand(work.history.standing(base_id, today, work.holdings.scams()))
    return _store(work, course, base_id, work.history.on(base_id, today - DAY))


def _store(
    work: PortfolioWork, course: Course, base_id: str, before: Mapping[Scoped, DayValue]
) -> int:
    days = course.days
    rows = _rows(work, course, work.assets.get(base_id), before)
    return work.history.store(base_id, days.first, days.last, rows)


def _rows(
    work: PortfolioWork, course: Course, base: Asset, before: Mapping[Scoped, DayValue]
) -> Iterator[tuple[Scoped, DayValue]]:
    quotes = course.quotes - {base.id}
    wanted = {(quote, end_of(day)) for quote in quotes for day in course.days}
    prices = _table(work, wanted, base.id)
    return course.course(work.portfolio_accounts.all(), prices, base, before)


def _table(work: PortfolioWork, wanted: set[tuple[str, datetime]], base_id: str) -> PriceTable:
    return work.prices.table(wanted, base_id, display=base_id) if wanted else PriceTable.of(())
