"""Keeping prices, rates and identities up to date: what is wanted is read, sources are asked while
no transaction is open, and what they answered is written."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from datetime import UTC, date, datetime, timedelta
from typing import ClassVar, Protocol
from uuid import UUID
from zlib import crc32

import attrs

from finora_core.jobs.model import Progress
from finora_core.kernel.currencies import DIGITS
from finora_core.kernel.events import Event, Plain
from finora_core.kernel.ids import derived_id, new_id
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, Work
from finora_core.market.assets.model import Identity, Judged, pretended
from finora_core.market.assets.ports import Identities
from finora_core.market.prices.chain import (
    Disagreement,
    IdentityChain,
    Latest,
    PriceChain,
    RateChain,
    Tried,
    ref_of,
    required,
)
from finora_core.market.prices.model import (
    BadPrice,
    Granularity,
    Line,
    Price,
    PricesImported,
    line,
    midnight,
    trades_daily,
)
from finora_core.market.prices.ports import Prices
from finora_core.market.rates.model import PIVOT, Rate, RatesImported
from finora_core.market.rates.ports import Rates
from finora_core.plugins import AssetRef, Quoted

UPDATE = "prices.update"
"""The job that prices what one tenant holds."""
UNPRICEABLE = timedelta(days=7)
"""For so long a history that nobody has any day of is not asked for again."""
LACKING = timedelta(days=1)
"""For so long a present price that nobody has is not asked for again."""
LONG = 30
"""Of so many days at least a history must be, to say that there is none."""
REST = 5
"""So many days in a row without a price, between two with one, were days of rest: where people
rest."""
STALE = timedelta(days=30)
"""How long an identity is taken as it is."""
MOST = 500
_CHECKED = 24
"""Of the assets one in so many is asked of two sources each hour: all of them in a day."""


@attrs.frozen(kw_only=True)
class Wanted:
    """Somebody holds the asset, and reckons in the quote."""

    tenant_id: UUID
    asset: str
    quote: str
    since: date
    """When its first posting was."""


class Holdings(Protocol):
    def wanted(self, tenant_id: UUID | None = None) -> Sequence[Wanted]:
        """What is held, by one tenant or by all. Opens transactions of its own."""

    def tell(self, tenant_id: UUID, event: Event) -> None:
        """Record that in a transaction of the tenant's."""


class RefreshWork(Work, Protocol):
    """One transaction, as far as keeping up to date sees it."""

    @property
    def prices(self) -> Prices: ...
    @property
    def rates(self) -> Rates: ...
    @property
    def identities(self) -> Identities: ...


@attrs.frozen(kw_only=True)
class PricesRefreshed:
    """Assets that this tenant holds have new prices: what was reckoned with the old ones is old."""

    type: ClassVar[str] = "prices.refreshed"

    assets: int

    def payload(self) -> Mapping[str, Plain]:
        return {"assets": self.assets}


@attrs.frozen
class PricesDisagree:
    """Two sources say prices of one asset that differ by more than they may: somebody must look."""

    type: ClassVar[str] = "prices.disagree"

    found: Disagreement

    def payload(self) -> Mapping[str, Plain]:
        found = self.found
        return {
            "asset": found.asset,
            "quote": found.quote,
            "source": found.source,
            "price": format(found.price, "f"),
            "other": found.other,
            "other_price": format(found.other_price, "f"),
        }


@attrs.frozen(kw_only=True)
class PriceDoubted:
    """A price leapt from the last, no other source says the same, and it was not kept."""

    type: ClassVar[str] = "prices.doubted"

    asset: str
    quote: str

    def payload(self) -> Mapping[str, Plain]:
        return {"asset": self.asset, "quote": self.quote}


@attrs.frozen(kw_only=True)
class PricesAsked:
    """Somebody wants the prices of what the tenant holds now, of one source or of all."""

    type: ClassVar[str] = "prices.asked"

    update_id: UUID
    source: str | None

    def payload(self) -> Mapping[str, Plain]:
        return {"update": str(self.update_id), "source": self.source}


