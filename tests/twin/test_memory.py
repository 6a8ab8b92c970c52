"""The store of the twin says the same as the one in Postgres, so that what is found out with the
one holds for the other."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid4

import attrs
import pytest

from finora_core.jobs.model import Claimed
from finora_core.kernel.scope import Claim
from queue_contract import QueueContract
from twin.memory import MemoryQueue, Row, Store


@attrs.frozen
class MemoryBench:
    store: Store = attrs.field(factory=Store)
    tenant: UUID = attrs.field(factory=uuid4)

    @property
    def queue(self) -> MemoryQueue:
        return MemoryQueue(self.store)

    def ask(self, queue: str = "c", attempts: int = 3) -> UUID:
        job = uuid4()
        row = Row(self.tenant, job, queue=queue, max_attempts=attempts, run_at=self.store.now)
        self.store.rows[job] = row
        return job

    def own(self, found: Iterable[Any]) -> list[Any]:
        return list(found)

    def row(self, job: UUID) -> Row | None:
        return self.store.rows.get(job)

    def later(self, seconds: float) -> None:
        self.store.now += seconds

    def finish(self, claimed: Claimed) -> None:
        work = self.store.begin(_claim(claimed))
        work.write()
        work.done(None)
        work.commit()

    def write(self, claimed: Claimed) -> None:
        work = self.store.begin(_claim(claimed))
        work.write()
        work.commit()

    def effects(self) -> int:
        return len(self.store.effects)

    def replay(self, job: UUID) -> None:
        self.store.replay(job)

    def cancel(self, job: UUID) -> None:
        self.store.cancel(job)


def _claim(claimed: Claimed) -> Claim:
    return Claim(job_id=claimed.id, epoch=claimed.epoch)


class TestMemoryQueue(QueueContract):
    @pytest.fixture
    def bench(self) -> MemoryBench:
        return MemoryBench()
