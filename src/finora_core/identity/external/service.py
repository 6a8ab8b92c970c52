"""Who asks with a token of another service.

Its tenants and subjects become tenants and users of their own here, under names that begin with the
issuer; nobody signs in as one of them, and none is a person with a profile.
"""

import hashlib

import attrs

from finora_core.identity.model import Proof, TokenInvalid
from finora_core.identity.ports import IdentityWork, Tenants
from finora_core.identity.roles import Role, of_member
from finora_core.identity.tenants.model import MemberChanged
from finora_core.identity.verifiers import Claims, ExternalIssuer
from finora_core.kernel.clock import Clock
from finora_core.kernel.scope import ExternalCredential, Scope
from finora_core.kernel.work import Begin

_LONGEST_KEY = 200


@attrs.frozen
class ExternalService:
    begin: Begin[IdentityWork]
    tenants: Tenants
    issuer: ExternalIssuer | None
    clock: Clock

    def prove(self, text: str, request_id: str) -> Proof | None:
        """Who asks with this token, as its issuer says; None where it is not of the issuer that is
        taken here. Raises TokenInvalid, IssuerUnavailable."""
        if self.issuer is None or not self.issuer.issued(text):
            return None
        claims = self.issuer.verify(text)
        role = role_of(claims)
        scope = self.tenants.scope(tenant_key(claims), user_key(claims), request_id)
        with self.begin(scope) as work:
            version = work.version()
            known = work.members.role(scope.user_id)
        if known is not role:
            self._set_role(scope, role)
        scope = attrs.evolve(
            scope,
            permissions=of_member(role),
            credential=ExternalCredential(role=role.value),
            proven_at=claims.proven_at,
        )
        left = claims.expires_at - self.clock.now()
        return Proof(scope=scope, versions={scope.tenant_id: version}, left=left)

    def _set_role(self, scope: Scope, role: Role) -> None:
        """In the tenant's own list too: what a token may, that its user makes, hangs on it."""
        with self.begin(scope) as work:
            work.members.lock()
            if work.members.role(scope.user_id) is not role:
                work.members.set_role(scope.user_id, role)
                work.events.record(MemberChanged(scope.user_id, "role", role))


def role_of(claims: Claims) -> Role:
    """Everybody owns the tenant of their own; in a named one who is given no role may look. Raises
    TokenInvalid for a role that is none of ours: it might have meant less than any."""
    if claims.tenant is None:
        return Role.OWNER
    if claims.role is None:
        return Role.VIEWER
    try:
        return Role(claims.role)
    except ValueError as error:
        raise TokenInvalid(f"there is no role {claims.role[:40]!r}") from error


def tenant_key(claims: Claims) -> str:
    """The name of the tenant here; that of a subject's own is nobody's claim."""
    if claims.tenant is None:
        return _key(claims.issuer, "own", claims.subject)
    return _key(claims.issuer, "tenant", claims.tenant)


def user_key(claims: Claims) -> str:
    return _key(claims.issuer, "user", claims.subject)


def _key(issuer: str, kind: str, name: str) -> str:
    # No issuer has a blank, and no two kinds are alike: nothing else reads the same.
    text = f"{issuer} {kind} {name}"
    if len(text) <= _LONGEST_KEY:
        return text
    digest = hashlib.sha256(f"{issuer}\n{name}".encode()).hexdigest()
    return f"{issuer[:100]} {kind}-digest {digest}"
