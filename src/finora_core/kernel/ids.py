"""Ids: UUID version 7 (RFC 9562), so that rows made together lie together in an index."""

import hashlib
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


def derived_id(*parts: str) -> UUID:
    """The same id for the same parts, always: a double click is one thing (RFC 9562, version 8)."""
    # Length first, so that ("ab", "c") and ("a", "bc") differ.
    text = b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in parts)
    digest = int.from_bytes(hashlib.sha256(text).digest()[:16])
    return UUID(int=digest & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62)
