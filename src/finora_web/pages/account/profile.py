"""The person's own page: name, locale, currency, address, password."""

import attrs
from flask import Response
from werkzeug.wrappers import Response as Answer

from finora_core.kernel.asset import CURRENCIES, currency
from finora_core.kernel.errors import Refusal
from finora_core.kernel.scope import Scope
from finora_web.gate import Gate
from finora_web.pages.account.frame import account_page, done
from finora_web.pages.caller import caller
from finora_web.pages.forms import password, sent


@attrs.frozen
class ProfilePage:
    gate: Gate

    def page(self) -> Response:
        return self._page(caller(self.gate, "self:read"))

    def change(self) -> Answer:
        scope = caller(self.gate, "self:write")
        try:
            code = sent("currency")
            currency(code)
            self.gate.services.people.change(
                scope, name=sent("name"), locale=sent("locale"), currency=code
            )
        except Refusal as refusal:
            return self._page(scope, refusal)
        return done("", "changed")

    def verification(self) -> Answer:
        """The letter with the link again."""
        scope = caller(self.gate, "self:write")
        try:
            self.gate.services.people.ask_again(scope)
        except Refusal as refusal:
            return self._page(scope, refusal)
        return done("", "sent")

    def password(self) -> Answer:
        scope = caller(self.gate, "self:write", again=True)
        try:
            self.gate.services.people.set_password(scope, password())
        except Refusal as refusal:
            return self._page(scope, refusal)
        return done("", "password")

    def _page(self, scope: Scope, refusal: Refusal | None = None) -> Response:
        listed = [each.id for each in CURRENCIES]
        return account_page(self.gate.services, scope, "profile.html", refusal, currencies=listed)
