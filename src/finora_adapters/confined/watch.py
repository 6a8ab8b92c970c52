"""The host's say over a child's calls: what is not free is judged here, and what is denied, logged.

The child has one thread and no memory that it shares, and waits while its call is judged: so what
is read of its memory here is what the kernel reads after. Landlock denies the same once more.
"""

import errno
import logging
import os
import struct
from collections.abc import Iterable

import attrs

from finora_adapters.confined.calls import NAMES, OF_PATHS

_log = logging.getLogger("finora.plugins")
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_QUESTION, _ANSWER = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")
_CONTINUE = 1
_AT_EMPTY_PATH, _AT_CWD = 0x1000, 0xFFFFFF9C
_LONGEST_PATH = 4096
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_MOST_LINES = 50
MOST_DENIED = 1_000
MOST_JUDGED = 10_000
"""Calls of one child. A thousand modules are some five thousand."""


@attrs.define
class Watch:
    """Over one child."""

    plugin: str
    pid: int
    listener: int
    roots: frozenset[str]
    """What it may read: real paths."""
    denied: int = attrs.field(default=0, init=False)
    judged: int = attrs.field(default=0, init=False)
    _memory: int = attrs.field(init=False)
    _said: set[str] = attrs.field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self._memory = os.open(f"/proc/{self.pid}/mem", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self.listener)
        os.close(self._memory)

    def judge(self) -> None:
        """Answer the call that waits, if it still does."""
        import fcntl

        self.judged += 1
        asked = bytearray(_QUESTION.size)
        try:
            fcntl.ioctl(self.listener, _RECEIVE, asked, True)
            known, _, _, number, _, _, *arguments = _QUESTION.unpack(asked)
            what = self._forbidden(number, arguments)
            if what is None:
                answer = _ANSWER.pack(known, 0, 0, _CONTINUE)
            else:
                self._deny(what)
                answer = _ANSWER.pack(known, 0, -errno.EACCES, 0)
            fcntl.ioctl(self.listener, _SEND, answer)
        except FileNotFoundError:
            # It was killed meanwhile.
            return

    def _forbidden(self, number: int, arguments: list[int]) -> str | None:
        """What the call would do, in words; None where it may."""
        name = NAMES.get(number, f"call {number}")
        if number not in OF_PATHS:
            return name
        at, opened, flagged = OF_PATHS[number]
        path = self._text(arguments[at])
        if path is None:
            return f"{name} of an unreadable path"
        if not path and flagged is not None and arguments[flagged] & _AT_EMPTY_PATH:
            return None
        if opened is not None and arguments[opened] & _WRITES:
            return f"{name} {path!r} to write"
        if at and not path.startswith("/") and arguments[0] & 0xFFFFFFFF != _AT_CWD:
            return f"{name} {path!r} beside a descriptor"
        real = _real(path)
        if any(real == root or real.startswith(f"{root}/") for root in self.roots):
            return None
        if opened is None and any(root.startswith(real.rstrip("/") + "/") for root in self.roots):
            return None  # A folder above: that it is there is no secret.
        return f"{name} {path!r}"

    def _text(self, address: int) -> str | None:
        try:
            read = os.pread(self._memory, _LONGEST_PATH, address)
        except (OSError, OverflowError):
            return None
        text, end, _ = read.partition(b"\0")
        return os.fsdecode(text) if end else None

    def _deny(self, what: str) -> None:
        self.denied += 1
        if what not in self._said and len(self._said) < _MOST_LINES:
            self._said.add(what)
            _log.error("plugin %s is denied: %s", self.plugin, what[:500])


def _real(path: str) -> str:
    """Of a process whose folder is the root for good: it can change to no other."""
    path = os.path.join("/", path)
    plain = os.path.normpath(path)
    try:
        # Of /proc, and of what leads there, the host would see its own.
        return plain if plain.startswith(("/proc/", "/dev/")) else os.path.realpath(path)
    except OSError:
        return plain


def real_roots(view: Iterable[str]) -> frozenset[str]:
    return frozenset(os.path.realpath(path) for path in view)
