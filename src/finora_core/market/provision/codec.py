"""Outcomes as JSON values, and back: what both ends of the data provider speak.

Numbers go as text with every digit, and what comes in passes the contract's types again: an answer
that does not fit them is Down, whoever sent it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from finora_core.kernel.outcome import (
    Ambiguous,
    AuthExpired,
    Down,
    Missing,
    Ok,
    Outcome,
    Partial,
    Unsupported,
)
from finora_core.kernel.plain import to_plain
from finora_core.plugins import Batch, Day, Held, Identified, Movement, Quoted, Seen


def told(outcome: Outcome[Any]) -> Mapping[str, Any]:
    """`outcome` is its type's name; `value`, `gap` and `reason` are null where it has none. Those
    that say when to ask again are not told in a body: see DataService."""
    said: dict[str, Any] = {"outcome": "down", "value": None, "gap": None, "reason": None}
    match outcome:
        case Ok(value):
            said |= {"outcome": "ok", "value": to_plain(value)}
        case Partial(value, gap):
            said |= {"outcome": "partial", "value": to_plain(value), "gap": gap}
        case Missing():
            said["outcome"] = "missing"
        case Unsupported():
            said["outcome"] = "unsupported"
        case AuthExpired():
            said["outcome"] = "auth_expired"
        case Ambiguous(candidates):
            said |= {"outcome": "ambiguous", "value": to_plain(candidates)}
        case Down(reason):
            said["reason"] = reason
        case other:
            raise TypeError(f"{type(other).__name__} is told by the status of the answer")
    return said


class Unreadable(ValueError):
    """What came is no outcome that could answer the question."""


def heard(question: str, said: Any) -> Outcome[Any]:
    """What `told` made of the answer to that question; Down where it cannot be that."""
    try:
        return parsed(question, said)
    except Unreadable:
        return Down("the data provider does not answer in the shape that is read")


def parsed(question: str, said: Any) -> Outcome[Any]:
    """What `told` made of the answer to that question. Raises Unreadable."""
    try:
        read = _READ[question]
        match said["outcome"]:
            case "ok":
                return Ok(read(said["value"]))
            case "partial":
                return Partial(read(said["value"]), str(said["gap"]))
            case "missing":
                return Missing()
            case "unsupported":
                return Unsupported()
            case "auth_expired":
                return AuthExpired()
            case "ambiguous":
                return Ambiguous(tuple(read(said["value"])))
            case "down":
                return Down(str(said["reason"])[:300])
    except (LookupError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
        raise Unreadable(type(error).__name__) from None
    raise Unreadable("no outcome")


def _quoted(it: Any) -> Quoted:
    return Quoted(
        asset=_text(it["asset"]),
        quote=_text(it["quote"]),
        price=_number(it["price"]),
        at=_time(it["at"]),
    )


def _day(it: Any) -> Day:
    return Day(on_date=date.fromisoformat(it["on_date"]), price=_number(it["price"]))


def _identified(it: Any) -> Identified:
    return Identified(
        name=_text(it["name"]),
        symbol=_text(it["symbol"]),
        title=_text(it["title"]),
        kind=_one_of(it["kind"], ("currency", "crypto", "security", "other")),
        quote=None if it["quote"] is None else _text(it["quote"]),
        names={_text(key): _text(name) for key, name in it["names"].items()},
    )


def _held(it: Any) -> Held:
    return Held(
        name=_text(it["name"]),
        symbol=_text(it["symbol"]),
        quantity=_number(it["quantity"]),
        scale=_whole(it["scale"]),
    )


def _movement(it: Any) -> Movement:
    return Movement(
        id=_text(it["id"]),
        at=_time(it["at"]),
        name=_text(it["name"]),
        symbol=_text(it["symbol"]),
        quantity=_number(it["quantity"]),
        scale=_whole(it["scale"]),
        kind=_one_of(it["kind"], ("transfer", "fee")),
        counterparty=None if it["counterparty"] is None else _text(it["counterparty"]),
    )


def _batch(it: Any) -> Batch:
    after = None if it["next"] is None else _text(it["next"])
    return Batch(movements=[_movement(each) for each in it["movements"]], next=after)


def _seen(it: Any) -> Seen:
    quantity, amount, day = it["quantity"], it["amount"], it["on_date"]
    return Seen(
        kind=_one_of(it["kind"], ("holding", "transaction")),
        text=_text(it["text"]),
        quantity=None if quantity is None else _number(quantity),
        amount=None if amount is None else _number(amount),
        currency=None if it["currency"] is None else _text(it["currency"]),
        on_date=None if day is None else date.fromisoformat(_text(day)),
    )


def _each(read: Callable[[Any], Any]) -> Callable[[Any], Sequence[Any]]:
    def every(value: Any) -> Sequence[Any]:
        if not isinstance(value, list):
            raise TypeError("no list")
        return [read(each) for each in value]

    return every


def _by_quote(value: Any) -> Mapping[str, Sequence[Day]]:
    days = _each(_day)
    return {_text(quote): days(each) for quote, each in value.items()}


_READ: Mapping[str, Callable[[Any], Any]] = {
    "latest": _each(_quoted),
    "history": _each(_day),
    "rates": _by_quote,
    "find": _each(_identified),
    "balances": _each(_held),
    "transactions": _batch,
    "picture": _each(_seen),
}
QUESTIONS = tuple(_READ)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _number(value: Any) -> Decimal:
    found = Decimal(_text(value))
    if not found.is_finite():
        raise ValueError("no number")
    return found


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("no whole number")
    return value


def _time(value: Any) -> datetime:
    found = datetime.fromisoformat(_text(value))
    if found.utcoffset() is None:
        raise ValueError("no offset")
    return found


def _one_of(value: Any, allowed: tuple[str, ...]) -> Any:
    if value not in allowed:
        raise ValueError("not one of them")
    return value
