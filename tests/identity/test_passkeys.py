"""Passkeys: the vectors of WebAuthn verify, and nothing that differs from them in one place."""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import attrs
import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from finora_adapters.auth.passkeys import WebPasskeys
from finora_core.identity.verifiers import BadPasskey, Passkey, PasskeyCloned, PasskeyRefused
from shared_data import SHARED, needs_shared

FILE = SHARED / "identity/webauthn.json"
VECTORS: list[dict[str, Any]] = [
    each
    for each in (json.loads(FILE.read_text()) if FILE.is_file() else [])
    if "registration" in each
]
# Not every vector's device asked for a finger or a code.
SITE = WebPasskeys(rp_id="example.org", origins=("https://example.org",), verified=False)
vectors = pytest.mark.parametrize("vector", VECTORS, ids=lambda each: each["id"])


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def made(vector: Mapping[str, Any], **changed: bytes) -> tuple[dict[str, Any], bytes]:
    """A registration as a browser sends it, and its challenge."""
    said = {name: bytes.fromhex(value) for name, value in vector["registration"].items()} | changed
    inner = {name: b64(said[name]) for name in ("clientDataJSON", "attestationObject")}
    name = b64(said["credential_id"])
    return {"id": name, "rawId": name, "type": "public-key", "response": inner}, said["challenge"]


def signed(vector: Mapping[str, Any], **changed: bytes) -> tuple[dict[str, Any], bytes]:
    """An authentication as a browser sends it, and its challenge."""
    said = {name: bytes.fromhex(value) for name, value in vector["authentication"].items()}
    said |= changed
    fields = ("clientDataJSON", "authenticatorData", "signature")
    inner = {name: b64(said[name]) for name in fields}
    name = b64(bytes.fromhex(vector["registration"]["credential_id"]))
    return {"id": name, "type": "public-key", "response": inner}, said["challenge"]


def passkey_of(vector: Mapping[str, Any]) -> Passkey:
    return SITE.register(*made(vector))


def flips(data: bytes) -> Iterator[bytes]:
    """The data with one bit of one byte turned, for every byte."""
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        yield bytes(changed)


@needs_shared
@pytest.mark.spec("S4-11", partial=True)
@vectors
def test_the_vectors_verify(vector: dict[str, Any]) -> None:
    passkey = passkey_of(vector)
    assert passkey.id == bytes.fromhex(vector["registration"]["credential_id"])
    assert passkey.sign_count == 0
    made_of = cbor2.loads(bytes.fromhex(vector["registration"]["attestationObject"]))
    assert passkey.synced is bool(made_of["authData"][32] & 0b0001_0000)
    response, challenge = signed(vector)
    assert SITE.identify(response) == passkey.id
    assert SITE.assert_(response, challenge, passkey) == 0


@needs_shared
@vectors
@pytest.mark.parametrize("field", ["clientDataJSON", "authenticatorData", "signature", "challenge"])
def test_no_bit_of_an_assertion_can_be_turned(vector: dict[str, Any], field: str) -> None:
    passkey = passkey_of(vector)
    for changed in flips(bytes.fromhex(vector["authentication"][field])):
        response, challenge = signed(vector, **{field: changed})
        with pytest.raises(PasskeyRefused):
            SITE.assert_(response, challenge, passkey)


@needs_shared
@vectors
@pytest.mark.parametrize("field", ["challenge", "credential_id"])
def test_no_bit_of_a_registration_s_words_can_be_turned(vector: dict[str, Any], field: str) -> None:
    for changed in flips(bytes.fromhex(vector["registration"][field])):
        with pytest.raises(BadPasskey):
            SITE.register(*made(vector, **{field: changed}))


@needs_shared
def test_no_bit_of_a_signed_registration_can_be_turned() -> None:
    vector = next(each for each in VECTORS if each["id"] == "packed-self-es256")
    whole = bytes.fromhex(vector["registration"]["attestationObject"])
    said = cbor2.loads(whole)
    for original in (said["authData"], said["attStmt"]["sig"]):
        for changed in flips(original):
            with pytest.raises(BadPasskey):
                SITE.register(*made(vector, attestationObject=whole.replace(original, changed)))


@needs_shared
@vectors
def test_another_site_or_another_s_answer_is_refused(vector: dict[str, Any]) -> None:
    passkey = passkey_of(vector)
    response, challenge = signed(vector)
    others = (
        attrs.evolve(SITE, rp_id="example.com"),
        attrs.evolve(SITE, origins=("https://example.com",)),
        attrs.evolve(SITE, origins=("https://example.org.evil.com", "http://example.org")),
        attrs.evolve(SITE, origins=()),
    )
    for site in others:
        with pytest.raises(PasskeyRefused):
            site.assert_(response, challenge, passkey)
        with pytest.raises(BadPasskey):
            site.register(*made(vector))
    # The words of one ceremony are none of the other's.
    registration, first = made(vector)
    with pytest.raises(PasskeyRefused):
        SITE.assert_(registration, first, passkey)
    with pytest.raises(BadPasskey):
        SITE.register(response, challenge)


