"""The small process that owns the Postgres and the Valkey of one data folder.

    python supervisor.py DATA_DIR       (its standard input is the socket of its first holder)

`finora_adapters.embedded` starts it; it detaches, serves, and ends with its last holder. Only the
standard library, and little of that: opening a stopped folder waits for these imports.

**Holders.** A holder is a connection to the socket `control`. It says what it needs in one line of
JSON (`{"ask": "hold", "postgres_bin", "valkey_server", "wait"}`) and gets one line back, `ready`
or `refused`, then stays connected. A holder that dies in whatever way is an end of file. The last
one's connection is kept open until everything has stopped, so that closing can wait for it.

**Who owns the folder.** The supervisor holds a `flock` on `supervisor.lock` for its life. Each
server inherits a `flock` on `postgres.lock` or `valkey.lock` together with all its descendants, so
"no Postgres of ours lives" is the same as "that lock can be taken": only then is a `postmaster.pid`
set aside, and no process id is ever read from a file. A Postgres that somebody else started on the
cluster is recognised by Postgres itself (its shared memory), gets its file back and is left alone.

**Nothing is left behind.** Servers are signalled only as our own unreaped children. If we are
killed, the kernel stops them (PR_SET_PDEATHSIG); where there is no prctl, a keeper process between
us and the server does it when its pipe from us closes. If a postmaster is killed, its orphans come
to us (PR_SET_CHILD_SUBREAPER), are killed, and the server is started again. A server that is still
recovering is brought up before it is stopped, else a long recovery could never finish.

**As root** Postgres refuses to run. A folder that belongs to a user is served by a supervisor that
becomes that user. In root's own folder only the servers drop to an unprivileged user (`nobody`, or
whoever owns the cluster already); they are started inside their directory and told that it is
`/proc/self/cwd`, so parent folders such as /root stay closed. Programs in such a folder are copied
by the holder before it asks. `nobody` is shared with other programs: give the folder to a user of
its own where that matters.
"""

import ctypes
import fcntl
import hashlib
import json
import os
import pwd
import select
import selectors
import signal
import socket
import stat
import struct
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

LOG_LIMIT = 10_000_000  # bytes, each log
START_LIMIT = 600.0  # seconds for a server to answer, crash recovery included
STOP_LIMIT = 60.0  # seconds for a clean stop before a hard one
HELLO_LIMIT = 10.0  # seconds for a new connection to say what it wants
RESTARTS = (5, 60.0)  # a server that dies more often than this in so many seconds is given up

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36

User = tuple[int, int]  # uid, gid


class Trouble(Exception):
    """What a holder is told instead of `ready`; `code` picks the error class on its side."""

    def __init__(self, text: str, code: str = "ENGINES_UNAVAILABLE") -> None:
        super().__init__(text)
        self.text = text
        self.code = code


# ------------------------------------------------------------------------------------- places


class Place:
    """Where the things of one data folder are; every process that opens the folder agrees.

    Sockets are not in the folder because their paths must stay under about 100 bytes. Raises
    Trouble when the folder belongs to another user (root may open anybody's).
    """

    def __init__(self, data: str) -> None:
        self.data = os.path.realpath(data)
        self.owner = _owner(self.data)
        name = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]
        self.sockets = f"/tmp/finora-{self.owner}-{name}"
        self.control = f"{self.sockets}/control"
        self.run = f"{self.sockets}/run"
        self.valkey_socket = f"{self.run}/valkey"

    def file(self, name: str) -> str:
        return os.path.join(self.data, name)


def _owner(data: str) -> int:
    owner = os.stat(data).st_uid
    if os.geteuid() not in (0, owner):
        raise Trouble(f"the data folder {data} belongs to user id {owner}, not to you")
    return owner


def is_private(path: str, owner: int, barred: int = 0o066) -> bool:
    """Whether the directory is there; raises Trouble when it is not that owner's alone.

    `barred` are the rights that nobody else may have.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & barred:
        raise Trouble(f"{path} is not a private directory of user id {owner}; remove it")
    return True


def connect(path: str, timeout: float) -> socket.socket | None:
    """A connection to a unix socket, or None when nobody listens there."""
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(timeout)
    try:
        link.connect(path)
    except OSError:
        link.close()
        return None
    return link


def take_lock(path: str, may_wait: Callable[[], bool]) -> int | None:
    """An open file that holds the lock, or None when it is taken and we may not wait longer."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    pause = pauses()
    while not _locked(lock):
        if not may_wait():
            os.close(lock)
            return None
        next(pause)
    return lock


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def pauses() -> Iterator[None]:
    """Sleep between attempts: 2 ms at first, 50 ms in the end."""
    pause = 0.002
    while True:
        yield
        time.sleep(pause)
        pause = min(pause * 1.3, 0.05)


