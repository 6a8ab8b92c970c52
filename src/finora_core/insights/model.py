"""What the slices of insights share: exact arithmetic that rounds once, months, an amount that
lacks what has no rate, an answer that is not there, and a page of a list that is worked out
whole."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import TypeVar
from uuid import UUID

import attrs

from finora_core.kernel.amount import Amount
from finora_core.kernel.outcome import Ok, Partial
from finora_core.kernel.page import Page, checked_limit, decode_cursor, encode_cursor

Item = TypeVar("Item")


class Reason(StrEnum):
    """Why there is no forecast."""

    TOO_LITTLE_HISTORY = "TOO_LITTLE_HISTORY"
    NOT_GROWING = "NOT_GROWING"
    TOO_FAR = "TOO_FAR"
    NO_RATE = "NO_RATE"
    NO_ACCOUNTS = "NO_ACCOUNTS"


@attrs.frozen
class NoForecast:
    """Nobody can tell, and this is why."""

    reason: Reason


def rounded(value: Fraction) -> int:
    """To whole units, halves away from zero: -2.5 is -3, as 2.5 is 3."""
    twice = abs(value.numerator) * 2 + value.denominator
    units = twice // (2 * value.denominator)
    return -units if value < 0 else units


def months_after(day: date, months: int, anchor: int | None = None) -> date:
    """The day so many months on, at day `anchor` of its month (its own, if not given), or at the
    last day of a month that has fewer."""
    number = day.year * 12 + day.month - 1 + months
    first = date(number // 12, number % 12 + 1, 1)
    following = date((number + 1) // 12, (number + 1) % 12 + 1, 1)
    return first.replace(day=min(anchor or day.day, (following - first).days))


def months_before(day: date, months: int) -> date:
    """The first day of the month that lies so many months before the one of `day`."""
    return months_after(day.replace(day=1), -months)


def last_day(day: date) -> date:
    """Of the month that holds `day`."""
    return months_before(day, -1) - timedelta(days=1)


def rate_day(day: date, until: date) -> date:
    """The day whose rate converts what moved on `day`: the last of its month, or of what is asked
    for, where that ends earlier. So a month is converted alike wherever it is shown."""
    return min(last_day(day), until)


def without_rates(amount: Amount, assets: Iterable[str]) -> Ok[Amount] | Partial[Amount]:
    """The amount, in which what is in these other assets, for which there is no rate, is a gap and
    not a zero."""
    names = ", ".join(sorted(set(assets)))
    return Partial(amount, f"no rate for {names}") if names else Ok(amount)


def paged(
    items: Sequence[Item],
    key: Callable[[Item], tuple[str, UUID]],
    cursor: str | None,
    limit: int,
) -> Page[Item]:
    """A page of a short list that was worked out whole, in the order of its keys."""
    ranked = sorted(items, key=key)
    if cursor is not None:
        name, last = decode_cursor(cursor, (str, UUID))
        ranked = [item for item in ranked if key(item) > (name, last)]
    shown = tuple(ranked[: checked_limit(limit)])
    if len(ranked) <= limit:
        return Page(shown)
    name, last = key(shown[-1])
    return Page(shown, encode_cursor(name, str(last)))
