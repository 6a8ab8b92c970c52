"""Not asking a source more often than it allows, whoever asks: all processes together.

The window rolls: of the last so many requests the oldest must be older than the window. Nothing is
approximated, for the other side counts too, and bans whom it counts over its limit.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import attrs

from finora_core.plugins import Limit


class Limiter(Protocol):
    def take(self, key: str, limits: Sequence[Limit]) -> int:
        """Take one request of each limit, or none: the milliseconds to wait, 0 where taken."""


@attrs.define
class LocalLimiter:
    """Of one process."""

    seconds: Callable[[], float] = time.monotonic
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _taken: dict[tuple[str, Limit], deque[int]] = attrs.field(factory=dict, init=False)

    def take(self, key: str, limits: Sequence[Limit]) -> int:
        with self._lock:
            now = int(self.seconds() * 1000)
            windows = [
                (self._taken.setdefault((key, limit), deque(maxlen=limit.requests)), limit)
                for limit in limits
            ]
            waits = [
                window_ms(limit) - (now - taken[0])
                for taken, limit in windows
                if len(taken) == limit.requests
            ]
            wait = max([0, *waits])
            if not wait:
                for taken, _ in windows:
                    taken.append(now)
            return wait


def window_ms(limit: Limit) -> int:
    # A little longer than it is: what leaves evenly may arrive closer together.
    window = limit.seconds * 1000
    return window + min(window // 20, 500)
