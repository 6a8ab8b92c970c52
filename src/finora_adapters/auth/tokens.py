"""Own signed tokens: JSON Web Tokens of one form, by HMAC-SHA256."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.jws import JWSRegistry, deserialize_compact, serialize_compact

from finora_adapters.auth.jose import compact, object_of, packed
from finora_core.identity.model import TokenInvalid
from finora_core.identity.verifiers import SigningKey, SigningKeys

ISSUER = "finora"
MOST = 4096
_KIND = re.compile(r"[a-z][a-z-]{0,30}")
_REGISTERED = frozenset({"iss", "aud", "iat", "exp", "nbf"})
_ALGORITHM = "HS256"
_REGISTRY = JWSRegistry(algorithms=[_ALGORITHM])
# Clocks of one installation may differ by so much.
_SKEW_S = 60
_KEPT = 64


class SignedTokens:
    """Every kind is signed with a key of its own, derived from the signing key."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys
        self._derived: dict[tuple[str, str], OctKey] = {}

    def sign(
        self,
        kind: str,
        claims: Mapping[str, str | int],
        *,
        expires_at: datetime,
        issued_at: datetime,
    ) -> str:
        payload = self._payload(kind, claims, expires_at, issued_at)
        return self._sign(kind, payload, self._keys.current())

    def signed(
        self,
        kind: str,
        claims: Mapping[str, str | int],
        *,
        expires_at: datetime,
        issued_at: datetime,
    ) -> Sequence[str]:
        payload = self._payload(kind, claims, expires_at, issued_at)
        return [self._sign(kind, payload, key) for key in self._keys.all()]

    def _payload(
        self,
        kind: str,
        claims: Mapping[str, str | int],
        expires_at: datetime,
        issued_at: datetime,
    ) -> str:
        if not _KIND.fullmatch(kind):
            raise ValueError(f"{kind!r} is no kind of token")
        if _REGISTERED & claims.keys() or not _plain(claims):
            raise ValueError("claims are texts and whole numbers, under names of their own")
        said = {
            **claims,
            "iss": ISSUER,
            "aud": ISSUER,
            "iat": _seconds(issued_at),
            "exp": _seconds(expires_at),
        }
        return json.dumps(said, sort_keys=True, separators=(",", ":"))

    def _sign(self, kind: str, payload: str, key: SigningKey) -> str:
        text = serialize_compact(
            _header(kind, key.kid), payload, self._key(kind, key), registry=_REGISTRY
        )
        if len(text) > MOST:
            raise ValueError(f"a token has at most {MOST} characters")
        return text

    def read(self, kind: str, text: str, now: datetime) -> Mapping[str, str | int]:
        try:
            return self._read(kind, text, now)
        except (ValueError, JoseError) as error:
            raise TokenInvalid("this is not a token, or its time has run out") from error

    def _read(self, kind: str, text: str, now: datetime) -> Mapping[str, str | int]:
        """Raises ValueError, JoseError."""
        parts = compact(text, MOST)
        kid = parts.header.get("kid")
        key = self._keys.find(kid) if isinstance(kid, str) else None
        if key is None or (key.retires_at is not None and key.retires_at <= now):
            raise ValueError("there is no such key")
        # Ours have one header. What differs from it in a name, a value or a space is not ours.
        header = packed(json.dumps(_header(kind, key.kid), separators=(",", ":")).encode())
        if text.partition(".")[0] != header:
            raise ValueError("it is another kind of token")
        deserialize_compact(text, self._key(kind, key), registry=_REGISTRY)
        claims = object_of(parts.payload)
        if not _plain(claims):
            raise ValueError("claims are texts and whole numbers")
        if claims.pop("iss", None) != ISSUER or claims.pop("aud", None) != ISSUER:
            raise ValueError("it is another's, or for another")
        present = _seconds(now)
        issued, ends, begins = claims.get("iat"), claims.get("exp"), claims.get("nbf", 0)
        if not (isinstance(issued, int) and isinstance(ends, int) and isinstance(begins, int)):
            raise ValueError("its times are not numbers")
        if not (issued <= present + _SKEW_S and begins <= present < ends):
            raise ValueError("its time has run out, or has not come")
        return claims

    def _key(self, kind: str, key: SigningKey) -> OctKey:
        """Derived and read once, which take longer than a signature."""
        name = (key.kid, kind)
        found = self._derived.get(name)
        if found is None:
            if len(self._derived) >= _KEPT:
                self._derived.clear()
            found = self._derived[name] = OctKey.import_key(key.derive(f"finora-{kind}+jwt"))
        return found


def _header(kind: str, kid: str) -> dict[str, Any]:
    return {"alg": _ALGORITHM, "kid": kid, "typ": f"finora-{kind}+jwt"}


def _plain(claims: Mapping[str, object]) -> bool:
    return all(type(value) in (str, int) for value in claims.values())


def _seconds(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise ValueError("an instant has a zone")
    return int(moment.timestamp())
