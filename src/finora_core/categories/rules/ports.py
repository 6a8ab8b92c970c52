"""What rules need of a transaction."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Protocol
from uuid import UUID

from finora_core.categories.rules.conditions import RecordFacts
from finora_core.categories.rules.model import (
    ChangeKind,
    Effect,
    FieldChange,
    Rule,
    RuleBook,
    RuleGroup,
    RuleRun,
    RunFilter,
    RunState,
)
from finora_core.kernel.page import Page
from finora_core.ledger.ports import LedgerWork


class Rules(Protocol):
    def all(self) -> Sequence[Rule]:
        """In the order in which they are asked."""

    def groups(self) -> Sequence[RuleGroup]: ...

    def book(self) -> RuleBook:
        """The active rules, compiled."""

    def get(self, rule_id: UUID) -> Rule:
        """Locked until the transaction ends. Raises RuleNotFound."""

    def add(self, rule: Rule) -> None: ...

    def save(self, rule: Rule) -> None:
        """All but its statistics."""

    def remove(self, rule_id: UUID) -> None: ...

    def hit(self, hits: Mapping[UUID, int]) -> None:
        """Count how often rules matched; those that are gone are passed over."""

    def get_group(self, group_id: UUID) -> RuleGroup:
        """Raises GroupNotFound."""

    def add_group(self, group: RuleGroup) -> None: ...

    def save_group(self, group: RuleGroup) -> None: ...

    def remove_group(self, group_id: UUID) -> None:
        """Its rules are without a group then."""


class RuleRuns(Protocol):
    """Rules over records that are there, and what they changed."""

    def effects(
        self, book: RuleBook, wanted: RunFilter, last: int | None
    ) -> Iterator[tuple[date, bytes, Effect]]:
        """What the rules make of each record, latest business date first, streamed: its day, the
        bytes of its id and the effect. Read is only what the book looks at."""

    def count(self, wanted: RunFilter) -> int: ...

    def add(
        self,
        run_id: UUID,
        wanted: RunFilter,
        rules: Iterable[Rule],
        groups: Iterable[RuleGroup],
        by: UUID,
    ) -> None: ...

    def get(self, run_id: UUID, *, lock: bool = False) -> RuleRun:
        """Raises RunNotFound."""

    def list(self, cursor: str | None, limit: int) -> Page[RuleRun]:
        """Latest first."""

    def book(self, run_id: UUID) -> RuleBook:
        """The rules as they were when the run was asked for."""

    def stretch(self, run_id: UUID, wanted: RunFilter, limit: int) -> Sequence[RecordFacts]:
        """The next records that the run has not gone over, locked."""

    def write(
        self, run_id: UUID, done: Sequence[tuple[RecordFacts, Effect]], by: UUID
    ) -> Sequence[FieldChange]:
        """Do what rules say of these records, and keep what was there before."""

    def advance(self, run_id: UUID, last_id: UUID | None, **counted: int) -> None:
        """Note how far the run is and add to its counts."""

    def state(self, run_id: UUID, state: RunState) -> None: ...

    def to_undo(self, run_id: UUID, records: int) -> Sequence[FieldChange]:
        """Changes of so many records that were not undone yet."""

    def among(self, records: Iterable[UUID], *, lock: bool = True) -> Mapping[UUID, RecordFacts]:
        """These records; deleted ones are missing."""

    def restore(self, run_id: UUID, changes: Sequence[FieldChange], by: UUID) -> None:
        """Give fields the values that they had before."""

    def settle(self, run_id: UUID, changes: Sequence[FieldChange], kind: ChangeKind) -> None:
        """Note what became of changes."""

    def changes(
        self, run_id: UUID, kind: ChangeKind | None, cursor: str | None, limit: int
    ) -> Page[tuple[ChangeKind, FieldChange]]: ...


class RulesWork(LedgerWork, Protocol):
    @property
    def rules(self) -> Rules: ...
    @property
    def rule_runs(self) -> RuleRuns: ...
