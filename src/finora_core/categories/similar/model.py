"""What is compared, what is decided, and how sure one must be."""

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

import attrs

from finora_core.kernel.errors import Invalid

SURE = 10_000
"""Confidence is in basis points, from 0 to this."""


class BadThresholds(Invalid):
    """Thresholds are basis points, 0 to 10000, and suggesting is not stricter than labelling."""

    code = "BAD_THRESHOLDS"


class Verdict(StrEnum):
    AUTO = "auto"
    """Labelled without review."""
    SUGGESTED = "suggested"
    """To review, with a category proposed."""
    NONE = "none"
    """To review, without one."""


class Why(StrEnum):
    """The code of the rationale; nothing of the record's text is repeated."""

    CORRECTED = "corrected"
    """A human corrected this merchant and direction, and nobody said otherwise since."""
    CONFLICT = "conflict"
    """Humans corrected this merchant and direction in different ways."""
    KNOWN = "known_merchant"
    """Decisions about the same merchant, beside the evidence of its words."""
    WORDS = "similar_words"
    """A merchant never seen; what its words, account and amount say."""
    STRANGE = "novel_merchant"
    """Nothing of it was ever seen."""


@attrs.frozen(kw_only=True)
class Thresholds:
    """From which confidence a category is set without review, and from which it is proposed."""

    auto: int = 9_200
    suggest: int = 3_000

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.suggest <= self.auto <= SURE:
            raise BadThresholds(f"suggest {self.suggest}, auto {self.auto}")


DEFAULT = Thresholds()


@attrs.frozen(kw_only=True)
class Line:
    """What of a record is compared. `units` are of an asset with `scale` decimals."""

    key: str
    """The merchant key."""
    direction: str
    account: str = ""
    units: int = 0
    scale: int = 2


@attrs.frozen(kw_only=True)
class Decision:
    """A category that a human approved or set. `corrected`: in place of what was there."""

    record_id: UUID
    line: Line
    category: str
    corrected: bool = False


@attrs.frozen(kw_only=True)
class Likely:
    """The answer for one line; `neighbours` are decisions that explain it."""

    category: str
    confidence: int
    verdict: Verdict
    why: Why
    neighbours: tuple[UUID, ...] = ()


Counts = Mapping[str, int]
"""How often each category was decided."""