@needs_shared
def test_one_s_passkey_is_not_another_s() -> None:
    one, other = passkey_of(VECTORS[0]), passkey_of(VECTORS[1])
    response, challenge = signed(VECTORS[0])
    with pytest.raises(PasskeyRefused, match="another passkey"):
        SITE.assert_(response, challenge, other)
    with pytest.raises(PasskeyRefused):
        SITE.assert_(response, challenge, attrs.evolve(one, public_key=other.public_key))
    with pytest.raises(PasskeyRefused):
        SITE.assert_(response, challenge, attrs.evolve(one, public_key=b"\xa0"))


BROKEN: dict[str, Any] = {
    "nothing": {},
    "no response": {"id": "AAAA", "type": "public-key"},
    "a list": {"id": "AAAA", "type": "public-key", "response": []},
    "numbers": {"id": 1, "type": "public-key", "response": {}},
    "another type": {"id": "AAAA", "type": "password", "response": {}},
    "padding": {"id": "AAA=", "type": "public-key", "response": {}},
    "another raw id": {"id": "AAAA", "rawId": "AAAB", "type": "public-key", "response": {}},
}


@pytest.mark.parametrize("response", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_answer_of_a_browser_is_refused(response: dict[str, Any]) -> None:
    passkey = Passkey(id=b"\0\0\0", public_key=b"", sign_count=0, synced=False)
    with pytest.raises(BadPasskey):
        SITE.register(response, b"challenge")
    with pytest.raises(PasskeyRefused):
        SITE.assert_(response, b"challenge", passkey)


@needs_shared
@pytest.mark.parametrize(
    "change",
    [lambda text: text + "=", lambda text: text + "\n", lambda text: "!" + text,
     lambda text: text * 40_000, lambda text: None, lambda text: text.encode()],
    ids=["padded", "a line break", "a stray sign", "huge", "missing", "bytes"],
)  # fmt: skip
@pytest.mark.parametrize("field", ["clientDataJSON", "authenticatorData", "signature"])
def test_a_field_is_base64_as_a_browser_writes_it(field: str, change: Any) -> None:
    passkey = passkey_of(VECTORS[0])
    response, challenge = signed(VECTORS[0])
    response["response"][field] = change(response["response"][field])
    with pytest.raises(PasskeyRefused):
        SITE.assert_(response, challenge, passkey)


# --- a device of our own -------------------------------------------------------------------------


@attrs.define
class Device:
    """A security key that counts: P-256, no attestation."""

    rp_id: str = "example.org"
    flags: int = 0b0000_0101
    count: int = 0
    key: ec.EllipticCurvePrivateKey = attrs.field(
        factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    id: bytes = attrs.field(factory=lambda: uuid4().bytes)

    def make(self, options: Mapping[str, Any], **said: Any) -> dict[str, Any]:
        numbers = self.key.public_key().public_numbers()
        x, y = (value.to_bytes(32, "big") for value in (numbers.x, numbers.y))
        cose = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cose
        data = self._data(0b0100_0000) + attested
        made = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", options, said)
        inner = {"clientDataJSON": b64(client), "attestationObject": b64(made)}
        return {"id": b64(self.id), "rawId": b64(self.id), "type": "public-key", "response": inner}

    def sign(self, options: Mapping[str, Any], **said: Any) -> dict[str, Any]:
        client, data = self._client("webauthn.get", options, said), self._data(0)
        digest = hashes.Hash(hashes.SHA256())
        digest.update(client)
        signature = self.key.sign(data + digest.finalize(), ec.ECDSA(hashes.SHA256()))
        texts = {"clientDataJSON": client, "authenticatorData": data, "signature": signature}
        inner = {name: b64(value) for name, value in texts.items()}
        return {"id": b64(self.id), "rawId": b64(self.id), "type": "public-key", "response": inner}

    def _data(self, also: int) -> bytes:
        digest = hashes.Hash(hashes.SHA256())
        digest.update(self.rp_id.encode())
        return digest.finalize() + bytes([self.flags | also]) + self.count.to_bytes(4, "big")

    def _client(self, kind: str, options: Mapping[str, Any], said: Mapping[str, Any]) -> bytes:
        words = {"type": kind, "challenge": options["challenge"], "origin": "https://example.org"}
        return json.dumps(words | said).encode()


CHALLENGE = b"a challenge of thirty-two bytes."
STRICT = attrs.evolve(SITE, verified=True)


def test_a_device_registers_and_signs_in() -> None:
    device = Device(count=7)
    asked = STRICT.registration(CHALLENGE, uuid4(), "ada@example.com", [b"older"])
    assert asked["rp"] == {"id": "example.org", "name": "Finora"}
    assert asked["user"]["name"] == "ada@example.com"
    assert [each["id"] for each in asked["excludeCredentials"]] == [b64(b"older")]
    assert asked["authenticatorSelection"]["userVerification"] == "required"
    assert asked["attestation"] == "none"
    passkey = STRICT.register(device.make(asked), CHALLENGE)
    assert (passkey.id, passkey.sign_count, passkey.synced) == (device.id, 7, False)
    asked = STRICT.assertion(CHALLENGE, [passkey.id])
    assert asked["rpId"] == "example.org"
    assert [each["id"] for each in asked["allowCredentials"]] == [b64(device.id)]
    device.count = 8
    assert STRICT.assert_(device.sign(asked), CHALLENGE, passkey) == 8
    assert STRICT.assertion(CHALLENGE, [])["allowCredentials"] == []
    json.dumps(asked)


@pytest.mark.spec("S4-11", partial=True)
@pytest.mark.parametrize(
    ("before", "now", "fine"),
    [(0, 0, True), (0, 1, True), (5, 6, True), (5, 500, True), (5, 5, False), (5, 4, False),
     (5, 0, False), (4_294_967_295, 4_294_967_295, False)],
)  # fmt: skip
def test_a_counter_that_does_not_rise_is_of_a_copy(before: int, now: int, fine: bool) -> None:
    device = Device(count=before)
    options = STRICT.registration(CHALLENGE, uuid4(), "ada", [])
    passkey = STRICT.register(device.make(options), CHALLENGE)
    device.count = now
    response = device.sign(STRICT.assertion(CHALLENGE, []))
    if fine:
        assert STRICT.assert_(response, CHALLENGE, passkey) == now
    else:
        with pytest.raises(PasskeyCloned) as caught:
            STRICT.assert_(response, CHALLENGE, passkey)
        assert caught.value.code == "PASSKEY_CLONED"


def test_a_copy_is_told_only_by_its_own_signature() -> None:
    device, thief = Device(count=5), Device(count=1)
    options = STRICT.registration(CHALLENGE, uuid4(), "ada", [])
    passkey = STRICT.register(device.make(options), CHALLENGE)
    thief.id = device.id
    with pytest.raises(PasskeyRefused):
        STRICT.assert_(thief.sign(STRICT.assertion(CHALLENGE, [])), CHALLENGE, passkey)


@pytest.mark.parametrize(
    ("flags", "fine"),
    [(0b0000_0101, True), (0b0001_1101, True), (0b0000_0001, False), (0b0000_0100, False),
     (0b0001_0101, False)],
    ids=["here, told", "synced", "not told who", "not here", "copied and cannot be"],
)  # fmt: skip
def test_the_owner_is_there_and_is_told(flags: int, fine: bool) -> None:
    device, honest = Device(flags=flags), Device()
    options = STRICT.registration(CHALLENGE, uuid4(), "ada", [])
    if fine:
        synced = STRICT.register(device.make(options), CHALLENGE).synced
        assert synced is bool(flags & 0b0001_0000)
    else:
        with pytest.raises(BadPasskey):
            STRICT.register(device.make(options), CHALLENGE)
    passkey = STRICT.register(honest.make(options), CHALLENGE)
    device.key, device.id = honest.key, honest.id
    if fine:
        assert STRICT.assert_(device.sign(options), CHALLENGE, passkey) == 0
    else:
        with pytest.raises(PasskeyRefused):
            STRICT.assert_(device.sign(options), CHALLENGE, passkey)


@pytest.mark.parametrize(
    "said",
    [{"crossOrigin": True}, {"crossOrigin": "true"}, {"topOrigin": "https://evil.example"},
     {"origin": "https://evil.example"}, {"origin": "https://example.org:8443"},
     {"origin": ["https://example.org"]}, {"origin": None}, {"type": "payment.get"},
     {"challenge": ""}, {"challenge": None}, {"challenge": "AAAA"}],
    ids=str,
)  # fmt: skip
def test_the_browser_s_words_are_checked(said: dict[str, Any]) -> None:
    device = Device()
    options = STRICT.registration(CHALLENGE, uuid4(), "ada", [])
    with pytest.raises(BadPasskey):
        STRICT.register(device.make(options, **said), CHALLENGE)
    passkey = STRICT.register(device.make(options), CHALLENGE)
    with pytest.raises(PasskeyRefused):
        STRICT.assert_(device.sign(options, **said), CHALLENGE, passkey)


def test_a_passkey_that_is_shown_is_not_its_words_twice() -> None:
    device = Device()
    options = STRICT.registration(CHALLENGE, uuid4(), "ada", [])
    passkey = STRICT.register(device.make(options), CHALLENGE)
    response = device.sign(options)
    words = base64.urlsafe_b64decode(response["response"]["clientDataJSON"] + "==")
    twice = words.replace(b'"origin"', b'"origin": "https://evil.example", "origin"')
    response["response"]["clientDataJSON"] = b64(twice)
    with pytest.raises(PasskeyRefused):
        STRICT.assert_(response, CHALLENGE, passkey)


def test_a_vector_s_device_that_was_not_told_who_is_refused_by_default() -> None:
    if not VECTORS:
        pytest.skip("../shared/data is absent")
    flags = [bytes.fromhex(each["authentication"]["authenticatorData"])[32] for each in VECTORS]
    untold = next(each for each, flag in zip(VECTORS, flags, strict=True) if not flag & 4)
    response, challenge = signed(untold)
    with pytest.raises(PasskeyRefused):
        STRICT.assert_(response, challenge, passkey_of(untold))
