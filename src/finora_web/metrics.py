"""Figures for Prometheus, summed over all processes of the server."""

from collections.abc import Iterable
from pathlib import Path

from prometheus_client import (
    REGISTRY,
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
    "database_connections",
    "Connections of the pool, in use when a request was last answered.",
    multiprocess_mode="livesum",
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def method(name: str) -> str:
    """A method as a label: whoever asks may invent any number of them."""
    return name if name in _METHODS else "other"


def read(hit: bool) -> None:
    CACHE.labels("hit" if hit else "miss").inc()


def asked(answered: bool) -> None:
    REDIS.labels("ok" if answered else "failed").inc()


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
    whole = REGISTRY
    if folder is not None:
        whole = CollectorRegistry()
        multiprocess.MultiProcessCollector(whole, str(folder))  # type: ignore[no-untyped-call]  # upstream
    hits, misses = (
        whole.get_sample_value("cache_reads_total", {"outcome": outcome}) or 0
        for outcome in ("hit", "miss")
    )
    rate = Gauge("cache_hit_rate", "Part of reads that the cache answered.", registry=registry)
    rate.set(hits / (hits + misses) if hits else 0)
    return generate_latest(whole) + generate_latest(registry)
