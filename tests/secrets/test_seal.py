"""Sealing: what is sealed opens in its place, under its key, unchanged, and in no other way; and
texts that show themselves to nobody."""

import copy
import json
import logging
import pickle
import pprint
import subprocess
import sys
from datetime import UTC, datetime
from uuid import UUID

import attrs
import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from finora import Settings
from finora_adapters import log as logs
from finora_adapters.crypto.cipher import AesGcm
from finora_adapters.crypto.ring import SecretKeys, secret_keys
from finora_adapters.settings import secret_keys_of
from finora_core.kernel.plain import to_plain
from finora_core.secrets.model import (
    DataKey,
    NotGenuine,
    Sealed,
    SealedField,
    SecretKeyMissing,
    SecretKeyWrong,
    SecretText,
    SigningKey,
    Wrapped,
    bound,
    derive,
    place_of_data_key,
)
from finora_core.secrets.vault import OpenKey, Vault
from own_data import key

CIPHER = AesGcm()
RING = SecretKeys(CIPHER, lambda: secret_keys_of(f"{key(2)},{key(1)}"))
VAULT = Vault(CIPHER, RING)

uuids = st.uuids(version=4)
names = st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@st.composite
def placed(draw: st.DrawFn) -> tuple[UUID, SealedField]:
    field = SealedField(
        secret_id=draw(uuids),
        user_id=draw(uuids),
        institution=draw(names),
        version=draw(st.integers(1, 9)),
        name=draw(names),
        data_key_id=draw(uuids),
        sealed=Sealed(b"", b""),
    )
    return draw(uuids), field


def data_key(tenant_id: UUID, key_id: UUID, plain: bytes) -> DataKey:
    wrapped = RING.wrap(plain, place_of_data_key(tenant_id, key_id))
    return DataKey(id=key_id, wrapped=wrapped, created_at=datetime(2026, 1, 1, tzinfo=UTC))


def sealed(tenant_id: UUID, field: SealedField, plain: bytes, text: str) -> SealedField:
    content = CIPHER.seal(plain, text.encode(), field.place(tenant_id))
    return attrs.evolve(field, sealed=content)


# --- the place -----------------------------------------------------------------------------------


@pytest.mark.spec("S0-11", partial=True)
@pytest.mark.invariant("I-47")
@given(placed(), texts)
def test_it_opens_where_it_was_sealed(place: tuple[UUID, SealedField], text: str) -> None:
    tenant_id, field = place
    plain = bytes(range(32))
    row = sealed(tenant_id, field, plain, text)
    found = VAULT.open(tenant_id, row, data_key(tenant_id, field.data_key_id, plain))
    assert found.reveal() == text
    assert text.encode() not in row.sealed.content or len(text.encode()) < 3


@pytest.mark.invariant("I-47")
@given(placed(), placed(), st.data())
def test_any_one_thing_of_another_row_closes_it(
    one: tuple[UUID, SealedField], two: tuple[UUID, SealedField], data: st.DataObject
) -> None:
    """Tenant, row, version, field, person, institution: each alone, and all together."""
    plain = bytes(range(32))
    tenant_id, field = one
    row = sealed(tenant_id, field, plain, "of one")
    ours = data_key(tenant_id, field.data_key_id, plain)
    for name in ("secret_id", "version", "name", "user_id", "institution"):
        theirs = getattr(two[1], name)
        if theirs != getattr(field, name):
            with pytest.raises(NotGenuine):
                VAULT.open(tenant_id, attrs.evolve(row, **{name: theirs}), ours)
    if two[0] != tenant_id:
        # Its data key is bound to the tenant; and so is it, were the key the same.
        with pytest.raises(SecretKeyWrong):
            VAULT.open(two[0], row, ours)
        with pytest.raises(NotGenuine):
            VAULT.open(two[0], row, data_key(two[0], field.data_key_id, plain))
    with pytest.raises(SecretKeyWrong):
        VAULT.open(tenant_id, row, attrs.evolve(ours, id=data.draw(uuids)))


