"""Own tokens: what was signed is read, and no forgery of it is."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from finora_adapters.auth.tokens import MOST, SignedTokens
from finora_core.identity.model import TokenInvalid

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
CLAIMS = {"sub": "0198c0de-0000-7000-8000-000000000001", "sid": "s-1", "version": 3}


@attrs.frozen
class Key:
    kid: str
    secret: bytes
    retires_at: datetime | None = None

    def derive(self, purpose: str) -> bytes:
        return hmac.digest(self.secret, purpose.encode(), "sha256")


@attrs.define
class Keys:
    listed: list[Key]

    def current(self) -> Key:
        return self.listed[-1]

    def find(self, kid: str) -> Key | None:
        return next((key for key in self.listed if key.kid == kid), None)


OLD, NEW = Key("k1", b"1" * 32), Key("k2", b"2" * 32)
TOKENS = SignedTokens(Keys([OLD, NEW]))


def sign(kind: str = "access", tokens: SignedTokens = TOKENS, minutes: int = 10) -> str:
    return tokens.sign(
        kind, CLAIMS, expires_at=NOW + timedelta(minutes=minutes), issued_at=NOW
    )  # fmt: skip


def b64(data: bytes | str | Mapping[str, Any]) -> str:
    if isinstance(data, Mapping):
        data = json.dumps(data, separators=(",", ":"))
    data = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# --- what is signed ------------------------------------------------------------------------------


def test_what_was_signed_is_read() -> None:
    read = TOKENS.read("access", sign(), NOW)
    assert read == {**CLAIMS, "iat": AT, "exp": AT + 600}
    assert jwt.decode(sign(), OctKey.import_key(NEW.derive("finora-access+jwt"))).claims == {
        **CLAIMS, "iat": AT, "exp": AT + 600, "iss": "finora", "aud": "finora",
    }  # fmt: skip


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=10).filter(
            lambda name: name not in ("iss", "aud", "iat", "exp", "nbf")
        ),
        st.text(max_size=20) | st.integers(-(2**63), 2**63),
        max_size=5,
    )
)
def test_whatever_is_signed_is_read_as_it_was(claims: dict[str, str | int]) -> None:
    until = NOW + timedelta(hours=1)
    text = TOKENS.sign("access", claims, expires_at=until, issued_at=NOW)
    assert TOKENS.read("access", text, NOW) == {**claims, "iat": AT, "exp": AT + 3600}
    shuffled = dict(reversed(claims.items()))
    assert TOKENS.sign("access", shuffled, expires_at=until, issued_at=NOW) == text


def test_the_same_is_signed_the_same_wherever_and_whenever() -> None:
    zone = timezone(timedelta(hours=5, minutes=45))
    until = NOW + timedelta(minutes=10)
    again = SignedTokens(Keys([OLD, NEW])).sign(
        "access", CLAIMS, expires_at=until.astimezone(zone), issued_at=NOW.astimezone(zone)
    )
    assert again == sign()
    # So that a change of it is seen.
    assert hashlib.sha256(sign().encode()).hexdigest()[:16] == "637b29940fbd060f"


def test_a_key_in_use_no_longer_is_still_known_until_it_retires() -> None:
    by_old = SignedTokens(Keys([OLD])).sign(
        "access", CLAIMS, expires_at=NOW + timedelta(days=9), issued_at=NOW
    )
    assert TOKENS.read("access", by_old, NOW)["sid"] == "s-1"
    retiring = SignedTokens(Keys([attrs.evolve(OLD, retires_at=NOW + timedelta(days=1)), NEW]))
    assert retiring.read("access", by_old, NOW)["sid"] == "s-1"
    with pytest.raises(TokenInvalid):
        retiring.read("access", by_old, NOW + timedelta(days=1))
    with pytest.raises(TokenInvalid):
        SignedTokens(Keys([NEW])).read("access", by_old, NOW)


def test_a_token_is_good_until_it_ends() -> None:
    text = sign()
    for off_s, fine in ((-60, True), (0, True), (599, True), (600, False), (-61, False)):
        at = NOW + timedelta(seconds=off_s)
        if fine:
            assert TOKENS.read("access", text, at)["exp"] == AT + 600
        else:
            with pytest.raises(TokenInvalid):
                TOKENS.read("access", text, at)


@pytest.mark.parametrize(
    ("kind", "claims"),
    [("", {}), ("Access", {}), ("a b", {}), ("access+jwt", {}), ("x" * 40, {}), ("access\n", {}),
     ("access", {"exp": 5}), ("access", {"iss": "me"}), ("access", {"aud": "me"}),
     ("access", {"nbf": 0}), ("access", {"iat": 0}), ("access", {"admin": True}),
     ("access", {"share": 0.5}), ("access", {"roles": ["a"]}), ("access", {"name": None}),
     ("access", {"name": "x" * 5000})],
)  # fmt: skip
def test_what_cannot_be_said_in_a_token_is_not_signed(kind: str, claims: Any) -> None:
    with pytest.raises(ValueError):  # a mistake of the caller's, whatever it says
        TOKENS.sign(kind, claims, expires_at=NOW, issued_at=NOW)


def test_an_instant_has_a_zone() -> None:
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(ValueError, match="zone"):
        TOKENS.sign("access", {}, expires_at=naive, issued_at=NOW)
    with pytest.raises(TokenInvalid):
        TOKENS.read("access", sign(), naive)


# --- what is forged ------------------------------------------------------------------------------

GOOD = sign()
HEAD, BODY, TAG = GOOD.split(".")
HEADER = {"alg": "HS256", "kid": "k2", "typ": "finora-access+jwt"}
SAID = dict(
    sorted({**CLAIMS, "aud": "finora", "exp": AT + 600, "iat": AT, "iss": "finora"}.items())
)
SECRET = NEW.derive("finora-access+jwt")
RSA, EC = RSAKey.generate_key(2048), ECKey.generate_key("P-256")
RSA_PEM = RSA.as_pem(private=False)
ATTACKER = OctKey.generate_key(256)
THEIRS = ATTACKER.raw_value


def raw(
    header: Any = None, body: Any = None, secret: bytes = SECRET, digest: str = "sha256"
) -> str:
    """Three parts, signed with HMAC; with our own key, unless another is given."""
    signed = f"{b64(HEADER if header is None else header)}.{b64(SAID if body is None else body)}"
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), digest))}"


def without(said: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in said.items() if key != name}


def asymmetric(header: Mapping[str, Any], key: Any) -> str:
    return jwt.encode({**HEADER, **header}, SAID, key, algorithms=[header["alg"]])


def unsigned(alg: object) -> str:
    return f"{b64(HEADER | {'alg': alg})}.{b64(SAID)}."


def last_bits(text: str) -> str:
    """Base64 that decodes to the same bytes, with the bits set that count for nothing."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) ^ 1]


