"""A hundred thousand histories of jobs and commands. `TWIN_SEED=123` runs one of them again;
`TWIN_RUNS=1000000` runs more."""

import os
from collections.abc import Callable
from random import Random
from typing import Any

import attrs
import pytest

from finora_core.kernel.scope import Claim, Command
from finora_core.kernel.work import StaleClaim
from twin.machine import Broken, Commands, Jobs, explore
from twin.memory import MemoryQueue, Row, Store, Transaction

RUNS = int(os.environ.get("TWIN_RUNS", "100_000"))
SEED = os.environ.get("TWIN_SEED")


@pytest.mark.timeout(0 if SEED or RUNS > 100_000 else 300)
@pytest.mark.invariant("I-16")
@pytest.mark.invariant("I-22")
@pytest.mark.invariant("I-23")
@pytest.mark.invariant("I-24")
def test_no_history_loses_a_job_doubles_an_effect_or_lets_a_stale_runner_write() -> None:
    for seed in [int(SEED)] if SEED else range(RUNS):
        try:
            explore(seed)
        except Exception as error:
            pytest.fail(f"TWIN_SEED={seed} shows it again: {error!r}")


def test_a_seed_is_a_history() -> None:
    def states(seed: int) -> list[str]:
        world = Jobs(Random(seed))
        seen = []
        for _ in range(30):
            world.step()
            seen.append(
                repr((world.store.now, [attrs.astuple(r) for r in world.store.rows.values()]))
            )
        return seen

    assert states(7) == states(7)
    assert states(7) != states(8)


def test_the_histories_are_worth_their_time() -> None:
    """What must not break comes up often enough to break."""
    seen = {"stale": 0, "dead": 0, "done": 0, "lost": 0, "retried": 0, "replayed": 0}

    class Counting(MemoryQueue):
        def _bury(self) -> None:
            before = sum(row.state == "dead" for row in self.store.rows.values())
            super()._bury()
            seen["lost"] += sum(r.state == "dead" for r in self.store.rows.values()) - before

    @attrs.define(eq=False, slots=False)
    class Seen(Jobs):
        def commit(self, work: Transaction) -> None:
            try:
                super().commit(work)
            except StaleClaim:
                seen["stale"] += 1
                raise

        def check(self) -> None:
            for row in self.store.rows.values():
                seen["retried"] += row.epoch > 1
                if row.state in seen:
                    seen[row.state] += 1

    @attrs.define(eq=False, slots=False)
    class Repeats(Commands):
        def check(self) -> None:
            seen["replayed"] += len(self.store.effects) < 3

    for seed in range(2000):
        explore(seed, world=Seen, queue_type=Counting)
        explore(seed, world=Repeats)
    assert all(count > 20 for count in seen.values()), seen


# --- planted faults: each must be found ----------------------------------------------------------


class NeverAgain(MemoryQueue):
    """What was announced once is not announced again."""

    def untold(self, row: Row) -> bool:
        return row.announced_at is None


class NotCounted(MemoryQueue):
    def count(self, row: Row) -> None:
        """An attempt counts when it fails, and not when its runner dies."""


class NoFence(Store):
    def check(self, claim: Claim) -> Row:
        return self.rows[claim.job_id]


class CheckedOnce(Transaction):
    """The claim is looked at when the work begins, and not when it commits."""

    def claimed(self, claim: Claim) -> Row:
        return self.store.rows[claim.job_id]


class KeyAfterwards(Store):
    """The reply is kept by another transaction than the effect, which may not come to it."""

    def begin(self, cause: Claim | Command) -> Transaction:
        work = super().begin(cause)
        write = work.write

        @attrs.define(eq=False)
        class Early(Transaction):
            def write(self) -> None:
                write()
                self.store.effects += work.effects

        return Early(self, cause)


class NoKeyLock(Store):
    """Two with one key at once each find that there is no reply yet."""

    def _take(self, command: Command) -> None:
        super()._take(command)
        self.keys_held.discard(command.key)


class NoKey(Store):
    def _take(self, command: Command) -> None:
        """No idempotency: whoever asks again is served again."""


def on_store(kind: type[Store]) -> Callable[[Random], Jobs]:
    return lambda random: Jobs(random, store=kind())


@attrs.define(eq=False, slots=False)
class Outside(Jobs):
    """The effect is written before its transaction commits, as a call to another store would."""

    def write(self, work: Transaction) -> None:
        self.store.effects.append((work.cause.job_id, work.cause.epoch))


class FencedAtBegin(Store):
    def begin(self, cause: Claim | Command) -> Transaction:
        self.check(cause)
        return CheckedOnce(self, cause)


MUTANTS: dict[str, dict[str, Any]] = {
    "no fence": {"world": on_store(NoFence)},
    "fenced at begin only": {"world": on_store(FencedAtBegin)},
    "never announced again": {"world": Jobs, "queue_type": NeverAgain},
    "attempts not counted": {"world": Jobs, "queue_type": NotCounted},
    "effect outside the transaction": {"world": Outside},
    "no idempotency key": {"world": lambda random: Commands(random, store_type=NoKey)},
    "the key is not locked": {"world": lambda random: Commands(random, store_type=NoKeyLock)},
    "reply kept apart": {"world": lambda random: Commands(random, store_type=KeyAfterwards)},
}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_a_planted_fault_is_found(mutant: dict[str, Any]) -> None:
    for seed in range(20_000):
        try:
            explore(seed, **mutant)
        except Broken:
            return
    pytest.fail("nobody noticed")
