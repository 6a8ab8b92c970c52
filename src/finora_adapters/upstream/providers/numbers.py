"""Numbers as sources write them, with every digit."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any


def number(said: Any) -> Decimal:
    """A number of JSON, or one that is written as text. Raises TypeError, ValueError,
    ArithmeticError; what is no finite number is for the host to judge."""
    if isinstance(said, bool) or not isinstance(said, int | str | Decimal):
        raise TypeError("no number")
    return Decimal(said)


def whole(said: Any) -> int:
    """A whole number, of JSON or as text. Raises TypeError, ValueError."""
    if isinstance(said, bool) or not isinstance(said, int | str):
        raise TypeError("no whole number")
    return int(said)


def units(said: Any, scale: int) -> Decimal:
    """So many of the smallest unit, as whole ones: exactly, whatever the context."""
    sign, digits, _ = Decimal(whole(said)).as_tuple()
    return Decimal((sign, digits, -scale))


def instant(seconds: Any) -> datetime:
    """Of the seconds since 1970. Raises ValueError, OverflowError, OSError for what is none."""
    count = whole(seconds)
    if not 0 <= count < 1 << 40:
        raise ValueError("no time")
    return datetime.fromtimestamp(count, UTC)
