"""Who looks at a page: whoever proved a token here, which the cookie keeps."""

from flask import Response, g, make_response, redirect, render_template, request, url_for

from finora_adapters.redis.limits import Use
from finora_core.identity.model import TokenInvalid
from finora_core.kernel.errors import Refusal, Unauthenticated
from finora_core.kernel.scope import Scope
from finora_web.errors import PermissionMissing, headers_of, status_of
from finora_web.gate import COOKIE, Gate, shown_by


def caller(gate: Gate, permission: str) -> Scope:
    """Raises TokenInvalid, PermissionMissing."""
    shown = shown_by(request)
    if shown is None:
        raise TokenInvalid("sign in first")
    gate.limiter.take(Use(gate.limiter.policies["pages"], gate.address(request)))
    scope = gate.prove(shown, g.request_id).scope
    g.user_id, g.tenant_id = str(scope.user_id), str(scope.tenant_id)
    if permission not in scope.permissions:
        raise PermissionMissing(f"this needs the permission {permission}")
    return scope


def remember(answer: Response, token: str) -> Response:
    secure = request.is_secure or request.headers.get("X-Forwarded-Proto") == "https"
    answer.set_cookie(COOKIE, token, httponly=True, samesite="Strict", secure=secure)
    return answer


def forget(answer: Response) -> Response:
    answer.delete_cookie(COOKIE, httponly=True, samesite="Strict")
    return answer


def refused(refusal: Refusal) -> Response:
    """A refusal as a page, or as a part where htmx asked for one."""
    g.code = refusal.code
    part = "HX-Request" in request.headers
    if isinstance(refusal, Unauthenticated):
        known = COOKIE in request.cookies
        target = url_for("pages.sign_in", why="ended" if known else None)
        if not part:
            return forget(make_response(redirect(target, 303)))
        answer = forget(make_response("", 401))
        answer.headers["HX-Redirect"] = target
        return answer
    template = "_alert.html" if part else "refused.html"
    answer = make_response(render_template(template, refusal=refusal), status_of(refusal))
    answer.headers.update(headers_of(refusal))
    return answer
