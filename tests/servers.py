"""Servers that a test may kill, and waiting for what they do."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from finora_adapters.embedded import find_valkey

LIVELY = 60.0  # seconds; a bound, not a speed


def eventually(check: Callable[[], object], otherwise: str) -> None:
    deadline = time.monotonic() + LIVELY
    while not check():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


class Valkey:
    """A server without persistence, on a unix socket: a restart finds it empty."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.socket = folder, folder / "v"
        self.url = f"unix://{self.socket}"
        self.client = redis.Redis(unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        words = f"--port 0 --unixsocket {self.socket} --dir {self.folder} --appendonly no"
        command = [str(find_valkey()), *words.split(), "--save", "", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        eventually(self.answers, "Valkey does not answer")

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        self.client.connection_pool.disconnect()

    def signal(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)