FORGED: dict[str, str] = {}


def forge(name: str, text: str) -> None:
    assert name not in FORGED, name
    FORGED[name] = text


# No signature at all, or nobody's.
for each in ("none", "None", "NONE", "nOnE", " none", "none ", "", None, 0, [], {}, "null"):
    forge(f"alg {each!r}, no signature", unsigned(each))
    forge(f"alg {each!r}, our signature", f"{b64(HEADER | {'alg': each})}.{b64(SAID)}.{TAG}")
forge("no alg", raw(without(HEADER, "alg")))
forge("signature of zeros", f"{HEAD}.{BODY}.{b64(bytes(32))}")
forge("signature cut", f"{HEAD}.{BODY}.{TAG[:20]}")
forge("signature of half", f"{HEAD}.{BODY}.{b64(hmac.digest(SECRET, b'x', 'sha256')[:16])}")
forge("signature twice", f"{HEAD}.{BODY}.{TAG}{TAG}")
forge("empty signature", f"{HEAD}.{BODY}.")
forge("signature of another", f"{HEAD}.{BODY}.{sign('refresh').split('.')[2]}")

# Another algorithm, or another's key.
for each in ("HS384", "HS512"):
    forge(f"{each} with our key", raw(HEADER | {"alg": each}, digest=f"sha{each[2:]}"))
