"""Not asking whoever does not answer, and not before the time that they gave."""

import threading
from datetime import datetime, timedelta
from typing import Any

import attrs

from finora_core.kernel.clock import Clock
from finora_core.kernel.outcome import AuthExpired, Down, Outcome, RateLimited

_FIRST_PAUSE_S = 30
_LONGEST_PAUSE_S = 960


@attrs.define
class Breaker:
    """Of one process. After so many failures in a row it is open for half a minute, and twice as
    long after each further one; then one question at a time is let through."""

    clock: Clock
    failures: int = 3
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _failures: int = attrs.field(default=0, init=False)
    _until: datetime | None = attrs.field(default=None, init=False)
    _limited: bool = attrs.field(default=False, init=False)
    """It is open because the provider asked for a pause."""

    def refused(self) -> RateLimited | Down | None:
        """What is answered in place of asking; None where it may be asked, and then is."""
        with self._lock:
            now = self.clock.now()
            if self._until is None:
                return None
            if now < self._until:
                left = -(-(self._until - now) // timedelta(seconds=1))
                return RateLimited(left) if self._limited else Down(f"it failed; again in {left} s")
            # One goes through; the others wait for what becomes of it.
            self._until = now + timedelta(seconds=_FIRST_PAUSE_S)
            return None

    @property
    def open_s(self) -> int:
        """For how many seconds nothing is asked yet; 0 where it may be."""
        with self._lock:
            left = timedelta(0) if self._until is None else self._until - self.clock.now()
            return max(-(-left // timedelta(seconds=1)), 0)

    def note(self, outcome: Outcome[Any]) -> None:
        """What came of a question that was asked."""
        with self._lock:
            match outcome:
                case RateLimited(retry_after=seconds):
                    self._limited = True
                    self._until = self.clock.now() + timedelta(seconds=seconds)
                case Down() | AuthExpired():
                    self._limited = False
                    self._failures += 1
                    over = self._failures - self.failures
                    if over >= 0:
                        pause = min(_FIRST_PAUSE_S * 2 ** min(over, 10), _LONGEST_PAUSE_S)
                        self._until = self.clock.now() + timedelta(seconds=pause)
                    else:
                        self._until = None
                case _:
                    self._limited, self._failures, self._until = False, 0, None
