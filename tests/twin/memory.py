"""The job table, the command table and their transactions, in memory and with a clock that only
moves when it is told to. Says the same as `PgQueue` and `PgWork`, and is held to the same tests."""

from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Any

import attrs

from finora_core.jobs.model import Claimed, Failure, QueueStatus, Wakeup
from finora_core.jobs.ports import ANNOUNCE_AGAIN_S, LEASE_S
from finora_core.kernel.scope import Claim, Command
from finora_core.kernel.work import CommandInFlight, CommandKeyReused, Replayed, StaleClaim

DAY = 86_400
LIVE = ("waiting", "running")


@attrs.define(eq=False)
class Row:
    """A row of the job table."""

    tenant_id: Any
    id: Any
    queue: str = "q"
    max_attempts: int = 3
    state: str = "waiting"
    attempts: int = 0
    epoch: int = 0
    run_at: float = 0.0
    lease_until: float = 0.0
    announced_at: float | None = None
    finished_at: float | None = None
    done_parts: int = 0
    all_parts: int | None = None
    result: object = None
    reason: str | None = None


@attrs.define(eq=False)
class Store:
    """What is committed. `effects` are what jobs and commands did to the books."""

    now: float = 1000.0
    rows: dict[Any, Row] = attrs.field(factory=dict)
    paused: set[str] = attrs.field(factory=set)
    effects: list[tuple[Hashable, int]] = attrs.field(factory=list)
    """(job or key, epoch or 0)"""
    replies: dict[str, tuple[bytes, bytes]] = attrs.field(factory=dict)
    """key -> fingerprint, reply"""
    keys_held: set[str] = attrs.field(factory=set)

    def begin(self, cause: Claim | Command) -> "Transaction":
        """Raises StaleClaim, Replayed, CommandInFlight, CommandKeyReused."""
        if isinstance(cause, Claim):
            self.check(cause)
        else:
            self._take(cause)
        return Transaction(self, cause)

    def check(self, claim: Claim) -> Row:
        row = self.rows[claim.job_id]
        if row.state != "running" or row.epoch != claim.epoch:
            raise StaleClaim(f"job {claim.job_id} was claimed again")
        return row

    def _take(self, command: Command) -> None:
        if command.key in self.keys_held:
            raise CommandInFlight(command.key)
        if found := self.replies.get(command.key):
            if found[0] != command.fingerprint:
                raise CommandKeyReused(command.key)
            raise Replayed(found[1])
        self.keys_held.add(command.key)

    def replay(self, job_id: Any) -> None:
        row = self.rows[job_id]
        if row.state in ("dead", "refused"):
            row.state, row.attempts, row.run_at = "waiting", 0, self.now
            row.finished_at = row.announced_at = None

    def cancel(self, job_id: Any) -> None:
        row = self.rows[job_id]
        if row.state == "waiting":
            row.state, row.finished_at = "cancelled", self.now


@attrs.define(eq=False)
class Transaction:
    """Nothing of it is seen before `commit`. It ends its cause at the latest then."""

    store: Store
    cause: Claim | Command
    effects: list[tuple[Hashable, int]] = attrs.field(factory=list)
    closed: bool = False
    over: bool = False
    _result: object = None

    def write(self) -> None:
        """An effect; that of a job says of which epoch it is."""
        cause = self.cause
        self.effects.append(
            (cause.job_id, cause.epoch) if isinstance(cause, Claim) else (cause.key, 0)
        )

    def done(self, result: object) -> object:
        """Close the cause, when this commits: a job's completion goes with the commit."""
        self.closed, self._result = True, result
        return result

    def claimed(self, claim: Claim) -> Row:
        """The row of its job, as it is at the commit. Raises StaleClaim."""
        return self.store.check(claim)

    def commit(self) -> None:
        store, cause = self.store, self.cause
        row = None
        if isinstance(cause, Claim):
            try:
                row = self.claimed(cause)
            except StaleClaim:
                self.rollback()
                raise
        store.effects += self.effects
        if row is not None and self.closed:
            row.state, row.finished_at, row.result = "done", store.now, self._result
            row.done_parts = row.done_parts if row.all_parts is None else row.all_parts
        if isinstance(cause, Command) and self.closed:
            store.replies[cause.key] = cause.fingerprint, cause.encode(self._result)
        self.rollback()

    def rollback(self) -> None:
        """Also what the database does when its client is gone. Harmless after a commit."""
        if self.over:
            return
        self.over = True
        if isinstance(self.cause, Command):
            self.store.keys_held.discard(self.cause.key)