def trim(log: str) -> None:
    if os.path.exists(log) and os.path.getsize(log) > LOG_LIMIT:
        os.truncate(log, 0)


def open_log(log: str) -> int:
    """Appending, so that trimming it under a running server is safe."""
    trim(log)
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def remove_tree(path: str) -> None:
    for folder, folders, files in os.walk(path, topdown=False):
        for name in files:
            os.unlink(os.path.join(folder, name))
        for name in folders:
            full = os.path.join(folder, name)
            (os.unlink if os.path.islink(full) else os.rmdir)(full)
    if os.path.isdir(path):
        os.rmdir(path)


def remove_file(path: str) -> None:
    if os.path.lexists(path):
        os.unlink(path)


def say(text: str) -> None:
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    os.write(2, f"{moment} UTC [{os.getpid()}] {text}\n".encode(errors="replace"))


# --------------------------------------------------------------------------------- processes


def _find_prctl() -> Callable[..., int] | None:
    if sys.platform != "linux":
        return None
    found: Callable[..., int] | None = getattr(ctypes.CDLL(None), "prctl", None)
    return found


prctl = _find_prctl()


class Child:
    """A process that we forked and have not reaped, so its id cannot be anybody else's."""

    def __init__(self, pid: int, leash: int | None = None) -> None:
        self.pid = pid
        self.leash = leash
        self.code: int | None = None

    def ended(self) -> bool:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
                if self.leash is not None:
                    os.close(self.leash)
        return self.code is not None

    def signal(self, number: int) -> None:
        if self.ended():
            return
        if self.leash is None:
            os.kill(self.pid, number)
        else:
            os.write(self.leash, bytes([number]))

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within so many seconds."""
        deadline = time.monotonic() + seconds
        for _ in pauses():
            if self.ended() or time.monotonic() > deadline:
                break
        return self.code is not None


class Launch:
    """How to run one command: where, as whom, with which log, and what to send it if we die."""

    def __init__(
        self, command: list[str], cwd: str, user: User | None, log: str, lock: int, death: int
    ) -> None:
        self.command = command
        self.cwd = cwd
        self.user = user
        self.log = log
        self.lock = lock
        self.death = death

    def spawn(self, *, text: bytes = b"", keeper: bool = prctl is None) -> Child:
        """Start it with `text` (a pipe's worth at most) as its standard input."""
        stdin, feed = os.pipe()
        os.write(feed, text)
        os.close(feed)
        log = open_log(self.log)
        try:
            return self._fork_keeper(stdin, log) if keeper else Child(self._fork(stdin, log))
        finally:
            os.close(stdin)
            os.close(log)

    def _fork(self, stdin: int, log: int) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become(stdin, log, parent)
        return pid

    def _become(self, stdin: int, log: int, parent: int) -> NoReturn:
        try:
            os.dup2(stdin, 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.set_inheritable(self.lock, True)
            for number in (signal.SIGPIPE, signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            os.chdir(self.cwd)
            if self.user:
                drop_to(self.user)
            if prctl:
                # After the change of user, which clears it.
                prctl(PR_SET_PDEATHSIG, self.death, 0, 0, 0)
                if os.getppid() != parent:
                    os._exit(1)
            os.execv(self.command[0], self.command)
        except BaseException as error:
            who = f" as user id {self.user[0]}" if self.user else ""
            say(f"FATAL: cannot run {self.command[0]}{who}: {error}")
        finally:
            os._exit(127)

    def _fork_keeper(self, stdin: int, log: int) -> Child:
        ears, leash = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                self._keep(stdin, log, ears)
            finally:
                os._exit(1)
        os.close(ears)
        return Child(pid, leash)

    def _keep(self, stdin: int, log: int, ears: int) -> NoReturn:
        """Own the server; pass signals on to it, and stop it when our parent is gone."""
        for file in range(3, 256):
            if file not in (stdin, log, ears, self.lock):
                _close_quietly(file)
        server = Child(self._fork(stdin, log))
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        os.close(self.lock)
        listening = [ears]
        while not server.ended():
            if select.select(listening, [], [], 0.1)[0]:
                heard = os.read(ears, 1)
                listening = [ears] if heard else []
                server.signal(heard[0] if heard else self.death)
        code = server.code or 0
        os._exit(code if code >= 0 else 128 - code)


def _close_quietly(file: int) -> None:
    try:
        os.close(file)
    except OSError:
        return


def drop_to(user: User) -> None:
    uid, gid = user
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def kill_orphans(ours: set[int]) -> None:
    """Kill the children we were left with when a server died, all but those in `ours`."""
    listing = f"/proc/self/task/{os.getpid()}/children"
    while True:
        try:
            with open(listing) as children:
                orphans = {int(pid) for pid in children.read().split()} - ours
        except OSError:
            return
        if not orphans:
            return
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


# ----------------------------------------------------------------------------------- servers


class Server:
    """One of the two servers: what differs is in the subclasses."""

    name: str
    stop_signal: int
    hard_signal: int

    def __init__(self, place: Place, binary: str) -> None:
        self.place = place
        self.binary = binary
        self.folder = place.file(self.name)
        self.log = place.file(f"{self.name}.log")
        self.user = server_user(place)
        self.child: Child | None = None
        self.births: list[float] = []

    def command(self) -> list[str]:
        raise NotImplementedError

    def prepare(self, lock: int) -> None:
        """Make the folder ready; nothing of ours runs in it while we hold the lock."""
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self, deadline: float) -> None:
        """Return when it answers. Raises Trouble with the reason from its log.

        The deadline (monotonic) is for a predecessor that is still stopping; a recovery that
        makes progress may take longer.
        """
        lock = take_lock(self.place.file(f"{self.name}.lock"), lambda: time.monotonic() < deadline)
        if lock is None:
            raise Trouble(f"an earlier {self.name} on {self.folder} has not stopped yet")
        try:
            self.prepare(lock)
            trim(self.log)
            mark = _size(self.log)
            self.child = self.launch(self.command(), self.folder, lock).spawn()
        finally:
            os.close(lock)
        self.births.append(time.monotonic())
        self._await_answer(self.child, mark)

    def launch(self, command: list[str], cwd: str, lock: int) -> Launch:
        return Launch(command, cwd, self.user, self.log, lock, self.stop_signal)

    def _await_answer(self, child: Child, mark: int) -> None:
        limit = time.monotonic() + START_LIMIT
        for _ in pauses():
            if self.answers():
                return
            if child.ended():
                raise self.failure(mark)
            if time.monotonic() > limit:
                self.stop()
                raise Trouble(f"{self.name} did not answer for {START_LIMIT:.0f} s: see {self.log}")

    def failure(self, mark: int) -> Trouble:
        """What the log says since that position."""
        with open(self.log, errors="replace") as log:
            log.seek(mark)
            lines = [line.strip() for line in log]
        words = ("FATAL", "PANIC", "DETAIL", "HINT", "rror:")
        telling = [line for line in lines if any(word in line for word in words)] or lines[-3:]
        return Trouble(f"{self.name} does not start: {' | '.join(telling)[:1000]} (see {self.log})")

    def may_restart(self) -> bool:
        count, seconds = RESTARTS
        return sum(birth > time.monotonic() - seconds for birth in self.births) <= count

    def stop(self) -> None:
        child = self.child
        if child is None or child.ended():
            return
        child.signal(self.stop_signal)
        if not child.wait(STOP_LIMIT):
            say(f"{self.name} does not stop; stopping it hard")
            child.signal(self.hard_signal)
        if not child.wait(5):
            child.signal(signal.SIGKILL)
            child.wait(STOP_LIMIT)

    def own(self, path: str) -> None:
        """A private directory of the user that the server runs as."""
        if not os.path.isdir(path):
            os.mkdir(path, 0o700)
        if self.user:
            os.chown(path, *self.user, follow_symlinks=False)

    def here(self, folder: str) -> str:
        """How the server may name a folder that it is started in."""
        return "/proc/self/cwd" if self.user and sys.platform == "linux" else folder


def server_user(place: Place) -> User | None:
    """Whom root has the servers run as; None when we are not root and they run as we do.

    In root's own folder that is the owner of the cluster if there is one, else nobody.
    """
    if os.geteuid() != 0:
        return None
    if place.owner != 0:
        return place.owner, os.stat(place.data).st_gid
    cluster = place.file("postgres")
    if os.path.isdir(cluster):
        found = os.stat(cluster)
        if found.st_uid != 0:
            return found.st_uid, found.st_gid
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return 65534, 65534
    return nobody.pw_uid, nobody.pw_gid


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0


def _exchange(path: str, request: bytes) -> bytes:
    """The first bytes of a server's answer; empty when there is none."""
    link = connect(path, 5.0)
    if link is None:
        return b""
    with link:
        try:
            link.sendall(request)
            return link.recv(4096)
        except OSError:
            return b""


class Postgres(Server):
    name = "postgres"
    stop_signal = signal.SIGINT  # fast: ends sessions, writes a checkpoint
    hard_signal = signal.SIGQUIT

    def command(self) -> list[str]:
        options = [f"--{name}={value}" for name, value in self.settings().items()]
        return [f"{self.binary}/postgres", "-D", self.here(self.folder), *options]

    def settings(self) -> dict[str, str]:
        return {
            "listen_addresses": "",
            "unix_socket_directories": self.place.run,
            "unix_socket_permissions": "0700",
            "port": "5432",
            "cluster_name": "finora",
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "max_connections": "200",
            "shared_buffers": f"{_shared_megabytes()}MB",
            "max_wal_size": "4GB",
            "wal_compression": "off",
            "track_commit_timestamp": "off",
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_destination": "stderr",
            "logging_collector": "off",
            "log_line_prefix": "%m [%p] ",
        }

    def start(self, deadline: float) -> None:
        pid_file = f"{self.folder}/postmaster.pid"
        try:
            super().start(deadline)
        except Trouble as trouble:
            foreign = "pre-existing shared memory block" in trouble.text
            if foreign and os.path.exists(f"{pid_file}.old"):
                os.replace(f"{pid_file}.old", pid_file)
            raise _explained(trouble, foreign, self.folder) from None
        remove_file(f"{pid_file}.old")

    def prepare(self, lock: int) -> None:
        if not os.path.isdir(self.folder):
            self._create(lock)
        pid_file = f"{self.folder}/postmaster.pid"
        if os.path.exists(pid_file):
            os.replace(pid_file, f"{pid_file}.old")
        for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
            remove_file(f"{self.place.run}/{name}")

    def _create(self, lock: int) -> None:
        """A cluster with its role and database, under another name until it is whole."""
        say(f"creating {self.folder}")
        new = f"{self.folder}.new"
        remove_tree(new)
        self.own(new)
        initdb = [f"{self.binary}/initdb", "-D", self.here(new), "-U", "postgres", "-E", "UTF8"]
        initdb += ["--no-locale", "--auth=trust", "--data-checksums", "--no-instructions"]
        self._finish(self.launch(initdb, new, lock))
        single = [f"{self.binary}/postgres", "--single", "-D", self.here(new)]
        single += ["-c", "exit_on_error=on", "postgres"]
        self._finish(self.launch(single, new, lock), FIRST_STATEMENTS)
        os.rename(new, self.folder)
        _sync_folder(self.place.data)

    def _finish(self, launch: Launch, text: bytes = b"") -> None:
        mark = _size(self.log)
        launch.death = signal.SIGTERM
        child = launch.spawn(text=text)
        if not child.wait(START_LIMIT):
            child.signal(signal.SIGKILL)
            child.wait(STOP_LIMIT)
        if child.code != 0:
            raise self.failure(mark)

    def answers(self) -> bool:
        """Whether a login is accepted; while it recovers it answers with error 57P03."""
        body = struct.pack("!i", 196608) + b"user\0postgres\0database\0postgres\0\0"
        reply = _exchange(
            f"{self.place.run}/.s.PGSQL.5432", struct.pack("!i", len(body) + 4) + body
        )
        return reply[:1] == b"R" or (reply[:1] == b"E" and b"C57P03\0" not in reply)


FIRST_STATEMENTS = b"""\
CREATE ROLE finora_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT
CREATE DATABASE finora OWNER postgres
"""


def _explained(trouble: Trouble, foreign: bool, folder: str) -> Trouble:
    if foreign:
        return Trouble(f"a Postgres that Finora did not start runs on {folder}; stop it first")
    if "incompatible with server" in trouble.text:
        advice = "use those binaries, or dump with them and restore into a new folder"
        return Trouble(f"{trouble.text}: {advice}", "POSTGRES_VERSION")
    return trouble


def _shared_megabytes() -> int:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    return int(min(256, max(16, memory // 8)))


def _sync_folder(path: str) -> None:
    folder = os.open(path, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


class Valkey(Server):
    name = "valkey"
    stop_signal = signal.SIGTERM
    hard_signal = signal.SIGKILL

    def command(self) -> list[str]:
        words = f"--port 0 --unixsocket {self.place.valkey_socket} --unixsocketperm 700 --dir ."
        words += " --appendonly yes --daemonize no --proc-title-template finora-valkey"
        return [self.binary, *words.split(), "--save", ""]

    def prepare(self, lock: int) -> None:
        self.own(self.folder)
        remove_file(self.place.valkey_socket)

    def answers(self) -> bool:
        return _exchange(self.place.valkey_socket, b"PING\r\n").startswith(b"+PONG")


# -------------------------------------------------------------------------------- supervision


class Supervisor:
    """Serves holders until the last is gone; the caller holds the folder's lock meanwhile."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.began = time.monotonic()
        self.heard: dict[socket.socket, bytes] = {}
        self.holders: set[socket.socket] = set()
        self.last: socket.socket | None = None
        self.servers: dict[str, Server] = {}
        self.selector = selectors.DefaultSelector()
        self.listener = self._listen()
        self.bell, self.ringer = self._hang_bell()

    def _listen(self) -> socket.socket:
        remove_file(self.place.control)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.place.control)
        listener.listen(128)
        listener.setblocking(False)
        self.selector.register(listener, selectors.EVENT_READ)
        return listener

    def _hang_bell(self) -> tuple[socket.socket, socket.socket]:
        """A socket that becomes readable when a child dies, and its other end."""
        bell, ringer = socket.socketpair()
        ringer.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(ringer.fileno(), warn_on_full_buffer=False)
        self.selector.register(bell, selectors.EVENT_READ)
        return bell, ringer

    def serve(self, first: socket.socket, hello: bytes) -> None:
        """Return when there is nobody left to serve.

        Raises Trouble when a server cannot be kept alive.
        """
        self._welcome(first)
        self._hear(first, hello)
        while self.heard or self._accept():
            for key, _ in self.selector.select(60):
                self._attend(key.fileobj)
            self._mend()
            for name in ("supervisor", "postgres", "valkey"):
                trim(self.place.file(f"{name}.log"))

    def _attend(self, source: Any) -> None:
        if source is self.listener:
            self._accept()
        elif source is self.bell:
            self.bell.recv(4096)
        elif source in self.heard:
            self._hear(source, _received(source))

    def _accept(self) -> bool:
        """Take in whoever waits; whether there was anybody."""
        before = len(self.heard)
        while True:
            try:
                link, _ = self.listener.accept()
            except BlockingIOError:
                return len(self.heard) > before
            self._welcome(link)

    def _welcome(self, link: socket.socket) -> None:
        if self.last:
            self.last.close()
            self.last = None
        link.settimeout(HELLO_LIMIT)
        self.heard[link] = b""
        self.selector.register(link, selectors.EVENT_READ)

    def _leave(self, link: socket.socket) -> None:
        del self.heard[link]
        self.selector.unregister(link)
        held = link in self.holders
        self.holders.discard(link)
        if held and not self.heard:
            self.last = link
        else:
            link.close()

    def _hear(self, link: socket.socket, words: bytes) -> None:
        self.heard[link] += words
        line, end, _ = self.heard[link].partition(b"\n")
        if not words or len(line) > 65536:
            self._leave(link)
        elif end:
            self.heard[link] = b""
            self._answer(link, line)

    def _answer(self, link: socket.socket, line: bytes) -> None:
        try:
            wish = json.loads(line)
            if wish["ask"] == "hold":
                self._provide(wish)
                self.holders.add(link)
                _reply(link, {"ready": True})
                return
            _reply(link, self.report())
        except (ValueError, KeyError, TypeError) as error:
            say(f"not understood: {line[:100]!r}: {error!r}")
        except Trouble as trouble:
            say(trouble.text)
            _reply(link, {"refused": {"code": trouble.code, "text": trouble.text}})
        self._leave(link)

    def _provide(self, wish: dict[str, Any]) -> None:
        deadline = time.monotonic() + float(wish["wait"])
        if "postgres" not in self.servers:
            self._start(Postgres(self.place, wish["postgres_bin"]), deadline)
        if wish["valkey_server"] and "valkey" not in self.servers:
            self._start(Valkey(self.place, wish["valkey_server"]), deadline)

    def _start(self, server: Server, deadline: float) -> None:
        server.own(self.place.run)
        self.servers[server.name] = server
        try:
            server.start(deadline)
        except Trouble:
            del self.servers[server.name]
            raise

    def _mend(self) -> None:
        """Start again what died. Raises Trouble when that is hopeless."""
        for server in self.servers.values():
            child = server.child
            if child is None or not child.ended():
                continue
            say(f"{server.name} died with {child.code}")
            living = [other.child for other in self.servers.values() if other is not server]
            kill_orphans({other.pid for other in living if other})
            if not server.may_restart():
                raise Trouble(f"{server.name} dies again and again: see {server.log}")
            server.start(time.monotonic() + STOP_LIMIT)

    def report(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "uptime": time.monotonic() - self.began,
            "holders": len(self.holders),
            "restarts": {name: len(each.births) - 1 for name, each in self.servers.items()},
        }

    def close(self) -> None:
        """Stop taking holders, then stop the servers; our end lets the last holder go."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        remove_file(self.place.control)
        self.listener.close()
        for link in self.heard:
            link.close()
        for server in self.servers.values():
            server.stop()
        kill_orphans(set())
        remove_tree(self.place.sockets)


def _received(link: socket.socket) -> bytes:
    try:
        return link.recv(65536)
    except OSError:
        return b""


def _reply(link: socket.socket, answer: dict[str, Any]) -> None:
    try:
        link.sendall(json.dumps(answer).encode() + b"\n")
    except OSError:
        say("a holder left before it was answered")


# -------------------------------------------------------------------------------------- main


def run(place: Place, first: socket.socket) -> None:
    """Serve the folder, unless another supervisor does: then end, and the holder tries it."""
    first.settimeout(HELLO_LIMIT)
    hello = _received(first)
    lock = take_lock(place.file("supervisor.lock"), lambda: not _gone(first) and not _served(place))
    if lock is None:
        return
    _make_socket_folder(place)
    supervisor = Supervisor(place)
    try:
        supervisor.serve(first, hello)
    except Trouble as trouble:
        say(f"giving up: {trouble.text}")
    finally:
        supervisor.close()
        # Before the end of the process, which is what the last holder waits for.
        os.close(lock)


def _gone(link: socket.socket) -> bool:
    link.setblocking(False)
    try:
        return not link.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _served(place: Place) -> bool:
    link = connect(place.control, 1.0)
    if link:
        link.close()
    return link is not None


def _make_socket_folder(place: Place) -> None:
    if not is_private(place.sockets, place.owner):
        os.mkdir(place.sockets, 0o700)
    if os.geteuid() == 0:
        os.chmod(place.sockets, 0o711)


def _become_owner(place: Place) -> None:
    user = server_user(place)
    if user and place.owner != 0:
        drop_to(user)


def _detach(log: str) -> socket.socket:
    """Leave the parent behind; the caller's standard input comes back as a socket."""
    if os.fork():
        os._exit(0)
    first = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDWR)
    output = open_log(log)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(output)
    os.chdir("/")
    return first


def _terminate(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise SystemExit(0)


def main() -> None:
    if len(sys.argv) != 2 or not stat.S_ISSOCK(os.fstat(0).st_mode):
        sys.exit("Finora starts this by itself: supervisor.py DATA_DIR, first holder on stdin")
    os.umask(0o077)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGINT, _terminate)
    try:
        place = Place(sys.argv[1])
        _become_owner(place)
        first = _detach(place.file("supervisor.log"))
    except (OSError, Trouble) as error:
        sys.exit(str(error))
    if prctl:
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        run(place, first)
    except Exception as error:
        say(f"failed: {type(error).__name__}: {error}")
        raise


if __name__ == "__main__":
    main()
