"""Finding tenants and people before either is known."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from finora_core.identity.model import Token
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Work


class Tenants(Protocol):
    def scope(self, tenant: str, user: str, request_id: str | None = None) -> Scope:
        """The scope of the host's own names of a tenant and a user; both are made on first use."""


class Tokens(Protocol):
    def add(self, token: Token, digest: bytes) -> None: ...

    def find(self, token_id: UUID) -> tuple[Token, bytes] | None:
        """The token and the digest of its secret."""

    def list(self) -> Sequence[Token]:
        """Newest first."""

    def revoke(self, token_id: UUID) -> Token:
        """Raises TokenNotFound."""


class IdentityWork(Work, Protocol):
    @property
    def tokens(self) -> Tokens: ...

    @property
    def now(self) -> datetime: ...

    def version(self) -> int:
        """The tenant's data version, as of this transaction."""
