"""What requests to providers cost in an hour, and no more than the operator allows."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from finora_adapters.redis.asking import Asker

_log = logging.getLogger("finora.upstream")
_HOUR_S = 3_600
_KEPT_S = 2 * _HOUR_S
_WARN_PERCENT = 80


@attrs.define
class HourlyCost:
    """By hour of the clock; of all processes while Redis answers, else of this one."""

    most_micros: int
    """0 for no limit."""
    now: Callable[[], datetime]
    asker: "Asker | None" = None
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _hour: int = attrs.field(default=0, init=False)
    _spent: int = attrs.field(default=0, init=False)
    """Of that hour."""

    def spend(self, micros: int) -> int | None:
        """Count a request that costs so much. Where that is more than is left, nothing is counted:
        for how many seconds it stays so. None where it may be made."""
        if not micros or not self.most_micros:
            return None
        hour, into = divmod(int(self.now().timestamp()), _HOUR_S)
        after = self._count(hour, micros)
        if after > self.most_micros:
            self._count(hour, -micros)
            return _HOUR_S - into
        warn = self.most_micros * _WARN_PERCENT // 100
        if after - micros < warn <= after:
            _log.warning("providers have cost %s %% of what they may this hour", _WARN_PERCENT)
        return None

    def _count(self, hour: int, micros: int) -> int:
        with self._lock:
            if hour != self._hour:
                self._hour, self._spent = hour, 0
            self._spent += micros
            here = self._spent
        if self.asker is not None:
            from finora_adapters.redis.asking import Question

            key = f"finora:upstream:cost:{hour}"
            answers = self.asker.ask(
                Question(("INCRBY", key, micros)), Question(("EXPIRE", key, _KEPT_S))
            )
            if answers is not None:
                return int(answers[0])
        return here
