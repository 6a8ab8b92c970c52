"""Proving once more who it is, before what is dangerous."""

import attrs
from flask import Response, current_app, redirect
from werkzeug.wrappers import Response as Answer

from finora_core.identity.people.model import IdentityKind
from finora_core.kernel.errors import Refusal
from finora_core.kernel.scope import Scope
from finora_web.gate import Gate
from finora_web.pages.account.frame import account_page
from finora_web.pages.caller import caller
from finora_web.pages.forms import an_answer, count, digits, onward, passkeys, password, sent


@attrs.frozen
class Confirm:
    gate: Gate

    def page(self) -> Response:
        return self._page(caller(self.gate, "self:read"))

    def confirm(self) -> Answer:
        scope = caller(self.gate, "self:write")
        app = self.gate.services
        try:
            count(self.gate, "auth")
            if sent("ticket"):
                app.factors.step_up(scope, sent("ticket"), an_answer("response"))
            elif sent("code"):
                app.sessions.step_up(scope, code=digits("code"))
            else:
                app.sessions.step_up(scope, password=password())
        except Refusal as refusal:
            return self._page(scope, refusal)
        to = onward()
        return redirect(f"{to}?said=confirmed" if to.startswith("/account") else to, 303)

    def _page(self, scope: Scope, refusal: Refusal | None = None) -> Response:
        profile = self.gate.services.people.profile(scope)
        have = {each.kind for each in profile.identities}
        return account_page(
            self.gate.services,
            scope,
            "confirm.html",
            refusal,
            next=onward(),
            by_password=profile.person.password is not None,
            by_code=profile.person.codes is not None,
            by_passkey=IdentityKind.PASSKEY in have,
            passkeys=passkeys(current_app.config["SHELL"].settings),
        )
