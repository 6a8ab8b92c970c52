"""Figures for Prometheus, summed over all processes of the server."""

from collections.abc import Iterable
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

from finora_core.jobs.model import QueueStatus

_MS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)

REQUESTS = Counter("http_requests", "Requests answered.", ("method", "route", "status"))
ERRORS = Counter("http_errors", "Requests answered with an error.", ("route", "code"))
DURATION = Histogram(
    "http_request_duration_ms", "Time to an answer, in milliseconds.", ("route",), buckets=_MS
)
CACHE = Counter("cache_reads", "Reads through the cache.", ("outcome",))
REDIS = Counter("redis_operations", "Questions to Redis.", ("outcome",))
CONNECTIONS = Gauge(
    "database_connections", "Connections of the pool, in use.", multiprocess_mode="livesum"
)


def text(queues: Iterable[QueueStatus], folder: Path | None) -> bytes:
    """All figures; those of queues are of the database, and so are read when they are asked for.
    `folder` is where the server's processes keep theirs; None where there is but this one."""
    registry = CollectorRegistry()
    lengths = Gauge("job_queue_length", "Jobs in a queue.", ("queue", "state"), registry=registry)
    oldest = Gauge(
        "job_queue_age_seconds", "Wait of the first ready job.", ("queue",), registry=registry
    )
    for queue in queues:
        lengths.labels(queue.queue, "waiting").set(queue.waiting)
        lengths.labels(queue.queue, "running").set(queue.running)
        lengths.labels(queue.queue, "dead").set(queue.dead)
        oldest.labels(queue.queue).set(queue.oldest_s)
    if folder is not None:
        whole = CollectorRegistry()
        multiprocess.MultiProcessCollector(whole, str(folder))  # type: ignore[no-untyped-call]  # upstream
        return generate_latest(whole) + generate_latest(registry)
    return generate_latest() + generate_latest(registry)
