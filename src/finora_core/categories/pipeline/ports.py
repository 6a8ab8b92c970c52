"""What the pipeline needs of a transaction, and of what judges records."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from finora_core.categories.pipeline.model import (
    BATCH,
    Chosen,
    Example,
    Guess,
    Key,
    Line,
    Mark,
    Taught,
)
from finora_core.categories.rules.model import Effect
from finora_core.categories.rules.ports import Rules
from finora_core.intelligence.model import Line as Told
from finora_core.intelligence.model import Suggestion
from finora_core.jobs.ports import Jobs
from finora_core.kernel.outcome import Outcome
from finora_core.kernel.scope import Scope
from finora_core.records.model import RecordFilter
from finora_core.records.ports import RecordsWork


class Lines(Protocol):
    """Records with what the pipeline asks of them. Only booked ones: what is pending moves no money
    yet, and has nothing to categorise."""

    def waiting(self) -> Sequence[tuple[UUID, UUID]]:
        """First and last id of every five hundred records that were received and not looked at."""

    def take(
        self, chosen: Chosen, after: UUID | None, *, lock: bool, limit: int = BATCH
    ) -> Sequence[Line]:
        """The next of those, by id; locked, they are as they were chosen until the end."""

    def hold(self, ids: Collection[UUID]) -> None:
        """They are processed by somebody who is being asked."""

    def fail(self, chosen: Chosen) -> None:
        """Those that wait have failed."""

    def rewrite(self, effects: Mapping[UUID, Effect]) -> None:
        """Write what rules say beside the category: description, note, tags, merchant."""


class Memory(Protocol):
    """What people decided."""

    def of(self, keys: Collection[Key]) -> Mapping[Key, Sequence[Taught]]:
        """Of each merchant's records in that direction the latest decisions, newest first."""

    def mark(self) -> Mark:
        """Counts up to MOST_EXAMPLES."""

    def examples(self, limit: int) -> Sequence[Example]:
        """The latest records they decided about, oldest first."""

    def categories(self) -> Sequence[str]:
        """The tenant's list, by name, without what is archived."""


class Reprocesses(Protocol):
    """Wishes to look at records again."""

    def add(
        self,
        reprocess_id: UUID,
        wanted: RecordFilter | None,
        ids: Sequence[UUID] | None,
        dry_run: bool,
        by: UUID,
    ) -> None: ...

    def get(self, reprocess_id: UUID) -> tuple[Chosen, bool, UUID | None, Mapping[str, int]]:
        """Which records, whether nothing is to be written, the last one done, counts so far."""

    def advance(self, reprocess_id: UUID, after: UUID, counts: Mapping[str, int]) -> None: ...


class PipelineWork(RecordsWork, Protocol):
    @property
    def jobs(self) -> Jobs: ...
    @property
    def lines(self) -> Lines: ...
    @property
    def memory(self) -> Memory: ...
    @property
    def rules(self) -> Rules: ...
    @property
    def reprocesses(self) -> Reprocesses: ...


class Classifier(Protocol):
    """Judges records by those that people decided about."""

    def classify(self, lines: Sequence[Line]) -> Mapping[UUID, Guess]:
        """What each is most like; those that are like nothing are left out."""


Learn = Callable[[Sequence[Example]], Classifier]
"""Makes a classifier of examples."""


class Model(Protocol):
    """A language model, with budget, redaction and the check of its answers."""

    def suggest(
        self, scope: Scope, lines: Sequence[Told], categories: Sequence[str]
    ) -> Outcome[Mapping[UUID, Suggestion]]:
        """Asks outside of any transaction. Partial is without the lines that have no answer."""
