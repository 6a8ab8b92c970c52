"""Token rows: a digest of the secret, never the secret."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, Row, text

from finora_core.identity.model import Token, TokenNotFound

_COLUMNS = "id, user_id, name, created_at, expires_at, revoked_at, permissions"


@attrs.frozen
class PgTokens:
    connection: Connection
    tenant_id: UUID

    def add(self, token: Token, digest: bytes) -> None:
        statement = text(
            "insert into finora.token (tenant_id, id, user_id, name, digest, expires_at, "
            "permissions) "
            "values (:tenant, :id, :user, :name, :digest, :expires, :permissions)"
        )
        given = token.permissions
        values = {
            "tenant": self.tenant_id,
            "id": token.id,
            "user": token.user_id,
            "name": token.name,
            "digest": digest,
            "expires": token.expires_at,
            "permissions": None if given is None else ",".join(sorted(given)),
        }
        self.connection.execute(statement, values)

    def find(self, token_id: UUID) -> tuple[Token, bytes] | None:
        row = self._one(f"select {_COLUMNS}, digest from finora.token", token_id)
        return None if row is None else (_token(row), bytes(row.digest))

    def list(self) -> Sequence[Token]:
        query = text(
            f"select {_COLUMNS} from finora.token where tenant_id = :tenant order by id desc"
        )
        return [_token(row) for row in self.connection.execute(query, {"tenant": self.tenant_id})]

    def revoke(self, token_id: UUID) -> Token:
        change = "update finora.token set revoked_at = coalesce(revoked_at, now())"
        row = self._one(change, token_id, f"returning {_COLUMNS}")
        if row is None:
            raise TokenNotFound(f"no token {token_id}")
        return _token(row)

    def _one(self, statement: str, token_id: UUID, rest: str = "") -> Row[Any] | None:
        query = text(f"{statement} where tenant_id = :tenant and id = :id {rest}")
        return self.connection.execute(query, {"tenant": self.tenant_id, "id": token_id}).first()


def _token(row: Row[Any]) -> Token:
    given: str | None = row.permissions
    return Token(
        id=row.id,
        user_id=row.user_id,
        name=row.name,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        permissions=None if given is None else frozenset(filter(None, given.split(","))),
    )
