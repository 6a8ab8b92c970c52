"""Small things sealed under the key-encryption key itself: for what belongs to no tenant."""

import attrs

from finora_core.secrets.model import Wrapped
from finora_core.secrets.ports import KeyRing

_VERSION_BYTES = 8


@attrs.frozen
class RingBox:
    """Sealed: the version of the key, eight bytes, then nonce, content and tag."""

    ring: KeyRing

    def seal(self, plain: bytes, place: bytes) -> bytes:
        wrapped = self.ring.wrap(plain, place)
        return wrapped.version.to_bytes(_VERSION_BYTES) + wrapped.content

    def open(self, sealed: bytes, place: bytes) -> bytes:
        version = int.from_bytes(sealed[:_VERSION_BYTES])
        return self.ring.unwrap(Wrapped(version, sealed[_VERSION_BYTES:]), place)
