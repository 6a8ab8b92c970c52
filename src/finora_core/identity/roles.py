"""The one table of who may do what: a role's permissions, in a tenant and on the platform.

Deny by default: what stands in no row here, nobody may do, and a route that asks for it does not
start. `self:` permissions are about the asker's own person and need no tenant.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum


class Role(StrEnum):
    """Of a member, in one tenant."""

    OWNER = "owner"
    ADMIN = "admin"
    ACCOUNTANT = "accountant"
    VIEWER = "viewer"


class PlatformRole(StrEnum):
    """Of a person, in the whole installation."""

    ADMIN = "admin"
    RESOLVER = "resolver"
    GUARD = "guard"
    BUYER = "buyer"
    SELLER = "seller"


_VIEWER = frozenset({
    "books:read", "books:export", "files:read", "jobs:read", "tenant:read",
})  # fmt: skip
_ACCOUNTANT = _VIEWER | {
    "books:write", "books:close", "files:write", "jobs:write", "events:read",
}  # fmt: skip
_ADMIN = _ACCOUNTANT | {
    "members:write", "tenant:write", "tokens:read", "tokens:write", "credentials:read",
    "credentials:write", "data:ask",
}  # fmt: skip
_OWNER = _ADMIN | {"owners:write", "books:reopen"}

BY_ROLE: Mapping[Role, frozenset[str]] = {
    Role.OWNER: _OWNER,
    Role.ADMIN: _ADMIN,
    Role.ACCOUNTANT: _ACCOUNTANT,
    Role.VIEWER: _VIEWER,
}
BY_PLATFORM_ROLE: Mapping[PlatformRole, frozenset[str]] = {
    PlatformRole.ADMIN: frozenset({
        "people:read", "people:write", "platform:write", "escrow:confirm", "escrow:hold",
        "escrow:pause", "escrow:resolve",
    }),
    PlatformRole.RESOLVER: frozenset({"escrow:hold", "escrow:resolve"}),
    PlatformRole.GUARD: frozenset({"escrow:confirm", "escrow:hold", "escrow:pause"}),
    # Their own rows only, which is what everybody may.
    PlatformRole.BUYER: frozenset(),
    PlatformRole.SELLER: frozenset(),
}  # fmt: skip
SELF = frozenset({"self:read", "self:write"})
"""Of everybody who signed in; a token never has them."""
EXPLICIT = frozenset({"books:export", "data:ask"})
"""What a token has only if it was made with it by name: whoever made it gave a fresh proof then,
and a program cannot give one later."""
TENANT = frozenset().union(*BY_ROLE.values())
PERMISSIONS = frozenset().union(SELF, TENANT, *BY_PLATFORM_ROLE.values())
"""What a route can ask for."""


def of_member(role: Role) -> frozenset[str]:
    return BY_ROLE[role]


def of_person(role: Role | None, platform: Iterable[PlatformRole]) -> frozenset[str]:
    """Of somebody who signed in; `role` None where the person is no member of the tenant."""
    own = frozenset() if role is None else BY_ROLE[role]
    return SELF.union(own, *(BY_PLATFORM_ROLE[each] for each in platform))


def may_give(giver: Role, role: Role) -> bool:
    """Whether a member may make another one this, or undo it: owners alone are above admins."""
    if role is Role.OWNER:
        return giver is Role.OWNER
    return giver in (Role.OWNER, Role.ADMIN)
