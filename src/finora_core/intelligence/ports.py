"""What intelligence needs: models outside, and of the transaction what was used and kept."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import attrs

from finora_core.identity.ports import Members
from finora_core.kernel.work import Work
from finora_core.plugins import (
    Answer,
    Embeddings,
    LanguageModel,
    ModelAccess,
    Question,
    Vector,
)

__all__ = ["Answer", "Embeddings", "LanguageModel", "ModelAccess", "Question", "Vector"]


@attrs.frozen(kw_only=True)
class Use:
    """One question, as it is paid for."""

    id: UUID
    purpose: str
    subjects: tuple[UUID, ...]
    """Of what it is about, the ids: no text is kept."""
    reserved: int
    """Tokens that it may take."""


@attrs.frozen(kw_only=True)
class Used:
    """What became of it."""

    answered: bool
    model: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost_micros: int = 0


class ModelUse(Protocol):
    """What a tenant has used, question by question."""

    def reserve(self, use: Use, most_tokens: int) -> bool:
        """Add a question under way, unless today's would be more than `most_tokens` with it. Of
        several at once, each sees the others; a day begins at midnight, UTC."""

    def settle(self, use_id: UUID, used: Used) -> None:
        """What a question that is under way took in the end."""

    def tokens_today(self) -> int:
        """With what is reserved."""


@attrs.frozen(kw_only=True)
class Neighbour:
    key: str
    likeness: int
    """Cosine in basis points, -10,000 to 10,000."""


class Vectors(Protocol):
    """A tenant's texts as vectors. Spaces of two models never mix."""

    def missing(self, model: str, keys: Sequence[str]) -> Sequence[str]:
        """Those that have no vector yet, each once, in their order."""

    def add(self, model: str, vectors: Sequence[tuple[str, Vector]]) -> None:
        """What is there already stays."""

    def nearest(self, model: str, vector: Vector, limit: int) -> Sequence[Neighbour]:
        """The most alike, exactly, nearest first; of equal ones by key."""


class IntelligenceWork(Work, Protocol):
    @property
    def now(self) -> datetime: ...

    @property
    def model_use(self) -> ModelUse: ...

    @property
    def vectors(self) -> Vectors: ...

    @property
    def members(self) -> Members: ...
