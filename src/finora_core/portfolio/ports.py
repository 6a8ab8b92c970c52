"""What the portfolio needs of a transaction."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from finora_core.kernel.asset import Asset
from finora_core.kernel.page import Page
from finora_core.ledger.ports import LedgerWork
from finora_core.market.assets.ports import Identities
from finora_core.market.prices.model import Price
from finora_core.market.prices.ports import Prices
from finora_core.portfolio.columns import Column, Days
from finora_core.portfolio.history import DayValue, Scoped, Standing
from finora_core.portfolio.model import (
    Activity,
    ActivityFilter,
    Holding,
    Observation,
    OwnAsset,
    OwnPrice,
    PortfolioAccount,
)
from finora_core.records.ports import Imports


class PortfolioAccounts(Protocol):
    def add(self, account: PortfolioAccount) -> None:
        """Beside the ledger's account."""

    def get(self, account_id: UUID, *, lock: bool = False) -> PortfolioAccount:
        """Raises AccountNotFound. With `lock` nobody else adds activities to it meanwhile."""

    def all(self) -> Sequence[PortfolioAccount]:
        """By institution and name."""

    def hide(self, account_id: UUID, hidden: bool) -> None: ...


class Activities(Protocol):
    def add(self, activities: Sequence[Activity], import_id: UUID | None = None) -> None:
        """After their entries. Raises ActivityExists."""

    def get(self, activity_id: UUID) -> Activity:
        """Raises ActivityNotFound."""

    def known(self, account_id: UUID, source: str, ids: Collection[str]) -> Collection[str]:
        """Those of the source's ids that the account has, ended ones too."""

    def moved(
        self, account_id: UUID, assets: Collection[str]
    ) -> Mapping[str, Sequence[tuple[datetime, int]]]:
        """What moved these assets in the account, by asset."""

    def list(self, wanted: ActivityFilter, cursor: str | None, limit: int) -> Page[Activity]:
        """Latest first."""

    def standing(
        self, until: datetime | None = None, asset: str | None = None
    ) -> Sequence[Activity]:
        """Every one that is not ended, or those that concern an asset, oldest first; of one moment
        openings come first, then what came in. Each with what moved, and nothing of how it came to
        be known."""

    def end(
        self, activity_id: UUID, replaced_by: UUID | None, entry_id: UUID | None, by: UUID
    ) -> None:
        """Raises ActivityEnded."""

    def first(self) -> date | None:
        """The day of the earliest that is not ended."""

    def any_since(self, day: date) -> bool: ...

    def closed_through(self) -> date | None:
        """The last day of the tenant's closed periods."""


class Holdings(Protocol):
    def all(self, account_id: UUID | None = None) -> Sequence[Holding]:
        """What portfolio accounts have now, by account and asset, zero left out."""

    def choose(self, account_id: UUID, asset: str, included: bool) -> None: ...

    def choices(self) -> Mapping[tuple[UUID, str], bool]:
        """What people said of holdings; of others they said nothing."""

    def base(self) -> str:
        """The tenant's base asset."""

    def scams(self) -> Collection[str]:
        """Held assets whose market.assets Identity does not count: likely scams and imitations."""


class OwnAssets(Protocol):
    """Things of the tenant's own: their ids are global, their names are not."""

    def ensure(self, asset: Asset, name: str, quote: str, by: UUID) -> None:
        """Known by this name, from now on if it was not."""

    def names(self) -> Mapping[str, str]:
        """Asset -> name."""

    def get(self, asset_id: str) -> OwnAsset:
        """Raises OwnAssetNotFound."""

    def set_price(
        self, asset: str, quote: str, at: datetime, value: Decimal, reason: str, by: UUID
    ) -> OwnPrice:
        """A revision where there is a price of that time; the row, as it is kept."""

    def prices(self) -> Sequence[Price]:
        """Those that hold, of all things."""

    def history(self, asset: str) -> Sequence[OwnPrice]:
        """Every revision, latest first."""


class Observations(Protocol):
    def add(self, seen: Observation, by: UUID) -> bool:
        """False where the same was seen before. Raises ObservationExists for another quantity."""

    def of(self, account_id: UUID, asset: str) -> Sequence[Observation]:
        """Oldest first."""


class History(Protocol):
    """The stored days."""

    def lock(self) -> None:
        """Until the transaction ends nobody else makes days of the tenant."""

    def several(self, assets: Collection[str], base: str) -> frozenset[str]:
        """Those of them that more than one pair says the worth of, the base and the hubs either way
        round, or another currency: which of them holds is another one at another time."""

    def columns(
        self, assets: Collection[str], days: Days, base: str
    ) -> AbstractContextManager[Iterable[Column]]:
        """What each of the assets was worth, in the base, or else in a hub: looked for from the
        beginning of the block on, in which nothing else is asked. Of what has no price on any of
        the days there is none."""

    def standing(self, base: str, day: date, scams: Collection[str]) -> Sequence[Standing]:
        """What is there now, and counts, at its last prices until the end of that day; of no scam.
        As `columns` have them."""

    def store(
        self, base: str, since: date, through: date, rows: Iterable[tuple[Scoped, DayValue]]
    ) -> int:
        """In place of what is there from `since` on; how many."""

    def built(self, base: str) -> date | None:
        """The last day that is there."""

    def changed(self, base: str) -> date | None:
        """The earliest day of which a price or a rate became known since."""

    def on(self, base: str, day: date) -> Mapping[Scoped, DayValue]: ...

    def read(
        self, scope: Scoped, base: str, since: date | None, until: date | None
    ) -> Sequence[DayValue]:
        """By day."""


class PortfolioWork(LedgerWork, Protocol):
    @property
    def history(self) -> History: ...
    @property
    def own_assets(self) -> OwnAssets: ...
    @property
    def observations(self) -> Observations: ...
    @property
    def prices(self) -> Prices: ...
    @property
    def identities(self) -> Identities: ...
    @property
    def portfolio_accounts(self) -> PortfolioAccounts: ...
    @property
    def activities(self) -> Activities: ...
    @property
    def holdings(self) -> Holdings: ...
    @property
    def imports(self) -> Imports: ...
