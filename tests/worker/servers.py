"""Servers and workers that a test may kill: a Valkey of its own, and worker processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import redis

from finora_adapters.embedded import find_valkey
from worker.load import LIVELY, QUEUE, eventually

TESTS = Path(__file__).parents[1]


class Valkey:
    """A server without persistence, on a unix socket: a restart finds it empty."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.socket = folder, folder / "v"
        self.url = f"unix://{self.socket}"
        self.client = redis.Redis(unix_socket_path=str(self.socket))
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


class WorkerProcess:
    """One worker; `ready` returns when it serves."""

    def __init__(self, data: Path, url: str, folder: Path, number: int, **said: Any) -> None:
        self.log = folder / f"worker-{number}.log"
        config = {
            "data": str(data), "redis": url, "folder": str(folder), "queues": f"{QUEUE}=4",
            "drain_s": 20, "skew": 0, "unknown": [], "schedules": False,
        } | said  # fmt: skip
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "worker.process", json.dumps(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def said(self) -> str:
        return self.log.read_text()

    def ready(self) -> "WorkerProcess":
        serving = lambda: "serving " in self.said or self.process.poll() is not None  # noqa: E731  # short
        eventually(serving, "the worker does not come up")
        assert self.lives, self.said
        return self

    @property
    def lives(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(LIVELY)

    def cpu_share(self, seconds: float) -> float:
        """What part of one core it takes, over so many seconds."""
        before = self._ticks()
        time.sleep(seconds)
        return (self._ticks() - before) / os.sysconf("SC_CLK_TCK") / seconds

    def _ticks(self) -> int:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
