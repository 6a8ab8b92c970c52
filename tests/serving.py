"""The API as it is run in production, `finora serve`, and sockets that say what no client would;
with another command the same of `finora up`."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

LIVELY = 60.0  # seconds; a bound, not a speed


class Served:
    """gunicorn with two processes over the run's own servers."""

    def __init__(
        self,
        data: Path,
        folder: Path,
        more: Sequence[str] = (),
        command: str = "serve",
        **settings: object,
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.log = folder / "served.log"
        said = {"data": data, "env": "test", "http_processes": 2, "http_threads": 4, "drain_s": 30,
                # What is not being tested must not wait for it.
                "rate_limits": "all=1000000/60"}  # fmt: skip
        environment = {
            f"FINORA_{name.upper()}": str(value) for name, value in (said | settings).items()
        }
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "finora", command, "--port", str(self.port), *more],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | environment,
            )

    def ready(self) -> "Served":
        deadline = time.monotonic() + LIVELY
        while not self.answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)
        return self

    def answers(self) -> bool:
        try:
            return self.ask("GET", "/ready")[0] == 200
        except OSError:
            return False

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        """Over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIVELY)
        with closing(connection):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=LIVELY)

    def say(self, raw: bytes) -> bytes:
        """All that is answered to raw bytes, until the other side closes or falls silent."""
        with self.connect() as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            return read_all(connection)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().split("\n") if line]

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIVELY)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def read_all(connection: socket.socket) -> bytes:
    found = b""
    try:
        while more := connection.recv(65_536):
            found += more
    except ConnectionResetError:
        pass
    return found
