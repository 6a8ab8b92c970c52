"""Refusals as HTTP: one table of kinds, the codes that override it, one envelope."""

import json
from collections.abc import Mapping, Sequence
from typing import cast

from finora_core.identity.sessions.model import AccountLocked
from finora_core.kernel.errors import (
    Conflict,
    Forbidden,
    Invalid,
    Limited,
    NotFound,
    Refusal,
    Unauthenticated,
    Unavailable,
)
from finora_core.market.provision.model import Allowance

STATUS: Mapping[type[Refusal], int] = {
    Invalid: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Limited: 429,
    Unavailable: 503,
}
BY_CODE: Mapping[str, int] = {
    "BODY_TOO_LARGE": 413,
    "FILE_TOO_LARGE": 413,
    "STATEMENT_TOO_LARGE": 413,
    "MEDIA_TYPE": 415,
    "IDEMPOTENCY_KEY_REUSED": 422,
    "METHOD_NOT_ALLOWED": 405,
    "ACCOUNT_LOCKED": 423,
    "CREDENTIALS_MISSING": 412,
    "SOURCE_CANNOT": 412,
    "SOURCE_ASIDE": 412,
    "BILLING_BLOCKED": 402,
}
RETRY_AFTER_S = 1


class BadRequest(Invalid):
    """The request cannot be read as what the route takes; `details` names the places."""

    code = "VALIDATION"


class BodyTooLarge(Invalid):
    """The body is larger than the route takes."""

    code = "BODY_TOO_LARGE"


class WrongMediaType(Invalid):
    """The body's media type is not one that the route takes."""

    code = "MEDIA_TYPE"


class NotHttp(Invalid):
    """What came is no request of HTTP, or is longer than one may be."""

    code = "NOT_HTTP"


class NoSuchRoute(NotFound):
    """There is nothing at this path."""

    code = "ROUTE_NOT_FOUND"


class MethodNotAllowed(Invalid):
    """The path does not take this method; the header Allow names those it does."""

    code = "METHOD_NOT_ALLOWED"


class Overloaded(Unavailable):
    """More requests wait than this process can answer soon; this one was not looked at."""

    code = "OVERLOADED"


class PermissionMissing(Forbidden):
    """The token does not carry the permission that the route needs."""

    code = "PERMISSION_MISSING"


class FromElsewhere(Forbidden):
    """The form was sent by another site's page."""

    code = "FROM_ELSEWHERE"


def status_of(refusal: Refusal) -> int:
    if refusal.code in BY_CODE:
        return BY_CODE[refusal.code]
    return next(status for kind, status in STATUS.items() if isinstance(refusal, kind))


def error_body(
    code: str, message: str, details: tuple[tuple[str, str], ...], request_id: str
) -> bytes:
    """The envelope of an error."""
    listed = [{"path": path, "msg": said} for path, said in details]
    error = {"code": code, "message": message, "details": listed}
    body = {"success": False, "error": error, "request_id": request_id}
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def allowed(left: Sequence[Allowance]) -> dict[str, str]:
    """How far quotas are used, as draft-ietf-httpapi-ratelimit-headers writes it."""
    if not left:
        return {}
    policies = ", ".join(f'"{each.name}";q={each.most};w={each.seconds}' for each in left)
    now = ", ".join(f'"{each.name}";r={each.left};t={each.resets_s}' for each in left)
    return {"RateLimit-Policy": policies, "RateLimit": now}


def headers_of(refusal: Refusal) -> dict[str, str]:
    match refusal:
        case Unauthenticated():
            return {"WWW-Authenticate": str(refusal.facts.get("challenge", "Bearer"))}
        case AccountLocked():
            return {"Retry-After": str(refusal.facts["retry_after"])}
        case Unavailable() | Limited():
            wait = {"Retry-After": str(refusal.facts.get("retry_after", RETRY_AFTER_S))}
            return wait | allowed(cast(Sequence[Allowance], refusal.facts.get("left", ())))
    return {}
