"""`finora up` keeps its processes running: one that is killed is started again, and the other goes
on meanwhile."""

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from finora import Finora, Scope, Settings
from servers import eventually
from serving import LIVELY, Served

AWAY_S = 30.0  # a bound of liveness, not a speed: a pause of a second or two, and a start
STATEMENT = b"Date,Amount,Description\n2026-01-02,-1.00,bread\n"


@pytest.fixture
def served(settings: Settings, finora: Finora, tmp_path: Path) -> Iterator[Served]:
    """The supervisor, the API with two processes, a worker."""
    served = Served(settings.data, tmp_path, command="up")
    yield served.ready()
    served.process.send_signal(signal.SIGTERM)
    served.process.wait(LIVELY)


def child(served: Served, name: str) -> int | None:
    """The process that the supervisor runs under that name, while there is one."""
    pid = served.process.pid
    for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            words = Path(f"/proc/{each}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if name.encode() in words:
            return int(each)
    return None


def kill(served: Served, name: str) -> None:
    """Kill it, and wait until another stands in its place."""
    killed = child(served, name)
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: child(served, name) not in (None, killed), f"no {name} is started")


@attrs.define
class Caller:
    """Asks all the time, each time over a connection of its own."""

    served: Served
    token: str
    over: threading.Event = attrs.field(factory=threading.Event)
    failed: int = 0
    answered: int = 0
    longest_s: float = 0.0
    """Without an answer."""

    def run(self) -> None:
        last = time.monotonic()
        while not self.over.wait(0.02):
            try:
                status, _, _ = self.served.ask("GET", "/api/v1/accounts", Authorization=self.token)
            except (OSError, http.client.HTTPException):
                status = 0
            now = time.monotonic()
            self.longest_s = max(self.longest_s, now - last)
            if status == 200:
                last, self.answered = now, self.answered + 1
            else:
                self.failed += 1

    def answered_again(self) -> None:
        before = self.answered
        eventually(lambda: self.answered > before, "the API is away")


@pytest.fixture
def caller(served: Served, finora: Finora, scope: Scope) -> Iterator[Caller]:
    caller = Caller(served, f"Bearer {finora.tokens.create(scope, 'up').text}")
    thread = threading.Thread(target=caller.run)
    thread.start()
    caller.answered_again()
    yield caller
    caller.over.set()
    thread.join(LIVELY)
    assert not thread.is_alive()


def imported(caller: Caller, name: str) -> str:
    """The state in which the job of a new import ends."""
    asked = f"/api/v1/imports?name={name}.csv&account={name}&currency=EUR"
    headers = {"Authorization": caller.token, "Content-Type": "application/octet-stream"}
    status, body, _ = caller.served.ask("POST", asked, STATEMENT, **headers)
    assert status == 202, body
    path = f"/api/v1/jobs/{json.loads(body)['data']['job_id']}"

    def state() -> str:
        answer = caller.served.ask("GET", path, Authorization=caller.token)[1]
        return str(json.loads(answer)["data"]["state"])

    eventually(lambda: state() not in ("waiting", "running"), "no worker runs it")
    return state()


@pytest.mark.timeout(240)
def test_a_process_that_is_killed_is_started_again(served: Served, caller: Caller) -> None:
    worker = child(served, "worker")
    assert imported(caller, "before") == "done"

    for _ in range(2):
        kill(served, "serve")
        caller.answered_again()
    assert caller.failed, "nobody noticed that the API was killed"
    assert caller.longest_s < AWAY_S
    assert child(served, "worker") == worker, "the worker was none the worse"

    api, failed = child(served, "serve"), caller.failed
    kill(served, "worker")
    assert imported(caller, "after") == "done"
    assert child(served, "serve") == api
    assert caller.failed == failed, "the API was away while the worker was"

    assert served.process.poll() is None
    left = [child(served, name) for name in ("serve", "worker")]
    assert served.stop() == 0
    assert not [pid for pid in left if Path(f"/proc/{pid}").exists()]
    assert served.log.read_text().count("finora: api ended (-9); again in") == 2
