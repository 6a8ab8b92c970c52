"""Signing in with an issuer of OpenID Connect: the code flow with PKCE."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from finora_adapters.auth.published import Published
from finora_adapters.auth.remote import Remote, RemoteFailed
from finora_adapters.settings import OidcClient
from finora_core.identity.verifiers import (
    Identified,
    IssuerNotFound,
    IssuerRefused,
    IssuerUnavailable,
)
from finora_core.kernel.clock import Clock

_TYPES = ("jwt",)
_SKEW_S = 60
# A code is redeemed at once, so what is older was made for another time.
_OLDEST_S = 600
_MOST_CODE = 4096
_MOST_SUBJECT, _MOST_EMAIL, _MOST_NAME = 255, 320, 200


class OidcIssuers:
    """Every issuer is found by its metadata; `seconds` is a clock that only goes forward."""

    def __init__(
        self,
        clients: Sequence[OidcClient],
        clock: Clock,
        remote: Remote | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._known = {
            client.name: (client, Published(client.issuer, remote, seconds)) for client in clients
        }

    @property
    def names(self) -> Sequence[str]:
        return sorted(self._known)

    def start(self, name: str, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        client, published = self._found(name)
        challenge = hashlib.sha256(verifier.encode()).digest()
        try:
            endpoint = published.url("authorization_endpoint")
        except RemoteFailed as error:
            raise IssuerUnavailable(f"{name} cannot be signed in with now: {error}") from error
        asked = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid email profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return endpoint + ("&" if urlsplit(endpoint).query else "?") + urlencode(asked)

    def finish(
        self,
        name: str,
        code: str,
        redirect_uri: str,
        verifier: str,
        nonce: str,
        iss: str | None,
    ) -> Identified:
        client, published = self._found(name)
        if not 1 <= len(code) <= _MOST_CODE:
            raise IssuerRefused(f"this is no code of {name}")
        try:
            # Before the code is sent anywhere: it may be another issuer's (RFC 9207).
            says_who = published.metadata().get("authorization_response_iss_parameter_supported")
            if (iss is not None or says_who is True) and iss != client.issuer:
                raise IssuerRefused(f"it was another issuer than {name} that answered")
            text = self._redeemed(client, published, code, redirect_uri, verifier)
            claims = published.claims(text, _TYPES)
            self._check(client, claims, nonce)
            return _identified(claims)
        except RemoteFailed as error:
            raise IssuerUnavailable(f"{name} cannot be signed in with now: {error}") from error
        except ValueError as error:
            raise IssuerRefused(f"what {name} says proves nobody: {error}") from error

    def _found(self, name: str) -> tuple[OidcClient, Published]:
        if name not in self._known:
            raise IssuerNotFound("there is no issuer of this name to sign in with")
        return self._known[name]

    def _redeemed(
        self,
        client: OidcClient,
        published: Published,
        code: str,
        redirect_uri: str,
        verifier: str,
    ) -> str:
        """The id token for a code. Raises IssuerRefused, RemoteFailed."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers: dict[str, str] = {}
        ways = published.metadata().get("token_endpoint_auth_methods_supported")
        if client.client_secret is None:
            form["client_id"] = client.client_id
        elif isinstance(ways, list) and "client_secret_basic" not in ways:
            form["client_id"] = client.client_id
            form["client_secret"] = client.client_secret.get_secret_value()
        else:
            # RFC 6749, 2.3.1: both are encoded as in a form first.
            secret = client.client_secret.get_secret_value()
            pair = f"{quote(client.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        answer = published.remote.post(published.url("token_endpoint"), form, headers)
        if 400 <= answer.status < 500 and isinstance(answer.said.get("error"), str):
            raise IssuerRefused(f"{client.name} does not take this code")
        text = answer.said.get("id_token")
        if answer.status != 200 or not isinstance(text, str):
            raise RemoteFailed(f"it answered {answer.status} without saying who signs in")
        return text

    def _check(self, client: OidcClient, claims: Mapping[str, Any], nonce: str) -> None:
        """Raise ValueError unless the token is from this issuer, for us, for this sign-in and for
        now."""
        if claims.get("iss") != client.issuer:
            raise ValueError("it is another's token")
        if client.client_id not in audiences(claims):
            raise ValueError("the token is for another")
        if claims.get("azp", client.client_id) != client.client_id:
            raise ValueError("the token was given to another")
        if len(audiences(claims)) > 1 and "azp" not in claims:
            raise ValueError("the token does not say whom it was given to")
        given = claims.get("nonce")
        if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
            raise ValueError("the token is of another sign-in")
        now_s = self._clock.now().timestamp()
        ends, issued = (numeric_date(claims, claim) for claim in ("exp", "iat"))
        begins = numeric_date(claims, "nbf") if "nbf" in claims else 0
        if not (now_s - _SKEW_S < ends and begins <= now_s + _SKEW_S):
            raise ValueError("the token's time has run out, or has not come")
        if not now_s - _OLDEST_S <= issued <= now_s + _SKEW_S:
            raise ValueError("the token was not made now")


def _identified(claims: Mapping[str, Any]) -> Identified:
    subject, email, name = (claims.get(claim) for claim in ("sub", "email", "name"))
    if not isinstance(subject, str) or not 1 <= len(subject) <= _MOST_SUBJECT:
        raise ValueError("the token does not say who signs in")
    if not isinstance(email, str) or not 3 <= len(email) <= _MOST_EMAIL:
        email = None
    if not isinstance(name, str) or not name.isprintable() or not name.strip():
        name = None
    verified = claims.get("email_verified")
    return Identified(
        issuer=claims["iss"],
        subject=subject,
        email=email,
        # Some issuers write it as a text.
        email_verified=email is not None and (verified is True or verified == "true"),
        name=name and name.strip()[:_MOST_NAME],
    )


def audiences(claims: Mapping[str, Any]) -> Sequence[object]:
    """Whom a token is for."""
    said = claims.get("aud")
    return said if isinstance(said, list) else [said] if isinstance(said, str) else []


def numeric_date(claims: Mapping[str, Any], name: str) -> int:
    """Raises ValueError where the claim is no time."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise ValueError(f"{name} is no time")
    return int(value)
