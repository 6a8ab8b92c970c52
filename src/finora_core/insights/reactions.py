"""Which events change what budgets and goals say, and whom a reached budget is told to."""

from collections.abc import Callable, Mapping
from typing import Protocol
from uuid import UUID

from finora_core.categories.pipeline.model import RecordsProcessed
from finora_core.categories.rules.model import RulesRan
from finora_core.insights.budgets.model import BudgetChanged, BudgetReached
from finora_core.insights.goals.model import GoalChanged
from finora_core.insights.service import WatchService
from finora_core.jobs.model import Handler, Progress, Subscription
from finora_core.kernel.events import Plain
from finora_core.kernel.scope import Scope
from finora_core.records.model import RecordEdited, RecordsIngested

WATCH, TELL = "insights.watch", "mail.budget_reached"
CHANGES = (
    RecordsIngested.type,
    RecordEdited.type,
    RecordsProcessed.type,
    RulesRan.type,
    BudgetChanged.type,
    GoalChanged.type,
)

SUBSCRIPTIONS = (
    *(Subscription(event=event, job=WATCH) for event in CHANGES),
    Subscription(event=BudgetReached.type, job=TELL, queue="mail", pause_s=30),
)


class Tell(Protocol):
    def __call__(
        self, scope: Scope, kind: str, user_id: UUID, values: Mapping[str, str], about: str
    ) -> object:
        """Write somebody a letter and end the job."""


def handlers(
    watching: WatchService,
    words: Callable[[Scope, Mapping[str, Plain]], Mapping[str, str] | None],
    tell: Tell,
) -> dict[str, Handler]:
    def watch(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        return watching.watch(scope)

    def reached(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        user_id = UUID(str(payload["user"]))
        about = f"{payload['budget']} {payload['since']} {payload['level']}"
        return tell(scope, "budget_reached", user_id, words(scope, payload) or {}, about)

    return {WATCH: watch, TELL: reached}
