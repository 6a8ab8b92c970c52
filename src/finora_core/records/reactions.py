"""Which events the slice answers."""

from finora_core.jobs.model import Handler, Subscription
from finora_core.records.imports import ImportService
from finora_core.records.model import ImportRequested

SUBSCRIPTIONS = (
    Subscription(
        event=ImportRequested.type,
        job="records.import",
        queue="records:ingest",
        attempts=2,
        subject="import",
    ),
)


def handlers(imports: ImportService) -> dict[str, Handler]:
    return {"records.import": imports.run}
