"""What sign-in rests on: ports that decide whether somebody is who they say, and their refusals.

None of them keeps anything. That a challenge, a nonce or a code is used once is for the caller.
"""

import functools
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar
from uuid import UUID

import attrs

from finora_core.identity.common_passwords import is_common
from finora_core.kernel.errors import Invalid, NotFound, Unauthenticated, Unavailable

PASSWORD_LEAST, PASSWORD_MOST = 10, 256


class PasswordWeak(Invalid):
    """The password is too short, too long, or among the first that would be guessed."""

    code = "PASSWORD_WEAK"


class LoginBusy(Unavailable):
    """More passwords wait to be checked than can be soon; `retry_after` says for how long."""

    code = "LOGIN_BUSY"


class BadPasskey(Invalid):
    """What the browser sent is no new passkey for this site and this challenge."""

    code = "BAD_PASSKEY"


class PasskeyRefused(Unauthenticated):
    """The passkey did not sign this site's challenge."""

    code = "PASSKEY_REFUSED"


class PasskeyCloned(Unauthenticated):
    """The passkey's counter did not rise, so a copy of it is in use somewhere."""

    code = "PASSKEY_CLONED"


class BadWalletAddress(Invalid):
    """The text is no wallet address, or the case of its letters does not check."""

    code = "BAD_WALLET_ADDRESS"


class BadWalletMessage(Invalid):
    """The text is no sign-in message of EIP-4361."""

    code = "BAD_WALLET_MESSAGE"


class WalletRefused(Unauthenticated):
    """The wallet did not sign this message, or it is for another site or another time."""

    code = "WALLET_REFUSED"


class TelegramRefused(Unauthenticated):
    """What was sent is not from Telegram for this bot, is too old, or is a bot's."""

    code = "TELEGRAM_REFUSED"


class IssuerNotFound(NotFound):
    """There is no issuer of this name to sign in with."""

    code = "ISSUER_NOT_FOUND"


class IssuerRefused(Unauthenticated):
    """The issuer did not say who signs in, or what it said does not prove it."""

    code = "ISSUER_REFUSED"


class IssuerUnavailable(Unavailable):
    """The issuer does not answer, or not as it should; try again."""

    code = "ISSUER_UNAVAILABLE"


# --- passwords -----------------------------------------------------------------------------------


def normalised(password: str) -> str:
    """The same text however a keyboard composed it."""
    return unicodedata.normalize("NFKC", password)


def check_password(password: str, email: str | None = None) -> str:
    """The password, normalised, if it is one that can be set. Raises PasswordWeak."""
    # The length first: normalising takes longer than its input grows.
    text = normalised(password) if len(password) <= PASSWORD_MOST else password
    if not PASSWORD_LEAST <= len(text) <= PASSWORD_MOST:
        raise PasswordWeak(f"a password has {PASSWORD_LEAST} to {PASSWORD_MOST} characters")
    if any(unicodedata.category(character) == "Cs" for character in text):
        raise PasswordWeak("a password is made of whole characters")
    folded = text.casefold()
    if len(set(folded)) == 1:
        raise PasswordWeak("a password is more than one character, repeated")
    address = normalised(email).casefold() if email else ""
    if folded in (address, address.partition("@")[0]):
        raise PasswordWeak("a password is not the e-mail address")
    if is_common(folded):
        raise PasswordWeak("this is one of the most used passwords, or little more than that")
    return text


class Passwords(Protocol):
    def admission(self) -> AbstractContextManager[None]:
        """For all that a sign-in does, from before anything is looked up: what is checked within
        is admitted with it. Raises LoginBusy where too many are."""

    def hash(self, password: str) -> str:
        """What to keep of a password. Raises LoginBusy."""

    def verify(self, digest: str | None, password: str) -> bool:
        """Whether the password is the one kept. None, for nobody, takes as long and says False.
        Raises LoginBusy."""

    def outdated(self, digest: str) -> bool:
        """Whether it was made with other parameters than would be used now."""


class _Checking(Protocol):
    @property
    def passwords(self) -> Passwords: ...


Service = TypeVar("Service", bound=_Checking)
Params = ParamSpec("Params")
Result = TypeVar("Result")


def admitted(
    use_case: Callable[Concatenate[Service, Params], Result],
) -> Callable[Concatenate[Service, Params], Result]:
    """Run a use case that checks or sets a password under one admission: a flood of them must not
    become one of transactions, and of threads that wait for each other's."""

    @functools.wraps(use_case)
    def run(self: Service, /, *args: Params.args, **kwargs: Params.kwargs) -> Result:
        with self.passwords.admission():
            return use_case(self, *args, **kwargs)

    return run


# --- one-time codes ------------------------------------------------------------------------------


class OneTimeCodes(Protocol):
    def new_secret(self) -> bytes: ...

    def uri(self, secret: bytes, account: str, issuer: str) -> str:
        """What an authenticator app reads from a picture."""

    def step(self, secret: bytes, code: str, now: datetime, after: int | None) -> int | None:
        """The step of time that the code is of, to be kept as `after` for the next; None where it
        is wrong, or not later than `after`."""


