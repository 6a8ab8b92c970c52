"""Tenants, their members and invitations. X-Tenant-Id names the tenant of a request."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from finora_core.identity.roles import Role
from finora_core.kernel.scope import Scope
from finora_web.api.auth import Done, Email, Signed, done
from finora_web.contract import In, Listed, Name, Out, Routes, Single, whole
from finora_web.services import Services

routes = Routes("tenants")

RoleName = Literal["owner", "admin", "accountant", "viewer"]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class TenantOut(Out):
    id: UUID
    kind: Literal["personal", "business", "host"]
    name: str
    base_asset: str
    created_at: datetime | None
    role: RoleName | None


class MemberOut(Out):
    user_id: UUID
    role: RoleName
    name: str
    email: str | None
    since: datetime


class InviteOut(Out):
    id: UUID
    email: str
    role: RoleName
    invited_by: UUID
    created_at: datetime | None
    expires_at: datetime
    accepted_at: datetime | None
    withdrawn_at: datetime | None


@routes.get("/tenants", "self:read", Listed[TenantOut], shape=whole)
def list_tenants(app: Services, scope: Scope) -> object:
    """The tenants that the person is in, each with the role there."""
    return app.tenants.mine(scope)


class NewTenant(In):
    name: Name
    base_asset: Currency = "EUR"


@routes.post("/tenants", "self:write", Single[TenantOut], status=201, limit="strict")
def create_tenant(app: Services, scope: Scope, body: NewTenant) -> object:
    """A business tenant, owned by the person."""
    return app.tenants.create(scope, body.name, base_asset=body.base_asset)


@routes.get("/tenant", "tenant:read", Single[TenantOut])
def get_tenant(app: Services, scope: Scope) -> object:
    """The tenant of the request."""
    return app.tenants.get(scope)


class TenantChange(In):
    name: Name | None = None
    base_asset: Currency | None = None


@routes.patch("/tenant", "tenant:write", Single[TenantOut])
def change_tenant(app: Services, scope: Scope, body: TenantChange) -> object:
    """Change the tenant's name or base currency."""
    return app.tenants.change(scope, name=body.name, base_asset=body.base_asset)


@routes.get("/members", "tenant:read", Listed[MemberOut], shape=whole)
def list_members(app: Services, scope: Scope) -> object:
    """The tenant's members, longest in it first."""
    return app.tenants.members(scope)


class RoleIn(In):
    role: RoleName


@routes.patch("/members/{user_id}", "members:write", Single[MemberOut])
def change_role(app: Services, scope: Scope, user_id: UUID, body: RoleIn) -> object:
    """Give a member another role. Owners are made and unmade by owners; one always stays."""
    return app.tenants.set_role(scope, user_id, Role(body.role))


@routes.delete("/members/{user_id}", "members:write", Single[Done], shape=done)
def remove_member(app: Services, scope: Scope, user_id: UUID) -> None:
    """Take a member out, with the member's tokens."""
    app.tenants.remove(scope, user_id)


@routes.post("/members/leave", "self:write", Single[Done], shape=done)
def leave_tenant(app: Services, scope: Scope) -> None:
    """Leave the tenant of the request."""
    app.tenants.remove(scope, scope.user_id)


@routes.get("/invites", "members:write", Listed[InviteOut], shape=whole)
def list_invites(app: Services, scope: Scope) -> object:
    """The tenant's invitations, newest first."""
    return app.tenants.invites(scope)


class NewInvite(In):
    email: Email
    role: RoleName


@routes.post("/invites", "members:write", Single[InviteOut], status=201, limit="strict")
def invite_member(app: Services, scope: Scope, body: NewInvite) -> object:
    """Ask somebody in by letter: good once, within seven days, for whoever has the address."""
    return app.tenants.invite(scope, body.email, Role(body.role))


@routes.delete("/invites/{invite_id}", "members:write", Single[Done], shape=done)
def withdraw_invite(app: Services, scope: Scope, invite_id: UUID) -> None:
    """Take an invitation back."""
    app.tenants.withdraw(scope, invite_id)


class Acceptance(In):
    link: Signed = Field(description="What the letter's link has behind `token=`.")


@routes.post("/invites/acceptance", "self:write", Single[TenantOut], private=True)
def accept_invite(app: Services, scope: Scope, body: Acceptance) -> object:
    """Join the tenant that invited the person's own, verified address."""
    return app.tenants.accept(scope, body.link)
