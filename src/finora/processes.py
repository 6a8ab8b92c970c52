"""`finora up`: a few processes, kept running together, stopped together, one log."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType

import attrs

from finora_adapters.settings import Settings

_RESTART_S = 1.0
_LONGEST_S = 30.0
_STEADY_S = 30.0


@attrs.define
class Child:
    """One process of ours, by the arguments of `finora`."""

    name: str
    arguments: list[str]
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    pause: float = _RESTART_S
    again_at: float = 0.0

    def start(self, settings: Settings) -> None:
        data = ["--data", str(settings.data.absolute())]
        command = [sys.executable, "-m", "finora", *self.arguments, *data]
        # A group of its own: Ctrl-C reaches us alone, and we stop it in order.
        self.process = subprocess.Popen(command, start_new_session=True)
        self.started = time.monotonic()

    @property
    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None


def supervise(settings: Settings, children: Sequence[Child]) -> None:
    """Run them until a signal; one that ends is started again, each time a little later."""
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {each: signal.signal(each, end) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        for child in children:
            child.start(settings)
        while not stop.wait(0.2):
            for child in children:
                _keep(child, settings)
    finally:
        _stop(children, settings.drain_s + 5)
        for number, handler in before.items():
            signal.signal(number, handler)


def _keep(child: Child, settings: Settings) -> None:
    now = time.monotonic()
    if not child.ended:
        if now - child.started > _STEADY_S:
            child.pause = _RESTART_S
        return
    if child.again_at <= child.started:
        code = child.process.returncode if child.process else None
        sys.stderr.write(f"finora: {child.name} ended ({code}); again in {child.pause:.0f} s\n")
        child.again_at = now + child.pause
        child.pause = min(_LONGEST_S, child.pause * 2)
    elif now >= child.again_at:
        child.start(settings)


def _stop(children: Sequence[Child], seconds: float) -> None:
    running = [child.process for child in children if child.process and not child.ended]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + seconds
    for process in running:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
