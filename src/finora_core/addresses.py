"""Whether a text is an address of a chain: what a Chain is registered with. Each rule gives the
address as it is usually written, or None; a checksum that is wrong is no address."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable

_EVM = re.compile(r"0x[0-9a-fA-F]{40}")
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_TON = re.compile(r"[-_+/0-9A-Za-z]{48}")
_TON_RAW = re.compile(r"(0|-1):([0-9a-fA-F]{64})")
_MOST = 128
_MASK = (1 << 64) - 1


def evm_address(text: str) -> str | None:
    """Of Ethereum and its kin, by EIP-55: without capitals, or with the right ones."""
    if not _EVM.fullmatch(text):
        return None
    plain = text[2:].lower()
    digest = keccak256(plain.encode()).hex()
    summed = "".join(
        sign.upper() if weight >= "8" else sign for sign, weight in zip(plain, digest, strict=False)
    )
    # All capitals are no checksum either.
    return f"0x{summed}" if text[2:] in (plain, plain.upper(), summed) else None


def bitcoin_address(text: str) -> str | None:
    """Of Bitcoin's main chain: base58 with a checksum, or a witness by BIP-173 and BIP-350."""
    if text[:3].lower() == "bc1":
        return _witness(text)
    return text if _checked(text, (0, 5)) else None


def tron_address(text: str) -> str | None:
    """Of Tron: base58 with the checksum of Bitcoin's."""
    return text if _checked(text, (0x41,)) else None


def ton_address(text: str) -> str | None:
    """Of TON's main net (TEP-2). One account is written raw, or for contracts (`EQ...`), or for
    people (`UQ...`), which is what money may be sent to before the account is in use: the last."""
    if raw := _TON_RAW.fullmatch(text):
        workchain, account = int(raw[1]) & 0xFF, bytes.fromhex(raw[2])
    else:
        decoded = base64.b64decode(text, altchars=b"-_") if _TON.fullmatch(text) else b""
        if len(decoded) != 36 or binascii.crc_hqx(decoded[:-2], 0).to_bytes(2) != decoded[-2:]:
            return None
        if decoded[0] not in (0x11, 0x51) or decoded[1] not in (0, 0xFF):
            return None
        workchain, account = decoded[1], decoded[2:-2]
    plain = bytes((0x51, workchain)) + account
    return base64.urlsafe_b64encode(plain + binascii.crc_hqx(plain, 0).to_bytes(2)).decode()


def solana_address(text: str) -> str | None:
    """Of Solana: 32 bytes, without a checksum, so a slip of the pen is another address."""
    decoded = _base58(text)
    return text if decoded is not None and len(decoded) == 32 else None


# --- base58 and bech32 ---------------------------------------------------------------------------


def _base58(text: str) -> bytes | None:
    if not 0 < len(text) <= _MOST or any(sign not in _BASE58 for sign in text):
        return None
    number = 0
    for sign in text:
        number = number * 58 + _BASE58.index(sign)
    zeros = len(text) - len(text.lstrip(_BASE58[0]))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _checked(text: str, kinds: Iterable[int]) -> bool:
    """Twenty bytes of one of these kinds, with a checksum."""
    decoded = _base58(text)
    if decoded is None or len(decoded) != 25 or decoded[0] not in kinds:
        return False
    once = hashlib.sha256(decoded[:-4]).digest()
    return hashlib.sha256(once).digest()[:4] == decoded[-4:]


def _witness(text: str) -> str | None:
    plain = text.lower()
    if text not in (plain, plain.upper()) or not 14 <= len(plain) <= 90:
        return None
    values = [_BECH32.find(sign) for sign in plain[3:]]
    if -1 in values:
        return None
    version, program = values[0], _regrouped(values[1:-6])
    # The sum of version 0 is another one than that of those after it.
    wanted = 1 if version == 0 else 0x2BC830A3
    if version > 16 or program is None or _polymod([3, 3, 0, 2, 3, *values]) != wanted:
        return None
    lengths = (20, 32) if version == 0 else range(2, 41)
    return plain if len(program) in lengths else None


def _regrouped(values: Iterable[int]) -> bytes | None:
    """Groups of five bits as bytes; None where what is left over is not nothing."""
    number = count = 0
    for value in values:
        number, count = number << 5 | value, count + 5
    left = count % 8
    if left >= 5 or number & (1 << left) - 1:
        return None
    return (number >> left).to_bytes(count // 8, "big")


def _polymod(values: Iterable[int]) -> int:
    found = 1
    for value in values:
        top = found >> 25
        found = (found & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(
            (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
        ):
            if top >> bit & 1:
                found ^= generator
    return found


# --- keccak --------------------------------------------------------------------------------------


def keccak256(data: bytes) -> bytes:
    """As Ethereum means it, which is not the SHA-3 of the library: another padding."""
    rate = 136
    filled = rate - len(data) % rate
    padded = data + (b"\x81" if filled == 1 else b"\x01" + bytes(filled - 2) + b"\x80")
    lanes = [[0] * 5 for _ in range(5)]
    for start in range(0, len(padded), rate):
        for at in range(rate // 8):
            word = padded[start + 8 * at : start + 8 * at + 8]
            lanes[at % 5][at // 5] ^= int.from_bytes(word, "little")
        lanes = _permuted(lanes)
    return b"".join(lanes[at][0].to_bytes(8, "little") for at in range(4))


def _permuted(lanes: list[list[int]]) -> list[list[int]]:
    register = 1
    for _ in range(24):
        sums = [x[0] ^ x[1] ^ x[2] ^ x[3] ^ x[4] for x in lanes]
        mixed = [sums[x - 1] ^ _turned(sums[(x + 1) % 5], 1) for x in range(5)]
        lanes = [[lane ^ mixed[x] for lane in lanes[x]] for x in range(5)]
        x, y, current = 1, 0, lanes[1][0]
        for step in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            turned = _turned(current, (step + 1) * (step + 2) // 2 % 64)
            current, lanes[x][y] = lanes[x][y], turned
        for y in range(5):
            row = [lanes[x][y] for x in range(5)]
            for x in range(5):
                lanes[x][y] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5] & _MASK)
        for bit in range(7):
            register = (register << 1 ^ (register >> 7) * 0x71) & 0xFF
            if register & 2:
                lanes[0][0] ^= 1 << (1 << bit) - 1
    return lanes


def _turned(lane: int, by: int) -> int:
    return (lane << by | lane >> 64 - by) & _MASK
