"""Tenants, who is in them, and asking somebody in."""

from collections.abc import Sequence
from uuid import UUID

import attrs

from finora_core.identity.people.model import IdentityKind, require_person, require_proven
from finora_core.identity.ports import IdentityWork
from finora_core.identity.roles import Role, may_give
from finora_core.identity.sessions.door import Door, at_home
from finora_core.identity.tenants.links import Invitations
from finora_core.identity.tenants.model import (
    INVITE_LASTS,
    AlreadyMember,
    Invite,
    InviteForAnother,
    InviteInvalid,
    InviteNotFound,
    InviteWithdrawn,
    LastOwner,
    Member,
    MemberChanged,
    MemberInvited,
    MemberNotFound,
    PersonalTenant,
    RoleForbidden,
    Tenant,
    TenantChanged,
    TenantKind,
    TenantMade,
)
from finora_core.kernel.ids import derived_id, new_id
from finora_core.kernel.scope import Command, Scope
from finora_core.kernel.work import retried
from finora_core.mail.model import address_key


@attrs.frozen
class TenantService:
    door: Door
    invitations: Invitations

    @retried
    def create(self, scope: Scope, name: str, *, base_asset: str = "EUR") -> Tenant:
        """A business tenant, owned by the asker. Raises BadTenant, AddressUnproven."""
        # A repeat of the request finds the tenant that the first one made.
        cause = scope.cause
        about = cause.key if isinstance(cause, Command) else scope.request_id
        tenant_id = derived_id("tenant", str(scope.user_id), name, about)
        tenant = Tenant(
            id=tenant_id,
            kind=TenantKind.BUSINESS,
            name=name.strip(),
            base_asset=base_asset,
            role=Role.OWNER,
        )
        with self.door.begin(scope.at(tenant_id, scope.user_id)) as work:
            # Locked: who is being forgotten owns nothing new.
            require_person(work.people.get(lock=True))
            # What is shared with others outlives that a stranger's account is claimed.
            require_proven(work.people.identities())
            if work.members.tenant() is None:
                work.members.add_tenant(tenant, key=f"finora:tenant:{tenant_id}")
                work.members.add(scope.user_id, Role.OWNER)
                work.events.record(TenantMade(tenant_id, tenant.kind))
        with self.door.begin(at_home(scope)) as work:
            # In the person's own log too, which is what the asker's other screens follow.
            work.events.record(TenantMade(tenant_id, tenant.kind))
            return work.done(attrs.evolve(tenant, created_at=work.now))

    def mine(self, scope: Scope) -> Sequence[Tenant]:
        """The tenants that the asker is in, each with the role there."""
        with self.door.begin(scope) as work:
            return work.members.mine()

    def get(self, scope: Scope) -> Tenant:
        with self.door.begin(scope) as work:
            return _tenant(work, scope)

    @retried
    def change(
        self, scope: Scope, *, name: str | None = None, base_asset: str | None = None
    ) -> Tenant:
        """Raises BadTenant."""
        with self.door.begin(scope) as work:
            found = _tenant(work, scope)
            changed = attrs.evolve(
                found, name=name or found.name, base_asset=base_asset or found.base_asset
            )
            if changed != found:
                work.members.rename(changed.name, changed.base_asset)
                work.events.record(TenantChanged(scope.tenant_id))
            return work.done(changed)

    # --- members ---

    def members(self, scope: Scope) -> Sequence[Member]:
        with self.door.begin(scope) as work:
            return work.members.list()

    @retried
    def set_role(self, scope: Scope, user_id: UUID, role: Role) -> Member:
        """Raises MemberNotFound, RoleForbidden, LastOwner, PersonalTenant."""
        with self.door.begin(scope) as work:
            found = _locked(work, user_id)
            giver = _role(work, scope)
            if not (may_give(giver, role) and may_give(giver, found.role)):
                raise RoleForbidden(f"a member who is {giver} cannot do that")
            if role is not found.role:
                _keep_an_owner(work, user_id, role)
                work.members.set_role(user_id, role)
                work.events.record(MemberChanged(user_id, "role", role))
            return work.done(attrs.evolve(found, role=role))

    @retried
    def remove(self, scope: Scope, user_id: UUID) -> None:
        """Take a member out, or leave. The member's tokens go too. Raises MemberNotFound,
        RoleForbidden, LastOwner, PersonalTenant."""
        with self.door.begin(scope) as work:
            found = _locked(work, user_id)
            own = user_id == scope.user_id
            if not own and not may_give(_role(work, scope), found.role):
                raise RoleForbidden("your role cannot take this member out")
            _keep_an_owner(work, user_id, None)
            work.members.remove(user_id)
            work.events.record(MemberChanged(user_id, "left" if own else "removed", None))
            work.done(None)

    # --- invitations ---

    @retried
    def invite(self, scope: Scope, email: str, role: Role) -> Invite:
        """Ask somebody in by letter; good for seven days, once. Raises RoleForbidden,
        PersonalTenant, AlreadyMember, BadMailAddress."""
        key = address_key(email)
        with self.door.begin(scope) as work:
            if _tenant(work, scope).kind is TenantKind.PERSONAL:
                raise PersonalTenant("a personal tenant has no other members")
            if not may_give(_role(work, scope), role):
                raise RoleForbidden(f"your role cannot make somebody {role}")
            if any(each.email and address_key(each.email) == key for each in work.members.list()):
                raise AlreadyMember("this address is a member's already")
            invite = Invite(
                id=new_id(),
                email=email.strip(),
                role=role,
                invited_by=scope.user_id,
                created_at=work.now,
                expires_at=work.now + INVITE_LASTS,
            )
            work.members.add_invite(invite)
            work.events.record(MemberInvited(invite.id, role))
            return work.done(invite)

    def invites(self, scope: Scope) -> Sequence[Invite]:
        """Newest first."""
        with self.door.begin(scope) as work:
            return work.members.invites()

    @retried
    def withdraw(self, scope: Scope, invite_id: UUID) -> None:
        """Raises InviteNotFound."""
        with self.door.begin(scope) as work:
            found = work.members.invite(invite_id)
            if found is None:
                raise InviteNotFound(f"no invitation {invite_id}")
            if found.open(work.now):
                work.members.withdraw(invite_id)
                work.events.record(InviteWithdrawn(invite_id))
            work.done(None)

    @retried
    def accept(self, scope: Scope, link: str) -> Tenant:
        """Join the tenant that invited. Raises InviteInvalid, InviteForAnother, AlreadyMember."""
        tenant_id, invite_id = self.invitations.read(link, self.door.clock.now())
        with self.door.begin(scope.at(tenant_id, scope.user_id)) as work:
            require_person(work.people.get(lock=True))
            work.members.lock()
            found = work.members.invite(invite_id)
            if found is None or not found.open(work.now):
                raise InviteInvalid("this invitation was used or taken back")
            giver = work.members.role(found.invited_by)
            if giver is None or not may_give(giver, found.role):
                raise InviteInvalid("whoever sent this invitation may not invite any more")
            wanted = address_key(found.email)
            mine = [each for each in work.people.identities() if each.subject == wanted]
            if not any(e.kind is IdentityKind.EMAIL and e.verified_at for e in mine):
                raise InviteForAnother("sign in with the invited address, and verify it first")
            if work.members.role(scope.user_id) is not None:
                raise AlreadyMember("you are a member already")
            work.members.add(scope.user_id, found.role)
            work.members.accept(invite_id)
            work.events.record(MemberChanged(scope.user_id, "joined", found.role))
            tenant = work.members.tenant()
            assert tenant is not None
            return work.done(attrs.evolve(tenant, role=found.role))


def _tenant(work: IdentityWork, scope: Scope) -> Tenant:
    tenant = work.members.tenant()
    assert tenant is not None  # Somebody asks in it.
    return attrs.evolve(tenant, role=work.members.role(scope.user_id))


def _role(work: IdentityWork, scope: Scope) -> Role:
    """Of who asks."""
    role = work.members.role(scope.user_id)
    if role is None:
        raise MemberNotFound("who asks is no member")
    return role


def _locked(work: IdentityWork, user_id: UUID) -> Member:
    """A member, with all the others kept as they are. Raises MemberNotFound, PersonalTenant."""
    work.members.lock()
    tenant = work.members.tenant()
    found = next((each for each in work.members.list() if each.user_id == user_id), None)
    if found is None:
        raise MemberNotFound(f"no member {user_id}")
    if tenant is not None and tenant.kind is TenantKind.PERSONAL:
        raise PersonalTenant("a personal tenant has its person as the only member")
    return found


def _keep_an_owner(work: IdentityWork, user_id: UUID, role: Role | None) -> None:
    owners = {each.user_id for each in work.members.list() if each.role is Role.OWNER}
    if owners == {user_id} and role is not Role.OWNER:
        raise LastOwner("make somebody else an owner first")
