"""One run: load, faults, heal, a minute to come right, and the check."""

import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import attrs
from sqlalchemy import Engine, text

from chaos.checker import Report, check, histories
from chaos.cluster import LIVELY, Cluster
from chaos.nemesis import FAULTS, KILLING, OVER_HTTP, Event, Nemesis, plan
from chaos.targets import open_wallets, tenant_of
from finora import Finora, JobState, Settings


@attrs.frozen(kw_only=True)
class Run:
    seed: int
    seconds: float = 15.0
    kills: int | None = None
    clients: int = 2
    threads: int = 4
    workers: int = 2
    target: str = "library"
    events: list[Event] | None = None
    """In place of those of the seed."""
    keyed: bool = True
    """Off in a mutant."""
    durable: bool = True
    """Off in a mutant: a commit is acknowledged before it is on disk."""


def run(cluster: Cluster, run: Run) -> Report:
    tenant = tenant_of(run.seed)
    settings = Settings(data=cluster.data, env="test")
    with Finora.open(settings) as finora:
        open_wallets(finora, tenant)
        scope = finora.scope(tenant, "clients")
        faults = OVER_HTTP if run.target == "http" else FAULTS
        if run.kills is not None:
            faults = faults | KILLING
        events = run.events
        if events is None:
            events = plan(run.seed, run.seconds, run.kills, faults)
        seconds = run.seconds if run.kills is None else max([each.at for each in events]) + 2
        token = finora.tokens.create(scope, "clients").text
        done, files, healed_at = _load_and_faults(cluster, run, tenant, token, events, seconds)
        admin = cluster.admin()
        _await_jobs(admin, finora, scope, healed_at)
        with admin.connect() as connection:
            writes = histories(files)
            wrong = check(connection, scope.tenant_id, writes)
        healed_s = time.monotonic() - healed_at
    return Report(run.seed, done, writes, cluster.proxy.swallowed, wrong, healed_s)


def _load_and_faults(
    cluster: Cluster, run: Run, tenant: str, token: str, events: list[Event], seconds: float
) -> tuple[Counter[str], list[Path], float]:
    cluster.proxy.random = Random(run.seed)
    cluster.proxy.swallowed = 0
    nemesis = Nemesis(cluster, run.workers)
    cluster.keep_workers(run.workers)
    stop = cluster.folder / f"stop-{run.seed}"
    stop.unlink(missing_ok=True)
    if run.target == "http":
        cluster.start_api()
        cluster.await_api()
    files = [cluster.folder / f"history-{run.seed}-{number}" for number in range(run.clients)]
    clients = [
        cluster.start_client(_said(cluster, run, tenant, token, stop, number, file))
        for number, file in enumerate(files)
    ]
    try:
        if not run.durable:
            _forget_durability(cluster)
        nemesis.run(events, seconds)
        nemesis.heal()
        healed_at = time.monotonic()
        stop.touch()
        for client in clients:
            assert client.wait(LIVELY) == 0, "a client failed"
    finally:
        for client in clients:
            client.kill()
            client.wait()
            assert client.stdout
            client.stdout.close()
        cluster.stop_api()
    return nemesis.done, files, healed_at


def _said(
    cluster: Cluster, run: Run, tenant: str, token: str, stop: Path, number: int, file: Path
) -> dict[str, Any]:
    return {
        "target": run.target,
        "data": str(cluster.data),
        "dsn": cluster.proxy.dsn(),
        "port": cluster.port,
        "token": token,
        "tenant": tenant,
        "seed": run.seed,
        "name": f"c{number}",
        "threads": run.threads,
        "keyed": run.keyed,
        "history": str(file),
        "stop": str(stop),
    }


def _forget_durability(cluster: Cluster) -> None:
    """What `require_durable` refuses at the start, done behind its back."""
    cluster.execute(
        # Neither by the clock nor by the megabyte: what is acknowledged stays in memory.
        "alter system set wal_writer_delay = '10s'",
        "alter system set wal_writer_flush_after = '1GB'",
        "select pg_reload_conf()",
        "alter role finora_app set synchronous_commit = off",
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'finora_app'",
    )


def _await_jobs(admin: Engine, finora: Finora, scope: Any, since: float) -> None:
    """Until every job is over, or none has ended for so long. One that lost its worker as often as
    it may be tried is dead, which is an end; an operator replays it, and then it must do its work:
    after an hour of kills there are hundreds of them."""
    query = text(
        "select count(*) from finora.job where tenant_id = :tenant "
        "and state not in ('done', 'refused', 'cancelled')"
    )
    least: int | None = None
    while time.monotonic() < since + LIVELY:
        for job in finora.jobs.list(scope, state=JobState.DEAD, limit=1000).items:
            finora.jobs.replay(scope, job.id)
        with admin.connect() as connection:
            left = int(connection.scalar(query, {"tenant": scope.tenant_id}) or 0)
        if not left:
            return
        if least is None or left < least:
            least, since = left, time.monotonic()
        time.sleep(0.2)
