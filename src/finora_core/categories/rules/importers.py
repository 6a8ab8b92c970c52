"""Rules of other programs: exports of Firefly III and of Actual Budget, read into ours.

Whatever has no counterpart is reported by its own name. A rule that would match other records
without an unreadable condition is left out whole; one that only does less is taken without it.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import attrs

from finora_core.categories.rules.actions import (
    Action,
    Affix,
    Set,
    Share,
    Split,
    Tags,
)
from finora_core.categories.rules.conditions import (
    All,
    AnyOf,
    BadRule,
    Condition,
    NoneOf,
    Recurrence,
    Test,
    period_of,
)
from finora_core.categories.rules.model import Rule, RuleGroup
from finora_core.kernel.errors import Invalid
from finora_core.kernel.ids import new_id


class UnknownRules(Invalid):
    """The file is no export of rules of the program that it was said to be of."""

    code = "UNKNOWN_RULES"


class Unsupported(Exception):
    """This part of a rule has no counterpart here; its text is the part's own name."""


@attrs.frozen
class Left:
    """What was not taken over, and of which rule."""

    rule: str
    what: str
    """Name of the operator or action, as the export has it."""
    reason: str
    whole: bool
    """The whole rule was left out."""


@attrs.frozen(kw_only=True)
class ImportedRules:
    """`left` has everything that was not taken over."""

    rules: tuple[Rule, ...]
    groups: tuple[RuleGroup, ...] = ()
    left: tuple[Left, ...] = ()


def read_rules(program: str, content: bytes) -> ImportedRules:
    """Read an export. Raises UnknownRules."""
    try:
        text = content.decode("utf-8-sig")
        if program == "firefly":
            return firefly_rules(text)
        if program == "actual":
            return actual_rules(json.loads(text, parse_float=Decimal, parse_int=Decimal))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UnknownRules(f"this is no export of rules of {program}: {error}") from error
    raise UnknownRules(f"rules come from firefly or actual, not from {program[:40]!r}")


# --- Firefly III ---

_TEXT_WORDS = {
    "is": "equals",
    "are": "equals",
    "contains": "contains",
    "contain": "contains",
    "starts": "starts",
    "start": "starts",
    "ends": "ends",
    "end": "ends",
}
_TEXT_FIELDS = {"description": "description", "notes": "note", "category": "category",
                "tag": "tags"}  # fmt: skip
_BARE = {
    "description": "description_is",
    "notes": "notes_contains",
    "category": "category_contains",
    "tag": "tag_is",
    "source": "source_account_contains",
    "from": "source_account_contains",
    "destination": "destination_account_contains",
    "to": "destination_account_contains",
    "amount": "amount_is",
    "amount_exactly": "amount_is",
    "amount_max": "amount_less",
    "less": "amount_less",
    "amount_min": "amount_more",
    "more": "amount_more",
    "date": "date_on",
    "date_is": "date_on",
    "on": "date_on",
    "before": "date_before",
    "after": "date_after",
    "type": "transaction_type",
    "has_any_notes": "any_notes",
    "has_notes": "any_notes",
}
# Firefly's amounts have no sign; its bounds are inclusive, as `amount_min` and `amount_max` say.
_AMOUNT_OPS = {"amount_is": "equals", "amount_less": "lte", "amount_more": "gte"}
_DATE_OPS = {"date_on": "equals", "date_before": "before", "date_after": "after"}
_PRESENT: Mapping[str, Condition] = {
    "has_any_category": Test("category", "not_empty"),
    "has_no_category": Test("category", "empty"),
    "has_any_tag": Test("tags", "not_empty"),
    "has_no_tag": Test("tags", "empty"),
    "any_notes": Test("note", "not_empty"),
    "no_notes": Test("note", "empty"),
    "exists": All(()),
}
_DIRECTIONS = {"withdrawal": "out", "deposit": "in"}
# From where money comes: out of the account to the counterparty, or the other way round.
_ENDS = {"source": ("out", "in"), "destination": ("in", "out")}


def firefly_condition(operator: str, value: str) -> Condition:
    """A trigger as a condition. Raises Unsupported with the operator's name, BadRule for a value
    that it cannot have."""
    negated, name = operator.startswith("-"), operator.removeprefix("-")
    if name == "tag_is_not":
        negated, name = not negated, "tag_is"
    found = _firefly(_canonical(name), value, operator)
    return NoneOf((found,)) if negated else found


