"""Close a period, open it again, see what came late."""

from collections.abc import Sequence
from datetime import date

import attrs

from finora_core.kernel.page import DEFAULT_LIMIT, Page, checked_limit
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried
from finora_core.ledger.closing.model import (
    Closing,
    LateLine,
    PeriodClosedEvent,
    PeriodReopened,
    check_closing,
    check_opening,
)
from finora_core.ledger.closing.ports import ClosingWork


@attrs.frozen
class ClosingService:
    begin: Begin[ClosingWork]

    @retried
    def close(self, scope: Scope, through: date) -> Closing:
        """From now on nothing until that day is booked, labelled or reversed. Raises BadClosing."""
        with self.begin(scope) as work:
            work.closings.lock()
            check_closing(through, work.closings.last(), work.now.date())
            made = work.closings.add(through, "", scope.user_id)
            work.events.record(PeriodClosedEvent(made.number, through))
            return work.done(made)

    @retried
    def reopen(self, scope: Scope, through: date | None, reason: str) -> Closing:
        """Open again what lies after that day; None: everything. Raises BadClosing."""
        with self.begin(scope) as work:
            work.closings.lock()
            kept = check_opening(through, reason, work.closings.last())
            made = work.closings.add(through, kept, scope.user_id)
            work.events.record(PeriodReopened(made.number, through))
            return work.done(made)

    def list(self, scope: Scope) -> Sequence[Closing]:
        """Every closing and reopening, latest first; the first one holds."""
        with self.begin(scope) as work:
            return work.closings.list()

    def late(
        self, scope: Scope, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT
    ) -> Page[LateLine]:
        """Lines that came when their day was closed."""
        with self.begin(scope) as work:
            return work.closings.late(cursor, checked_limit(limit))
