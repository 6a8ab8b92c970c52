"""Secrets and keys.

A **secret** is a sealed credential of a third party, of one person in one tenant. Each of its
fields is sealed by a **data key** of the tenant; data keys, and the keys that sign tokens, lie in
the database wrapped by a **key-encryption key**, which does not.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar, Never, Self
from uuid import UUID

import attrs

from finora_core.kernel.errors import Conflict, FinoraError, Invalid, NotFound, Unavailable
from finora_core.kernel.events import Plain

KEY_BYTES = 32
MAX_FIELDS = 16
MAX_FIELD_TEXT = 4_096
MAX_AGE = timedelta(days=90)
"""After so long a key should be another."""
GRACE = timedelta(days=7)
"""For so long a signing key verifies after another took its place."""

INSTITUTION = r"[a-z][a-z0-9._-]{0,63}"
FIELD = r"[a-z][a-z0-9_]{0,39}"
_FIELD = re.compile(FIELD)
_CODE = re.compile(INSTITUTION)


class SecretNotFound(NotFound):
    """There is no such credential of this person in this tenant."""

    code = "SECRET_NOT_FOUND"


class BadSecret(Invalid):
    """A credential has an institution, a type, and 1 to 16 fields of up to 4096 characters."""

    code = "BAD_SECRET"


class SecretInactive(Conflict):
    """The credential's time is over, or its institution no longer takes it; put a new one."""

    code = "SECRET_INACTIVE"


class SecretDamaged(Conflict):
    """What is stored is not what was sealed, in this place; put the credential again."""

    code = "SECRET_DAMAGED"


class SecretKeyMissing(Unavailable):
    """What is asked for was sealed under a key that FINORA_SECRET_KEYS does not have."""

    code = "SECRET_KEY_MISSING"


class SecretKeyWrong(Unavailable):
    """FINORA_SECRET_KEYS has another key under this version than the one that sealed."""

    code = "SECRET_KEY_WRONG"


class KeysLeft(Conflict):
    """All keys were moved but some that do not open; `facts` has how many."""

    code = "SECRET_KEYS_LEFT"


class NotGenuine(FinoraError):
    """Another key, another place, or another content than what was sealed."""


class SecretText:
    """A text that shows itself to nobody but whoever calls `reveal`: not printed, not logged, not
    written as JSON, not pickled, and no attribute that a dump of attributes would find."""

    __slots__ = ("__text",)
    __text: str

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "_SecretText__text", text)

    def reveal(self) -> str:
        """The text itself, for the call that needs it."""
        return self.__text

    def __repr__(self) -> str:
        return "[secret]"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "[secret]"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretText):
            return NotImplemented
        mine, theirs = (
            each.encode("utf-8", "surrogatepass") for each in (self.__text, other.__text)
        )
        return hmac.compare_digest(mine, theirs)

    # A set of them would tell which are equal.
    __hash__ = None  # type: ignore[assignment]  # as the data model has it

    def __setattr__(self, name: str, value: object) -> Never:
        raise AttributeError("a secret text does not change")

    def __delattr__(self, name: str) -> Never:
        raise AttributeError("a secret text does not change")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __getstate__(self) -> Never:
        raise TypeError("a secret text is not pickled")

    def __reduce_ex__(self, protocol: object) -> Never:
        raise TypeError("a secret text is not pickled")


@attrs.frozen(kw_only=True)
class Secret:
    """A credential as it is shown: everything but what is secret."""

    id: UUID
    user_id: UUID
    institution: str
    type: str
    fields: tuple[str, ...]
    """Their names."""
    version: int
    """One up with every replacement."""
    is_active: bool
    """False once its institution no longer takes it."""
    created_at: datetime
    changed_at: datetime
    """When it was last put."""
    last_used_at: datetime | None
    expires_at: datetime | None
    sync_blocked_until: datetime | None
    """Its institution asked to be left alone until then."""
    failures: int
    """In a row, since it last worked."""

    def require_usable(self, now: datetime) -> None:
        """Raise SecretInactive."""
        if not self.is_active:
            raise SecretInactive(f"{self.institution} no longer takes this credential")
        if self.expires_at is not None and self.expires_at <= now:
            raise SecretInactive(f"this credential of {self.institution} ended")


def checked_fields(fields: Mapping[str, str | SecretText]) -> dict[str, SecretText]:
    """The fields of a new secret. Raises BadSecret, whose message holds nothing of them."""
    if not 1 <= len(fields) <= MAX_FIELDS:
        raise BadSecret(f"a credential has 1 to {MAX_FIELDS} fields")
    found = {}
    for name, value in fields.items():
        if not _FIELD.fullmatch(name):
            raise BadSecret("a field's name has 1 to 40 of a-z, 0-9 and _, and begins with a-z")
        text = value.reveal() if isinstance(value, SecretText) else value
        if not 1 <= len(text) <= MAX_FIELD_TEXT:
            raise BadSecret(f"a field has 1 to {MAX_FIELD_TEXT} characters")
        # A NUL, or half a character, is no text of anybody's.
        if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
            raise BadSecret("a field is text, and this one is not")
        found[name] = SecretText(text)
    return found


