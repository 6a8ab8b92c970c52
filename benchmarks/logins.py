"""A flood of logins beside readers: whom it slows down, and what becomes of the logins.

    python benchmarks/logins.py
    python benchmarks/logins.py --clients 100 --pause 0

`finora serve` as it comes, with what a password costs by default. Readers ask for the wallet at
fixed times, from the cache and from the database, and are timed from the moment at which they
should have begun; in every other stretch of time clients in a process of their own, which steps
back for the others as if it were elsewhere, sign in as other persons, each again and again. A login
beyond what can be checked has to be refused by LOGIN_BUSY with Retry-After; who was refused comes
back after as long as it was told, or after `--pause`.
"""

import argparse
import json
import os
import queue
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from chain import PERSON, WALLET, filled
from common import HTTPConnection, HTTPException, finish, free_port, show, workplace

BAR = 2.0
KINDS: dict[str, Mapping[str, str]] = {"cached": {}, "uncached": {"Cache-Control": "no-cache"}}
READERS = 6
OTHERS = 10
"""Persons that sign in. Whoever reads does not: a sign-in makes its own cached answers old."""


def read(port: int, token: str, seconds: float, per_s: float) -> dict[str, list[float]]:
    """Ask for each kind that often, in turns, at fixed times."""
    due: queue.SimpleQueue[tuple[float, str] | None] = queue.SimpleQueue()
    took: dict[str, list[float]] = {kind: [] for kind in KINDS}

    def run() -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        while (task := due.get()) is not None:
            at, kind = task
            headers = {"Authorization": f"Bearer {token}", **KINDS[kind]}
            connection.request("GET", WALLET, headers=headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise SystemExit(f"{WALLET}: {answer.status}")
            took[kind].append((time.perf_counter() - at) * 1000)
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(READERS)]
    for thread in threads:
        thread.start()
    began = time.perf_counter() + 0.1
    kinds = list(KINDS)
    for number in range(int(seconds * per_s * len(kinds))):
        at = began + number / (per_s * len(kinds))
        wait = at - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        due.put((at, kinds[number % len(kinds)]))
    for _ in threads:
        due.put(None)
    for thread in threads:
        thread.join()
    return took


def login_of(number: int) -> dict[str, str]:
    return {"email": f"bench-{number % OTHERS}@example.org", "password": PERSON["password"]}


# --- the flood, in a process of its own ----------------------------------------------------------


