"""API keys: tokens with which programs ask in the person's name."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import attrs
from flask import Response, request
from werkzeug.wrappers import Response as Answer

from finora_core.identity.model import NewToken
from finora_core.identity.roles import TENANT
from finora_core.kernel.errors import Refusal
from finora_core.kernel.scope import Scope
from finora_web.errors import BadRequest
from finora_web.gate import Gate
from finora_web.pages.account.frame import account_page, done
from finora_web.pages.caller import caller
from finora_web.pages.forms import an_id, count, sent

ENDS: Mapping[str, str] = {
    "7": "in 7 days",
    "30": "in 30 days",
    "90": "in 90 days",
    "365": "in a year",
    "never": "never",
}
_USUAL_SCOPES, _USUAL_END = ("books:read",), "90"


@attrs.frozen
class Keys:
    gate: Gate

    def page(self) -> Response:
        return self._page(caller(self.gate, "tokens:read"))

    def create(self) -> Response:
        """The key's text is in this answer and nowhere else."""
        scope = caller(self.gate, "tokens:write", again=True)
        try:
            count(self.gate, "strict")
            given = frozenset(request.form.getlist("scope"))
            if not given:
                raise BadRequest("choose what the key may do", details=(("scope", "is missing"),))
            made = self.gate.services.tokens.create(
                scope, sent("name"), expires_at=_end(), permissions=given
            )
        except Refusal as refusal:
            return self._page(scope, refusal)
        return self._page(scope, made=made)

    def revoke(self) -> Answer:
        scope = caller(self.gate, "tokens:write")
        try:
            self.gate.services.tokens.revoke(scope, an_id("token_id"))
        except Refusal as refusal:
            return self._page(scope, refusal)
        return done("keys", "revoked")

    def _page(
        self, scope: Scope, refusal: Refusal | None = None, made: NewToken | None = None
    ) -> Response:
        app = self.gate.services
        now = datetime.now(UTC)
        tokens = app.tokens.list(scope)
        good = [e for e in tokens if not e.revoked_at and (not e.expires_at or e.expires_at > now)]
        asked = refusal is not None
        return account_page(
            app,
            scope,
            "keys.html",
            refusal,
            made=made,
            tokens=good,
            over=[each for each in tokens if each not in good][:20],
            names={each.user_id: each.name or each.email for each in app.tenants.members(scope)},
            scopes=sorted(scope.permissions & TENANT),
            chosen=request.form.getlist("scope") if asked else _USUAL_SCOPES,
            ends=ENDS,
            end=sent("end") if asked else _USUAL_END,
            name=sent("name") if asked else "",
        )


def _end() -> datetime | None:
    """Raises BadRequest."""
    asked = sent("end")
    if asked not in ENDS:
        raise BadRequest("a key ends on one of the given days", details=(("end", "is unknown"),))
    return None if asked == "never" else datetime.now(UTC) + timedelta(days=int(asked))
