"""Short histories of jobs and commands under a seeded scheduler: who acts next, what breaks and
what time it is are drawn from the seed, so that a seed that fails fails again.

Actors are generators; wherever one yields, another may act, or it may be killed or stand still.
After each history everything is healed and must come to its end.
"""

from collections.abc import Generator, Hashable
from contextlib import suppress
from random import Random
from typing import Any

import attrs

from finora_core.jobs.model import Claimed, Failure, JobState
from finora_core.kernel.scope import Claim, Command
from finora_core.kernel.work import CommandInFlight, Replayed, StaleClaim
from twin.memory import MemoryQueue, Row, Store, Transaction

Actor = Generator[None, None, None]
TENANT = "t"
JUMPS = (0.1, 1.0, 5.0, 6.0, 11.0, 16.0, 40.0)
ROUNDS = 200


class Broken(AssertionError):
    """The machine did what it must never do."""


@attrs.define(eq=False)
class Runner:
    """A worker process with one thread for jobs. `held` is what it believes to run."""

    actor: Actor = attrs.field(init=False)
    held: Claimed | None = None
    work: Transaction | None = None
    stalled: int = 0


@attrs.define(eq=False, slots=False)
class Jobs:
    """Two jobs, two runners, two relays, and a queue that forgets."""

    random: Random
    queue_type: type[MemoryQueue] = MemoryQueue
    store: Store = attrs.field(factory=Store)
    told: list[Hashable] = attrs.field(factory=list)
    starts: dict[Hashable, int] = attrs.field(factory=dict)
    """Attempts that count: claims less what was given back, since the last replay."""
    epochs: dict[Hashable, int] = attrs.field(factory=dict)
    """The newest epoch that anybody was given."""
    healed: bool = False

    def __attrs_post_init__(self) -> None:
        self.queue = self.queue_type(self.store)
        for number in range(self.random.randint(1, 2)):
            job = f"job{number}"
            self.store.rows[job] = Row(
                TENANT, job, max_attempts=self.random.randint(1, 3), run_at=self.store.now
            )
        self.poison = {job for job in self.store.rows if self.random.random() < 0.15}
        self.runners = [self._new() for _ in range(2)]
        self.relays = [self._relay(), self._relay()]

    # --- the actors

    def _new(self) -> Runner:
        runner = Runner()
        runner.actor = self._run(runner)
        return runner

    def _relay(self) -> Actor:
        while True:
            wakeups = self.queue.announce(10)
            yield
            self.told += [each.id for each in wakeups if each.id not in self.told]
            yield

    def _run(self, me: Runner) -> Actor:
        while True:
            job = self._next()
            yield
            if job is None:
                continue
            claimed = self._claim(job)
            if claimed is None:
                continue
            me.held = claimed
            yield
            with suppress(StaleClaim):
                yield from self._attempt(me, claimed)
            me.held = me.work = None

    def _next(self) -> Hashable | None:
        """A wake-up, or now and then a look at the table as `Finora.run_jobs` has it."""
        if self.told:
            return self.told.pop(0)
        return "any" if not self.healed and self.random.random() < 0.1 else None

    def _claim(self, job: Hashable) -> Claimed | None:
        if job == "any":
            found = self.queue.claim(1)
            claimed = found[0] if found else None
        else:
            claimed = self.queue.claim_one(TENANT, job)
        if claimed is not None:
            self._check_claim(claimed)
        return claimed

    def _attempt(self, me: Runner, claimed: Claimed) -> Actor:
        me.work = work = self.store.begin(_cause(claimed))
        yield
        self.write(work)
        yield
        if claimed.id in self.poison or (not self.healed and self.random.random() < 0.15):
            work.rollback()
            yield
            self.queue.fail(claimed, self._failure(claimed))
            return
        if self.random.random() < 0.8:
            work.done(None)
            yield
            self.commit(work)
        else:
            # Two transactions: the first is fenced when it commits, the second ends the job.
            work.effects.clear()
            self.commit(work)
            yield
            me.work = work = self.store.begin(_cause(claimed))
            self.write(work)
            work.done(None)
            yield
            self.commit(work)
        yield

    def write(self, work: Transaction) -> None:
        work.write()

    def commit(self, work: Transaction) -> None:
        before = len(self.store.effects)
        work.commit()
        for job, epoch in self.store.effects[before:]:
            if epoch != self.epochs[job]:
                raise Broken(f"epoch {epoch} of {job} wrote, after {self.epochs[job]} was given")

    def _failure(self, claimed: Claimed) -> Failure:
        dead = claimed.attempts >= claimed.max_attempts
        state = JobState.DEAD if dead else JobState.WAITING
        return Failure(state=state, reason="X", message="x", error="x", retry_in_s=3)

    def _check_claim(self, claimed: Claimed) -> None:
        job = claimed.id
        if claimed.epoch <= self.epochs.get(job, 0):
            raise Broken(f"epoch {claimed.epoch} of {job} was given twice")
        self.epochs[job] = claimed.epoch
        self.starts[job] = self.starts.get(job, 0) + 1
        if self.starts[job] > self.store.rows[job].max_attempts:
            raise Broken(f"{job} was started {self.starts[job]} times")

    # --- what goes wrong

    def crash(self, runner: Runner) -> None:
        """The process is killed; the database rolls back what it had open."""
        runner.actor.close()
        if runner.work is not None:
            runner.work.rollback()
        self.runners[self.runners.index(runner)] = self._new()

    def give_back(self, runner: Runner) -> None:
        """A stop that does not wait for the job: its thread goes on, and must meet the fence."""
        held = runner.held
        if held is None:
            return
        if self.queue._mine(held) is not None:
            self.starts[held.id] -= 1
        self.queue.release(held)

    def renew(self) -> None:
        held = [each.held for each in self.runners if each.held and not each.stalled]
        if held:
            self.queue.renew(held)

    def operate(self) -> None:
        act = self.random.randrange(4)
        job = self.random.choice(list(self.store.rows))
        if act == 0:
            self.queue.pause("q")
        elif act == 1:
            self.queue.resume("q")
        elif act == 2 and self.store.rows[job].state == "dead":
            self.starts[job] = 0
            self.store.replay(job)
        elif act == 3 and self.random.random() < 0.2:
            self.store.cancel(job)

    def step(self) -> None:
        """One thing happens."""
        draw = self.random.random()
        if draw < 0.45:
            self._advance(self.random.choice(self.runners))
        elif draw < 0.65:
            next(self.random.choice(self.relays))
        elif draw < 0.78:
            self.store.now += self.random.choice(JUMPS)
        elif draw < 0.83:
            self.crash(self.random.choice(self.runners))
        elif draw < 0.86:
            # As long as that its lease may run out, or a moment.
            self.random.choice(self.runners).stalled = self.random.randint(2, 8)
            self.store.now += self.random.choice(JUMPS)
        elif draw < 0.89:
            self.told.clear()
        elif draw < 0.92:
            self.relays[self.random.randrange(2)] = self._relay()
        elif draw < 0.94:
            self.give_back(self.random.choice(self.runners))
        elif draw < 0.96:
            self.operate()
        else:
            self.renew()

    def _advance(self, runner: Runner) -> None:
        if runner.stalled:
            runner.stalled -= 1
        else:
            next(runner.actor)

    # --- the end

    def heal(self) -> None:
        """From here on nothing breaks: every job must come to its end."""
        self.healed = True
        self.queue.resume("q")
        for runner in self.runners:
            runner.stalled = 0
        for _ in range(ROUNDS):
            if all(row.state not in ("waiting", "running") for row in self.store.rows.values()):
                return
            for relay in self.relays:
                next(relay)
                next(relay)
            for runner in self.runners:
                for _ in range(6):
                    next(runner.actor)
            self.renew()
            self.store.now += 3.0
        raise Broken(f"lost: {[(row.id, row.state) for row in self.store.rows.values()]}")

    def check(self) -> None:
        for row in self.store.rows.values():
            effects = sum(job == row.id for job, _ in self.store.effects)
            if effects != (row.state == "done"):
                raise Broken(f"{row.id} is {row.state} with {effects} effects")
            if row.state == "dead" and row.attempts != row.max_attempts:
                raise Broken(f"{row.id} is dead after {row.attempts} of {row.max_attempts}")


