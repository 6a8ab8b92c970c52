"""Which events the slice answers."""

from finora_core.categories.rules.model import RuleRunRequested, RuleUndoRequested
from finora_core.categories.rules.service import RuleService
from finora_core.jobs.model import Handler, Subscription

SUBSCRIPTIONS = (
    Subscription(
        event=RuleRunRequested.type, job="rules.run", queue="records:process", subject="run"
    ),
    Subscription(
        event=RuleUndoRequested.type, job="rules.undo", queue="records:process", subject="run"
    ),
)


def handlers(rules: RuleService) -> dict[str, Handler]:
    return {"rules.run": rules.run, "rules.undo": rules.undo}
