"""A rule as a form: rows of tests in groups, rows of actions; and as JSON what has no such form."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from flask import request

from finora_core.categories.rules.actions import Action, actions_of, plain_action
from finora_core.categories.rules.conditions import (
    BadRule,
    Condition,
    condition_of,
    plain_condition,
)
from finora_core.categories.rules.model import Rule
from finora_core.kernel.ids import new_id
from finora_web.errors import BadRequest
from finora_web.pages.forms import sent, typed

MODES: Mapping[str, str] = {
    "all": "all of these are so",
    "any": "any of these is so",
    "none": "none of these is so",
}
FIELDS: Mapping[str, str] = {
    "description": "description",
    "counterparty": "counterparty",
    "merchant": "merchant",
    "amount_abs": "amount, without sign",
    "amount": "amount, minus is out",
    "direction": "direction: in or out",
    "account": "account",
    "currency": "currency",
    "date": "date",
    "category": "category",
    "tags": "tag",
    "note": "note",
    "source": "source",
    "merchant_key": "merchant key",
    "account_id": "account id",
}
OPS: Mapping[str, Mapping[str, str]] = {
    "Text": {
        "contains": "contains",
        "not_contains": "does not contain",
        "equals": "is",
        "not_equals": "is not",
        "starts": "begins with",
        "ends": "ends with",
        "one_of": "is one of (commas)",
        "not_one_of": "is none of (commas)",
        "regex": "fits the pattern",
        "not_regex": "does not fit the pattern",
        "empty": "is empty",
        "not_empty": "is not empty",
    },
    "Amount or date": {
        "gt": "is above",
        "gte": "is at least",
        "lt": "is below",
        "lte": "is at most",
        "between": "is between (comma)",
        "approx": "is about",
        "before": "is before",
        "after": "is after",
    },
}
ACTIONS: Mapping[str, str] = {
    "set category": "give the category",
    "set merchant": "name the merchant",
    "set description": "write the description",
    "set note": "write the note",
    "append note": "add to the note",
    "prepend note": "put before the note",
    "append description": "add to the description",
    "prepend description": "put before the description",
    "add_tags": "add tags (commas)",
    "remove_tags": "take away tags (commas)",
    "clear_tags": "take away all tags",
    "skip_review": "skip the review",
}
_LISTS = ("one_of", "not_one_of", "between")
_ALONE = ("empty", "not_empty")
_MOST = 200


@attrs.frozen
class Row:
    """One test: of which group, and what it asks."""

    group: int
    field: str = "description"
    op: str = "contains"
    value: str = ""


@attrs.frozen(kw_only=True)
class Written:
    """What stands in the form. `modes` has one for the whole, then one for each inner group."""

    name: str = ""
    modes: Sequence[str] = ("all",)
    rows: Sequence[Row] = (Row(0),)
    actions: Sequence[tuple[str, str]] = (("set category", ""),)
    continues: bool = False
    active: bool = True
    text: str | None = None
    """Condition and actions as JSON, in place of rows."""

    @classmethod
    def of(cls, rule: Rule) -> "Written":
        named: dict[str, Any] = {
            "name": rule.name, "continues": rule.continues, "active": rule.active,
        }  # fmt: skip
        try:
            modes, rows = _rows(plain_condition(rule.condition))
            actions = [_row(plain_action(action)) for action in rule.actions]
        except _Intricate:
            return cls(**named, text=_json(rule.condition, rule.actions))
        return cls(**named, modes=modes, rows=rows, actions=actions)

    @classmethod
    def sent(cls) -> "Written":
        """Of the form. Raises BadRequest for one that is none of ours."""
        given = request.form
        modes = given.getlist("mode")[:_MOST]
        columns = [given.getlist(name)[:_MOST] for name in ("group", "field", "op", "value")]
        does = [given.getlist(name)[:_MOST] for name in ("action", "argument")]
        if len({*map(len, columns)}) != 1 or len({*map(len, does)}) != 1:
            raise BadRequest("the form is not whole")
        try:
            rows = [Row(int(group), *rest) for group, *rest in zip(*columns, strict=True)]
        except ValueError as error:
            raise BadRequest("the form is not whole") from error
        if any(not 0 <= row.group < max(len(modes), 1) for row in rows):
            raise BadRequest("the form is not whole")
        return cls(
            name=sent("name")[:_MOST],
            modes=modes or ["all"],
            rows=rows,
            actions=list(zip(*does, strict=True)),
            continues="continues" in given,
            active="active" in given,
            text=typed("text") if "text" in given else None,
        )

    def after(self, pressed: str) -> "Written":
        """What the form is once a button of it was pressed that changes its rows."""
        what, _, place = pressed.partition(" ")
        at = int(place) if place.isdecimal() and len(place) < 4 else -1
        match what:
            case "test" if 0 <= at < len(self.modes):
                return attrs.evolve(self, rows=[*self.rows, Row(at)])
            case "group":
                group = len(self.modes)
                return attrs.evolve(self, modes=[*self.modes, "any"], rows=[*self.rows, Row(group)])
            case "action":
                return attrs.evolve(self, actions=[*self.actions, ("add_tags", "")])
            case "drop-test":
                return attrs.evolve(self, rows=_without(self.rows, at))
            case "drop-action":
                return attrs.evolve(self, actions=_without(self.actions, at))
            case "drop-group" if 0 < at < len(self.modes):
                kept = [row for row in self.rows if row.group != at]
                return attrs.evolve(
                    self,
                    modes=_without(self.modes, at),
                    rows=[attrs.evolve(row, group=row.group - (row.group > at)) for row in kept],
                )
            case "text":
                return attrs.evolve(self, text=json.dumps(self._plain(), indent=1))
        return self

    def rule(self) -> Rule:
        """Raises BadRule, BadPattern, BadCategory, BadTags, BadRecord."""
        plain = self._plain() if self.text is None else _read(self.text)
        condition = condition_of(plain["condition"])
        return Rule(
            id=new_id(),
            name=self.name or _named(plain),
            condition=condition,
            actions=actions_of(plain["actions"]),
            continues=self.continues,
            active=self.active,
        )

    def _plain(self) -> dict[str, Any]:
        """As JSON. A test or an action that was left empty is left out."""
        groups: list[list[dict[str, Any]]] = [[] for _ in self.modes]
        for row in self.rows:
            if row.value.strip() or row.op in _ALONE:
                groups[row.group].append(_test(row))
        inner = [
            {mode: tests} for mode, tests in zip(self.modes[1:], groups[1:], strict=True) if tests
        ]
        actions = [_action(what, said) for what, said in self.actions if said.strip() or
                   what in ("clear_tags", "skip_review")]  # fmt: skip
        whole = [*groups[0], *inner]
        if not whole:
            raise BadRule("Say what a record must be like: a rule without a test would hit all.")
        if not actions:
            raise BadRule("Say what should be done with them.")
        return {"condition": {self.modes[0]: whole}, "actions": actions}


class _Intricate(Exception):
    """The rule has no rows: nested deeper, days that come again, a split."""


def _rows(plain: Mapping[str, Any], depth: int = 0) -> tuple[list[str], list[Row]]:
    if "field" in plain:
        return ["all"], [_written(plain, 0)]
    ((mode, parts),) = plain.items()
    modes, rows = [mode], []
    for part in parts:
        if "field" in part:
            rows.append(_written(part, 0))
            continue
        ((inner, tests),) = part.items()
        if not all("field" in test for test in tests):
            raise _Intricate
        modes.append(inner)
        rows += [_written(test, len(modes) - 1) for test in tests]
    return modes, rows


def _written(test: Mapping[str, Any], group: int) -> Row:
    value = test.get("value", "")
    if isinstance(value, Mapping) or (isinstance(value, list) and any("," in v for v in value)):
        raise _Intricate
    text = ", ".join(value) if isinstance(value, list) else value
    return Row(group, test["field"], test["op"], text)


def _row(action: Mapping[str, Any]) -> tuple[str, str]:
    what = f"{action['op']} {action['field']}" if "field" in action else action["op"]
    value = action.get("value", "")
    if what not in ACTIONS:
        raise _Intricate
    return what, ", ".join(value) if isinstance(value, list) else value


def _test(row: Row) -> dict[str, Any]:
    plain: dict[str, Any] = {"field": row.field, "op": row.op}
    if row.op in _LISTS:
        plain["value"] = _split(row.value)
    elif row.op not in _ALONE:
        plain["value"] = row.value.strip()
    return plain


def _action(what: str, said: str) -> dict[str, Any]:
    op, _, field = what.partition(" ")
    if field:
        return {"op": op, "field": field, "value": said if "pend" in op else said.strip()}
    if op in ("add_tags", "remove_tags"):
        return {"op": op, "value": _split(said)}
    return {"op": op}


def _split(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _json(condition: Condition, actions: Sequence[Action]) -> str:
    plain = {
        "condition": plain_condition(condition),
        "actions": [plain_action(action) for action in actions],
    }
    return json.dumps(plain, indent=1, ensure_ascii=False)


def _read(text: str) -> dict[str, Any]:
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRule("This is not JSON.", details=(("text", "is not JSON"),)) from error
    if not isinstance(plain, dict) or set(plain) != {"condition", "actions"}:
        raise BadRule("A rule as JSON has a condition and actions, and nothing else.")
    return plain


def _named(plain: Mapping[str, Any]) -> str:
    """After its first action, where nobody named it."""
    actions = plain["actions"]
    said = actions[0].get("value") if isinstance(actions, list) and actions else None
    return (said if isinstance(said, str) else "").strip()[:_MOST] or "A rule"


def _without(rows: Sequence[Any], at: int) -> list[Any]:
    return [each for place, each in enumerate(rows) if place != at]
