"""Signed texts by the vectors of others, and what an issuer may publish as its keys."""

import json
from typing import Any

import pytest
from joserfc.jwk import ECKey, JWKRegistry, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry, deserialize_compact

from finora_adapters.auth.jose import compact, object_of, packed, unpacked
from finora_adapters.auth.published import public_key
from shared_data import SHARED, needs_shared

FOLDER = SHARED / "identity/jose"
SIGNED = sorted(FOLDER.glob("jws-*.json"))
MACS: list[dict[str, Any]] = [
    {"bits": group["tagSize"], **test}
    for path in sorted((SHARED / "identity").glob("wycheproof-hmac_sha256.json"))
    for group in json.loads(path.read_text())["testGroups"]
    for test in group["tests"]
]


@needs_shared
@pytest.mark.parametrize("path", SIGNED, ids=lambda path: path.stem)
def test_signatures_of_rfc_7520(path: Any) -> None:
    vector = json.loads(path.read_text())
    text, algorithm = vector["output"]["compact"], vector["input"]["alg"]
    key = JWKRegistry.import_key(vector["input"]["key"])
    found = deserialize_compact(text, key, algorithms=[algorithm])
    assert found.payload.decode() == vector["input"]["payload"]
    parts = compact(text, 10_000)
    assert parts.header == vector["signing"]["protected"]
    assert parts.payload == found.payload
    assert packed(parts.signature) == vector["signing"]["sig"]
    model = JWSRegistry.algorithms[algorithm]
    assert model.verify(parts.signed, parts.signature, key)
    for place in range(0, len(parts.signature), 7):
        changed = bytearray(parts.signature)
        changed[place] ^= 1
        assert not model.verify(parts.signed, bytes(changed), key)
    assert not model.verify(parts.signed + b"x", parts.signature, key)


@needs_shared
def test_keys_of_rfc_7520() -> None:
    curve = json.loads((FOLDER / "jwk-3_1.ec_public_key.json").read_text())
    assert JWKRegistry.import_key(curve).as_dict(private=False) == curve
    # Of those, none is of a kind that an issuer's signatures are taken by.
    found = public_key(curve)
    assert found is not None
    assert not any(found.fits(each) for each in ("RS256", "PS256", "ES256", "EdDSA"))
    secret = json.loads((FOLDER / "jwk-3_5.symmetric_key_mac_computation.json").read_text())
    assert OctKey.import_key(secret).as_dict()["k"] == secret["k"]
    assert public_key(secret) is None


@needs_shared
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_hmac_by_the_wycheproof_vectors() -> None:
    assert len(MACS) > 150
    model = JWSRegistry.algorithms["HS256"]
    for case in MACS:
        key = OctKey.import_key(bytes.fromhex(case["key"]))
        tag = bytes.fromhex(case["tag"])
        # A whole tag only: half of one is valid there, and is none here.
        fine = case["result"] == "valid" and case["bits"] == 256
        assert model.verify(bytes.fromhex(case["msg"]), tag, key) is fine, case["tcId"]


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b", "a.b.c", "e30.e30.", "e30=.e30.AA", "e30.e30.AB", "e30 .e30.AA",
             "e30.e30.AA\n", "e30.e30.AA.AA", "bnVsbA.e30.AA", "W10.e30.AA", "e31.e30.AA",
             "eyJhIjoxLCJhIjoyfQ.e30.AA"],
)  # fmt: skip
def test_a_text_is_read_in_one_way(text: str) -> None:
    with pytest.raises(ValueError):  # of whatever kind
        compact(text, 100)
    assert compact("e30.e30.AA", 100).signature == b"\0"
    with pytest.raises(ValueError, match="too long"):
        compact("e30.e30.AA", 9)


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"[]", b"1", b'{"a":NaN}', b"[" * 100_000, b'{"a":{"b":1,"b":2}}',
             b'{"a":1}x', b"\xef\xbb\xbf{}"],
)  # fmt: skip
def test_an_object_is_read_in_one_way(data: bytes) -> None:
    with pytest.raises(ValueError):  # of whatever kind
        object_of(data)


@pytest.mark.parametrize("text", ["A", "AB", "AAB", "AA==", "A A", "AA+", "AA/", "ÄÄ", "AAA\n"])
def test_base64_is_read_in_one_way(text: str) -> None:
    with pytest.raises(ValueError):  # of whatever kind
        unpacked(text)


RSA = RSAKey.generate_key(2048).as_dict(private=False)
EC = ECKey.generate_key("P-256").as_dict(private=False)
OKP = OKPKey.generate_key("Ed25519").as_dict(private=False)


@pytest.mark.parametrize(
    ("said", "algorithms"),
    [(RSA, {"RS256", "PS256"}), (RSA | {"alg": "PS256"}, {"PS256"}),
     (RSA | {"alg": "HS256"}, set()),
     (RSA | {"use": "sig", "key_ops": ["verify"], "x5c": ["junk"], "x5t": 5}, {"RS256", "PS256"}),
     (EC, {"ES256"}), (EC | {"alg": "ES256"}, {"ES256"}), (EC | {"alg": "none"}, set()),
     (OKP, {"EdDSA"}), (OKPKey.generate_key("X25519").as_dict(private=False), set()),
     (ECKey.generate_key("P-384").as_dict(private=False), set())],
    ids=lambda each: "" if isinstance(each, set) else f"{each['kty']} {each.get('alg')}",
)  # fmt: skip
def test_a_key_is_for_what_its_kind_can_do(said: dict[str, Any], algorithms: set[str]) -> None:
    found = public_key(said)
    assert found is not None
    fits = {each for each in ("RS256", "PS256", "ES256", "EdDSA") if found.fits(each)}
    assert fits == algorithms


NO_KEYS: dict[str, Any] = {
    "nothing": None,
    "a text": "RSA",
    "empty": {},
    "a list": [],
    "a kind that is a list": {"kty": []},
    "a secret": {"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAA"},
    "for encryption": RSA | {"use": "enc"},
    "to encrypt": RSA | {"key_ops": ["encrypt"]},
    "operations that are none": RSA | {"key_ops": 5},
    "private": RSAKey.generate_key(2048).as_dict(private=True),
    "no modulus": {"kty": "RSA", "e": "AQAB"},
    "a short modulus": RSA | {"n": "AQAB"},
    "a number": RSA | {"n": 5},
    "a kind unheard of": {"kty": "AKP"},
    "a point off the curve": EC | {"y": EC["x"]},
    "no curve": {"kty": "EC", "x": EC["x"], "y": EC["y"]},
    "another curve": EC | {"crv": "secp256k1x"},
    "half a point": {"kty": "EC", "crv": "P-256", "x": EC["x"]},
    "a short point": OKP | {"x": "AAAA"},
    "1024 bits": RSA | {"n": packed(b"\xff" * 128)},
    "512 bits": RSA | {"n": packed(b"\xff" * 64)},
    "16384 bits": RSA | {"n": packed(b"\xff" * 2048)},
}


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("said", NO_KEYS.values(), ids=NO_KEYS.keys())
def test_what_is_no_key_for_signatures_is_left_out(said: Any) -> None:
    assert public_key(said) is None
