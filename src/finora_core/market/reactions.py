"""What the clock keeps up to date: prices, their past, rates and identities."""

from collections.abc import Callable, Mapping

from finora_core.jobs.model import Handler, Progress, Schedule, Subscription
from finora_core.kernel.events import Plain
from finora_core.kernel.scope import Scope
from finora_core.market.prices.refresh import UPDATE, PricesAsked, RefreshService

# One period is made up for: each looks for all that is missing.
SCHEDULES = (
    Schedule(name="prices.refresh", cron="0 * * * *"),
    Schedule(name="prices.backfill", cron="0 3 * * *"),
    Schedule(name="rates.backfill", cron="30 3 * * *"),
    Schedule(name="assets.enrich", cron="0 2 * * 0"),
)

SUBSCRIPTIONS = (Subscription(event=PricesAsked.type, job=UPDATE, subject="update"),)


def handlers(market: Callable[[], RefreshService]) -> dict[str, Handler]:
    """`market` is asked for when it is due: who keeps nothing up to date needs no sources."""

    def refresh(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        return market().refresh(scope, payload, progress)

    def update(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        return market().update(scope, payload, progress)

    def backfill(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        return market().backfill(scope, payload, progress)

    def rates(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        return market().fill_rates(scope, payload, progress)

    def enrich(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        return market().enrich(scope, payload, progress)

    return {
        UPDATE: update,
        "prices.refresh": refresh,
        "prices.backfill": backfill,
        "rates.backfill": rates,
        "assets.enrich": enrich,
    }
