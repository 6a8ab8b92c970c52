"""Ids: UUID version 7 (RFC 9562), so that rows made together lie together in an index."""

import hashlib
import os
import threading
import time
from uuid import UUID

_lock = threading.Lock()
_last = 0
_RANDOM = (1 << 74) - 1


def new_id() -> UUID:
    """A UUIDv7: 48 bits of milliseconds, 74 random bits; ids of one process never go backwards."""
    global _last
    random = int.from_bytes(os.urandom(10)) & _RANDOM
    now = time.time_ns() // 1_000_000 << 74 | random
    with _lock:
        # Within a millisecond, or after the clock stepped back, count on from the last id.
        now = max(now, _last + 1)
        _last = now
    # Version and variant are set between the bits, not over them: else the order would be lost.
    stamp, high, low = now >> 74, now >> 62 & 0xFFF, now & 0x3FFFFFFFFFFFFFFF
    return UUID(int=stamp << 80 | 0x7 << 76 | high << 64 | 0x2 << 62 | low)


def derived_id(*parts: str) -> UUID:
    """The same id for the same parts, always: a double click is one thing (RFC 9562, version 8)."""
    # Length first, so that ("ab", "c") and ("a", "bc") differ.
    text = b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in parts)
    digest = int.from_bytes(hashlib.sha256(text).digest()[:16])
    return UUID(int=digest & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62)
