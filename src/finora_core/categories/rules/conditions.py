"""What a rule asks of a record: a tree of tests, as data, and compiled for speed.

As JSON a condition is one of `{"all": [...]}`, `{"any": [...]}`, `{"none": [...]}` and a test,
`{"field": "description", "op": "contains", "value": "coffee"}`. Case never matters. A field that is
empty equals the empty text and contains nothing.
"""

import re
from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from uuid import UUID

import attrs

from finora_core.categories.rules.patterns import Pattern
from finora_core.kernel.amount import Amount
from finora_core.kernel.errors import Invalid
from finora_core.records.model import Part


class BadRule(Invalid):
    """The rule's conditions or actions cannot be read; `details` names the place."""

    code = "BAD_RULE"


@attrs.frozen(kw_only=True)
class RecordFacts:
    """What rules see of a record."""

    id: UUID
    account: str
    account_id: UUID
    on_date: date
    amount: Amount
    description: str
    counterparty: str | None = None
    merchant_key: str = ""
    merchant: str | None = None
    category: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""
    source: str = ""
    locked: frozenset[str] = frozenset()
    """Fields that a person has set; no rule writes them."""
    parts: tuple[Part, ...] = ()
    """Of a record that is split."""
    booked: bool = True
    """One that is only announced has no category yet."""


_SHOWN: Mapping[str, Callable[[RecordFacts], str]] = {
    "description": lambda facts: facts.description,
    "counterparty": lambda facts: facts.counterparty or "",
    "merchant": lambda facts: facts.merchant or facts.merchant_key,
    "merchant_key": lambda facts: facts.merchant_key,
    "note": lambda facts: facts.note,
    "category": lambda facts: facts.category,
    "account": lambda facts: facts.account,
    "account_id": lambda facts: str(facts.account_id),
    "currency": lambda facts: facts.amount.asset.id,
    "source": lambda facts: facts.source,
    "direction": lambda facts: "in" if facts.amount.units > 0 else "out",
}


class View:
    """A record's facts as tests ask for them: its texts folded, each once and when it is needed."""

    def __init__(self, facts: RecordFacts) -> None:
        self.facts = facts

    def __getattr__(self, field: str) -> str:
        # Asked only for what is not there yet.
        text = _SHOWN[field](self.facts).casefold()
        setattr(self, field, text)
        return text


Matches = Callable[[View], bool]

TEXTS = tuple(_SHOWN)
AMOUNTS = ("amount", "amount_abs")
FIELDS = (*TEXTS, "tags", *AMOUNTS, "date")
NEGATED = {
    "not_equals": "equals",
    "not_contains": "contains",
    "not_one_of": "one_of",
    "not_regex": "regex",
    "not_empty": "empty",
}
_TEXT_OPS = ("equals", "contains", "starts", "ends", "one_of", "regex", "empty")
_AMOUNT_OPS = ("equals", "one_of", "gt", "gte", "lt", "lte", "between", "approx")
_DATE_OPS = ("equals", "before", "after", "gt", "gte", "lt", "lte", "between", "approx")
MAX_DEPTH = 8
MAX_TESTS = 200
MAX_VALUES = 500
MAX_VALUE = 500


@attrs.frozen(kw_only=True)
class Recurrence:
    """Days that come again: every `interval` of `frequency` from `start`, or the given days of the
    month (-1 is its last)."""

    start: date
    frequency: str
    interval: int = 1
    days: tuple[int, ...] = ()

    def __attrs_post_init__(self) -> None:
        if self.frequency not in ("daily", "weekly", "monthly", "yearly"):
            raise BadRule(f"there is no frequency {self.frequency!r}")
        if not 1 <= self.interval <= 1_000:
            raise BadRule("an interval is from 1 to 1000")
        if self.days and self.frequency != "monthly":
            raise BadRule("days of the month are of what comes monthly")
        if any(day != -1 and not 1 <= day <= 31 for day in self.days):
            raise BadRule("a day of the month is from 1 to 31, or -1 for the last")

    def has(self, day: date) -> bool:
        if day < self.start:
            return False
        months = (day.year - self.start.year) * 12 + day.month - self.start.month
        match self.frequency:
            case "daily":
                return (day - self.start).days % self.interval == 0
            case "weekly":
                return (day - self.start).days % (7 * self.interval) == 0
            case "monthly":
                on = self.days or (self.start.day,)
                last = (day + timedelta(days=1)).month != day.month
                return months % self.interval == 0 and (day.day in on or (last and -1 in on))
            case _:
                return months % (12 * self.interval) == 0 and day.day == self.start.day


Value = str | tuple[str, ...] | Recurrence | None


@attrs.frozen
class Test:
    """One question about one field."""

    field: str
    op: str
    value: Value = None

    def __attrs_post_init__(self) -> None:
        _compiled_test(self)


