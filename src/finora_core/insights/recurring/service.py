"""What people do with recurring payments: look at them, confirm, ignore."""

from datetime import date
from uuid import UUID

import attrs

from finora_core.insights.model import paged
from finora_core.insights.recurring.model import (
    HISTORY,
    Recurring,
    RecurringJudged,
    RecurringNotFound,
    Verdict,
    find_recurring,
)
from finora_core.insights.recurring.ports import RecurringWork
from finora_core.kernel.page import DEFAULT_LIMIT, Page
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried


@attrs.frozen
class RecurringService:
    begin: Begin[RecurringWork]

    def list(
        self,
        scope: Scope,
        *,
        due_until: date | None = None,
        ignored: bool = False,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
        today: date | None = None,
    ) -> Page[Recurring]:
        """By merchant; with `due_until` only those of which a payment is expected by then, with
        `ignored` also those that somebody said are none."""
        with self.begin(scope) as work:
            found = _found(work, today)
        shown = [
            each
            for each in found
            if (ignored or each.verdict is not Verdict.IGNORED)
            and (due_until is None or (each.next_on is not None and each.next_on <= due_until))
        ]
        return paged(shown, lambda each: (each.merchant_key, each.id), cursor, limit)

    @retried
    def judge(
        self,
        scope: Scope,
        recurring_id: UUID,
        verdict: Verdict | None,
        *,
        today: date | None = None,
    ) -> Recurring:
        """Confirm or ignore it; None takes back what was said. Raises RecurringNotFound."""
        with self.begin(scope) as work:
            for each in _found(work, today):
                if each.id == recurring_id:
                    if each.verdict is not verdict:
                        work.recurring.judge(recurring_id, verdict, scope.user_id)
                        judged = RecurringJudged(recurring_id=recurring_id, verdict=verdict)
                        work.events.record(judged)
                    return work.done(attrs.evolve(each, verdict=verdict))
        raise RecurringNotFound(f"no recurring payment {recurring_id}")


def _found(work: RecurringWork, today: date | None) -> tuple[Recurring, ...]:
    now = today or work.now.date()
    lines = work.recurring.lines(now - HISTORY, now)
    return find_recurring(lines, now, work.recurring.verdicts())
