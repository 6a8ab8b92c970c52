"""What identity needs of a transaction and of the outside."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from finora_core.identity.addresses.model import Address
from finora_core.identity.erasure.model import Tie
from finora_core.identity.model import Token
from finora_core.identity.people.model import (
    Challenge,
    Found,
    Identity,
    IdentityKind,
    Listing,
    Person,
)
from finora_core.identity.roles import Role
from finora_core.identity.sessions.model import Session, Standing
from finora_core.identity.tenants.model import Invite, Member, Tenant
from finora_core.kernel.events import Event
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


class People(Protocol):
    """The person whose rows the transaction sees, and looking people up."""

    def find(self, kind: IdentityKind, issuer: str, subject: str) -> Found | None:
        """Whose identity it is, whoever asks."""

    def home(self, user_id: UUID) -> UUID | None:
        """The personal tenant of somebody, whoever asks; None where nobody signs in as it."""

    def add(self, person: Person) -> None: ...

    def get(self, *, lock: bool = False) -> Person | None:
        """The person of this transaction; with `lock`, nobody else changes it until its end."""

    def change(self, **columns: object) -> None:
        """Set columns of the person: name, locale, currency, roles, password, codes, code_step,
        banned_at, preferences."""

    def page(self, after: UUID | None, limit: int, words: str) -> Sequence[Listing]:
        """People whose name or address contains the words, by id; for administrators."""

    def add_identity(self, identity: Identity) -> None:
        """Raises EmailTaken, IdentityTaken."""

    def identities(self) -> Sequence[Identity]:
        """Oldest first."""

    def change_identity(self, identity_id: UUID, **columns: object) -> bool:
        """Set label, data, verified_at or used_at; whether there is such an identity."""

    def remove_identity(self, identity_id: UUID) -> None: ...

    def add_challenge(self, challenge: Challenge) -> None: ...

    def challenge(self, challenge_id: UUID) -> Challenge | None:
        """Locked until the transaction ends."""

    def newest_challenge(self, purpose: str) -> Challenge | None:
        """Locked until the transaction ends."""

    def use_challenge(self, challenge_id: UUID) -> bool:
        """Take it, if nobody did before."""

    def use_challenges(self) -> None:
        """Take all that are left, but those that verify an address."""

    def count_try(self, challenge_id: UUID) -> None: ...


class Addresses(Protocol):
    """Of the transaction's person."""

    def list(self) -> Sequence[Address]:
        """Oldest first."""

    def add(self, address: Address) -> None: ...

    def change(self, address: Address) -> None:
        """All of it but whether it is the default."""

    def make_default(self, address_id: UUID | None) -> None:
        """This one, or none, in place of the one that was."""

    def remove(self, address_id: UUID) -> None: ...


class Belongings(Protocol):
    """Rows of the transaction's person and tenant, as they are kept, but for what is secret."""

    def sections(self) -> Sequence[str]: ...

    def rows(self, section: str) -> Iterator[Mapping[str, object]]:
        """Read while they are asked for."""


class Erasure(Protocol):
    """All that is a person's, whatever tenant it is in, within one transaction; deleted by a role
    that is there for nothing else."""

    def person(self, user_id: UUID) -> Person | None:
        """Nobody else changes it until the transaction ends, and no session of it is opened."""

    def mails(self, user_id: UUID) -> Sequence[str]:
        """Keys of the person's addresses."""

    def ties(self, user_id: UUID, *, lock: bool = False) -> Sequence[Tie]:
        """With `lock`, nobody joins or leaves until the transaction ends."""

    def rows_of(self, user_id: UUID) -> Mapping[str, int]:
        """How many rows are the person's, by table."""

    def rows_in(self, tenant_id: UUID) -> Mapping[str, int]:
        """How many rows are the tenant's, by table."""

    def forget(self, user_id: UUID, mails: Sequence[str]) -> int:
        """Delete all of the person that is in no tenant, and what was sent to those addresses; the
        person's row stays as an id. How many rows there were."""

    def erase(self, tenant_id: UUID) -> int:
        """Wait for who writes in the tenant, let nobody write there any more, and delete all of it;
        how many rows there were."""

    def leave(self, tenant_id: UUID, user_id: UUID, event: Event) -> None:
        """Delete what is the person's in a tenant of others, and record the event there."""


class Sessions(Protocol):
    """Of the transaction's person."""

    def add(self, session: Session) -> None: ...

    def get(self, session_id: UUID) -> Session | None: ...

    def locked(self, session_id: UUID) -> Session | None:
        """The same, and nobody else changes it until the transaction ends."""

    def list(self) -> Sequence[Session]:
        """Those that have not ended, newest first."""

    def rotate(self, session: Session) -> None:
        """Write what `Session.rotated` changed."""

    def seen(self, session_id: UUID, at: datetime) -> None: ...

    def proven(self, session_id: UUID, at: datetime) -> None: ...

    def end(self, session_id: UUID, reason: str) -> bool:
        """Whether it had not ended before."""

    def end_all(self, reason: str, but: UUID | None = None) -> Sequence[UUID]:
        """Those that it ended."""


class Guesses(Protocol):
    """How often was guessed at a subject (a digest), whether there is such a thing or not."""

    def standing(self, subject: bytes) -> Standing: ...

    def wrong(self, subject: bytes) -> Standing: ...

    def right(self, subject: bytes) -> None: ...


class Members(Protocol):
    """The transaction's tenant and who is in it."""

    def add_tenant(self, tenant: Tenant, key: str) -> None: ...

    def tenant(self) -> Tenant | None: ...

    def lock(self) -> None:
        """Nobody else changes the members until the transaction ends."""

    def rename(self, name: str, base_asset: str) -> None: ...

    def mine(self) -> Sequence[Tenant]:
        """All tenants that the transaction's person is in, each with the role there."""

    def list(self) -> Sequence[Member]: ...

    def role(self, user_id: UUID) -> Role | None: ...

    def add(self, user_id: UUID, role: Role) -> None: ...

    def set_role(self, user_id: UUID, role: Role) -> None: ...

    def remove(self, user_id: UUID) -> None: ...

    def add_invite(self, invite: Invite) -> None: ...

    def invite(self, invite_id: UUID) -> Invite | None:
        """Locked until the transaction ends."""

    def invites(self) -> Sequence[Invite]:
        """Newest first."""

    def accept(self, invite_id: UUID) -> None: ...

    def withdraw(self, invite_id: UUID) -> None: ...


class IdentityWork(Work, Protocol):
    @property
    def tokens(self) -> Tokens: ...

    @property
    def people(self) -> People: ...

    @property
    def addresses(self) -> Addresses: ...

    @property
    def sessions(self) -> Sessions: ...

    @property
    def belongings(self) -> Belongings: ...

    @property
    def erasure(self) -> Erasure: ...

    @property
    def guesses(self) -> Guesses: ...

    @property
    def members(self) -> Members: ...

    @property
    def now(self) -> datetime: ...

    def version(self) -> int:
        """The tenant's data version, as of this transaction."""


class SentLinks(Protocol):
    """What a letter about a challenge has in it."""

    def write(self, user_id: UUID, home_id: UUID, challenge: Challenge) -> str:
        """The text that proves its reader got the letter."""

    def code(self, user_id: UUID, challenge: Challenge) -> str:
        """Six digits."""


class InviteLinks(Protocol):
    def write(self, tenant_id: UUID, invite: Invite) -> str:
        """The text that proves its reader got the invitation."""


class Box(Protocol):
    """Seals small things under a key that is outside the database."""

    def seal(self, plain: bytes, place: bytes) -> bytes: ...

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """What was sealed for this place."""
