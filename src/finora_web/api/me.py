"""The person that asks: profile, password, identities, one-time codes, sessions."""

from datetime import datetime
from itertools import chain
from typing import Annotated, Any, Literal
from uuid import UUID

from flask import Response
from pydantic import Field

from finora_core.kernel.scope import Scope, SessionCredential
from finora_web.api.auth import (
    Done,
    IdentityOut,
    PasskeyOfferOut,
    Password,
    PersonOut,
    Returned,
    Signed,
    SignedMessage,
    SixDigits,
    TelegramIn,
    done,
    person,
)
from finora_web.contract import In, Listed, Name, Out, Routes, Single, whole
from finora_web.services import Services

routes = Routes("me")


@routes.get("/me", "self:read", Single[PersonOut], shape=person, cache_s=300)
def get_me(app: Services, scope: Scope) -> object:
    """Who asks."""
    return app.people.profile(scope)


class Profile(In):
    name: Annotated[str, Field(max_length=200)] | None = None
    locale: Annotated[str, Field(max_length=35)] | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None


@routes.patch("/me", "self:write", Single[PersonOut], shape=person)
def change_me(app: Services, scope: Scope, body: Profile) -> object:
    """Change name, locale or currency."""
    return app.people.change(scope, name=body.name, locale=body.locale, currency=body.currency)


class PreferencesOut(Out):
    preferences: dict[str, str | bool | int]


def _preferences(found: Any) -> object:
    return {"data": {"preferences": found}}


@routes.get("/me/preferences", "self:read", Single[PreferencesOut], shape=_preferences)
def get_preferences(app: Services, scope: Scope) -> object:
    """What pages keep of the person."""
    return app.people.preferences(scope)


class PreferencesIn(In):
    preferences: dict[str, str | bool | int | None] = Field(
        description="What is not named stays as it is; null takes one away."
    )


@routes.patch("/me/preferences", "self:write", Single[PreferencesOut], shape=_preferences,
              private=True)  # fmt: skip
def change_preferences(app: Services, scope: Scope, body: PreferencesIn) -> object:
    """Texts, truth values and whole numbers: at most 50, in 4 kB."""
    return app.people.change_preferences(scope, body.preferences)


class NewPassword(In):
    password: Password


@routes.post("/me/password", "self:write", Single[Done], shape=done, step_up=True, limit="strict",
             private=True)  # fmt: skip
def set_password(app: Services, scope: Scope, body: NewPassword) -> None:
    """Set another password; every other session of the person ends."""
    app.people.set_password(scope, body.password)


@routes.post("/me/verification", "self:write", Single[Done], shape=done, status=202,
             limit="strict")  # fmt: skip
def ask_verification(app: Services, scope: Scope) -> None:
    """Have the link that verifies the address sent again."""
    app.people.ask_again(scope)


@routes.get("/me/export", "self:read", None, media_type="application/octet-stream",
            step_up=True, limit="strict")  # fmt: skip
def export_me(app: Services, scope: Scope) -> object:
    """Everything of the person and of the personal tenant as one JSON document, streamed. What is
    in it, and what is not: docs/identity.md."""
    pieces = app.takeout.export(scope)
    # Begun before anything is answered: what is refused must be refused by the status.
    first = next(pieces, "")
    # Bytes to be kept, as every download: an answer in JSON is in the envelope.
    answer = Response(chain((first,), pieces), mimetype="application/octet-stream")
    answer.headers["Content-Disposition"] = 'attachment; filename="finora-export.json"'
    answer.call_on_close(pieces.close)
    return answer


class ErasureIn(In):
    confirmation: Annotated[str, Field(max_length=254)] = Field(
        description="The address of the account, or the word ERASE."
    )


@routes.post("/me/erasure", "self:write", Single[Done], shape=done, status=202, step_up=True,
             limit="strict", private=True)  # fmt: skip
def erase_me(app: Services, scope: Scope, body: ErasureIn) -> None:
    """Be forgotten, with the personal tenant and every other that nobody else is in. There is no
    way back."""
    app.erasure.ask(scope, body.confirmation)


# --- sessions ---


class SessionOut(Out):
    id: UUID
    kind: Literal["bearer", "browser"]
    method: str = Field(description="By what it was opened.")
    agent: str
    network: str
    created_at: datetime
    seen_at: datetime
    ends_at: datetime
    current: bool


