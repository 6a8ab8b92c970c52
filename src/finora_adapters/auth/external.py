"""Tokens that another service gives out, told by the keys that it publishes."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from finora_adapters.auth.issuers import audiences, numeric_date
from finora_adapters.auth.jose import compact, object_of
from finora_adapters.auth.published import MOST, Published
from finora_adapters.auth.remote import Remote, RemoteFailed
from finora_core.identity.model import TokenInvalid
from finora_core.identity.verifiers import Claims, IssuerUnavailable
from finora_core.kernel.clock import Clock

_TYPES = ("jwt", "at+jwt", "application/at+jwt")
_SKEW_S = 30
_MOST_CLAIM = 255


class PublishedIssuer:
    """Takes tokens of `issuer` for `audience`. Tenant and role are claims, or dotted paths to
    them."""

    def __init__(
        self,
        issuer: str,
        audience: str,
        clock: Clock,
        *,
        tenant_claim: str = "tenant",
        role_claim: str = "role",
        remote: Remote | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._published = Published(issuer, remote, seconds)
        self._audience, self._clock = audience, clock
        self._tenant_claim, self._role_claim = tenant_claim, role_claim

    def issued(self, token: str) -> bool:
        try:
            return object_of(compact(token, MOST).payload).get("iss") == self._published.issuer
        except ValueError:
            return False

    def verify(self, token: str) -> Claims:
        try:
            claims = self._published.claims(token, _TYPES)
            return self._read(claims)
        except RemoteFailed as error:
            raise IssuerUnavailable(f"tokens cannot be checked now: {error}") from error
        except ValueError as error:
            raise TokenInvalid("this is not a token, or its time has run out") from error

    def _read(self, claims: Mapping[str, Any]) -> Claims:
        """Raises ValueError."""
        if claims.get("iss") != self._published.issuer or self._audience not in audiences(claims):
            raise ValueError("it is another's, or for another")
        now_s, ends = self._clock.now().timestamp(), numeric_date(claims, "exp")
        begins = [numeric_date(claims, name) for name in ("iat", "nbf") if name in claims]
        if not (now_s < ends and all(each <= now_s + _SKEW_S for each in begins)):
            raise ValueError("its time has run out, or has not come")
        subject = _text(claims.get("sub"))
        if subject is None:
            raise ValueError("it does not say of whom it is")
        return Claims(
            issuer=self._published.issuer,
            subject=subject,
            tenant=_text(_at(claims, self._tenant_claim)),
            role=_text(_at(claims, self._role_claim)),
            expires_at=datetime.fromtimestamp(ends, UTC),
            proven_at=_moment(claims, "auth_time", now_s),
        )


def _moment(claims: Mapping[str, Any], name: str, now_s: float) -> datetime | None:
    """Raises ValueError."""
    if name not in claims:
        return None
    found = numeric_date(claims, name)
    if found > now_s + _SKEW_S:
        raise ValueError("it is of a time that has not come")
    return datetime.fromtimestamp(found, UTC)


def _at(claims: Mapping[str, Any], path: str) -> object:
    """A claim of this name, or else one within others: `app_metadata.tenant`."""
    if path in claims:
        return claims[path]
    found: object = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _text(value: object) -> str | None:
    """None for no claim. Raises ValueError for one that is no text."""
    if value is None:
        return None
    if not isinstance(value, str) or not 1 <= len(value) <= _MOST_CLAIM or not value.isprintable():
        raise ValueError("a claim is a text")
    return value
