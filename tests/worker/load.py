"""Jobs that do something to look at: what asks for them, what they do, what they leave."""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import attrs
from sqlalchemy import Engine, text

from finora import Scope
from finora_adapters.postgres.jobs import PgQueue
from finora_adapters.postgres.work import Postgres
from finora_core.jobs.model import Handler, Progress, Subscription
from finora_core.kernel.events import Plain
from finora_core.kernel.ids import derived_id, new_id
from servers import eventually

QUEUE, OTHER = "test", "test:other"
ATTEMPTS = 3
POINTS = ("claimed", "before", "inside", "finished", "after")
"""Where a `steps` job can be held: claimed; about to write; written, not committed; its row ended,
not committed; committed."""
KINDS = ("add", "other", "steps", "raise", "exit", "die", "loop", "flaky", "later")


@attrs.frozen
class Asked:
    type: ClassVar[str] = "test.asked"

    kind: str
    number: int

    def payload(self) -> Mapping[str, Plain]:
        return {"kind": self.kind, "number": self.number}


@attrs.frozen
class Effect:
    """What a job does to the books: nothing keeps it from being there twice but the job's fence."""

    type: ClassVar[str] = "test.effect"

    number: int

    def payload(self) -> Mapping[str, Plain]:
        return {"number": self.number}


SUBSCRIPTIONS = tuple(
    Subscription(
        event=Asked.type,
        job=f"test.{kind}",
        queue=OTHER if kind == "other" else QUEUE,
        attempts=ATTEMPTS,
        subject="number",
        only=("kind", kind),
    )
    for kind in KINDS
)


@attrs.frozen
class Handlers:
    """Their trace and their gates are files, for they may be killed at any moment."""

    database: Postgres
    folder: Path

    def all(self, *but: str) -> dict[str, Handler]:
        kinds = {
            "add": self.add, "other": self.add, "steps": self.steps, "raise": self.fail,
            "exit": self.leave, "die": self.die, "loop": self.loop, "flaky": self.flaky,
            "later": self.add,
        }  # fmt: skip
        return {
            f"test.{kind}": self._noted(kind, act) for kind, act in kinds.items() if kind not in but
        }

    def _noted(self, kind: str, act: Handler) -> Handler:
        def run(scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
            note(self.folder / f"{kind}-{payload['number']}")
            return act(scope, payload, progress)

        return run

    def add(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        with self.database.begin(scope) as work:
            work.events.record(Effect(_number(payload)))
            return work.done({"number": _number(payload)})

    def steps(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        self._pass("claimed")
        self._pass("before")
        with self.database.begin(scope) as work:
            work.events.record(Effect(_number(payload)))
            self._pass("inside")
            result = work.done({"number": _number(payload)})
            self._pass("finished")
        self._pass("after")
        return result

    def fail(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        if (self.folder / "repaired").exists():
            return self.add(scope, payload, progress)
        raise RuntimeError("secret detail")

    def leave(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        sys.exit(3)

    def die(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        os._exit(9)

    def loop(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        while True:
            pass

    def flaky(self, scope: Scope, payload: Mapping[str, Plain], progress: Progress) -> object:
        if len(starts(self.folder, "flaky", _number(payload))) == 1:
            raise RuntimeError("not yet")
        return self.add(scope, payload, progress)

    def _pass(self, point: str) -> None:
        """Say that a process is here, and wait as long as the point is held."""
        note(self.folder / f"at-{point}")
        while (self.folder / f"hold-{point}").exists():
            time.sleep(0.01)
        note(self.folder / f"past-{point}")


def note(file: Path) -> None:
    """Add this process to those that were here; one write, so that nothing is half there."""
    with file.open("a") as opened:
        opened.write(f"{os.getpid()}\n")


def noted(file: Path) -> list[int]:
    """The processes that were here, in order."""
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def starts(folder: Path, kind: str, number: int) -> list[int]:
    """The process of each attempt at a job."""
    return noted(folder / f"{kind}-{number}")


def _number(payload: Mapping[str, Plain]) -> int:
    number = payload["number"]
    assert isinstance(number, int)
    return number


@attrs.frozen
class Load:
    """A tenant that asks for jobs, and looks at what became of them."""

    database: Postgres
    scope: Scope
    admin: Engine
    folder: Path

    @property
    def queue(self) -> PgQueue:
        return PgQueue(self.database)

    def ask(self, kind: str, *numbers: int) -> list[UUID]:
        """One transaction that causes a job for each number."""
        scope = attrs.evolve(self.scope, request_id=str(new_id()))
        with self.database.begin(scope) as work:
            for number in numbers:
                work.events.record(Asked(kind, number))
        return [
            derived_id(f"test.{kind}", str(scope.user_id), str(number), scope.request_id)
            for number in numbers
        ]

    def rows(self) -> dict[UUID, Any]:
        """The tenant's job rows."""
        query = text("select * from finora.job where tenant_id = :tenant")
        with self.admin.connect() as connection:
            found = connection.execute(query, {"tenant": self.scope.tenant_id}).all()
        return {row.id: row for row in found}

    def states(self) -> Counter[str]:
        return Counter(row.state for row in self.rows().values())

    def effects(self) -> Counter[int]:
        """How often each number was written."""
        query = text(
            "select (payload->>'number')::int, count(*) from finora.event "
            "where tenant_id = :tenant and type = 'test.effect' group by 1"
        )
        with self.admin.connect() as connection:
            rows = connection.execute(query, {"tenant": self.scope.tenant_id}).all()
        return Counter(dict(rows))

    def await_states(self, **states: int) -> None:
        eventually(lambda: self.states() == Counter(states), f"not {states}")

    def await_note(self, name: str, count: int = 1) -> None:
        eventually(lambda: len(noted(self.folder / name)) >= count, f"nobody came to {name}")

    def hold(self, point: str) -> None:
        (self.folder / f"hold-{point}").touch()

    def let_go(self, point: str) -> None:
        (self.folder / f"hold-{point}").unlink()

    def retry_now(self) -> None:
        """As if the pause before the next attempt were over: the database's clock stays."""
        self._set("run_at = now() - interval '1 s'", "waiting")

    def lose_leases(self) -> None:
        """As if the leases had run out. A runner that lives gets its own back at its next beat."""
        self._set("lease_until = now() - interval '1 s', announced_at = null", "running")

    def announce_again(self) -> None:
        """As if ten seconds had passed since each job was announced."""
        self._set("announced_at = now() - interval '11 s'", "waiting", "running")

    def forget(self) -> None:
        """Nothing of this test runs in the next one."""
        self._set("state = 'cancelled', finished_at = now()", "waiting", "running", "paused")
        for queue in (QUEUE, OTHER):
            self.queue.resume(queue)

    def _set(self, change: str, *states: str) -> None:
        statement = text(
            f"update finora.job set {change} where tenant_id = :tenant and state = any(:states)"
        )
        values = {"tenant": self.scope.tenant_id, "states": list(states)}
        with self.admin.begin() as connection:
            connection.execute(statement, values)


def once(numbers: Iterable[int]) -> Counter[int]:
    return Counter(dict.fromkeys(numbers, 1))