def _canonical(name: str) -> str:
    """The operator that an alias stands for."""
    for short, long in (("from_account", "source_account"), ("to_account", "destination_account")):
        if name.startswith(short):
            name = long + name.removeprefix(short)
    return _BARE.get(name, name)


def _firefly(name: str, value: str, operator: str) -> Condition:
    if name in _PRESENT:
        return _PRESENT[name]
    if name in _AMOUNT_OPS:
        return Test("amount_abs", _AMOUNT_OPS[name], value.strip().removeprefix("-"))
    if name in _DATE_OPS:
        return Test("date", _DATE_OPS[name], value.strip())
    if name == "currency_is":
        return Test("currency", "equals", value.strip())
    if name == "transaction_type" and value.strip().casefold() in _DIRECTIONS:
        return Test("direction", "equals", _DIRECTIONS[value.strip().casefold()])
    if name == "user_action":
        return All(())  # When it runs, not on what: ours run on whatever comes in.
    stem, _, word = name.rpartition("_")
    if word in _TEXT_WORDS and stem in _TEXT_FIELDS:
        return Test(_TEXT_FIELDS[stem], _TEXT_WORDS[word], value)
    if word in _TEXT_WORDS and stem == "account":
        return _either_end(_TEXT_WORDS[word], value)
    side = stem.removesuffix("_account")
    if word in _TEXT_WORDS and stem.endswith("_account") and side in _ENDS:
        mine, theirs = _ENDS[side]
        op = _TEXT_WORDS[word]
        return AnyOf((
            All((Test("direction", "equals", mine), Test("account", op, value))),
            All((Test("direction", "equals", theirs), Test("counterparty", op, value))),
        ))  # fmt: skip
    raise Unsupported(operator if name != "transaction_type" else f"{operator} {value[:40]}")


def _either_end(op: str, value: str) -> Condition:
    return AnyOf((Test("account", op, value), Test("counterparty", op, value)))


def firefly_action(name: str, value: str) -> Action:
    """An action as one of ours. Raises Unsupported with its name, BadRule."""
    match name:
        case "set_category":
            return Set("category", value)
        case "clear_category":
            return Set("category", "")
        case "add_tag":
            return Tags((value.replace(",", " "),), add=True)
        case "remove_tag":
            return Tags((value.replace(",", " "),), add=False)
        case "remove_all_tags":
            return Tags((), add=False)
        case "set_description":
            return Set("description", value)
        case "append_description" | "prepend_description":
            return Affix("description", value, in_front=name.startswith("prepend"))
        case "set_notes":
            return Set("note", value)
        case "clear_notes":
            return Set("note", "")
        case "append_notes" | "prepend_notes":
            return Affix("note", value, in_front=name.startswith("prepend"))
        case _:
            raise Unsupported(name)


@attrs.define
class _Foreign:
    """A rule of Firefly as its export says it."""

    title: str
    group: str
    order: int
    active: bool
    strict: bool
    stop: bool
    triggers: list[tuple[str, str]]
    actions: list[tuple[str, str]]


def firefly_rules(text: str) -> ImportedRules:
    """The CSV of its export page, or the JSON of its API (`/api/v1/rules`)."""
    found = list(_from_json(json.loads(text)) if text.lstrip()[:1] in "{[" else _from_csv(text))
    groups = {
        name: RuleGroup(id=new_id(), name=name[:200], priority=place, stop=False)
        for place, name in enumerate(dict.fromkeys(each.group for each in found), 1)
        if name
    }
    rules: list[Rule] = []
    left: list[Left] = []
    for each in found:
        made = _from_firefly(each, groups.get(each.group), left)
        if made is not None:
            rules.append(made)
    used = {rule.group_id for rule in rules}
    return ImportedRules(
        rules=tuple(rules),
        groups=tuple(group for group in groups.values() if group.id in used),
        left=tuple(left),
    )


def _from_firefly(each: _Foreign, group: RuleGroup | None, left: list[Left]) -> Rule | None:
    parts, missing = [], False
    for operator, value in each.triggers:
        try:
            parts.append(firefly_condition(operator, value))
        except (Unsupported, Invalid) as error:
            missing = True
            left.append(_left(each.title, operator, error, whole=True))
    actions = []
    for name, value in each.actions:
        try:
            actions.append(firefly_action(name, value))
        except (Unsupported, Invalid) as error:
            left.append(_left(each.title, name, error, whole=missing))
    if missing or not parts or not actions:
        if not missing:
            lacks = "conditions" if not parts else "actions"
            left.append(Left(each.title, lacks, f"has no {lacks} that are known here", True))
        return None
    return Rule(
        id=new_id(),
        name=each.title[:200] or "Rule",
        condition=All(tuple(parts)) if each.strict else AnyOf(_unconditional(parts)),
        actions=tuple(actions),
        priority=each.order,
        continues=not each.stop,
        group_id=group.id if group else None,
        active=each.active,
    )


