"""Signing up, verifying the address, setting a forgotten password, accepting an invitation.

A link of a letter is only shown by its address, for whatever scans mail opens links too; a button
uses it up.
"""

from urllib.parse import urlencode

import attrs
from flask import Response, g, make_response, redirect, request, url_for
from werkzeug.wrappers import Response as Answer

from finora_core.identity.people.model import EmailTaken, Purpose
from finora_core.kernel.asset import CURRENCIES, currency
from finora_core.kernel.errors import Refusal, Unauthenticated
from finora_web.gate import Gate
from finora_web.pages.caller import caller, into_tenant
from finora_web.pages.forms import count, digits, form, password, sent


@attrs.frozen
class People:
    gate: Gate

    def ask_sign_up(self) -> Response:
        return self._sign_up(currency="EUR")

    def sign_up(self) -> Response:
        """Become a person. Whoever has the address already gets a link to sign in with, and this
        page says the same: it tells nobody who is here."""
        email, name, code = sent("email"), sent("name"), sent("currency")
        people, letters = self.gate.services.people, self.gate.services.letters
        try:
            count(self.gate, "signup")
            currency(code)
            people.register(email, password(), name, request_id=g.request_id, currency=code)
        except EmailTaken:
            letters.ask(email, Purpose.MAGIC, request_id=g.request_id)
        except Refusal as refusal:
            return self._sign_up(refusal, email=email, name=name, currency=code)
        return form("entry/signed_up.html", email=email)

    def _sign_up(self, refusal: Refusal | None = None, **values: object) -> Response:
        listed = [each.id for each in CURRENCIES]
        return form("entry/sign_up.html", refusal, currencies=listed, **values)

    def show_link(self) -> Response:
        """`/verify` and `/enter` of a letter."""
        link = request.args.get("token", "")
        return form("entry/link.html", purpose=request.path.strip("/"), token=link)

    def verify(self) -> Response:
        link = sent("token")
        try:
            count(self.gate, "auth")
            self.gate.services.people.verify(link, password(), request_id=g.request_id)
        except Refusal as refusal:
            return form("entry/link.html", refusal, purpose="verify", token=link)
        return form("entry/verified.html")

    # --- a forgotten password ---

    def ask_forgot(self) -> Response:
        return form("entry/forgot.html", email=request.args.get("email", ""))

    def forgot(self) -> Response:
        email = sent("email")
        try:
            count(self.gate, "auth")
            self.gate.services.letters.ask(email, Purpose.RESET, request_id=g.request_id)
        except Refusal as refusal:
            return form("entry/forgot.html", refusal, email=email)
        return form("entry/reset.html", asked=True, email=email)

    def ask_reset(self) -> Response:
        return form("entry/reset.html", token=request.args.get("token", ""))

    def reset(self) -> Answer:
        link, email = sent("token"), sent("email")
        people = self.gate.services.people
        try:
            count(self.gate, "auth")
            if link:
                people.reset(password(), request_id=g.request_id, link=link)
            else:
                people.reset(password(), request_id=g.request_id, email=email, code=digits("code"))
        except Refusal as refusal:
            return form("entry/reset.html", refusal, token=link, email=email)
        return redirect(url_for("pages.sign_in", why="reset"), 303)

    # --- an invitation ---

    def show_invitation(self) -> Response:
        return form("entry/invitation.html", token=request.args.get("token", ""))

    def accept(self) -> Answer:
        link = sent("token")
        try:
            scope = caller(self.gate, "self:write")
            tenant = self.gate.services.tenants.accept(scope, link)
        except Unauthenticated:
            # The cookie does not come with a link from elsewhere, so who asks is known only now.
            back = f"/invitation?{urlencode({'token': link})}"
            return redirect(url_for("pages.sign_in", why="invited", next=back), 303)
        except Refusal as refusal:
            return form("entry/invitation.html", refusal, token=link)
        answer = make_response(redirect("/account/members?said=joined", 303))
        return into_tenant(answer, str(tenant.id))
