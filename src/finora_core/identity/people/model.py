"""People and the identities by which they sign in."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

import attrs

from finora_core.identity.roles import PlatformRole
from finora_core.kernel.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from finora_core.kernel.events import Plain
from finora_core.kernel.plain import canonical

CODE_TRIES = 5
MOST_PREFERENCES, MOST_PREFERENCE_BYTES = 50, 4096

Preferences = Mapping[str, str | bool | int]
"""What pages keep of a person; Finora reads none of it."""
_PREFERENCE = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)


class EmailTaken(Conflict):
    """Somebody signed up with this address before."""

    code = "EMAIL_TAKEN"


class IdentityTaken(Conflict):
    """This passkey, wallet or account is somebody's already."""

    code = "IDENTITY_TAKEN"


class IdentityNotFound(NotFound):
    """There is no such passkey, wallet, address or account of this person."""

    code = "IDENTITY_NOT_FOUND"


class LastIdentity(Conflict):
    """Without it the person could not sign in any more."""

    code = "LAST_IDENTITY"


class PersonNotFound(NotFound):
    """There is no such person."""

    code = "PERSON_NOT_FOUND"


class BadProfile(Invalid):
    """The name, locale or currency is not sound."""

    code = "BAD_PROFILE"


class BadPreferences(Invalid):
    """Preferences are texts, truth values and whole numbers under names, in all at most 4 kB."""

    code = "BAD_PREFERENCES"


class LinkInvalid(Invalid):
    """The link or code is not one of ours, was used, or its time has run out."""

    code = "LINK_INVALID"


class AddressUnproven(Forbidden):
    """This is for whoever has shown that the address is theirs, by its letter."""

    code = "ADDRESS_UNPROVEN"


class AccountBanned(Forbidden):
    """An administrator closed the account."""

    code = "ACCOUNT_BANNED"


class AdminProtected(Forbidden):
    """What is asked for cannot be done to an administrator, or to make one, over the API."""

    code = "ADMIN_PROTECTED"


class UnknownRole(Invalid):
    """There is no role of this name."""

    code = "UNKNOWN_ROLE"


class StepUpRequired(Forbidden):
    """This needs a fresh proof of who asks: POST /auth/step-up, then again."""

    code = "STEP_UP_REQUIRED"


class FactorRefused(Unauthenticated):
    """The one-time code is wrong, or was used before."""

    code = "CODE_INVALID"


class FactorMissing(Unauthenticated):
    """The account asks for a one-time code too. `details` has a `ticket`: POST /auth/finish takes
    it with the code, within five minutes."""

    code = "CODE_REQUIRED"


class FactorExists(Conflict):
    """One-time codes are on already; switch them off first."""

    code = "CODES_ON"


class IdentityKind(StrEnum):
    EMAIL = "email"
    PASSKEY = "passkey"
    WALLET = "wallet"
    OIDC = "oidc"
    TELEGRAM = "telegram"


@attrs.frozen(kw_only=True)
class Identity:
    """Something by which a person is known: unique by kind, issuer and subject.

    An e-mail address's issuer is empty and its subject the address's key; a passkey's are the site
    and the credential's id; a wallet's `eip155` and the checksummed address; an account's its
    issuer's URL and its id there; Telegram's the bot's id and the user's.
    """

    id: UUID
    kind: IdentityKind
    issuer: str
    subject: str
    label: str
    """What its owner sees: the address as it was written, the passkey's name."""
    verified_at: datetime | None
    created_at: datetime | None = None
    used_at: datetime | None = None
    data: Mapping[str, str | int | bool] = attrs.field(factory=dict, repr=False)
    """Of a passkey: `public_key` (base64url) and `sign_count`."""


@attrs.frozen(kw_only=True)
class Person:
    user_id: UUID
    home_id: UUID | None
    """The personal tenant; None of a host's own user, who does not sign in."""
    name: str
    locale: str
    currency: str
    roles: tuple[PlatformRole, ...] = ()
    password: str | None = attrs.field(default=None, repr=False)
    codes: bytes | None = attrs.field(default=None, repr=False)
    """The sealed secret of one-time codes; None where they are off."""
    code_step: int | None = None
    """The last time step whose code was used: none is taken twice."""
    banned_at: datetime | None = None
    preferences: Preferences = attrs.field(factory=dict)
    erased_at: datetime | None = None
    """From then on there is nobody: rows of others name the id, and that is all there is."""
    created_at: datetime | None = None

    def __attrs_post_init__(self) -> None:
        if not 0 <= len(self.name) <= 200 or (self.name and not self.name.isprintable()):
            raise BadProfile("a name has at most 200 printable characters")
        if not 2 <= len(self.locale) <= 35 or not self.locale.replace("-", "").isalnum():
            raise BadProfile(f"{self.locale[:40]!r} is not a locale such as en or de-AT")


def require_person(person: Person | None) -> Person:
    """Raise PersonNotFound for nobody, a host's own user, and who was erased."""
    if person is None or person.home_id is None:
        raise PersonNotFound("whoever asks did not sign up here")
    return person


