"""What of a provider's answer is believed: by the host, and by the conformance kit."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any, TypeVar

from finora_core.plugins import AssetRef, Batch, Day, Held, Identified, Movement, Quoted, Seen

T = TypeVar("T")
KIND_OF: Mapping[str, str] = {
    "latest": "prices",
    "history": "prices",
    "rates": "rates",
    "find": "assets",
    "balances": "balances",
    "transactions": "transactions",
    "picture": "pictures",
    "send": "mailers",
    "notify": "notifiers",
}
"""Of every question, the kind of provider that answers it."""
_MOST_ITEMS = 100_000
MOST_ROWS = 500
"""Of one picture."""
_LONGEST_TEXT = 200
_CURRENCY = re.compile(r"[A-Z][A-Z0-9]{1,9}")
_FIRST_DAY = date(1900, 1, 1)
_MOST = 10**18
_WIDE = Context(prec=120)
_SKEW = timedelta(days=1)
"""How far ahead of ours a provider's clock may be."""


class Lie(Exception):
    """An answer that the contract does not allow: to another question, or of another type."""


def judge(method: str, given: Sequence[Any], value: Any, now: datetime) -> tuple[Any, int]:
    """What is believed of the value of an Ok or a Partial, and how many single values in it are
    none: prices that are no number, quantities that do not fit their scale. Raises Lie."""
    match method, given:
        case "latest", (assets, quote):
            return _latest(value, assets, quote, now)
        case "history", (_, _, since, until):
            return _days(value, since, until)
        case "rates", (_, quotes, since, until):
            return _rates(value, quotes, since, until)
        case "find", _:
            return _sequence(value, Identified), 0
        case "balances", _:
            held = _sequence(value, Held)
            kept = [each for each in held if _is_quantity(each.quantity, each.scale)]
            return kept, len(held) - len(kept)
        case "transactions", _:
            return _batch(value, now)
        case "picture", _:
            rows = _sequence(value, Seen)
            if len(rows) > MOST_ROWS:
                raise Lie(f"it sees {len(rows)} rows in one picture")
            seen = [each for each in rows if _is_row(each, now)]
            return seen, len(rows) - len(seen)
        case "send" | "notify", _ if value is None:
            return None, 0
    raise Lie(f"there is no question {method}")


def _latest(
    value: Any, assets: Sequence[AssetRef], quote: str, now: datetime
) -> tuple[Sequence[Quoted], int]:
    wanted = {each.id for each in assets}
    kept: dict[str, Quoted] = {}
    odd = 0
    for each in _sequence(value, Quoted):
        if each.asset not in wanted or each.quote != quote:
            raise Lie(f"it answers with {each.asset} in {each.quote}, which was not asked")
        if not _is_price(each.price) or not _is_time(each.at, now):
            odd += 1
        else:
            kept.setdefault(each.asset, each)
    return list(kept.values()), odd


def _rates(
    value: Any, quotes: Sequence[str], since: date, until: date
) -> tuple[Mapping[str, Sequence[Day]], int]:
    if not isinstance(value, Mapping) or not set(value) <= set(quotes):
        raise Lie("it answers with currencies that were not asked")
    read = {quote: _days(days, since, until) for quote, days in value.items()}
    kept = {quote: days for quote, (days, _) in read.items()}
    return kept, sum(odd for _, odd in read.values())


def _days(value: Any, since: date, until: date) -> tuple[Sequence[Day], int]:
    kept: dict[date, Day] = {}
    days = _sequence(value, Day)
    for each in days:
        if type(each.on_date) is not date or not since <= each.on_date <= until:
            raise Lie(f"it answers with {each.on_date}, which was not asked")
        if _is_price(each.price):
            kept.setdefault(each.on_date, each)
    odd = len({each.on_date for each in days}) - len(kept)
    return [kept[day] for day in sorted(kept)], odd


def _batch(value: Any, now: datetime) -> tuple[Batch, int]:
    if not isinstance(value, Batch) or not isinstance(value.next, str | None):
        raise Lie("it does not answer with a Batch")
    moved = _sequence(value.movements, Movement)
    kept = {
        each.id: each
        for each in moved
        if _is_quantity(each.quantity, each.scale) and _is_time(each.at, now)
    }
    odd = len({each.id for each in moved}) - len(kept)
    return Batch(movements=list(kept.values()), next=value.next), odd


def _is_row(row: Seen, now: datetime) -> bool:
    """Whether it is a row of a picture: short texts that can be printed, and numbers. Whatever its
    types say, a stranger made it."""
    kind, text = _anything(row.kind), _anything(row.text)
    if kind not in ("holding", "transaction") or not isinstance(text, str):
        return False
    if not 0 < len(text) <= _LONGEST_TEXT or not text.isprintable():
        return False
    numbers = [each for each in (row.quantity, row.amount) if each is not None]
    if not numbers or not all(_is_amount(each) for each in numbers):
        return False
    currency, day = _anything(row.currency), _anything(row.on_date)
    if currency is not None and not (isinstance(currency, str) and _CURRENCY.fullmatch(currency)):
        return False
    return day is None or (type(day) is date and _FIRST_DAY <= day <= (now + _SKEW).date())


def _anything(value: object) -> object:
    return value


def _is_amount(value: object) -> bool:
    return (
        type(value) is Decimal
        and value.is_finite()
        and abs(value) < _MOST
        and len(value.as_tuple().digits) <= 40
        and abs(value.adjusted()) <= 36
    )


def _sequence(value: Any, kind: type[T]) -> Sequence[T]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise Lie(f"it answers with {type(value).__name__}, and no sequence")
    if len(value) > _MOST_ITEMS:
        raise Lie(f"it answers with {len(value)} items")
    if not all(type(each) is kind for each in value):
        raise Lie(f"it answers with what is no {kind.__name__}")
    return value


def _is_time(at: object, now: datetime) -> bool:
    return isinstance(at, datetime) and at.utcoffset() is not None and at <= now + _SKEW


def _is_price(value: object) -> bool:
    """Whether it can be reckoned with. Whether it is a likely one is for the market to say."""
    if type(value) is not Decimal or not value.is_finite() or value <= 0:
        return False
    return abs(value.adjusted()) <= 36 and len(value.as_tuple().digits) <= 80


def _is_quantity(value: object, scale: object) -> bool:
    if type(value) is not Decimal or not value.is_finite() or type(scale) is not int:
        return False
    if not 0 <= scale <= 36 or abs(value) >= 10**40:
        return False
    # What has more digits than it is counted in is no quantity of it.
    units = value.scaleb(scale, _WIDE)
    return units == units.to_integral_value()
