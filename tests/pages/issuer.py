"""An issuer of OpenID Connect on a socket of its own: it signs in whoever asks, as `subject`."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_urlsafe
from urllib.parse import urlencode

import attrs
from joserfc import jwt
from joserfc.jwk import RSAKey
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

CLIENT, SECRET = "finora-here", "a secret of the client's"


@attrs.define
class Issuer:
    server: HTTPServer
    subject: str = "subject-1"
    name: str = "Grace Hopper"
    refuses: bool = False
    key: RSAKey = attrs.field(factory=lambda: RSAKey.generate_key(2048, {"kid": "k1"}))
    asked: dict[str, dict[str, str]] = attrs.field(factory=dict)
    """What was asked for, by the code that was given for it."""

    @property
    def url(self) -> str:
        # Another site than 127.0.0.1, as browsers see it.
        return f"http://localhost:{self.server.port}"

    @property
    def setting(self) -> str:
        client = {"client_id": CLIENT, "client_secret": SECRET, "issuer": self.url}
        return json.dumps([{"name": "university", **client}])

    def metadata(self, request: Request) -> Response:
        return _json({
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "id_token_signing_alg_values_supported": ["RS256"],
            "authorization_response_iss_parameter_supported": True,
        })  # fmt: skip

    def keys(self, request: Request) -> Response:
        return _json({"keys": [self.key.as_dict(private=False)]})

    def authorize(self, request: Request) -> Response:
        asked = dict(request.args)
        said = {"state": asked["state"], "iss": self.url}
        if self.refuses:
            said["error"] = "access_denied"
        else:
            said["code"] = token_urlsafe()
            self.asked[said["code"]] = asked
        return Response(
            status=302, headers={"Location": f"{asked['redirect_uri']}?{urlencode(said)}"}
        )

    def token(self, request: Request) -> Response:
        asked = self.asked.pop(request.form["code"], None)
        if asked is None or asked["redirect_uri"] != request.form["redirect_uri"]:
            return _json({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "sub": self.subject, "name": self.name,
                  "nonce": asked["nonce"], "iat": now, "exp": now + 300}  # fmt: skip
        text = jwt.encode({"alg": "RS256", "kid": "k1"}, claims, self.key)
        return _json({"id_token": text, "access_token": "x", "token_type": "Bearer"})


def _nothing(request: Request) -> Response:
    return Response(status=204)


def _json(value: object, status: int = 200) -> Response:
    return Response(json.dumps(value), status, mimetype="application/json")


@contextmanager
def serving() -> Iterator[Issuer]:
    with HTTPServer(host="localhost") as server:
        issuer = Issuer(server)
        for path, view in (
            ("/.well-known/openid-configuration", issuer.metadata),
            ("/keys", issuer.keys),
            ("/authorize", issuer.authorize),
            ("/token", issuer.token),
            ("/favicon.ico", _nothing),
        ):
            server.expect_request(path).respond_with_handler(view)
        yield issuer
