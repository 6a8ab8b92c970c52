"""Lines of somebody's books, and what is believed that a language model said of them."""

from collections.abc import Iterable
from datetime import date
from uuid import UUID

import attrs

MOST_LINES = 50
"""In one question."""
SURE = 10_000
"""Basis points."""


@attrs.frozen(kw_only=True)
class Line:
    """One line of somebody's books, as far as a category follows from it."""

    id: UUID
    description: str
    counterparty: str | None = None
    amount: str = ""
    """A plain decimal, with or without its asset: `12.34 EUR`."""
    direction: str = ""
    """in or out."""
    date: date


@attrs.frozen(kw_only=True)
class Suggestion:
    category: str
    """One of those that were offered; '' where none fits, or what came back is not believed."""
    confidence: int
    """Basis points: what the model claims. 0 where the category is ''."""
    rationale: str
    """Codes only: nothing that a model wrote gets this far."""
    model: str = ""
    """Which one said so."""


def nothing_to_choose(lines: Iterable[Line]) -> dict[UUID, Suggestion]:
    """What is said of lines where there are no categories."""
    return {line.id: nothing("NO_CATEGORIES") for line in lines}


def nothing(code: str) -> Suggestion:
    """No category, for this reason."""
    return Suggestion(category="", confidence=0, rationale=code)
