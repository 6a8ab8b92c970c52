"""Tokens: how programs ask in a user's name."""

from datetime import datetime
from uuid import UUID

from finora_core.kernel.scope import Scope
from finora_web.contract import Listed, Out, Routes, Single, whole
from finora_web.services import Services

routes = Routes("tokens")


class TokenOut(Out):
    id: UUID
    user_id: UUID
    name: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@routes.get("/tokens", "tokens:read", Listed[TokenOut], shape=whole)
def list_tokens(app: Services, scope: Scope) -> object:
    """The tenant's tokens, newest first."""
    return app.tokens.list(scope)


@routes.post("/tokens/{token_id}/revocation", "tokens:write", Single[TokenOut])
def revoke_token(app: Services, scope: Scope, token_id: UUID) -> object:
    """Let the token prove nothing from now on."""
    return app.tokens.revoke(scope, token_id)
