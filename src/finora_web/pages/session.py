"""Signing in with a token, and out."""

import attrs
from flask import Response, g, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from finora_core.identity.model import TokenInvalid
from finora_web.gate import Gate, from_ourselves
from finora_web.pages.caller import forget, remember

_WHY = {
    "ended": "Your token was revoked, or its time has run out. Sign in with another one.",
    "out": "You are signed out.",
    "elsewhere": "This address was opened from another site. Sign in with its token if you "
    "trust where it came from.",
}


@attrs.frozen
class Session:
    gate: Gate

    def open(self, token: str) -> Answer:
        """The address that `finora up` prints: prove the token and take it out of the address."""
        # Another site could sign its visitors in to its own books, and wait for what they import.
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return self._form(_WHY["elsewhere"], token)
        return self._in(token)

    def sign_in(self) -> Answer:
        """Ask for a token, or take the one that was asked for."""
        if request.method == "GET":
            return self._form(_WHY.get(request.args.get("why", "")))
        if not from_ourselves(request):
            return self._form(_WHY["elsewhere"], status=403)
        return self._in(request.form.get("token", "").strip())

    def sign_out(self) -> Answer:
        if not from_ourselves(request):
            return redirect(url_for("pages.overview"), 303)
        return forget(make_response(redirect(url_for("pages.sign_in", why="out"), 303)))

    def _in(self, token: str) -> Answer:
        try:
            self.gate.services.tokens.prove(token, g.request_id)
        except TokenInvalid as refusal:
            g.code = refusal.code
            return self._form("This token opens nothing: it is not one of these books, it was "
                              "revoked, or its time has run out.", status=401)  # fmt: skip
        return remember(make_response(redirect(url_for("pages.overview"), 303)), token)

    def _form(self, said: str | None, token: str = "", status: int = 200) -> Response:
        return make_response(render_template("sign_in.html", said=said, token=token), status)
