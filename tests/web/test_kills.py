"""Processes of the API are killed in the midst of requests: callers ask again with the same key,
and what was asked happened once."""

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, text

from finora import Finora, JobState, Scope, Settings
from finora_adapters.embedded import Engines
from finora_core.identity.roles import TENANT
from serving import LIVELY, Served, read_all

KILLS = 12
RESTARTS = 5
CLIENTS = 4


@pytest.fixture
def served(settings: Settings, finora: Finora, tmp_path: Path) -> Iterator[Served]:
    served = Served(settings.data, tmp_path)
    yield served.ready()
    served.kill()


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Client:
    """Writes under keys of its own until told to stop; each until it is acknowledged."""

    def __init__(self, served: Served, token: str, accounts: list[str], name: str) -> None:
        self.served, self.token, self.accounts, self.name = served, token, accounts, name
        self.acked: dict[str, str] = {}
        self.again = 0

    def run(self, over: threading.Event) -> None:
        while not over.is_set():
            reference = f"{self.name}-{len(self.acked)}"
            self.acked[reference] = self.write(reference)

    def write(self, reference: str) -> str:
        legs = [
            {"account_id": account, "amount": {"amount": amount, "asset": "EUR"}}
            for account, amount in zip(self.accounts, ("-0.01", "0.01"), strict=True)
        ]
        body = json.dumps({"postings": legs, "reference": reference})
        headers = {
            "Authorization": self.token,
            "Content-Type": "application/json",
            "Idempotency-Key": reference,
        }
        deadline = time.monotonic() + LIVELY
        while time.monotonic() < deadline:
            try:
                status, said, _ = self.served.ask("POST", "/api/v1/entries", body, **headers)
            except (OSError, http.client.HTTPException):
                status, said = 0, b""
            if status == 201:
                return str(json.loads(said)["data"]["id"])
            # 409: the twin that a dead connection left still runs.
            assert status in (0, 409, 503), said
            self.again += 1
            time.sleep(0.02)
        raise AssertionError(f"{reference} was never acknowledged")


@pytest.mark.invariant("F-01")
@pytest.mark.invariant("I-16")
@pytest.mark.invariant("I-17")
def test_a_write_whose_process_is_killed_happens_once(
    served: Served, finora: Finora, scope: Scope, admin: Engine
) -> None:
    token = f"Bearer {finora.tokens.create(scope, 'kills').text}"
    accounts = [str(finora.ledger.open_account(scope, name).id) for name in ("One", "Other")]
    clients = [Client(served, token, accounts, f"client-{n}") for n in range(CLIENTS)]
    over = threading.Event()
    threads = [threading.Thread(target=client.run, args=(over,)) for client in clients]
    for thread in threads:
        thread.start()
    for number in range(KILLS):
        time.sleep(0.5)
        running = children(served.process.pid)
        if running:
            os.kill(running[number % len(running)], signal.SIGKILL)
    over.set()
    for thread in threads:
        thread.join(LIVELY)
        assert not thread.is_alive()
    acked = {key: entry for client in clients for key, entry in client.acked.items()}
    query = text("select reference, id::text from finora.entry where tenant_id = :tenant")
    with admin.connect() as connection:
        rows = connection.execute(query, {"tenant": scope.tenant_id}).all()
    assert len(rows) == len({row.reference for row in rows}), "an effect was doubled"
    assert {row.reference: row.id for row in rows} == acked
    assert sum(client.again for client in clients), "no request was hit"


@pytest.mark.invariant("F-28")
def test_no_request_is_lost_while_processes_come_and_go(
    served: Served, finora: Finora, scope: Scope
) -> None:
    """Each is told to end in the midst of requests, and answers those that it took."""
    token = f"Bearer {finora.tokens.create(scope, 'restarts').text}"
    accounts = [str(finora.ledger.open_account(scope, name).id) for name in ("One", "Other")]
    clients = [Client(served, token, accounts, f"client-{n}") for n in range(CLIENTS)]
    over = threading.Event()
    threads = [threading.Thread(target=client.run, args=(over,)) for client in clients]
    for thread in threads:
        thread.start()
    for _ in range(RESTARTS):
        [*running] = children(served.process.pid)
        os.kill(running[0], signal.SIGTERM)
        deadline = time.monotonic() + LIVELY
        while running[0] in children(served.process.pid):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        # The next one goes only when the one that follows this one serves.
        while len(children(served.process.pid)) < len(running) or not served.answers():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(1)
    over.set()
    for thread in threads:
        thread.join(LIVELY)
        assert not thread.is_alive()
    assert [client.again for client in clients] == [0] * CLIENTS
    assert all(client.acked for client in clients)


