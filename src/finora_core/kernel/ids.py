"""Ids: UUID version 7 (RFC 9562), so that rows made together lie together in an index."""

import os
import threading
import time
from uuid import UUID

_lock = threading.Lock()
_last = 0


def new_id() -> UUID:
    """A UUIDv7: 48 bits of milliseconds, 74 random bits; ids of one process never go backwards."""
    global _last
    random = int.from_bytes(os.urandom(10))
    now = time.time_ns() // 1_000_000 << 80 | random & 0xFFFFFFFFFFFFFFFFFFFF
    with _lock:
        # Within a millisecond, or after the clock stepped back, count on from the last id.
        now = max(now, _last + 1)
        _last = now
    return UUID(int=now & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62)
