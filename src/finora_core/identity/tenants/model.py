"""Tenants and who is in them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

import attrs

from finora_core.identity.roles import Role
from finora_core.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from finora_core.kernel.events import Plain

INVITE_LASTS = timedelta(days=7)


class NotAMember(Forbidden):
    """The caller is no member of the tenant that the request names."""

    code = "NOT_A_MEMBER"


class TenantGone(Conflict):
    """The tenant was erased a moment ago, and all that was in it."""

    code = "TENANT_GONE"


class RoleForbidden(Forbidden):
    """The caller's role may not give or take that role."""

    code = "ROLE_FORBIDDEN"


class MemberNotFound(NotFound):
    """There is no such member."""

    code = "MEMBER_NOT_FOUND"


class LastOwner(Conflict):
    """A tenant always has an owner: make somebody else one first."""

    code = "LAST_OWNER"


class AlreadyMember(Conflict):
    """The person is a member already."""

    code = "ALREADY_MEMBER"


class InviteNotFound(NotFound):
    """There is no such invitation."""

    code = "INVITE_NOT_FOUND"


class InviteInvalid(Invalid):
    """The invitation is not one of ours, was used or taken back, or its time has run out."""

    code = "INVITE_INVALID"


class InviteForAnother(Forbidden):
    """The invitation was sent to an address that the caller has not shown to be his."""

    code = "INVITE_FOR_ANOTHER"


class PersonalTenant(Conflict):
    """A personal tenant has its person as the only member."""

    code = "PERSONAL_TENANT"


class BadTenant(Invalid):
    """The tenant's name or base currency is not sound."""

    code = "BAD_TENANT"


class TenantKind(StrEnum):
    PERSONAL = "personal"
    BUSINESS = "business"
    HOST = "host"
    """An embedding program's own."""


@attrs.frozen(kw_only=True)
class Tenant:
    id: UUID
    kind: TenantKind
    name: str
    base_asset: str
    created_at: datetime | None = None
    role: Role | None = None
    """Of whoever asks."""

    def __attrs_post_init__(self) -> None:
        if not 1 <= len(self.name) <= 200 or not self.name.isprintable():
            raise BadTenant("a tenant's name has 1 to 200 printable characters")


@attrs.frozen(kw_only=True)
class Member:
    user_id: UUID
    role: Role
    name: str
    email: str | None
    since: datetime


@attrs.frozen(kw_only=True)
class Invite:
    id: UUID
    email: str
    role: Role
    invited_by: UUID
    created_at: datetime | None
    expires_at: datetime
    accepted_at: datetime | None = None
    withdrawn_at: datetime | None = None

    def open(self, now: datetime) -> bool:
        return self.accepted_at is None and self.withdrawn_at is None and now < self.expires_at


# --- events ---


@attrs.frozen
class TenantMade:
    type: ClassVar[str] = "tenant.made"

    tenant_id: UUID
    kind: TenantKind

    def payload(self) -> Mapping[str, Plain]:
        return {"tenant": str(self.tenant_id), "kind": self.kind.value}


@attrs.frozen
class TenantChanged:
    type: ClassVar[str] = "tenant.changed"

    tenant_id: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"tenant": str(self.tenant_id)}


@attrs.frozen
class MemberInvited:
    type: ClassVar[str] = "member.invited"

    invite_id: UUID
    role: Role

    def payload(self) -> Mapping[str, Plain]:
        return {"invite": str(self.invite_id), "role": self.role.value}


@attrs.frozen
class InviteWithdrawn:
    type: ClassVar[str] = "invite.withdrawn"

    invite_id: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"invite": str(self.invite_id)}


@attrs.frozen
class MemberChanged:
    type: ClassVar[str] = "member.changed"

    user_id: UUID
    change: str
    """joined, role, removed, left."""
    role: Role | None

    def payload(self) -> Mapping[str, Plain]:
        role = None if self.role is None else self.role.value
        return {"user": str(self.user_id), "change": self.change, "role": role}
