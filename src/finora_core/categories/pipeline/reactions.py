"""Which events the slice answers."""

from finora_core.categories.pipeline.model import RecordsWaiting, ReprocessAsked
from finora_core.categories.pipeline.service import PipelineService
from finora_core.jobs.model import Handler, Subscription
from finora_core.records.model import RecordEdited, RecordsIngested

QUEUE = "records:process"
ATTEMPTS = 5

SUBSCRIPTIONS = (
    Subscription(
        event=RecordsIngested.type, job="records.plan", queue=QUEUE, attempts=ATTEMPTS,
        subject="import",
    ),
    Subscription(
        event=RecordsWaiting.type, job="records.process", queue=QUEUE, attempts=ATTEMPTS,
        subject="first",
    ),
    Subscription(
        event=RecordEdited.type, job="records.process", queue=QUEUE, attempts=ATTEMPTS,
        subject="record", only=("what", "created"),
    ),
    # The end of a transfer has no category, and what is none any more needs one.
    Subscription(
        event=RecordEdited.type, job="records.process", queue=QUEUE, attempts=ATTEMPTS,
        subject="record", only=("what", "linked"),
    ),
    Subscription(
        event=ReprocessAsked.type, job="records.reprocess", queue=QUEUE, attempts=ATTEMPTS,
        subject="reprocess",
    ),
)  # fmt: skip


def handlers(pipeline: PipelineService) -> dict[str, Handler]:
    return {
        "records.plan": pipeline.plan,
        "records.process": pipeline.run,
        "records.reprocess": pipeline.run,
    }