for each in ("RS256", "PS256", "RS512"):
    forge(f"{each} by an attacker", asymmetric({"alg": each}, RSA))
    forge(f"{each} named, HMAC made", raw(HEADER | {"alg": each}))
forge("ES256 by an attacker", asymmetric({"alg": "ES256"}, EC))
forge("HS256 with a public key", raw(secret=RSA_PEM))
forge("HS256 with an empty key", raw(secret=b""))
forge("HS256 with another's key", raw(secret=b"x" * 32))
forge("HS256 with the key that is not derived", raw(secret=NEW.secret))
forge("HS256 with the kid", raw(secret=b"k2"))
forge("HS256 with the old key", raw(secret=OLD.derive("finora-access+jwt")))
for each in ("hs256", "HS256 ", "HS-256", "A128KW", "dir", "EdDSA", ["HS256"], {"a": 1}, 256, True):
    forge(f"alg {each!r}", raw(HEADER | {"alg": each}))

# Key ids that lead elsewhere.
for each in (
    "k1", "k3", "", "K2", "k2 ", " k2", "k2\0", "k2\n", "../../dev/null", "/dev/null",
    "../../../proc/sys/kernel/randomize_va_space", "k2' or '1'='1", "k1' union select 'secret' --",
    "k2; drop table tenant", "https://evil.example/key", "file:///etc/passwd", "k2|/bin/true",
    "$(id)", "%00", "k2%00", "x" * 1000, "ｋ２",
):  # fmt: skip
    forge(f"kid {each[:60]!r}", raw(HEADER | {"kid": each}, secret=THEIRS))
    forge(f"kid {each[:60]!r}, empty key", raw(HEADER | {"kid": each}, secret=b""))
for each in (None, 0, 2, True, ["k2"], {"k2": 1}):
    forge(f"kid {each!r}", raw(HEADER | {"kid": each}))
forge("no kid", raw(without(HEADER, "kid")))

# Headers that bring their own key, or ask for what we do not do. Signed with our key: not even so.
BROUGHT = {
    "jku": "https://evil.example/jwks.json", "x5u": "https://evil.example/x.pem",
    "jwk": ATTACKER.as_dict(private=True), "x5c": ["MIIB"], "x5t": "AAAA", "x5t#S256": "AAAA",
    "cty": "JWT", "zip": "DEF", "enc": "A128GCM", "b64": False, "crit": ["b64"], "p2c": 10**9,
    "epk": {}, "iss": "finora", "exp": AT + 600, "admin": True, "": "",
}  # fmt: skip
for name, value in BROUGHT.items():
    forge(f"header {name!r}", raw(HEADER | {name: value}))
    forge(f"header {name!r}, attacker's key", raw(HEADER | {name: value}, secret=THEIRS))
forge("crit and b64", raw(HEADER | {"crit": ["b64"], "b64": True}))
forge("crit empty", raw(HEADER | {"crit": []}))

# Another kind, another issuer, another audience, another time. All signed with our key.
for each in ("refresh", "id", "other"):
    forge(f"{each} as access", sign(each))
    forge(f"typ of {each}", raw(HEADER | {"typ": f"finora-{each}+jwt"}))
for each in ("JWT", "at+jwt", "finora-ACCESS+jwt", "finora-access+jwt ", "", None, ["x"]):
    forge(f"typ {each!r}", raw(HEADER | {"typ": each}))
forge("no typ", raw(without(HEADER, "typ")))
for name in ("iss", "aud", "iat", "exp"):
    forge(f"no {name}", raw(body=without(SAID, name)))
