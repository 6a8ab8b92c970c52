"""How many jobs of one write a second a worker does, against SAQ as it comes.

    python benchmarks/jobs.py --jobs 2000

The peer is SAQ on the same Valkey, one worker process, its job one insert on an autocommit
connection: nothing survives a crash, nothing is written once only. Ours is one worker process with
every guarantee on: a row in Postgres, a claim with a lease, the insert and the job's end in one
fenced transaction. Both do what waits for them when they start. Then one job at a time: how long
from the commit that makes a job to its start. Engines, worker and bench share the machine.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import attrs
import psycopg
from common import finish, show, workplace

from finora import Scope, Settings
from finora_adapters.compose import Opened, by_event, compose, open_database
from finora_adapters.embedded import Engines, open_engines
from finora_adapters.postgres.tenants import PgTenants
from finora_core.jobs.model import Subscription
from finora_core.jobs.service import JobRunner, Scheduler

CONCURRENCY = 10
BATCH = 200
DEADLINE_S = 300


@attrs.frozen
class Asked:
    """What makes a job."""

    type: ClassVar[str] = "bench.asked"

    number: int

    def payload(self) -> dict[str, int]:
        return {"number": self.number}


SUBSCRIPTIONS = by_event([Subscription(event="bench.asked", job="bench.write", queue="bench")])


def opened_in(data: Path) -> Opened:
    opened = open_database(Settings(data=data, pool_size=CONCURRENCY + 8), redis=True)
    return attrs.evolve(opened, database=attrs.evolve(opened.database, subscriptions=SUBSCRIPTIONS))


# --- the worker, in a process of its own ---------------------------------------------------------


def ours(data: Path) -> None:
    from injector import Injector
    from sqlalchemy import text

    from finora_worker.main import Parts, run

    write = text("insert into finora.bench (number) values (:number)")

    def parts(services: Injector) -> Parts:
        runner, scheduler = services.get(JobRunner), services.get(Scheduler)
        begin = scheduler.begin

        def handler(scope: Scope, payload: dict[str, int], progress: object) -> None:
            with begin(scope) as work:
                work.connection.execute(write, {"number": payload["number"]})
                work.done(None)

        runner = attrs.evolve(runner, handlers={"bench.write": handler})
        return Parts(runner, attrs.evolve(scheduler, schedules=()), services.get(Scope))

    settings = Settings(data=data, queues=f"bench={CONCURRENCY}", log_level="warning")
    run(settings, parts=parts)


def saq(url: str, dsn: str) -> None:
    from psycopg_pool import AsyncConnectionPool
    from redis import asyncio as aioredis
    from saq import Worker
    from saq.queue.redis import RedisQueue

    async def main() -> None:
        pool = AsyncConnectionPool(
            dsn, min_size=CONCURRENCY, max_size=CONCURRENCY, open=False,
            kwargs={"autocommit": True},
        )  # fmt: skip
        await pool.open()

        async def write(context: object, *, number: int) -> None:
            async with pool.connection() as connection:
                await connection.execute("insert into finora.bench (number) values (%s)", [number])

        queue = RedisQueue(aioredis.from_url(url), "raw")
        await Worker(queue, [("write", write)], concurrency=CONCURRENCY).start()

    asyncio.run(main())


# --- measuring -----------------------------------------------------------------------------------


@contextmanager
def worker(*arguments: str) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, __file__, *arguments], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def wait_for(admin: psycopg.Connection[tuple[int]], jobs: int, *, once: bool = True) -> float:
    """Writes a second from the first to the last; the table is empty afterwards."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        row = admin.execute(
            "select count(*), extract(epoch from max(at) - min(at))::float, "
            "count(distinct number) from finora.bench"
        ).fetchone()
        assert row is not None
        if row[2] >= jobs:
            if once and row[0] != jobs:
                raise SystemExit(f"{row[0]} writes of {row[2]} jobs, not {jobs}")
            admin.execute("truncate finora.bench")
            return (jobs - 1) / row[1]
        time.sleep(0.05)
    raise SystemExit(f"not done after {DEADLINE_S} s")


