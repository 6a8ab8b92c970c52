"""What Linux gives any process to confine itself with: limits, Landlock, a filter of its calls.

All of it is by number, over ctypes: there is no package to trust. None of it can be undone, and the
filter's listener is the host: it is asked about every call that is not free, and says no.
"""

import ctypes
import os
import platform
import signal
import struct
import sys
from collections.abc import Iterable, Sequence

from finora_adapters.confined.calls import ARCHITECTURES, ARGUED, FREE

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_CAPSET = {"x86_64": 126, "aarch64": 91}

_NO_NEW_PRIVILEGES, _DEATH_SIGNAL = 38, 1
_NEW_USER, _NEW_NET, _NEW_IPC, _NEW_UTS = 0x10000000, 0x40000000, 0x08000000, 0x04000000

_MIB = 1 << 20
MEMORY = 512 * _MIB
SECONDS = 600
"""Of processor time, from its start to its end."""
DESCRIPTORS = 64


class Lacking(Exception):
    """This system cannot confine a process; the message says what lacks."""


def lacking() -> str | None:
    """What this system lacks to confine a process, as far as it can be known beforehand."""
    machine = platform.machine()
    if not sys.platform.startswith("linux") or machine not in ARCHITECTURES:
        here = f"{sys.platform} {machine}"
        return f"processes are confined on Linux on x86_64 and aarch64, and this is {here}"
    if _landlock() < 1:
        return "the kernel has no Landlock (Linux 5.13 or newer, with landlock among its lsm)"
    notify = ctypes.c_uint32(_NOTIFY)
    if _call(_SECCOMP[machine], 2, 0, ctypes.byref(notify)) != 0:
        return "the kernel's seccomp does not notify (Linux 5.0 or newer)"
    return None


def end_with(parent: int) -> None:
    """Be killed when the thread that started this process ends."""
    _control(_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def confine(view: Iterable[str], channel: int) -> int:
    """From here on this process reads what lies under `view`, writes to `channel`, and reckons. The
    answer is the descriptor that its other calls are told to, for the host. Raises Lacking."""
    reason = lacking()
    if reason is not None:
        raise Lacking(reason)
    import resource

    for what, most in (
        (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, SECONDS), (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_NPROC, 0), (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_NOFILE, DESCRIPTORS),
    ):  # fmt: skip
        resource.setrlimit(what, (most, most))
    # Where namespaces are to be had: without its own network and its own root, and without the
    # powers that the host may have. Where they are not, the filter alone denies what they would.
    _libc().unshare(_NEW_USER | _NEW_NET | _NEW_IPC | _NEW_UTS)
    _drop_capabilities()
    if _control(_NO_NEW_PRIVILEGES, 1) != 0:
        raise Lacking(_failed("no_new_privs"))
    _restrict_files(view)
    return _filter_calls(channel)


# --- Landlock ------------------------------------------------------------------------------------

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3


def _landlock() -> int:
    """The version of its interface, from 1 on."""
    return _call(_LANDLOCK_CREATE, None, 0, 1)


def _restrict_files(view: Iterable[str]) -> None:
    version = _landlock()
    # Each version handles more; what is handled and not allowed is denied.
    files = (1 << (13 + (version >= 2) + (version >= 3) + (version >= 5))) - 1
    words = [files]
    if version >= 4:
        words.append(0b11)  # TCP: bind, connect
    if version >= 6:
        words.append(0b11)  # Abstract sockets and signals of others.
    attributes = struct.pack(f"={len(words)}Q", *words)
    ruleset = _call(_LANDLOCK_CREATE, attributes, len(attributes), 0)
    if ruleset < 0:
        raise Lacking(_failed("landlock"))
    for path in view:
        try:
            at = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        allowed = _READ_FILE | (_READ_DIR if os.path.isdir(path) else 0)
        if _call(_LANDLOCK_ADD, ruleset, 1, struct.pack("=Qi", allowed, at), 0) != 0:
            raise Lacking(_failed("landlock"))
        os.close(at)
    if _call(_LANDLOCK_RESTRICT, ruleset, 0) != 0:
        raise Lacking(_failed("landlock"))
    os.close(ruleset)


# --- seccomp -------------------------------------------------------------------------------------

_ALLOW, _NOTIFY, _KILL = 0x7FFF0000, 0x7FC00000, 0x80000000
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_WRITABLE, _EXECUTABLE, _ANONYMOUS = 2, 4, 0x20

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, constant: of Berkeley's packet filter."""


def _program(channel: int) -> Sequence[Instruction]:
    number = (_LOAD, 0, 0, _NUMBER_AT)
    allow, notify = (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _NOTIFY)

    def argument(place: int, *, upper: bool = False) -> Instruction:
        return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * place + 4 * upper)

    def one_of(place: int, *values: int) -> Sequence[Instruction]:
        last = len(values) - 1
        tests = [(_EQUAL, last - n, 1 if n == last else 0, value) for n, value in enumerate(values)]
        return [argument(place), *tests, allow, notify]

    rules: dict[str, Sequence[Instruction]] = {
        # Memory is written or run, never both, and what is run comes from a file.
        "mmap": [
            argument(2), (_ANY_BIT, 0, 5, _EXECUTABLE), (_ANY_BIT, 3, 0, _WRITABLE),
            argument(3), (_ANY_BIT, 1, 0, _ANONYMOUS), allow, notify, allow,
        ],
        "mprotect": [argument(2), (_ANY_BIT, 0, 1, _EXECUTABLE), notify, allow],
        # Whether it is a terminal; whether it is kept over exec.
        "ioctl": one_of(1, 0x5401, 0x5450, 0x5451),
        # Not F_SETOWN and F_SETSIG, which send signals to others.
        "fcntl": one_of(1, 0, 1, 2, 3, 1030),
        "sendmsg": one_of(0, channel),
        # Of itself, and to read only.
        "prlimit64": [
            argument(0), (_EQUAL, 0, 5, 0), argument(2), (_EQUAL, 0, 3, 0),
            argument(2, upper=True), (_EQUAL, 0, 1, 0), allow, notify,
        ],
    }  # fmt: skip
    found: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, ARCHITECTURES[platform.machine()]),
        (_RETURN, 0, 0, _KILL),
        number,
    ]
    for each in sorted(FREE):
        found += [(_EQUAL, 0, 1, each), allow]
    for name, rule in rules.items():
        found += [(_EQUAL, 0, len(rule), ARGUED[name]), *rule]
    return [*found, notify]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _filter_calls(channel: int) -> int:
    made = [struct.pack("=HBBI", *each) for each in _program(channel)]
    listener = _call(
        _SECCOMP[platform.machine()], 1, 1 << 3,
        ctypes.byref(_Program(len(made), b"".join(made))),
    )  # fmt: skip
    if listener < 0:
        raise Lacking(_failed("seccomp"))
    return listener


def _drop_capabilities() -> None:
    header = struct.pack("=Ii", 0x20080522, 0)
    if _call(_CAPSET[platform.machine()], header, bytes(24)) != 0:
        raise Lacking(_failed("capset"))


def _failed(what: str) -> str:
    return f"{what} is refused: {os.strerror(ctypes.get_errno())}"


def _control(option: int, value: int) -> int:
    return int(_libc().prctl(option, ctypes.c_ulong(value), *[ctypes.c_ulong(0)] * 3))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    call = _libc().syscall
    call.restype = ctypes.c_long
    return int(call(ctypes.c_long(number), *map(_as_word, arguments)))


def _as_word(value: object) -> object:
    """Whole words, also of small numbers: the kernel reads all 64 bits."""
    return ctypes.c_long(value) if isinstance(value, int) else value
