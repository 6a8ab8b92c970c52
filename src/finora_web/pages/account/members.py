"""Books, who is in them and as what, and who was invited."""

from datetime import UTC, datetime
from uuid import UUID

import attrs
from flask import Response, make_response, redirect
from werkzeug.wrappers import Response as Answer

from finora_core.identity.roles import Role, may_give
from finora_core.identity.tenants.model import NotAMember, TenantKind
from finora_core.kernel.asset import CURRENCIES, currency
from finora_core.kernel.errors import Refusal
from finora_core.kernel.scope import Scope
from finora_web.errors import BadRequest
from finora_web.gate import Gate
from finora_web.pages.account.frame import account_page, done
from finora_web.pages.caller import caller, into_tenant, leave_tenant
from finora_web.pages.forms import an_id, count, onward, sent

ROLES = {
    Role.VIEWER: "sees the books",
    Role.ACCOUNTANT: "sees and changes the books",
    Role.ADMIN: "also manages members, keys and connections",
    Role.OWNER: "also makes and unmakes owners",
}


@attrs.frozen
class Members:
    gate: Gate

    def page(self) -> Response:
        return self._page(caller(self.gate, "tenant:read"))

    def switch(self) -> Answer:
        """Show other books from now on."""
        scope = caller(self.gate, "self:read")
        tenant_id = an_id("tenant_id")
        if tenant_id not in {each.id for each in self.gate.services.tenants.mine(scope)}:
            raise NotAMember("you are no member of these books")
        return into_tenant(make_response(redirect(onward(), 303)), str(tenant_id))

    def create(self) -> Answer:
        scope = caller(self.gate, "self:write")
        try:
            code = sent("currency")
            currency(code)
            made = self.gate.services.tenants.create(scope, sent("name"), base_asset=code)
        except Refusal as refusal:
            return self._page(scope, refusal, at="create")
        return into_tenant(make_response(done("members", "made")), str(made.id))

    def change(self) -> Answer:
        scope = caller(self.gate, "tenant:write")
        try:
            code = sent("currency")
            currency(code)
            self.gate.services.tenants.change(scope, name=sent("name"), base_asset=code)
        except Refusal as refusal:
            return self._page(scope, refusal, at="change")
        return done("members", "changed")

    # --- members ---

    def set_role(self) -> Answer:
        scope = caller(self.gate, "members:write")
        try:
            self.gate.services.tenants.set_role(scope, an_id("user_id"), _role())
        except Refusal as refusal:
            return self._page(scope, refusal)
        return done("members", "role")

    def remove(self) -> Answer:
        scope = caller(self.gate, "members:write")
        return self._removed(scope, an_id("user_id"))

    def leave(self) -> Answer:
        scope = caller(self.gate, "self:write")
        return self._removed(scope, scope.user_id)

    def _removed(self, scope: Scope, user_id: UUID) -> Answer:
        try:
            self.gate.services.tenants.remove(scope, user_id)
        except Refusal as refusal:
            return self._page(scope, refusal)
        if user_id == scope.user_id:
            return leave_tenant(make_response(done("members", "left")))
        return done("members", "gone")

    # --- invitations ---

    def invite(self) -> Answer:
        scope = caller(self.gate, "members:write")
        try:
            count(self.gate, "strict")
            self.gate.services.tenants.invite(scope, sent("email"), _role())
        except Refusal as refusal:
            return self._page(scope, refusal, at="invite", email=sent("email"))
        return done("members", "invited")

    def withdraw(self) -> Answer:
        scope = caller(self.gate, "members:write")
        try:
            self.gate.services.tenants.withdraw(scope, an_id("invite_id"))
        except Refusal as refusal:
            return self._page(scope, refusal)
        return done("members", "withdrawn")

    def _page(
        self, scope: Scope, refusal: Refusal | None = None, at: str = "", email: str = ""
    ) -> Response:
        """`at` is the form that was refused."""
        app = self.gate.services
        tenant, members = app.tenants.get(scope), app.tenants.members(scope)
        own = next((each.role for each in members if each.user_id == scope.user_id), None)
        writes = "members:write" in scope.permissions and own is not None
        now = datetime.now(UTC)
        shared = tenant.kind is not TenantKind.PERSONAL
        invites = app.tenants.invites(scope) if writes else ()
        return account_page(
            app,
            scope,
            "members.html",
            refusal,
            at=at,
            email=email,
            own=scope.user_id,
            shared=shared,
            writes=writes,
            members=[
                (each, own is not None and writes and shared and may_give(own, each.role))
                for each in members
            ],
            invites=[each for each in invites if each.open(now)],
            roles={role: what for role, what in ROLES.items() if own and may_give(own, role)},
            currencies=[each.id for each in CURRENCIES],
        )


def _role() -> Role:
    """Raises BadRequest."""
    try:
        return Role(sent("role"))
    except ValueError as error:
        raise BadRequest("there is no such role", details=(("role", "is unknown"),)) from error
