"""Tokens: how programs ask in a user's name."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from finora_core.kernel.scope import Scope
from finora_web.contract import In, Instant, Listed, Name, Out, Routes, Single, whole
from finora_web.services import Services

routes = Routes("tokens")


class TokenOut(Out):
    id: UUID
    user_id: UUID
    name: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    permissions: list[str] | None = Field(
        description="Null: all that its user's role has but `books:export`."
    )


class NewTokenIn(In):
    name: Name
    expires_at: Instant | None = None
    permissions: Annotated[list[str], Field(min_length=1, max_length=50)] | None = Field(
        None, description="Null: all that the role has but `books:export`. Never more than that."
    )


class NewTokenOut(Out):
    token: TokenOut
    text: str = Field(description="Shown this once.")


@routes.post("/tokens", "tokens:write", Single[NewTokenOut], status=201, step_up=True,
             kept=False)  # fmt: skip
def create_token(app: Services, scope: Scope, body: NewTokenIn) -> object:
    """A token for a program, with some permissions and an end. Its text is shown this once."""
    given = None if body.permissions is None else frozenset(body.permissions)
    return app.tokens.create(scope, body.name, expires_at=body.expires_at, permissions=given)


@routes.get("/tokens", "tokens:read", Listed[TokenOut], shape=whole)
def list_tokens(app: Services, scope: Scope) -> object:
    """The tenant's tokens, newest first."""
    return app.tokens.list(scope)


@routes.post("/tokens/{token_id}/revocation", "tokens:write", Single[TokenOut])
def revoke_token(app: Services, scope: Scope, token_id: UUID) -> object:
    """Let the token prove nothing from now on."""
    return app.tokens.revoke(scope, token_id)
