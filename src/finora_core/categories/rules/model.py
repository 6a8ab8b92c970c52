"""Rules: what they are, and the book of them that says what becomes of a record."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar
from uuid import UUID

import attrs

from finora_core.categories.rules.actions import (
    Action,
    Affix,
    Set,
    SkipReview,
    Split,
    Tags,
    touches,
)
from finora_core.categories.rules.conditions import (
    BadRule,
    Condition,
    Matches,
    RecordFacts,
    View,
    compiled,
    needles,
    reads,
)
from finora_core.kernel.amount import Amount
from finora_core.kernel.errors import Conflict, NotFound
from finora_core.kernel.events import Plain
from finora_core.records.model import Part, check_text


class RuleNotFound(NotFound):
    """There is no such rule in this tenant."""

    code = "RULE_NOT_FOUND"


class GroupNotFound(NotFound):
    """There is no such group of rules in this tenant."""

    code = "RULE_GROUP_NOT_FOUND"


class RunNotFound(NotFound):
    """There is no such run of rules in this tenant."""

    code = "RULE_RUN_NOT_FOUND"


class RunUndone(Conflict):
    """The run was undone before, or is being undone."""

    code = "RULE_RUN_UNDONE"


class TooManyRules(Conflict):
    """A tenant has at most 2000 rules."""

    code = "TOO_MANY_RULES"


class GroupExists(Conflict):
    """A group of rules with this name exists."""

    code = "RULE_GROUP_EXISTS"


MAX_RULES = 2_000
MAX_PRIORITY = 1_000_000


@attrs.frozen(kw_only=True)
class RuleGroup:
    """Rules that belong together. Groups run by priority. When a rule that does not `continue`
    matches, the rest of its group is passed over; if the group stops, everything after it too."""

    id: UUID
    name: str
    priority: int = 0
    stop: bool = True


@attrs.frozen(kw_only=True)
class Rule:
    """If the condition holds, the actions are done, in order. Lower priorities come first; rules
    without a group come before all groups."""

    id: UUID
    name: str
    condition: Condition
    actions: tuple[Action, ...]
    priority: int = 0
    continues: bool = False
    """Further rules are asked after this one."""
    group_id: UUID | None = None
    active: bool = True
    created_at: datetime | None = None
    hits: int = 0
    last_hit_at: datetime | None = None
    overridden: int = 0
    """How often a person gave another category than this rule had."""

    def __attrs_post_init__(self) -> None:
        check_name(self.name)
        if not self.actions:
            raise BadRule("a rule does something")
        check_priority(self.priority)


def check_name(name: str) -> None:
    check_text(name)
    if not 1 <= len(name) <= 200 or not name.strip():
        raise BadRule("a name has 1 to 200 characters")


def check_priority(priority: int) -> None:
    if not 0 <= priority <= MAX_PRIORITY:
        raise BadRule(f"a priority is from 0 to {MAX_PRIORITY}")


Text = str | tuple[str, ...]
"""A field's value: a text, or the tags."""
NOTHING: Mapping[str, Text] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class Effect:
    """What the rules make of a record: only what differs from what is there."""

    values: Mapping[str, Text] = NOTHING
    """New values of category, tags, description, note, merchant."""
    rules: tuple[UUID, ...] = ()
    """Those that matched, in order."""
    skip_review: bool = False
    split: tuple[Part, ...] | None = None
    """In place of a category."""
    by: Mapping[str, UUID] = attrs.field(factory=dict)
    """Which rule set a field last; a split is of the field category."""
    locked: Mapping[str, UUID] = attrs.field(factory=dict)
    """Fields that a rule would have written and a person has set, with the rule."""
    unfit: UUID | None = None
    """A rule whose split does not add up to this record's amount; it split nothing."""

    @property
    def changes(self) -> bool:
        return bool(self.values) or self.split is not None


NO_EFFECT = Effect()


