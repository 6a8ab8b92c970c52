"""How somebody becomes a person of Finora: by whatever identity, the same way."""

from uuid import UUID

from finora_core.identity.people.model import (
    Challenge,
    ChallengeMade,
    Identity,
    IdentityKind,
    Person,
    PersonRegistered,
    Purpose,
)
from finora_core.identity.ports import IdentityWork
from finora_core.identity.roles import Role
from finora_core.identity.tenants.model import Tenant, TenantKind
from finora_core.kernel.ids import new_id


def enrol(
    work: IdentityWork,
    person: Person,
    identity: Identity,
    letter: Purpose | None = Purpose.VERIFY,
) -> Person:
    """Write the person, the personal tenant, and the identity, and let the address be sent a
    letter. The transaction is that person's, in that tenant. Raises EmailTaken, IdentityTaken."""
    assert person.home_id is not None
    tenant = Tenant(
        id=person.home_id,
        kind=TenantKind.PERSONAL,
        name=person.name or "Personal",
        base_asset=person.currency,
    )
    work.members.add_tenant(tenant, key=f"finora:tenant:{tenant.id}")
    work.people.add(person)
    work.members.add(person.user_id, Role.OWNER)
    work.people.add_identity(identity)
    work.events.record(PersonRegistered(person.user_id, identity.kind.value))
    if identity.kind is IdentityKind.EMAIL and identity.verified_at is None and letter is not None:
        challenge(work, person.user_id, identity.id, letter)
    return person


def challenge(work: IdentityWork, user_id: UUID, identity_id: UUID, purpose: Purpose) -> Challenge:
    """Let a link or code be sent to the identity's address."""
    made = Challenge(
        id=new_id(), purpose=purpose, identity_id=identity_id, expires_at=work.now + purpose.lasts
    )
    work.people.add_challenge(made)
    work.events.record(ChallengeMade(user_id, made.id, purpose))
    return made
