"""One-time codes: the vectors of the standards, the window, and no code twice."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyotp import HOTP

from finora_adapters.auth.codes import TotpCodes
from shared_data import SHARED, needs_shared

FILE = SHARED / "identity/otp.json"
VECTORS: dict[str, Any] = json.loads(FILE.read_text()) if FILE.is_file() else {}
CODES = TotpCodes()
SECRET = b"12345678901234567890"
NOW = datetime(2026, 11, 21, 12, 0, 10, tzinfo=UTC)
STEP = int(NOW.timestamp()) // 30


def code_of(step: int, secret: bytes = SECRET) -> str:
    return HOTP(base64.b32encode(secret).decode()).at(step)


@needs_shared
@pytest.mark.parametrize("at", VECTORS.get("totp_sha1", {}).get("by_time", {}))
def test_vectors_of_rfc_6238(at: str) -> None:
    vector = VECTORS["totp_sha1"]
    moment = datetime.fromtimestamp(int(at), UTC)
    # Theirs have eight digits, of which the last six are what six would be.
    code = vector["by_time"][at][-6:]
    assert CODES.step(vector["secret_ascii"].encode(), code, moment, None) == int(at) // 30
    assert CODES.step(b"another secret of 20", code, moment, None) is None


@needs_shared
def test_vectors_of_rfc_4226() -> None:
    vector = VECTORS["hotp"]
    for counter, code in enumerate(vector["by_counter"]):
        moment = datetime.fromtimestamp(counter * 30, UTC)
        assert CODES.step(vector["secret_ascii"].encode(), code, moment, None) == counter


def test_a_code_is_good_one_step_early_and_late() -> None:
    for off in (-1, 0, 1):
        assert CODES.step(SECRET, code_of(STEP + off), NOW, None) == STEP + off
    for off in (-2, 2, -100, 100):
        assert CODES.step(SECRET, code_of(STEP + off), NOW, None) is None


@pytest.mark.invariant("I-43")
def test_a_code_is_used_once_and_none_before_it() -> None:
    codes = {off: code_of(STEP + off) for off in (-1, 0, 1)}
    assert CODES.step(SECRET, codes[0], NOW, STEP) is None
    assert CODES.step(SECRET, codes[-1], NOW, STEP) is None
    assert CODES.step(SECRET, codes[1], NOW, STEP) == STEP + 1
    assert CODES.step(SECRET, codes[1], NOW + timedelta(seconds=30), STEP + 1) is None


@pytest.mark.invariant("I-43")
@given(
    secret=st.binary(min_size=20, max_size=20),
    start=st.integers(0, 2_000_000_000),
    offs=st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 60)), max_size=12),
)
def test_whatever_is_tried_the_steps_that_match_only_rise(
    secret: bytes, start: int, offs: list[tuple[int, int]]
) -> None:
    after, now_s = None, start
    for off, seconds in offs:
        now_s += seconds
        code = code_of(max(0, now_s // 30 + off), secret)
        found = CODES.step(secret, code, datetime.fromtimestamp(now_s, UTC), after)
        if found is not None:
            assert after is None or found > after
            assert abs(found - now_s // 30) <= 1
            assert code_of(found, secret) == code
            after = found


@pytest.mark.parametrize(
    "code",
    ["", "12345", "1234567", "abcdef", " 12345", "+12345", "１２３４５６", "٠١٢٣٤٥", "1" * 10_000,
     "12\n345", "-12345", "0x1234"],
)  # fmt: skip
def test_what_is_no_code_is_wrong(code: str) -> None:
    assert CODES.step(SECRET, code, NOW, None) is None


def test_digits_of_another_script_are_not_taken_for_ours() -> None:
    wide = code_of(STEP).translate({ord("0") + n: ord("０") + n for n in range(10)})
    assert CODES.step(SECRET, wide, NOW, None) is None


def test_the_first_step_of_all_has_none_before_it() -> None:
    first = datetime.fromtimestamp(0, UTC)
    assert CODES.step(SECRET, code_of(0), first, None) == 0
    assert CODES.step(SECRET, code_of(0), first - timedelta(seconds=1000), None) is None


def test_a_secret_is_new_each_time_and_in_the_address() -> None:
    secrets = {CODES.new_secret() for _ in range(50)}
    assert len(secrets) == 50
    assert {len(secret) for secret in secrets} == {20}
    secret = secrets.pop()
    parts = urlsplit(CODES.uri(secret, "ada@example.com", "Finora & Söhne"))
    asked = parse_qs(parts.query)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert unquote(parts.path) == "/Finora & Söhne:ada@example.com"
    assert asked["issuer"] == ["Finora & Söhne"]
    assert base64.b32decode(asked["secret"][0]) == secret
    now_code = code_of(STEP, base64.b32decode(asked["secret"][0]))
    assert CODES.step(secret, now_code, NOW, None) is not None
