"""What the ledger needs of a transaction."""

from collections.abc import Generator, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.page import Page
from finora_core.kernel.work import Work
from finora_core.ledger.model import (
    Account,
    Balance,
    Entry,
    EntryWords,
    Hold,
    HoldOutcome,
    StatementRow,
    TrialBalance,
)


class Assets(Protocol):
    """The assets known to this installation; the same for every tenant."""

    def get(self, asset_id: str) -> Asset:
        """Raises UnknownAsset."""

    def all(self) -> Mapping[str, Asset]:
        """Every one, by id."""

    def add(self, asset: Asset) -> None:
        """Make it known. Raises AssetExists where the id is taken with another scale."""


class Accounts(Protocol):
    def add(self, account: Account) -> None:
        """Raises AccountExists where the name is taken."""

    def ensure(self, account: Account) -> Account:
        """The account of this name, opened now if there is none; safe in a race."""

    def get(self, account_id: UUID) -> Account:
        """Raises AccountNotFound."""

    def named(self, name: str) -> Account | None: ...

    def list(self) -> Sequence[Account]:
        """All of them, by kind and name."""

    def balances(self, account_id: UUID | None = None) -> Sequence[Balance]:
        """Every balance row, or one account's; by account name, then asset."""


class Journal(Protocol):
    def add(self, entries: Sequence[Entry]) -> None:
        """Write entries with their postings and move the balances, in one statement.

        Raises Unbalanced, AccountNotFound, UnknownAsset, AssetMismatch, InsufficientFunds,
        AlreadyReversed, EntryExists.
        """

    def get(self, entry_id: UUID) -> Entry:
        """Raises EntryNotFound."""

    def statement(
        self,
        account_id: UUID,
        since: date | None,
        until: date | None,
        cursor: str | None,
        limit: int,
    ) -> Page[StatementRow]:
        """An account's postings by business date, oldest first, each with the balance after it."""

    def trial_balance(self, on: date | None, known_at: datetime | None) -> TrialBalance:
        """`on`: by business date, that day included. `known_at`: as recorded by that instant."""

    def trial_balance_at_seal(self, seq: int) -> TrialBalance:
        """As the books stood at this place of the sealed log: the same answer for ever. Raises
        SealNotFound."""

    def all(self) -> Generator[Entry, None, None]:
        """Every entry by business date, streamed; to be closed before its transaction ends."""


class Holds(Protocol):
    def add(self, hold: Hold) -> None:
        """Raises InsufficientFunds, AccountNotFound, UnknownAsset, AssetMismatch."""

    def get(self, hold_id: UUID) -> Hold:
        """Raises HoldNotFound."""

    def end(
        self,
        hold_id: UUID,
        outcome: HoldOutcome,
        posted: Amount | None = None,
        entry: Entry | None = None,
    ) -> None:
        """`posted` of it is paid by `entry`, which is added next. Raises HoldEnded, HoldExceeded,
        HoldExpired, HoldNotFound."""

    def expire(self, account_id: UUID | None = None, asset: Asset | None = None) -> Sequence[UUID]:
        """End the open holds whose time has run out by the database's clock, of all accounts or on
        one balance; their ids."""


class Words(Protocol):
    def all(self) -> Generator[EntryWords, None, None]:
        """Of every entry of which something is said, by the entry's date and id, streamed; to be
        closed before its transaction ends."""


class LedgerWork(Work, Protocol):
    @property
    def assets(self) -> Assets: ...
    @property
    def accounts(self) -> Accounts: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def holds(self) -> Holds: ...
    @property
    def words(self) -> Words: ...
    @property
    def now(self) -> datetime:
        """The database's time at which this transaction began."""
