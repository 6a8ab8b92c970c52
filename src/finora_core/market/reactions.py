"""What the clock keeps up to date: prices, their past, rates and identities."""

from finora_core.jobs.model import Handler, Schedule
from finora_core.market.prices.refresh import RefreshService

# One period is made up for: each looks for all that is missing.
SCHEDULES = (
    Schedule(name="prices.refresh", cron="0 * * * *"),
    Schedule(name="prices.backfill", cron="0 3 * * *"),
    Schedule(name="rates.backfill", cron="30 3 * * *"),
    Schedule(name="assets.enrich", cron="0 2 * * 0"),
)


def handlers(market: RefreshService) -> dict[str, Handler]:
    return {
        "prices.refresh": market.refresh,
        "prices.backfill": market.backfill,
        "rates.backfill": market.fill_rates,
        "assets.enrich": market.enrich,
    }
