"""The host's end of a child: started for one question, served while it answers, then killed."""

import json
import math
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import attrs
import pluggy

import finora_core
from finora_adapters.confined.frames import BadFrame, Unframing, framed
from finora_adapters.confined.watch import MOST_DENIED, MOST_JUDGED, Watch, real_roots

_CHUNK = 1 << 16
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo")
"""Of the system: what Python's modules are linked to, and the zones of time."""
_BOOT = (
    "import json, sys; start = json.loads(sys.argv[1]); sys.path[:] = start['own'];"
    "from finora_adapters.confined.child import main; main(start)"
)
MOST_ASIDE = 10_000
"""Of all that a child may ask for in the course of one question."""


class Broken(Exception):
    """It ended without an answer; the message says how."""


class Busy(Broken):
    """It was not asked, and did nothing wrong."""


class Breach(Broken):
    """What it did is not to be done twice: it hangs, floods or lies."""


class Unconfined(Exception):
    """The child could not be confined, so it did not run the plugin; the message says why."""


@attrs.frozen
class Launch:
    """How children of one plugin are started."""

    point: EntryPoint
    folder: Path
    """Of its top package."""
    python: str = sys.executable

    @classmethod
    def of(cls, point: EntryPoint) -> Self:
        """Nothing of it is imported: the module's package is only found."""
        spec = find_spec(point.module.split(".")[0])
        assert spec is not None and spec.submodule_search_locations, "its manifest lies there"
        return cls(point, Path(next(iter(spec.submodule_search_locations))))

    @property
    def path(self) -> list[str]:
        """Where the child finds modules, once it is confined: Python's own, and installed ones."""
        python = [os.path.dirname(os.__file__), *_dynamic()]
        packages = [each for each in sys.path if each.endswith(("site-packages", "dist-packages"))]
        return [*python, *packages]

    @property
    def view(self) -> list[str]:
        """What it may read, and all that it may."""
        ours = (_home(finora_core) / "finora_core", _home(finora_core) / "finora_adapters")
        return [*self.path, *map(str, ours), str(self.folder), *_LIBRARIES]

    def start(self, channel: int) -> subprocess.Popen[bytes]:
        own = [*self.path, *(str(_home(each)) for each in (finora_core, attrs, pluggy))]
        said = {
            "host": os.getpid(), "channel": channel, "own": own, "path": self.path,
            "view": self.view, "top": self.point.module.split(".")[0],
            "folder": str(self.folder), "name": self.point.name, "module": self.point.module,
            "attr": self.point.attr or "",
        }  # fmt: skip
        # -I and -S: nothing of the environment, of the current folder or of a .pth file is run.
        return subprocess.Popen(
            [self.python, "-I", "-S", "-B", "-c", _BOOT, json.dumps(said)],
            env={"TZ": "UTC0"}, cwd="/", pass_fds=(channel,), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


def _home(module: Any) -> Path:
    """The folder that a top package is imported from."""
    return Path(module.__file__).parents[1]


def _dynamic() -> list[str]:
    """What of Python's own is compiled, and lies beside it."""
    return [each for each in sys.path if each.endswith("lib-dynload")]


@attrs.define
class Child:
    """One of them, with whom one thread talks until its time is over."""

    plugin: str
    process: subprocess.Popen[bytes]
    channel: socket.socket
    limit_s: float
    ends: float
    watch: Watch | None = None
    _poll: Any = attrs.field(init=False)
    _frames: Unframing = attrs.field(factory=Unframing, init=False)

    @_poll.default
    def _(self) -> Any:
        # Not as a factory: it is not there on every system that imports this.
        return select.poll()

    # --- from its start to its end ----------------------------------------------------------------

    @classmethod
    @contextmanager
    def started(cls, launch: Launch, limit_s: float) -> Iterator["Child"]:
        """Confined, and with the plugin not yet imported. Killed afterwards, whatever it does.
        Raises Unconfined and Broken."""
        here, there = socket.socketpair()
        with here:
            with there:
                process = launch.start(there.fileno())
            child = cls(launch.point.name, process, here, limit_s, time.monotonic() + limit_s)
            try:
                child._confine(launch)
                yield child
            finally:
                process.kill()
                process.wait()
                if child.watch is not None:
                    child.watch.close()

    def _confine(self, launch: Launch) -> None:
        self._poll.register(self.channel, select.POLLIN)
        self._ready(select.POLLIN)
        received, given, _, _ = socket.recv_fds(self.channel, _CHUNK, 1, socket.MSG_CMSG_CLOEXEC)
        self._frames.add(received)
        said = self.hear()
        if "lacks" in said or not given:
            raise Unconfined(str(said.get("lacks", "it was not confined")))
        try:
            self.watch = Watch(
                self.plugin, self.process.pid, given[0], real_roots(launch.view)
            )  # fmt: skip
        except OSError as error:
            os.close(given[0])
            raise Unconfined(f"its memory cannot be read: {error.strerror}") from None
        self._poll.register(given[0], select.POLLIN)

    # --- talk -------------------------------------------------------------------------------------

    def say(self, value: object) -> None:
        left = memoryview(framed(value))
        while left:
            self._ready(select.POLLOUT)
            try:
                left = left[self.channel.send(left, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                continue
            except OSError:
                raise self._ended() from None

    def hear(self) -> Mapping[str, Any]:
        """Its next word. Raises Broken, of which Breach is one."""
        try:
            while (said := self._frames.next()) is None:
                self._ready(select.POLLIN)
                received = self.channel.recv(_CHUNK)
                if not received:
                    raise self._ended()
                self._frames.add(received)
        except BadFrame as error:
            raise Breach(str(error)) from None
        except ConnectionResetError:
            raise self._ended() from None
        value: Mapping[str, Any] = said
        return value

    def _ready(self, event: int) -> None:
        """Until the channel is; the calls that it makes meanwhile are judged."""
        self._poll.modify(self.channel, event)
        while (left := self.ends - time.monotonic()) > 0:
            there = dict(self._poll.poll(math.ceil(left * 1000)))
            if self.channel.fileno() in there:
                return
            for listener, happened in there.items():
                self._judge(listener, happened)
        raise Breach(f"it does not answer within {self.limit_s:.3g} s")

    def _judge(self, listener: int, happened: int) -> None:
        if self.watch is None or not happened & select.POLLIN:
            # Nobody is left whose calls it tells.
            self._poll.unregister(listener)
            return
        self.watch.judge()
        if self.watch.denied > MOST_DENIED:
            raise Breach(f"it tried more than {MOST_DENIED} times what it is denied")
        if self.watch.judged > MOST_JUDGED:
            raise Breach(f"it floods: more than {MOST_JUDGED} looks at files")

    def _ended(self) -> Broken:
        code = self.process.wait()
        return Broken(f"it ended by signal {-code}" if code < 0 else f"it ended with code {code}")


def talk(
    child: Child, asked: Mapping[str, object], serve: Callable[[Mapping[str, Any]], object]
) -> Generator[Mapping[str, Any]]:
    """Ask, and pass on what is said in answer; what it asks for meanwhile is answered by `serve`,
    which raises Breach where that is nothing to ask for."""
    child.say(asked)
    aside = 0
    while True:
        said = child.hear()
        if said.keys() & {"answer", "refused", "crash", "items"}:
            yield said
            if "items" not in said:
                return
            continue
        aside += 1
        if aside > MOST_ASIDE:
            raise Breach(f"it floods: more than {MOST_ASIDE} words on one question")
        answer = serve(said)
        if "log" not in said:
            child.say({"said": answer})
