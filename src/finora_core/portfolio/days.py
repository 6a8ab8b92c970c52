"""Keeping the days of a portfolio, and reading them."""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from uuid import UUID

import attrs

from finora_core.jobs.model import Progress
from finora_core.kernel.events import Plain
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried
from finora_core.market.prices.model import PriceTable
from finora_core.portfolio.columns import Days
from finora_core.portfolio.history import DAY, Course, DayValue, Scoped, end_of
from finora_core.portfolio.model import is_currency
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
    with _uncollected():
        activities = work.activities.standing(end_of(through))
        wanted = {each for each in wanted_of(activities) if each[0] != base_id}
        ledger = Ledger(base_id, _table(work, wanted, base_id))
        course = Course(Days(since, through), _counts(work))
        assets = {amount.asset.id for each in activities for amount in each.amounts}
        with work.history.columns(
            [asset for asset in sorted(assets) if not is_currency(asset)], course.days, base_id
        ) as columns:
            # Prices are looked for meanwhile.
            course.walk(activities, ledger)
            course.price(columns)
        return _store(work, course, base_id, {})


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without looking for garbage in cycles: here are many small facts, none of them in one, and
    the search would go through all of them again and again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


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
    base, days = work.assets.get(base_id), course.days
    quotes = course.quotes - {base_id}
    wanted = {(quote, end_of(day)) for quote in quotes for day in days}
    prices = _table(work, wanted, base_id)
    rows = course.course(work.portfolio_accounts.all(), prices, base, before)
    return work.history.store(base_id, days.first, days.last, rows)


def _table(work: PortfolioWork, wanted: set[tuple[str, datetime]], base_id: str) -> PriceTable:
    return work.prices.table(wanted, base_id, display=base_id) if wanted else PriceTable.of(())
