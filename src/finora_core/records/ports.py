"""What records and their import need of a transaction."""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from datetime import date
from typing import BinaryIO, Protocol
from uuid import UUID

import attrs

from finora_core.files.ports import Stored
from finora_core.kernel.amount import Amount
from finora_core.kernel.page import Page
from finora_core.kernel.scope import Scope
from finora_core.ledger.ports import LedgerWork
from finora_core.records.model import (
    BankState,
    Decision,
    Difference,
    ImportRequest,
    ImportResult,
    Merged,
    Part,
    Preview,
    Record,
    RecordDetail,
    RecordFilter,
    ReviewSettings,
    Ruling,
)


@attrs.frozen(kw_only=True)
class Row:
    """A record's columns, as they are written."""

    id: UUID
    account_id: UUID
    on_date: date
    amount: Amount
    description: str
    counterparty: str | None
    merchant_key: str
    bank_id: str | None
    bank_state: BankState
    void: bool
    entry_id: UUID | None


class Records(Protocol):
    def add(self, row: Row, identity: bytes, source: str, by: UUID) -> None:
        """A record entered by hand; a further occurrence where its like is there."""

    def get(self, record_id: UUID, *, lock: bool = False) -> Record:
        """Raises RecordNotFound."""

    def some(self, ids: Collection[UUID]) -> Mapping[UUID, Record]:
        """Those that are there, locked, in the order of their ids."""

    def detail(self, record_id: UUID) -> RecordDetail:
        """Raises RecordNotFound."""

    def save(self, row: Row) -> None:
        """A new revision, by a person; the one before is kept."""

    def list(self, wanted: RecordFilter, cursor: str | None, limit: int) -> Page[Record]:
        """Latest business date first."""

    def annotate(
        self,
        record_id: UUID,
        merchant: str | None,
        note: str,
        tags: Iterable[str],
        locked: Iterable[str],
    ) -> None:
        """What people say of it beside its label; `locked` are the fields that are theirs."""

    def label(
        self,
        entry_id: UUID,
        category: str | None,
        flow: str | None,
        source: str,
        set_by: UUID,
        *,
        parts: Sequence[Part] = (),
        rule_id: UUID | None = None,
    ) -> None:
        """Set the entry's category, or how its money counts, or both; None leaves it. With
        `parts`, it is divided among their categories. Raises BadSplit."""

    def move_label(self, entry_id: UUID, to: UUID) -> None:
        """Say of another entry, which has no label yet, what is said of this one."""


class Decisions(Protocol):
    """How records got their categories, and what the tenant wants of that."""

    def write(self, rulings: Sequence[Ruling]) -> None:
        """Append the decisions, label the entries, move the statuses: three statements, however
        many records. Their rows must be locked."""

    def take_back(self, record_id: UUID, before: int) -> bool:
        """Undo what people decided after its decision of number `before`: status, category, parts,
        suggestion, lock and the last decision are as they were, and the trace says so. False where
        that is not known, or the record's entry is another by now. Its row must be locked."""

    def of(self, record_id: UUID) -> Sequence[Decision]:
        """A record's reasoning trace, oldest first."""

    def last(self, ids: Collection[UUID]) -> Mapping[UUID, Decision]:
        """The last decision about each of these records that has one."""

    def barred(self, person: UUID, ids: Collection[UUID]) -> Set[UUID]:
        """Those that the person imported or entered, where the tenant separates duties."""

    def closed(self, ids: Collection[UUID]) -> Set[UUID]:
        """Those of a closed period, whose label stays as it is."""

    def settings(self) -> ReviewSettings:
        """The tenant's, or the usual ones."""

    def set(self, settings: ReviewSettings) -> None: ...


Staged = tuple[
    int, UUID, bytes, date, int, str, str, str | None, str, str | None, bool, str, str | None
]
"""place, account, identity, date, units, asset, description, counterparty, merchant key,
bank id, booked, category, raw: a line on its way in. A tuple, for there are millions."""


class Staging(Protocol):
    """A file's lines on their way into the books, inside one transaction."""

    def fill(self, lines: Iterable[Staged]) -> None:
        """Take the lines in, streamed."""

    def merge(
        self, import_id: UUID, source: str, ranks: Mapping[str, int], outside: UUID
    ) -> Merged:
        """Put the lines into the books: those already there are left, those another source or a
        pending line brought are claimed, the rest become records with their entries. A claimed
        record shows the words of the source with the highest rank."""

    def observe(
        self, import_id: UUID, balances: Iterable[tuple[UUID, str, date, int, str]]
    ) -> None:
        """Keep stated balances: account, asset, date at whose end it held, units, source."""

    def open_balances(self, equity: UUID, accounts: Iterable[UUID] | None = None) -> None:
        """Derive the opening entry of each account (None: of this file's) from its earliest
        stated balance; reverse and replace the one that no longer fits."""

    def match_transfers(self, set_by: UUID) -> int:
        """Label this file's lines and their counterparts in other own accounts as transfers, where
        exactly one fits; returns the number of pairs."""

    def differences(self, import_id: UUID) -> Sequence[Difference]:
        """This file's stated balances that the books do not give."""


class Imports(Protocol):
    def add(
        self, import_id: UUID, name: str, stored: Stored, request: ImportRequest, by: UUID
    ) -> None:
        """Refers to the stored file, and holds it against a sweep until the transaction ends."""

    def request(self, import_id: UUID) -> tuple[str, str, ImportRequest, UUID]:
        """File name, file key, request, who asked. Raises ImportNotFound."""

    def finish(self, import_id: UUID, result: ImportResult) -> None: ...

    def result(self, import_id: UUID) -> Mapping[str, object] | None:
        """The kept result; None while there is none. Raises ImportNotFound."""

    def numbers(self) -> Mapping[str, UUID]:
        """The tenant's account numbers, as files write them, and whose they are."""

    def add_number(self, number: str, account_id: UUID) -> None: ...

    def profile(self, format_name: str, layout: str) -> tuple[Mapping[str, str], UUID | None]:
        """The answers and the account kept for a bank's layout; nothing and None if none is."""

    def save_profile(
        self, format_name: str, layout: str, answers: Mapping[str, str], account: UUID | None
    ) -> None: ...

    def lock(self, accounts: Iterable[UUID]) -> None:
        """Until the transaction ends no other import touches these accounts."""


class RecordsWork(LedgerWork, Protocol):
    @property
    def records(self) -> Records: ...
    @property
    def decisions(self) -> Decisions: ...
    @property
    def imports(self) -> Imports: ...
    @property
    def staging(self) -> Staging: ...


class OtherFiles(Protocol):
    """Who imports files that are no statements, by the same way in."""

    def recognises(self, head: bytes, filename: str) -> tuple[int, str]:
        """How sure its surest format is, as a StatementFormat says it, and that format's name."""

    @property
    def names(self) -> Collection[str]:
        """Of its formats."""

    def preview(
        self, scope: Scope, file: BinaryIO, name: str, source: str, request: ImportRequest
    ) -> Preview:
        """As ImportService.preview."""

    def bring(
        self,
        scope: Scope,
        import_id: UUID,
        file: BinaryIO,
        name: str,
        source: str,
        request: ImportRequest,
    ) -> ImportResult:
        """Import it, and end the job: the whole file in one transaction, or nothing of it."""
