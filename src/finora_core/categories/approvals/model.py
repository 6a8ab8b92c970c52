"""Reviewing: what people decide about records, and how right the steps before them were."""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

import attrs

from finora_core.categories.rules.actions import Set, Split
from finora_core.categories.rules.conditions import MAX_VALUE, All, Test
from finora_core.categories.rules.model import Rule
from finora_core.kernel.errors import Invalid
from finora_core.kernel.events import Plain
from finora_core.records.model import DecisionSource, Record

MOST = 500
"""Records that one bulk action takes."""


class TooManyAtOnce(Invalid):
    """A bulk action takes 1 to 500 records, each once."""

    code = "TOO_MANY_RECORDS"


class BulkAction(StrEnum):
    APPROVE = "approve"
    OVERRIDE = "override"


@attrs.frozen(kw_only=True)
class Proposal:
    """The rule that a correction suggests: this merchant's money in that direction is of this
    category."""

    merchant_key: str
    direction: str
    category: str

    def rule(self, rule_id: UUID, *, continues: bool) -> Rule:
        """The first of all to be asked: nothing else is as particular."""
        return Rule(
            id=rule_id,
            name=f"{self.merchant_key[:150]} ({self.direction})",
            condition=All(
                (
                    Test("merchant_key", "equals", self.merchant_key),
                    Test("direction", "equals", self.direction),
                )
            ),
            actions=(Set("category", self.category),),
            continues=continues,
        )

    def into(self, rule: Rule) -> Rule:
        """The rule that is there for this merchant, saying this."""
        kept = (
            each
            for each in rule.actions
            if not isinstance(each, Split)
            and not (isinstance(each, Set) and each.field == "category")
        )
        actions = (*kept, Set("category", self.category))
        return attrs.evolve(rule, actions=actions, active=True)


@attrs.frozen(kw_only=True)
class Overridden:
    """A record that a person corrected, with the rule it suggests, and the one made of it."""

    record: Record
    proposal: Proposal | None
    rule_id: UUID | None = None


@attrs.frozen(kw_only=True)
class ItemOutcome:
    """What became of one record of a bulk action."""

    id: UUID
    ok: bool
    code: str | None = None
    message: str | None = None
    record: Record | None = None


@attrs.frozen(kw_only=True)
class SourceAccuracy:
    """What one step decided about records in one week, and what people made of it."""

    week: date
    """Its Monday."""
    source: DecisionSource
    decided: int
    """How often it was asked and had a say."""
    auto: int
    """Of those, how often no person was asked."""
    reviewed: int
    """How often it named a category and a person decided since."""
    overridden: int
    """That a person gave another category."""

    @property
    def auto_share(self) -> int:
        """In hundredths of a percent, as confidence is."""
        return 10_000 * self.auto // self.decided if self.decided else 0

    @property
    def override_rate(self) -> int | None:
        """Of those that were reviewed, in hundredths of a percent; None for none."""
        return 10_000 * self.overridden // self.reviewed if self.reviewed else None


def proposal_of(record: Record, category: str) -> Proposal | None:
    """None where the record names no merchant, or has no category now."""
    if not category or not 0 < len(record.merchant_key) <= MAX_VALUE:
        return None
    return Proposal(merchant_key=record.merchant_key, direction=record.direction, category=category)


# --- events ---


@attrs.frozen
class RecordApproved:
    """A person approved what was suggested or decided by itself (TX_APPROVED)."""

    type: ClassVar[str] = "record.approved"

    record_id: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"record": str(self.record_id)}


@attrs.frozen
class RecordOverridden:
    """A person gave a record another category."""

    type: ClassVar[str] = "record.overridden"

    record_id: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"record": str(self.record_id)}


@attrs.frozen
class ReviewSettingsChanged:
    type: ClassVar[str] = "review.settings_changed"

    settings: Mapping[str, int]

    def payload(self) -> Mapping[str, Plain]:
        return dict(self.settings)