@attrs.define
class _Draft:
    """A record while rules go over it."""

    given: RecordFacts
    facts: RecordFacts
    hits: list[UUID] = attrs.field(factory=list)
    by: dict[str, UUID] = attrs.field(factory=dict)
    locked: dict[str, UUID] = attrs.field(factory=dict)
    skip_review: bool = False
    unfit: UUID | None = None

    def act(self, rule: Rule) -> None:
        self.hits.append(rule.id)
        for action in rule.actions:
            match action:
                case Set("category", value):
                    self._write(rule, "category", category=value, parts=())
                case Set("merchant", value):
                    self._write(rule, "merchant", merchant=value or None)
                case Set(field, value):
                    self._write(rule, field, **{field: value})
                case Affix(field, _, _):
                    self._write(rule, field, **{field: action.to(getattr(self.facts, field))})
                case Tags():
                    self._write(rule, "tags", tags=action.to(self.facts.tags))
                case SkipReview():
                    self.skip_review = True
                case Split():
                    self._split(rule, action)

    def _split(self, rule: Rule, split: Split) -> None:
        parts = split.divide(self.facts.amount)
        if parts is None:
            self.unfit = rule.id
            return
        held = tuple(part for part in parts if part.amount)
        if len(held) == 1:
            # Nothing was left for the others.
            self._write(rule, "category", category=held[0].category, parts=())
        else:
            self._write(rule, "category", category="", parts=held)

    def _write(self, rule: Rule, field: str, **values: Any) -> None:
        if field == "category" and not self.given.booked:
            return  # Nothing is posted yet that could have one.
        if field in self.given.locked:
            if any(getattr(self.given, name) != value for name, value in values.items()):
                self.locked[field] = rule.id
            return
        self.facts = attrs.evolve(self.facts, **values)
        self.by[field] = rule.id

    def effect(self) -> Effect:
        before, after = self.given, self.facts
        values: dict[str, Text] = {}
        for field in ("tags", "description", "note", "merchant"):
            if getattr(after, field) != getattr(before, field):
                values[field] = getattr(after, field) or ""
        split = None
        if after.parts and after.parts != before.parts:
            split = after.parts
        elif not after.parts and (before.parts or after.category != before.category):
            values["category"] = after.category
        changed = set(values) | ({"category"} if split is not None else set())
        return Effect(
            values=values or NOTHING,
            rules=tuple(self.hits),
            skip_review=self.skip_review,
            split=split,
            by={field: rule for field, rule in self.by.items() if field in changed},
            locked=self.locked,
            unfit=self.unfit,
        )


@attrs.frozen
class _Compiled:
    rule: Rule
    matches: Matches
    following: int
    """Where to go on after a match that does not continue."""


_FEW = 12
_GRAM = 3


@attrs.frozen
class _Index:
    """Finds the rules that a record may match, by three letters of a text that it must contain."""

    always: tuple[int, ...]
    grams: Mapping[str, Mapping[str, Sequence[tuple[str, int]]]]
    """By field, by the first letters of the text: the texts with their rules' places."""

    @classmethod
    def of(cls, rules: Sequence[_Compiled]) -> "_Index":
        always: list[int] = []
        grams: dict[str, dict[str, list[tuple[str, int]]]] = {}
        for place, each in enumerate(rules):
            wanted = needles(each.rule.condition)
            if wanted is None or any(len(text) < _GRAM for _, text in wanted):
                always.append(place)
                continue
            for field, text in wanted:
                grams.setdefault(field, {}).setdefault(text[:_GRAM], []).append((text, place))
        return cls(tuple(always), grams)

    def places(self, view: View) -> Sequence[int]:
        found = set(self.always)
        for field, by_gram in self.grams.items():
            text = getattr(view, field)
            for start in range(len(text) - _GRAM + 1):
                known = by_gram.get(text[start : start + _GRAM])
                if known is not None:
                    found.update(place for needle, place in known if needle in text)
        return sorted(found)