def checked_code(code: str) -> str:
    """An institution or a type. Raises BadSecret, whose message holds nothing of it."""
    if not _CODE.fullmatch(code):
        raise BadSecret(
            "an institution, or a type, has 1 to 64 of a-z, 0-9, '.', '_' and '-', and begins "
            "with a-z"
        )
    return code


# --- keys ----------------------------------------------------------------------------------------


def derive(key: bytes, purpose: str) -> bytes:
    """A key of its own for a purpose (HKDF-SHA256, RFC 5869), from which neither `key` nor that of
    another purpose can be told."""
    drawn = hmac.digest(bytes(hashlib.sha256().digest_size), key, "sha256")
    return hmac.digest(drawn, f"finora {purpose}".encode() + b"\x01", "sha256")


def bound(*parts: object) -> bytes:
    """The place that something is sealed for. Length first, so that ("ab", "c") and ("a", "bc")
    differ."""
    texts = [str(part).encode() for part in parts]
    return b"".join(len(text).to_bytes(4) + text for text in texts)


@attrs.frozen
class Sealed:
    """`content` ends with the tag that proves it."""

    nonce: bytes
    content: bytes = attrs.field(repr=False)


@attrs.frozen
class Wrapped:
    """A key under the key-encryption key of that version."""

    version: int
    content: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class DataKey:
    """A key of one tenant, as it is stored."""

    id: UUID
    wrapped: Wrapped
    created_at: datetime


@attrs.frozen(kw_only=True)
class SealedField:
    """One field of a secret, as it is stored."""

    secret_id: UUID
    user_id: UUID
    institution: str
    version: int
    name: str
    data_key_id: UUID
    sealed: Sealed

    def place(self, tenant_id: UUID) -> bytes:
        """What it is bound to: in any other tenant, row, version or field, of another person or for
        another institution, it does not open."""
        return bound("secret", tenant_id, self.secret_id, self.version, self.name, self.user_id,
                     self.institution)  # fmt: skip


def place_of_data_key(tenant_id: UUID, key_id: UUID) -> bytes:
    return bound("data key", tenant_id, key_id)


def place_of_signing_key(kid: str) -> bytes:
    return bound("signing key", kid)


@attrs.frozen(kw_only=True)
class SigningKey:
    """A key that signs tokens, or, once it has `retires_at`, only verifies them until then."""

    kid: str
    secret: bytes = attrs.field(repr=False)
    created_at: datetime
    retires_at: datetime | None

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one kind of token, so that none can stand for another."""
        return derive(self.secret, purpose)


@attrs.frozen(kw_only=True)
class KeyAge:
    """How old one key is."""

    kind: str
    """`key-encryption key`, `data key` or `signing key`."""
    name: str
    """Version, count or kid."""
    created_at: datetime | None
    """None for one that was never used."""
    days: int | None
    old: bool
    """Whether it should have been replaced."""
    said: str
    """Its state, for people."""


@attrs.frozen(kw_only=True)
class KeyUse:
    """What one key-encryption key is for."""

    version: int
    first_used_at: datetime | None = None
    data_keys: int = 0
    oldest: datetime | None = None
    """Of those data keys."""


# --- what happened -------------------------------------------------------------------------------


@attrs.frozen
class SecretPut:
    type: ClassVar[str] = "secret.put"

    secret_id: UUID
    version: int

    def payload(self) -> Mapping[str, Plain]:
        return {"secret": str(self.secret_id), "version": self.version}


@attrs.frozen
class SecretOpened:
    type: ClassVar[str] = "secret.opened"

    secret_id: UUID
    version: int

    def payload(self) -> Mapping[str, Plain]:
        return {"secret": str(self.secret_id), "version": self.version}


@attrs.frozen
class SecretRemoved:
    type: ClassVar[str] = "secret.removed"

    secret_id: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"secret": str(self.secret_id)}


@attrs.frozen
class SecretStopped:
    """Its institution no longer takes it."""

    type: ClassVar[str] = "secret.stopped"

    secret_id: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"secret": str(self.secret_id)}


@attrs.frozen
class RewrapAsked:
    """Every key is to be moved under the key-encryption key of that version."""

    type: ClassVar[str] = "secrets.rewrap_asked"

    version: int

    def payload(self) -> Mapping[str, Plain]:
        return {"version": self.version}


@attrs.frozen
class ResealAsked:
    """Every data key made before that moment is to be replaced."""

    type: ClassVar[str] = "secrets.reseal_asked"

    before: datetime

    def payload(self) -> Mapping[str, Plain]:
        return {"before": self.before.isoformat()}
