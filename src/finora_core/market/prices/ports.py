"""What prices need of a transaction."""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from finora_core.kernel.asset import Asset
from finora_core.kernel.page import Page
from finora_core.kernel.work import Work
from finora_core.market.prices.model import ImportedPrices, Line, Price, PriceTable, Said
from finora_core.market.prices.repair import Action


class Prices(Protocol):
    def add(self, source: str, lines: Iterable[Line]) -> ImportedPrices:
        """Keep what is new; what is there with another value gets a revision beside it. Of two
        lines of one pair and time the first holds. Waits for another that adds."""

    def table(
        self,
        wanted: Collection[tuple[str, datetime]],
        to: str,
        *,
        display: str | None = None,
        upto: int | None = None,
    ) -> PriceTable:
        """What is needed to convert each of these assets at its time, rates too; with `upto`, only
        what was known after so many loads."""

    def known(self) -> int:
        """How many loads there were: what `upto` takes."""

    def list(
        self,
        asset: str,
        quote: str | None,
        since: date | None,
        until: date | None,
        cursor: str | None,
        limit: int,
    ) -> Page[Price]:
        """Latest first, revisions too."""

    def history(self, asset: str, quote: str, source: str | None) -> Sequence[Price]:
        """The facts that hold, oldest first; of one source, or of each time the latest known."""

    def days(
        self, assets: Collection[str], since: date, until: date
    ) -> Mapping[str, Mapping[str, Set[date]]]:
        """The days of that span on which an asset has a price, by asset and quote."""

    def said(self, asset: str) -> Sequence[Said]:
        """What each source says of it, the one with the latest fact first."""

    def closes(self, asset: str, quote: str, since: date, until: date) -> Sequence[Price]:
        """The last fact of each day of that span, oldest first."""

    def corrected(self, asset: str, quote: str, limit: int) -> Sequence[Price]:
        """All revisions of the latest facts that have several, latest fact first."""

    def last(
        self, pairs: Collection[tuple[str, str]]
    ) -> Mapping[tuple[str, str], tuple[datetime, Decimal]]:
        """Of when the latest price of each pair is, and what it says."""

    def absent(self, pairs: Collection[tuple[str, str]]) -> Set[tuple[str, str]]:
        """Those that nobody had a price of when asked, and that are not to be asked for yet."""

    def lack(self, pairs: Collection[tuple[str, str]], until: datetime) -> None:
        """Nobody has a price of them: ask again from then on, or once one came."""

    def act(self, source: str, asset: str, quote: str, actions: Sequence[Action]) -> None:
        """Keep what a company did; with another value it gets a revision."""

    def actions(self, asset: str, quote: str, source: str | None) -> Sequence[Action]:
        """The latest revision of each."""


class KnownAssets(Protocol):
    def get(self, asset_id: str) -> Asset:
        """Raises UnknownAsset."""

    def add(self, asset: Asset) -> None:
        """Raises AssetExists where its scale is another."""


class PricesWork(Work, Protocol):
    @property
    def prices(self) -> Prices: ...
    @property
    def assets(self) -> KnownAssets: ...