@attrs.frozen
class RuleBook:
    """A tenant's active rules in the order in which they are asked, compiled."""

    _rules: tuple[_Compiled, ...] = ()
    _index: _Index | None = None
    _apart: bool = True
    """No rule asks for what an earlier one writes: what matches does not depend on what is done."""

    @classmethod
    def of(cls, rules: Iterable[Rule], groups: Iterable[RuleGroup] = ()) -> "RuleBook":
        known = {group.id: group for group in groups}
        ordered = in_order((rule for rule in rules if rule.active), known.values())
        ends = {rule.group_id: place for place, rule in enumerate(ordered, 1)}
        made = tuple(
            _Compiled(
                rule,
                compiled(rule.condition),
                ends[rule.group_id] if _goes_past(known, rule) else len(ordered),
            )
            for rule in ordered
        )
        return cls(made, _Index.of(made) if len(made) > _FEW else None, _are_apart(ordered))

    def __len__(self) -> int:
        return len(self._rules)

    @property
    def asks(self) -> frozenset[str]:
        """The facts on which it depends which rules match."""
        return frozenset[str]().union(*(reads(each.rule.condition) for each in self._rules))

    @property
    def touches(self) -> frozenset[str]:
        """The facts on which it depends besides what the rules that match do: of records that are
        alike in them, and have the same matches, the effects are the same."""
        acted = (touches(action) for each in self._rules for action in each.rule.actions)
        return frozenset[str]().union(*acted, () if self._apart else self.asks)

    def apply(self, facts: RecordFacts) -> Effect:
        """What becomes of the record. Later rules see what earlier ones did."""
        return self.effect(facts, self.matching(View(facts)))

    def matching(self, view: View, start: int = 0) -> tuple[int, ...]:
        """The rules that match, by their places: all, or where later ones may ask for what earlier
        ones do, the first."""
        rules, found = self._rules, []
        places = range(len(rules)) if self._index is None else self._index.places(view)
        for place in places:
            if place < start or not rules[place].matches(view):
                continue
            found.append(place)
            if not self._apart:
                break
            start = self._after(place)
        return tuple(found)

    def effect(self, facts: RecordFacts, matching: tuple[int, ...]) -> Effect:
        """What becomes of a record which these rules match."""
        if not matching:
            return NO_EFFECT
        draft = _Draft(facts, facts)
        while matching:
            for place in matching:
                draft.act(self._rules[place].rule)
            if self._apart:
                break
            matching = self.matching(View(draft.facts), self._after(matching[-1]))
        return draft.effect()

    def _after(self, place: int) -> int:
        """The place of the next rule to ask after a match."""
        each = self._rules[place]
        return place + 1 if each.rule.continues else each.following


def _are_apart(rules: Iterable[Rule]) -> bool:
    written: set[str] = set()
    for rule in rules:
        if written & reads(rule.condition):
            return False
        written.update(name for action in rule.actions for name in touches(action))
    return True


def in_order(rules: Iterable[Rule], groups: Iterable[RuleGroup]) -> list[Rule]:
    """As they are asked: rules without a group, then group by group."""
    known = {group.id: (1, group.priority, group.name, group.id.int) for group in groups}
    first = (0, 0, "", 0)
    return sorted(
        rules,
        key=lambda rule: (
            known.get(rule.group_id, first) if rule.group_id else first,
            rule.priority,
            rule.id.int,
        ),
    )


def _goes_past(groups: Mapping[UUID, RuleGroup], rule: Rule) -> bool:
    """Whether after a match the groups behind this one are still asked."""
    group = groups.get(rule.group_id) if rule.group_id else None
    return group is not None and not group.stop


# --- previews and runs ---


class RunState(StrEnum):
    WAITING = "waiting"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"


@attrs.frozen(kw_only=True)
class RunFilter:
    """Which records: of these days, of this account. Deleted ones never."""

    since: date | None = None
    until: date | None = None
    account_id: UUID | None = None


