"""What stands around every page of somebody who signed in: who it is, and whose books are shown."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from flask import Response, g, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as Answer

from finora_core.identity.people.service import Profile
from finora_core.identity.tenants.model import Tenant
from finora_core.kernel.errors import Refusal
from finora_core.kernel.scope import Scope, SessionCredential
from finora_web.errors import headers_of, status_of
from finora_web.gate import fresh
from finora_web.pages.caller import ACCOUNT
from finora_web.services import Services

_SAID = {
    "changed": "Saved.",
    "sent": "A letter with a link is on its way.",
    "password": "The new password is set. Every other session was ended.",
    "confirmed": "Thank you. You can go on now.",
    "ended": "The session was ended.",
    "others": "Every other session was ended.",
    "linked": "Added. You can sign in with it from now on.",
    "removed": "Removed. Nobody can sign in with it any more.",
    "codes-on": "One-time codes are on. Signing in asks for one from now on.",
    "codes-off": "One-time codes are off.",
    "joined": "Welcome. These are the books you were invited to.",
    "made": "These are your new books.",
    "role": "The role was changed, from this moment on.",
    "gone": "The member was taken out.",
    "left": "You left those books. These are your own.",
    "invited": "The invitation is on its way.",
    "withdrawn": "The invitation was taken back.",
    "revoked": "The key was revoked. It opens nothing any more.",
}


@attrs.frozen(kw_only=True)
class Frame:
    profile: Profile
    tenants: Sequence[Tenant]
    tenant: Tenant
    permissions: frozenset[str]

    @property
    def name(self) -> str:
        email = self.profile.email
        return self.profile.person.name or ("Account" if email is None else email.label)


def frame(app: Services, scope: Scope) -> Frame | None:
    """None around what a token shows: there is no account to it."""
    if not isinstance(scope.credential, SessionCredential):
        return None
    tenants = app.tenants.mine(scope)
    tenant = next((each for each in tenants if each.id == scope.tenant_id), None)
    return Frame(
        profile=app.people.profile(scope),
        tenants=tenants,
        tenant=tenant or app.tenants.get(scope),
        permissions=scope.permissions,
    )


def account_page(
    app: Services,
    scope: Scope,
    template: str,
    refusal: Refusal | None = None,
    **values: Any,
) -> Response:
    """A page of the account, with what was just done, or with what was refused."""
    return framed(app, scope, f"account/{template}", refusal, said=_SAID, **values)


def framed(
    app: Services,
    scope: Scope,
    template: str,
    refusal: Refusal | None = None,
    *,
    said: Mapping[str, str],
    **values: Any,
) -> Response:
    """A page with what was just done, one of `said` by the name in the address; or with what was
    refused."""
    shown = render_template(
        template,
        frame=frame(app, scope),
        fresh=fresh(scope),
        may=scope.permissions,
        said=said.get(request.args.get("said", "")),
        refusal=refusal,
        **values,
    )
    if refusal is None:
        return make_response(shown)
    g.code = refusal.code
    answer = make_response(shown, status_of(refusal))
    answer.headers.update({n: v for n, v in headers_of(refusal).items() if n == "Retry-After"})
    return answer


def done(page: str, said: str) -> Answer:
    """Back to a page of the account, which says what was done."""
    return redirect(f"{ACCOUNT}/{page}?said={said}".replace("/?", "?"), 303)