@attrs.frozen
class All:
    parts: tuple["Condition", ...]


@attrs.frozen
class AnyOf:
    parts: tuple["Condition", ...]


@attrs.frozen
class NoneOf:
    parts: tuple["Condition", ...]


Condition = Test | All | AnyOf | NoneOf
_TREES: Mapping[str, type[All] | type[AnyOf] | type[NoneOf]] = {
    "all": All,
    "any": AnyOf,
    "none": NoneOf,
}


# --- from JSON and back ---


def condition_of(plain: object, path: str = "condition") -> Condition:
    """Read a condition. Raises BadRule with the place of what is wrong, BadPattern."""
    read = _condition(plain, path, 1)
    if sum(1 for _ in tests(read)) > MAX_TESTS:
        raise _bad(path, f"has more than {MAX_TESTS} tests")
    return read


def _condition(plain: object, path: str, depth: int) -> Condition:
    if depth > MAX_DEPTH:
        raise _bad(path, f"is nested deeper than {MAX_DEPTH}")
    if not isinstance(plain, Mapping):
        raise _bad(path, "is not an object")
    for name, tree in _TREES.items():
        if set(plain) == {name}:
            parts = plain[name]
            if not isinstance(parts, Sequence) or isinstance(parts, str):
                raise _bad(f"{path}.{name}", "is not a list")
            if len(parts) > MAX_TESTS:
                raise _bad(f"{path}.{name}", f"has more than {MAX_TESTS} parts")
            inner = (
                _condition(part, f"{path}.{name}.{place}", depth + 1)
                for place, part in enumerate(parts)
            )
            return tree(tuple(inner))
    if not {"field", "op"} <= set(plain) <= {"field", "op", "value"}:
        raise _bad(path, "is neither all, any, none nor a test with field, op and value")
    try:
        return Test(str(plain["field"]), str(plain["op"]), _value(plain.get("value")))
    except Invalid as error:
        raise _at(error, path) from error


def _value(plain: object) -> Value:
    match plain:
        case None | str():
            return plain
        case list() | tuple() if all(isinstance(each, str) for each in plain):
            return tuple(plain)
        case Mapping():
            return _recurrence(plain)
        case _:
            raise BadRule("a value is a text, a list of texts, or days that come again")


def _recurrence(plain: Mapping[str, object]) -> Recurrence:
    start, frequency = plain.get("start"), plain.get("frequency")
    interval, days = plain.get("interval", 1), plain.get("days", ())
    if set(plain) - {"start", "frequency", "interval", "days"}:
        raise BadRule("days that come again have start, frequency, interval and days")
    if not isinstance(start, str) or not isinstance(frequency, str):
        raise BadRule("days that come again need start and frequency")
    if type(interval) is not int or not isinstance(days, list | tuple):
        raise BadRule("an interval is a whole number, days a list of them")
    if any(type(day) is not int for day in days):
        raise BadRule("days are whole numbers")
    return Recurrence(start=_day(start), frequency=frequency, interval=interval, days=tuple(days))


def plain_condition(condition: Condition) -> dict[str, object]:
    """The condition as JSON values: what condition_of reads."""
    match condition:
        case Test(field, op, Recurrence() as value):
            days: dict[str, object] = {
                "start": value.start.isoformat(),
                "frequency": value.frequency,
                "interval": value.interval,
            }
            if value.days:
                days["days"] = list(value.days)
            return {"field": field, "op": op, "value": days}
        case Test(field, op, None):
            return {"field": field, "op": op}
        case Test(field, op, tuple() as values):
            return {"field": field, "op": op, "value": list(values)}
        case Test(field, op, value):
            return {"field": field, "op": op, "value": value}
        case All(parts):
            return {"all": [plain_condition(part) for part in parts]}
        case AnyOf(parts):
            return {"any": [plain_condition(part) for part in parts]}
        case NoneOf(parts):
            return {"none": [plain_condition(part) for part in parts]}


def tests(condition: Condition) -> Iterator[Test]:
    """Every test of the tree."""
    if isinstance(condition, Test):
        yield condition
    else:
        for part in condition.parts:
            yield from tests(part)


_SEEN: Mapping[str, tuple[str, ...]] = {
    "merchant": ("merchant", "merchant_key"),
    "currency": ("amount",),
    "direction": ("amount",),
    "amount_abs": ("amount",),
    "date": ("on_date",),
}


def reads(condition: Condition) -> frozenset[str]:
    """The facts that a condition looks at, by their names in RecordFacts."""
    return frozenset(
        name for test in tests(condition) for name in _SEEN.get(test.field, (test.field,))
    )


def _bad(path: str, what: str) -> BadRule:
    return BadRule(f"{path} {what}", details=((path, what),))


