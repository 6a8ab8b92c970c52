"""Ways to sign in: passkeys, accounts elsewhere, one-time codes."""

from collections.abc import Mapping

import attrs
from flask import Response, current_app, jsonify
from werkzeug.wrappers import Response as Answer

from finora_core.identity.factors.model import CodesOffer
from finora_core.identity.people.model import IdentityKind
from finora_core.kernel.errors import Refusal
from finora_core.kernel.scope import Scope
from finora_web.errors import BadRequest
from finora_web.gate import Gate
from finora_web.pages.account.frame import account_page, done
from finora_web.pages.caller import caller
from finora_web.pages.forms import an_answer, an_id, digits, passkeys, sent

KINDS: Mapping[IdentityKind, str] = {
    IdentityKind.EMAIL: "e-mail address",
    IdentityKind.PASSKEY: "passkey",
    IdentityKind.WALLET: "wallet",
    IdentityKind.OIDC: "account elsewhere",
    IdentityKind.TELEGRAM: "Telegram",
}


@attrs.frozen
class Ways:
    gate: Gate

    def page(self, refusal: Refusal | None = None, offer: CodesOffer | None = None) -> Response:
        scope = caller(self.gate, "self:read")
        return self._page(scope, refusal, offer)

    def remove(self) -> Answer:
        scope = caller(self.gate, "self:write", again=True)
        try:
            self.gate.services.people.remove(scope, an_id("identity_id"))
        except Refusal as refusal:
            return self._page(scope, refusal)
        return done("ways", "removed")

    # --- passkeys ---

    def offer_passkey(self) -> Response:
        scope = caller(self.gate, "self:write", again=True)
        offer = self.gate.services.factors.offer_passkey(scope)
        return jsonify(options=offer.options, ticket=offer.ticket)

    def add_passkey(self) -> Answer:
        scope = caller(self.gate, "self:write", again=True)
        name = sent("name") or "Passkey"
        try:
            if len(name) > 200 or not name.isprintable():
                raise BadRequest("a name has at most 200 printable characters")
            ticket, answer = sent("ticket"), an_answer("response")
            self.gate.services.factors.add_passkey(scope, ticket, answer, name)
        except Refusal as refusal:
            return self._page(scope, refusal)
        return done("ways", "linked")

    # --- one-time codes ---

    def offer_codes(self) -> Response:
        """The secret, which the page shows this once."""
        scope = caller(self.gate, "self:write", again=True)
        try:
            return self._page(scope, offer=self.gate.services.factors.offer_codes(scope))
        except Refusal as refusal:
            return self._page(scope, refusal)

    def turn_on_codes(self) -> Answer:
        scope = caller(self.gate, "self:write", again=True)
        # Of the form, and back into it: the secret that the app has by now stays the same.
        offer = CodesOffer(secret=sent("secret"), uri=sent("uri"), ticket=sent("ticket"))
        try:
            self.gate.services.factors.turn_on_codes(scope, offer.ticket, digits("code"))
        except Refusal as refusal:
            return self._page(scope, refusal, offer)
        return done("ways", "codes-on")

    def turn_off_codes(self) -> Answer:
        scope = caller(self.gate, "self:write", again=True)
        self.gate.services.factors.turn_off_codes(scope)
        return done("ways", "codes-off")

    def _page(
        self, scope: Scope, refusal: Refusal | None = None, offer: CodesOffer | None = None
    ) -> Response:
        app = self.gate.services
        profile = app.people.profile(scope)
        return account_page(
            app,
            scope,
            "ways.html",
            refusal,
            identities=[(each, KINDS[each.kind]) for each in profile.identities],
            has_password=profile.person.password is not None,
            codes_on=profile.person.codes is not None,
            offer=offer,
            issuers=app.factors.issuers.names,
            passkeys=passkeys(current_app.config["SHELL"].settings),
        )
