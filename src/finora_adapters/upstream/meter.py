"""How often keys of the data provider ask, counted by one process; and what writes it down."""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import date
from uuid import UUID

import attrs

from finora_core.kernel.ids import new_id
from finora_core.market.provision.model import Account, Quota, Reading
from finora_core.market.provision.ports import Taken, Unwritten

_log = logging.getLogger("finora.data")


@attrs.define
class _Counted:
    """One account's meter. A new one with every process: none ever goes back."""

    before: int
    """By other meters."""
    meter: UUID = attrs.field(factory=new_id)
    used: int = 0
    requests: dict[tuple[date, str], int] = attrs.field(factory=dict)
    micros: dict[tuple[date, str], int] = attrs.field(factory=dict)
    mark: int = 0
    written: int = 0


@attrs.define
class LocalMeter:
    """Of one process."""

    seconds: Callable[[], float] = time.monotonic
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _accounts: dict[Account, _Counted] = attrs.field(factory=dict, init=False)
    _windows: dict[UUID, deque[int]] = attrs.field(factory=dict, init=False)

    def take(
        self,
        account: Account,
        on_date: date,
        source: str,
        quota: Quota,
        before: Callable[[Account], int],
    ) -> Taken:
        if account not in self._accounts:
            had = before(account)  # Asks the database: not while others wait.
            with self._lock:
                self._forget(account.month)
                self._accounts.setdefault(account, _Counted(had))
        with self._lock:
            counted = self._accounts[account]
            used = counted.before + counted.used
            wait_ms, in_window, window_ms = self._window(account.key_id, quota)
            full = quota.monthly is not None and used >= quota.monthly
            if full or wait_ms:
                return Taken(wait_ms=wait_ms, used=used, in_window=in_window,
                             window_ms=window_ms, counted=False)  # fmt: skip
            if quota.window is not None:
                now = int(self.seconds() * 1000)
                self._windows[account.key_id].append(now)
                in_window, window_ms = in_window + 1, window_ms or quota.window.seconds * 1000
            place = on_date, source
            counted.used += 1
            counted.requests[place] = counted.requests.get(place, 0) + 1
            counted.mark += 1
            return Taken(wait_ms=0, used=used + 1, in_window=in_window, window_ms=window_ms,
                         counted=True)  # fmt: skip

    def cost(self, account: Account, on_date: date, source: str, micros: int) -> None:
        with self._lock:
            counted = self._accounts.get(account)
            if counted is not None:
                place = on_date, source
                counted.micros[place] = counted.micros.get(place, 0) + micros
                counted.mark += 1

    def unwritten(self) -> Sequence[Unwritten]:
        with self._lock:
            return [
                Unwritten(
                    account=account,
                    meter=each.meter,
                    readings=[
                        Reading(key_id=account.key_id, on_date=day, source=source,
                                meter=each.meter, requests=requests,
                                cost_micros=each.micros.get((day, source), 0))
                        for (day, source), requests in each.requests.items()
                    ],
                    mark=each.mark,
                )
                for account, each in self._accounts.items()
                if each.mark != each.written
            ]  # fmt: skip

    def written(self, each: Unwritten, elsewhere: int) -> None:
        with self._lock:
            counted = self._accounts.get(each.account)
            if counted is not None and counted.meter == each.meter:
                counted.written, counted.before = each.mark, elsewhere

    def _window(self, key_id: UUID, quota: Quota) -> tuple[int, int, int]:
        """How long to wait, how many are in the window, and until the oldest leaves it."""
        if quota.window is None:
            return 0, 0, 0
        taken = self._windows.setdefault(key_id, deque())
        now, window = int(self.seconds() * 1000), quota.window.seconds * 1000
        while taken and taken[0] <= now - window:
            taken.popleft()
        free = taken[0] + window - now if taken else 0
        return (free if len(taken) >= quota.window.requests else 0), len(taken), free

    def _forget(self, month: date) -> None:
        """Of other months, what was written down."""
        self._accounts = {
            account: each
            for account, each in self._accounts.items()
            if account.month >= month or each.mark != each.written
        }


@attrs.define
class Flusher:
    """A thread that writes down what was counted, every few seconds, until it is stopped."""

    flush: Callable[[], int]
    every_s: float = 30.0
    _over: threading.Event = attrs.field(factory=threading.Event, init=False)
    _thread: threading.Thread | None = attrs.field(default=None, init=False)
    _pid: int = attrs.field(default=0, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def start(self) -> None:
        """Once a process, however often it is called."""
        if self._pid == os.getpid():
            return
        with self._lock:
            if self._pid == os.getpid():
                return
            self._pid, self._over = os.getpid(), threading.Event()
            self._thread = threading.Thread(target=self._run, name="data-usage", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Write what is left."""
        if self._thread is None or self._pid != os.getpid():
            return
        self._over.set()
        self._thread.join()
        self._thread, self._pid = None, 0

    def _run(self) -> None:
        over = False
        while not over:
            over = self._over.wait(self.every_s)
            try:
                self.flush()
            # Whatever it is, the next time may do better; what was counted stays counted.
            except Exception as error:
                _log.warning("usage of the data provider waits: %s", error)
