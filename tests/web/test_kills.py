"""Processes of the API are killed in the midst of requests: callers ask again with the same key,
and what was asked happened once."""

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from finora import Finora, JobState, Scope, Settings
from web.serving import LIVELY, Served

KILLS = 12
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