@pytest.mark.invariant("F-26")
def test_requests_leave_no_descriptor_behind(served: Served, finora: Finora, scope: Scope) -> None:
    token = f"Bearer {finora.tokens.create(scope, 'descriptors', permissions=TENANT).text}"

    def held_after(count: int) -> int:
        for number in range(count):
            path = ("/api/v1/accounts", "/api/v1/export", "/nope")[number % 3]
            served.ask("GET", path, Authorization=token)
        pids = children(served.process.pid)
        return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)

    before = held_after(60)
    # A pool may have opened a connection or two more; what a request left would be hundreds.
    assert held_after(300) <= before + 16


@pytest.mark.invariant("F-31")
def test_who_comes_to_a_full_house_is_sent_away_at_once(served: Served) -> None:
    """More at once than may wait: some are told to come back, nobody is forgotten, and the house is
    open again afterwards."""
    request = b"GET /docs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    crowd = [served.connect() for _ in range(500)]
    for client in crowd:
        client.sendall(request)
    answers = [read_all(client) for client in crowd]
    for client in crowd:
        client.close()
    heads = [answer.partition(b"\r\n\r\n")[0] for answer in answers]
    turned_away = [head for head in heads if head.startswith(b"HTTP/1.1 503 ")]
    assert {head.split()[1] for head in heads} == {b"200", b"503"}
    assert all(b"Retry-After: 1" in head for head in turned_away)
    said = json.loads(next(a for a in answers if b" 503 " in a[:20]).partition(b"\r\n\r\n")[2])
    assert said["error"]["code"] == "OVERLOADED"
    assert served.ask("GET", "/docs")[0] == 200


@pytest.mark.invariant("F-10")
def test_without_a_free_connection_it_says_so_and_recovers(
    served: Served, finora: Finora, scope: Scope, engines: Engines
) -> None:
    token = f"Bearer {finora.tokens.create(scope, 'slots').text}"
    held: list[psycopg.Connection[tuple[object, ...]]] = []
    end_others = (
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where backend_type = 'client backend' and usename = 'finora_app'"
    )
    try:
        first = psycopg.connect(engines.admin_dsn, autocommit=True)
        held.append(first)
        # As soon as one of theirs is gone, it is ours; until all are.
        deadline = time.monotonic() + LIVELY
        while True:
            with suppress(psycopg.OperationalError):
                while True:
                    held.append(psycopg.connect(engines.admin_dsn, autocommit=True))
            if not first.execute(end_others).fetchall():
                break
            assert time.monotonic() < deadline
        status, said, headers = served.ask("GET", "/api/v1/accounts", Authorization=token)
        assert (status, headers["Retry-After"]) == (503, "1"), said
        # What was found is kept for a second.
        deadline = time.monotonic() + LIVELY
        while served.ask("GET", "/ready")[0] != 503:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert served.ask("GET", "/live")[0] == 200
    finally:
        for connection in held:
            connection.close()
    deadline = time.monotonic() + LIVELY
    while served.ask("GET", "/api/v1/accounts", Authorization=token)[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert served.ready()


@pytest.mark.spec("S1-1")
def test_a_server_with_workers_runs_its_jobs(
    settings: Settings, finora: Finora, scope: Scope, tmp_path: Path
) -> None:
    served = Served(settings.data, tmp_path, more=["--with-workers"])
    try:
        served.ready()
        token = f"Bearer {finora.tokens.create(scope, 'workers').text}"
        asked = "/api/v1/imports?name=a.csv&account=Giro&currency=EUR"
        body = b"Date,Amount,Description\n2026-01-02,-1.00,bread\n"
        headers = {"Authorization": token, "Content-Type": "application/octet-stream"}
        status, said, _ = served.ask("POST", asked, body, **headers)
        assert status == 202, said
        path = f"/api/v1/jobs/{json.loads(said)['data']['job_id']}"
        deadline, job = time.monotonic() + LIVELY, {"state": "waiting"}
        while job["state"] in ("waiting", "running"):
            assert time.monotonic() < deadline, job
            time.sleep(0.1)
            job = json.loads(served.ask("GET", path, Authorization=token)[1])["data"]
        assert job["state"] == JobState.DONE
    finally:
        assert served.stop() == 0
