"""The queue in Postgres keeps the contract; what only a real one can show is in test_jobs.py."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ClassVar
from uuid import UUID

import attrs
import pytest
from sqlalchemy import Engine, text

from finora import Scope
from finora_adapters.compose import by_event
from finora_adapters.postgres.jobs import PgQueue
from finora_adapters.postgres.work import Postgres
from finora_core.jobs.model import Claimed, Subscription
from finora_core.jobs.ports import LEASE_S
from finora_core.kernel.events import Plain
from finora_core.kernel.ids import new_id
from finora_core.kernel.scope import Claim
from finora_core.kernel.work import Contended
from queue_contract import QueueContract

SHAPES = [(queue, attempts) for queue in ("c", "d") for attempts in (1, 2, 3)]


@attrs.frozen
class Asked:
    type: ClassVar[str] = "contract.asked"

    shape: str

    def payload(self) -> Mapping[str, Plain]:
        return {"shape": self.shape}


@attrs.frozen
class Written:
    type: ClassVar[str] = "contract.written"

    def payload(self) -> Mapping[str, Plain]:
        return {}


SUBSCRIPTIONS = [
    Subscription(
        event=Asked.type,
        job="contract.job",
        queue=queue,
        attempts=attempts,
        only=("shape", f"{queue}{attempts}"),
    )
    for queue, attempts in SHAPES
]


@attrs.frozen
class PgBench:
    database: Postgres
    scope: Scope
    admin: Engine

    @property
    def queue(self) -> PgQueue:
        return PgQueue(self.database)

    def ask(self, queue: str = "c", attempts: int = 3) -> UUID:
        known = {row.id for row in self._rows()}
        scope = attrs.evolve(self.scope, request_id=str(new_id()))
        with self.database.begin(scope) as work:
            work.events.record(Asked(f"{queue}{attempts}"))
        [job] = [row.id for row in self._rows() if row.id not in known]
        return job

    def own(self, found: Iterable[Any]) -> list[Any]:
        return [each for each in found if each.tenant_id == self.scope.tenant_id]

    def row(self, job: UUID) -> Any:
        return next((row for row in self._rows() if row.id == job), None)

    def later(self, seconds: float) -> None:
        columns = ("created_at", "run_at", "lease_until", "announced_at", "finished_at")
        moved = ", ".join(f"{name} = {name} - :seconds * interval '1 s'" for name in columns)
        self._admin(f"update finora.job set {moved} where tenant_id = :tenant", seconds=seconds)

    def finish(self, claimed: Claimed) -> None:
        with self.database.begin(self._mine(claimed)) as work:
            work.events.record(Written())
            work.done(None)

    def write(self, claimed: Claimed) -> None:
        with self.database.begin(self._mine(claimed)) as work:
            work.events.record(Written())

    def effects(self) -> int:
        query = text("select count(*) from finora.event where tenant_id = :tenant and type = :type")
        values = {"tenant": self.scope.tenant_id, "type": Written.type}
        with self.admin.connect() as connection:
            return int(connection.scalar(query, values) or 0)

    def replay(self, job: UUID) -> None:
        with self.database.begin(self.scope) as work:
            work.jobs.replay(job)

    def cancel(self, job: UUID) -> None:
        with self.database.begin(self.scope) as work:
            work.jobs.cancel(job)

    def forget(self) -> None:
        self._admin(
            "update finora.job set state = 'cancelled', finished_at = now() "
            "where tenant_id = :tenant and state in ('waiting', 'running')"
        )
        for queue, _ in SHAPES:
            self.queue.resume(queue)

    def _mine(self, claimed: Claimed) -> Scope:
        return attrs.evolve(self.scope, cause=Claim(job_id=claimed.id, epoch=claimed.epoch))

    def _rows(self) -> list[Any]:
        query = text("select * from finora.job where tenant_id = :tenant")
        with self.admin.connect() as connection:
            return list(connection.execute(query, {"tenant": self.scope.tenant_id}).all())

    def _admin(self, statement: str, **values: object) -> None:
        with self.admin.begin() as connection:
            connection.execute(text(statement), values | {"tenant": self.scope.tenant_id})


@pytest.fixture
def bench(database: Postgres, scope: Scope, admin: Engine) -> Iterator[PgBench]:
    wired = attrs.evolve(database, subscriptions=by_event(SUBSCRIPTIONS))
    bench = PgBench(wired, scope, admin)
    yield bench
    bench.forget()


@pytest.mark.invariant("I-22")
@pytest.mark.invariant("I-24")
class TestPgQueue(QueueContract):
    @pytest.fixture
    def bench(self, bench: PgBench) -> PgBench:
        return bench


# --- rows that another transaction holds ---------------------------------------------------------


@contextmanager
def held(admin: Engine, *jobs: UUID) -> Iterator[None]:
    """A transaction that has these rows, as one that ends its job has until it commits."""
    query = text("select 1 from finora.job where id = any(:jobs) for update")
    with admin.begin() as connection:
        connection.execute(query, {"jobs": list(jobs)})
        yield


def test_a_row_that_is_held_holds_up_no_other(bench: PgBench, admin: Engine) -> None:
    """Neither the leases of a process, nor who looks for jobs, nor the burying of the dead."""
    ending, other, lost = bench.ask(), bench.ask(), bench.ask(attempts=1)
    claimed = [bench.queue.claim_one(bench.scope.tenant_id, job) for job in (ending, other, lost)]
    running = [each for each in claimed if each]
    bench.later(LEASE_S + 1)
    waiting = bench.ask()
    with held(admin, ending, lost):
        assert bench.queue.renew(running) == {other}
        assert {each.id for each in bench.own(bench.queue.announce(1000))} == {waiting}
        assert {each.id for each in bench.own(bench.queue.claim(1000))} == {waiting}
    bench.queue.announce(1000)
    assert bench.row(lost).state == "dead"


def test_who_was_woken_for_a_job_waits_for_its_row(bench: PgBench, admin: Engine) -> None:
    """Another relay has it for the moment in which it finds that it was told of; to pass it by
    would cost the ten seconds until it is told of again."""
    job = bench.ask()
    with ThreadPoolExecutor(1) as threads:
        with held(admin, job):
            claimed = threads.submit(bench.queue.claim_one, bench.scope.tenant_id, job)
            with pytest.raises(TimeoutError):
                claimed.result(0.3)
        found = claimed.result(60)
    assert found is not None
    assert found.id == job


def test_who_holds_a_row_for_ever_does_not_stop_those_who_were_woken(
    bench: PgBench, admin: Engine
) -> None:
    """A process that stands still in the middle of a transaction."""
    job = bench.ask()
    with held(admin, job), pytest.raises(Contended):
        bench.queue.claim_one(bench.scope.tenant_id, job)
    assert bench.queue.claim_one(bench.scope.tenant_id, job)