def _unconditional(parts: Sequence[Condition]) -> tuple[Condition, ...]:
    """Of alternatives, those that say something: `user_action` is none."""
    said = tuple(part for part in parts if part != All(()))
    return said or tuple(parts)


def _left(rule: str, what: str, error: Exception, *, whole: bool) -> Left:
    if isinstance(error, Unsupported):
        return Left(rule, str(error), "has no counterpart here", whole)
    return Left(rule, what, str(error), whole)


def _from_json(plain: object) -> Iterator[_Foreign]:
    rows = plain["data"] if isinstance(plain, Mapping) else plain
    if not isinstance(rows, list):
        raise UnknownRules("no list of rules is in it")
    for row in rows:
        said = row.get("attributes", row)
        yield _Foreign(
            title=str(said.get("title", "")),
            group=str(said.get("rule_group_title") or ""),
            order=_order(said.get("order")),
            active=bool(said.get("active", True)),
            strict=bool(said.get("strict", True)),
            stop=bool(said.get("stop_processing", False)),
            triggers=[
                (("-" if each.get("prohibited") else "") + str(each["type"]),
                 str(each.get("value") or ""))
                for each in said["triggers"] if each.get("active", True)
            ],
            actions=[
                (str(each["type"]), str(each.get("value") or ""))
                for each in said["actions"] if each.get("active", True)
            ],
        )  # fmt: skip


def _from_csv(text: str) -> Iterator[_Foreign]:
    reader = csv.DictReader(io.StringIO(text))
    if not {"row_contains", "title", "trigger_type", "action_type"} <= set(reader.fieldnames or ()):
        raise UnknownRules("the columns of a Firefly III rule export are not in it")
    found: dict[str, _Foreign] = {}
    for row in reader:
        key = row.get("rule_id") or row["title"]
        match row["row_contains"]:
            case "rule":
                found[key] = _Foreign(
                    title=row["title"],
                    group=row.get("group_name") or row.get("group_title") or "",
                    order=_order(row.get("order")),
                    active=_yes(row.get("active"), True),
                    strict=_yes(row.get("strict"), True),
                    stop=_yes(row.get("stop_processing"), False),
                    triggers=[],
                    actions=[],
                )
            case "trigger" if key in found and _yes(row.get("trigger_active"), True):
                found[key].triggers.append((row["trigger_type"], row.get("trigger_value") or ""))
            case "action" if key in found and _yes(row.get("action_active"), True):
                found[key].actions.append((row["action_type"], row.get("action_value") or ""))
    yield from found.values()


def _yes(said: str | None, unsaid: bool) -> bool:
    return unsaid if not said else said.strip().casefold() in ("1", "true", "yes")


def _order(said: object) -> int:
    text = str(said or 0)
    return min(int(text), 1_000_000) if text.isdecimal() else 0


# --- Actual Budget ---

_ACTUAL_FIELDS = {
    "notes": "note",
    "payee": "merchant",
    "payee_name": "merchant",
    "category": "category",
    "account": "account",
    "date": "date",
    "amount": "amount",
}
_ACTUAL_OPS = {
    "is": "equals",
    "isNot": "not_equals",
    "contains": "contains",
    "doesNotContain": "not_contains",
    "matches": "regex",
    "oneOf": "one_of",
    "notOneOf": "not_one_of",
    "isapprox": "approx",
    "isbetween": "between",
    "gt": "gt",
    "gte": "gte",
    "lt": "lt",
    "lte": "lte",
}
# How specific Actual takes a test to be. Rules with specific tests only count double, and the most
# specific runs last, so that it has the last word.
_SCORES = {"is": 10, "isNot": 10, "oneOf": 9, "notOneOf": 9, "isapprox": 5, "isbetween": 5,
           "gt": 1, "gte": 1, "lt": 1, "lte": 1}  # fmt: skip
_SPECIFIC = frozenset({"is", "isNot", "isapprox", "oneOf", "notOneOf"})
_STAGES = {"pre": 0, None: 1, "default": 1, "post": 2}
_NAMED = {"payee": "payees", "category": "categories", "account": "accounts"}


