"""Sources that answer as they are told to, in the shape in which the chain is given them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import attrs

from finora_core.kernel.outcome import Missing, Ok, Outcome
from finora_core.plugins import AssetRef, Day, Identified, Quoted


@attrs.frozen(kw_only=True)
class Manifest:
    name: str
    capabilities: Collection[str] = ("latest", "history")
    assets: Collection[str] = ()
    since: date | None = None


@attrs.define(kw_only=True)
class Source:
    """`prices` is what it says of assets now, `days` of their past; or an outcome of either."""

    provides: Manifest
    missing: Sequence[str] = ()
    aside: str | None = None
    now: datetime
    prices: Any = attrs.field(factory=dict)
    days: Any = attrs.field(factory=dict)
    known: Any = ()
    asked: list[Any] = attrs.field(factory=list)
    watch: Callable[[], None] = lambda: None
    """Called whenever it is asked."""

    def latest(self, assets: Sequence[AssetRef], quote: str) -> Outcome[Sequence[Quoted]]:
        self._note("latest", quote, sorted(each.id for each in assets))
        if not isinstance(self.prices, Mapping):
            return self.prices  # type: ignore[no-any-return]  # an outcome
        return Ok([
            Quoted(asset=each.id, quote=quote, price=Decimal(self.prices[each.id]), at=self.now)
            for each in assets if each.id in self.prices
        ])  # fmt: skip

    def history(
        self, asset: AssetRef, quote: str, since: date, until: date
    ) -> Outcome[Sequence[Day]]:
        self._note("history", asset.id, since, until)
        if not isinstance(self.days, Mapping):
            return self.days  # type: ignore[no-any-return]  # an outcome
        found = self._days(asset.id, since, until)
        return Ok(found) if found else Missing()

    def rates(
        self, base: str, quotes: Sequence[str], since: date, until: date
    ) -> Outcome[Mapping[str, Sequence[Day]]]:
        self._note("rates", tuple(quotes), since, until)
        if not isinstance(self.days, Mapping):
            return self.days  # type: ignore[no-any-return]  # an outcome
        return Ok({quote: self._days(quote, since, until) for quote in quotes})

    def find(self, text: str) -> Outcome[Sequence[Identified]]:
        self._note("find", text)
        said = text.casefold()
        return Ok([each for each in self.known if said == each.symbol.casefold()])

    def _days(self, name: str, since: date, until: date) -> list[Day]:
        days = self.days.get(name, {})
        return [Day(on_date=day, price=Decimal(price)) for day, price in sorted(days.items())
                if since <= day <= until]  # fmt: skip

    def _note(self, *asked: object) -> None:
        self.watch()
        self.asked.append(asked)
