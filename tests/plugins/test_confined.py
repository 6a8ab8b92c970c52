"""A plugin that is not trusted: what it tries is denied and logged, and nothing else notices. Where
the system confines no process, it does not run at all, and says why."""

import errno
import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from finora_adapters.compose import plugins_of
from finora_adapters.confined.plugin import ConfinedFormat, ConfinedPlugin
from finora_adapters.plugins import PluginInfo, Plugins, load_plugins
from finora_adapters.settings import BadSettings, Settings, from_environment
from finora_adapters.upstream.guard import Guarded
from finora_adapters.upstream.sources import PluginList, sources_of
from finora_core.kernel.clock import SystemClock
from finora_core.kernel.outcome import Down, Ok
from finora_core.plugins import (
    Access,
    FaultyLine,
    StatementAccount,
    StatementLine,
    StatementRefused,
)
from finora_core.testing import subject_of
from finora_core.testing.checks import CHECKS

EXAMPLES = Path(__file__).parents[2] / "examples" / "plugins"
HOSTILE = EntryPoint("hostile", "finora_hostile", "finora")
METALS = EntryPoint("metals", "finora_metals", "finora")
POCKETBANK = EntryPoint("pocketbank", "finora_pocketbank", "finora")
FORMATS = EntryPoint("statements", "finora_core.records.formats", "finora")
KEY = "s3cret-of-the-operator"
HOSTILE_ATTACK = pytest.mark.invariant("T-25")


@pytest.fixture(scope="module")
def plugins() -> Iterator[Plugins]:
    """The hostile one and two honest ones, none of them trusted."""
    folders = [Path(__file__).parent / "hostile", *sorted(EXAMPLES.glob("finora-*"))]
    sys.path[:0] = [str(folder) for folder in folders]
    settings = Settings(trusted_plugins="")
    yield plugins_of(settings, [HOSTILE, METALS, POCKETBANK, FORMATS])
    for folder in folders:
        sys.path.remove(str(folder))
    for name in ("finora_metals", "finora_pocketbank"):
        sys.modules.pop(name, None)


def refused(plugins: Plugins, name: str = "hostile") -> bool:
    """Whether this system confines nothing; then it was not run, and says so."""
    found: dict[str, PluginInfo] = {each.name: each for each in plugins.found}
    assert found["statements"].works
    if found[name].works:
        return False
    assert "it is not trusted, and cannot be confined: " in str(found[name].reason)
    assert found[name].provides == () and "hostile" not in plugins.sources["assets"]
    return True


def source(plugins: Plugins, url: str = "http://127.0.0.1:9") -> Guarded:
    """A fresh one: nothing of what another did is held against it."""
    said = {"HOSTILE_URL": url, "HOSTILE_KEY": KEY, "HOSTILE_ACCOUNT": "acme"}
    settings = Settings.model_validate({"plugin_settings": said})
    made: Any = sources_of(settings, plugins, SystemClock()).by_kind["assets"]["hostile"]
    assert isinstance(made, Guarded)
    return made


