"""What a tenant's rules make of a record."""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from uuid import UUID

import attrs

from finora_core.kernel.amount import Amount

NOTHING: Mapping[str, str] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class RecordFacts:
    """What rules see of a record."""

    id: UUID
    account: str
    account_id: UUID
    on_date: date
    amount: Amount
    description: str
    counterparty: str | None = None
    merchant_key: str = ""
    merchant: str | None = None
    category: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""
    source: str = ""
    locked: frozenset[str] = frozenset()


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
