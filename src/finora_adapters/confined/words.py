"""The contract's values as JSON, and back. What comes from a child passes its types again: whatever
does not fit them is a lie, and raises NoSuchWord."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from finora_core.answers import KIND_OF
from finora_core.kernel.outcome import Ok, Outcome, OverBudget, RateLimited
from finora_core.kernel.plain import to_plain
from finora_core.market.provision.codec import Unreadable, parsed, told
from finora_core.plugins import (
    SENDING,
    ActivityLine,
    AssetRef,
    FaultyLine,
    Mail,
    Notice,
    Picture,
    Reading,
    StatementAccount,
    StatementAmbiguous,
    StatementBalance,
    StatementEmpty,
    StatementLine,
    StatementRefused,
    StatementTooLarge,
)

_LONGEST = 500


class NoSuchWord(Exception):
    """What came is not of the contract; the message says what it was to be."""


# --- questions and outcomes ----------------------------------------------------------------------


def question_said(given: Sequence[Any]) -> object:
    return [_given(each) for each in given]


def _given(value: Any) -> object:
    if isinstance(value, Picture):
        return b64encode(value.content).decode()
    if isinstance(value, Mail):
        return {"id": value.id, "sender": value.sender, "to": value.to,
                "content": b64encode(value.content).decode()}  # fmt: skip
    return to_plain(value)


def question_heard(method: str, said: Sequence[Any]) -> list[Any]:
    """Heard by the child, of the host."""
    match method, said:
        case "latest", (assets, quote):
            return [[AssetRef(**each) for each in assets], quote]
        case "history", (asset, quote, *days):
            return [AssetRef(**asset), quote, *map(date.fromisoformat, days)]
        case "rates", (base, quotes, *days):
            return [base, quotes, *map(date.fromisoformat, days)]
        case "picture", (content,):
            return [Picture(b64decode(content))]
        case "send", (mail,):
            return [Mail(**{**mail, "content": b64decode(mail["content"])})]
        case "notify", (notice,):
            return [Notice(**notice)]
    return list(said)


def outcome_said(outcome: Outcome[Any]) -> Mapping[str, Any]:
    match outcome:
        case RateLimited(after):
            return {"outcome": "rate_limited", "retry_after": after}
        case OverBudget(after):
            return {"outcome": "over_budget", "retry_after": after}
    return told(outcome)


def outcome_heard(said: Any, method: str = "find") -> Outcome[Any]:
    """In answer to that question; of an outcome without a value it may be any."""
    after = said.get("retry_after") if isinstance(said, dict) else None
    if type(after) is int and said.get("outcome") == "rate_limited":
        return RateLimited(after)
    if type(after) is int and said.get("outcome") == "over_budget":
        return OverBudget(after)
    if KIND_OF.get(method) in SENDING:
        return _sent(said)
    try:
        return parsed(method, said)
    except Unreadable:
        raise NoSuchWord("its answer is no outcome of the contract") from None


def _sent(said: Any) -> Outcome[None]:
    """Of what was to be handed on: taken, or why not, and nothing else."""
    match said:
        case {"outcome": "ok", "value": None}:
            return Ok(None)
        case {"outcome": "missing" | "unsupported" | "auth_expired" | "down"}:
            return outcome_heard(said)
    raise NoSuchWord("its answer is no outcome of the contract")


# --- lines of files ------------------------------------------------------------------------------

_ITEMS: Mapping[str, type[Any]] = {
    each.__name__: each
    for each in (StatementAccount, StatementLine, FaultyLine, StatementBalance, ActivityLine)
}
_Read = Callable[[Any], Any]


def item_said(item: Any) -> Mapping[str, Any]:
    """`raw` is JSON already; of the rest nothing has a fraction."""
    kind = type(item).__name__
    said: dict[str, object] = {"is": kind}
    for name in _FIELDS[kind]:
        value = getattr(item, name)
        # Nearly all of them are text or nothing, of a million lines.
        plain = value is None or type(value) is str or name == "raw"
        said[name] = value if plain else to_plain(value)
    return said


def item_heard(said: Any) -> Any:
    try:
        made = dict(said)
        name = made.pop("is")
        fields = _FIELDS[name]
        if made.keys() != fields.keys():
            raise TypeError("other fields")
        return _ITEMS[name](**{field: fields[field](value) for field, value in made.items()})
    except (LookupError, TypeError, ValueError, AttributeError):
        raise NoSuchWord("it reads a line that is none") from None


def _reader(hint: Any) -> _Read:
    """What takes a JSON value to that type, or raises ValueError or TypeError."""
    inner = get_args(hint)
    if hint is object:
        return lambda value: value
    if get_origin(hint) is Literal:
        return lambda value: _chosen(value, inner)
    if get_origin(hint) is UnionType:
        [read] = [_reader(each) for each in inner if each is not NoneType]
        return lambda value: None if value is None else read(value)
    if get_origin(hint) is tuple:
        return lambda value: tuple(map(_text, _of_length(value, len(inner))))
    if hint is date:
        return lambda value: date.fromisoformat(_text(value))
    if hint is datetime:
        return lambda value: _zoned(datetime.fromisoformat(_text(value)))
    return lambda value: _typed(value, hint)


def _typed(value: Any, kind: type[Any]) -> Any:
    if type(value) is not kind:
        raise TypeError(kind.__name__)
    return value


def _text(value: Any) -> str:
    return str(_typed(value, str))


def _chosen(value: Any, allowed: Sequence[Any]) -> Any:
    if value not in allowed:
        raise ValueError("none of them")
    return value


def _of_length(value: Any, length: int) -> Sequence[Any]:
    if type(value) is not list or len(value) != length:
        raise TypeError("no list of that length")
    return value


def _zoned(at: datetime) -> datetime:
    if at.utcoffset() is None:
        raise ValueError("no zone")
    return at


_FIELDS: Mapping[str, Mapping[str, _Read]] = {
    name: {field: _reader(hint) for field, hint in get_type_hints(item).items()}
    for name, item in _ITEMS.items()
}

# --- why a file is not read ----------------------------------------------------------------------

_REFUSALS: Mapping[str, type[StatementRefused]] = {
    each.__name__: each for each in (StatementRefused, StatementEmpty, StatementTooLarge)
}


def refusal_said(refusal: StatementRefused) -> Mapping[str, Any]:
    if isinstance(refusal, StatementAmbiguous):
        readings = [
            {"answers": to_plain(each.answers), "sample": to_plain(each.sample)}
            for each in refusal.readings
        ]
        return {"is": "StatementAmbiguous", "question": refusal.question, "readings": readings}
    names = (each.__name__ for each in type(refusal).__mro__)
    kind = next(name for name in names if name in _REFUSALS)
    return {"is": kind, "message": refusal.message, "details": to_plain(refusal.details)}


def refusal_heard(said: Any) -> StatementRefused:
    try:
        if said["is"] == "StatementAmbiguous":
            return StatementAmbiguous(
                _text(said["question"])[:_LONGEST], tuple(map(_reading, said["readings"][:20]))
            )
        details = [_of_length(each, 2) for each in said["details"][:100]]
        return _REFUSALS[said["is"]](
            _text(said["message"])[:_LONGEST],
            details=tuple((_text(at)[:_LONGEST], _text(why)[:_LONGEST]) for at, why in details),
        )
    except (LookupError, TypeError, ValueError, AttributeError):
        raise NoSuchWord("it refuses a file in no word of the contract") from None


def _reading(said: Any) -> Reading:
    sample = [_of_length(each, 3) for each in said["sample"][:50]]
    return Reading(
        {_text(key): _text(value) for key, value in said["answers"].items()},
        tuple(
            (date.fromisoformat(_text(on)), _text(amount)[:_LONGEST], _text(text)[:_LONGEST])
            for on, amount, text in sample
        ),
    )


SHOWN: Mapping[str, tuple[str, ...]] = {"activity_formats": ("institution", "settles")}
"""By kind, what else is said of each that is registered."""
