"""What rates need of a transaction."""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from datetime import date
from typing import Protocol

from finora_core.kernel.asset import Asset
from finora_core.kernel.page import Page
from finora_core.kernel.work import Work
from finora_core.market.rates.model import ImportedRates, Rate, RateTable


class Rates(Protocol):
    def add(self, source: str, rates: Iterable[Rate]) -> ImportedRates:
        """Keep what is new; what is there with another value gets a revision beside it. Waits for
        another that adds."""

    def table(
        self,
        assets: Collection[str],
        to: str,
        days: Sequence[date],
        *,
        upto: int | None = None,
    ) -> RateTable:
        """What is needed to convert these assets on these days; with `upto`, only what was known
        when there were so many facts."""

    def list(
        self,
        base: str | None,
        quote: str | None,
        since: date | None,
        until: date | None,
        cursor: str | None,
        limit: int,
    ) -> Page[Rate]:
        """Latest day first, revisions too."""

    def days(self, base: str, quotes: Collection[str], since: date) -> Mapping[str, Set[date]]:
        """The days from then on that each has a rate of."""


class KnownAssets(Protocol):
    def get(self, asset_id: str) -> Asset:
        """Raises UnknownAsset."""


class RatesWork(Work, Protocol):
    @property
    def rates(self) -> Rates: ...
    @property
    def assets(self) -> KnownAssets: ...
