"""What people do with prices: take them in, look them up, convert, see what is missing, mend."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import groupby
from typing import BinaryIO

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset, UnknownAsset
from finora_core.kernel.collector import uncollected
from finora_core.kernel.page import DEFAULT_LIMIT, Page, checked_limit
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried
from finora_core.market.assets.model import world_asset
from finora_core.market.prices.files import is_history, lines_of, read_history, read_lines
from finora_core.market.prices.model import (
    BadSpan,
    Converted,
    Course,
    Coverage,
    Factor,
    Gap,
    ImportedPrices,
    Line,
    Price,
    PricesImported,
    checked_source,
    gaps_between,
    line,
    midnight,
    trades_daily,
)
from finora_core.market.prices.ports import PricesWork
from finora_core.market.prices.repair import Action, Bar, Mended, actions_of, mend

MOST_CORRECTIONS = 100
"""Of a course."""
MAX_ASKED = 20_000
"""Conversions, or days of assets, in one question."""


@attrs.frozen(kw_only=True)
class TakenIn:
    """What became of a file of prices, and of the faults in it."""

    prices: ImportedPrices
    set_aside: int = 0
    """Lines without a price: gaps."""
    mended: Mended | None = None


@attrs.frozen
class PriceService:
    begin: Begin[PricesWork]

    @retried
    def import_file(
        self,
        scope: Scope,
        file: BinaryIO,
        *,
        source: str,
        asset: str | None = None,
        quote: str | None = None,
        repair: bool = False,
    ) -> TakenIn:
        """All of a file or nothing: a table of facts, or one asset's history as Yahoo has it. With
        `repair` a history's faults are mended by further facts, beside what the file says. `asset`
        need not be known where its name says how it is counted. Raises BadPrices with the line."""
        checked_source(source)
        file.seek(0)
        with self.begin(scope) as work:
            if asset is not None:
                asset = _named(work, asset).id
            if not is_history(file):
                found = self._keep(work, source, read_lines(file, asset, quote))
                return work.done(TakenIn(prices=found))
            asset, quote = work.assets.get(asset or "").id, work.assets.get(quote or "").id
            history = read_history(file)
            found = self._keep(work, source, lines_of(history.bars, asset, quote))
            work.prices.act(source, asset, quote, actions_of(history.bars))
            mended = mend(history.bars) if repair else None
            if mended is not None:
                found = _with(found, self._mend(work, source, asset, quote, mended))
            aside = len(history.set_aside)
            return work.done(TakenIn(prices=found, set_aside=aside, mended=mended))

    @retried
    def add(self, scope: Scope, source: str, prices: Iterable[Price]) -> ImportedPrices:
        """Facts as a source says them; what is there already stays as it is."""
        checked_source(source)
        given = [line(price) for price in prices]
        with self.begin(scope) as work:
            return work.done(self._keep(work, source, given))

    def list(
        self,
        scope: Scope,
        asset: str,
        *,
        quote: str | None = None,
        since: date | None = None,
        until: date | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Price]:
        """Facts, latest first, corrections beside what they correct."""
        with self.begin(scope) as work:
            return work.prices.list(asset, quote, since, until, cursor, checked_limit(limit))

    def convert(
        self, scope: Scope, amount: Amount, to: str, at: datetime, display: str | None = None
    ) -> Converted:
        """The amount in another asset at the prices that held then, with their path and age."""
        [found] = self.convert_all(scope, [(amount, at)], to, display)
        return found

    def convert_all(
        self,
        scope: Scope,
        asked: Sequence[tuple[Amount, datetime]],
        to: str,
        display: str | None = None,
    ) -> Sequence[Converted]:
        """Each amount at its time, in their order, by one look at the prices."""
        _bounded(len(asked))
        with uncollected():
            return self._converted(scope, asked, to, display)

    def _converted(
        self,
        scope: Scope,
        asked: Sequence[tuple[Amount, datetime]],
        to: str,
        display: str | None,
    ) -> Sequence[Converted]:
        with self.begin(scope) as work:
            target = work.assets.get(to)
            if display is not None:
                work.assets.get(display)
            wanted = {(amount.asset.id, at) for amount, at in asked}
            table = work.prices.table(wanted, target.id, display=display)
        known = {key: table.factor(key[0], target.id, key[1]) for key in wanted}
        found = []
        for amount, at in asked:
            factor = known[amount.asset.id, at]
            result = factor.convert(amount, target) if isinstance(factor, Factor) else None
            found.append(Converted(amount, at, result, factor))
        return found

    def coverage(
        self, scope: Scope, assets: Collection[str], to: str, since: date, until: date
    ) -> Sequence[Coverage]:
        """Of each day of the span, whether each asset has a price in `to`, and whether it is too
        old."""
        days = _days(since, until)
        ids = sorted(set(assets))
        _bounded(len(days) * len(ids))
        times = [midnight(day) for day in days]
        with self.begin(scope) as work:
            for asset in ids:
                work.assets.get(asset)
            wanted = {(asset, at) for asset in ids for at in times}
            table = work.prices.table(wanted, work.assets.get(to).id)
        return [
            Coverage.of(asset, to, [table.factor(asset, to, at) for at in times]) for asset in ids
        ]

    def gaps(self, scope: Scope, asset: str, since: date, until: date) -> Sequence[Gap]:
        """The days of the span on which nobody said a price, run by run. What is traded on working
        days only has no gap on a Saturday or a Sunday."""
        _days(since, until)
        with self.begin(scope) as work:
            work.assets.get(asset)
            found = work.prices.days([asset], since, until).get(asset, {})
        known = frozenset[date]().union(*found.values())
        return gaps_between(known, since, until, daily=trades_daily(asset))

    def course(
        self, scope: Scope, asset: str, since: date, until: date, *, quote: str | None = None
    ) -> Course:
        """What is known of an asset's prices: who says them, each day of the span, its gaps, and
        what was corrected; in `quote`, or else in what it was last said in. Raises UnknownAsset."""
        _days(since, until)
        with self.begin(scope) as work:
            work.assets.get(asset)
            said = work.prices.said(asset)
            own = [each for each in said if quote in (None, each.quote)]
            if not own:
                return Course(asset=asset, said=said, quote=quote)
            quote = own[0].quote
            days = work.prices.closes(asset, quote, since, until)
            facts = work.prices.corrected(asset, quote, MOST_CORRECTIONS)
        first = min(each.first for each in own if each.quote == quote).astimezone(UTC).date()
        known = {each.at.astimezone(UTC).date() for each in days}
        return Course(
            asset=asset,
            said=said,
            quote=quote,
            days=days,
            gaps=gaps_between(known, max(since, first), until, daily=trades_daily(asset)),
            corrections=[
                tuple(each)
                for _, each in groupby(facts, key=lambda it: (it.at, it.granularity, it.source))
            ],
        )

    @retried
    def repair(
        self,
        scope: Scope,
        asset: str,
        quote: str,
        *,
        source: str,
        right: Fraction | None = None,
        dry_run: bool = False,
    ) -> Mended:
        """What the stored history of a source comes to without its known faults: further facts,
        beside those that are there. `right` is a price that it is known to be near; with `dry_run`
        nothing is kept."""
        checked_source(source)
        with self.begin(scope) as work:
            asset, quote = work.assets.get(asset).id, work.assets.get(quote).id
            facts = work.prices.history(asset, quote, source)
            mended = mend(_bars(facts, work.prices.actions(asset, quote, source)), right)
            if not dry_run:
                self._mend(work, source, asset, quote, mended)
            return work.done(mended)

    def _keep(self, work: PricesWork, source: str, lines: Iterable[Line]) -> ImportedPrices:
        found = work.prices.add(source, lines)
        if found.added or found.corrected:
            work.events.record(PricesImported(source, found.added, found.corrected))
        return found

    def _mend(
        self, work: PricesWork, source: str, asset: str, quote: str, mended: Mended
    ) -> ImportedPrices:
        days = {fix.at for fix in mended.fixes}
        bars = [bar for bar in mended.bars if bar.at in days]
        return self._keep(work, source, lines_of(bars, asset, quote))


def _named(work: PricesWork, asset_id: str) -> Asset:
    try:
        return work.assets.get(asset_id)
    except UnknownAsset:
        asset = world_asset(asset_id)
        if asset is None:
            raise
        work.assets.add(asset)
        return asset


def _with(found: ImportedPrices, more: ImportedPrices) -> ImportedPrices:
    return attrs.evolve(found, corrected=found.corrected + more.corrected)


def _bars(facts: Iterable[Price], actions: Iterable[Action]) -> list[Bar]:
    done = {(each.on_date, each.kind): each.value for each in actions}
    bars = []
    seen: set[date] = set()
    for fact in facts:
        day = fact.at.astimezone(UTC).date()
        # Of an hour's history the first of the day has what was done on it.
        own = (
            {} if day in seen else {kind: value for (on, kind), value in done.items() if on == day}
        )
        seen.add(day)
        bars.append(
            Bar(
                at=fact.at,
                close=Fraction(fact.value),
                split=own.get("split", Fraction(0)),
                dividend=own.get("dividend", Fraction(0)),
                granularity=fact.granularity,
            )
        )
    return bars


def _days(since: date, until: date) -> Sequence[date]:
    if since > until:
        raise BadSpan("the span ends before it begins")
    count = (until - since).days + 1
    _bounded(count)
    return [since + timedelta(number) for number in range(count)]


def _bounded(asked: int) -> None:
    if asked > MAX_ASKED:
        raise BadSpan(f"{asked} prices are asked for at once, and at most {MAX_ASKED} may be")