def require_proven(identities: Iterable[Identity]) -> None:
    """Raise AddressUnproven for who signed up with an address and has not shown to have it."""
    mails = [each for each in identities if each.kind is IdentityKind.EMAIL]
    if mails and not any(each.verified_at for each in mails):
        raise AddressUnproven("open the link of the letter first that came to your address")


def with_preferences(known: Preferences, change: Mapping[str, object]) -> Preferences:
    """Those known, as the change says: None takes one away. Raises BadPreferences."""
    found = {name: value for name, value in known.items() if name not in change}
    for name, value in change.items():
        if not _PREFERENCE.fullmatch(name):
            said = "a name has 1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `:` and `-`"
            raise BadPreferences(said, details=((name[:64], said),))
        match value:
            case None:
                continue
            case bool():
                good = True
            case int():
                # What a page reads as a number stays what it is.
                good = abs(value) < 1 << 53
            case str():
                good = not any(ord(each) == 0 or 0xD800 <= ord(each) < 0xE000 for each in value)
            case _:
                good = False
        if not isinstance(value, str | bool | int) or not good:
            said = "this is no text, truth value or whole number that can be kept"
            raise BadPreferences(said, details=((name, said),))
        found[name] = value
    size = len(canonical(found).encode())
    if len(found) > MOST_PREFERENCES or size > MOST_PREFERENCE_BYTES:
        raise BadPreferences(
            f"at most {MOST_PREFERENCES} preferences, in {MOST_PREFERENCE_BYTES} bytes; these "
            f"would be {len(found)} in {size}"
        )
    return found


@attrs.frozen(kw_only=True)
class Listing:
    """A person as administrators see one."""

    user_id: UUID
    name: str
    email: str | None
    roles: tuple[PlatformRole, ...]
    created_at: datetime
    banned_at: datetime | None


@attrs.frozen(kw_only=True)
class Found:
    """A person that an identity belongs to."""

    user_id: UUID
    home_id: UUID
    identity_id: UUID


class Purpose(StrEnum):
    """What a link or code in a letter is for."""

    VERIFY = "verify"
    RESET = "reset"
    MAGIC = "magic"
    CODE = "code"

    @property
    def lasts(self) -> timedelta:
        return _LASTS[self]


_LASTS: Mapping[Purpose, timedelta] = {
    Purpose.VERIFY: timedelta(hours=24),
    Purpose.RESET: timedelta(hours=1),
    Purpose.MAGIC: timedelta(minutes=15),
    Purpose.CODE: timedelta(minutes=5),
}


@attrs.frozen(kw_only=True)
class Challenge:
    """A link or code that was sent, good for one use. The row has no secret: link and code are
    signatures over its id, made anew where they are needed."""

    id: UUID
    purpose: Purpose
    identity_id: UUID
    expires_at: datetime
    used_at: datetime | None = None
    tries: int = 0


# --- events ---


@attrs.frozen
class PersonRegistered:
    type: ClassVar[str] = "person.registered"

    user_id: UUID
    by: str
    """Kind of the identity."""

    def payload(self) -> Mapping[str, Plain]:
        return {"user": str(self.user_id), "by": self.by}


@attrs.frozen
class LetterAsked:
    """Somebody wants a link or code for an address, which may be nobody's."""

    type: ClassVar[str] = "letter.asked"

    user_id: UUID | None
    identity_id: UUID | None
    purpose: Purpose

    def payload(self) -> Mapping[str, Plain]:
        return {
            "user": None if self.user_id is None else str(self.user_id),
            "identity": None if self.identity_id is None else str(self.identity_id),
            "purpose": self.purpose.value,
        }


@attrs.frozen
class ChallengeMade:
    """A link or code is due to be sent."""

    type: ClassVar[str] = "challenge.made"

    user_id: UUID
    challenge_id: UUID
    purpose: Purpose

    def payload(self) -> Mapping[str, Plain]:
        return {
            "user": str(self.user_id),
            "challenge": str(self.challenge_id),
            "purpose": self.purpose.value,
        }


@attrs.frozen
class IdentityChanged:
    """An identity was linked, verified or taken away."""

    type: ClassVar[str] = "identity.changed"

    user_id: UUID
    identity_id: UUID
    kind: IdentityKind
    change: str
    """linked, verified, removed."""

    def payload(self) -> Mapping[str, Plain]:
        return {
            "user": str(self.user_id),
            "identity": str(self.identity_id),
            "kind": self.kind.value,
            "change": self.change,
        }


@attrs.frozen
class PersonChanged:
    """What a person, or an administrator, changed about the person."""

    type: ClassVar[str] = "person.changed"

    user_id: UUID
    change: str
    """profile, preferences, password, codes_on, codes_off, banned, unbanned, unlocked, roles,
    reset, claimed."""

    def payload(self) -> Mapping[str, Plain]:
        return {"user": str(self.user_id), "change": self.change}
