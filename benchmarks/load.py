"""The load that an installation has to hold: money writes, reads and imports at once, over HTTP.

    python benchmarks/load.py --seconds 60
    python benchmarks/load.py --seconds 120 --faults
    python benchmarks/load.py --seconds 30 --writes 300 --reads 100 --job-of 10

Two API and two worker processes, as `finora serve` and `finora worker` run them, with their own
Postgres and Valkey; the client threads share the same cores. Requests begin at fixed times whatever
became of the ones before, and are timed from the moment at which they should have begun. Every
write carries a key of its own and has its event in the audited log; with `--job-of 10` one of ten
is a statement of one line, which the workers import at once. In the end is shown where the
processors' time went, and what Postgres waited for. With `--faults` something is killed every 5 to
10 seconds: Postgres and all of its processes, an API process, a worker, or every key in Valkey;
clients ask again with the same Idempotency-Key. In the end every acknowledged write must be in the
books, once, and the books must be whole.
"""

import argparse
import itertools
import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
import psycopg
import redis
from common import HTTPConnection, finish, show, workplace

from finora import Finora, Settings
from finora_adapters.embedded import Engines, open_engines
from finora_adapters.postgres.invariants import violations

PORT = 4803
IMPORTS = 20 / 60
WRITE_LIMIT_MS, READ_LIMIT_MS, BACK_LIMIT_S = 250.0, 100.0, 5.0
ACCOUNTS = 64
GIVE_UP_S = 60.0
WARM_UP_S = 5.0  # held like the rest, and not timed: processes open their connections


@attrs.define
class Seen:
    """What clients saw. Times in milliseconds."""

    took: dict[str, list[float]] = attrs.field(factory=lambda: {"write": [], "read": []})
    acked: dict[str, str] = attrs.field(factory=dict)
    """Entry id by the reference that the client gave it."""
    jobs: list[str] = attrs.field(factory=list)
    late: list[float] = attrs.field(factory=list)
    """How long writes waited for one of the clients: more than nothing where all were waiting."""
    retries: int = 0
    errors: int = 0
    lock: threading.Lock = attrs.field(factory=threading.Lock)


