"""An issuer of OpenID Connect on a real socket, honest until a test says otherwise."""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import attrs
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

KEYS: dict[str, Any] = {
    "RS256": RSAKey.generate_key(2048, {"kid": "rs"}),
    "PS256": RSAKey.generate_key(2048, {"kid": "ps"}),
    "ES256": ECKey.generate_key("P-256", {"kid": "es"}),
    "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "ed"}),
}
FOREIGN = RSAKey.generate_key(2048, {"kid": "rs"})
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRET = "s3cret & more"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signed(header: dict[str, Any], claims: dict[str, Any], key: Any, by: str = "") -> str:
    """A token that says it is signed as its header has it, and is signed with `by` (as it says, if
    not given)."""
    algorithm = by or header["alg"]
    parts = [b64(json.dumps(each).encode()) for each in (header, claims)]
    model = jws.JWSRegistry.algorithms["Ed25519" if algorithm == "EdDSA" else algorithm]
    return ".".join([*parts, b64(model.sign(".".join(parts).encode(), key))])


@attrs.define
class At:
    """A clock that stands, and one that goes forward by hand."""

    instant: datetime = NOW
    passed_s: float = 0

    def now(self) -> datetime:
        return self.instant

    def today(self) -> date:
        return self.instant.date()

    def seconds(self) -> float:
        return self.passed_s


@attrs.define
class Issuer:
    """`metadata`, `claims` and `header` are changed by a test, or an answer is replaced whole."""

    server: HTTPServer
    scheme: str = "http"
    client_id: str = "finora"
    client_secret: str | None = SECRET
    algorithm: str = "RS256"
    header: dict[str, Any] = attrs.field(factory=dict)
    claims: dict[str, Any] = attrs.field(factory=dict)
    metadata: dict[str, Any] = attrs.field(factory=dict)
    key: Any = None
    keys: dict[str, Any] = attrs.field(factory=lambda: dict(KEYS))
    token: Callable[[str], str] = lambda text: text
    codes: dict[str, dict[str, str]] = attrs.field(factory=dict)
    asked: list[str] = attrs.field(factory=list)
    headers: list[dict[str, str]] = attrs.field(factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server.port}"

    def start(self) -> "Issuer":
        self.answer("/.well-known/openid-configuration", self._metadata)
        self.answer("/keys", self._keys)
        self.answer("/token", self._token)
        return self

    def answer(self, path: str, handler: Callable[[Request], Response]) -> None:
        """Answer the path so from now on."""

        def handle(request: Request) -> Response:
            self.asked.append(request.path)
            self.headers.append(dict(request.headers))
            return handler(request)

        kept = [each for each in self.server.handlers if each.matcher.uri != path]
        self.server.handlers[:] = kept
        self.server.expect_request(path).respond_with_handler(handle)

    def authorise(self, url: str) -> dict[str, str]:
        """What a browser sent to this URL comes back with, after its user agreed."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def _metadata(self, request: Request) -> Response:
        said: dict[str, Any] = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorise?tenant=x",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
        }
        return told(said | self.metadata)

    def _keys(self, request: Request) -> Response:
        return told({"keys": [key.as_dict(private=False) for key in self.keys.values()]})

    def _token(self, request: Request) -> Response:
        form = request.form
        asked = self.codes.pop(form.get("code", ""), None)
        challenge = b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if not self._knows(request):
            return told({"error": "invalid_client"}, 401)
        if (
            asked is None
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != asked["redirect_uri"]
            or challenge != asked["code_challenge"]
            or asked["code_challenge_method"] != "S256"
        ):
            return told({"error": "invalid_grant", "error_description": "no such code"}, 400)
        text = self.token(self.id_token(asked["nonce"]))
        return told({"access_token": "opaque", "token_type": "Bearer", "id_token": text})

    def id_token(self, nonce: str) -> str:
        at = int(NOW.timestamp())
        claims = {
            "iss": self.url, "aud": self.client_id, "sub": "user-1", "nonce": nonce,
            "iat": at, "exp": at + 300, "email": "ada@example.com", "email_verified": True,
            "name": "Ada Lovelace",
        }  # fmt: skip
        claims = {
            name: value for name, value in (claims | self.claims).items() if value is not ABSENT
        }
        key = self.key or KEYS[self.algorithm]
        header = {"alg": self.algorithm, "kid": key.kid, "typ": "JWT"} | self.header
        header = {name: value for name, value in header.items() if value is not ABSENT}
        return signed(header, claims, key, by=self.algorithm)

    def _knows(self, request: Request) -> bool:
        if self.client_secret is None:
            return request.form.get("client_id") == self.client_id
        given = request.headers.get("Authorization", "")
        if given.startswith("Basic "):
            name, _, secret = base64.b64decode(given[6:]).decode().partition(":")
            name, secret = unquote(name), unquote(secret)
        else:
            name, secret = (request.form.get(f"client_{part}", "") for part in ("id", "secret"))
        return (name, secret) == (self.client_id, self.client_secret)


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()
"""As a claim or a header: none of this name."""


def told(said: object, status: int = 200) -> Response:
    return Response(json.dumps(said), status, content_type="application/json")
