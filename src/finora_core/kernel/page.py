"""Paging: a bounded list and the cursor of what follows, in a total order."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import attrs

from finora_core.kernel.errors import Invalid

Item = TypeVar("Item")

DEFAULT_LIMIT = 50
MAX_LIMIT = 1000


class BadCursor(Invalid):
    """The cursor was not given out by this listing."""

    code = "BAD_CURSOR"


class BadLimit(Invalid):
    """The page size is not between 1 and 1000."""

    code = "BAD_LIMIT"


@attrs.frozen
class Page(Generic[Item]):
    """`items` in order; `next` is the cursor that continues after the last, None at the end."""

    items: tuple[Item, ...]
    next: str | None = None


def checked_limit(limit: int) -> int:
    if not 1 <= limit <= MAX_LIMIT:
        raise BadLimit(f"limit must be between 1 and {MAX_LIMIT}, not {limit}")
    return limit


def encode_cursor(*keys: str | int) -> str:
    """An opaque text for the sort keys of the last item shown."""
    return base64.urlsafe_b64encode(json.dumps(keys).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, kinds: tuple[type, ...]) -> list[Any]:
    """The sort keys of `cursor`, each read as its kind: str, int, date, datetime or UUID. Raises
    BadCursor for whatever no listing gave out, so that none of it reaches a query."""
    try:
        keys = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(keys, list):
            raise ValueError("not a list of keys")
        return [_READ[kind](key) for kind, key in zip(kinds, keys, strict=True)]
    except (binascii.Error, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BadCursor("the cursor is not one of this listing") from error


def _int(key: object) -> int:
    if type(key) is not int or abs(key) >= 1 << 63:
        raise ValueError(f"{key!r} is no place in a listing")
    return key


def _text(key: str) -> str:
    # A lone surrogate does not encode, and Postgres has no NUL.
    if b"\0" in key.encode():
        raise ValueError("a NUL")
    return key


def _instant(key: str) -> datetime:
    read = datetime.fromisoformat(key)
    if read.tzinfo is None:
        raise ValueError(f"{key!r} has no time zone")
    return read


_READ: Mapping[type, Callable[[Any], Any]] = {
    str: _text,
    int: _int,
    date: date.fromisoformat,
    datetime: _instant,
    UUID: UUID,
}
