"""What people sign in with, besides a password: a passkey, a wallet, Telegram, an account at an
issuer. Each does what the real one does, with keys of its own."""

import base64
import hashlib
import hmac
import json
import secrets
import struct
import time
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import attrs
import cbor2
from coincurve import PrivateKey
from Crypto.Hash import keccak
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

BOT_TOKEN = "7:AAF-tests"
ISSUER = "acme"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@attrs.define
class Authenticator:
    """Makes and uses one passkey, whose owner it has asked for a finger."""

    origin: str
    key: Any = attrs.field(factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = attrs.field(factory=lambda: secrets.token_bytes(32))
    count: int = 0

    def make(self, options: dict[str, Any]) -> dict[str, Any]:
        """What `navigator.credentials.create` gives."""
        public = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32), -3: public.y.to_bytes(32)}
        made = bytes(16) + struct.pack(">H", len(self.id)) + self.id + cbor2.dumps(cose)
        data = self._data(options["rp"]["id"], 0x45) + made
        said = self._client("webauthn.create", options)
        attested = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._answer({"clientDataJSON": b64(said), "attestationObject": b64(attested)})

    def use(self, options: dict[str, Any]) -> dict[str, Any]:
        """What `navigator.credentials.get` gives."""
        self.count += 1
        data = self._data(options["rpId"], 0x05)
        said = self._client("webauthn.get", options)
        signed = self.key.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer({
            "clientDataJSON": b64(said),
            "authenticatorData": b64(data),
            "signature": b64(signed),
        })  # fmt: skip

    def _data(self, site: str, flags: int) -> bytes:
        return hashlib.sha256(site.encode()).digest() + struct.pack(">BI", flags, self.count)

    def _client(self, kind: str, options: dict[str, Any]) -> bytes:
        said = {"type": kind, "challenge": options["challenge"], "origin": self.origin}
        return json.dumps(said).encode()

    def _answer(self, inner: dict[str, str]) -> dict[str, Any]:
        name = b64(self.id)
        return {"id": name, "rawId": name, "type": "public-key", "response": inner}


@attrs.frozen
class Wallet:
    key: PrivateKey = attrs.field(factory=PrivateKey)

    @property
    def address(self) -> str:
        return "0x" + _keccak(self.key.public_key.format(False)[1:])[-20:].hex()

    def sign(self, text: str) -> str:
        data = text.encode()
        prefixed = b"\x19Ethereum Signed Message:\n" + str(len(data)).encode() + data
        made = self.key.sign_recoverable(_keccak(prefixed), hasher=None)
        return "0x" + (made[:64] + bytes([made[64] + 27])).hex()


def _keccak(data: bytes) -> bytes:
    return keccak.new(data=data, digest_bits=256).digest()


@attrs.frozen
class Telegram:
    user_id: int = attrs.field(factory=lambda: 1 + secrets.randbelow(10**9))

    def launch(self) -> str:
        """A mini app's `initData`."""
        user = json.dumps({"id": self.user_id, "first_name": "Ada"})
        fields = {"auth_date": str(int(time.time())), "user": user,
                  "query_id": secrets.token_hex(8)}  # fmt: skip
        key = hmac.digest(b"WebAppData", BOT_TOKEN.encode(), "sha256")
        return urlencode(fields | {"hash": _tag(fields, key)})

    def button(self) -> dict[str, str | int]:
        """What a page's login button gives."""
        fields = {"auth_date": str(int(time.time())), "id": str(self.user_id), "first_name": "Ada"}
        key = hashlib.sha256(BOT_TOKEN.encode()).digest()
        return {**fields, "hash": _tag(fields, key)}


def _tag(fields: dict[str, str], key: bytes) -> str:
    lines = "\n".join(f"{name}={value}" for name, value in sorted(fields.items()))
    return hmac.digest(key, lines.encode(), "sha256").hex()


@attrs.define
class Issuer:
    """An issuer of OpenID Connect, on a socket of its own. Its codes say for whom they are."""

    server: HTTPServer
    key: ECKey = attrs.field(factory=lambda: ECKey.generate_key("P-256", {"kid": "k"}))

    def open(self) -> "Issuer":
        said = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "authorization_response_iss_parameter_supported": True,
        }
        keys = {"keys": [self.key.as_dict(private=False)]}
        where = self.server.expect_request
        where("/.well-known/openid-configuration").respond_with_json(said)
        where("/keys").respond_with_json(keys)
        where("/token").respond_with_handler(self._token)
        return self

    @property
    def url(self) -> str:
        return self.server.url_for("").rstrip("/")

    @property
    def client(self) -> dict[str, str]:
        """As the setting lists it."""
        return {"name": ISSUER, "client_id": "finora", "client_secret": "s", "issuer": self.url}

    def visit(self, url: str, subject: str) -> dict[str, str]:
        """What the browser comes back with, once somebody has signed in there."""
        [challenge] = parse_qs(urlsplit(url).query)["code_challenge"]
        [nonce] = parse_qs(urlsplit(url).query)["nonce"]
        [state] = parse_qs(urlsplit(url).query)["state"]
        code = json.dumps({"sub": subject, "nonce": nonce, "challenge": challenge})
        return {"state": state, "code": b64(code.encode()), "iss": self.url}

    def _token(self, request: Request) -> Response:
        form = dict(parse_qsl(request.get_data(as_text=True)))
        try:
            said = json.loads(base64.urlsafe_b64decode(form["code"] + "=="))
        except ValueError:
            said = {"challenge": None}
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if b64(digest) != said["challenge"]:
            return Response('{"error": "invalid_grant"}', 400, mimetype="application/json")
        now = int(time.time())
        claims = {"iss": self.url, "aud": "finora", "sub": said["sub"], "nonce": said["nonce"],
                  "iat": now, "exp": now + 300, "name": "Ada"}  # fmt: skip
        token = jwt.encode({"alg": "ES256", "kid": "k"}, claims, self.key)
        return Response(json.dumps({"id_token": token}), mimetype="application/json")
