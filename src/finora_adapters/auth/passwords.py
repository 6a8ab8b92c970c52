"""Passwords by Argon2id, in threads of their own."""

import base64
import contextlib
import math
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from finora_core.identity.verifiers import PASSWORD_MOST, LoginBusy, normalised

T = TypeVar("T")

_NICE = 10
_SALT, _TAG = 16, 32


class Argon2Passwords:
    """One hash takes `memory_kib` of memory and `rounds` passes over it. At most `hashers` are
    made at once, each followed by a rest, and `waiting` more are admitted; whoever comes then is
    refused."""

    def __init__(
        self, memory_kib: int = 19_456, rounds: int = 2, *, hashers: int = 1, waiting: int = 3
    ) -> None:
        self._hasher = PasswordHasher(
            time_cost=rounds,
            memory_cost=memory_kib,
            parallelism=1,
            hash_len=_TAG,
            salt_len=_SALT,
            type=Type.ID,
        )
        salt, tag = (
            base64.b64encode(secrets.token_bytes(size)).rstrip(b"=").decode()
            for size in (_SALT, _TAG)
        )
        # No password is known that gives this tag, and finding out takes a whole hash.
        self._nobody = f"$argon2id$v=19$m={memory_kib},t={rounds},p=1${salt}${tag}"
        self._hashers, self._most = hashers, hashers + waiting
        self._free = threading.BoundedSemaphore(self._most)
        self._here = threading.local()
        self._starting = threading.Lock()
        self._pool: tuple[int, ThreadPoolExecutor] | None = None
        self._last_s = 0.0

    @contextlib.contextmanager
    def admission(self) -> Iterator[None]:
        if getattr(self._here, "admitted", False):
            yield
            return
        if not self._free.acquire(blocking=False):
            raise self._busy()
        began = time.monotonic()
        self._here.admitted = True
        try:
            yield
        finally:
            self._here.admitted = False
            self._last_s = time.monotonic() - began
            self._free.release()

    def hash(self, password: str) -> str:
        if len(password) > PASSWORD_MOST:
            raise ValueError("no password of this length was checked")
        return self._hashed(lambda: self._hasher.hash(normalised(password)))

    def verify(self, digest: str | None, password: str) -> bool:
        # Nothing longer was ever kept, and normalising takes longer than its input grows.
        text = normalised(password) if len(password) <= PASSWORD_MOST else ""
        given = text.encode("utf-8", "replace")
        known = digest is not None and len(password) <= PASSWORD_MOST
        return self._hashed(lambda: self._matches(digest, given)) and known

    def outdated(self, digest: str) -> bool:
        try:
            return self._hasher.check_needs_rehash(digest)
        except InvalidHashError:
            return True

    def close(self) -> None:
        """Let what runs end."""
        if self._pool is not None:
            self._pool[1].shutdown()
            self._pool = None

    def _matches(self, digest: str | None, given: bytes) -> bool:
        try:
            return self._hasher.verify(digest or self._nobody, given)
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError):
            # What is kept is no digest: as if nothing were.
            return digest is not None and self._matches(None, given)

    def _hashed(self, work: Callable[[], T]) -> T:
        with self.admission():
            made: Future[T] = Future()
            self._threads().submit(_paced, work, made)
            return made.result()

    def _busy(self) -> LoginBusy:
        # Who was admitted last has waited for those before already.
        wait = max(1, math.ceil(self._last_s))
        return LoginBusy("too many passwords wait to be checked", facts={"retry_after": wait})

    def _threads(self) -> ThreadPoolExecutor:
        """Made on first use, and anew after a fork, which leaves threads behind."""
        with self._starting:
            if self._pool is None or self._pool[0] != os.getpid():
                threads = ThreadPoolExecutor(self._hashers, "passwords", initializer=_step_back)
                self._pool = (os.getpid(), threads)
            return self._pool[1]


def _paced(work: Callable[[], T], made: "Future[T]") -> None:
    """Give the result, and rest for as long as it took: in a flood, too, others find half of each
    hasher's core."""
    began = time.monotonic()
    try:
        made.set_result(work())
    except BaseException as error:
        made.set_exception(error)
    time.sleep(time.monotonic() - began)


def _step_back() -> None:
    """Other requests come before this thread. Elsewhere than on Linux it would slow the process."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            own = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, own, os.getpriority(os.PRIO_PROCESS, own) + _NICE)
