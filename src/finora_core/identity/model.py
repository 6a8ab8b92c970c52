"""Tokens: how a program says in whose name it asks."""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

import attrs

from finora_core.identity.roles import TENANT
from finora_core.kernel.errors import Invalid, NotFound, Unauthenticated
from finora_core.kernel.events import Plain
from finora_core.kernel.scope import Scope

PREFIX = "fin_"
# A whole number of base64 groups with the two ids, so that a text has no padding.
_SECRET_BYTES = 34


class TokenInvalid(Unauthenticated):
    """There is no such token, or it was revoked, or its time has run out."""

    code = "TOKEN_INVALID"


class TokenWithdrawn(TokenInvalid):
    """The token was good, and was revoked."""

    code = "TOKEN_REVOKED"


class ProofStale(TokenInvalid):
    """What was proven a moment ago holds no more: the token was revoked, or its user's role
    changed, while it was asked."""

    code = "PROOF_STALE"


class TokenNotFound(NotFound):
    """There is no such token in this tenant."""

    code = "TOKEN_NOT_FOUND"


class BadToken(Invalid):
    """The token's name or time is not sound."""

    code = "BAD_TOKEN"


@attrs.frozen(kw_only=True)
class Token:
    """A token as it is shown: everything but its secret."""

    id: UUID
    user_id: UUID
    name: str
    created_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    permissions: frozenset[str] | None = None
    """None: all that its user's role has. Never more than that."""

    def __attrs_post_init__(self) -> None:
        if not 1 <= len(self.name) <= 200 or not self.name.isprintable():
            raise BadToken("a token's name has 1 to 200 printable characters")
        unknown = (self.permissions or frozenset()) - TENANT
        if unknown:
            raise BadToken(f"no token can have {', '.join(sorted(unknown))}")


@attrs.frozen(kw_only=True)
class NewToken:
    """`text` is shown once and kept nowhere."""

    token: Token
    text: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Proof:
    """Who asks with a token that was proven."""

    scope: Scope
    versions: Mapping[UUID, int]
    """Data versions at which it is true, of the tenant and of the asker's personal one: whatever
    takes it away raises one of them."""
    left: timedelta | None
    """How long the token is good for yet; None without an end."""


@attrs.frozen(kw_only=True)
class Bearer:
    """What a token's text says, unproven."""

    tenant_id: UUID
    id: UUID
    secret: bytes = attrs.field(repr=False)

    @classmethod
    def make(cls, tenant_id: UUID, token_id: UUID) -> "Bearer":
        return cls(tenant_id=tenant_id, id=token_id, secret=secrets.token_bytes(_SECRET_BYTES))

    @classmethod
    def read(cls, text: str) -> "Bearer":
        """Raises TokenInvalid for whatever is no token of ours."""
        try:
            packed = base64.b64decode(text.removeprefix(PREFIX), b"-_", validate=True)
        except (binascii.Error, ValueError):
            packed = b""
        if not text.startswith(PREFIX) or len(packed) != 32 + _SECRET_BYTES:
            raise TokenInvalid("this is not a token")
        found = cls(
            tenant_id=UUID(bytes=packed[:16]), id=UUID(bytes=packed[16:32]), secret=packed[32:]
        )
        # The decoder takes more padding than there is; a token is written in one way.
        if found.text != text:
            raise TokenInvalid("this is not a token")
        return found

    @property
    def text(self) -> str:
        """Tenant and row, so that it is found without looking across tenants, then the secret."""
        packed = self.tenant_id.bytes + self.id.bytes + self.secret
        return PREFIX + base64.urlsafe_b64encode(packed).decode()

    @property
    def digest(self) -> bytes:
        # Of 256 random bits: nothing to guess, so nothing to slow down.
        return hashlib.sha256(self.secret).digest()


@attrs.frozen
class TokenMade:
    type: ClassVar[str] = "token.made"

    token_id: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"token": str(self.token_id)}


@attrs.frozen
class TokenRevoked:
    type: ClassVar[str] = "token.revoked"

    token_id: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"token": str(self.token_id)}