def _cause(claimed: Claimed) -> Claim:
    return Claim(job_id=claimed.id, epoch=claimed.epoch)


@attrs.define(eq=False, slots=False)
class Commands:
    """Clients that repeat a write until they are answered, two of them with one key."""

    random: Random
    queue_type: type[MemoryQueue] = MemoryQueue
    store_type: type[Store] = Store
    healed: bool = False

    def __attrs_post_init__(self) -> None:
        self.store = self.store_type()
        self.heard: dict[str, set[bytes]] = {"k0": set(), "k1": set()}
        self.waiting: dict[int, str] = {0: "k0", 1: "k0", 2: "k1"}
        self.open: dict[int, Transaction] = {}
        self.actors = {client: self._client(client) for client in self.waiting}

    def _client(self, me: int) -> Actor:
        key = self.waiting[me]
        command = Command(key=key, fingerprint=b"f", encode=lambda result: repr(result).encode())
        while True:
            yield
            try:
                work = self.store.begin(command)
            except CommandInFlight:
                continue
            except Replayed as replayed:
                reply = replayed.reply
            else:
                self.open[me] = work
                yield
                work.write()
                yield
                result = work.done((me, self.random.random()))
                work.commit()
                reply = command.encode(result)
                yield
            if not self.healed and self.random.random() < 0.3:
                continue  # the answer is lost on its way
            self.heard[key].add(reply)
            self.waiting.pop(me)
            while True:
                yield

    def step(self) -> None:
        client = self.random.randrange(3)
        if self.random.random() < 0.12:
            self._crash(client)
        else:
            next(self.actors[client])

    def _crash(self, client: int) -> None:
        """The process that serves it is killed; it asks again."""
        if client not in self.waiting:
            return
        self.actors[client].close()
        if work := self.open.pop(client, None):
            work.rollback()
        self.actors[client] = self._client(client)

    def heal(self) -> None:
        self.healed = True
        for _ in range(ROUNDS):
            if not self.waiting:
                return
            for actor in self.actors.values():
                next(actor)
        raise Broken(f"never answered: {self.waiting}")

    def check(self) -> None:
        for key, replies in self.heard.items():
            effects = self.store.effects.count((key, 0))
            if effects != 1 or len(replies) != 1:
                raise Broken(f"{key}: {effects} effects, replies {replies}")


def explore(seed: int, **mutant: Any) -> None:
    """One history. Raises Broken."""
    random = Random(seed)
    kind = mutant.pop("world", None) or (Jobs if random.random() < 0.75 else Commands)
    world = kind(random, **mutant)
    for _ in range(random.randint(8, 20) if kind is Commands else random.randint(20, 60)):
        world.step()
    world.heal()
    world.check()
