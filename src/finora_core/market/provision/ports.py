"""What is served: sources of every kind, as the host asks them."""

from collections.abc import Sequence
from typing import Protocol

from finora_core.kernel.outcome import Outcome
from finora_core.market.prices.chain import IdentitySource, PriceSource, RateSource
from finora_core.plugins import Batch, Held


class DataSource(PriceSource, RateSource, IdentitySource, Protocol):
    """One source; what it was not made for it answers with Unsupported."""

    def balances(self, account: str) -> Outcome[Sequence[Held]]: ...

    def transactions(self, account: str, cursor: str | None) -> Outcome[Batch]: ...