def flood(port: int, clients: int, pause: float | None) -> None:
    """Sign in until standard input ends; then print what became of it."""
    os.nice(10)
    over, said, took = threading.Event(), Counter[str](), list[float]()

    def run(number: int) -> None:
        body = json.dumps(login_of(number))
        connection, fresh = HTTPConnection("127.0.0.1", port, timeout=60), True
        while not over.is_set():
            began = time.perf_counter()
            try:
                connection.request("POST", "/api/v1/auth/login", body,
                                   {"Content-Type": "application/json"})  # fmt: skip
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, HTTPException) as error:
                connection.close()
                # One that was kept may have been closed meanwhile.
                if fresh:
                    said[type(error).__name__] += 1
                fresh = True
                continue
            fresh = False
            if answer.status == 200:
                said["answered"] += 1
                took.append((time.perf_counter() - began) * 1000)
                continue
            code = json.loads(text)["error"]["code"]
            polite = answer.status == 503 and int(answer.getheader("Retry-After") or 0) >= 1
            said[code if polite else f"{answer.status} {code}"] += 1
            over.wait(float(answer.getheader("Retry-After") or 1) if pause is None else pause)

    threads = [threading.Thread(target=run, args=(each,)) for each in range(clients)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    print(json.dumps({"said": said, "p50_ms": statistics.median(took) if took else 0}))


@contextmanager
def flooded(port: int, asked: argparse.Namespace, told: "Counter[str]") -> Iterator[None]:
    command = [sys.executable, __file__, "--flood", str(port), "--clients", str(asked.clients),
               *(["--pause", str(asked.pause)] if asked.pause is not None else [])]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    time.sleep(1)
    yield
    out, _ = process.communicate("")
    told.update(json.loads(out)["said"])


# --- the whole -----------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, default=40, help="that sign in at once (40)")
    parser.add_argument("--pause", type=float, help="of who was refused, in s (as it was told)")
    parser.add_argument("--per-s", type=float, default=40, help="reads of each kind a second (40)")
    parser.add_argument("--seconds", type=float, default=6, help="of a stretch of time (6)")
    parser.add_argument("--rounds", type=int, default=4, help="with and without (4)")
    parser.add_argument("--flood", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.flood:
        flood(asked.flood, asked.clients, asked.pause)
        return
    quiet: dict[str, list[float]] = {kind: [] for kind in KINDS}
    loud: dict[str, list[float]] = {kind: [] for kind in KINDS}
    told: Counter[str] = Counter()
    with workplace() as folder, serving(folder / "data") as (port, token):
        read(port, token, 2, asked.per_s)
        for _ in range(asked.rounds):
            for kind, took in read(port, token, asked.seconds, asked.per_s).items():
                quiet[kind] += took
            with flooded(port, asked, told):
                for kind, took in read(port, token, asked.seconds, asked.per_s).items():
                    loud[kind] += took
    report(asked, quiet, loud, told)


@contextmanager
def serving(data: Path) -> Iterator[tuple[int, str]]:
    from finora import Finora, Settings
    from finora_adapters.compose import open_database
    from finora_adapters.embedded import open_engines
    from finora_web.main import build

    limits = "all=1000000/60"
    settings = Settings(data=data, rate_limits=limits)
    with open_engines(data, valkey=True):
        with Finora.open(settings) as finora:
            opened = open_database(settings, redis=True)
            app = build(settings, opened)
            _, token, _ = filled(app, finora)
            for number in range(OTHERS):
                said = login_of(number) | {"name": "Other"}
                if app.test_client().post("/api/v1/auth/register", json=said).status_code != 201:
                    raise SystemExit("nobody else signs up")
            opened.close()
        port = free_port()
        command = [sys.executable, "-m", "finora", "serve", "--port", str(port)]
        environment = os.environ | {"FINORA_DATA": str(data), "FINORA_RATE_LIMITS": limits}
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 60
            while time.monotonic() < end:
                with suppress(OSError):
                    connection = HTTPConnection("127.0.0.1", port, timeout=5)
                    connection.request("GET", "/ready")
                    if connection.getresponse().status == 200:
                        break
                time.sleep(0.1)
            yield port, token
        finally:
            process.terminate()
            process.wait(40)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def report(
    asked: argparse.Namespace,
    quiet: dict[str, list[float]],
    loud: dict[str, list[float]],
    told: "Counter[str]",
) -> None:
    rows, figures = [], {}
    for kind in KINDS:
        each = [percentile(took[kind], share) for share in (0.5, 0.99) for took in (quiet, loud)]
        rows.append((kind, *each, each[3] / each[2], each[3] / each[2] / BAR))
        figures |= {f"{kind}_p99_ms": each[2], f"{kind}_flood_p99_ms": each[3],
                    f"{kind}_ratio": each[3] / each[2]}  # fmt: skip
    show(
        ("reads", "p50 ms", "in a flood", "p99 ms", "in a flood", "ratio", "of the bar"),
        rows,
    )
    seconds = asked.seconds * asked.rounds
    shed, rest = told["LOGIN_BUSY"], dict(told)
    for name in ("answered", "LOGIN_BUSY"):
        rest.pop(name, None)
    print(f"{told['answered'] / seconds:,.0f} logins a second answered, {shed / seconds:,.0f} "
          f"refused with Retry-After, {sum(rest.values())} otherwise {rest or ''}")  # fmt: skip
    finish(clients=asked.clients, answered=told["answered"], shed=shed,
           otherwise=sum(rest.values()), **figures)  # fmt: skip


if __name__ == "__main__":
    main()