@attrs.frozen
class Names:
    """What Actual's ids stand for, where the export has them."""

    by_kind: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict)

    def of(self, field: str, said: str) -> str:
        return self.by_kind.get(_NAMED.get(field, ""), {}).get(said, said)


def actual_condition(plain: Mapping[str, object], names: Names | None = None) -> Condition:
    """A condition of Actual as one of ours; its amounts are cents. Raises Unsupported with its
    operator and field, BadRule for a value that it cannot have, BadPattern."""
    names = names or Names()
    field, op, value = str(plain.get("field")), str(plain.get("op")), plain.get("value")
    options = plain.get("options")
    options = options if isinstance(options, Mapping) else {}
    if field == "imported_payee":
        # What the bank wrote, which is in two fields here.
        both = tuple(_actual(each, op, value, field, names)
                     for each in ("counterparty", "description"))  # fmt: skip
        negative = _ACTUAL_OPS.get(op, "").startswith("not_")
        return All(both) if negative else AnyOf(both)
    if field not in _ACTUAL_FIELDS:
        raise Unsupported(f"{op} {field}")
    if field == "amount" and (options.get("inflow") or options.get("outflow")):
        way = "in" if options.get("inflow") else "out"
        size = _actual("amount_abs", op, value, field, names)
        return All((Test("direction", "equals", way), size))
    return _actual(_ACTUAL_FIELDS[field], op, value, field, names)


def _actual(field: str, op: str, value: object, named: str, names: Names) -> Condition:
    if op not in _ACTUAL_OPS:
        raise Unsupported(f"{op} {named}")
    ours = _ACTUAL_OPS[op]
    if field.startswith("amount"):
        return Test(field, ours, _cents(value, op))
    if field == "date":
        return _actual_date(ours, value)
    if value is None or value == "":
        if ours in ("equals", "not_equals"):
            return Test(field, "empty" if ours == "equals" else "not_empty")
        raise BadRule(f"{op} needs a value")
    if isinstance(value, list):
        return Test(field, ours, tuple(names.of(named, str(each)) for each in value))
    if not isinstance(value, str):
        raise BadRule(f"{op} of {named} needs a text")
    return Test(field, ours, names.of(named, value))


def _actual_date(ours: str, value: object) -> Condition:
    if isinstance(value, Mapping):
        patterns = value.get("patterns") or []
        if any(each.get("type") != "day" for each in patterns):
            raise Unsupported("recurring date by weekday")
        if value.get("skipWeekend") or value.get("endMode") not in (None, "never"):
            raise Unsupported("recurring date that skips weekends or ends")
        first, _ = period_of(str(value.get("start")))
        days = Recurrence(
            start=first,
            frequency=str(value.get("frequency")),
            interval=int(value.get("interval") or 1),
            days=tuple(int(each["value"]) for each in patterns),
        )
        return Test("date", ours, days)
    if not isinstance(value, str):
        raise BadRule("a date is a text")
    if ours == "not_equals":
        return NoneOf((Test("date", "equals", value),))
    return Test("date", ours, value)


def _cents(value: object, op: str) -> str | tuple[str, ...]:
    if op == "isbetween":
        if not isinstance(value, Mapping) or not {"num1", "num2"} <= set(value):
            raise BadRule("isbetween needs num1 and num2")
        return _decimal(value["num1"]), _decimal(value["num2"])
    return _decimal(value)


def _decimal(cents: object) -> str:
    if isinstance(cents, bool) or not isinstance(cents, int | Decimal):
        raise BadRule(f"{str(cents)[:40]!r} is not an amount")
    exact = Decimal(cents)
    if not exact.is_finite() or abs(exact) > 10**24:
        raise BadRule("the amount is out of range")
    return f"{exact.scaleb(-2):f}"


def actual_action(
    plain: Mapping[str, object], names: Names | None = None
) -> tuple[Action | None, tuple[int, Share] | None]:
    """An action as one of ours, or as the share of a split that it makes up with others. Raises
    Unsupported with its name, BadRule."""
    names = names or Names()
    op, field, value = str(plain.get("op")), str(plain.get("field")), plain.get("value")
    options = plain.get("options")
    options = options if isinstance(options, Mapping) else {}
    place = int(options.get("splitIndex") or 0)
    if op == "set-split-amount":
        return None, (place, actual_share({**options, "value": value}))
    if op == "set" and place and field == "category":
        return None, (place, Share(names.of(field, str(value or "")), "remainder"))
    if op in ("append-notes", "prepend-notes"):
        return Affix("note", str(value or ""), in_front=op.startswith("prepend")), None
    ours = {"notes": "note", "payee": "merchant", "payee_name": "merchant",
            "category": "category"}.get(field)  # fmt: skip
    if op != "set" or ours is None or place:
        raise Unsupported(f"{op} {field}" if op == "set" else op)
    if value is not None and not isinstance(value, str):
        raise BadRule(f"{op} of {field} needs a text")
    return Set(ours, names.of(field, value or "")), None