@attrs.frozen(kw_only=True)
class RefreshService:
    begin: Begin[RefreshWork]
    holdings: Holdings
    prices: PriceChain
    rates: RateChain
    identities: IdentityChain
    now: Callable[[], datetime]

    def ask(self, scope: Scope, source: str | None = None) -> UUID:
        """Let a job price what the tenant holds, by one source or by all; the job's id. Raises
        UnknownSource, SourceCannot, CredentialsMissing, SourceAside."""
        if source is not None:
            required(self.prices.sources, source, "latest")
        with self.begin(scope) as work:
            update_id = new_id()
            work.events.record(PricesAsked(update_id=update_id, source=source))
            about = (str(scope.user_id), str(update_id), scope.request_id)
            return work.done(derived_id(UPDATE, *about))

    def update(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        """The job of `ask`."""
        name = payload["source"]
        sources = [each for each in self.prices.sources if name in (None, each.provides.name)]
        held = self.holdings.wanted(scope.tenant_id)
        return self._refresh(scope, held, PriceChain(sources), progress)

    def refresh(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        """What everything held is worth now. One asset that has no price, or a source that fails,
        is told and stops nothing."""
        return self._refresh(scope, self.holdings.wanted(), self.prices, progress)

    def _refresh(
        self, scope: Scope, wanted: Sequence[Wanted], chain: PriceChain, progress: Progress
    ) -> object:
        held = [each for each in wanted if each.asset not in DIGITS]
        pairs = sorted({(each.asset, each.quote) for each in held})
        with self.begin(scope) as work:
            skipped = work.prices.absent(pairs)
            known = work.identities.of({asset for asset, _ in pairs})
            last = work.prices.last(pairs)
        now = self.now()
        by_quote = defaultdict[str, list[AssetRef]](list)
        for asset, quote in pairs:
            ref = _ref(asset, known)
            if ref is not None and (asset, quote) not in skipped:
                by_quote[quote].append(ref)
        answers: dict[str, Latest] = {}
        for quote, refs in sorted(by_quote.items()):
            recent = {asset: found for (asset, of), found in last.items() if of == quote}
            checked = {ref.id for ref in refs if crc32(ref.id.encode()) % _CHECKED == now.hour}
            answers[quote] = chain.latest(refs, quote, recent, now, checked)
            progress(len(answers), len(by_quote))
        found = {
            (asset, quote): (source, price)
            for quote, answer in answers.items()
            for asset, (source, quoted) in answer.found.items()
            if (price := _price(source, quoted)) is not None
        }
        with self.begin(scope) as work:
            kept = _keep(work, ((source, line(price)) for source, price in found.values()))
            for quote, answer in answers.items():
                work.prices.lack({(asset, quote) for asset in answer.absent}, now + LACKING)
                for differ in answer.disagreements:
                    work.events.record(PricesDisagree(differ))
                for asset in sorted(answer.doubted):
                    work.events.record(PriceDoubted(asset=asset, quote=quote))
            tokens = {asset for asset, _ in pairs if _ref(asset, known) is not None}
            priced = {asset for asset, _ in found}
            result = {
                "tokens": len(tokens),
                "priced": len(priced),
                "failed": len(tokens - priced),
                "skipped": len({asset for asset, _ in skipped}),
                "kept": kept,
                "sources": _told(each for answer in answers.values() for each in answer.tried),
            }
            work.done(result)
        self._tell(held, priced if kept else ())
        return result

    def backfill(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        """The closing prices of every day since something is held that are missing."""
        wanted: dict[tuple[str, str], date] = {}
        held = [each for each in self.holdings.wanted() if each.asset not in DIGITS]
        for each in held:
            pair = each.asset, each.quote
            wanted[pair] = min(each.since, wanted.get(pair, each.since))
        yesterday = self.now().astimezone(UTC).date() - timedelta(days=1)
        first = min(wanted.values(), default=yesterday)
        with self.begin(scope) as work:
            skipped = work.prices.absent(wanted)
            known = work.identities.of({asset for asset, _ in wanted})
            days = work.prices.days({asset for asset, _ in wanted}, first, yesterday)
        filled: set[str] = set()
        absent = 0
        tried: list[Tried] = []
        for place, (pair, since) in enumerate(sorted(wanted.items()), start=1):
            asset, quote = pair
            ref = _ref(asset, known)
            had = days.get(asset, {}).get(quote, frozenset())
            span = missing_span(had, since, yesterday, daily=trades_daily(asset))
            if ref is None or pair in skipped or span is None:
                continue
            answer = self.prices.history(ref, quote, *span)
            tried += answer.tried
            # One asset, one transaction: what was answered is kept whatever becomes of the next.
            with self.begin(scope) as work:
                lines = [
                    (source, line(price))
                    for source, found in answer.days.items()
                    for day in found
                    if day.on_date not in had
                    and (price := _close(asset, quote, source, day.on_date, day.price)) is not None
                ]
                if _keep(work, lines):
                    filled.add(asset)
                elif answer.empty and (span[1] - span[0]).days + 1 >= LONG:
                    work.prices.lack({pair}, self.now() + UNPRICEABLE)
                    absent += 1
            progress(place, len(wanted))
        with self.begin(scope) as work:
            result = work.done(
                {
                    "tokens": len({asset for asset, _ in wanted}),
                    "filled": len(filled),
                    "unpriceable": absent,
                    "skipped": len(skipped),
                    "sources": _told(tried),
                }
            )
        self._tell(held, filled)
        return result

    def fill_rates(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        """The rates of every day since a currency is held, or reckoned in, that are missing."""
        first: dict[str, date] = {}
        for each in self.holdings.wanted():
            for code in (each.asset, each.quote):
                if code in DIGITS and code != PIVOT:
                    first[code] = min(each.since, first.get(code, each.since))
        yesterday = self.now().astimezone(UTC).date() - timedelta(days=1)
        with self.begin(scope) as work:
            had = work.rates.days(PIVOT, first, min(first.values(), default=yesterday))
        spans = {
            code: span
            for code, since in first.items()
            if (span := missing_span(had.get(code, frozenset()), since, yesterday, daily=False))
        }
        tried: Sequence[Tried] = ()
        rates: list[Rate] = []
        if spans:
            since = min(span[0] for span in spans.values())
            until = max(span[1] for span in spans.values())
            found, tried = self.rates.rates(PIVOT, sorted(spans), since, until)
            rates = [
                Rate(base=PIVOT, quote=quote, on_date=day.on_date, value=day.price, source=source)
                for source, by_quote in found.items()
                for quote, days in by_quote.items()
                for day in days
                if day.on_date not in had.get(quote, frozenset())
                and day.price.is_finite()
                and day.price > 0
            ]
        added = 0
        with self.begin(scope) as work:
            for source in sorted({rate.source for rate in rates}):
                kept = work.rates.add(source, [each for each in rates if each.source == source])
                added += kept.added
                if kept.added or kept.corrected:
                    work.events.record(RatesImported(source, kept.added, kept.corrected))
            return work.done(
                {"currencies": len(first), "asked": len(spans), "added": added,
                 "sources": _told(tried)}
            )  # fmt: skip

    def enrich(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        """What every source calls the assets that were not looked at for long."""
        with self.begin(scope) as work:
            stale = work.identities.stale(self.now() - STALE, MOST)
        named = 0
        tried: list[Tried] = []
        for place, identity in enumerate(stale, start=1):
            ref = ref_of(identity.asset, identity)
            assert ref is not None  # an identity is one
            names, asked = self.identities.names(ref)
            tried += asked
            new = {key: name for key, name in names.items() if key not in identity.names}
            with self.begin(scope) as work:
                if new:
                    work.identities.add(attrs.evolve(identity, names=new))
                    named += 1
                found = work.identities.find(identity.asset) or identity
                like = pretended(found, work.identities.alike(found.skeleton))
                # A row even where nothing changed: it was looked at.
                work.identities.judge(found.asset, "refresh", found.scam, like)
                work.events.record(Judged(asset=found.asset, scam=found.scam, lookalike=like))
            progress(place, len(stale))
        with self.begin(scope) as work:
            return work.done({"looked_at": len(stale), "named": named, "sources": _told(tried)})

    def _tell(self, held: Iterable[Wanted], assets: Collection[str]) -> None:
        """Whoever holds any of them is told, so that nothing is shown from before."""
        by_tenant = defaultdict[UUID, set[str]](set)
        for each in held:
            if each.asset in assets:
                by_tenant[each.tenant_id].add(each.asset)
        for tenant_id, own in by_tenant.items():
            self.holdings.tell(tenant_id, PricesRefreshed(assets=len(own)))


def missing_span(
    had: Set[date], since: date, until: date, *, daily: bool
) -> tuple[date, date] | None:
    """From the first day that is missing to the last. Of what rests at weekends and on holidays, a
    few days between two with a price are no gap."""
    missing: list[date] = []
    run: list[date] = []
    for number in range((until - since).days + 1):
        day = since + timedelta(number)
        if day not in had:
            run.append(day)
            continue
        # What is bought on a day of rest has its first price after it.
        if run and (daily or len(run) > REST):
            missing += run
        run = []
    if run and (daily or len(run) > REST or any(day.weekday() < 5 for day in run)):
        missing += run
    return (missing[0], missing[-1]) if missing else None


def _ref(asset: str, known: Mapping[str, Identity]) -> AssetRef | None:
    identity = known.get(asset)
    return None if identity is not None and not identity.counts else ref_of(asset, identity)


def _price(source: str, quoted: Quoted) -> Price | None:
    try:
        return Price(
            asset=quoted.asset,
            quote=quoted.quote,
            at=quoted.at,
            value=quoted.price,
            source=source,
            granularity=Granularity.INTRADAY,
        )
    except BadPrice:
        return None


def _close(asset: str, quote: str, source: str, day: date, price: object) -> Price | None:
    quoted = Quoted(asset=asset, quote=quote, price=price, at=midnight(day))  # type: ignore[arg-type]  # it is of a Day
    found = _price(source, quoted)
    return found and attrs.evolve(found, granularity=Granularity.DAILY)


def _keep(work: RefreshWork, found: Iterable[tuple[str, Line]]) -> int:
    by_source = defaultdict[str, list[Line]](list)
    for source, each in found:
        by_source[source].append(each)
    kept = 0
    for source, lines in sorted(by_source.items()):
        taken = work.prices.add(source, lines)
        kept += taken.added + taken.corrected
        if taken.added or taken.corrected:
            work.events.record(PricesImported(source, taken.added, taken.corrected))
    return kept


def _told(tried: Iterable[Tried]) -> dict[str, dict[str, int]]:
    """How often each source answered how."""
    told: dict[str, dict[str, int]] = {}
    for each in tried:
        of = told.setdefault(each.source, {})
        of[each.outcome] = of.get(each.outcome, 0) + 1
    return told
