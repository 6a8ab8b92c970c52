"""Making, proving and revoking tokens."""

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import attrs

from finora_core.identity.model import (
    BadToken,
    Bearer,
    NewToken,
    Proof,
    Token,
    TokenInvalid,
    TokenMade,
    TokenRevoked,
    TokenWithdrawn,
)
from finora_core.identity.ports import IdentityWork
from finora_core.identity.roles import EXPLICIT, Role, of_member
from finora_core.identity.sessions.door import asking, locked
from finora_core.kernel.ids import new_id
from finora_core.kernel.scope import Scope, TokenCredential
from finora_core.kernel.work import Begin, retried

_NOBODY = UUID(int=0)


@attrs.frozen
class TokenService:
    begin: Begin[IdentityWork]

    @retried
    def create(
        self,
        scope: Scope,
        name: str,
        *,
        expires_at: datetime | None = None,
        permissions: frozenset[str] | None = None,
    ) -> NewToken:
        """A token that asks as the scope's user, with those permissions, or all that the user's
        role has but to export, which must be named. Its text is shown this once. Raises
        BadToken."""
        token_id = new_id()
        bearer = Bearer.make(scope.tenant_id, token_id)
        with self.begin(scope) as work:
            if asking(scope) is not None:
                locked(work, scope)
            if expires_at is not None and expires_at <= work.now:
                raise BadToken("a token ends after now")
            token = Token(
                id=token_id,
                user_id=scope.user_id,
                name=name,
                created_at=work.now,
                expires_at=expires_at,
                revoked_at=None,
                permissions=permissions,
            )
            if scope.credential is not None:
                whole = of_member(Role(scope.credential.role))
                if not (whole if permissions is None else permissions) <= scope.permissions:
                    raise BadToken("a token cannot have more permissions than who makes it")
            work.tokens.add(token, bearer.digest)
            work.events.record(TokenMade(token_id))
            return work.done(NewToken(token=token, text=bearer.text))

    def list(self, scope: Scope) -> Sequence[Token]:
        """The tenant's tokens, newest first."""
        with self.begin(scope) as work:
            return work.tokens.list()

    @retried
    def revoke(self, scope: Scope, token_id: UUID) -> Token:
        """From its commit on the token proves nothing. Twice is once. Raises TokenNotFound."""
        with self.begin(scope) as work:
            token = work.tokens.revoke(token_id)
            work.events.record(TokenRevoked(token_id))
            return work.done(token)

    def prove(self, text: str, request_id: str) -> Proof:
        """Who asks with this token. Raises TokenInvalid."""
        bearer = Bearer.read(text)
        asked = Scope(tenant_id=bearer.tenant_id, user_id=_NOBODY, request_id=request_id)
        with self.begin(asked) as work:
            version = work.version()
            found = work.tokens.find(bearer.id)
            digest = found[1] if found else bytes(32)
            if not hmac.compare_digest(digest, bearer.digest) or found is None:
                raise TokenInvalid("this is not a token")
            token = found[0]
            left = None if token.expires_at is None else token.expires_at - work.now
            late = left is not None and left <= timedelta(0)
            role = work.members.role(token.user_id)
            if token.revoked_at is not None:
                # Whoever has its secret had it: nothing is told to one who guesses.
                raise TokenWithdrawn("this token was revoked")
            if late or role is None:
                raise TokenInvalid("this token's time has run out")
        credential = TokenCredential(token_id=bearer.id, digest=bearer.digest, role=role.value)
        given = of_member(role)
        given = given - EXPLICIT if token.permissions is None else given & token.permissions
        scope = attrs.evolve(asked, user_id=token.user_id, permissions=given, credential=credential)
        return Proof(scope=scope, versions={scope.tenant_id: version}, left=left)
