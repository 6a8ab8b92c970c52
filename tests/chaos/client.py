"""A client process: `python -m chaos.client '{...}'`. Some threads that write, repeat what they are
not sure of until they are, and put down what they were told.

A line of the history is written before the first try of a write (`begin`) and when its outcome is
known (`ok`, `refused`); what has the first alone may have happened or not."""

import json
import sys
import threading
import time
import traceback
from pathlib import Path
from random import Random
from typing import Any, TextIO

import attrs

from chaos.targets import TARGETS, WALLETS, Refused, Target, Unsure

_LINES = 3
_AT_FIRST, _EVERY_S = 8, 8.0
"""Imports that a thread asks for at once, and how long it then waits for each one more: workers
that are killed all the time do one or two a second, and what is asked beyond that is a queue."""


@attrs.define
class History:
    """One line at a time, each out of this process when it is written."""

    file: TextIO
    lock: threading.Lock = attrs.field(factory=threading.Lock)

    def add(self, **said: object) -> None:
        with self.lock:
            self.file.write(json.dumps(said) + "\n")
            self.file.flush()


def write(target: Target, random: Random, key: str, history: History, *, may_bring: bool) -> bool:
    """One write, until its outcome is known. Whether it was an import."""
    bring = random.random() < 0.04 and may_bring
    source, other = random.sample(range(WALLETS), 2)
    units = random.randint(1, 3000)
    history.add(key=key, begin=True, kind="bring" if bring else "pay", lines=_LINES if bring else 0)
    for tries in range(1, 10_000):
        try:
            answer = target.bring(key, _LINES) if bring else target.pay(key, source, other, units)
        except Unsure:
            time.sleep(random.uniform(0.01, 0.1))
            continue
        except Refused as refused:
            history.add(key=key, refused=str(refused), tries=tries)
            return bring
        history.add(key=key, ok=answer.id, replayed=answer.replayed, tries=tries)
        return bring
    return bring


def main() -> None:
    said: dict[str, Any] = json.loads(sys.argv[1])
    target = TARGETS[said["target"]](said)
    stop = Path(said["stop"])
    failed: list[str] = []

    def run(number: int, history: History) -> None:
        random = Random(f"{said['seed']} {said['name']} {number}")
        count, brought, began = 0, 0, time.monotonic()
        try:
            while not stop.exists():
                may_bring = brought < _AT_FIRST + (time.monotonic() - began) / _EVERY_S
                key = f"{said['name']}-{number}-{count}"
                brought += write(target, random, key, history, may_bring=may_bring)
                count += 1
        except Exception:
            failed.append(traceback.format_exc())

    with Path(said["history"]).open("w") as file:
        history = History(file)
        threads = [
            threading.Thread(target=run, args=(number, history))
            for number in range(said["threads"])
        ]
        for thread in threads:
            thread.start()
        print("writing", flush=True)
        for thread in threads:
            thread.join()
    target.close()
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
