"""The queue in Postgres keeps the contract; what only a real one can show is in test_jobs.py."""

from collections.abc import Iterable, Iterator, Mapping
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
from finora_core.kernel.events import Plain
from finora_core.kernel.ids import new_id
from finora_core.kernel.scope import Claim
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


@pytest.mark.invariant("I-22")
@pytest.mark.invariant("I-24")
class TestPgQueue(QueueContract):
    @pytest.fixture
    def bench(self, database: Postgres, scope: Scope, admin: Engine) -> Iterator[PgBench]:
        wired = attrs.evolve(database, subscriptions=by_event(SUBSCRIPTIONS))
        bench = PgBench(wired, scope, admin)
        yield bench
        bench.forget()
