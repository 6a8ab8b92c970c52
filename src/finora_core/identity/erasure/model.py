"""What goes with a person and what stays.

Of a person stays an id, which rows of others name. The personal tenant goes, and so does every
other that nobody else is in; the rest loses a member. A tenant whose only owner the person is, with
others in it, hinders: somebody else must own it first.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar
from uuid import UUID

import attrs

from finora_core.identity.roles import Role
from finora_core.identity.tenants.model import Member, Tenant
from finora_core.kernel.errors import Conflict, Invalid
from finora_core.kernel.events import Plain

CONFIRMATION = "ERASE"


class ErasureUnconfirmed(Invalid):
    """Repeat the address of the account, or the word ERASE: there is no way back."""

    code = "ERASURE_UNCONFIRMED"


class ErasureHindered(Conflict):
    """The person is the only owner of tenants that others are in: `details` names them."""

    code = "ERASURE_HINDERED"


@attrs.frozen
class Tie:
    """A tenant that a person is in, and everybody who is."""

    tenant: Tenant
    members: tuple[Member, ...]


@attrs.frozen(kw_only=True)
class Plan:
    whole: tuple[Tenant, ...]
    """Nobody else is in them."""
    left: tuple[Tenant, ...]
    """Others go on in them."""
    hindering: tuple[Tenant, ...]
    """Others are in them, and none of those is an owner."""

    def require(self) -> "Plan":
        """Raise ErasureHindered."""
        if self.hindering:
            raise ErasureHindered(
                f"{len(self.hindering)} tenants have no other owner: make somebody one first",
                details=tuple((str(each.id), each.name) for each in self.hindering),
            )
        return self


def planned(user_id: UUID, ties: Sequence[Tie]) -> Plan:
    """What becomes of each tenant when the person goes."""
    found: dict[str, list[Tenant]] = {"whole": [], "left": [], "hindering": []}
    for tie in ties:
        others = [each.role for each in tie.members if each.user_id != user_id]
        fate = "left" if others else "whole"
        if others and Role.OWNER not in others:
            fate = "hindering"
        found[fate].append(tie.tenant)
    return Plan(**{fate: tuple(tenants) for fate, tenants in found.items()})


@attrs.frozen(kw_only=True)
class Dependencies:
    """What would go with a person. `rows` counts by table, of the person and of whole tenants."""

    user_id: UUID
    plan: Plan
    rows: Mapping[str, int]


@attrs.frozen(kw_only=True)
class Erased:
    tenants: int
    """That went whole."""
    left: int
    rows: int


# --- events: of the platform's tenant, for there is no other left ---


@attrs.frozen
class ErasureAsked:
    type: ClassVar[str] = "person.erasure_asked"

    user_id: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"user": str(self.user_id)}


@attrs.frozen
class PersonErased:
    type: ClassVar[str] = "person.erased"

    user_id: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"user": str(self.user_id)}


@attrs.frozen
class TenantErased:
    """Why a tenant's log, of which anchors know, is not there any more."""

    type: ClassVar[str] = "tenant.erased"

    tenant_id: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"tenant": str(self.tenant_id)}
