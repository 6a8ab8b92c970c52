"""The chain of sources: each is asked in its turn for what is still missing, and what all of them
answered is told, each outcome by its type. Nothing here writes, and no transaction is open."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Protocol, TypeVar

import attrs

from finora_core.kernel.errors import Conflict, NotFound
from finora_core.kernel.outcome import Missing, Ok, Outcome, Partial, Unsupported
from finora_core.market.assets.model import Identity
from finora_core.plugins import AssetRef, Day, Quoted

AGREE = Fraction(1, 20)
"""Two sources that differ by more do not agree."""
LEAP = 10
"""A price that is so many times the last, or a part of it, is not believed of one source alone."""
_RECENT = timedelta(days=7)

T = TypeVar("T")


class UnknownSource(NotFound):
    """No source of this name is installed."""

    code = "UNKNOWN_SOURCE"


class SourceCannot(Conflict):
    """The source does not answer such questions: its manifest does not say that it does."""

    code = "SOURCE_CANNOT"


class CredentialsMissing(Conflict):
    """The source answers nobody without credentials, and they are not set."""

    code = "CREDENTIALS_MISSING"


class SourceAside(Conflict):
    """The source was set aside: it crashed, hung, flooded or broke the contract."""

    code = "SOURCE_ASIDE"


class Manifest(Protocol):
    """What a source says of itself, as far as the chain goes by it."""

    @property
    def name(self) -> str: ...
    @property
    def capabilities(self) -> Collection[str]: ...
    @property
    def assets(self) -> Collection[str]: ...
    @property
    def since(self) -> date | None: ...


class Source(Protocol):
    """One source as the host asks it: in bounds, in time, and always with an outcome."""

    @property
    def provides(self) -> Manifest: ...
    @property
    def missing(self) -> Sequence[str]:
        """Fields of the credentials that it needs and does not have."""

    @property
    def aside(self) -> str | None:
        """Why it was set aside."""


class PriceSource(Source, Protocol):
    def latest(self, assets: Sequence[AssetRef], quote: str) -> Outcome[Sequence[Quoted]]: ...

    def history(
        self, asset: AssetRef, quote: str, since: date, until: date
    ) -> Outcome[Sequence[Day]]: ...


class RateSource(Source, Protocol):
    def rates(
        self, base: str, quotes: Sequence[str], since: date, until: date
    ) -> Outcome[Mapping[str, Sequence[Day]]]: ...


class IdentitySource(Source, Protocol):
    def find(self, text: str) -> Outcome[Sequence[Any]]: ...


@attrs.frozen
class Tried:
    """One source that was asked, or why it was not."""

    source: str
    outcome: str
    """Name of the outcome's type in lower case, or `unfit`, `unready`, `aside`."""
    said: str = ""


@attrs.frozen(kw_only=True)
class Disagreement:
    """Two sources of one asset at about one time."""

    asset: str
    quote: str
    source: str
    price: Decimal
    other: str
    other_price: Decimal


@attrs.frozen(kw_only=True)
class Latest:
    """What a chain answered about some assets."""

    found: Mapping[str, tuple[str, Quoted]]
    """By asset, with the source that said it."""
    absent: frozenset[str]
    """Assets that every source that was well answered without; and at least one was."""
    tried: Sequence[Tried]
    disagreements: Sequence[Disagreement] = ()
    doubted: frozenset[str] = frozenset()
    """Assets whose price leapt, and nobody else said the same: not believed."""


@attrs.frozen(kw_only=True)
class Past:
    """What a chain answered about an asset's history."""

    days: Mapping[str, Sequence[Day]]
    """By the source that said it."""
    empty: bool
    """All that were asked were well, and none has a day of it."""
    tried: Sequence[Tried]


def ref_of(asset: str, identity: Identity | None) -> AssetRef | None:
    """What the world calls an asset: by its identity, or what its id says. None of one's own."""
    if identity is not None:
        return AssetRef(
            id=asset, kind=identity.kind.value, symbol=identity.symbol, names=identity.names
        )
    scheme, _, rest = asset.partition(":")
    if scheme == "isin":
        return AssetRef(id=asset, kind="security", symbol=rest, names={"isin": rest})
    if scheme == "ticker":
        return AssetRef(id=asset, kind="security", symbol=rest)
    if scheme == "crypto":
        return AssetRef(id=asset, kind="crypto", symbol=rest)
    if "/" in asset:
        return AssetRef(id=asset, kind="crypto", symbol=asset, names={"caip19": asset})
    return None


