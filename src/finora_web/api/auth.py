"""Signing up and in, and staying in: by password, letter, passkey, wallet, account or Telegram.

Who asks here is nobody yet. Each sign-in gives an access token (15 minutes) and a refresh token
(7 days, good once); `device` is to be kept and sent with the next sign-in.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import attrs
from pydantic import Field

from finora_core.identity.people.model import Purpose
from finora_core.identity.sessions.model import Client, SignedIn
from finora_core.kernel.scope import Scope
from finora_web.contract import In, Listed, Out, Routes, Single, whole
from finora_web.gate import Asked
from finora_web.services import Services

routes = Routes("auth")

# What is signed, random or a URL is of ASCII that prints; nothing else need be looked at.
PLAIN = r"^[!-~]+$"
Email = Annotated[
    str,
    Field(min_length=3, max_length=254, pattern=r"^[^\x00-\x1f\x7f]+$",
          examples=["ada@example.org"]),
]  # fmt: skip
Password = Annotated[str, Field(min_length=1, max_length=1_024, examples=["correct horse battery"])]
Signed = Annotated[str, Field(max_length=4_096, pattern=PLAIN)]
SixDigits = Annotated[str, Field(pattern=r"^[0-9]{6}$", examples=["123456"])]
Device = Annotated[str, Field(max_length=4_096, pattern=PLAIN)]


class Done(Out):
    """It was done; there is nothing more to tell."""

    done: Literal[True] = True


def done(_: object) -> object:
    return {"data": {"done": True}}


class SignedInOut(Out):
    user_id: UUID
    session_id: UUID
    tenant_id: UUID = Field(description="The personal tenant; X-Tenant-Id names another.")
    access_token: str = Field(validation_alias="access")
    refresh_token: str | None = Field(validation_alias="refresh")
    device: str | None = Field(description="To be kept and sent with the next sign-in.")
    expires_at: datetime = Field(description="Of the access token.")


class IdentityOut(Out):
    id: UUID
    kind: Literal["email", "passkey", "wallet", "oidc", "telegram"]
    issuer: str
    label: str
    verified_at: datetime | None
    created_at: datetime | None
    used_at: datetime | None


class PersonOut(Out):
    user_id: UUID
    tenant_id: UUID = Field(description="The personal tenant.")
    name: str
    email: str | None
    email_verified: bool
    locale: str
    currency: str
    roles: list[Literal["admin", "resolver", "guard", "buyer", "seller"]]
    codes_on: bool = Field(description="Whether signing in asks for a one-time code too.")
    created_at: datetime | None


def person(profile: Any) -> object:
    """A profile as it is shown: nothing of the password."""
    found, email = profile.person, profile.email
    return {"data": {
        "user_id": found.user_id,
        "tenant_id": found.home_id,
        "name": found.name,
        "email": None if email is None else email.label,
        "email_verified": email is not None and email.verified_at is not None,
        "locale": found.locale,
        "currency": found.currency,
        "roles": [each.value for each in found.roles],
        "codes_on": found.codes is not None,
        "created_at": found.created_at,
    }}  # fmt: skip


def _client(asked: Asked, device: str | None) -> Client:
    return asked.client if device is None else attrs.evolve(asked.client, device=device)


# --- signing up ---


class Registration(In):
    email: Email
    password: Password
    name: Annotated[str, Field(max_length=200)] = ""
    locale: Annotated[str, Field(max_length=35)] = "en"
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "EUR"


@routes.post("/auth/register", None, Single[PersonOut], shape=person, status=201, limit="signup",
             private=True)  # fmt: skip
def register(app: Services, asked: Asked, body: Registration) -> object:
    """Become a person, with a personal tenant; a link to verify the address is sent."""
    return app.people.register(
        body.email,
        body.password,
        body.name,
        request_id=asked.request_id,
        locale=body.locale,
        currency=body.currency,
    )


class LinkIn(In):
    link: Signed = Field(description="What the letter's link has behind `token=`.")


class VerifyIn(LinkIn):
    password: Password


@routes.post("/auth/verify", None, Single[Done], shape=done, limit="auth", private=True)
def verify_address(app: Services, asked: Asked, body: VerifyIn) -> None:
    """Show that an address is one's own, by its letter and the password of the registration: a
    stranger may have signed up with it. Once. Whoever did not sign up asks for a letter to set
    a password (`reset`), which ends all that the stranger has."""
    app.people.verify(body.link, body.password, request_id=asked.request_id)


# --- signing in ---


class Login(In):
    email: Email
    password: Password
    code: SixDigits | None = Field(None, description="One-time code, where they are on.")
    device: Device | None = None


@routes.post("/auth/login", None, Single[SignedInOut], limit="auth", private=True)
def login(app: Services, asked: Asked, body: Login) -> SignedIn:
    """Sign in with address and password."""
    return app.sessions.sign_in(
        _client(asked, body.device),
        body.email,
        body.password,
        request_id=asked.request_id,
        code=body.code,
    )


class RefreshIn(In):
    refresh_token: Signed


@routes.post("/auth/refresh", None, Single[SignedInOut], limit="anonymous", private=True)
def refresh(app: Services, asked: Asked, body: RefreshIn) -> SignedIn:
    """New tokens for a refresh token. Used a second time, it ends the session."""
    return app.sessions.refresh(asked.client, body.refresh_token, request_id=asked.request_id)


class LetterIn(In):
    email: Email
    kind: Literal["reset", "magic", "code"]


@routes.post("/auth/letters", None, Single[Done], shape=done, status=202, limit="auth",
             private=True)  # fmt: skip
def ask_letter(app: Services, asked: Asked, body: LetterIn) -> None:
    """Have a link (`magic`, `reset`) or a code (`code`, `reset`) sent; the same answer whether
    anybody has the address or not."""
    app.letters.ask(body.email, Purpose(body.kind), request_id=asked.request_id)


class MagicIn(LinkIn):
    code: SixDigits | None = Field(None, description="One-time code, where they are on.")
    device: Device | None = None


@routes.post("/auth/magic", None, Single[SignedInOut], limit="auth", private=True)
def login_by_link(app: Services, asked: Asked, body: MagicIn) -> SignedIn:
    """Sign in with the link of a letter. Once, within 15 minutes."""
    client = _client(asked, body.device)
    return app.sessions.by_link(client, body.link, request_id=asked.request_id, code=body.code)


class SentCode(In):
    email: Email
    sent: SixDigits = Field(description="The six digits of the letter.")
    code: SixDigits | None = Field(None, description="One-time code, where they are on.")
    device: Device | None = None


@routes.post("/auth/code", None, Single[SignedInOut], limit="auth", private=True)
def login_by_code(app: Services, asked: Asked, body: SentCode) -> SignedIn:
    """Sign in with the code of a letter. Once, within 5 minutes, at most 5 tries."""
    return app.sessions.by_code(
        _client(asked, body.device),
        body.email,
        body.sent,
        request_id=asked.request_id,
        code=body.code,
    )


class Reset(In):
    password: Password
    link: Signed | None = None
    email: Email | None = None
    code: SixDigits | None = None


@routes.post("/auth/reset", None, Single[Done], shape=done, limit="auth", private=True)
def reset_password(app: Services, asked: Asked, body: Reset) -> None:
    """Set a password by a letter's link, or by the address and the letter's code. Every session of
    the person ends."""
    app.people.reset(
        body.password,
        request_id=asked.request_id,
        link=body.link,
        email=body.email,
        code=body.code,
    )


class HalfIn(In):
    ticket: Signed = Field(description="What the refusal CODE_REQUIRED has in its details.")
    code: SixDigits = Field(description="One-time code.")
    device: Device | None = None


@routes.post("/auth/finish", None, Single[SignedInOut], limit="auth", private=True)
def finish_login(app: Services, asked: Asked, body: HalfIn) -> SignedIn:
    """Go on where a sign-in by whatever means was answered CODE_REQUIRED: with its ticket and the
    one-time code, within five minutes. A link, a wallet's message and an issuer's answer are good
    once, and need not be sent again."""
    client = _client(asked, body.device)
    return app.sessions.finish(client, body.ticket, body.code, request_id=asked.request_id)


# --- passkeys, wallets, accounts, Telegram ---


class PasskeyOfferOut(Out):
    options: dict[str, Any] = Field(description="For `navigator.credentials`.")
    ticket: str


class Answer(In):
    """What `navigator.credentials` gave, as JSON, and the ticket of its offer."""

    ticket: Signed
    response: dict[str, Any]
    device: Device | None = None


@routes.post("/auth/passkey/options", None, Single[PasskeyOfferOut], limit="auth")
def offer_passkey_login(app: Services, asked: Asked) -> object:
    """What a browser needs to ask for a passkey."""
    return app.factors.ask_passkey()


@routes.post("/auth/passkey", None, Single[SignedInOut], limit="auth", private=True)
def login_by_passkey(app: Services, asked: Asked, body: Answer) -> SignedIn:
    """Sign in with a passkey."""
    return app.factors.by_passkey(
        _client(asked, body.device), body.ticket, body.response, request_id=asked.request_id
    )


class WalletIn(In):
    address: Annotated[str, Field(max_length=64, pattern=PLAIN)]
    chain_id: Annotated[int, Field(ge=1, le=2**53)] = 1


class WalletOfferOut(Out):
    message: str = Field(description="EIP-4361, to be signed as it stands.")
    ticket: str


class SignedMessage(In):
    ticket: Signed
    message: Annotated[str, Field(max_length=4_096, pattern=r"^[^\x00]+$")]
    signature: Annotated[str, Field(max_length=1_024, pattern=PLAIN)]
    code: SixDigits | None = None
    device: Device | None = None


@routes.post("/auth/wallet/message", None, Single[WalletOfferOut], limit="auth")
def offer_wallet_login(app: Services, asked: Asked, body: WalletIn) -> object:
    """The text that an Ethereum wallet signs to sign in."""
    return app.factors.offer_wallet(body.address, body.chain_id)


@routes.post("/auth/wallet", None, Single[SignedInOut], limit="auth", private=True)
def login_by_wallet(app: Services, asked: Asked, body: SignedMessage) -> SignedIn:
    """Sign in with an Ethereum wallet; the first time makes a person of it."""
    return app.factors.by_wallet(
        _client(asked, body.device),
        body.ticket,
        body.message,
        body.signature,
        request_id=asked.request_id,
        code=body.code,
    )


class IssuerOut(Out):
    name: str


@routes.get("/auth/issuers", None, Listed[IssuerOut], shape=whole)
def list_issuers(app: Services, asked: Asked) -> object:
    """The issuers to sign in with."""
    return [{"name": name} for name in app.factors.issuers.names]


class StartIn(In):
    issuer: Annotated[str, Field(max_length=64, pattern=PLAIN)]
    redirect_uri: Annotated[str, Field(max_length=500, pattern=PLAIN)]


class PassingOut(Out):
    url: str = Field(description="Where to send the browser.")
    ticket: str


@routes.post("/auth/oidc/start", None, Single[PassingOut], limit="auth")
def start_oidc(app: Services, asked: Asked, body: StartIn) -> object:
    """Begin to sign in by an account elsewhere."""
    return app.factors.start(body.issuer, body.redirect_uri)


class Returned(In):
    """What the issuer sent the browser back with, and the ticket of the start."""

    ticket: Signed
    state: Annotated[str, Field(max_length=500, pattern=PLAIN)]
    code: Annotated[str, Field(max_length=4_096, pattern=r"^[ -~]+$")]
    iss: Annotated[str, Field(max_length=500, pattern=PLAIN)] | None = None
    one_time: SixDigits | None = None
    device: Device | None = None


@routes.post("/auth/oidc", None, Single[SignedInOut], limit="auth", private=True)
def login_by_oidc(app: Services, asked: Asked, body: Returned) -> SignedIn:
    """Sign in by an account elsewhere; the first time makes a person of it."""
    return app.factors.by_issuer(
        _client(asked, body.device),
        body.ticket,
        body.state,
        body.code,
        body.iss,
        request_id=asked.request_id,
        one_time=body.one_time,
    )


class TelegramIn(In):
    init_data: Annotated[str, Field(max_length=8_192, pattern=PLAIN)] | None = Field(
        None, description="A mini app's `initData`, as it came."
    )
    widget: dict[str, str | int] | None = Field(None, description="What the login button gave.")
    code: SixDigits | None = None
    device: Device | None = None

    @property
    def sent(self) -> str | dict[str, str | int]:
        return self.init_data if self.init_data is not None else self.widget or {}


@routes.post("/auth/telegram", None, Single[SignedInOut], limit="auth", private=True)
def login_by_telegram(app: Services, asked: Asked, body: TelegramIn) -> SignedIn:
    """Sign in with Telegram; the first time makes a person of it."""
    return app.factors.by_telegram(
        _client(asked, body.device), body.sent, request_id=asked.request_id, code=body.code
    )


# --- of whoever is signed in ---


@routes.post("/auth/logout", "self:write", Single[Done], shape=done)
def logout(app: Services, scope: Scope) -> None:
    """End the session that asks."""
    app.sessions.sign_out(scope)


class StepUp(In):
    """One of them."""

    password: Password | None = None
    code: SixDigits | None = None
    ticket: Signed | None = None
    response: dict[str, Any] | None = None


@routes.post("/auth/step-up", "self:write", Single[Done], shape=done, limit="strict", private=True)
def step_up(app: Services, scope: Scope, body: StepUp) -> None:
    """Prove again who asks, by password, one-time code, or passkey: good for five minutes of what
    is dangerous."""
    if body.ticket is not None and body.response is not None:
        app.factors.step_up(scope, body.ticket, body.response)
        return
    app.sessions.step_up(scope, password=body.password, code=body.code)
