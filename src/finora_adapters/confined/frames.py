"""What host and child say to each other: JSON values, each after its length."""

import json
import struct
from typing import Any

MOST = 8 << 20
"""Bytes of one frame. A hostile one of 8 MiB takes some 200 when it is read."""
_LENGTH = struct.Struct("!I")


class BadFrame(Exception):
    """What came is no frame; the message says why."""


def framed(value: object) -> bytes:
    """Raises ValueError for what is no JSON, or is too long."""
    # As ASCII, so that a lone surrogate, which a file may hold, goes too.
    said = json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")
    if len(said) > MOST:
        raise ValueError(f"it is longer than {MOST >> 20} MiB")
    return _LENGTH.pack(len(said)) + said


class Unframing:
    """Makes frames of bytes as they come, and holds no more than one of them."""

    def __init__(self) -> None:
        self._held = bytearray()

    def add(self, received: bytes) -> None:
        self._held += received

    def next(self) -> Any:
        """The next frame's value; None until it is there. Raises BadFrame."""
        if len(self._held) < _LENGTH.size:
            return None
        [length] = _LENGTH.unpack_from(self._held)
        if length > MOST:
            raise BadFrame(f"it says {length} bytes at once, of {MOST} that it may")
        end = _LENGTH.size + length
        if len(self._held) < end:
            return None
        said = bytes(self._held[_LENGTH.size : end])
        del self._held[:end]
        try:
            value = json.loads(said)
        except (ValueError, RecursionError):
            raise BadFrame("it says what is no JSON") from None
        if not isinstance(value, dict):
            raise BadFrame("it says what is no object")
        return value