for each in ("Finora", "finora ", "https://finora", "", None, ["finora"], 1):
    forge(f"iss {each!r}", raw(body=SAID | {"iss": each}))
    forge(f"aud {each!r}", raw(body=SAID | {"aud": each}))
forge("aud of two", raw(body=SAID | {"aud": ["finora", "other"]}))
for each in (
    AT,
    AT - 1,
    AT - 10**6,
    0,
    -1,
    None,
    str(AT + 600),
    True,
    [AT + 600],
    AT + 600.5,
    -(10**30),
):
    forge(f"exp {each!r}", raw(body=SAID | {"exp": each}))
for each in (AT + 61, AT + 10**6, 10**30, None, str(AT), True, False, [AT]):
    forge(f"iat {each!r}", raw(body=SAID | {"iat": each}))
for each in (AT + 1, AT + 10**6, None, "0", True, 10**30):
    forge(f"nbf {each!r}", raw(body=SAID | {"nbf": each}))
for each in (True, None, 1.5, ["admin"], {"a": 1}):
    forge(f"a claim {each!r}", raw(body=SAID | {"role": each}))

# JSON that is read in two ways. Signed with our key.
WHOLE = json.dumps(SAID, separators=(",", ":"))
HEADER_TEXT = json.dumps(HEADER, separators=(",", ":"))
for name, text in {
    "sub twice": WHOLE[:-1] + ',"sub":"another"}', "exp twice": WHOLE[:-1] + f',"exp":{10**11}}}',
    "a list": "[1]", "a text": '"x"', "a number": "1", "null": "null", "empty": "",
    "two": WHOLE * 2, "NaN": WHOLE[:-1] + ',"x":NaN}', "Infinity": WHOLE[:-1] + ',"x":Infinity}',
    "single quotes": WHOLE.replace('"', "'"), "a comma": WHOLE[:-1] + ",}", "cut": WHOLE[:-5],
    "deep": "[" * 1200, "a mark in front": "\ufeff" + WHOLE,
}.items():  # fmt: skip
    forge(f"claims: {name}", raw(body=text))
forge("claims: not UTF-8", raw(body=WHOLE.encode().replace(b"s-1", b"\xff\xfe")))
forge("claims: UTF-16", raw(body=WHOLE.encode("utf-16")))
for name, text in {
    "alg twice": HEADER_TEXT[:-1] + ',"alg":"none"}', "kid twice": '{"kid":"k1",' + HEADER_TEXT[1:],
    "spaces": json.dumps(HEADER), "a line break": HEADER_TEXT + "\n", "a list": "[]", "empty": "{}",
    "another order": json.dumps(dict(reversed(HEADER.items())), separators=(",", ":")),
    "escapes": HEADER_TEXT.replace("k2", "\\u006b2"), "a mark in front": "\ufeff" + HEADER_TEXT,
}.items():  # fmt: skip
    forge(f"header: {name}", raw(text))