@routes.get("/me/sessions", "self:read", Listed[SessionOut], shape=whole, limit="sessions")
def list_sessions(app: Services, scope: Scope) -> object:
    """The person's sessions that have not ended, newest first."""
    credential = scope.credential
    own = credential.session_id if isinstance(credential, SessionCredential) else None
    return [
        {
            "id": each.id,
            "kind": each.kind.value,
            "method": each.method,
            "agent": each.agent,
            "network": each.network,
            "created_at": each.created_at,
            "seen_at": each.seen_at,
            "ends_at": each.ends_at,
            "current": each.id == own,
        }
        for each in app.sessions.list(scope)
    ]


@routes.delete("/me/sessions/{session_id}", "self:write", Single[Done], shape=done,
               limit="sessions")  # fmt: skip
def end_session(app: Services, scope: Scope, session_id: UUID) -> None:
    """End a session: none of its tokens is good from now on."""
    app.sessions.end(scope, session_id)


class Ended(Out):
    ended: int


def _ended(count: object) -> object:
    return {"data": {"ended": count}}


@routes.post("/me/sessions/end-others", "self:write", Single[Ended], shape=_ended,
             limit="sessions")  # fmt: skip
def end_other_sessions(app: Services, scope: Scope) -> object:
    """End every session of the person but the one that asks."""
    return app.sessions.end_others(scope)


# --- identities ---


@routes.get("/me/identities", "self:read", Listed[IdentityOut], shape=whole)
def list_identities(app: Services, scope: Scope) -> object:
    """By what the person is known: addresses, passkeys, wallets, accounts."""
    return app.people.identities(scope)


@routes.delete("/me/identities/{identity_id}", "self:write", Single[Done], shape=done,
               step_up=True)  # fmt: skip
def remove_identity(app: Services, scope: Scope, identity_id: UUID) -> None:
    """Let nobody sign in by it any more; never the last one."""
    app.people.remove(scope, identity_id)


class CodesOfferOut(Out):
    secret: str
    uri: str
    ticket: str


@routes.post("/me/codes/offer", "self:write", Single[CodesOfferOut], step_up=True, kept=False)
def offer_codes(app: Services, scope: Scope) -> object:
    """A secret for an authenticator app. Shown this once."""
    return app.factors.offer_codes(scope)


class CodesIn(In):
    ticket: Signed
    code: SixDigits


@routes.post("/me/codes", "self:write", Single[Done], shape=done, step_up=True, private=True)
def turn_on_codes(app: Services, scope: Scope, body: CodesIn) -> None:
    """Ask for a one-time code with every sign-in from now on; `code` shows that the app works."""
    app.factors.turn_on_codes(scope, body.ticket, body.code)


@routes.delete("/me/codes", "self:write", Single[Done], shape=done, step_up=True)
def turn_off_codes(app: Services, scope: Scope) -> None:
    """Ask for no one-time codes any more."""
    app.factors.turn_off_codes(scope)


@routes.post("/me/passkeys/options", "self:write", Single[PasskeyOfferOut], step_up=True,
             kept=False)  # fmt: skip
def offer_passkey(app: Services, scope: Scope) -> object:
    """What a browser needs to make a passkey."""
    return app.factors.offer_passkey(scope)


class NewPasskey(In):
    ticket: Signed
    response: dict[str, Any]
    name: Name = "Passkey"


@routes.post("/me/passkeys", "self:write", Single[IdentityOut], status=201, step_up=True,
             private=True)  # fmt: skip
def add_passkey(app: Services, scope: Scope, body: NewPasskey) -> object:
    """Sign in with this passkey too."""
    return app.factors.add_passkey(scope, body.ticket, body.response, body.name)


@routes.post("/me/wallets", "self:write", Single[IdentityOut], status=201, step_up=True,
             private=True)  # fmt: skip
def add_wallet(app: Services, scope: Scope, body: SignedMessage) -> object:
    """Sign in with this Ethereum wallet too; its message is of /auth/wallet/message."""
    return app.factors.add_wallet(scope, body.ticket, body.message, body.signature)


@routes.post("/me/accounts", "self:write", Single[IdentityOut], status=201, step_up=True,
             private=True)  # fmt: skip
def add_account(app: Services, scope: Scope, body: Returned) -> object:
    """Sign in by this account elsewhere too; begun with /auth/oidc/start."""
    return app.factors.add_account(scope, body.ticket, body.state, body.code, body.iss)


@routes.post("/me/telegram", "self:write", Single[IdentityOut], status=201, step_up=True,
             private=True)  # fmt: skip
def add_telegram(app: Services, scope: Scope, body: TelegramIn) -> object:
    """Sign in with Telegram too. What Telegram signed is good once here."""
    return app.factors.add_telegram(scope, body.sent)
