"""Scope: who asks, in which tenant, under which request, and why this transaction happens."""

import re
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import attrs

from finora_core.kernel.errors import Invalid
from finora_core.kernel.ids import new_id

SOURCE_AGENT = "balance"
"""Which program an event comes from, where nobody says."""

_AGENT = re.compile(r"[a-z0-9][a-z0-9._:-]{0,99}", re.ASCII)


class BadSourceAgent(Invalid):
    """A program's name in the event log has 1 to 100 of a-z, 0-9, `.`, `_`, `:` and `-`."""

    code = "BAD_SOURCE_AGENT"


class BadCommandKey(Invalid):
    """An idempotency key has 1 to 255 printable characters."""

    code = "IDEMPOTENCY_KEY_INVALID"


@attrs.frozen(kw_only=True)
class Command:
    """A write that its caller may repeat: `key` names it, `fingerprint` its content.

    `encode` turns the use case's result into the reply bytes that a repeat will get back.
    """

    key: str
    fingerprint: bytes
    encode: Callable[[object], bytes]

    def __attrs_post_init__(self) -> None:
        if not 1 <= len(self.key) <= 255 or not self.key.isprintable():
            raise BadCommandKey(f"{self.key[:40]!r} is not a key of 1 to 255 printable characters")


@attrs.frozen(kw_only=True)
class Claim:
    """A job that this process runs, as of the epoch at which it claimed it."""

    job_id: UUID
    epoch: int


@attrs.frozen(kw_only=True)
class TokenCredential:
    """The token that the asker proved to have, and as what. Every transaction checks that it still
    holds: it may have been revoked, or its user's role have changed, a moment ago."""

    token_id: UUID
    digest: bytes = attrs.field(repr=False)
    role: str


@attrs.frozen(kw_only=True)
class SessionCredential:
    """The session that the asker proved to be in, and as what; checked like a token."""

    session_id: UUID
    role: str
    """In the scope's tenant; empty where the person is no member."""
    platform: str
    """Platform roles, in order, with commas between."""
    home_id: UUID
    """The person's own tenant."""


@attrs.frozen(kw_only=True)
class ExternalCredential:
    """What another service vouches for until its token ends; that the asker still has this role in
    the tenant is checked like a token."""

    role: str


@attrs.frozen
class Place:
    """A tenant and a person."""

    tenant_id: UUID
    user_id: UUID


@attrs.frozen(kw_only=True)
class Scope:
    """Every service method takes one first. Built by a shell, never by core (identity apart, which
    finds out who asks)."""

    tenant_id: UUID
    user_id: UUID
    request_id: str = attrs.field(factory=lambda: str(new_id()))
    permissions: frozenset[str] = frozenset()
    cause: Command | Claim | None = None
    credential: TokenCredential | SessionCredential | ExternalCredential | None = None
    """None where nobody had to prove anything: a job, a command line, an embedding program."""
    proven_at: datetime | None = None
    """When the asker in person last proved who asks; None of a program."""
    within: Place | None = None
    """Whose rows the transaction sees, where they are not the asker's: identity alone sets it."""
    source_agent: str = SOURCE_AGENT
    """The program that acts, as the event log names it; a host may give its own."""

    def __attrs_post_init__(self) -> None:
        # Compared first: a scope is made several times a request, and nearly always with this one.
        if self.source_agent != SOURCE_AGENT and not _AGENT.fullmatch(self.source_agent):
            raise BadSourceAgent(f"{self.source_agent[:40]!r} is not a name of a program")

    def at(self, tenant_id: UUID, user_id: UUID) -> "Scope":
        """The same asker, in a transaction that sees that tenant's and that person's rows."""
        return attrs.evolve(self, within=Place(tenant_id, user_id))