@attrs.define
class Client:
    """One kept connection; asks again, with the same key, until it is told."""

    token: str
    seen: Seen
    connection: HTTPConnection | None = None

    def ask(self, method: str, path: str, body: bytes | None = None, key: str | None = None,
            kind: str = "application/json") -> tuple[int, Any]:  # fmt: skip
        headers = {"Authorization": f"Bearer {self.token}"}
        if body is not None:
            headers["Content-Type"] = kind
        if key is not None:
            headers["Idempotency-Key"] = key
        end = time.monotonic() + GIVE_UP_S
        while True:
            try:
                status, said = self._once(method, path, body, headers)
                # In flight: the twin that a dead connection left may still be running.
                if status < 500 and status != 409:
                    return status, said
            except (OSError, ValueError) as error:
                status, said = 0, str(error)
                self._drop()
            except Exception as error:
                if type(error).__module__ != "http.client":
                    raise
                status, said = 0, str(error)
                self._drop()
            if time.monotonic() > end:
                return status, said
            with self.seen.lock:
                self.seen.retries += 1
            time.sleep(0.05)

    def _once(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Any:
        if self.connection is None:
            self.connection = HTTPConnection("127.0.0.1", PORT, timeout=15)
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())

    def _drop(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = None


@attrs.frozen
class Books:
    token: str
    accounts: tuple[str, ...]


def act(what: str, number: int, client: Client, books: Books, job_of: int) -> None:
    """One request of a kind."""
    chance = random.Random(number)
    if what == "write" and job_of and number % job_of == 0:
        send(client, f"write-{number}", f"2026-03-01,-1.{number % 100:02},shop {number}\n")
    elif what == "write":
        one, other = chance.sample(books.accounts, 2)
        reference = f"load-{number}-{uuid.uuid4().hex[:8]}"
        legs = [
            {"account_id": one, "amount": {"amount": "-0.01", "asset": "EUR"}},
            {"account_id": other, "amount": {"amount": "0.01", "asset": "EUR"}},
        ]
        body = json.dumps({"postings": legs, "reference": reference}).encode()
        answered, said = client.ask("POST", "/api/v1/entries", body, key=reference)
        with client.seen.lock:
            if answered == 201:
                client.seen.acked[reference] = said["data"]["id"]
            else:
                client.seen.errors += 1
    elif what == "read":
        path = (
            "/api/v1/wallet/summary",
            "/api/v1/records?limit=20",
            f"/api/v1/accounts/{chance.choice(books.accounts)}/balances",
            "/api/v1/jobs?limit=5",
        )[number % 4]
        answered, _ = client.ask("GET", path)
        if answered != 200:
            with client.seen.lock:
                client.seen.errors += 1
    else:
        rows = "".join(
            f"2026-{number % 12 + 1:02}-{row % 28 + 1:02},-{row}.{number % 100:02},shop {row}\n"
            for row in range(1, 101)
        )
        send(client, f"import-{number}", rows)


def send(client: Client, key: str, rows: str) -> None:
    """A statement, which a job imports."""
    body = f"Date,Amount,Description\n{rows}".encode()
    path = f"/api/v1/imports?name={key}.csv&account=Giro&currency=EUR"
    answered, said = client.ask("POST", path, body, key, "application/octet-stream")
    with client.seen.lock:
        if answered == 202:
            client.seen.jobs.append(said["data"]["job_id"])
        else:
            client.seen.errors += 1


def drive(books: Books, seen: Seen, asked: argparse.Namespace) -> None:
    """Begin every request at its time; as many clients as there are threads."""
    began = time.perf_counter() + 0.5
    due: queue.SimpleQueue[tuple[float, str, int] | None] = queue.SimpleQueue()

    def run() -> None:
        client = Client(books.token, seen)
        while (task := due.get()) is not None:
            at, what, number = task
            if what == "write" and at > began + WARM_UP_S:
                with seen.lock:
                    seen.late.append(max(0.0, (time.perf_counter() - at) * 1000))
            act(what, number, client, books, asked.job_of)
            if what in seen.took and at > began + WARM_UP_S:
                took = (time.perf_counter() - at) * 1000
                with seen.lock:
                    seen.took[what].append(took)

    pool = [threading.Thread(target=run) for _ in range(asked.threads)]
    for thread in pool:
        thread.start()
    plan = sorted(
        (began + number / per_s, what, number)
        for what, per_s in (
            ("write", asked.writes),
            ("read", asked.reads),
            ("import", IMPORTS),
        )
        for number in range(int(per_s * asked.seconds))
    )
    for task in plan:
        wait = task[0] - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        due.put(task)
    for _ in pool:
        due.put(None)
    for thread in pool:
        thread.join()


# --- faults --------------------------------------------------------------------------------------


@attrs.define
class Nemesis:
    """Kills something every 5 to 10 seconds, and notes how long the API then was away."""

    data: Path
    engines: Engines
    serving: "dict[str, subprocess.Popen[bytes]]"
    token: str
    chance: random.Random
    over: threading.Event = attrs.field(factory=threading.Event)
    done: list[str] = attrs.field(factory=list)
    away_s: list[float] = attrs.field(factory=list)

    def run(self) -> None:
        for what in itertools.cycle(("postgres", "worker", "api", "flush")):
            if self.over.wait(self.chance.uniform(5, 10)):
                return
            getattr(self, what)()
            self.done.append(what)

    def postgres(self) -> None:
        postmaster = int((self.data / "postgres/postmaster.pid").read_text().split()[0])
        for pid in list(_tree(postmaster)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        client = Client(self.token, Seen())
        client.ask("GET", "/api/v1/accounts")
        self.away_s.append(time.monotonic() - began)

    def worker(self) -> None:
        name = self.chance.choice([name for name in self.serving if name.startswith("worker")])
        self.serving[name].kill()
        self.serving[name].wait()
        self.serving[name] = start(self.data, name)

    def api(self) -> None:
        children = _children(self.serving["api"].pid)
        if children:
            os.kill(self.chance.choice(children), signal.SIGKILL)

    def flush(self) -> None:
        with redis.Redis.from_url(str(self.engines.valkey_url)) as client:
            client.flushall()


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(each) for each in found.read_text().split()] if found.exists() else []


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for child in _children(pid):
        yield from _tree(child)


def start(data: Path, name: str) -> "subprocess.Popen[bytes]":
    arguments = ["serve", "--port", str(PORT)] if name == "api" else ["worker"]
    command = [sys.executable, "-m", "finora", *arguments, "--data", str(data)]
    environment = os.environ | {"FINORA_RATE_LIMITS": "all=1000000/60"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


@contextmanager
def installation(data: Path) -> "Iterator[dict[str, subprocess.Popen[bytes]]]":
    serving = {name: start(data, name) for name in ("api", "worker-1", "worker-2")}
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with suppress(OSError):
                connection = HTTPConnection("127.0.0.1", PORT, timeout=5)
                connection.request("GET", "/ready")
                if connection.getresponse().status == 200:
                    break
            time.sleep(0.1)
        yield serving
    finally:
        for process in serving.values():
            process.terminate()
        for process in serving.values():
            process.wait(40)


# --- where the time goes -------------------------------------------------------------------------


@attrs.define
class Spent:
    """Seconds of the processor of each kind of process, and what Postgres was seen at."""

    engines: Engines
    data: Path
    serving: "dict[str, subprocess.Popen[bytes]]"
    waits: "Counter[str]" = attrs.field(factory=Counter)
    over: threading.Event = attrs.field(factory=threading.Event)
    before: dict[str, float] = attrs.field(factory=dict)

    def seconds(self) -> dict[str, float]:
        """So far. Of processes that are over, what they spent is their parent's."""
        postmaster = int((self.data / "postgres/postmaster.pid").read_text().split()[0])
        with redis.Redis.from_url(str(self.engines.valkey_url)) as client:
            valkey: Any = client.info("server")
        found = {
            "API": _spent_s(self.serving["api"].pid),
            "workers": sum(
                _spent_s(each.pid) for name, each in self.serving.items() if name != "api"
            ),
            "Postgres": _spent_s(postmaster),
            "Valkey": _spent_s(valkey["process_id"]),
            "clients": sum(os.times()[:2]),
        }
        return {name: each - self.before.get(name, 0.0) for name, each in found.items()}

    def run(self) -> None:
        """Look at what Postgres does, twenty times a second."""
        look = (
            "select coalesce(wait_event_type || ' ' || wait_event, 'running') "
            "from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()"
        )
        with psycopg.connect(self.engines.admin_dsn, autocommit=True) as admin:
            while not self.over.wait(0.05):
                self.waits.update(row[0] for row in admin.execute(look))

    def tell(self, seconds: float, writes: int) -> None:
        spent, looks = self.seconds(), max(1, self.waits.total())
        print()
        show(
            ("processes", "of a core", "ms a write"),
            [(name, each / seconds, each / max(1, writes) * 1000) for name, each in spent.items()],
        )
        print()
        show(
            ("Postgres was seen", "of the times"),
            [(name, count / looks) for name, count in self.waits.most_common(6)],
        )


def _spent_s(pid: int) -> float:
    ticks = 0
    for each in _tree(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


# --- afterwards ----------------------------------------------------------------------------------


def check(engines: Engines, seen: Seen) -> tuple[int, int, int]:
    """Acknowledged writes that are missing, effects that are there twice, invariants broken."""
    with psycopg.connect(engines.admin_dsn) as admin:
        rows = admin.execute(
            "select reference, count(*), min(id::text) from finora.entry "
            "where reference like 'load-%' group by 1"
        ).fetchall()
    there = {row[0]: (row[1], row[2]) for row in rows}
    lost = sum(there.get(key, (0, ""))[1] != entry for key, entry in seen.acked.items())
    doubled = sum(count - 1 for count, _ in there.values())
    return lost, doubled, broken(engines)


def broken(engines: Engines) -> int:
    from sqlalchemy import create_engine

    from finora_adapters.compose import connector

    engine = create_engine("postgresql+psycopg://", creator=connector(engines.admin_dsn))
    with engine.connect() as connection:
        found = violations(connection)
    engine.dispose()
    for each in found:
        print("broken:", each)
    return len(found)


def wait_for_jobs(books: Books, seen: Seen, seconds: float = 60) -> int:
    """Imports that are not done when the load is over and the time for it is up."""
    client, end = Client(books.token, seen), time.monotonic() + seconds
    left = set(seen.jobs)
    while left and time.monotonic() < end:
        for job in list(left):
            _, said = client.ask("GET", f"/api/v1/jobs/{job}")
            if said["data"]["state"] == "done":
                left.discard(job)
        time.sleep(0.2)
    return len(left)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="how long (60)")
    parser.add_argument("--threads", type=int, default=12, help="clients at once (12)")
    parser.add_argument("--writes", type=float, default=150, help="a second (150)")
    parser.add_argument("--reads", type=float, default=300, help="a second (300)")
    parser.add_argument("--job-of", type=int, default=0, help="one write of so many makes one (0)")
    parser.add_argument("--faults", action="store_true", help="kill something all the time")
    parser.add_argument("--seed", type=int, default=1, help="of the faults (1)")
    asked = parser.parse_args()
    seen = Seen()
    with workplace() as folder:
        data = folder / "data"
        with open_engines(data, valkey=True) as engines:
            with Finora.open(Settings(data=data)) as finora:
                scope = finora.scope(tenant="load", user="load")
                finora.ledger.open_account(scope, "Giro", asset="EUR")
                ids = tuple(
                    str(finora.ledger.open_account(scope, f"Account {n}").id)
                    for n in range(ACCOUNTS)
                )
                books = Books(finora.tokens.create(scope, "load").text, ids)
            with installation(data) as serving:
                nemesis = Nemesis(data, engines, serving, books.token, random.Random(asked.seed))
                faults = threading.Thread(target=nemesis.run)
                if asked.faults:
                    faults.start()
                spent = Spent(engines, data, serving)
                looking = threading.Thread(target=spent.run)
                if not asked.faults:
                    spent.before = spent.seconds()
                    looking.start()
                began = time.monotonic()
                drive(books, seen, asked)
                took_s = time.monotonic() - began
                nemesis.over.set()
                if asked.faults:
                    faults.join()
                spent.over.set()
                if not asked.faults:
                    looking.join()
                    spent.tell(took_s, len(seen.acked) + len(seen.jobs))
                stuck = wait_for_jobs(books, seen)
            lost, doubled, wrong = check(engines, seen)
    figures = {
        "writes_acked": len(seen.acked),
        "writes_per_s": len(seen.took["write"]) / max(1.0, took_s - WARM_UP_S),
        "write_late_p99_ms": percentile(seen.late, 0.99),
        "write_p50_ms": percentile(seen.took["write"], 0.5),
        "write_p99_ms": percentile(seen.took["write"], 0.99),
        "read_p50_ms": percentile(seen.took["read"], 0.5),
        "read_p99_ms": percentile(seen.took["read"], 0.99),
        "imports": len(seen.jobs),
        "imports_stuck": stuck,
        "errors": seen.errors,
        "retries": seen.retries,
        "lost": lost,
        "doubled": doubled,
        "invariants_broken": wrong,
        "faults": len(nemesis.done),
        "away_worst_s": max(nemesis.away_s, default=0.0),
    }
    show(
        ("what", "p50 ms", "p99 ms", "p99 of the limit"),
        [
            ("money writes", figures["write_p50_ms"], figures["write_p99_ms"],
             figures["write_p99_ms"] / WRITE_LIMIT_MS),
            ("reads", figures["read_p50_ms"], figures["read_p99_ms"],
             figures["read_p99_ms"] / READ_LIMIT_MS),
        ],
    )  # fmt: skip
    print(f"{len(seen.acked):,} writes acknowledged, {lost} lost, {doubled} doubled; "
          f"{len(seen.jobs)} imports, {stuck} not done; {seen.errors} errors, "
          f"{seen.retries} retries; {len(nemesis.done)} faults, API away "
          f"{figures['away_worst_s']:.1f} s at most (limit {BACK_LIMIT_S:.0f})")  # fmt: skip
    finish(seconds=asked.seconds, seed=asked.seed, **figures)


if __name__ == "__main__":
    main()