def agree(one: Decimal, other: Decimal) -> bool:
    low, high = sorted((Fraction(one), Fraction(other)))
    return high - low <= AGREE * high


def leaps(new: Decimal, last: Decimal) -> bool:
    low, high = sorted((Fraction(new), Fraction(last)))
    return high > LEAP * low


@attrs.frozen
class PriceChain:
    """Sources in the order in which they are asked."""

    sources: Sequence[PriceSource]

    def latest(
        self,
        assets: Sequence[AssetRef],
        quote: str,
        last: Mapping[str, tuple[datetime, Decimal]],
        now: datetime,
        checked: Collection[str] = (),
    ) -> Latest:
        """`last` is what was known of each: a leap from a recent one is asked for twice. So are
        those in `checked`, to see whether sources agree."""
        left = {each.id: each for each in assets}
        found: dict[str, tuple[str, Quoted]] = {}
        tried: list[Tried] = []
        answered: set[str] = set()
        failed: set[str] = set()
        for source in self.sources:
            fit, said = _fit(source, "latest", left.values())
            if said is not None:
                tried.append(said)
            if not fit:
                continue
            quoted, said = _ask(source, lambda source=source, fit=fit: source.latest(fit, quote))
            tried.append(said)
            asked = {each.id for each in fit}
            if quoted is None:
                failed |= asked
                continue
            if said.outcome == "unsupported":
                continue
            (failed if said.outcome == "partial" else answered).update(asked)
            for each in quoted:
                if each.asset in left and each.quote == quote:
                    found[each.asset] = source.provides.name, each
                    del left[each.asset]
        again = {
            asset: ref
            for ref in assets
            if (asset := ref.id) in found
            and (asset in checked or _leapt(found[asset][1], last.get(asset), now))
        }
        others = self._others(again, found, quote, tried)
        differ, doubted = [], set()
        for asset, ref in again.items():
            name, quoted_ = found[ref.id]
            other = others.get(asset)
            if other is not None and not agree(quoted_.price, other[1].price):
                differ.append(
                    Disagreement(asset=asset, quote=quote, source=name, price=quoted_.price,
                                 other=other[0], other_price=other[1].price)
                )  # fmt: skip
            if _leapt(quoted_, last.get(asset), now) and (
                other is None or not agree(quoted_.price, other[1].price)
            ):
                doubted.add(asset)
        return Latest(
            found={asset: each for asset, each in found.items() if asset not in doubted},
            absent=frozenset(set(left) & answered - failed),
            tried=tried,
            disagreements=differ,
            doubted=frozenset(doubted),
        )

    def _others(
        self,
        again: Mapping[str, AssetRef],
        found: Mapping[str, tuple[str, Quoted]],
        quote: str,
        tried: list[Tried],
    ) -> dict[str, tuple[str, Quoted]]:
        """What the next source that knows it says of each."""
        others: dict[str, tuple[str, Quoted]] = {}
        for source in self.sources:
            name = source.provides.name
            refs = [ref for asset, ref in again.items()
                    if asset not in others and found[asset][0] != name]  # fmt: skip
            fit, _ = _fit(source, "latest", refs)
            if not fit:
                continue
            quoted, said = _ask(source, lambda source=source, fit=fit: source.latest(fit, quote))
            tried.append(said)
            others |= {each.asset: (name, each) for each in quoted or () if each.quote == quote}
        return others

    def history(self, asset: AssetRef, quote: str, since: date, until: date) -> Past:
        """The first source that has any day of it answers for all. None is asked for days before
        its history begins."""
        days: dict[str, Sequence[Day]] = {}
        tried: list[Tried] = []
        well = bad = False
        for source in self.sources:
            fit, said = _fit(source, "history", [asset])
            if said is not None:
                tried.append(said)
            first = max(since, source.provides.since or since)
            if not fit or first > until:
                continue
            found, said = _ask(
                source,
                lambda source=source, first=first: source.history(asset, quote, first, until),
            )
            tried.append(said)
            bad = bad or found is None or said.outcome == "partial"
            well = well or said.outcome in ("ok", "missing")
            if found:
                days[source.provides.name] = found
                break
        return Past(days=days, empty=well and not bad and not days, tried=tried)


