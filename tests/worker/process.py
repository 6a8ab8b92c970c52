"""A worker process as it is run in production, with the test's handlers:
`python -m worker.process '{"data": ..., "redis": ..., ...}'`."""

import faulthandler
import json
import signal
import sys
import time
from pathlib import Path

import attrs
from injector import Injector

from finora_adapters.compose import by_event, open_database
from finora_adapters.postgres.work import Postgres
from finora_adapters.settings import Settings
from finora_worker.main import Parts, parts_of, run
from worker import load


def main() -> None:
    said = json.loads(sys.argv[1])
    # `kill -USR1` writes to its log what it does.
    faulthandler.register(signal.SIGUSR1)
    if skew := said["skew"]:
        ahead(skew)
    settings = Settings(
        data=Path(said["data"]),
        env="test",
        queues=said["queues"],
        drain_s=said["drain_s"],
        redis_url=said["redis"],
        ask_sources=False,
    )
    pool = sum(settings.queue_sizes.values()) + 6
    opened = open_database(settings.model_copy(update={"pool_size": pool}), redis=True)
    wired = attrs.evolve(opened.database, subscriptions=by_event(load.SUBSCRIPTIONS))

    def parts(services: Injector) -> Parts:
        made = parts_of(services)
        handlers = load.Handlers(services.get(Postgres), Path(said["folder"]))
        known = dict(made.runner.handlers) if said["schedules"] else {}
        runner = attrs.evolve(made.runner, handlers=known | handlers.all(*said["unknown"]))
        # The product's own schedules only where the test is about them.
        schedules = made.scheduler.schedules if said["schedules"] else ()
        return attrs.evolve(
            made, runner=runner, scheduler=attrs.evolve(made.scheduler, schedules=schedules)
        )

    run(settings, attrs.evolve(opened, database=wired), parts)


def ahead(seconds: float) -> None:
    """This process's clock is wrong by so much, for whoever asks it."""
    real, real_ns = time.time, time.time_ns
    time.time = lambda: real() + seconds
    time.time_ns = lambda: real_ns() + int(seconds * 1e9)


if __name__ == "__main__":
    main()
