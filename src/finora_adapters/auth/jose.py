"""Signed compact texts (RFC 7515), read strictly: one way to write each, nothing twice."""

import base64
import binascii
import json
import re
from typing import Any, NoReturn

import attrs

_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)


@attrs.frozen
class Compact:
    """What a text says, unproven."""

    header: dict[str, Any]
    payload: bytes
    signed: bytes
    signature: bytes


def compact(text: str, most: int) -> Compact:
    """The parts of a text of at most `most` characters. Raises ValueError."""
    # The size first: nothing else is looked at in what is too large.
    if len(text) > most:
        raise ValueError("it is too long")
    found = _COMPACT.fullmatch(text)
    if found is None:
        raise ValueError("it is not three parts of base64")
    header, payload, signature = (unpacked(part) for part in found.groups())
    return Compact(
        header=object_of(header),
        payload=payload,
        signed=text[: found.end(2)].encode(),
        signature=signature,
    )


def unpacked(text: str) -> bytes:
    """The bytes of base64 for URLs, without padding, in the one form that an encoder writes.
    Raises ValueError."""
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("it is not base64") from error
    if packed(found) != text:
        raise ValueError("it is not base64 as an encoder writes it")
    return found


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def object_of(data: bytes) -> dict[str, Any]:
    """A JSON object in UTF-8 with no key twice. Raises ValueError."""
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=once, parse_constant=no_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")
    return found


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
