"""Ed25519, with which anchors are signed.

`cryptography` is imported when a key is used, not before.
"""

import os
import secrets
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs

from finora_adapters.settings import Settings, refusal
from finora_core.kernel.errors import Unavailable

SEED_BYTES = 32
_FILE = "anchor.key"


class AnchorKeyUnset(Unavailable):
    """Anchors are signed with a key that production is given, in FINORA_ANCHOR_KEY, and never makes
    by itself."""

    code = "ANCHOR_KEY_UNSET"


@attrs.define(slots=False)  # for cached_property
class Ed25519:
    """A private key, by its seed."""

    seed: bytes = attrs.field(repr=False)

    @cached_property
    def public_key(self) -> bytes:
        found: bytes = self._key.public_key().public_bytes_raw()
        return found

    def sign(self, message: bytes) -> bytes:
        signature: bytes = self._key.sign(message)
        return signature

    @cached_property
    def _key(self) -> Any:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.seed)


def verifies(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the signature is the key's."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def anchor_key(settings: Settings) -> Ed25519:
    """The key of the settings; on a laptop that of a file in the data folder, made on first use.
    Raises AnchorKeyUnset, BadSettings."""
    if find_spec("cryptography") is None:
        raise refusal((("FINORA_ANCHOR_KEY", "it needs cryptography: install finora[auth]"),))
    if settings.anchor_key is not None:
        return Ed25519(bytes.fromhex(settings.anchor_key.get_secret_value()))
    if settings.env == "production":
        raise AnchorKeyUnset("FINORA_ANCHOR_KEY is not set, so nothing can be signed")
    path = settings.data / _FILE
    if not path.exists():
        _make(path)
    try:
        seed = bytes.fromhex(path.read_text().strip())
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES:
        raise refusal((("FINORA_ANCHOR_KEY", f"{path} does not hold a key of 64 digits"),))
    return Ed25519(seed)


def anchor_keys(settings: Settings) -> frozenset[bytes]:
    """The public keys whose anchors are ours. Raises AnchorKeyUnset where there is none."""
    named = (each.strip() for each in settings.anchor_public_keys.split(","))
    known = frozenset(bytes.fromhex(each) for each in named if each)
    if known and settings.env == "production" and settings.anchor_key is None:
        return known
    return known | {anchor_key(settings).public_key}


def _make(path: Path) -> None:
    """A new key in a file that only we read; of two that come at once, the first one's stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as written:
            written.write(secrets.token_hex(SEED_BYTES) + "\n")
            written.flush()
            os.fsync(written.fileno())
        try:
            os.link(part, path)
        except FileExistsError:
            return
    finally:
        part.unlink(missing_ok=True)
