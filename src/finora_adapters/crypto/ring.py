"""The key-encryption keys: of the settings, or of a file beside the embedded database."""

import os
import secrets
import stat
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

import attrs

from finora_adapters.crypto.cipher import NONCE_BYTES
from finora_adapters.settings import Settings, refusal, secret_keys_of
from finora_core.secrets.model import (
    KEY_BYTES,
    NotGenuine,
    Sealed,
    SecretKeyMissing,
    SecretKeyWrong,
    Wrapped,
    derive,
)
from finora_core.secrets.ports import Cipher

FILE = "secret.keys"


@attrs.define(slots=False)  # the keys are read once, when they are first needed
class SecretKeys:
    """Each key is used through keys derived from it, one a purpose, and never itself."""

    cipher: Cipher
    read: Callable[[], Mapping[int, bytes]] = attrs.field(repr=False)

    @cached_property
    def _keys(self) -> Mapping[int, bytes]:
        return self.read()

    @property
    def newest(self) -> int:
        return next(iter(self._keys))

    @property
    def versions(self) -> Collection[int]:
        return self._keys.keys()

    def wrap(self, key: bytes, place: bytes) -> Wrapped:
        sealed = self.cipher.seal(self._of(self.newest, "wrapping"), key, place)
        return Wrapped(self.newest, sealed.nonce + sealed.content)

    def unwrap(self, wrapped: Wrapped, place: bytes) -> bytes:
        sealed = Sealed(wrapped.content[:NONCE_BYTES], wrapped.content[NONCE_BYTES:])
        try:
            return self.cipher.open(self._of(wrapped.version, "wrapping"), sealed, place)
        except NotGenuine as error:
            raise SecretKeyWrong(
                f"a key does not open under key {wrapped.version} of FINORA_SECRET_KEYS: that is "
                "another one than it was wrapped by, or the row was changed"
            ) from error

    def check(self, version: int) -> bytes:
        return self._of(version, "check")

    def derive(self, purpose: str) -> bytes:
        return self._of(self.newest, purpose)

    def derived(self, purpose: str) -> Sequence[bytes]:
        """Of every version one key, the newest first."""
        return [self._of(version, purpose) for version in self.versions]

    def _of(self, version: int, purpose: str) -> bytes:
        key = self._keys.get(version)
        if key is None:
            raise SecretKeyMissing(f"FINORA_SECRET_KEYS has no key {version}, which it needs")
        return derive(key, purpose)


def secret_keys(settings: Settings, cipher: Cipher) -> SecretKeys:
    """Those of the settings, or else of the data folder's file, which is made when a key is first
    needed. Reads nothing yet."""
    given = settings.secret_keys
    if given is not None:
        return SecretKeys(cipher, partial(secret_keys_of, given.get_secret_value()))
    return SecretKeys(cipher, partial(_of_file, settings.data / FILE))


def _of_file(path: Path) -> Mapping[int, bytes]:
    """Raises BadSettings where the file is not ours alone, or no keys are in it."""
    if not path.exists():
        _make(path)
    mode = path.stat().st_mode
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise refusal((("FINORA_SECRET_KEYS", f"others can read {path}: chmod 600 it"),))
    try:
        return secret_keys_of(path.read_text())
    except ValueError as error:
        said = f"{path} is damaged: {error}; take it from a backup, or see docs/secrets.md"
        raise refusal((("FINORA_SECRET_KEYS", said),)) from None


def _make(path: Path) -> None:
    """A file with one key, whole when it appears, and of all who make it at once the first one's.

    Its version is the present second: a key that is made after the file was lost must not have the
    lost one's."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    version = datetime.now(UTC).strftime("%Y%m%d%H%M%S")
    part = path.with_name(f".{FILE}.{secrets.token_hex(8)}")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{version}:{secrets.token_hex(KEY_BYTES)}\n")
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, replaces nothing.
        with suppress(FileExistsError):
            os.link(part, path)
    finally:
        part.unlink(missing_ok=True)
    if os.name == "posix":
        # The name is durable when its folder is.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
