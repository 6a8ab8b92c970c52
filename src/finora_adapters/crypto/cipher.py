"""AES-256-GCM, by `cryptography`."""

import secrets
from typing import TYPE_CHECKING

from finora_core.kernel.errors import Unavailable
from finora_core.secrets.model import NotGenuine, Sealed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class CryptographyMissing(Unavailable):
    """Sealing needs the package cryptography: install finora[auth]."""

    code = "CRYPTOGRAPHY_MISSING"


class AesGcm:
    """A random nonce each time: with a key for every tenant, nobody comes near the four thousand
    million messages of one key after which two might be alike. The table refuses a second one."""

    def seal(self, key: bytes, plain: bytes, place: bytes) -> Sealed:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return Sealed(nonce, _gcm(key).encrypt(nonce, plain, place))

    def open(self, key: bytes, sealed: Sealed, place: bytes) -> bytes:
        gcm = _gcm(key)
        from cryptography.exceptions import InvalidTag

        try:
            return gcm.decrypt(sealed.nonce, sealed.content, place)
        except (InvalidTag, ValueError) as error:
            # A nonce or a content of no possible length is a ValueError.
            raise NotGenuine("what was stored is not what was sealed for this place") from error


def _gcm(key: bytes) -> "AESGCM":
    # Late: who seals nothing needs no such library.
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise CryptographyMissing("sealing needs cryptography: install finora[auth]") from error
    return AESGCM(key)
