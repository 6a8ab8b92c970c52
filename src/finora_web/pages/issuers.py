"""Through an issuer of OpenID Connect and back, to sign in or to link an account.

The way back begins at another site, so the browser's session (`SameSite=Strict`) does not come with
it: a page of ours takes what the issuer said and sends it on. What was begun is in a cookie that
does come, for five minutes, and is good for nothing without the issuer's answer.
"""

import json
from urllib.parse import urlsplit

import attrs
from flask import Response, g, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from finora_core.identity.factors.service import TICKET_LASTS
from finora_core.kernel.errors import Refusal
from finora_web.gate import Gate
from finora_web.pages.account.ways import Ways
from finora_web.pages.caller import caller, secure
from finora_web.pages.forms import count, local, onward, sent
from finora_web.pages.session import BROWSER, Session

BEGUN_COOKIE = "finora_begun"
RETURN = "/sign-in/return"


@attrs.frozen
class Issuers:
    gate: Gate
    session: Session
    ways: Ways

    def begin(self) -> Answer:
        """To sign in."""
        try:
            count(self.gate, "auth")
            return self._begin(next=onward())
        except Refusal as refusal:
            return self.session.form(refusal)

    def link(self) -> Answer:
        """To sign in with this account too, later."""
        scope = caller(self.gate, "self:write", again=True)
        try:
            return self._begin(link=str(scope.user_id))
        except Refusal as refusal:
            return self.ways.page(refusal)

    def back(self) -> Answer:
        """Where the issuer sends the browser."""
        given = {name: request.args.get(name, "") for name in ("code", "state", "iss")}
        if not given["code"] or "error" in request.args:
            return _ended(redirect(url_for("pages.sign_in", why="issuer"), 303))
        return make_response(render_template("entry/returned.html", given=given))

    def finish(self) -> Answer:
        """What the issuer said, sent by that page."""
        begun = _begun()
        if not begun:
            return redirect(url_for("pages.sign_in", why="begun"), 303)
        factors, iss = self.gate.services.factors, sent("iss") or None
        if "link" in begun:
            scope = caller(self.gate, "self:write", again=True)
            if str(scope.user_id) != begun["link"]:
                return _ended(redirect(url_for("pages.sign_in", why="begun"), 303))
            try:
                factors.add_account(scope, begun["ticket"], sent("state"), sent("code"), iss)
            except Refusal as refusal:
                return _ended(self.ways.page(refusal))
            return _ended(redirect("/account/ways?said=linked", 303))
        answer = self.session.entered(
            lambda client: factors.by_issuer(
                client, begun["ticket"], sent("state"), sent("code"), iss,
                request_id=g.request_id, kind=BROWSER,
            ),
            self.session.form,
            local(begun.get("next", "/")),
        )  # fmt: skip
        return _ended(answer)

    def _begin(self, **kept: str) -> Response:
        """A page that goes on to the issuer: a form may lead to no other site."""
        factors, name = self.gate.services.factors, sent("issuer")
        begun = factors.start(name, f"{factors.site}{RETURN}")
        host = urlsplit(begun.url).hostname
        shown = render_template("entry/going.html", url=begun.url, name=name, host=host)
        answer = make_response(shown)
        answer.set_cookie(
            BEGUN_COOKIE,
            json.dumps({"ticket": begun.ticket, **kept}),
            max_age=TICKET_LASTS,
            path=RETURN,
            httponly=True,
            samesite="Lax",
            secure=secure(),
        )
        return answer


def _begun() -> dict[str, str]:
    """What was begun in this browser; nothing where that was not here, or too long ago."""
    try:
        found = json.loads(request.cookies.get(BEGUN_COOKIE, ""))
    except ValueError:
        return {}
    whole = isinstance(found, dict) and "ticket" in found
    return {name: str(value) for name, value in found.items()} if whole else {}


def _ended(answer: Answer) -> Answer:
    answer.delete_cookie(BEGUN_COOKIE, path=RETURN, httponly=True, samesite="Lax")
    return answer