def said(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(caplog.messages)


# --- what it tries, and what is said of it -------------------------------------------------------

DENIED = [
    ("read /etc/passwd", "'/etc/passwd'"),
    ("read /etc/shadow", "'/etc/shadow'"),
    ("read {data}/postgres.key", "postgres.key'"),
    ("read /usr/lib/../../etc/passwd", "etc/passwd'"),
    ("read /proc/self/root/etc/passwd", "'/proc/self/root/etc/passwd'"),
    ("read /proc/self/environ", "'/proc/self/environ'"),
    ("read /proc/self/maps", "'/proc/self/maps'"),
    ("host_environment", "/environ'"),
    ("host_memory", "/mem'"),
    ("own_memory", "'/proc/self/mem' to write"),
    ("link /proc/1/exe", "'/proc/1/exe'"),
    ("list {data}", "{data}'"),
    ("list /", "'/'"),
    ("look {data}/postgres.key", "postgres.key'"),
    ("from_inside ../../../../../../../etc/passwd", "beside a descriptor"),
    ("write /tmp/finora-hostile", "'/tmp/finora-hostile' to write"),
    ("write /dev/shm/finora-hostile", "to write"),
    ("write /dev/null", "'/dev/null' to write"),
    ("own_code", "__init__.py' to write"),
    ("symlink {data}/way", "symlink"),
    ("hard_link {data}/way", "link"),
    ("rename {data}/way", "rename"),
    ("remove", "unlink"),
    ("folder {data}/mine", "mkdir"),
    ("mode", "chmod"),
    ("change_folder /tmp", "chdir"),
    ("change_root /tmp", "chroot"),
    ("inet {port}", "socket"),
    ("inet6", "socket"),
    ("unix {data}/socket", "socket"),
    ("abstract", "socket"),
    ("datagram", "socket"),
    ("netlink", "socket"),
    ("name", "socket"),
    ("pair", "socketpair"),
    ("fork", "fork|clone"),
    ("fork_bomb", "fork|clone"),
    ("run", "fork|clone"),
    ("shell", "fork|clone"),
    ("exec", "execve"),
    ("kill_host", "kill"),
    ("kill_all", "kill"),
    ("signal_by_descriptor", "fcntl"),
    ("root", "setuid"),
    ("limits", "prlimit64"),
    ("memory_file", "memfd_create"),
    ("run_bytes mapped", "mmap"),
    ("run_bytes changed", "mprotect"),
    ("code_over_a_library", "mmap"),
]  # fmt: skip
BY_NUMBER = [
    ("trace_host", "ptrace"), ("read_host", "process_vm_readv"), ("socket_by_number", "socket"),
    ("exec_by_number", "execve"), ("other_table", "call 1073741865"), ("mount", "mount"),
    ("namespace", "unshare"), ("join", "setns"), ("powers", "capset"), ("outlive", "prctl"),
    ("filter", "seccomp"), ("kernel_program", "bpf"), ("ring", "io_uring_setup"),
    ("keys", "keyctl"), ("shared", "shmget"), ("reboot", "reboot"),
]  # fmt: skip
"""Of x86_64's numbers; on another machine they are calls of other names."""
ENDED = [
    ("memory", "MemoryError"),
    ("thread", "can't start new thread"),
    ("leave", "it ended with code 0"),
    ("abort", "it ended by signal"),
    ("crash", "it ended by signal 11"),
    ("raise", "mine"),
    ("exit", "SystemExit"),
    ("giant", "longer than 8 MiB"),
]
BREACHES = [
    ("processor", "does not answer within"),
    ("sleep", "does not answer within"),
    ("flood_of_looks", "it floods: more than 10000 looks"),
    ("flood_of_denied", "more than 1000 times what it is denied"),
    ("chatter", "it floods"),
    ("flood", "more than 200 requests"),
    ("elsewhere", "elsewhere.example, which its manifest does not name"),
    ("no_frame", "no JSON"),
    ("no_object", "no object"),
    ("deep", "no JSON"),
    ("endless_frame", "4294967295 bytes"),
    ("other_words", "asks for exec"),
    ("no_answer", "no outcome"),
    ("odd", "no outcome"),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """What it is after."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "postgres.key").write_text("the key")
    return folder


@HOSTILE_ATTACK
@pytest.mark.parametrize(("attack", "logged"), [*DENIED, *BY_NUMBER])
def test_what_it_tries_is_denied_and_logged(
    attack: str,
    logged: str,
    plugins: Plugins,
    data: Path,
    httpserver: HTTPServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if refused(plugins):
        return
    if os.uname().machine != "x86_64" and (attack, logged) in BY_NUMBER:
        logged = ""
    outcome = source(plugins).find(attack.format(data=data, port=httpserver.port))
    assert isinstance(outcome, Ok), outcome
    assert outcome.value[0].title.startswith("denied: "), outcome.value[0].title
    wanted = logged.format(data=data)
    lines = [each for each in caplog.messages if each.startswith("plugin hostile is denied: ")]
    assert any(each in line for line in lines for each in wanted.split("|")), lines
    assert sorted(path.name for path in data.iterdir()) == ["postgres.key"]
    assert httpserver.log == []


@HOSTILE_ATTACK
@pytest.mark.parametrize(("attack", "reason"), ENDED)
def test_what_ends_its_child_is_an_answer_that_lacks(
    attack: str, reason: str, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    if refused(plugins):
        return
    asked = source(plugins)
    outcome = asked.find(attack)
    assert isinstance(outcome, Down) and reason in outcome.reason
    assert reason in said(caplog)
    # Once may happen to anybody; three times in a row do not.
    assert asked.aside is None


@HOSTILE_ATTACK
def test_descriptors_run_out_for_itself_alone(plugins: Plugins) -> None:
    if refused(plugins):
        return
    outcome = source(plugins).find("descriptors")
    assert isinstance(outcome, Ok) and "Too many open files" in outcome.value[0].title


@HOSTILE_ATTACK
@pytest.mark.parametrize(("attack", "reason"), BREACHES)
def test_what_hangs_floods_or_lies_is_set_aside_at_once(
    attack: str,
    reason: str,
    plugins: Plugins,
    httpserver: HTTPServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if refused(plugins):
        return
    httpserver.expect_request(re.compile("/.*")).respond_with_data(status=404)
    asked = source(plugins, httpserver.url_for("").rstrip("/"))
    asked.limit_s = 2.0 if attack in ("processor", "sleep") else 100.0
    assert isinstance(asked.find(attack), Down)
    assert reason in str(asked.aside)
    assert reason in said(caplog)
    # Nobody is left of it.
    assert pids(os.getpid()) == []


def pids(host: int) -> list[str]:
    """Of the host's children in which the hostile one is."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            # After the name in brackets: state, parent.
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == host and "finora_hostile" in (path / "cmdline").read_text():
                found.append(path.name)
        except OSError:
            continue
    return found


@HOSTILE_ATTACK
def test_it_sees_nothing_of_the_hosts_environment(plugins: Plugins) -> None:
    if refused(plugins):
        return
    outcome = source(plugins).find("environment")
    assert isinstance(outcome, Ok)
    assert set(outcome.value[0].title.split()) <= {"TZ", "LC_CTYPE"}


@HOSTILE_ATTACK
def test_a_secret_reaches_the_server_and_never_the_plugin(
    plugins: Plugins, httpserver: HTTPServer
) -> None:
    """Not even where the server says it again."""
    if refused(plugins):
        return
    httpserver.expect_request("/echo", headers={"X-Key": KEY}).respond_with_data(
        f"you said {KEY}", headers={"X-Again": KEY}
    )
    outcome = source(plugins, httpserver.url_for("").rstrip("/")).find("secrets")
    assert isinstance(outcome, Ok), outcome
    word, account, *reply = outcome.value[0].title.split()
    assert word.startswith("secret-key-") and account == "acme"
    assert reply == ["you", "said", word]
    [(request, _)] = httpserver.log
    assert request.args["again"] == KEY


def test_a_slow_server_is_not_the_providers_fault(plugins: Plugins, httpserver: HTTPServer) -> None:
    """Its time goes by with a request that is not answered; it says so, and is asked again."""
    if refused(plugins):
        return
    httpserver.expect_request("/echo").respond_with_handler(lambda request: Response(time.sleep(6)))
    asked = source(plugins, httpserver.url_for("").rstrip("/"))
    asked.limit_s = 4.0
    outcome = asked.find("secrets")
    assert isinstance(outcome, Down) and "did not answer in time" in outcome.reason
    assert asked.aside is None


@HOSTILE_ATTACK
def test_others_work_while_one_hangs(plugins: Plugins) -> None:
    if refused(plugins):
        return
    asked, pocketbank = source(plugins), plugins.statement_formats["pocketbank"]
    asked.limit_s = 2.0
    asked.find("sleep")
    assert asked.aside is not None and source(plugins).aside is None
    assert pocketbank.recognises(b'{"pocketbank": 1}\n', "x") == 90
    assert plugins.statement_formats["ofx"].recognises(b"OFXHEADER:100\n", "x") > 0


def test_what_crashes_three_times_is_set_aside(plugins: Plugins) -> None:
    if refused(plugins):
        return
    asked = source(plugins)
    for _ in range(3):
        assert asked.aside is None
        asked.find("leave")
    assert "it ended with code 0" in str(asked.aside)


# --- honest ones ---------------------------------------------------------------------------------


class Metals:
    """The example's provider as the kit is given one; what it is made of is read from its module.
    Filled in by the test."""

    __module__ = "finora_metals"
    name = "metals"
    confined: ClassVar[Any] = None

    def __new__(cls, access: Access) -> Any:
        return cls.confined(access)


@pytest.mark.timeout(300)
def test_an_honest_provider_passes_the_kit(
    plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    if refused(plugins, "metals"):
        return
    Metals.confined = plugins.sources["prices"]["metals"].provider
    subject = subject_of("prices", Metals)
    for check in CHECKS:
        # These ask a hundred questions more, and each is a process.
        if check.name not in ("another_shape_is_no_number", "strange_numbers_do_no_harm"):
            check.run(subject)
    assert "denied" not in said(caplog)


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "reason"), [
    (b"refuse\n", "no"),
    (b"die\n", "it ended with code 7"),
    (b"lie\n", "a line that is none"),
    (b"http\n", "asks for http"),
    (b"sleep\n", "does not answer"),
    (b"steal\n", "PermissionError"),
])  # fmt: skip
@HOSTILE_ATTACK
def test_a_file_that_it_fails_on_is_refused(
    text: bytes, reason: str, plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    if refused(plugins):
        return
    formatted: Any = plugins.statement_formats["hostile"]
    assert isinstance(formatted, ConfinedFormat)
    own = attrs.evolve(formatted, plugin=ConfinedPlugin(
        formatted.plugin.launch, formatted.plugin.manifest,
        limit_s=3.0 if text == b"sleep\n" else 60.0,
    ))  # fmt: skip
    with pytest.raises(StatementRefused, match=reason):
        list(own.read(io.BytesIO(text), {}))
    worst = text in (b"lie\n", b"http\n", b"sleep\n")
    assert (own.plugin.aside is not None) == worst
    if worst:
        assert "is set aside" in said(caplog)
        with pytest.raises(StatementRefused, match="was set aside"):
            list(own.read(io.BytesIO(b""), {}))
        assert own.recognises(b"sure", "x") == 0


@HOSTILE_ATTACK
def test_what_a_format_says_of_a_file_is_a_number_or_nothing(plugins: Plugins) -> None:
    if refused(plugins):
        return
    formatted: Any = plugins.statement_formats["hostile"]
    for head, sure, aside in ((b"sure", 50, False), (b"none", 0, False), (b"odd", 0, True),
                              (b"text", 0, True)):  # fmt: skip
        own = attrs.evolve(
            formatted, plugin=ConfinedPlugin(formatted.plugin.launch, formatted.plugin.manifest)
        )
        assert own.recognises(head, "x") == sure
        assert (own.plugin.aside is not None) == aside


def test_why_a_format_was_set_aside_is_shown(plugins: Plugins) -> None:
    if refused(plugins):
        return
    formatted: Any = plugins.statement_formats["hostile"]
    listed = PluginList(plugins, sources_of(Settings(), plugins, SystemClock()), tiers=True)
    formatted.plugin.aside = "it lies"
    states = {each.name: each for each in listed.list()}
    formatted.plugin.aside = None
    assert (states["hostile"].trust, states["hostile"].reason) == ("confined", "it lies")
    assert (states["metals"].works, states["metals"].trust) == (True, "confined")
    assert states["statements"].trust == "built_in"
    # The kit would import it.
    assert states["metals"].sources[0].tier is None and "finora_hostile" not in sys.modules


STATEMENT = b"""{"pocketbank": 1, "account": "DE02120300000000202051", "currency": "EUR"}
{"id": "a1", "on": "2026-01-31", "amount": -12.30, "text": "B\xc3\xa4ckerei"}
{"id": "a2", "on": "2026-02-30", "amount": 1, "text": "no such day"}
"""


def test_an_honest_format_reads_as_it_does_unconfined(
    plugins: Plugins, caplog: pytest.LogCaptureFixture
) -> None:
    if refused(plugins, "pocketbank"):
        return
    confined = plugins.statement_formats["pocketbank"]
    many = STATEMENT + STATEMENT.splitlines(keepends=True)[1] * 20_000
    account, line, faulty, *rest = confined.read(io.BytesIO(many), {})
    assert isinstance(account, StatementAccount) and account.number == "DE02120300000000202051"
    assert isinstance(line, StatementLine) and isinstance(faulty, FaultyLine)
    assert (line.amount, line.description, line.bank_id) == ("-12.30", "Bäckerei", "a1")
    free = load_plugins([POCKETBANK]).statement_formats["pocketbank"]
    assert [account, line, faulty, *rest] == list(free.read(io.BytesIO(many), {}))
    assert "denied" not in said(caplog)


# --- whom it is for ------------------------------------------------------------------------------


def test_whom_the_operator_trusts_runs_in_the_process(plugins: Plugins) -> None:
    settings = Settings(trusted_plugins="Finora.Metals,other")
    [metals] = plugins_of(settings, [METALS]).found
    assert metals.works and not metals.confined
    assert Settings().trusts("anything") and not Settings(trusted_plugins="").trusts("anything")


def test_without_confinement_it_does_not_run_and_says_why(plugins: Plugins) -> None:
    """Wherever this test runs: whoever loads it has no way to confine it."""
    [hostile] = load_plugins([HOSTILE], lambda package: False).found
    assert hostile.reason == "it is not trusted"
    assert "finora_hostile" not in sys.modules


ASKING = """
from importlib.metadata import EntryPoint
from finora_adapters.compose import plugins_of
from finora_adapters.settings import Settings
from finora_adapters.upstream.sources import sources_of
from finora_core.kernel.clock import SystemClock
point = EntryPoint("hostile", "finora_hostile", "finora")
keys = {"HOSTILE_KEY": "x", "HOSTILE_ACCOUNT": "x"}
settings = Settings(trusted_plugins="", plugin_settings=keys)
source = sources_of(settings, plugins_of(settings, [point]), SystemClock()).by_kind["assets"]
print("asking", flush=True)
source["hostile"].find("processor")
"""


@HOSTILE_ATTACK
def test_it_ends_with_the_host_however_that_ends(plugins: Plugins) -> None:
    if refused(plugins):
        return
    host = subprocess.Popen(
        [sys.executable, "-c", ASKING], stdout=subprocess.PIPE, text=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    with host:
        assert host.stdout is not None and host.stdout.readline() == "asking\n"
        while not (found := pids(host.pid)):
            time.sleep(0.05)
        host.kill()
    while any(Path(f"/proc/{pid}/cmdline").exists() for pid in found):
        time.sleep(0.05)


LACKING = """
import ctypes, os, platform, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
number, error = int(sys.argv[1]), int(sys.argv[2])
rules = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, 0x50000 | error), (6, 0, 0, 0x7fff0000)]
made = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in rules))
program = struct.pack("=H6xQ", len(rules), ctypes.addressof(made))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
from importlib.metadata import EntryPoint
from finora_adapters.compose import plugins_of
from finora_adapters.settings import Settings
point = EntryPoint("hostile", "finora_hostile", "finora")
[found] = plugins_of(Settings(trusted_plugins=""), [point]).found
print(found.reason, *found.provides)
assert "finora_hostile" not in sys.modules
"""
SECCOMP = {"x86_64": 317, "aarch64": 277}


@HOSTILE_ATTACK
@pytest.mark.parametrize(("number", "error", "reason"), [
    (444, errno.ENOSYS, "the kernel has no Landlock"),
    (446, errno.EPERM, "landlock is refused: Operation not permitted"),
    (SECCOMP.get(os.uname().machine, 317), errno.EPERM, "seccomp does not notify"),
])  # fmt: skip
def test_where_the_system_lacks_something_it_does_not_run_and_the_reason_says_what(
    number: int, error: int, reason: str, plugins: Plugins
) -> None:
    """As a container's profile, or an older kernel, would have it."""
    if refused(plugins):
        return
    done = subprocess.run(
        [sys.executable, "-c", LACKING, str(number), str(error)], capture_output=True, text=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)}, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("it is not trusted, and cannot be confined: ")
    assert reason in done.stdout and "assets" not in done.stdout


@pytest.mark.parametrize("said", ["*,a", "a b", "a,,b", ","])
def test_a_list_of_packages_that_is_none_is_refused(said: str) -> None:
    with pytest.raises(BadSettings, match="FINORA_TRUSTED_PLUGINS"):
        from_environment({"FINORA_TRUSTED_PLUGINS": said})
