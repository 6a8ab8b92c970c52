"""What sealing needs of a transaction, of cryptography, and of those who look over all tenants."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from finora_core.kernel.work import Work
from finora_core.secrets.model import (
    DataKey,
    KeyUse,
    Sealed,
    SealedField,
    Secret,
    SigningKey,
    Wrapped,
)


class Cipher(Protocol):
    """Authenticated encryption with a key of 32 bytes, bound to a place."""

    def seal(self, key: bytes, plain: bytes, place: bytes) -> Sealed:
        """Under a nonce that was never used with this key."""

    def open(self, key: bytes, sealed: Sealed, place: bytes) -> bytes:
        """Raises NotGenuine for another key, place, nonce or content."""


class KeyRing(Protocol):
    """The key-encryption keys, which are in no database: each has a version."""

    @property
    def newest(self) -> int:
        """The version that wraps."""

    @property
    def versions(self) -> Collection[int]:
        """Those that unwrap, the newest first."""

    def wrap(self, key: bytes, place: bytes) -> Wrapped:
        """Under the newest."""

    def unwrap(self, wrapped: Wrapped, place: bytes) -> bytes:
        """Raises SecretKeyMissing without its version, SecretKeyWrong where that is another key."""

    def check(self, version: int) -> bytes:
        """32 bytes by which two keys of one version are told apart, and no key is found."""

    def derive(self, purpose: str) -> bytes:
        """A key of its own, from the newest, for what may change with it."""


class Secrets(Protocol):
    """Credentials of the scope's person in the scope's tenant."""

    def find(self, institution: str) -> Secret | None: ...

    def get(self, secret_id: UUID) -> Secret:
        """Raises SecretNotFound."""

    def list(self) -> Sequence[Secret]:
        """By institution."""

    def put(self, secret: Secret, fields: Sequence[SealedField]) -> Secret:
        """Write it, with these fields in place of those it had."""

    def sealed(self, secret_id: UUID) -> tuple[Secret, Sequence[tuple[SealedField, DataKey]]]:
        """The secret and its fields with their keys, as of one moment. Raises SecretNotFound."""

    def used(self, secret_id: UUID) -> None:
        """Note that it was opened now."""

    def worked(self, secret_id: UUID) -> Secret:
        """No failures, no pause. Raises SecretNotFound."""

    def failed(self, secret_id: UUID, blocked_until: datetime | None, stopped: bool) -> Secret:
        """One failure more. Raises SecretNotFound."""

    def remove(self, secret_id: UUID) -> Secret:
        """With its fields. Raises SecretNotFound."""


class DataKeys(Protocol):
    """The tenant's data keys, and what is sealed under them, whoever's it is."""

    def lock(self) -> None:
        """Until this transaction ends, no other one seals for the tenant or changes its keys."""

    def newest(self) -> DataKey | None: ...

    def list(self) -> Sequence[DataKey]: ...

    def add(self, key_id: UUID, wrapped: Wrapped) -> None: ...

    def note(self, version: int, check: bytes) -> None:
        """Note the first use of a key-encryption key. Raises SecretKeyWrong where that version was
        another key."""

    def rewrap(self, key_id: UUID, wrapped: Wrapped) -> None:
        """The same key under another key-encryption key."""

    def fields(self, but: UUID) -> Sequence[SealedField]:
        """What is sealed under any other key than this."""

    def reseal(self, fields: Sequence[SealedField]) -> None:
        """Keep these in place of what was sealed there before."""

    def drop_unused(self) -> int:
        """Delete keys under which nothing is sealed, but for the newest; returns how many."""


class SecretWork(Work, Protocol):
    @property
    def secrets(self) -> Secrets: ...

    @property
    def data_keys(self) -> DataKeys: ...

    @property
    def now(self) -> datetime: ...


class KeyHolders(Protocol):
    """Data keys of all tenants, without the keys. Each call is a transaction of its own."""

    def not_under(self, version: int) -> Sequence[UUID]:
        """Tenants with a data key that another key-encryption key wraps."""

    def older_than(self, before: datetime) -> Sequence[UUID]:
        """Tenants with a data key that was made before that moment."""

    def uses(self) -> Mapping[int, KeyUse]:
        """Every key-encryption key that was ever used, by version."""

    def now(self) -> datetime:
        """The database's present."""


class SigningKeys(Protocol):
    """The keys of our own tokens."""

    def current(self) -> SigningKey:
        """The one that signs. Raises SecretKeyMissing or SecretKeyWrong where it cannot be
        unwrapped."""

    def find(self, kid: str) -> SigningKey | None:
        """One that verifies, or None for one that nobody made or whose time is over. Raises as
        `current` does."""

    def all(self) -> Sequence[SigningKey]:
        """Those that verify and can be unwrapped."""


class SigningKeyStore(SigningKeys, Protocol):
    """What an operator does with them; each call is a transaction of its own."""

    def rotate(self) -> tuple[SigningKey, Sequence[str]]:
        """A new one signs from now on, those before it verify for seven days more; with the kids
        of those that no key unwraps, which are deleted."""

    def rewrap(self) -> int:
        """Move all under the newest key-encryption key; returns how many are left under another
        because it is missing."""

    def list(self) -> Sequence[tuple[str, int, datetime, datetime | None]]:
        """Kid, version of the key-encryption key, made at, retires at; newest first."""
