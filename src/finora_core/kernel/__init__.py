"""The words that every slice shares."""

from finora_core.kernel.amount import Amount, BadAmount, allocate
from finora_core.kernel.asset import Asset, currency
from finora_core.kernel.errors import (
    Conflict,
    FinoraError,
    Forbidden,
    Invalid,
    Limited,
    NotFound,
    Refusal,
    Unauthenticated,
    Unavailable,
)
from finora_core.kernel.ids import new_id
from finora_core.kernel.page import Page
from finora_core.kernel.scope import Claim, Command, Scope
from finora_core.kernel.work import Begin, Replayed, Work

__all__ = [
    "Amount", "Asset", "BadAmount", "Begin", "Claim", "Command", "Conflict", "FinoraError",
    "Forbidden", "Invalid", "Limited", "NotFound", "Page", "Refusal", "Replayed", "Scope",
    "Unauthenticated", "Unavailable", "Work", "allocate", "currency", "new_id",
]  # fmt: skip
