"""What a rule does with a record that it matches.

As JSON an action is `{"op": "set", "field": "category", "value": "Household:Rent"}`,
`{"op": "append", "field": "note", "value": "..."}` (or `prepend`), `{"op": "add_tags", "value":
[...]}` (or `remove_tags`), `{"op": "clear_tags"}`, `{"op": "skip_review"}`, or a split:
`{"op": "split", "value": [{"category": "Food", "method": "remainder"}, ...]}` with the methods
`fixed` (a signed decimal), `percent` (of what the fixed parts leave) and `remainder`.
"""

from collections.abc import Callable, Mapping, Sequence

import attrs

from finora_core.categories.rules.conditions import BadRule
from finora_core.kernel.amount import Amount, BadAmount, allocate, units_of
from finora_core.kernel.errors import Invalid
from finora_core.records.model import (
    MAX_PARTS,
    MAX_TEXT,
    Part,
    category_path,
    check_text,
    checked_tags,
)

SETTABLE = ("category", "description", "note", "merchant")
_AFFIXED = ("description", "note")
METHODS = ("fixed", "percent", "remainder")
MAX_ACTIONS = 20


@attrs.frozen
class Set:
    """Give a field a value; the empty text takes it away."""

    field: str
    value: str

    def __attrs_post_init__(self) -> None:
        if self.field not in SETTABLE:
            raise BadRule(f"a rule cannot set {self.field[:40]!r}; it can {', '.join(SETTABLE)}")
        check_text(self.value)
        if self.field == "category":
            object.__setattr__(self, "value", category_path(self.value))
        elif self.field == "description" and not self.value.strip():
            raise BadRule("a description is not empty")


@attrs.frozen
class Affix:
    """Add to a text, once: at its end, or in front."""

    field: str
    value: str
    in_front: bool = False

    def __attrs_post_init__(self) -> None:
        check_text(self.value)
        if self.field not in _AFFIXED or not self.value:
            raise BadRule(f"something is added to {' or '.join(_AFFIXED)}")

    def to(self, text: str) -> str:
        there = text.startswith(self.value) if self.in_front else text.endswith(self.value)
        if there:
            return text
        joined = self.value + text if self.in_front else text + self.value
        return text if len(joined) > MAX_TEXT else joined


@attrs.frozen
class Tags:
    """Add tags, or take them away; without any, all of them."""

    names: tuple[str, ...]
    add: bool

    def __attrs_post_init__(self) -> None:
        if self.add and not self.names:
            raise BadRule("which tags should be added?")
        object.__setattr__(self, "names", checked_tags(self.names))

    def to(self, tags: tuple[str, ...]) -> tuple[str, ...]:
        if self.add:
            return checked_tags({*tags, *self.names})
        return tuple(tag for tag in tags if self.names and tag not in self.names)


@attrs.frozen
class SkipReview:
    """What the rule decides needs nobody's approval."""


@attrs.frozen
class Share:
    category: str
    method: str
    value: str = ""

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "category", category_path(self.category))
        if self.method not in METHODS:
            raise BadRule(f"a part is {', '.join(METHODS)}, not {self.method[:40]!r}")
        if self.method == "remainder" and self.value:
            raise BadRule("a remainder has no value")
        if self.method == "fixed":
            _amount(self.value, 36)
        if self.method == "percent" and not 0 < self.hundredths <= 10_000:
            raise BadRule("a percentage is above 0 and at most 100")

    @property
    def hundredths(self) -> int:
        """Of a percent."""
        return _amount(self.value, 2)


@attrs.frozen
class Split:
    """Divide a record among categories, to the last unit."""

    shares: tuple[Share, ...]

    def __attrs_post_init__(self) -> None:
        if not 2 <= len(self.shares) <= MAX_PARTS:
            raise BadRule(f"a split has 2 to {MAX_PARTS} parts")
        percents = [share.hundredths for share in self.shares if share.method == "percent"]
        rest = any(share.method == "remainder" for share in self.shares)
        if sum(percents) > 10_000 or (percents and not rest and sum(percents) != 10_000):
            raise BadRule("percentages are 100 in all, or less with a remainder")

    def divide(self, amount: Amount) -> tuple[Part, ...] | None:
        """The parts of an amount, which sum to it; None where fixed parts alone do not, or are
        finer than its asset.

        Fixed parts come off first. What is left goes to percentages, and what those leave to the
        remainders in equal parts: one allocation, in which no unit is lost.
        """
        try:
            fixed = {
                place: units_of(share.value, amount.asset.scale)
                for place, share in enumerate(self.shares)
                if share.method == "fixed"
            }
        except BadAmount:
            return None
        left = amount.units - sum(fixed.values())
        units = fixed | self._shared(left)
        if sum(units.values()) != amount.units:
            return None
        return tuple(
            Part(share.category, Amount(units[place], amount.asset))
            for place, share in enumerate(self.shares)
        )

    def _shared(self, left: int) -> dict[int, int]:
        rests = sum(share.method == "remainder" for share in self.shares)
        percents = sum(share.hundredths for share in self.shares if share.method == "percent")
        # Ties of an allocation go by the key's text, here by the part's place.
        weights = {
            f"{place:04}": share.hundredths * max(rests, 1)
            if share.method == "percent"
            else 10_000 - percents
            for place, share in enumerate(self.shares)
            if share.method != "fixed"
        }
        if not weights:
            return {}
        return {int(place): units for place, units in allocate(left, weights).items()}


