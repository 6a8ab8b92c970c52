"""What breaks, when: drawn from a seed before anything runs, so that a run can be had again."""

import signal
import time
from collections import Counter
from collections.abc import Mapping
from random import Random

import attrs

from chaos.cluster import Cluster

# The servers' supervisor gives a server up that dies more than five times in a minute.
POSTGRES_EVERY_S = 13.0
KILLS = ("kill worker", "kill postgres", "kill api")
FAULTS = {
    "kill worker": 4,
    "stop worker": 2,
    "kill postgres": 3,
    "flush redis": 2,
    "cut": 3,
    "swallow": 5,
    "black hole": 2,
    "delay": 1,
}
OVER_HTTP = FAULTS | {"kill api": 5}
# Of a run that is as long as its kills: every second of its faults is one.
KILLING = {"kill worker": 12}


@attrs.frozen
class Event:
    at: float
    fault: str
    seconds: float
    """How long it lasts, where it lasts."""


def plan(
    seed: int, seconds: float, kills: int | None = None, faults: Mapping[str, int] = FAULTS
) -> list[Event]:
    """Faults over so many seconds. The first is soon, and a Postgres dies in every plan; with
    `kills`, after so many it ends."""
    random = Random(seed)
    events: list[Event] = []
    at, killed_at, killed = 1.0, -POSTGRES_EVERY_S, 0
    while at < seconds and (kills is None or killed < kills):
        fault = random.choices(list(faults), list(faults.values()))[0]
        if len(events) == 2 and killed_at < 0:
            fault = "kill postgres"
        if fault == "kill postgres":
            if at < killed_at + POSTGRES_EVERY_S:
                fault = "swallow"
            else:
                killed_at = at
        killed += fault in KILLS
        # A worker may stand still for longer than its leases last.
        longest = 25.0 if fault == "stop worker" else 3.0
        events.append(Event(at, fault, random.uniform(1.0, longest)))
        at += random.uniform(0.7, 2.5)
    return events


@attrs.define
class Nemesis:
    cluster: Cluster
    workers: int
    done: Counter[str] = attrs.field(factory=Counter)
    _ends: list[tuple[float, str]] = attrs.field(factory=list)

    def run(self, events: list[Event], seconds: float) -> None:
        """Do it all, at its time, and keep workers running meanwhile."""
        began = time.monotonic()
        waiting = list(events)
        while (now := time.monotonic() - began) < seconds or waiting:
            while waiting and waiting[0].at <= now:
                event = waiting.pop(0)
                self.act(event)
                self._ends.append((now + event.seconds, event.fault))
            for end in [each for each in self._ends if each[0] <= now]:
                self._ends.remove(end)
                self.undo(end[1])
            self.cluster.keep_workers(self.workers)
            self.cluster.keep_api()
            time.sleep(0.05)

    def act(self, event: Event) -> None:
        cluster, rules = self.cluster, self.cluster.proxy.rules
        self.done[event.fault] += 1
        match event.fault:
            case "kill worker":
                cluster.workers[0].kill()
                cluster.workers[0].wait()
            case "stop worker":
                cluster.workers[-1].send_signal(signal.SIGSTOP)
            case "kill postgres":
                cluster.kill_postgres()
            case "kill api":
                cluster.kill_api(self.done[event.fault])
            case "flush redis":
                cluster.flush()
            case "cut":
                cluster.proxy.cut()
            case "swallow":
                rules.swallow = 0.3
            case "black hole":
                rules.hole = True
            case "delay":
                rules.delay_s = 0.02

    def undo(self, fault: str) -> None:
        rules = self.cluster.proxy.rules
        match fault:
            case "stop worker":
                for worker in self.cluster.workers:
                    worker.send_signal(signal.SIGCONT)
            case "swallow":
                rules.swallow = 0.0
            case "black hole":
                self.cluster.proxy.heal()
            case "delay":
                rules.delay_s = 0.0

    def heal(self) -> None:
        """Nothing breaks from here on."""
        self._ends.clear()
        self.undo("stop worker")
        self.cluster.proxy.heal()
        self.cluster.await_postgres()
        self.cluster.keep_workers(self.workers)
        if self.cluster.api is not None:
            self.cluster.await_api()