def _at(error: Invalid, path: str) -> Invalid:
    """The same refusal, with its place in the input."""
    return type(error)(f"{path}: {error.message}", details=((path, error.message),))


# --- compiled ---


def compiled(condition: Condition) -> Matches:
    """The condition as one function."""
    match condition:
        case Test():
            return _compiled_test(condition)
        case All((only,)) | AnyOf((only,)):
            return compiled(only)
        case All(parts):
            every = [compiled(part) for part in parts]
            return lambda view: all(matches(view) for matches in every)
        case AnyOf(parts):
            some = [compiled(part) for part in parts]
            return lambda view: any(matches(view) for matches in some)
        case NoneOf(parts):
            none = [compiled(part) for part in parts]
            return lambda view: not any(matches(view) for matches in none)


def _compiled_test(test: Test) -> Matches:
    if test.op in NEGATED:
        holds = _compiled_test(Test(test.field, NEGATED[test.op], test.value))
        return lambda view: not holds(view)
    if test.field in TEXTS:
        return _on_text(test)
    if test.field == "tags":
        return _on_tags(test)
    if test.field in AMOUNTS:
        return _on_amount(test)
    if test.field == "date":
        return _on_date(test)
    raise BadRule(f"there is no field {test.field[:40]!r}; there are {', '.join(FIELDS)}")


Says = Callable[[str], bool]


def _text_test(test: Test) -> Says:
    """The test as a question to a folded text."""
    if test.op not in _TEXT_OPS:
        raise _unknown_op(test, (*_TEXT_OPS, *NEGATED))
    if test.op == "empty":
        if test.value is not None:
            raise BadRule("empty takes no value")
        return lambda text: not text
    if test.op == "one_of":
        wanted = frozenset(value.casefold() for value in _texts(test))
        return lambda text: text in wanted
    value = _text(test)
    if test.op == "regex":
        return Pattern(value).search
    value = value.casefold()
    if test.op == "equals":
        return lambda text: text == value
    if not value:
        raise BadRule(f"{test.op} needs a text that is not empty")
    if test.op == "contains":
        return lambda text: value in text
    if test.op == "starts":
        return lambda text: text.startswith(value)
    return lambda text: text.endswith(value)


def _on_text(test: Test) -> Matches:
    if test.field == "direction":
        said = _texts(test) if test.op == "one_of" else (_text(test),)
        if test.op not in ("equals", "one_of") or not set(said) <= {"in", "out"}:
            raise BadRule("a direction equals in or out")
    says, field = _text_test(test), test.field
    return lambda view: says(getattr(view, field))


def _on_tags(test: Test) -> Matches:
    """Some tag is so; `empty` asks whether there is any."""
    if test.op == "empty":
        return lambda view: not view.facts.tags
    says = _text_test(test)
    return lambda view: any(says(tag.casefold()) for tag in view.facts.tags)


_TENS: tuple[int, ...] = tuple(10**places for places in range(37))
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,77})(\.[0-9]{1,36})?", re.ASCII)


@attrs.frozen
class _Number:
    """A decimal as whole units of 10 ** -places, to be compared with amounts of any scale."""

    units: int
    places: int

    @classmethod
    def of(cls, text: str) -> "_Number":
        if not _DECIMAL.fullmatch(text):
            raise BadRule(f"{text[:40]!r} is not a decimal amount")
        whole, _, fraction = text.partition(".")
        return cls(int(whole + fraction), len(fraction))

    def less(self, amount: Amount, units: int) -> int:
        """How far `units` of the amount's asset are above this number, in a common scale."""
        return units * _TENS[self.places] - self.units * _TENS[amount.asset.scale]

    def near(self, amount: Amount, units: int) -> bool:
        """Within 7.5 % of this number, the bound rounded to a unit of the asset."""
        whole, part = _TENS[amount.asset.scale], _TENS[self.places]
        bound = (2 * abs(self.units) * 75 * whole + 1000 * part) // (2000 * part)
        return abs(self.less(amount, units)) <= bound * part


_COMPARED: Mapping[str, Callable[[int], bool]] = {
    "equals": lambda above: above == 0,
    "gt": lambda above: above > 0,
    "gte": lambda above: above >= 0,
    "lt": lambda above: above < 0,
    "lte": lambda above: above <= 0,
}


def _on_amount(test: Test) -> Matches:
    if test.op not in _AMOUNT_OPS:
        raise _unknown_op(test, (*_AMOUNT_OPS, "not_equals", "not_one_of"))

    def units(view: View) -> int:
        return view.facts.amount.units

    def size(view: View) -> int:
        return abs(view.facts.amount.units)

    of = size if test.field == "amount_abs" else units
    if test.op == "one_of":
        numbers = [_Number.of(text) for text in _texts(test)]
        return lambda view: any(not n.less(view.facts.amount, of(view)) for n in numbers)
    if test.op == "between":
        low, high = sorted(
            (_Number.of(text) for text in _pair(test)),
            key=lambda n: n.units * _TENS[36 - n.places],
        )
        return lambda view: (
            low.less(view.facts.amount, of(view)) >= 0 >= high.less(view.facts.amount, of(view))
        )
    number = _Number.of(_text(test))
    if test.op == "approx":
        return lambda view: number.near(view.facts.amount, of(view))
    holds = _COMPARED[test.op]
    return lambda view: holds(number.less(view.facts.amount, of(view)))


