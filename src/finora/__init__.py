"""Finora: the money back end that teams embed, deploy or extend.

from finora import Finora

with Finora.open() as finora:
    scope = finora.scope(tenant="acme", user="u1")
    finora.import_file(scope, "statement.ofx")
"""

from importlib import import_module
from typing import TYPE_CHECKING

from finora_core.insights.wallet.model import Period
from finora_core.jobs.model import Job, JobState
from finora_core.kernel import (
    Amount,
    Asset,
    Command,
    Conflict,
    Forbidden,
    Invalid,
    Limited,
    NotFound,
    Page,
    Refusal,
    Replayed,
    Scope,
    Unauthenticated,
    Unavailable,
    currency,
)
from finora_core.kernel.outcome import Ok, Partial
from finora_core.ledger.model import Account, AccountKind, Balance, Entry, Hold, Posting
from finora_core.records.model import ImportRequest, NewRecord, Record, RecordChange, RecordFilter

if TYPE_CHECKING:
    from finora.face import Finora
    from finora_adapters.settings import Settings
else:
    # Loaded on first use: they bring half a second of database libraries, and `--help` needs none.
    _LATE = {"Finora": "finora.face", "Settings": "finora_adapters.settings"}

    def __getattr__(name: str) -> object:
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_LATE[name]), name)


__version__ = "0.1.0"

__all__ = [
    "Account", "AccountKind", "Amount", "Asset", "Balance", "Command", "Conflict", "Entry",
    "Finora", "Forbidden", "Hold", "ImportRequest", "Invalid", "Job", "JobState", "Limited",
    "NewRecord",
    "NotFound", "Ok", "Page", "Partial", "Period", "Posting", "Record", "RecordChange",
    "RecordFilter", "Refusal", "Replayed", "Scope", "Settings", "Unauthenticated", "Unavailable",
    "currency",
]  # fmt: skip
