"""Until when the books are closed, and who said so.

One day divides a tenant's books: everything until it is closed, everything after it is open.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.errors import Invalid, NotFound
from finora_core.kernel.events import Plain

MAX_REASON = 500


class BadClosing(Invalid):
    """The day cannot be closed, or not be opened again: see the message."""

    code = "BAD_CLOSING"


class ClosingNotFound(NotFound):
    """There is no closing of this number in this tenant."""

    code = "CLOSING_NOT_FOUND"


@attrs.frozen(kw_only=True)
class Closing:
    """One act: a period closed, or opened again. The one with the highest number holds."""

    number: int
    through: date | None
    """The last closed day; None: nothing is closed."""
    reason: str
    acted_by: UUID
    recorded_at: datetime
    seal: int | None = None
    """Its place in the sealed log; None where it is not sealed yet."""


@attrs.frozen(kw_only=True)
class LateLine:
    """A line that came when its day was closed: booked on the first open day."""

    entry_id: UUID
    record_id: UUID
    bank_date: date
    booked_on: date
    account: str
    description: str
    counterparty: str | None
    amount: Amount


def check_closing(through: date, last: Closing | None, today: date) -> None:
    """Raise BadClosing unless the books can be closed through that day."""
    if through >= today:
        raise BadClosing(f"{through} is not over")
    if last is not None and last.through is not None and through <= last.through:
        raise BadClosing(f"the books are closed through {last.through} already")


def check_opening(through: date | None, reason: str, last: Closing | None) -> str:
    """Raise BadClosing unless everything after that day can be opened again; the reason as it is
    kept."""
    kept = reason.strip()
    if not kept or len(kept) > MAX_REASON or not kept.isprintable():
        raise BadClosing(f"say why, in one line of at most {MAX_REASON} characters")
    if last is None or last.through is None:
        raise BadClosing("nothing is closed")
    if through is not None and through >= last.through:
        raise BadClosing(f"the books are closed through {last.through} only")
    return kept


@attrs.frozen
class PeriodClosedEvent:
    type: ClassVar[str] = "period.closed"

    number: int
    through: date

    def payload(self) -> Mapping[str, Plain]:
        return {"number": self.number, "through": self.through.isoformat()}


@attrs.frozen
class PeriodReopened:
    """Why stands with the closing: the log has no free text."""

    type: ClassVar[str] = "period.reopened"

    number: int
    through: date | None

    def payload(self) -> Mapping[str, Plain]:
        through = None if self.through is None else self.through.isoformat()
        return {"number": self.number, "through": through}