_NEAR_DAYS = 2


def _on_date(test: Test) -> Matches:
    if test.op not in _DATE_OPS:
        raise _unknown_op(test, (*_DATE_OPS, "not_equals"))
    if isinstance(test.value, Recurrence):
        return _on_recurrence(test, test.value)
    if test.op == "between":
        first, last = sorted(map(_day, _pair(test)))
        return lambda view: first <= view.facts.on_date <= last
    text = _text(test)
    if test.op == "equals":
        first, last = period_of(text)
        return lambda view: first <= view.facts.on_date <= last
    day = _day(text)
    if test.op == "approx":
        return lambda view: abs((view.facts.on_date - day).days) <= _NEAR_DAYS
    holds = _COMPARED[{"before": "lt", "after": "gt"}.get(test.op, test.op)]
    return lambda view: holds((view.facts.on_date - day).days)


def _on_recurrence(test: Test, days: Recurrence) -> Matches:
    if test.op == "equals":
        return lambda view: days.has(view.facts.on_date)
    if test.op != "approx":
        raise BadRule(f"{test.op} needs one day")
    around = [timedelta(days=away) for away in range(-_NEAR_DAYS, _NEAR_DAYS + 1)]
    return lambda view: any(days.has(view.facts.on_date + away) for away in around)


_PERIOD = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)


def period_of(text: str) -> tuple[date, date]:
    """First and last day of a day, a month or a year: `2020-08-10`, `2020-08`, `2020`."""
    found = _PERIOD.fullmatch(text)
    try:
        if found is None:
            raise ValueError("not of that form")
        year, month, day = (int(part) if part else None for part in found.groups())
        assert year is not None  # the form has one
        first = date(year, month or 1, day or 1)
        if day is not None:
            return first, first
        if month is None:
            return first, date(year, 12, 31)
        return first, date(year, first.month, monthrange(year, first.month)[1])
    except ValueError as error:
        raise BadRule(f"{text[:40]!r} is no day, month or year") from error


def _day(text: str) -> date:
    first, last = period_of(text)
    if first != last:
        raise BadRule(f"{text!r} is not one day")
    return first


def _text(test: Test) -> str:
    if not isinstance(test.value, str):
        raise BadRule(f"{test.op} of {test.field} needs a text")
    return _checked(test.value)


def _texts(test: Test) -> tuple[str, ...]:
    if not isinstance(test.value, tuple) or not 1 <= len(test.value) <= MAX_VALUES:
        raise BadRule(f"{test.op} of {test.field} needs a list of 1 to {MAX_VALUES} texts")
    return tuple(map(_checked, test.value))


def _pair(test: Test) -> tuple[str, str]:
    found = _texts(test)
    if len(found) != 2:
        raise BadRule(f"{test.op} of {test.field} needs two values")
    return found[0], found[1]


def _checked(text: str) -> str:
    if len(text) > MAX_VALUE or "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise BadRule(f"a value is a text of at most {MAX_VALUE} characters")
    return text


def _unknown_op(test: Test, known: Sequence[str]) -> BadRule:
    return BadRule(f"{test.field} cannot be asked {test.op[:40]!r}; it can {', '.join(known)}")


# --- what a record must contain, so that most rules need not be asked at all ---

_INDEXED = ("description", "counterparty", "merchant", "merchant_key")
Needle = tuple[str, str]
"""A field and a folded text."""


def needles(condition: Condition) -> tuple[Needle, ...] | None:
    """Texts of which a record must contain one for the condition to hold; None if nothing is known
    to be there."""
    match condition:
        case Test(field, "contains" | "starts" | "ends" | "equals", str(value)):
            return ((field, value.casefold()),) if field in _INDEXED and value else None
        case Test(field, "one_of", tuple(values)):
            known = field in _INDEXED and all(values)
            return tuple((field, value.casefold()) for value in values) if known else None
        case All(parts):
            found = [each for each in map(needles, parts) if each is not None]
            return min(found, key=_weight, default=None)
        case AnyOf(parts) if parts:
            each = [needles(part) for part in parts]
            together = [needle for some in each if some is not None for needle in some]
            return None if None in each else tuple(together)
        case _:
            return None


def _weight(some: tuple[Needle, ...]) -> tuple[int, int]:
    return len(some), -min(len(text) for _, text in some)