def raw_rate(engines: Engines, admin: psycopg.Connection[tuple[int]], jobs: int) -> float:
    from redis import asyncio as aioredis
    from saq.queue.redis import RedisQueue

    async def fill() -> None:
        queue = RedisQueue(aioredis.from_url(engines.valkey_url), "raw")
        for number in range(jobs):
            await queue.enqueue("write", number=number)
        await queue.disconnect()

    asyncio.run(fill())
    with worker("--saq", str(engines.valkey_url), engines.admin_dsn):
        # SAQ was seen to do one of 6,000 twice; it does not claim otherwise.
        rate = wait_for(admin, jobs, once=False)
    # What it did twice after that is not ours.
    admin.execute("truncate finora.bench")
    return rate


def ask(opened: Opened, scope: Scope, numbers: range) -> None:
    again = attrs.evolve(scope, request_id=f"bench-{numbers.start}-{time.monotonic_ns()}")
    with opened.database.begin(again) as work:
        for number in numbers:
            work.events.record(Asked(number))
        work.done(None)


def our_rate(
    opened: Opened, scope: Scope, data: Path, admin: psycopg.Connection[tuple[int]], jobs: int
) -> float:
    for start in range(0, jobs, BATCH):
        ask(opened, scope, range(start, min(jobs, start + BATCH)))
    with worker("--ours", str(data)):
        return wait_for(admin, jobs)


def latencies(
    opened: Opened, scope: Scope, data: Path, admin: psycopg.Connection[tuple[int]], jobs: int
) -> list[float]:
    """Milliseconds from a job's row to its start, one every 20 ms."""
    with worker("--ours", str(data)):
        ask(opened, scope, range(1))
        wait_until = time.monotonic() + DEADLINE_S
        while time.monotonic() < wait_until and not _count(admin):
            time.sleep(0.05)
        admin.execute("truncate finora.bench")
        for number in range(jobs):
            ask(opened, scope, range(number, number + 1))
            time.sleep(0.02)
        wait_for(admin, jobs)
    rows = admin.execute(
        "select extract(epoch from started_at - created_at)::float * 1000 from finora.job "
        "where name = 'bench.write' order by created_at desc limit %s", [jobs],
    ).fetchall()  # fmt: skip
    return sorted(float(row[0]) for row in rows)


def _count(admin: psycopg.Connection[tuple[int]]) -> int:
    row = admin.execute("select count(*) from finora.bench").fetchone()
    assert row is not None
    return row[0]


def one_round(jobs: int) -> dict[str, float]:
    with workplace() as folder:
        data = folder / "data"
        with open_engines(data, valkey=True) as engines:
            opened = opened_in(data)
            scope = compose(Settings(data=data), opened).get(PgTenants).scope("bench", "bench")
            with psycopg.connect(engines.admin_dsn, autocommit=True) as admin:
                admin.execute(
                    "create table finora.bench (number int, at timestamptz default "
                    "clock_timestamp()); grant insert on finora.bench to finora_worker"
                )
                raw = raw_rate(engines, admin, jobs)
                mine = our_rate(opened, scope, data, admin, jobs)
                starts = latencies(opened, scope, data, admin, min(jobs, 300))
            opened.close()
    return {
        "saq_per_s": raw,
        "finora_per_s": mine,
        "ratio_to_saq": mine / raw,
        "start_p50_ms": statistics.median(starts),
        "start_p99_ms": starts[int(len(starts) * 0.99)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=2_000, help="jobs that wait (2,000)")
    parser.add_argument("--rounds", type=int, default=1, help="medians are shown (1)")
    parser.add_argument("--ours", metavar="DATA", help=argparse.SUPPRESS)
    parser.add_argument("--saq", nargs=2, metavar=("URL", "DSN"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.ours:
        ours(Path(asked.ours))
        return
    if asked.saq:
        saq(*asked.saq)
        return
    rounds = [one_round(asked.jobs) for _ in range(asked.rounds)]
    figures = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
    show(
        ("worker", "jobs/s", "of SAQ's", "start p50 ms", "p99 ms"),
        [
            ("SAQ, no guarantee", figures["saq_per_s"], None, None, None),
            ("Finora, every guarantee", figures["finora_per_s"], figures["ratio_to_saq"],
             figures["start_p50_ms"], figures["start_p99_ms"]),
        ],
    )  # fmt: skip
    finish(jobs=asked.jobs, rounds=asked.rounds, **figures)


if __name__ == "__main__":
    main()
