"""Which events the slice answers."""

from finora_core.insights.reports.model import ReportRequested
from finora_core.insights.reports.service import JOB, ReportService
from finora_core.jobs.model import Handler, Subscription

SUBSCRIPTIONS = (
    Subscription(
        event=ReportRequested.type,
        job=JOB,
        queue="reports:generate",
        subject="report",
    ),
)


def handlers(reports: ReportService) -> dict[str, Handler]:
    return {JOB: reports.run}
