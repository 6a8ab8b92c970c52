"""What proves nobody: signed with nothing, with something else, for something else, or bent."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import attrs
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

B64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def pack(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unpack(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@attrs.frozen
class Forger:
    """Has a good access token and, for what is signed well and says something wrong, the key."""

    good: str
    key: bytes
    others: dict[str, bytes]
    """Keys of the other kinds of tokens."""

    @property
    def header(self) -> dict[str, Any]:
        return dict(json.loads(unpack(self.good.split(".")[0])))

    @property
    def claims(self) -> dict[str, Any]:
        return dict(json.loads(unpack(self.good.split(".")[1])))

    def sign(self, header: Any, claims: Any, key: bytes | None = None, by: str = "sha256") -> str:
        parts = [
            each if isinstance(each, bytes) else json.dumps(each, separators=(",", ":")).encode()
            for each in (header, claims)
        ]
        text = ".".join(pack(each) for each in parts)
        return f"{text}.{pack(hmac.digest(self.key if key is None else key, text.encode(), by))}"

    def tokens(self) -> Iterator[str]:
        yield from self._unsigned()
        yield from self._by_other_keys()
        yield from self._headers()
        yield from self._claims()
        yield from self._bent()

    def _unsigned(self) -> Iterator[str]:
        head, body, signature = self.good.split(".")
        for name in ("none", "None", "NONE", "nOnE", "", "null", " ", "none ", "HS0", "false"):
            text = pack(json.dumps({**self.header, "alg": name}).encode()) + "." + body
            yield from (f"{text}.", f"{text}.{signature}", text)
        yield from (f"{head}.{body}.", f"{head}.{body}", f"{head}..{signature}", f".{body}.{signature}",
                    f"{head}.{body}.{signature}.", f"{head}.{body}.{signature}.x", f".{self.good}",
                    f"{head}.{body}.{signature}{signature}", f"{body}.{head}.{signature}", f"{head}..", "..",
                    ".", f"{head}.{body}.{head}", f"{signature}.{body}.{head}", f"{head}.{head}.{signature}")  # fmt: skip

    def _by_other_keys(self) -> Iterator[str]:
        text = self.good.encode()
        keys: list[bytes] = [b"", b"\x00", b"secret", b"finora", b"HS256", b"changeme", b"password", bytes(32),
                             bytes(64), self.key[:-1], self.key + b"x", self.key[::-1], text,
                             self.header["kid"].encode(), hashlib.sha256(self.key).digest(),
                             pack(self.key).encode(), self.key.hex().encode()]  # fmt: skip
        private = rsa.generate_private_key(65537, 2048)
        public = private.public_key()
        forms = (
            serialization.PublicFormat.SubjectPublicKeyInfo,
            serialization.PublicFormat.PKCS1,
        )
        codings = (serialization.Encoding.PEM, serialization.Encoding.DER)
        keys += [public.public_bytes(coding, form) for form in forms for coding in codings]
        keys += self.others.values()
        for key in keys:
            yield self.sign(self.header, self.claims, key)
        for kind, key in self.others.items():
            yield self.sign({**self.header, "typ": f"finora-{kind}+jwt"}, self.claims, key)
        for name, by in (("HS384", "sha384"), ("HS512", "sha512"), ("HS256", "sha1"), ("HS1", "sha1"),
                         ("hs256", "sha256"), ("HS256 ", "sha256"), ("HS512", "sha256"), ("MD5", "md5")):  # fmt: skip
            yield self.sign({**self.header, "alg": name}, self.claims, by=by)
        for name, signed in (
            ("RS256", lambda data: private.sign(data, padding.PKCS1v15(), hashes.SHA256())),
            ("PS256", lambda data: private.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())),
            ("ES256", lambda data: bytes(64)),
            ("ES256", lambda data: ec.generate_private_key(ec.SECP256R1()).sign(data, ec.ECDSA(hashes.SHA256()))),
            ("EdDSA", lambda data: ed25519.Ed25519PrivateKey.generate().sign(data)),
            ("A256KW", lambda data: data), ("dir", lambda data: data), ("RSA1_5", lambda data: data[:32]),
        ):  # fmt: skip
            head = pack(json.dumps({**self.header, "alg": name}).encode())
            asked = f"{head}.{pack(json.dumps(self.claims).encode())}"
            yield f"{asked}.{pack(signed(asked.encode()))}"

    def _headers(self) -> Iterator[str]:
        mine = self.header
        for kid in ("", " ", "x", "../../../../dev/null", "/dev/null", "' or '1'='1", "x' union select 'AA==' --",
                    "http://127.0.0.1/key", "file:///etc/hostname", mine["kid"] + "\x00", mine["kid"].upper() + "x",
                    mine["kid"][:-1], f" {mine['kid']}", "k" * 3_000, None, 0, 1, True, [], {}, [mine["kid"]],
                    {"$ne": ""}, 1.5, "${jndi:ldap://127.0.0.1/x}", "$(id)", "|id", "\u0000"):  # fmt: skip
            yield self.sign({**mine, "kid": kid}, self.claims)
            yield self.sign({**mine, "kid": kid}, self.claims, b"")
        for more in (
            {"jku": "http://127.0.0.1/jwks"}, {"x5u": "http://127.0.0.1/x"}, {"x5c": ["AA=="]}, {"x5t": "AA"},
            {"jwk": {"kty": "oct", "k": pack(b"mine")}}, {"crit": ["exp"]}, {"crit": []}, {"crit": ["b64"], "b64": False},
            {"b64": False}, {"zip": "DEF"}, {"cty": "JWT"}, {"enc": "A256GCM"}, {"typ": "JWT"}, {"typ": "at+jwt"},
            {"typ": None}, {"typ": "finora-refresh+jwt"}, {"typ": "finora-device+jwt"}, {"typ": "finora-link+jwt"},
            {"typ": "FINORA-ACCESS+JWT"}, {"typ": "application/finora-access+jwt"}, {"typ": "finora-browser+jwt"},
            {"iss": "finora"}, {"": ""}, {"alg": ["HS256"]}, {"alg": None}, {"alg": 256}, {"ALG": "none"},
        ):  # fmt: skip
            yield self.sign({**mine, **more}, self.claims)
        for gone in mine:
            yield self.sign(
                {name: each for name, each in mine.items() if name != gone}, self.claims
            )
        turned = dict(reversed(mine.items()))
        spaced = json.dumps(mine).encode()
        twice = json.dumps(mine, separators=(",", ":"))[:-1].encode() + b',"alg":"none"}'
        for header in (
            turned,
            spaced,
            twice,
            b"",
            b"{}",
            b"[]",
            b"null",
            b"x",
            b"\xff",
            b'"x"',
            [mine],
            b"{" * 500,
        ):
            yield self.sign(header, self.claims)

    def _claims(self) -> Iterator[str]:
        mine, header, now = self.claims, self.header, int(time.time())
        stranger = str(uuid4())
        for more in (
            {"exp": now - 1}, {"exp": 0}, {"exp": -1}, {"exp": now}, {"exp": str(now + 900)}, {"exp": now + 0.5},
            {"exp": None}, {"exp": True}, {"exp": [now + 900]}, {"exp": "never"}, {"exp": 1e3},
            {"nbf": now + 900}, {"nbf": str(now)}, {"nbf": None}, {"nbf": []}, {"nbf": 10**30}, {"nbf": 1.5},
            {"iat": now + 900}, {"iat": str(now)}, {"iat": None}, {"iat": 10**30}, {"iat": [], "exp": now + 900},
            {"aud": "other"}, {"aud": ["finora"]}, {"aud": ["finora", "other"]}, {"aud": ""}, {"aud": None}, {"aud": "Finora"},
            {"iss": "other"}, {"iss": ""}, {"iss": None}, {"iss": ["finora"]}, {"iss": "finora "}, {"iss": "https://finora"},
            {"sub": stranger}, {"sub": ""}, {"sub": None}, {"sub": "1"}, {"sub": "admin"}, {"sub": [mine["sub"]]},
            {"sub": "' or 1=1 --"}, {"sub": 0}, {"sub": "00000000-0000-0000-0000-000000000000"}, {"sub": mine["sub"] + "\x00"},
            {"sid": stranger}, {"sid": ""}, {"sid": None}, {"sid": "x"}, {"sid": mine["sub"]}, {"sid": {"$ne": 1}},
            {"tid": ""}, {"tid": None}, {"tid": "x"}, {"tid": "' or 1=1"},
            {"role": None}, {"role": ["owner"]}, {"role": {"a": 1}}, {"admin": True}, {"permissions": ["people:write"]},
            {"scope": ["*"]}, {"x": 1.5}, {"x": None}, {"x": [1]},
        ):  # fmt: skip
            yield self.sign(header, {**mine, **more})
        for gone in ("sub", "sid", "tid", "iss", "aud", "iat", "exp"):
            yield self.sign(header, {name: each for name, each in mine.items() if name != gone})
        text = json.dumps(mine)
        for claims in (
            b"", b"{}", b"[]", b"null", b'"x"', b"1", b"\xff", b"\x00", b"NaN", text[:-1].encode(), text.encode("utf-16"),
            text[:-1].encode() + b',"sub":"' + stranger.encode() + b'"}', text.encode() + b"x", b"\xef\xbb\xbf" + text.encode(),
            text.replace('"exp":', '"exp":NaN,"x":').encode(), text.replace('"exp":', '"exp":1e400,"x":').encode(),
            b'{"a":' * 400 + b"1" + b"}" * 400,
        ):  # fmt: skip
            yield self.sign(header, claims)

    def _bent(self) -> Iterator[str]:
        """One sign of the good one turned into its neighbour, at every place; and its writing."""
        head, body, signature = self.good.split(".")
        for at, sign in enumerate(self.good):
            if sign != "." and (at % 3 == 0 or at > len(head) + len(body)):
                turned = B64[B64.index(sign) ^ 1]
                yield self.good[:at] + turned + self.good[at + 1 :]
        for tail in (
            "=",
            "==",
            "%3D",
            " x",
            "\u00e9",
            "A",
            "AA",
            "_",
            "%00",
            "\u200b",
            "#",
            "?",
            "&",
            ";",
        ):
            yield self.good + tail
        yield from (
            f"{head}=.{body}.{signature}", f"{head}.{body}=.{signature}", f"{head}.{body}==.{signature}=",
            self.good.upper(), self.good.lower(), self.good.swapcase(), self.good[::-1], self.good.replace(".", ","),
            self.good.replace(".", "%2E"), self.good.replace(".", "\u2024"), self.good + self.good,
            json.dumps({"payload": body, "protected": head, "signature": signature}),
            json.dumps({"payload": body, "signatures": [{"protected": head, "signature": signature}]}),
            base64.b64encode(self.good.encode()).decode(), self.good.encode().hex(), f'"{self.good}"', f"<{self.good}>",
            "x" * 4_096, "x" * 4_097, "a." * 2_000, "." * 4_000, f"{head}.{'A' * 4_000}.{signature}", "A" * 60_000,
        )  # fmt: skip


def bent(text: str) -> Iterator[str]:
    """A program's token with each sign turned into its neighbour, and cut at every place."""
    for at in range(4, len(text)):
        yield text[:at] + B64[B64.index(text[at]) ^ 1] + text[at + 1 :]
    for at in range(0, len(text), 2):
        yield text[:at]
    yield from (text + "A", text + "AAAA", text + "=", text.upper(), text.lower(), text[4:], "Fin_" + text[4:],
                "fin-" + text[4:], "fin_" + text[4:].replace("-", "+").replace("_", "/") + "=", "fin_" + "A" * 88,
                "fin_" + "\u0391" * 88, "fin_" + "A" * 100_000, f"fin_{text}")  # fmt: skip


