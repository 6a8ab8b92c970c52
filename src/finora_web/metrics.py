"""Figures for Prometheus, summed over all processes of the server."""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import attrs
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

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


def answered(method_: str, route: str, status: int, took_ms: float) -> None:
    _requests(method(method_), route, status).inc()
    _duration(route).observe(took_ms)


def read(hit: bool) -> None:
    _reads(hit).inc()


def asked(answered: bool) -> None:
    _operations(answered).inc()


# The library looks for a figure by its labels, with checks of them; there are as many as there are
# routes and statuses of ours.
@cache
def _requests(method: str, route: str, status: int) -> Counter:
    return REQUESTS.labels(method, route, str(status))


@cache
def _duration(route: str) -> Histogram:
    return DURATION.labels(route)


@cache
def _reads(hit: bool) -> Counter:
    return CACHE.labels("hit" if hit else "miss")


@cache
def _operations(answered: bool) -> Counter:
    return REDIS.labels("ok" if answered else "failed")


def text(queues: Iterable[QueueStatus], seal_lag_s: float | None, folder: Path | None) -> bytes:
    """All figures; those of queues are of the database, and so are read when they are asked for.
    `folder` is where the server's processes keep theirs; None where there is but this one."""
    whole = REGISTRY
    if folder is not None:
        whole = CollectorRegistry()
        multiprocess.MultiProcessCollector(whole, str(folder))  # type: ignore[no-untyped-call]  # upstream
    hits, misses = (
        whole.get_sample_value("cache_reads_total", {"outcome": outcome}) or 0
        for outcome in ("hit", "miss")
    )
    now = CollectorRegistry()
    now.register(_Now(tuple(queues), hits / (hits + misses) if hits else 0, seal_lag_s))
    return generate_latest(whole) + generate_latest(now)


@attrs.frozen
class _Now(Collector):
    """Figures that are worked out when they are asked for. A `Gauge` would be kept in the folder,
    and told a second time for each process that ever was asked."""

    queues: tuple[QueueStatus, ...]
    hit_rate: float
    seal_lag_s: float | None

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "cache_hit_rate", "Part of reads that the cache answered.", self.hit_rate
        )
        lengths = GaugeMetricFamily(
            "job_queue_length", "Jobs in a queue.", None, ["queue", "state"]
        )
        oldest = GaugeMetricFamily(
            "job_queue_age_seconds", "Wait of the first ready job.", None, ["queue"]
        )
        for each in self.queues:
            lengths.add_metric([each.queue, "waiting"], each.waiting)
            lengths.add_metric([each.queue, "running"], each.running)
            lengths.add_metric([each.queue, "dead"], each.dead)
            oldest.add_metric([each.queue], each.oldest_s)
        yield lengths
        yield oldest
        if self.seal_lag_s is not None:
            yield GaugeMetricFamily(
                "event_seal_lag_seconds", "Wait of the first event to be sealed.", self.seal_lag_s
            )
