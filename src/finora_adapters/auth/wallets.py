"""Ethereum wallets: addresses by EIP-55, messages by EIP-4361, signatures by EIP-191."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
from coincurve import PublicKey
from Crypto.Hash import keccak

from finora_core.identity.verifiers import BadWalletAddress, BadWalletMessage, Wallet, WalletRefused

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_SIGNATURE = re.compile(r"0x[0-9a-fA-F]{130}")
_MOST = 8192
# Half the order of the curve: of a signature's two forms only the one below it is taken.
_HALF = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_RECOVERY = {0: 0, 1: 1, 27: 0, 28: 1}

# Nothing here is tried in a second way once it fits (`++`, `*+`, `?>`): a stranger's text would
# make the number of ways grow with its length.
_PART = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})"
_HOST = rf"(?:\[[0-9A-Fa-f:.]++\]|{_PART}++)"
_AUTHORITY = rf"(?>(?:(?:{_PART}|:)*+@)?+{_HOST}(?::[0-9]{{1,5}}+)?+)"
_URI = rf"(?>[A-Za-z][A-Za-z0-9+.\-]*+:(?://{_AUTHORITY})?+(?:{_PART}|[:@/?#])*+)"
_TIME = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:Z|[+\-][0-9]{2}:[0-9]{2})"
)
_MESSAGE = re.compile(
    rf"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*+)://)?+(?P<domain>{_AUTHORITY})"
    r" wants you to sign in with your Ethereum account:\n"
    r"(?P<address>0x[0-9a-fA-F]{40})\n\n"
    r"(?:(?P<statement>[\x20-\x7e]++)\n)?+\n"
    rf"URI: (?P<uri>{_URI})\n"
    r"Version: 1\n"
    r"Chain ID: (?P<chain_id>[1-9][0-9]{0,17})\n"
    r"Nonce: (?P<nonce>[A-Za-z0-9]{8,}+)\n"
    rf"Issued At: (?P<issued_at>{_TIME})"
    rf"(?:\nExpiration Time: (?P<expires_at>{_TIME}))?+"
    rf"(?:\nNot Before: (?P<not_before>{_TIME}))?+"
    rf"(?:\nRequest ID: (?P<request_id>(?:{_PART}|[:@])*+))?+"
    rf"(?P<resources>\nResources:(?:\n- {_URI})*+)?+"
)


@attrs.frozen(kw_only=True)
class Message:
    """A message's fields, as they stand in its text."""

    domain: str
    address: str
    uri: str
    chain_id: int
    nonce: str
    issued_at: str
    scheme: str | None = None
    statement: str | None = None
    expires_at: str | None = None
    not_before: str | None = None
    request_id: str | None = None
    resources: Sequence[str] | None = None

    @classmethod
    def read(cls, text: str) -> "Message":
        """Raises BadWalletMessage."""
        found = _MESSAGE.fullmatch(text) if len(text) <= _MOST else None
        if found is None:
            raise BadWalletMessage("the text is no sign-in message of EIP-4361")
        fields: dict[str, Any] = found.groupdict()
        listed = fields.pop("resources")
        resources = None if listed is None else listed.split("\n- ")[1:]
        message = cls(**fields | {"chain_id": int(found["chain_id"])}, resources=resources)
        for moment in (message.issued_at, message.expires_at, message.not_before):
            _instant(moment)
        if _checksum(message.address) != message.address:
            raise BadWalletMessage("the address in a message is written as EIP-55 says")
        return message

    @property
    def text(self) -> str:
        lines = [
            f"{self.scheme}://{self.domain}" if self.scheme else self.domain,
            f"\n{self.address}\n\n",
            f"{self.statement}\n" if self.statement is not None else "",
            f"\nURI: {self.uri}\nVersion: 1\nChain ID: {self.chain_id}\nNonce: {self.nonce}",
            f"\nIssued At: {self.issued_at}",
        ]
        lines[0] += " wants you to sign in with your Ethereum account:"
        for name, value in (
            ("Expiration Time", self.expires_at),
            ("Not Before", self.not_before),
            ("Request ID", self.request_id),
        ):
            if value is not None:
                lines.append(f"\n{name}: {value}")
        if self.resources is not None:
            lines.append("".join(["\nResources:", *(f"\n- {each}" for each in self.resources)]))
        return "".join(lines)


class EthereumWallets:
    """Wallets of one key. A contract's signature (EIP-1271) would need a node, and is refused."""

    def checksum(self, address: str) -> str:
        if not _ADDRESS.fullmatch(address):
            raise BadWalletAddress("an address is 0x and forty hexadecimal digits")
        right, digits = _checksum(address), address[2:]
        if address != right and digits not in (digits.lower(), digits.upper()):
            raise BadWalletAddress(
                "the case of the address's letters does not check: is it mistyped?"
            )
        return right

    def message(
        self,
        *,
        domain: str,
        address: str,
        uri: str,
        chain_id: int,
        nonce: str,
        issued_at: datetime,
        expires_at: datetime | None = None,
        statement: str | None = None,
    ) -> str:
        message = Message(
            domain=domain,
            address=self.checksum(address),
            uri=uri,
            chain_id=chain_id,
            nonce=nonce,
            issued_at=_written(issued_at),
            expires_at=None if expires_at is None else _written(expires_at),
            statement=statement,
        )
        # A field with a line break in it would be read as other fields.
        if Message.read(message.text) != message:
            raise BadWalletMessage("a field does not fit a sign-in message of EIP-4361")
        return message.text

    def verify(self, text: str, signature: str, domain: str, now: datetime) -> Wallet:
        message = Message.read(text)
        if message.domain != domain:
            raise WalletRefused("the message is for another site")
        expires_at, not_before = _instant(message.expires_at), _instant(message.not_before)
        if expires_at is not None and now >= expires_at:
            raise WalletRefused("the message's time has run out")
        if not_before is not None and now < not_before:
            raise WalletRefused("the message's time has not come")
        if _signer(text, signature) != message.address:
            raise WalletRefused("this wallet did not sign this message")
        return Wallet(address=message.address, chain_id=message.chain_id, nonce=message.nonce)


def _signer(text: str, signature: str) -> str:
    """The address whose key signed the text. Raises WalletRefused."""
    if not _SIGNATURE.fullmatch(signature):
        raise WalletRefused("a wallet's signature is 0x and 65 bytes")
    data = bytes.fromhex(signature[2:])
    recovery = _RECOVERY.get(data[64])
    if recovery is None or int.from_bytes(data[32:64]) > _HALF:
        raise WalletRefused("the signature is not in the one form that is taken")
    signed = text.encode()
    digest = _keccak(b"\x19Ethereum Signed Message:\n%d" % len(signed) + signed)
    try:
        key = PublicKey.from_signature_and_message(
            data[:64] + bytes([recovery]), digest, hasher=None
        )
    # What it raises for a signature of no key is not written down.
    except Exception as error:
        raise WalletRefused("the signature is of no key") from error
    return _checksum("0x" + _keccak(key.format(compressed=False)[1:])[12:].hex())


def _checksum(address: str) -> str:
    digits = address[2:].lower()
    digest = _keccak(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(mark, 16) >= 8 else digit
        for digit, mark in zip(digits, digest, strict=False)
    )


def _keccak(data: bytes) -> bytes:
    return keccak.new(data=data, digest_bits=256).digest()


def _instant(text: str | None) -> datetime | None:
    """Raises BadWalletMessage for what looks like a time and is none."""
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError as error:
        raise BadWalletMessage(f"{text} is no time") from error


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