HEADERS = (
    "", " ", "Bearer", "Bearer ", "Bearer  ", "bearer", "Basic", "Basic dTpw", "Basic =", "Basic YWRtaW46YWRtaW4=",
    "Digest username=admin", "Negotiate TlRMTVNTUAAB", "NTLM TlRMTVNTUAAB", "Token x", "token x", "JWT x", "ApiKey x",
    "Bearer null", "Bearer undefined", "Bearer None", "Bearer true", "Bearer []", "Bearer {}", "Bearer 0", "Bearer ..",
    "Bearer a, Bearer b", "Bearer a Bearer b", "Bearer a,b", "Bearer\ta", "Bearer:a", "Bearer=a", "Bearer/a", "BearerA",
    "Bearer token=a", 'Bearer "a"', "Bearer <a>", "Bearer %s", "Bearer ${token}", "Bearer {{token}}", "Bearer $(id)",
    "Bearer ' or 1=1 --", "Bearer ../../etc/passwd", "Bearer \xff", "Bearer \xe9", "\xff\xfe", "Bearer fin_", "Bearer fin_x",
    "Bearer fin_====", "Bearer fin_" + "A" * 87, "Bearer fin_" + "A" * 89, "Mac id=x", "Hawk id=x", "AWS4-HMAC-SHA256 x",
    "OAuth oauth_token=x", "SCRAM-SHA-256 x", "vapid t=x", "GNAP x", "DPoP x", "PrivateToken token=x", "*", ",", ";", "x",
)  # fmt: skip