@attrs.frozen
class RateChain:
    sources: Sequence[RateSource]

    def rates(
        self, base: str, quotes: Sequence[str], since: date, until: date
    ) -> tuple[Mapping[str, Mapping[str, Sequence[Day]]], Sequence[Tried]]:
        """By source, then by quote. Each is asked for the quotes that those before it had not."""
        found: dict[str, Mapping[str, Sequence[Day]]] = {}
        tried: list[Tried] = []
        left = set(quotes)
        for source in self.sources:
            first = max(since, source.provides.since or since)
            reason = _unready(source)
            if reason is not None:
                tried.append(reason)
            if reason is not None or not left or first > until:
                continue
            wanted = sorted(left)
            answer, said = _ask(
                source,
                lambda source=source, wanted=wanted, first=first: source.rates(
                    base, wanted, first, until
                ),
            )
            tried.append(said)
            kept = {quote: days for quote, days in (answer or {}).items() if quote in left and days}
            if kept:
                found[source.provides.name] = kept
                left -= set(kept)
        return found, tried


@attrs.frozen
class IdentityChain:
    sources: Sequence[IdentitySource]

    def names(self, ref: AssetRef) -> tuple[Mapping[str, str], Sequence[Tried]]:
        """What each source calls the asset, where one thing and no other is of its symbol and
        kind."""
        names: dict[str, str] = {}
        tried: list[Tried] = []
        words = ref.names.get("isin", ref.symbol)
        for source in self.sources:
            fit, said = _fit(source, None, [ref])
            if said is not None:
                tried.append(said)
            if not fit:
                continue
            found, said = _ask(source, lambda source=source: source.find(words))
            tried.append(said)
            alike = [each for each in found or () if each.kind == ref.kind
                     and (each.symbol.casefold() == ref.symbol.casefold()
                          or each.names.get("isin") == words)]  # fmt: skip
            if len(alike) == 1:
                names.setdefault(source.provides.name, alike[0].name)
                for namespace, name in alike[0].names.items():
                    names.setdefault(namespace, name)
        return names, tried


def required(sources: Sequence[Source], name: str, capability: str | None) -> Source:
    """The source of that name, ready for that question. Raises UnknownSource, SourceCannot,
    CredentialsMissing, SourceAside."""
    found = next((each for each in sources if each.provides.name == name), None)
    if found is None:
        raise UnknownSource(f"no source {name[:64]!r} is installed")
    if capability is not None and capability not in found.provides.capabilities:
        raise SourceCannot(f"{name} does not answer {capability!r}")
    if found.missing:
        fields = [f"FINORA_PLUGIN_{name}_{field}".upper() for field in found.missing]
        raise CredentialsMissing(
            f"{name} needs {', '.join(fields)}", facts={"source": name, "settings": fields}
        )
    if found.aside is not None:
        raise SourceAside(f"{name} was set aside: {found.aside}")
    return found


def _unready(source: Source) -> Tried | None:
    name = source.provides.name
    if source.missing:
        return Tried(name, "unready", f"needs {', '.join(source.missing)}")
    if source.aside is not None:
        return Tried(name, "aside", source.aside)
    return None


def _fit(
    source: Source, capability: str | None, assets: Collection[AssetRef]
) -> tuple[list[AssetRef], Tried | None]:
    """Those of the assets that the source may know, and why it is not asked at all."""
    if not assets:
        return [], None
    provides = source.provides
    if capability is not None and capability not in provides.capabilities:
        return [], Tried(provides.name, "unfit", f"does not answer {capability}")
    if (reason := _unready(source)) is not None:
        return [], reason
    return [each for each in assets if not provides.assets or each.kind in provides.assets], None


def _ask(source: Source, call: Any) -> tuple[Any, Tried]:
    """The value of a good answer, else None."""
    name = source.provides.name
    answer = call()
    kind = type(answer).__name__.lower()
    match answer:
        case Ok(value):
            return value, Tried(name, kind)
        case Partial(value, gap):
            return value, Tried(name, kind, gap[:200])
        case Missing() | Unsupported():
            # It is well, and has nothing: no failure of its.
            return (), Tried(name, kind)
    return None, Tried(name, kind, str(getattr(answer, "reason", ""))[:200])


def _leapt(quoted: Quoted, last: tuple[datetime, Decimal] | None, now: datetime) -> bool:
    return last is not None and now - last[0] <= _RECENT and leaps(quoted.price, last[1])
