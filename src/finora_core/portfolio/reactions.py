"""Which events make days of the portfolio untrue, and what the clock starts."""

from finora_core.jobs.model import Handler, Schedule, Subscription
from finora_core.portfolio.days import HistoryService
from finora_core.portfolio.model import (
    ActivitiesAdded,
    ActivityWasEnded,
    HoldingIncluded,
    OpeningsDerived,
    OwnPriceSet,
    PortfolioAccountChanged,
)

ROLL, NIGHTLY = "portfolio.roll", "portfolio.nightly"
CHANGES = (
    ActivitiesAdded.type,
    ActivityWasEnded.type,
    HoldingIncluded.type,
    OpeningsDerived.type,
    OwnPriceSet.type,
    PortfolioAccountChanged.type,
)

SCHEDULES = (Schedule(name=NIGHTLY, cron="0 4 * * *"),)
SUBSCRIPTIONS = tuple(Subscription(event=event, job=ROLL) for event in CHANGES)


def handlers(history: HistoryService) -> dict[str, Handler]:
    return {ROLL: history.run, NIGHTLY: history.nightly}
