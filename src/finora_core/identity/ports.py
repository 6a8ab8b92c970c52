"""Finding tenants and people before either is known."""

from typing import Protocol

from finora_core.kernel.scope import Scope


class Tenants(Protocol):
    def scope(self, tenant: str, user: str, request_id: str | None = None) -> Scope:
        """The scope of the host's own names of a tenant and a user; both are made on first use."""
