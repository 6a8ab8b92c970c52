"""A worker process: one event loop for wake-ups, and a thread for each job that may run."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import attrs
from injector import Injector
from redis.exceptions import RedisError
from saq import Worker

from finora_adapters import log as logs
from finora_adapters.compose import Opened, compose, open_database
from finora_adapters.postgres.versions import PgVersions
from finora_adapters.redis.asking import Asker
from finora_adapters.redis.client import connect, connect_async, require_no_eviction
from finora_adapters.redis.queue import FUNCTION, WakeQueue
from finora_adapters.redis.versions import VersionedCache
from finora_adapters.settings import Settings, refusal
from finora_core.jobs.service import JobRunner, Scheduler
from finora_core.kernel.errors import Unavailable
from finora_core.kernel.scope import Scope
from finora_worker.upkeep import Relay, forever

log = logging.getLogger("finora.worker")

_SEAL_EVERY_S = 2.0
_TICK_EVERY_S = 1.0
_RECENT_S = 5
_HOUSEKEEPERS = 4
_END_S = 5.0


class _Worker(Worker[Any]):
    # The process stops all its queues together.
    SIGNALS: list[signal.Signals] = []  # noqa: RUF012  # as SAQ declares it

    async def process(self) -> bool:
        """Take one message, and run what it names. SAQ would note in Redis that it began and how it
        ended, for jobs that it keeps; a stop lets this come to its end."""
        message = await self.queue.dequeue(timeout=self.dequeue_timeout)
        if message is None:
            return False
        try:
            await self.functions[message.function]({}, **(message.kwargs or {}))
        except Exception:
            # The row keeps what became of its job; this is a fault beside it.
            log.exception("message %s", message.key)
        return True

    async def upkeep(self) -> list[asyncio.Task[None]]:
        # SAQ's sweeps, schedules and aborts are for jobs that it keeps. They also sleep through a
        # stop, which would then always take as long as it may.
        return []


@attrs.frozen
class Parts:
    """What a worker runs, made by `compose`."""

    runner: JobRunner
    scheduler: Scheduler
    upkeep: Scope
    """In whose name schedules run."""
    cache: VersionedCache | None = None
    """Told again of versions whose writer may have died before it told."""


def parts_of(services: Injector) -> Parts:
    return Parts(services.get(JobRunner), services.get(Scheduler), services.get(Scope))


def run(
    settings: Settings,
    opened: Opened | None = None,
    parts: Callable[[Injector], Parts] = parts_of,
) -> None:
    """Serve queues until SIGTERM or SIGINT, then let jobs end, and give back those that do not.
    Raises BadSettings where production gave it no key: anchors are a worker's to sign."""
    if settings.env == "production" and settings.anchor_key is None:
        said = "set it: a worker signs the audit log's anchors, and makes no key in production"
        raise refusal((("FINORA_ANCHOR_KEY", said),))
    logs.set_up(settings.log_level)
    # A connection for every job, for the leases and for the loops.
    sizes = settings.queue_sizes
    connections = sum(sizes.values()) + _HOUSEKEEPERS + 2
    roomy = settings.model_copy(update={"pool_size": max(settings.pool_size, connections)})
    opened = opened or open_database(roomy, redis=True)
    try:
        with connect(opened.redis_url) as client:
            require_no_eviction(client)
            cache = VersionedCache(Asker(client))
            opened = opened.telling(cache.publish)
            made = attrs.evolve(parts(compose(roomy, opened)), cache=cache)
            asyncio.run(serve(made, opened, sizes, settings.drain_s))
    finally:
        opened.close()
    # A thread that would not end keeps nothing alive: its job was given back.
    logging.shutdown()
    os._exit(0)


async def serve(parts: Parts, opened: Opened, sizes: Mapping[str, int], drain_s: int) -> None:
    """Run the loops and the queues until a signal says stop, then drain."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    running = sum(sizes.values())
    jobs = ThreadPoolExecutor(running, thread_name_prefix="job")
    keepers = ThreadPoolExecutor(_HOUSEKEEPERS, thread_name_prefix="upkeep")
    redis = connect_async(opened.redis_url, connections=running * 2 + 10)
    queues: dict[str, WakeQueue] = {}

    def channel(name: str) -> WakeQueue:
        return queues.setdefault(name, WakeQueue(redis, name))

    def attempt(tenant: UUID, job: UUID) -> None:
        try:
            parts.runner.run_id(tenant, job)
        except Unavailable as error:
            log.warning("job %s waits: %s", job, error)
        except KeyboardInterrupt:
            # Raised by the job itself: Ctrl-C is a signal here. In the loop it would end us all.
            log.warning("job %s interrupted itself", job)

    async def run_job(context: object, *, tenant: str, job: str) -> None:
        await loop.run_in_executor(jobs, attempt, UUID(tenant), UUID(job))

    relay = Relay(parts.runner.queue, channel, keepers)

    async def listen() -> None:
        if opened.listen_dsn is not None:
            await relay.listen(opened.listen_dsn)
        else:
            await asyncio.sleep(3600)

    async def seal() -> None:
        await loop.run_in_executor(keepers, parts.runner.sealer.seal)

    async def tick() -> None:
        ran = await loop.run_in_executor(keepers, parts.scheduler.tick, parts.upkeep)
        for schedule, started in ran.items():
            if not started:
                log.debug("schedule %s skipped: it runs already", schedule)

    def tell_again() -> None:
        if parts.cache is not None:
            parts.cache.publish_all(PgVersions(opened.database).recent(_RECENT_S))

    async def repeat() -> None:
        await loop.run_in_executor(keepers, tell_again)

    workers = [
        _Worker(
            channel(name),
            [(FUNCTION, run_job)],
            concurrency=size,
            dequeue_timeout=1.0,
            shutdown_grace_period_s=drain_s,
        )
        for name, size in sizes.items()
    ]
    tasks = [
        asyncio.create_task(forever("relay", relay.act, 0.0)),
        asyncio.create_task(forever("listen", listen, 1.0)),
        asyncio.create_task(forever("seal", seal, _SEAL_EVERY_S)),
        asyncio.create_task(forever("schedules", tick, _TICK_EVERY_S)),
        asyncio.create_task(forever("versions", repeat, _TICK_EVERY_S)),
    ]
    serving = [asyncio.create_task(worker.start()) for worker in workers]
    log.info("serving %s", ", ".join(f"{name}={size}" for name, size in sizes.items()))
    await stop.wait()
    log.info("stopping: jobs have %d s to end", drain_s)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*(worker.stop() for worker in workers), return_exceptions=True)
    # Whatever hangs here must not keep the jobs from being given back.
    ends = [*serving, *tasks, asyncio.create_task(relay.rest())]
    await asyncio.wait(ends, timeout=_END_S)
    try:
        given = await loop.run_in_executor(keepers, parts.runner.give_back)
        if given:
            log.warning("%d jobs did not end in time; another worker takes them", given)
        await redis.aclose()
    except (Unavailable, RedisError, OSError) as error:
        log.warning("stopped without giving back its jobs: %s", error)
    jobs.shutdown(wait=False, cancel_futures=True)
    keepers.shutdown(wait=False)
