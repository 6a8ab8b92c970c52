"""Signing in, by whatever proves who it is, and out."""

from collections.abc import Callable

import attrs
from flask import Response, current_app, g, jsonify, make_response, redirect, request, url_for
from werkzeug.wrappers import Response as Answer

from finora_core.identity.model import TokenInvalid
from finora_core.identity.people.model import FactorMissing, FactorRefused, Purpose
from finora_core.identity.sessions.model import AccountLocked, Client, SessionKind, SignedIn
from finora_core.kernel.errors import Refusal
from finora_core.kernel.scope import SessionCredential
from finora_web.errors import BadRequest, FromElsewhere
from finora_web.gate import Gate, from_ourselves, shown_by
from finora_web.pages.caller import forget, remember
from finora_web.pages.forms import (
    an_answer,
    count,
    digits,
    form,
    onward,
    passkeys,
    password,
    sent,
)

_WHY = {
    "ended": "You were signed out: the session or token was ended, or its time has run out.",
    "out": "You are signed out.",
    "elsewhere": "This address was opened from another site. Sign in with its token if you "
    "trust where it came from.",
    "reset": "Your new password is set, and everything that was signed in is signed out.",
    "invited": "Sign in to accept the invitation, or sign up with the address that got the letter.",
    "issuer": "You were not signed in: the other site sent you back without saying who you are.",
    "begun": "That sign-in was begun in another browser, or took too long. Begin again here.",
}
_UNKNOWN = (
    "This token opens nothing: it is not one of these books, it was revoked, or its time has "
    "run out."
)
BROWSER = SessionKind.BROWSER


@attrs.frozen
class Session:
    gate: Gate

    def open(self, token: str) -> Answer:
        """The address that `finora up` prints: prove the token and take it out of the address."""
        # Another site could sign its visitors in to its own books, and wait for what they import.
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return self.form(said=_WHY["elsewhere"], token=token)
        return self._with_token(token)

    def page(self) -> Answer:
        return self.form(said=_WHY.get(request.args.get("why", "")))

    def sign_in(self) -> Answer:
        """With a pasted token, or with an address and its password."""
        if not from_ourselves(request):
            refusal = FromElsewhere("this was sent by another site's page")
            return self.form(refusal, said=_WHY["elsewhere"])
        if "token" in request.form:
            return self._with_token(sent("token"))
        email = sent("email")
        return self.entered(
            lambda client: self.gate.services.sessions.sign_in(
                client, email, password(), request_id=g.request_id, kind=BROWSER
            ),
            lambda refusal: self.form(refusal, email=email),
        )

    def finish(self) -> Answer:
        """The one-time code, after everything else was proven."""
        ticket = sent("ticket")

        def again(refusal: Refusal) -> Response:
            if isinstance(refusal, FactorRefused | AccountLocked | BadRequest):
                return form("entry/code.html", refusal, ticket=ticket)
            return self.form(refusal)

        return self.entered(
            lambda client: self.gate.services.sessions.finish(
                client, ticket, digits("code"), request_id=g.request_id, kind=BROWSER
            ),
            again,
        )

    def offer_passkey(self) -> Response:
        """What the browser asks its owner's passkeys for."""
        count(self.gate, "anonymous")
        offer = self.gate.services.factors.ask_passkey()
        return jsonify(options=offer.options, ticket=offer.ticket)

    def passkey(self) -> Answer:
        return self.entered(
            lambda client: self.gate.services.factors.by_passkey(
                client, sent("ticket"), an_answer("response"),
                request_id=g.request_id, kind=BROWSER,
            ),
            self.form,
        )  # fmt: skip

    # --- by letter ---

    def ask_letter(self) -> Response:
        return form("entry/letter.html")

    def letter(self) -> Response:
        """Have a link or a code sent; the same page whether anybody has the address or not."""
        email = sent("email")
        purpose = Purpose.MAGIC if sent("by") == "link" else Purpose.CODE
        try:
            count(self.gate, "auth")
            self.gate.services.letters.ask(email, purpose, request_id=g.request_id)
        except Refusal as refusal:
            return form("entry/letter.html", refusal, email=email)
        return form("entry/letter_sent.html", email=email, by=purpose.value)

    def by_code(self) -> Answer:
        email = sent("email")
        return self.entered(
            lambda client: self.gate.services.sessions.by_code(
                client, email, digits("sent"), request_id=g.request_id, kind=BROWSER
            ),
            lambda refusal: form("entry/letter_sent.html", refusal, email=email, by="code"),
        )

    def by_link(self) -> Answer:
        link = sent("token")
        return self.entered(
            lambda client: self.gate.services.sessions.by_link(
                client, link, request_id=g.request_id, kind=BROWSER
            ),
            lambda refusal: form("entry/link.html", refusal, purpose="enter", token=link),
        )

    # --- out ---

    def sign_out(self) -> Answer:
        """The session ends, and so for whoever copied its cookie; a token stays good."""
        if not from_ourselves(request):
            return redirect(url_for("pages.overview"), 303)
        shown = shown_by(request)
        if shown is not None:
            try:
                scope = self.gate.prove(shown, g.request_id).scope
                if isinstance(scope.credential, SessionCredential):
                    self.gate.services.sessions.sign_out(scope)
            except Refusal as refusal:
                # It had ended before, which is what was asked for.
                g.code = refusal.code
        return forget(make_response(redirect(url_for("pages.sign_in", why="out"), 303)))

    # --- parts ---

    def entered(
        self,
        enter: Callable[[Client], SignedIn],
        again: Callable[[Refusal], Response],
        on: str | None = None,
    ) -> Answer:
        """Keep the session and go on; or ask for the one-time code; or say why not."""
        to = on or onward()
        try:
            count(self.gate, "auth")
            signed = enter(self.gate.client(request))
        except FactorMissing as missing:
            return form("entry/code.html", ticket=missing.facts["ticket"], next=to)
        except Refusal as refusal:
            return again(refusal)
        return remember(make_response(redirect(to, 303)), signed)

    def form(self, refusal: Refusal | None = None, **values: object) -> Response:
        return form(
            "entry/sign_in.html",
            refusal,
            issuers=self.gate.services.factors.issuers.names,
            passkeys=passkeys(current_app.config["SHELL"].settings),
            **values,
        )

    def _with_token(self, token: str) -> Answer:
        try:
            count(self.gate, "auth")
            self.gate.services.tokens.prove(token, g.request_id)
        except TokenInvalid as refusal:
            return self.form(TokenInvalid(_UNKNOWN, details=(("token", refusal.message),)))
        except Refusal as refusal:
            return self.form(refusal, token=token)
        return remember(make_response(redirect(url_for("pages.overview"), 303)), token)
