"""What rules see of a record."""

from datetime import date
from uuid import UUID

import attrs

from finora_core.kernel.amount import Amount


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
