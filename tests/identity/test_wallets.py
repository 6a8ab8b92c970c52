"""Wallets: addresses by EIP-55, messages by EIP-4361, and signatures that cannot be bent."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from coincurve import PrivateKey
from Crypto.Hash import keccak
from hypothesis import given
from hypothesis import strategies as st

from finora_adapters.auth.wallets import EthereumWallets, Message
from finora_core.identity.verifiers import BadWalletAddress, BadWalletMessage, Wallet, WalletRefused
from shared_data import SHARED, needs_shared


def vectors(name: str) -> dict[str, Any]:
    file = SHARED / "identity" / name
    return json.loads(file.read_text()) if file.is_file() else {}


EIP55 = vectors("eip55.json")
POSITIVE = vectors("siwe/parsing_positive.json")
NEGATIVE = vectors("siwe/parsing_negative.json")
VERIFIED = vectors("siwe/verification_positive.json")
WALLETS = EthereumWallets()
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEY = PrivateKey(b"\x07" * 32)

NAMES = {
    "chainId": "chain_id", "issuedAt": "issued_at", "expirationTime": "expires_at",
    "notBefore": "not_before", "requestId": "request_id",
}  # fmt: skip


def digest_of(data: bytes) -> bytes:
    return keccak.new(data=data, digest_bits=256).digest()


ADDRESS = WALLETS.checksum("0x" + digest_of(KEY.public_key.format(False)[1:])[-20:].hex())


def signature_of(text: str, key: PrivateKey = KEY) -> str:
    data = text.encode()
    prefixed = b"\x19Ethereum Signed Message:\n" + str(len(data)).encode() + data
    made = key.sign_recoverable(digest_of(prefixed), hasher=None)
    return "0x" + (made[:64] + bytes([made[64] + 27])).hex()


def text_of(**changed: Any) -> str:
    fields: dict[str, Any] = {
        "domain": "finora.example", "address": ADDRESS, "uri": "https://finora.example/login",
        "chain_id": 1, "nonce": "abcdefgh12345678", "issued_at": NOW,
    }  # fmt: skip
    return WALLETS.message(**fields | changed)


# --- addresses -----------------------------------------------------------------------------------


@needs_shared
@pytest.mark.spec("S1-2", partial=True)
@pytest.mark.parametrize("address", EIP55.get("valid", []))
def test_addresses_of_the_standard(address: str) -> None:
    assert WALLETS.checksum(address) == address
    for one_case in ("0x" + address[2:].lower(), "0x" + address[2:].upper()):
        assert WALLETS.checksum(one_case) == address


@needs_shared
@pytest.mark.spec("S1-2", partial=True)
@pytest.mark.parametrize("address", EIP55.get("invalid", []))
def test_an_address_in_the_wrong_case_is_refused(address: str) -> None:
    with pytest.raises(BadWalletAddress, match="mistyped") as caught:
        WALLETS.checksum(address)
    assert caught.value.code == "BAD_WALLET_ADDRESS"
    assert WALLETS.checksum(address.lower()) != address


@pytest.mark.parametrize(
    "address",
    ["", "0x", ADDRESS[2:], ADDRESS[:-1], ADDRESS + "0", ADDRESS + "\n", " " + ADDRESS,
     "0X" + ADDRESS[2:], "0x" + "g" * 40, "0x" + "１" * 40, "vitalik.eth", ADDRESS.swapcase()],
)  # fmt: skip
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(BadWalletAddress):
        WALLETS.checksum(address)


@given(st.binary(min_size=20, max_size=20))
def test_a_checksum_is_its_own(data: bytes) -> None:
    made = WALLETS.checksum("0x" + data.hex())
    assert WALLETS.checksum(made) == made
    assert made.lower() == "0x" + data.hex()


# --- messages ------------------------------------------------------------------------------------


@needs_shared
@pytest.mark.spec("S1-26", partial=True)
@pytest.mark.parametrize("case", POSITIVE)
def test_messages_that_are_read(case: str) -> None:
    text, fields = POSITIVE[case]["message"], POSITIVE[case]["fields"]
    wanted = {NAMES.get(name, name): value for name, value in fields.items() if name != "version"}
    message = Message.read(text)
    assert message == Message(**wanted)
    assert message.text == text
    assert fields["version"] == "1"


@needs_shared
@pytest.mark.spec("S1-26", partial=True)
@pytest.mark.parametrize("case", NEGATIVE)
def test_messages_that_are_not_read(case: str) -> None:
    with pytest.raises(BadWalletMessage):
        Message.read(NEGATIVE[case])


@pytest.mark.parametrize(
    ("part", "other"),
    [("", "\n"), ("Version: 1", "Version: 1\nVersion: 1"), ("Version: 1", "Version: 2"),
     ("Chain ID: 1", "Chain ID: 01"), ("Chain ID: 1", "Chain ID: 0"),
     ("Chain ID: 1", "Chain ID: -1"),
     ("Chain ID: 1", "Chain ID: １"),
     ("Chain ID: 1", "Chain ID: " + "9" * 200),
     ("\n", "\r\n"), ("Nonce: abcdefgh12345678", "Nonce: abcdefgh-2345678"),
     ("2026-11-21T12:00:00.000Z", "2026-02-30T12:00:00Z"),
     ("2026-11-21T12:00:00.000Z", "2026-11-21T25:00:00Z"),
     ("2026-11-21T12:00:00.000Z", "2026-11-21T12:00:00"),
     ("2026-11-21T12:00:00.000Z", "2026-11-21"),
     ("URI: https", "URI: ht tps"), ("URI: https://", "URI: //"), ("https://finora", "https://%zz"),
     ("Ethereum account", "ethereum account"), ("finora.example wants", "finora.example  wants"),
     ("finora.example wants", "finora.example/ wants"), ("finora.example wants", "@ wants"),
     (ADDRESS, ADDRESS.lower()), (ADDRESS, ADDRESS + " ")],
)  # fmt: skip
def test_a_message_that_differs_in_one_place_is_not_read(part: str, other: str) -> None:
    text = text_of()
    changed = text.replace(part, other) if part else text + other
    assert changed != text
    with pytest.raises(BadWalletMessage):
        Message.read(changed)


HEAVY = {
    "a long URI": "URI: a://" + "a" * 7500 + " ",
    "a long port": "URI: a://" + "a:1" * 2500 + " ",
    "many resources": "\nResources:" + "\n- a://b:1/" * 680 + " ",
    "long resources": ("\nResources:" + ("\n- a://" + "%41" * 600) * 4) + " ",
    "a long request id": "\nRequest ID: " + "a:" * 3600 + " ",
    "a long statement": "URI: a:b\n" + " " * 7500,
    "many ats": "URI: a://" + "a@" * 3600 + " ",
    "much too long": "\n" * 1_000_000,
}


@pytest.mark.timeout(10)
@pytest.mark.parametrize("tail", HEAVY.values(), ids=HEAVY.keys())
def test_no_text_takes_long_to_refuse(tail: str) -> None:
    uri = "URI: https://finora.example/login"
    whole = text_of()
    for text in (whole + tail, whole.replace(uri, tail), tail + whole, tail):
        with pytest.raises(BadWalletMessage):
            Message.read(text)


@pytest.mark.parametrize(
    "changed",
    [{"domain": "a b"}, {"domain": ""}, {"domain": "https://finora.example"},
     {"domain": "x\ny"}, {"statement": "one\ntwo"},
     {"statement": ""}, {"statement": "für"}, {"nonce": "short"}, {"nonce": "abcdefgh\nURI: x"},
     {"uri": "no uri"}, {"uri": "https://a.example\nVersion: 1"}, {"chain_id": 0},
     {"chain_id": -5}, {"statement": "x\n\nURI: https://evil.example"}],
    ids=str,
)  # fmt: skip
def test_no_field_can_pretend_to_be_others(changed: dict[str, Any]) -> None:
    with pytest.raises(BadWalletMessage):
        text_of(**changed)


def test_a_message_is_written_as_it_is_read() -> None:
    text = text_of(
        statement="Sign in to Finora", expires_at=NOW + timedelta(minutes=5), chain_id=8453,
        address=ADDRESS.lower(),
    )  # fmt: skip
    assert text == (
        "finora.example wants you to sign in with your Ethereum account:\n"
        f"{ADDRESS}\n\nSign in to Finora\n\nURI: https://finora.example/login\nVersion: 1\n"
        "Chain ID: 8453\nNonce: abcdefgh12345678\nIssued At: 2026-11-21T12:00:00.000Z\n"
        "Expiration Time: 2026-11-21T12:05:00.000Z"
    )
    with pytest.raises(BadWalletAddress):
        text_of(address="0x123")


# --- signatures ----------------------------------------------------------------------------------


@needs_shared
@pytest.mark.spec("S1-26", partial=True)
@pytest.mark.parametrize("case", VERIFIED)
def test_signatures_of_others_wallets(case: str) -> None:
    fields = dict(VERIFIED[case])
    signature, at = fields.pop("signature"), fields.pop("time", None)
    fields.pop("version")
    text = Message(**{NAMES.get(name, name): value for name, value in fields.items()}).text
    now = datetime.fromisoformat(at) if at else NOW
    assert WALLETS.verify(text, signature, fields["domain"], now) == Wallet(
        address=fields["address"], chain_id=fields["chainId"], nonce=fields["nonce"]
    )
    for other in (f"www.{fields['domain']}", fields["domain"].upper(), ""):
        with pytest.raises(WalletRefused, match="another site"):
            WALLETS.verify(text, signature, other, now)
    if fields.get("expirationTime"):
        with pytest.raises(WalletRefused, match="run out"):
            WALLETS.verify(text, signature, fields["domain"], now.replace(year=2200))
    if fields.get("notBefore"):
        with pytest.raises(WalletRefused, match="not come"):
            WALLETS.verify(text, signature, fields["domain"], NOW)
    altered = text.replace(fields["nonce"], fields["nonce"][::-1])
    with pytest.raises(WalletRefused):
        WALLETS.verify(altered, signature, fields["domain"], now)


@pytest.mark.spec("S1-26", partial=True)
def test_a_wallet_signs_in() -> None:
    text = text_of(chain_id=10)
    assert WALLETS.verify(text, signature_of(text), "finora.example", NOW) == Wallet(
        address=ADDRESS, chain_id=10, nonce="abcdefgh12345678"
    )
    with pytest.raises(WalletRefused, match="did not sign"):
        WALLETS.verify(text, signature_of(text, PrivateKey()), "finora.example", NOW)


def test_a_message_is_good_from_its_first_instant_to_its_last() -> None:
    text = text_of(expires_at=NOW + timedelta(minutes=5))
    text += "\nNot Before: 2026-11-21T13:00:00+01:00"
    signature = signature_of(text)
    for off_s, fine in ((0, True), (299, True), (300, False), (-1, False)):
        at = NOW + timedelta(seconds=off_s)
        if fine:
            assert WALLETS.verify(text, signature, "finora.example", at).address == ADDRESS
        else:
            with pytest.raises(WalletRefused):
                WALLETS.verify(text, signature, "finora.example", at)


def test_a_signature_has_one_form() -> None:
    text = text_of()
    signature = signature_of(text)
    r, s, v = signature[2:66], int(signature[66:130], 16), int(signature[130:], 16)
    assert WALLETS.verify(text, f"0x{r}{s:064x}{v - 27:02x}", "finora.example", NOW)
    bent = {
        "high s": f"0x{r}{ORDER - s:064x}{55 - v:02x}",
        "high s, same v": f"0x{r}{ORDER - s:064x}{v:02x}",
        "other v": f"0x{r}{s:064x}{55 - v:02x}",
        "v of a chain": f"0x{r}{s:064x}{37:02x}",
        "v 29": f"0x{r}{s:064x}1d",
        "v 2": f"0x{r}{s:064x}02",
        "v 255": f"0x{r}{s:064x}ff",
        "zero r": f"0x{0:064x}{s:064x}{v:02x}",
        "zero s": f"0x{r}{0:064x}{v:02x}",
        "r of the order": f"0x{ORDER:064x}{s:064x}{v:02x}",
        "all ones": "0x" + "f" * 128 + "1b",
        "all zeros": "0x" + "0" * 130,
        "compact": f"0x{r}{s:064x}",
        "without 0x": signature[2:],
        "a byte more": signature + "00",
        "a line break": signature + "\n",
        "empty": "",
        "no hex": "0x" + "z" * 130,
        "another script": "0x" + "１" * 130,
    }
    for name, other in bent.items():
        with pytest.raises(WalletRefused):
            WALLETS.verify(text, other, "finora.example", NOW)
            pytest.fail(f"{name} was taken")


@given(place=st.integers(0, 63), bit=st.integers(0, 7))
def test_no_bit_of_a_signature_can_be_turned(place: int, bit: int) -> None:
    text = text_of()
    data = bytearray.fromhex(signature_of(text)[2:])
    data[place] ^= 1 << bit
    with pytest.raises(WalletRefused):
        WALLETS.verify(text, "0x" + data.hex(), "finora.example", NOW)