@attrs.frozen(eq=False)
class MemoryQueue:
    store: Store

    def claim(self, limit: int) -> Sequence[Claimed]:
        self._bury()
        return self._take(self.store.rows.values(), limit)

    def claim_one(self, tenant_id: Any, job_id: Any) -> Claimed | None:
        row = self.store.rows.get(job_id)
        taken = self._take([row], 1) if row is not None and row.tenant_id == tenant_id else ()
        return taken[0] if taken else None

    def announce(self, limit: int) -> Sequence[Wakeup]:
        self._bury()
        now = self.store.now
        due = [row for row in self.store.rows.values() if self.ready(row) and self.untold(row)]
        due.sort(key=lambda row: -1.0 if row.announced_at is None else row.announced_at)
        for row in due[:limit]:
            row.announced_at = now
        return [Wakeup(row.tenant_id, row.id, row.queue) for row in due[:limit]]

    def renew(self, jobs: Collection[Claimed]) -> Collection[Any]:
        renewed = set()
        for job in jobs:
            row = self._mine(job)
            if row is not None:
                row.lease_until = self.store.now + LEASE_S
                renewed.add(row.id)
        return renewed

    def release(self, job: Claimed, delay_s: int = 0) -> None:
        if row := self._mine(job):
            row.state, row.attempts, row.epoch = "waiting", row.attempts - 1, row.epoch + 1
            row.run_at, row.announced_at = self.store.now + delay_s, None

    def progress(self, job: Claimed, done: int, total: int | None) -> bool:
        row = self._mine(job)
        if row is None:
            return False
        row.done_parts = done
        row.all_parts = row.all_parts if total is None else total
        return True

    def fail(self, job: Claimed, failure: Failure) -> None:
        if row := self._mine(job):
            row.state, row.reason = failure.state.value, failure.reason
            row.run_at, row.announced_at = self.store.now + (failure.retry_in_s or 0), None
            if row.state in ("dead", "refused"):
                row.finished_at = self.store.now

    def purge(self) -> int:
        kept = {"done": DAY, "cancelled": DAY, "refused": 14 * DAY, "dead": 14 * DAY}
        old = [
            row.id
            for row in self.store.rows.values()
            if row.finished_at is not None and row.state in kept
            and row.finished_at < self.store.now - kept[row.state]
        ]  # fmt: skip
        for job_id in old:
            del self.store.rows[job_id]
        return len(old)

    def pause(self, queue: str) -> None:
        self.store.paused.add(queue)

    def resume(self, queue: str) -> None:
        self.store.paused.discard(queue)

    def status(self) -> Sequence[QueueStatus]:
        rows = [row for row in self.store.rows.values() if row.state in (*LIVE, "dead")]
        names = sorted({row.queue for row in rows} | self.store.paused)
        return [self._status(name, [row for row in rows if row.queue == name]) for name in names]

    def _status(self, name: str, rows: list[Row]) -> QueueStatus:
        now = self.store.now
        ages = [now - row.run_at for row in rows if row.state == "waiting" and row.run_at <= now]
        count = lambda state: sum(row.state == state for row in rows)  # noqa: E731  # short
        return QueueStatus(
            queue=name,
            paused=name in self.store.paused,
            waiting=count("waiting"),
            running=count("running"),
            dead=count("dead"),
            oldest_s=max(ages, default=0.0),
        )

    def ready(self, row: Row) -> bool:
        now = self.store.now
        return (
            (row.state == "waiting" or (row.state == "running" and row.lease_until < now))
            and row.run_at <= now
            and row.attempts < row.max_attempts
            and row.queue not in self.store.paused
        )

    def untold(self, row: Row) -> bool:
        told = row.announced_at
        return told is None or told < self.store.now - ANNOUNCE_AGAIN_S

    def _take(self, rows: Iterable[Row], limit: int) -> list[Claimed]:
        ready = sorted((row for row in rows if self.ready(row)), key=lambda row: row.run_at)
        return [self._started(row) for row in ready[:limit]]

    def _started(self, row: Row) -> Claimed:
        now = self.store.now
        row.state, row.epoch, row.announced_at = "running", row.epoch + 1, now
        row.lease_until = now + LEASE_S
        self.count(row)
        return Claimed(
            tenant_id=row.tenant_id,
            id=row.id,
            epoch=row.epoch,
            name="twin.job",
            user_id=row.tenant_id,
            request_id="r",
            payload={},
            attempts=row.attempts,
            max_attempts=row.max_attempts,
        )

    def count(self, row: Row) -> None:
        row.attempts += 1

    def _bury(self) -> None:
        for row in self.store.rows.values():
            if (
                row.state == "running"
                and row.lease_until < self.store.now
                and row.attempts >= row.max_attempts
            ):
                row.state, row.finished_at, row.epoch = "dead", self.store.now, row.epoch + 1
                row.reason = row.reason or "LOST"

    def _mine(self, job: Claimed) -> Row | None:
        row = self.store.rows.get(job.id)
        held = row is not None and row.epoch == job.epoch and row.state == "running"
        return row if held else None