@pytest.mark.invariant("I-47")
@given(st.binary(min_size=1, max_size=40), st.data())
def test_any_bit_that_is_not_as_it_was_closes_it(text: bytes, data: st.DataObject) -> None:
    plain, place = bytes(range(32)), bound("here")
    row = CIPHER.seal(plain, text, place)
    assert CIPHER.open(plain, row, place) == text

    def flipped(value: bytes) -> bytes:
        at = data.draw(st.integers(0, len(value) * 8 - 1))
        return bytes(b ^ (1 << at % 8 if n == at // 8 else 0) for n, b in enumerate(value))

    for changed in (
        (flipped(plain), row, place),
        (plain, Sealed(flipped(row.nonce), row.content), place),
        (plain, Sealed(row.nonce, flipped(row.content)), place),
        (plain, row, flipped(place)),
    ):
        with pytest.raises(NotGenuine):
            CIPHER.open(*changed)


@pytest.mark.invariant("I-47")
@given(st.binary(max_size=40), st.integers(0, 60))
def test_what_is_cut_or_lengthened_is_refused(more: bytes, cut: int) -> None:
    plain = bytes(range(32))
    row = CIPHER.seal(plain, b"text", b"here")
    whole = row.nonce + row.content
    for changed in {whole[:cut], whole + more + b"x"} - {whole}:
        with pytest.raises(NotGenuine):
            CIPHER.open(plain, Sealed(changed[:12], changed[12:]), b"here")


@given(st.lists(st.text(max_size=5), max_size=5), st.lists(st.text(max_size=5), max_size=5))
def test_two_places_are_never_one(one: list[str], two: list[str]) -> None:
    assert (bound(*one) == bound(*two)) == (one == two)


@pytest.mark.invariant("I-47")
def test_no_nonce_comes_twice() -> None:
    nonces = {CIPHER.seal(bytes(32), b"x", b"").nonce for _ in range(20_000)}
    assert len(nonces) == 20_000
    assert {len(nonce) for nonce in nonces} == {12}


# --- keys of keys --------------------------------------------------------------------------------


def test_keys_are_derived_as_the_standard_says() -> None:
    secret = bytes(range(32))
    for purpose in ("wrapping", "access tokens", ""):
        wanted = HKDF(SHA256(), 32, salt=None, info=f"finora {purpose}".encode()).derive(secret)
        assert derive(secret, purpose) == wanted
    made = SigningKey(kid="k", secret=secret, created_at=datetime.now(UTC), retires_at=None)
    assert len({made.derive(f"p{n}") for n in range(100)} | {secret}) == 101
    assert secret.hex() not in repr(made) and str(secret) not in repr(made)


@pytest.mark.invariant("I-47")
def test_a_wrapped_key_opens_by_its_version_alone() -> None:
    two, one = key(2), key(1)
    ring = SecretKeys(CIPHER, lambda: secret_keys_of(f"{two},{one}"))
    assert (ring.newest, list(ring.versions)) == (2, [2, 1])
    wrapped = ring.wrap(b"k" * 32, b"here")
    assert wrapped.version == 2
    assert ring.unwrap(wrapped, b"here") == b"k" * 32
    with pytest.raises(SecretKeyWrong, match="key 2"):
        ring.unwrap(wrapped, b"there")
    with pytest.raises(SecretKeyWrong, match="key 1"):
        ring.unwrap(Wrapped(1, wrapped.content), b"here")
    with pytest.raises(SecretKeyMissing, match="no key 3"):
        ring.unwrap(Wrapped(3, wrapped.content), b"here")
    old = SecretKeys(CIPHER, lambda: secret_keys_of(one))
    with pytest.raises(SecretKeyMissing, match="no key 2"):
        old.unwrap(wrapped, b"here")
    assert old.check(1) == ring.check(1) != ring.check(2)
    for text in (two, one):
        assert text[2:] not in repr(ring)


def test_keys_of_the_settings_are_read_and_those_alone(tmp_path: object) -> None:
    given_ = key(7)
    ring = secret_keys(Settings(data=tmp_path, secret_keys=SecretStr(given_)), CIPHER)
    assert list(ring.versions) == [7]
    assert ring.check(7) == derive(bytes.fromhex(given_[2:]), "check")


# --- texts that do not show themselves -----------------------------------------------------------

HIDDEN = "hunter2-and-more"


@pytest.mark.spec("S0-10", partial=True)
@pytest.mark.invariant("I-48")
def test_a_secret_text_is_shown_to_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    secret = SecretText(HIDDEN)
    nested = {"a": [secret], "b": (secret,)}
    shown = [
        repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", f"{secret:>40}",
        "%s" % (secret,),  # noqa: UP031
        pprint.pformat(nested), repr(nested), ascii(secret), repr([secret]),
        json.dumps(nested, default=str), json.dumps(nested, default=repr), str(dir(secret)),
    ]  # fmt: skip
    print(secret, nested)
    assert not [text for text in [*shown, capsys.readouterr().out] if "hunter2" in text]
    assert not hasattr(secret, "__dict__")
    for refused in (
        lambda: json.dumps(nested),
        lambda: json.dumps(secret, default=vars),
        lambda: pickle.dumps(nested),
        lambda: to_plain(nested),
        secret.__getstate__,
        lambda: copy.copy(secret).__reduce__(),
        lambda: hash(secret),
        lambda: attrs.asdict(secret),
        lambda: bytes(secret),
        lambda: str.join("", [secret]),
    ):
        with pytest.raises((TypeError, attrs.exceptions.NotAnAttrsClassError)) as caught:
            refused()
        assert "hunter2" not in str(caught.value)
    with pytest.raises(AttributeError):
        secret.text = "x"
    assert secret.reveal() == HIDDEN == copy.deepcopy(nested)["a"][0].reveal()
    assert secret == SecretText(HIDDEN) != SecretText("x")
    assert secret != HIDDEN


@pytest.mark.spec("S0-10", partial=True)
@pytest.mark.invariant("I-48")
def test_a_secret_text_is_logged_by_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    before, level = logging.getLogger().handlers, logging.getLogger().level
    try:
        logs.set_up("debug")
        secret = SecretText(HIDDEN)
        log = logging.getLogger("finora.test")
        log.error("failed with %s", secret, extra={"value": secret, "fields": {"a": secret}})
        try:
            raise ValueError(secret)
        except ValueError:
            log.exception("again %r", secret)
        said = capsys.readouterr().err
    finally:
        logging.getLogger().handlers = before
        logging.getLogger().setLevel(level)
    assert said.count("[secret]") >= 4
    assert "hunter2" not in said


def test_an_open_key_is_not_shown() -> None:
    shown = repr(OpenKey(UUID(int=1), b"0123456789")) + repr(Wrapped(1, b"0123456789"))
    assert "0123" not in shown


def test_without_the_library_everything_but_sealing_works() -> None:
    """It is asked for when something is sealed or opened, and the refusal says what to install."""
    program = """
import sys
sys.modules["cryptography"] = None
import finora_adapters.compose
from finora_adapters.crypto.cipher import AesGcm, CryptographyMissing
from finora_core.secrets.model import Sealed
for act in (lambda: AesGcm().seal(bytes(32), b"x", b""),
            lambda: AesGcm().open(bytes(32), Sealed(bytes(12), bytes(17)), b"")):
    try:
        act()
    except CryptographyMissing as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.count("install finora[auth]") == 2
