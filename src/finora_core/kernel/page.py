"""Paging: a bounded list and the cursor of what follows, in a total order."""

import base64
import binascii
import json
from typing import Generic, TypeVar

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


def decode_cursor(cursor: str, kinds: tuple[type, ...]) -> list[str | int]:
    """The sort keys of `cursor`, checked against their kinds; raises BadCursor."""
    try:
        keys = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise BadCursor("the cursor is not one of this listing") from error
    fits = isinstance(keys, list) and len(keys) == len(kinds)
    if not fits or not all(type(key) is kind for key, kind in zip(keys, kinds, strict=True)):
        raise BadCursor("the cursor is not one of this listing")
    return list(keys)
