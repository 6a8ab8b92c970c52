"""What the wallet reads."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol

from finora_core.insights.wallet.model import CategoryTotal, DayFlows, Flows, MonthFlows, Worth
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.work import Work


class Totals(Protocol):
    """The totals that every posting keeps up, and the days where a month is too coarse."""

    def base(self) -> Asset:
        """The tenant's base asset."""

    def own(self) -> Sequence[Amount]:
        """What own accounts hold now, per asset."""

    def flows(self, since: date, until: date) -> Sequence[Flows]:
        """Both days included; whole months come from the totals."""

    def spending(self, since: date, until: date, top: int) -> Sequence[CategoryTotal]:
        """The `top` categories of each asset by money out."""

    def months(self, first: date, last: date) -> Sequence[MonthFlows]:
        """Every month from `first` to `last`, also those without a movement."""

    def days(self, since: date, until: date) -> Sequence[DayFlows]:
        """Days with a movement; scans the asked range alone."""

    def worth(self, ends: Sequence[date]) -> Sequence[Worth]:
        """Net worth at the end of each of these months' last days, from the totals."""


class WalletWork(Work, Protocol):
    @property
    def totals(self) -> Totals: ...
    @property
    def now(self) -> datetime: ...