def actual_share(plain: Mapping[str, object]) -> Share:
    """A part of a split: `method` and, in cents or percent, `value`."""
    method, value = plain.get("method"), plain.get("value")
    match method:
        case "fixed-amount":
            return Share("", "fixed", _decimal(value))
        case "fixed-percent" if isinstance(value, int | Decimal):
            return Share("", "percent", f"{Decimal(value):f}")
        case "remainder":
            return Share("", "remainder")
        case _:
            raise Unsupported(f"set-split-amount {method}")


def actual_rules(plain: object) -> ImportedRules:
    """The list of its API's getRules, or an object with `rules` and, for the names behind ids,
    `payees`, `categories` and `accounts`."""
    rows = plain.get("rules") if isinstance(plain, Mapping) else plain
    if not isinstance(rows, list):
        raise UnknownRules("no list of rules is in it")
    names = Names(
        {
            kind: {str(each["id"]): str(each["name"]) for each in plain.get(kind, ())}
            for kind in _NAMED.values()
        }
        if isinstance(plain, Mapping)
        else {}
    )
    rules: list[Rule] = []
    left: list[Left] = []
    for place, row in enumerate(actual_order(rows)):
        made = _from_actual(row, (place + 1) * 10, names, left)
        if made is not None:
            rules.append(made)
    return ImportedRules(rules=tuple(rules), left=tuple(left))


def actual_order(rows: Sequence[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """As Actual ranks its rules: by stage, then the least specific first."""

    def rank(row: Mapping[str, object]) -> tuple[int, int, str]:
        conditions = row.get("conditions")
        ops = [str(each.get("op")) for each in conditions] if isinstance(conditions, list) else []
        score = sum(_SCORES.get(op, 0) for op in ops)
        if ops and set(ops) <= _SPECIFIC:
            score *= 2
        stage = row.get("stage")
        return _STAGES.get(str(stage) if stage else None, 1), score, str(row.get("id"))

    return sorted(rows, key=rank)


def _from_actual(
    row: Mapping[str, object], priority: int, names: Names, left: list[Left]
) -> Rule | None:
    title = f"Actual {row.get('id') or priority}"[:200]
    conditions, actions = row.get("conditions"), row.get("actions")
    if not isinstance(conditions, list) or not isinstance(actions, list):
        left.append(Left(title, "rule", "has no conditions or actions", True))
        return None
    parts: list[Condition] = []
    missing = False
    for each in conditions:
        what = f"{each.get('op')} {each.get('field')}"
        try:
            parts.append(actual_condition(each, names))
        except (Unsupported, Invalid) as error:
            missing = True
            left.append(_left(title, what, error, whole=True))
    does = _actual_actions(title, actions, names, left, missing)
    if missing or not does:
        if not missing:
            left.append(Left(title, "actions", "has no actions that are known here", True))
        return None
    tree = AnyOf(tuple(parts)) if row.get("conditionsOp") == "or" else All(tuple(parts))
    return Rule(
        id=new_id(),
        name=title,
        condition=tree,
        actions=does,
        priority=priority,
        # All of Actual's rules run, and the last one to set a field has it.
        continues=True,
    )


def _actual_actions(
    title: str, rows: Sequence[Mapping[str, object]], names: Names, left: list[Left], whole: bool
) -> tuple[Action, ...]:
    does: list[Action] = []
    methods: dict[int, Share] = {}
    categories: dict[int, str] = {}
    for each in rows:
        try:
            action, share = actual_action(each, names)
        except (Unsupported, Invalid) as error:
            left.append(_left(title, f"{each.get('op')} {each.get('field')}", error, whole=whole))
            continue
        if action is not None:
            does.append(action)
        elif share is not None and each.get("op") == "set":
            categories[share[0]] = share[1].category
        elif share is not None:
            methods[share[0]] = share[1]
    if methods:
        try:
            shares = [attrs.evolve(share, category=categories.get(place, ""))
                      for place, share in sorted(methods.items())]  # fmt: skip
            does.append(Split(tuple(shares)))
        except BadRule as error:
            left.append(Left(title, "set-split-amount", error.message, whole))
    return tuple(does)
