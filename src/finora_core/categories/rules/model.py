"""What a tenant's rules make of a record."""

from collections.abc import Mapping
from types import MappingProxyType
from uuid import UUID

import attrs

from finora_core.categories.rules.conditions import RecordFacts

NOTHING: Mapping[str, str] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class Effect:
    """What the rules make of a record: only what differs from what is there."""

    values: Mapping[str, str] = NOTHING
    rules: tuple[UUID, ...] = ()
    skip_review: bool = False
    by: Mapping[str, UUID] = attrs.field(factory=dict)
    """Which rule set a field last."""


NO_EFFECT = Effect()


@attrs.frozen
class RuleBook:
    """A tenant's active rules. There are none yet."""

    def apply(self, facts: RecordFacts) -> Effect:
        return NO_EFFECT