# --- passkeys ------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Passkey:
    id: bytes
    public_key: bytes
    sign_count: int
    synced: bool
    """Whether its owner's other devices have it too."""


class Passkeys(Protocol):
    def registration(
        self, challenge: bytes, user_id: UUID, name: str, exclude: Sequence[bytes]
    ) -> dict[str, Any]:
        """What a browser's `navigator.credentials.create` is given; `exclude` are the ids of the
        passkeys that the user has."""

    def register(self, response: Mapping[str, Any], challenge: bytes) -> Passkey:
        """The passkey that the browser made. Raises BadPasskey."""

    def assertion(self, challenge: bytes, allow: Sequence[bytes]) -> dict[str, Any]:
        """What a browser's `navigator.credentials.get` is given; `allow` nothing for any passkey
        of this site."""

    def identify(self, response: Mapping[str, Any]) -> bytes:
        """The id of the passkey that a browser's answer claims, unproven. Raises PasskeyRefused."""

    def assert_(self, response: Mapping[str, Any], challenge: bytes, passkey: Passkey) -> int:
        """The passkey's new sign count. Raises PasskeyRefused, PasskeyCloned."""


# --- wallets -------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Wallet:
    """Who signed, where, and the nonce that is used up by it."""

    address: str
    chain_id: int
    nonce: str


class Wallets(Protocol):
    def checksum(self, address: str) -> str:
        """The address as EIP-55 writes it; one case throughout is taken too. Raises
        BadWalletAddress."""

    def message(
        self,
        *,
        domain: str,
        address: str,
        uri: str,
        chain_id: int,
        nonce: str,
        issued_at: datetime,
        expires_at: datetime | None = None,
        statement: str | None = None,
    ) -> str:
        """The text of EIP-4361 to be signed. Raises BadWalletAddress, BadWalletMessage."""

    def verify(self, text: str, signature: str, domain: str, now: datetime) -> Wallet:
        """Who signed the text for this domain. Raises BadWalletMessage, WalletRefused."""


# --- Telegram ------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class TelegramUser:
    id: int
    name: str
    username: str | None
    digest: bytes
    """Of what was sent: the same again where the same is sent again."""


class Telegram(Protocol):
    def widget(self, data: Mapping[str, str | int], now: datetime) -> TelegramUser:
        """Who signed in with the login button of a page. Raises TelegramRefused."""

    def launch(self, init_data: str, now: datetime) -> TelegramUser:
        """Who opened the mini app, by its `initData` as it came. Raises TelegramRefused."""


# --- issuers -------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Identified:
    """A person as an issuer knows them; issuer and subject together never change."""

    issuer: str
    subject: str
    email: str | None
    email_verified: bool
    name: str | None


class Issuers(Protocol):
    @property
    def names(self) -> Sequence[str]:
        """Those that can be signed in with."""

    def start(self, name: str, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where to send the browser. State, nonce and verifier are random and kept for its return.
        Raises IssuerNotFound, IssuerUnavailable."""

    def finish(
        self,
        name: str,
        code: str,
        redirect_uri: str,
        verifier: str,
        nonce: str,
        iss: str | None,
    ) -> Identified:
        """Who came back with this code; `iss` is the parameter of that name, where there was one.
        Raises IssuerNotFound, IssuerRefused, IssuerUnavailable."""


@attrs.frozen(kw_only=True)
class Claims:
    """What a token of an external issuer says."""

    issuer: str
    subject: str
    tenant: str | None
    role: str | None
    expires_at: datetime
    proven_at: datetime | None = None
    """When its subject last signed in there, if it says so."""


class ExternalIssuer(Protocol):
    def issued(self, token: str) -> bool:
        """Whether the text says to be of this issuer, unproven."""

    def verify(self, token: str) -> Claims:
        """Raises TokenInvalid, IssuerUnavailable."""


# --- own tokens ----------------------------------------------------------------------------------


class SigningKey(Protocol):
    @property
    def kid(self) -> str: ...

    @property
    def retires_at(self) -> datetime | None: ...

    def derive(self, purpose: str) -> bytes:
        """A key for this purpose alone."""


class SigningKeys(Protocol):
    def current(self) -> SigningKey: ...

    def find(self, kid: str) -> SigningKey | None: ...

    def all(self) -> Sequence[SigningKey]:
        """Those that verify."""


class Tokens(Protocol):
    """Signed texts that say something until they end, to whoever shows them."""

    def sign(
        self,
        kind: str,
        claims: Mapping[str, str | int],
        *,
        expires_at: datetime,
        issued_at: datetime,
    ) -> str:
        """The same text for the same claims, times and key."""

    def signed(
        self,
        kind: str,
        claims: Mapping[str, str | int],
        *,
        expires_at: datetime,
        issued_at: datetime,
    ) -> Sequence[str]:
        """What `sign` gave, or gives, by each of the keys that verify."""

    def read(self, kind: str, text: str, now: datetime) -> Mapping[str, str | int]:
        """The claims, with `iat` and `exp` in seconds. Raises TokenInvalid, for a token of another
        kind too."""
