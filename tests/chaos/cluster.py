"""Everything that runs, and may be killed: the embedded servers, workers, the API, clients, the
proxy."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psycopg
import redis
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from chaos.proxy import Proxy
from finora import Finora, Settings
from finora_adapters.compose import connector
from finora_adapters.embedded import open_engines

LIVELY = 60.0  # seconds in which everything must have come right after the last fault
QUEUES = "records:ingest=3,records:process=1,schedules=1,default=2,mail=1"
_WORKER = """
import sys
from pathlib import Path
from finora_adapters.settings import Settings
from finora_worker.main import run
run(Settings(data=Path(sys.argv[1]), env="test", queues=sys.argv[2], drain_s=5))
"""


class Cluster:
    """One folder of servers and what runs on them. `close` ends it all."""

    def __init__(self, seed: int = 0) -> None:
        # Short: the path of a unix socket has a limit of about a hundred bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="finora-c-"))
        self.folder.chmod(0o755)
        self.data = self.folder / "data"
        with Finora.open(Settings(data=self.data, env="test")):
            self.engines = open_engines(self.data, valkey=True)
        sockets = Path(psycopg.conninfo.conninfo_to_dict(self.engines.postgres_dsn)["host"])
        front = self.folder / "p"
        front.mkdir()
        self.proxy = Proxy(front, sockets, seed)
        self.workers: list[subprocess.Popen[bytes]] = []
        self.api: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.started = 0

    def close(self) -> None:
        for worker in self.workers:
            self._end(worker)
        self.stop_api()
        self.proxy.close()
        self.engines.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- who runs

    def start_worker(self) -> None:
        self.started += 1
        with (self.folder / f"worker-{self.started}.log").open("w") as log:
            command = [sys.executable, "-c", _WORKER, str(self.data), QUEUES]
            self.workers.append(
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            )

    def keep_workers(self, count: int) -> None:
        """Start those that are missing."""
        for worker in [each for each in self.workers if each.poll() is not None]:
            self.workers.remove(worker)
        for _ in range(count - len(self.workers)):
            self.start_worker()

    def stop_workers(self) -> None:
        for worker in self.workers:
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
        for worker in self.workers:
            worker.wait(LIVELY)
        self.workers.clear()

    def start_api(self) -> None:
        """`finora serve`, through the proxy; always at one port, so that clients find it again."""
        self.started += 1
        said = {"data": self.data, "env": "test", "database_url": self.proxy.dsn(),
                "http_port": self.port, "http_processes": 2, "drain_s": 5,
                "rate_limits": "all=1000000/60"}  # fmt: skip
        given = {f"FINORA_{name.upper()}": str(value) for name, value in said.items()}
        with (self.folder / f"api-{self.started}.log").open("w") as log:
            self.api = subprocess.Popen(
                [sys.executable, "-m", "finora", "serve"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | given,
            )  # fmt: skip

    def keep_api(self) -> None:
        """Start it again where it has ended: a supervisor's part."""
        if self.api is not None and self.api.poll() is not None:
            self.start_api()

    def await_api(self) -> None:
        deadline = time.monotonic() + LIVELY
        while not self._api_is_ready():
            assert time.monotonic() < deadline, "the API does not come back"
            self.keep_api()
            time.sleep(0.1)

    def _api_is_ready(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop_api(self) -> None:
        if self.api is not None:
            self.api.terminate()
            self.api.wait(LIVELY)
            self.api = None

    def start_client(self, said: dict[str, Any]) -> "subprocess.Popen[str]":
        client = subprocess.Popen(
            [sys.executable, "-m", "chaos.client", json.dumps(said)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert client.stdout
        assert client.stdout.readline() == "writing\n", "a client does not come up"
        return client

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        process.kill()
        process.wait()

    # --- faults

    def kill_postgres(self) -> None:
        """The postmaster and all its children, at once: nobody writes anything more."""
        postmaster = self.postmaster()
        if postmaster is None:
            return
        for pid in [postmaster, *_children(postmaster)]:
            _kill(pid)

    def postmaster(self) -> int | None:
        """Of this folder; its children rename themselves. None while it is being started."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    line = (entry / "cmdline").read_bytes().decode(errors="replace")
                    place = os.readlink(entry / "cwd")
                except OSError:
                    continue
                if "bin/postgres\0-D" in line and Path(place).is_relative_to(self.data):
                    found.append(int(entry.name))
        return min(found, default=None)

    def kill_api(self, number: int) -> None:
        """In turn one of the processes that serve, the one that started them, all of them."""
        if self.api is None or self.api.poll() is not None:
            return
        serving = _children(self.api.pid)
        for pid in (serving[:1], [self.api.pid], [self.api.pid, *serving])[number % 3]:
            _kill(pid)

    def flush(self) -> None:
        """Redis forgets everything."""
        with self.redis() as client:
            client.flushall()

    # --- looking

    def redis(self) -> redis.Redis:
        assert self.engines.valkey_url
        return redis.Redis.from_url(self.engines.valkey_url)

    def admin(self) -> Engine:
        """The superuser, past the proxy; a new connection each time, for servers come and go."""
        return create_engine(
            "postgresql+psycopg://", creator=connector(self.engines.admin_dsn), poolclass=NullPool
        )

    def execute(self, *statements: str) -> None:
        with psycopg.connect(self.engines.admin_dsn, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def await_postgres(self) -> None:
        deadline = time.monotonic() + LIVELY
        while True:
            try:
                psycopg.connect(self.engines.admin_dsn, connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, "Postgres does not come back"
                time.sleep(0.1)


def _children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent:
                found.append(int(entry.name))
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