Action = Set | Affix | Tags | SkipReview | Split

_OF_A_CATEGORY = frozenset(("category", "parts", "booked", "locked"))


def touches(action: Action) -> frozenset[str]:
    """The facts on which it depends what an action changes, by their names in RecordFacts."""
    match action:
        case Set("category", _):
            return _OF_A_CATEGORY
        case Set(field, _) | Affix(field, _, _):
            return frozenset((field, "locked"))
        case Tags():
            return frozenset(("tags", "locked"))
        case SkipReview():
            return frozenset()
        case Split():
            return _OF_A_CATEGORY | {"amount"}


def _amount(text: str, scale: int) -> int:
    try:
        return units_of(text, scale)
    except BadAmount as error:
        raise BadRule(error.message) from error


# --- from JSON and back ---


def actions_of(plain: object, path: str = "actions") -> tuple[Action, ...]:
    """Read a list of actions. Raises BadRule with the place of what is wrong."""
    if not isinstance(plain, Sequence) or isinstance(plain, str):
        raise BadRule(f"{path} is not a list", details=((path, "is not a list"),))
    if not 1 <= len(plain) <= MAX_ACTIONS:
        wrong = f"has 1 to {MAX_ACTIONS} actions"
        raise BadRule(f"{path} {wrong}", details=((path, wrong),))
    return tuple(_action(each, f"{path}.{place}") for place, each in enumerate(plain))


def _action(plain: object, path: str) -> Action:
    try:
        if not isinstance(plain, Mapping):
            raise BadRule("is not an object")
        op = plain.get("op")
        reader = _READ.get(op) if isinstance(op, str) else None
        if reader is None:
            raise BadRule(f"there is no action {str(op)[:40]!r}; there are {', '.join(_READ)}")
        names, read = reader
        if set(plain) != {"op", *names}:
            raise BadRule(f"{op} takes {' and '.join(names) or 'nothing else'}")
        return read(plain)
    except Invalid as error:
        said = BadRule if isinstance(error, BadRule) else type(error)
        raise said(f"{path}: {error.message}", details=((path, error.message),)) from error


def _str(plain: Mapping[str, object], name: str) -> str:
    value = plain.get(name)
    if not isinstance(value, str):
        raise BadRule(f"{name} is a text")
    return value


def _strs(plain: Mapping[str, object]) -> tuple[str, ...]:
    value = plain.get("value")
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise BadRule("value is a list of texts")
    return tuple(value)


def _split(plain: Mapping[str, object]) -> Split:
    value = plain.get("value")
    if not isinstance(value, list | tuple):
        raise BadRule("value is a list of parts")
    shares = []
    for each in value:
        if not isinstance(each, Mapping) or not set(each) <= {"category", "method", "value"}:
            raise BadRule("a part has category, method and value")
        given = _str(each, "value") if each.get("value") is not None else ""
        shares.append(Share(_str(each, "category"), _str(each, "method"), given))
    return Split(tuple(shares))


_READ: Mapping[str, tuple[tuple[str, ...], Callable[[Mapping[str, object]], Action]]] = {
    "set": (("field", "value"), lambda plain: Set(_str(plain, "field"), _str(plain, "value"))),
    "append": (
        ("field", "value"),
        lambda plain: Affix(_str(plain, "field"), _str(plain, "value")),
    ),
    "prepend": (
        ("field", "value"),
        lambda plain: Affix(_str(plain, "field"), _str(plain, "value"), in_front=True),
    ),
    "add_tags": (("value",), lambda plain: Tags(_strs(plain), add=True)),
    "remove_tags": (("value",), lambda plain: Tags(_strs(plain), add=False)),
    "clear_tags": ((), lambda plain: Tags((), add=False)),
    "skip_review": ((), lambda plain: SkipReview()),
    "split": (("value",), _split),
}


def plain_action(action: Action) -> dict[str, object]:
    """The action as JSON values: what actions_of reads."""
    match action:
        case Set(field, value):
            return {"op": "set", "field": field, "value": value}
        case Affix(field, value, in_front):
            return {"op": "prepend" if in_front else "append", "field": field, "value": value}
        case Tags((), False):
            return {"op": "clear_tags"}
        case Tags(names, add):
            return {"op": "add_tags" if add else "remove_tags", "value": list(names)}
        case SkipReview():
            return {"op": "skip_review"}
        case Split(shares):
            parts = [
                {"category": share.category, "method": share.method}
                | ({"value": share.value} if share.value else {})
                for share in shares
            ]
            return {"op": "split", "value": parts}
