"""Who looks at a page: whoever signed in or proved a token here, which the cookie keeps."""

from datetime import UTC, datetime
from urllib.parse import urlencode

from flask import Response, g, make_response, redirect, render_template, request, url_for

from finora_adapters.redis.limits import Use
from finora_core.identity.model import ProofStale, TokenInvalid
from finora_core.identity.people.model import AccountBanned, StepUpRequired
from finora_core.identity.sessions.model import DEVICE_LASTS, SignedIn
from finora_core.identity.tenants.model import NotAMember
from finora_core.kernel.errors import Refusal, Unauthenticated
from finora_core.kernel.scope import Scope
from finora_web.errors import PermissionMissing, headers_of, status_of
from finora_web.gate import COOKIE, DEVICE_COOKIE, TENANT_COOKIE, Gate, fresh, shown_by

ACCOUNT = "/account"
_SECTIONS = ("sessions", "ways", "members", "keys", "events")


def caller(gate: Gate, permission: str, *, again: bool = False) -> Scope:
    """With `again`, it must have been proven in the last minutes. Raises TokenInvalid, NotAMember,
    PermissionMissing, StepUpRequired."""
    shown = shown_by(request)
    if shown is None:
        raise TokenInvalid("sign in first")
    gate.limiter.take(Use(gate.limiter.policies["pages"], gate.address(request)))
    scope = gate.prove(shown, g.request_id).scope
    g.user_id, g.tenant_id = str(scope.user_id), str(scope.tenant_id)
    if permission not in scope.permissions:
        raise PermissionMissing(f"this needs the permission {permission}")
    if again and not fresh(scope):
        raise StepUpRequired("confirm that it is you")
    return scope


def secure() -> bool:
    """Whether the browser came by TLS; a proxy in front of us may have taken it off."""
    return request.is_secure or request.headers.get("X-Forwarded-Proto") == "https"


def remember(answer: Response, given: str | SignedIn) -> Response:
    """Keep a token until the browser is closed, or a session until it ends; and the device."""
    text, ends = (given, None) if isinstance(given, str) else (given.access, given.expires_at)
    _keep(answer, COOKIE, text, ends)
    if isinstance(given, SignedIn) and given.device is not None:
        _keep(answer, DEVICE_COOKIE, given.device, datetime.now(UTC) + DEVICE_LASTS)
    # Somebody else's books, perhaps.
    return leave_tenant(answer)


def forget(answer: Response) -> Response:
    answer.delete_cookie(COOKIE, httponly=True, samesite="Strict")
    return leave_tenant(answer)


def into_tenant(answer: Response, tenant_id: str) -> Response:
    """Show these books from now on."""
    _keep(answer, TENANT_COOKIE, tenant_id, datetime.now(UTC) + DEVICE_LASTS)
    return answer


def leave_tenant(answer: Response) -> Response:
    """Show the person's own books."""
    if TENANT_COOKIE in request.cookies:
        answer.delete_cookie(TENANT_COOKIE, httponly=True, samesite="Strict")
    return answer


def _keep(answer: Response, name: str, value: str, ends: datetime | None) -> None:
    answer.set_cookie(name, value, expires=ends, httponly=True, samesite="Strict", secure=secure())


def refused(refusal: Refusal) -> Response:
    """A refusal as a page, or as a part where htmx asked for one."""
    g.code = refusal.code
    section = _section()
    match refusal:
        case ProofStale() if request.method == "GET":
            # A role changed since it was proven, a moment ago; the session may well hold.
            return _sent_on(request.full_path.rstrip("?"), 401)
        case StepUpRequired():
            return _sent_on(f"/confirm?{urlencode({'next': section or '/'})}", 403)
        case NotAMember() if TENANT_COOKIE in request.cookies:
            return leave_tenant(_sent_on(section or "/", 403))
        case Unauthenticated():
            why = "ended" if COOKIE in request.cookies else None
            # Whoever followed a link into the account goes on there.
            target = url_for("pages.sign_in", why=why, next=section)
            return forget(_sent_on(target, 401))
    part = "HX-Request" in request.headers
    template = "_alert.html" if part else "refused.html"
    answer = make_response(render_template(template, refusal=refusal), status_of(refusal))
    answer.headers.update(headers_of(refusal))
    return forget(answer) if isinstance(refusal, AccountBanned) else answer


def _section() -> str | None:
    """The page that was asked for, of the account or of reports, or that what was asked for belongs
    to."""
    if request.path.startswith("/reports/"):
        return "/".join(request.path.split("/")[:3])
    if not f"{request.path}/".startswith(f"{ACCOUNT}/"):
        return None
    named = request.path.split("/")[2:3]
    return f"{ACCOUNT}/{named[0]}" if named and named[0] in _SECTIONS else ACCOUNT


def _sent_on(target: str, status: int) -> Response:
    """The browser goes to another page, also where htmx asked for a part of this one."""
    if "HX-Request" not in request.headers:
        return make_response(redirect(target, 303))
    answer = make_response("", status)
    answer.headers["HX-Redirect"] = target
    return answer