# Texts that decode to what is good and are not it.
for name, text in {
    "padded": f"{HEAD}.{BODY}.{TAG}=", "header padded": f"{HEAD}=.{BODY}.{TAG}",
    "claims padded": f"{HEAD}.{BODY}==.{TAG}", "last bits": f"{HEAD}.{BODY}.{last_bits(TAG)}",
    "space before": " " + GOOD, "space after": GOOD + " ", "line break": GOOD + "\n",
    "carriage return": GOOD + "\r\n", "tab": "\t" + GOOD, "nul": GOOD + "\0",
    "space within": f"{HEAD}. {BODY}.{TAG}", "break within": f"{HEAD}.{BODY[:9]}\n{BODY[9:]}.{TAG}",
    "standard alphabet": GOOD.replace("-", "+").replace("_", "/") + "+", "four parts": GOOD + ".AA",
    "five parts": GOOD + ".AA.AA", "two parts": f"{HEAD}.{BODY}", "one part": HEAD, "nothing": "",
    "dots": "..", "empty header": f".{BODY}.{TAG}", "empty claims": f"{HEAD}..{TAG}",
    "detached": f"{HEAD}..{TAG}.{BODY}", "leading dot": "." + GOOD,
    "percent": GOOD.replace(".", "%2E"),
    "bearer": "Bearer " + GOOD, "quotes": f'"{GOOD}"', "upper case": GOOD.upper(),
    "another script": GOOD.replace("e", "е", 1), "zero width": GOOD + "\u200b",
    "surrogate": GOOD + "\ud800",
    "JSON serialisation": json.dumps({"protected": HEAD, "payload": BODY, "signature": TAG}),
    "header of one, claims of another": f"{HEAD}.{sign(minutes=99).split('.')[1]}.{TAG}",
    "reversed": ".".join(reversed(GOOD.split("."))), "a token of an API": "fin_" + "A" * 88,
}.items():  # fmt: skip
    forge(f"text: {name}", text)

# Large.
forge("100 KB of claims", raw(body=SAID | {"x": "a" * 100_000}))
forge("100 KB of header", raw(HEADER | {"x": "a" * 100_000}))
forge("100 KB of signature", f"{HEAD}.{BODY}.{'A' * 100_000}")
forge("100 KB of dots", "." * 100_000)
forge("100 KB of zeros", "0" * 100_000)
forge("100 KB of braces", raw(body="{" * 100_000))
forge("one character too many", raw(body=SAID | {"x": "a" * MOST}))


def test_the_corpus_is_of_what_is_not_good() -> None:
    assert len(FORGED) >= 120
    assert len(set(FORGED.values())) >= len(FORGED) - 5
    assert GOOD not in FORGED.values()
    # What the forgeries are made of is good: each differs in what its name says and no more.
    assert raw() == GOOD
    assert TOKENS.read("access", raw(), NOW)["sid"] == "s-1"
    assert TOKENS.read("access", raw(body=SAID | {"nbf": AT}), NOW)["nbf"] == AT


@pytest.mark.invariant("T-11")
@pytest.mark.parametrize("text", FORGED.values(), ids=[name[:70] for name in FORGED])
def test_a_forgery_is_refused(text: str) -> None:
    with pytest.raises(TokenInvalid) as caught:
        TOKENS.read("access", text, NOW)
    assert caught.value.code == "TOKEN_INVALID"
    # The refusal says no more than that.
    assert caught.value.message == "this is not a token, or its time has run out"


@pytest.mark.invariant("T-11")
def test_no_character_of_a_token_can_be_changed() -> None:
    for place, character in enumerate(GOOD):
        for other in ("A", "b", "-", "_", "=", "."):
            if other != character:
                with pytest.raises(TokenInvalid):
                    TOKENS.read("access", GOOD[:place] + other + GOOD[place + 1 :], NOW)


@pytest.mark.invariant("T-11")
@given(st.text(max_size=300) | st.from_regex(r"[A-Za-z0-9_-]{1,80}(\.[A-Za-z0-9_-]{1,80}){2}"))
def test_no_text_is_a_token(text: str) -> None:
    with pytest.raises(TokenInvalid):
        TOKENS.read("access", text, NOW)


@pytest.mark.invariant("T-11")
@pytest.mark.parametrize("given_as", ["access", "refresh", "link", "a"])
@pytest.mark.parametrize("made_as", ["access", "refresh", "link", "a"])
def test_a_token_is_of_one_kind(made_as: str, given_as: str) -> None:
    text = sign(made_as)
    read: Callable[[], Mapping[str, str | int]] = lambda: TOKENS.read(given_as, text, NOW)  # noqa: E731
    if made_as == given_as:
        assert read()["sid"] == "s-1"
    else:
        with pytest.raises(TokenInvalid):
            read()
