"""What people hold in their hands: a wallet, a passkey, a telephone with Telegram."""

import base64
import hashlib
import hmac
import json
import secrets
import struct
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import attrs
import cbor2
from coincurve import PrivateKey
from Crypto.Hash import keccak
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

BOT = "7342037359:AAHI25ES9xCOMPOkYZGG2pxWhLKm5JdW4Bc"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def keccak256(data: bytes) -> bytes:
    return keccak.new(data=data, digest_bits=256).digest()


@attrs.frozen
class Purse:
    """An Ethereum wallet."""

    key: PrivateKey = attrs.field(factory=PrivateKey)

    @property
    def address(self) -> str:
        """Without the capitals that check it."""
        return "0x" + keccak256(self.key.public_key.format(False)[1:])[-20:].hex()

    def sign(self, message: str) -> str:
        data = message.encode()
        prefixed = b"\x19Ethereum Signed Message:\n" + str(len(data)).encode() + data
        made = self.key.sign_recoverable(keccak256(prefixed), hasher=None)
        return "0x" + (made[:64] + bytes([made[64] + 27])).hex()

    def answers(self, offer: dict[str, Any]) -> dict[str, Any]:
        return {
            "ticket": offer["ticket"],
            "message": offer["message"],
            "signature": self.sign(offer["message"]),
        }


@attrs.define
class Key:
    """A passkey of one site, that counts what it signs."""

    origin: str = "http://localhost:4000"
    site: str = "localhost"
    private: ec.EllipticCurvePrivateKey = attrs.field(
        factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    id: bytes = attrs.field(factory=lambda: secrets.token_bytes(32))
    count: int = 0

    def made(self, offer: dict[str, Any]) -> dict[str, Any]:
        """What `navigator.credentials.create` gives."""
        numbers = self.private.public_key().public_numbers()
        x, y = (each.to_bytes(32) for each in (numbers.x, numbers.y))
        cose = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})
        data = self._data(0x45) + bytes(16) + struct.pack(">H", len(self.id)) + self.id + cose
        whole = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        said = self._said("webauthn.create", offer)
        inner = {"clientDataJSON": b64(said), "attestationObject": b64(whole)}
        return {"ticket": offer["ticket"], "response": self._response(inner)}

    def signed(self, offer: dict[str, Any]) -> dict[str, Any]:
        """What `navigator.credentials.get` gives."""
        self.count += 1
        data, said = self._data(0x05), self._said("webauthn.get", offer)
        signature = self.private.sign(
            data + hashlib.sha256(said).digest(), ec.ECDSA(hashes.SHA256())
        )
        inner = {
            "clientDataJSON": b64(said),
            "authenticatorData": b64(data),
            "signature": b64(signature),
        }
        return {"ticket": offer["ticket"], "response": self._response(inner)}

    def _data(self, flags: int) -> bytes:
        digest = hashlib.sha256(self.site.encode()).digest()
        return digest + bytes([flags]) + struct.pack(">I", self.count)

    def _said(self, kind: str, offer: dict[str, Any]) -> bytes:
        said = {"type": kind, "challenge": offer["options"]["challenge"], "origin": self.origin}
        return json.dumps(said).encode()

    def _response(self, inner: dict[str, str]) -> dict[str, Any]:
        name = b64(self.id)
        return {"id": name, "rawId": name, "type": "public-key", "response": inner}


def telegram(launcher: int, **changed: Any) -> str:
    """The initData of a mini app that this user launched now."""
    fields: dict[str, Any] = {
        "query_id": secrets.token_hex(8),
        "auth_date": int(datetime.now(UTC).timestamp()),
        "user": json.dumps({"id": launcher, "first_name": "Ada", "username": f"u{launcher}"}),
    } | changed
    key = hmac.new(b"WebAppData", BOT.encode(), hashlib.sha256).digest()
    lines = "\n".join(f"{name}={fields[name]}" for name in sorted(fields))
    tag = hmac.new(key, lines.encode(), hashlib.sha256).hexdigest()
    return urlencode(fields | {"hash": tag}, quote_via=quote)
