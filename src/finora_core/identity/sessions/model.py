"""Sessions and the rules of their tokens.

A session is a row; access, refresh and browser tokens are signatures that name it. A refresh token
names its generation too: only the newest is good, the one before it for ten seconds more, so that
a lost reply can be asked for again; an older one means that somebody else has a copy.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

import attrs

from finora_core.kernel.errors import Forbidden, NotFound, Unauthenticated
from finora_core.kernel.events import Plain

ACCESS_LASTS = timedelta(minutes=15)
IDLE_LASTS = timedelta(days=7)
SESSION_LASTS = timedelta(days=30)
KEPT_AFTER = timedelta(days=30)
"""How long the row of a session that is over is kept."""
RENEW_EVERY = timedelta(days=1)
"""A browser's session is renewed at most as often as this."""
RETRY_WITHIN = timedelta(seconds=10)
FRESH_FOR = timedelta(minutes=5)
"""How long a proof is good for what is dangerous."""
DEVICE_LASTS = timedelta(days=180)
LOCK_AFTER, LOCK_LASTS = 5, timedelta(minutes=30)


class CredentialsInvalid(Unauthenticated):
    """The e-mail address or the password is wrong, or the address not confirmed where that comes
    first; which of them is not said."""

    code = "CREDENTIALS_INVALID"


class ProofInvalid(Unauthenticated):
    """The signature, passkey, code or account does not prove who asks."""

    code = "PROOF_INVALID"


class RefreshInvalid(Unauthenticated):
    """The refresh token is not good any more: sign in again."""

    code = "REFRESH_INVALID"


class RefreshReused(Unauthenticated):
    """The refresh token was used before by somebody else; the session was ended."""

    code = "REFRESH_REUSED"


class AccountLocked(Forbidden):
    """Too many wrong passwords; `facts["retry_after"]` says for how many seconds."""

    code = "ACCOUNT_LOCKED"


class SessionNotFound(NotFound):
    """There is no such session of this person."""

    code = "SESSION_NOT_FOUND"


class SessionKind(StrEnum):
    BEARER = "bearer"
    """A program's: access and refresh tokens."""
    BROWSER = "browser"
    """A page's: one cookie."""


@attrs.frozen(kw_only=True)
class Client:
    """Where a request comes from, as far as one can know."""

    network: str = ""
    """The address's network, /24 or /56."""
    agent: str = ""
    device: str | None = attrs.field(default=None, repr=False)
    """The token of a device that signed in before."""


@attrs.frozen(kw_only=True)
class Session:
    id: UUID
    user_id: UUID
    kind: SessionKind
    method: str
    """By what it was proven: password, magic, code, passkey, wallet, oidc, telegram."""
    agent: str
    network: str
    """Of the client that the newest tokens were made for."""
    created_at: datetime
    seen_at: datetime
    ends_at: datetime
    """Never later, however often it is renewed."""
    proven_at: datetime
    """When who asks was last proven: step-up counts from here."""
    generation: int
    """Of the newest refresh token."""
    rotated_at: datetime
    ended_at: datetime | None = None
    reason: str | None = None
    """Why it ended: signed_out, revoked, reused, password, banned, expired."""

    def alive(self, now: datetime) -> bool:
        return self.ended_at is None and now < self.ends_at and now < self.seen_at + IDLE_LASTS

    def is_of(self, client: Client) -> bool:
        """Whether the newest tokens were made for this client, as far as one can know."""
        return (client.agent[:200], client.network) == (self.agent, self.network)

    def rotated(self, client: Client, now: datetime) -> "Session":
        """With new tokens, made for this client: people carry their devices from net to net."""
        return attrs.evolve(
            self,
            generation=self.generation + 1,
            agent=client.agent[:200],
            network=client.network,
            rotated_at=now,
            seen_at=now,
        )


class Turn(StrEnum):
    """What a refresh token is worth."""

    ROTATE = "rotate"
    REPEAT = "repeat"
    REUSED = "reused"
    ENDED = "ended"


def turn(session: Session, generation: int, same_client: bool, now: datetime) -> Turn:
    """I-40: at most one live token a family, whoever uses which one when."""
    if not session.alive(now):
        return Turn.ENDED
    if generation == session.generation:
        return Turn.ROTATE
    lost = generation == session.generation - 1 and now <= session.rotated_at + RETRY_WITHIN
    return Turn.REPEAT if lost and same_client else Turn.REUSED


@attrs.frozen(kw_only=True)
class Standing:
    """How guesses of one subject stand."""

    failures: int
    locked_until: datetime | None
    just_locked: bool = False


@attrs.frozen(kw_only=True)
class SignedIn:
    """What signing in gives. `refresh` is None of a browser's session, whose `access` is what its
    cookie keeps."""

    user_id: UUID
    session_id: UUID
    tenant_id: UUID
    access: str = attrs.field(repr=False)
    refresh: str | None = attrs.field(repr=False)
    device: str | None = attrs.field(repr=False)
    """Kept by the client and sent with the next sign-in: a known device is not locked out by
    strangers' guesses. None where the client has one already."""
    expires_at: datetime
    """Of `access`."""


# --- events ---


@attrs.frozen
class SessionOpened:
    type: ClassVar[str] = "session.opened"

    user_id: UUID
    session_id: UUID
    method: str
    known: bool
    """Whether the device signed in before."""

    def payload(self) -> Mapping[str, Plain]:
        return {
            "user": str(self.user_id),
            "session": str(self.session_id),
            "method": self.method,
            "known": self.known,
        }


@attrs.frozen
class SessionEnded:
    type: ClassVar[str] = "session.ended"

    user_id: UUID
    session_id: UUID
    reason: str

    def payload(self) -> Mapping[str, Plain]:
        return {
            "user": str(self.user_id),
            "session": str(self.session_id),
            "reason": self.reason,
        }


@attrs.frozen
class SessionProven:
    """Who asks proved it again."""

    type: ClassVar[str] = "session.proven"

    user_id: UUID
    session_id: UUID
    method: str

    def payload(self) -> Mapping[str, Plain]:
        return {
            "user": str(self.user_id),
            "session": str(self.session_id),
            "method": self.method,
        }


@attrs.frozen
class SignInFailed:
    type: ClassVar[str] = "sign_in.failed"

    user_id: UUID | None
    """None where there is no such person."""
    locked: bool
    """Whether this was the failure that locked."""
    method: str = "password"

    def payload(self) -> Mapping[str, Plain]:
        return {
            "user": None if self.user_id is None else str(self.user_id),
            "locked": self.locked,
            "method": self.method,
        }
