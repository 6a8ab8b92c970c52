"""What may be used once: a signed request, a challenge, a one-time code."""

from datetime import timedelta
from typing import Protocol


class Nonces(Protocol):
    def spend(self, digest: bytes, ttl: timedelta) -> bool:
        """True for the first to spend it, whoever asks at the same moment; False for all others
        until `ttl` has passed, at least. A transaction of its own: what is spent stays spent,
        whatever becomes of the request. `digest` is 32 bytes: of a secret, its SHA-256."""
