"""What an issuer publishes: its metadata and the keys that it signs with, kept for a while."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import attrs
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from finora_adapters.auth.jose import compact, object_of
from finora_adapters.auth.remote import Remote, RemoteFailed
from finora_adapters.auth.urls import is_safe

T = TypeVar("T")

MOST = 16_384
"""Characters of a token that is looked at."""
RENEW_S = 60
"""A key that is not known is asked for at most this often."""

_FRESH_S, _STALE_S, _AFTER_FAILURE_S = 600, 86_400, 5
_MOST_KEYS = 64
_BITS = range(2048, 8193)

# What a signature may be made with, by what key, and what checks it. joserfc knows EdDSA by the
# name of its curve.
_ALGORITHMS = {
    "RS256": ("RSA", None, "RS256"),
    "PS256": ("RSA", None, "PS256"),
    "ES256": ("EC", "P-256", "ES256"),
    "EdDSA": ("OKP", "Ed25519", "Ed25519"),
}
_FIELDS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_KINDS: Mapping[str, type[RSAKey | ECKey | OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


@attrs.frozen
class PublicKey:
    kid: str | None
    kind: str
    curve: str | None
    algorithm: str | None
    """The one it is for, where its issuer says so."""
    key: Any

    def fits(self, algorithm: str) -> bool:
        kind, curve, _ = _ALGORITHMS[algorithm]
        return (
            self.kind == kind
            and (curve is None or self.curve == curve)
            and self.algorithm in (None, algorithm)
        )


class Published:
    """One issuer. Its URLs are https, or all http of this machine where its own name is."""

    def __init__(
        self,
        issuer: str,
        remote: Remote | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.issuer = issuer
        self.remote = remote or Remote()
        self._loopback = issuer.startswith("http:")
        self._metadata = _Kept(self._fetch_metadata, seconds)
        self._keys = _Kept(self._fetch_keys, seconds)

    def metadata(self) -> Mapping[str, Any]:
        """Raises RemoteFailed."""
        return self._metadata.get()

    def url(self, name: str) -> str:
        """A URL that the metadata name. Raises RemoteFailed."""
        found = self.metadata().get(name)
        if not isinstance(found, str) or not is_safe(found, loopback=self._loopback):
            raise RemoteFailed(f"{self.issuer} names no {name} that can be asked safely")
        return found

    def claims(self, text: str, types: Sequence[str]) -> dict[str, Any]:
        """What a token says that this issuer signed; that it is for us and for now, is for the
        caller to see. `types` are those that its header may say, in lower case. Raises ValueError,
        RemoteFailed."""
        parts = compact(text, MOST)
        algorithm, kid = parts.header.get("alg"), parts.header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS:
            raise ValueError("it is not signed in a way that is taken")
        if not (kid is None or isinstance(kid, str)) or {"crit", "b64"} & parts.header.keys():
            raise ValueError("its header asks for what is not known here")
        if str(parts.header.get("typ", types[0])).lower() not in types:
            raise ValueError("it is another kind of token")
        model = JWSRegistry.algorithms[_ALGORITHMS[algorithm][2]]
        keys = self._candidates(kid, algorithm)
        try:
            if not any(model.verify(parts.signed, parts.signature, each.key) for each in keys):
                raise ValueError("it is not signed by a key of its issuer")
        except JoseError as error:
            raise ValueError("it is signed by a key that cannot be used") from error
        return object_of(parts.payload)

    def _candidates(self, kid: str | None, algorithm: str) -> Sequence[PublicKey]:
        found = _fitting(self._keys.get(), kid, algorithm)
        if not found:
            found = _fitting(self._keys.renewed(), kid, algorithm)
        # Without a name there must be no doubt whose key it is.
        return found if kid is not None or len(found) == 1 else ()

    def _fetch_metadata(self) -> Mapping[str, Any]:
        answer = self.remote.get(self.issuer.rstrip("/") + "/.well-known/openid-configuration")
        if answer.status != 200 or answer.said.get("issuer") != self.issuer:
            raise RemoteFailed(f"{self.issuer} does not publish metadata under its own name")
        return answer.said

    def _fetch_keys(self) -> Sequence[PublicKey]:
        answer = self.remote.get(self.url("jwks_uri"))
        listed = answer.said.get("keys")
        if answer.status != 200 or not isinstance(listed, list) or len(listed) > _MOST_KEYS:
            raise RemoteFailed(f"{self.issuer} publishes no keys")
        return [key for each in listed if (key := public_key(each)) is not None]


class _Kept(Generic[T]):
    """Something fetched: renewed when it is no longer fresh, used on where that fails, until it
    is stale."""

    def __init__(self, fetch: Callable[[], T], seconds: Callable[[], float]) -> None:
        self._fetch, self._seconds = fetch, seconds
        self._fetching = threading.Lock()
        self._found: tuple[float, T] | None = None
        self._asked_at: float | None = None

    def get(self) -> T:
        """Raises RemoteFailed."""
        if self._found is None or self._older_than(_FRESH_S):
            # Who has nothing waits for the one who asks; who has something uses that.
            self._ask(wait=self._found is None or self._older_than(_STALE_S))
        if self._found is None or self._older_than(_STALE_S):
            raise RemoteFailed("the issuer did not answer a moment ago")
        return self._found[1]

    def renewed(self) -> T:
        """As it is now, if that was not asked lately. Raises RemoteFailed."""
        self._ask(wait=False)
        return self.get()

    def _ask(self, *, wait: bool) -> None:
        if not self._fetching.acquire(blocking=wait):
            return
        try:
            pause_s = RENEW_S if self._found else _AFTER_FAILURE_S
            if self._asked_at is not None and self._seconds() - self._asked_at < pause_s:
                return
            self._asked_at = self._seconds()
            self._found = (self._seconds(), self._fetch())
        except RemoteFailed:
            if self._found is None or self._older_than(_STALE_S):
                raise
        finally:
            self._fetching.release()

    def _older_than(self, age_s: int) -> bool:
        return self._found is not None and self._seconds() - self._found[0] >= age_s


def _fitting(keys: Sequence[PublicKey], kid: str | None, algorithm: str) -> Sequence[PublicKey]:
    return [key for key in keys if (kid is None or key.kid == kid) and key.fits(algorithm)]


def public_key(said: object) -> PublicKey | None:
    """None for what is no key for signatures that is taken: a set may hold others too."""
    if not isinstance(said, dict) or said.get("use", "sig") != "sig" or "d" in said:
        return None
    kind, kid, algorithm = (said.get(name) for name in ("kty", "kid", "alg"))
    uses = said.get("key_ops", ["verify"])
    if (
        not isinstance(kind, str)
        or kind not in _FIELDS
        or not isinstance(uses, list)
        or "verify" not in uses
    ):
        return None
    # What else it says is left out, or joserfc would judge by it.
    fields: dict[str, str | list[str]] = {
        name: value for name in ("kty", *_FIELDS[kind]) if isinstance(value := said.get(name), str)
    }
    try:
        key = _KINDS[kind].import_key(fields)
    except (ValueError, KeyError, TypeError, JoseError):
        return None
    if isinstance(key, RSAKey) and key.public_key.key_size not in _BITS:
        return None
    return PublicKey(
        kid=kid if isinstance(kid, str) else None,
        kind=kind,
        curve=said.get("crv"),
        algorithm=algorithm if isinstance(algorithm, str) else None,
        key=key,
    )