@attrs.frozen(kw_only=True)
class FieldChange:
    """A field of a record before and after: a text, a list of tags, or the parts of a split as
    [category, units] pairs."""

    record_id: UUID
    field: str
    rule_id: UUID
    before: object
    after: object
    locked: bool = False
    """A person has set the field: nothing was written, and `after` is as before."""


def current(facts: RecordFacts, field: str) -> object:
    """What a field says now, in the form of a FieldChange."""
    if field == "category":
        return _plain_parts(facts.parts) if facts.parts else facts.category
    if field == "tags":
        return list(facts.tags)
    return getattr(facts, field) or ""


def changes_of(facts: RecordFacts, effect: Effect) -> tuple[FieldChange, ...]:
    """What an effect changes of a record, and what it leaves because a person has set it."""
    after: dict[str, object] = {
        field: list(value) if isinstance(value, tuple) else value
        for field, value in effect.values.items()
    }
    if effect.split is not None:
        after["category"] = _plain_parts(effect.split)
    changed = [
        FieldChange(
            record_id=facts.id,
            field=field,
            rule_id=effect.by[field],
            before=current(facts, field),
            after=value,
        )
        for field, value in sorted(after.items())
    ]
    for field, rule_id in sorted(effect.locked.items()):
        value = current(facts, field)
        changed.append(
            FieldChange(
                record_id=facts.id,
                field=field,
                rule_id=rule_id,
                before=value,
                after=value,
                locked=True,
            )
        )
    return tuple(changed)


def _plain_parts(parts: Iterable[Part]) -> list[list[str]]:
    return [[part.category, str(part.amount.units)] for part in parts]


@attrs.frozen(kw_only=True)
class RecordDifference:
    """What a preview shows of one record."""

    id: UUID
    on_date: date
    amount: Amount
    description: str
    changes: tuple[FieldChange, ...]
    rules: tuple[UUID, ...]


@attrs.frozen(kw_only=True)
class RulePreview:
    """What rules would do, without doing it."""

    examined: int
    matched: int
    changed: int
    locked: int
    """Records of which a field stays as a person set it."""
    items: tuple[RecordDifference, ...]
    next: str | None = None


@attrs.frozen(kw_only=True)
class RuleRun:
    """A set of rules over records that were there already."""

    id: UUID
    state: RunState
    wanted: RunFilter
    rules: int
    examined: int = 0
    matched: int = 0
    changed: int = 0
    """Fields that were written."""
    locked: int = 0
    """Fields that a person had set."""
    restored: int = 0
    kept: int = 0
    """Fields that an undo left alone, for they had changed since."""
    asked_by: UUID
    recorded_at: datetime


class ChangeKind(StrEnum):
    """What became of a field in a run."""

    CHANGED = "changed"
    LOCKED = "locked"
    RESTORED = "restored"
    KEPT = "kept"


@attrs.frozen
class RuleCreated:
    type: ClassVar[str] = "rule.created"

    rule_id: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"rule": str(self.rule_id)}


@attrs.frozen
class RuleChanged:
    type: ClassVar[str] = "rule.changed"

    rule_id: UUID
    what: str
    """changed, enabled, disabled, deleted, reordered; grouped, ungrouped for a group"""

    def payload(self) -> Mapping[str, Plain]:
        return {"rule": str(self.rule_id), "what": self.what}


@attrs.frozen
class RuleRunRequested:
    type: ClassVar[str] = "rule.run_requested"

    run_id: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"run": str(self.run_id)}


@attrs.frozen
class RuleUndoRequested:
    type: ClassVar[str] = "rule.undo_requested"

    run_id: UUID

    def payload(self) -> Mapping[str, Plain]:
        return {"run": str(self.run_id)}


@attrs.frozen
class RulesRan:
    """A stretch of records was gone over, or restored."""

    type: ClassVar[str] = "rule.ran"

    run_id: UUID
    records: int

    def payload(self) -> Mapping[str, Plain]:
        return {"run": str(self.run_id), "records": self.records}
