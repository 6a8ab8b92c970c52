"""Worker processes that a test may kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from servers import LIVELY, eventually
from worker.load import QUEUE


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
        if number == signal.SIGSTOP:  # Not at once: a thread of it may run on for a moment.
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

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
