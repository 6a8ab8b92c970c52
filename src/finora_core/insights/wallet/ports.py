"""What the wallet reads."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol

from finora_core.insights.wallet.model import Moved, Worth
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.work import Work
from finora_core.market.rates.ports import Rates


class Totals(Protocol):
    """The totals that every posting keeps up, and the days where a month is too coarse."""

    def held(self) -> tuple[Asset, Sequence[Amount]]:
        """The tenant's base asset, and what own accounts hold now, per asset."""

    def monthly(self, first: date, last: date) -> Sequence[Moved]:
        """What moved in the months that begin from `first` to `last`, from the totals."""

    def daily(self, since: date, until: date) -> Sequence[Moved]:
        """What moved on these days, both included; scans the asked range alone."""

    def began(self) -> date | None:
        """The first day of the month in which the first own account moved; None if none did."""

    def worth(self, ends: Sequence[date]) -> Sequence[Worth]:
        """Net worth at the end of each of these days, from the totals."""


class WalletWork(Work, Protocol):
    @property
    def totals(self) -> Totals: ...
    @property
    def rates(self) -> Rates: ...
    @property
    def now(self) -> datetime: ...
