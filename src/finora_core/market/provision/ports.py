"""What is served, whom it is counted for, and where that is kept."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID

import attrs

from finora_core.identity.ports import Tokens
from finora_core.kernel.outcome import Outcome
from finora_core.kernel.page import Page
from finora_core.kernel.work import Work
from finora_core.market.prices.chain import IdentitySource, PriceSource, RateSource
from finora_core.market.provision.model import Account, Plan, Quota, Reading, Usage
from finora_core.plugins import Batch, Held, Picture, Seen


class DataSource(PriceSource, RateSource, IdentitySource, Protocol):
    """One source; what it was not made for it answers with Unsupported."""

    def balances(self, account: str) -> Outcome[Sequence[Held]]: ...

    def transactions(self, account: str, cursor: str | None) -> Outcome[Batch]: ...

    def picture(self, picture: Picture) -> Outcome[Sequence[Seen]]: ...

    def metered(self, question: str, *given: Any) -> tuple[Outcome[Any], int]:
        """One of the questions by its name, and what its requests cost, in millionths of a US
        dollar."""


class DataPlans(Protocol):
    def get(self, key_id: UUID) -> Plan | None: ...

    def put(self, plan: Plan) -> None: ...

    def list(self) -> Mapping[UUID, Plan]: ...


class DataUses(Protocol):
    def add(self, readings: Sequence[Reading]) -> None:
        """Those that are there already change nothing."""

    def count(self, account: Account, meter: UUID | None = None) -> int:
        """Requests of the key in that month; with `meter`, of every other one."""

    def months(self, month: date) -> Mapping[UUID, tuple[int, int]]:
        """By key, requests and cost of that month."""

    def list(
        self,
        key_id: UUID | None,
        since: date | None,
        until: date | None,
        cursor: str | None,
        limit: int,
    ) -> Page[Usage]:
        """Latest day first, by key and source; of all keys where none is named."""


class DataWork(Work, Protocol):
    @property
    def now(self) -> datetime: ...
    @property
    def tokens(self) -> Tokens: ...
    @property
    def data_plans(self) -> DataPlans: ...
    @property
    def data_uses(self) -> DataUses: ...


@attrs.frozen(kw_only=True)
class Taken:
    """How the counters stand after a request was counted, or was not."""

    wait_ms: int
    """0 where it was counted; else how long the window has no place. The month is judged by
    `used`."""
    used: int
    """Requests of the month, with this one where it was counted."""
    in_window: int
    window_ms: int
    """Until a place of the window is free again."""
    counted: bool


@attrs.frozen(kw_only=True)
class Unwritten:
    """What an account's meter stands at, and has not been written down."""

    account: Account
    meter: UUID
    readings: Sequence[Reading]
    mark: int
    """Of that state."""


class Meter(Protocol):
    """Counts requests while they come: of all processes, or of this one."""

    def take(
        self,
        account: Account,
        on_date: date,
        source: str,
        quota: Quota,
        before: Callable[[Account], int],
    ) -> Taken:
        """Count one request, unless the quota is used up; then nothing is counted. `before` says
        how many the account has had, where the meter does not know it yet."""

    def cost(self, account: Account, on_date: date, source: str, micros: int) -> None:
        """What a counted request cost."""

    def unwritten(self) -> Sequence[Unwritten]: ...

    def written(self, each: Unwritten, elsewhere: int) -> None:
        """That state was written down; other meters have counted so many of the same account."""
