"""Rules: what should become of records by themselves."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from finora_core.categories.rules.actions import actions_of, plain_action
from finora_core.categories.rules.conditions import condition_of, plain_condition
from finora_core.categories.rules.importers import read_rules
from finora_core.categories.rules.model import (
    MAX_PRIORITY,
    MAX_RULES,
    ChangeKind,
    Rule,
    RuleGroup,
    RunFilter,
    RunState,
)
from finora_core.kernel.ids import new_id
from finora_core.kernel.page import Page
from finora_core.kernel.scope import Scope
from finora_web.api.auth import Done, done
from finora_web.contract import (
    Day,
    Id,
    In,
    Listed,
    MoneyOut,
    Name,
    Out,
    Paged,
    Routes,
    Single,
    listed,
    whole,
)
from finora_web.services import Services

routes = Routes("rules")

Condition = Annotated[
    dict[str, Any],
    Field(
        description="A tree of all, any, none and tests; see docs/rules.md.",
        examples=[{"field": "description", "op": "contains", "value": "coffee"}],
    ),
]
Actions = Annotated[
    list[dict[str, Any]],
    Field(
        max_length=20,
        description="What to do, in order; see docs/rules.md.",
        examples=[[{"op": "set", "field": "category", "value": "Food:Coffee"}]],
    ),
]
Priority = Annotated[int, Field(ge=0, le=MAX_PRIORITY)]


class RuleOut(Out):
    id: UUID
    name: str
    condition: dict[str, Any]
    actions: list[dict[str, Any]]
    priority: int
    continues: bool
    group_id: UUID | None
    active: bool
    created_at: datetime | None


class RuleStatsOut(Out):
    hits: int
    last_hit_at: datetime | None
    overridden: int = Field(description="How often a person gave another category.")


class RuleGroupOut(Out):
    id: UUID
    name: str
    priority: int
    stop: bool


class NewRuleIn(In):
    name: Name
    condition: Condition
    actions: Actions
    priority: Priority = 0
    continues: bool = Field(False, description="Further rules are asked after this one.")
    group_id: Id | None = None
    active: bool = True

    def rule(self) -> Rule:
        return Rule(
            id=new_id(),
            name=self.name,
            condition=condition_of(self.condition),
            actions=actions_of(self.actions),
            priority=self.priority,
            continues=self.continues,
            group_id=self.group_id,
            active=self.active,
        )


class RuleChangeIn(In):
    name: Name | None = None
    condition: Condition | None = None
    actions: Actions | None = None
    priority: Priority | None = None
    continues: bool | None = None
    group_id: Id | None = Field(None, description="Null takes it out of its group.")
    active: bool | None = None


class OrderIn(In):
    rule_ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_RULES)]


class NewGroupIn(In):
    name: Name
    priority: Priority = 0
    stop: bool = Field(True, description="After a match in it, later groups are not asked.")


class RunFilterIn(In):
    since: Day | None = None
    until: Day | None = None
    account_id: Id | None = None
    rule_ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_RULES)] | None = Field(
        None, description="These rules, active or not; else all that are active."
    )

    def wanted(self) -> RunFilter:
        return RunFilter(since=self.since, until=self.until, account_id=self.account_id)


class RulePreviewIn(RunFilterIn):
    condition: Condition | None = Field(None, description="A rule that is not kept yet.")
    actions: Actions | None = None
    last: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="Look at so many of the latest records only."
    )
    cursor: Annotated[str, Field(max_length=1_000)] | None = None
    limit: Annotated[int, Field(ge=1, le=1_000)] = 50

    def draft(self) -> Rule | None:
        if self.condition is None and self.actions is None:
            return None
        return Rule(
            id=new_id(),
            name="draft",
            condition=condition_of(self.condition),
            actions=actions_of(self.actions),
        )


class FieldChangeOut(Out):
    record_id: UUID
    field: str
    rule_id: UUID
    before: Any = Field(description="A text, a list of tags, or pairs of category and units.")
    after: Any
    locked: bool = Field(description="A person has set the field; it stays.")


class DifferenceOut(Out):
    id: UUID
    on_date: date
    amount: MoneyOut
    description: str
    changes: list[FieldChangeOut]
    rules: list[UUID]


class RulePreviewOut(Out):
    examined: int
    matched: int
    changed: int
    locked: int
    items: list[DifferenceOut]
    next: str | None


class WantedOut(Out):
    since: date | None
    until: date | None
    account_id: UUID | None


class RuleRunOut(Out):
    id: UUID
    state: RunState
    wanted: WantedOut
    rules: int
    examined: int
    matched: int
    changed: int
    locked: int
    restored: int
    kept: int
    asked_by: UUID
    recorded_at: datetime


class RunAskedOut(Out):
    run: RuleRunOut
    job_id: UUID


class RunChangeOut(FieldChangeOut):
    kind: ChangeKind


class ImportRulesIn(In):
    program: Literal["firefly", "actual"]
    content: Annotated[str, Field(max_length=2_000_000, description="The file, as text.")]


class LeftOut(Out):
    rule: str
    what: str
    reason: str
    whole: bool = Field(description="The whole rule was left out.")


class ImportedRulesOut(Out):
    rules: list[RuleOut]
    groups: list[RuleGroupOut]
    left: list[LeftOut]


class RulesQuery(Paged):
    pass


class ChangesQuery(Paged):
    kind: ChangeKind | None = None


def _shown(rule: Rule) -> dict[str, object]:
    names = ("id", "name", "priority", "continues", "group_id", "active", "created_at")
    return {name: getattr(rule, name) for name in names} | {
        "condition": plain_condition(rule.condition),
        "actions": [plain_action(action) for action in rule.actions],
    }


def _one(rule: Any) -> object:
    return {"data": _shown(rule)}


def _page(page: Page[Any]) -> object:
    return {"data": [_shown(rule) for rule in page.items], "page": {"next": page.next}}


def _every(rules: Any) -> object:
    return {"data": [_shown(rule) for rule in rules], "page": {"next": None}}


def _asked(answer: Any) -> object:
    return {"data": {"run": answer[0], "job_id": answer[1]}}


def _changes(page: Page[Any]) -> object:
    names = ("record_id", "field", "rule_id", "before", "after", "locked")
    rows = [
        {name: getattr(change, name) for name in names} | {"kind": kind}
        for kind, change in page.items
    ]
    return {"data": rows, "page": {"next": page.next}}


def _imported(found: Any) -> object:
    rules = [_shown(rule) for rule in found.rules]
    return {"data": {"rules": rules, "groups": found.groups, "left": found.left}}


@routes.get("/rules", "books:read", Listed[RuleOut], shape=_page)
def list_rules(app: Services, scope: Scope, query: RulesQuery) -> object:
    """Rules in the order in which they are asked."""
    return app.rules.list(scope, cursor=query.cursor, limit=query.limit)


@routes.post("/rules", "books:write", Single[RuleOut], shape=_one, status=201)
def create_rule(app: Services, scope: Scope, body: NewRuleIn) -> object:
    """Keep a rule. It runs on what comes in from then on."""
    return app.rules.create(scope, body.rule())


@routes.get("/rules/{rule_id}", "books:read", Single[RuleOut], shape=_one)
def get_rule(app: Services, scope: Scope, rule_id: UUID) -> object:
    """One rule."""
    return app.rules.get(scope, rule_id)


@routes.patch("/rules/{rule_id}", "books:write", Single[RuleOut], shape=_one)
def change_rule(app: Services, scope: Scope, rule_id: UUID, body: RuleChangeIn) -> object:
    """Change parts of a rule, or let it rest with `active`."""
    given: dict[str, object] = {
        name: value
        for name, value in body.model_dump(exclude_unset=True).items()
        if value is not None or name == "group_id"
    }
    if body.condition is not None:
        given["condition"] = condition_of(body.condition)
    if body.actions is not None:
        given["actions"] = actions_of(body.actions)
    return app.rules.change(scope, rule_id, **given)


@routes.delete("/rules/{rule_id}", "books:write", Single[Done], shape=done)
def remove_rule(app: Services, scope: Scope, rule_id: UUID) -> None:
    """Delete a rule. What it did stays."""
    app.rules.remove(scope, rule_id)


@routes.get("/rules/{rule_id}/stats", "books:read", Single[RuleStatsOut])
def rule_stats(app: Services, scope: Scope, rule_id: UUID) -> object:
    """How often a rule matched, when last, and how often a person knew better."""
    return app.rules.get(scope, rule_id)


@routes.post("/rules/order", "books:write", Listed[RuleOut], shape=_every)
def order_rules(app: Services, scope: Scope, body: OrderIn) -> object:
    """Let these rules be asked in this order."""
    return app.rules.reorder(scope, body.rule_ids)


@routes.get("/rules/groups", "books:read", Listed[RuleGroupOut], shape=whole)
def list_rule_groups(app: Services, scope: Scope) -> object:
    """Groups of rules, in the order in which they run."""
    return app.rules.groups(scope)


@routes.post("/rules/groups", "books:write", Single[RuleGroupOut], status=201)
def create_rule_group(app: Services, scope: Scope, body: NewGroupIn) -> object:
    """Make a group of rules."""
    group = RuleGroup(id=new_id(), name=body.name, priority=body.priority, stop=body.stop)
    return app.rules.create_group(scope, group)


@routes.delete("/rules/groups/{group_id}", "books:write", Single[Done], shape=done)
def remove_rule_group(app: Services, scope: Scope, group_id: UUID) -> None:
    """Delete a group. Its rules stay, without one."""
    app.rules.remove_group(scope, group_id)


@routes.post("/rules/preview", "books:read", Single[RulePreviewOut])
def preview_rules(app: Services, scope: Scope, body: RulePreviewIn) -> object:
    """What would change, before and after, without changing it."""
    return app.rules.preview(
        scope,
        body.wanted(),
        draft=body.draft(),
        rule_ids=body.rule_ids,
        last=body.last,
        cursor=body.cursor,
        limit=body.limit,
    )


@routes.post("/rules/import", "books:write", Single[ImportedRulesOut], shape=_imported, status=201,
             body_kb=4_096)  # fmt: skip
def import_rules(app: Services, scope: Scope, body: ImportRulesIn) -> object:
    """Take over the rules of Firefly III or Actual; `left` names all that has no counterpart."""
    return app.rules.take(scope, read_rules(body.program, body.content.encode()))


@routes.post("/rules/runs", "books:write", Single[RunAskedOut], shape=_asked, status=202)
def run_rules(app: Services, scope: Scope, body: RunFilterIn) -> object:
    """Let rules go over the records that are there. What a person has set stays."""
    return app.rules.apply(scope, body.wanted(), rule_ids=body.rule_ids)


@routes.get("/rules/runs", "books:read", Listed[RuleRunOut], shape=listed)
def list_rule_runs(app: Services, scope: Scope, query: RulesQuery) -> object:
    """Runs, latest first."""
    return app.rules.runs(scope, cursor=query.cursor, limit=query.limit)


@routes.get("/rules/runs/{run_id}", "books:read", Single[RuleRunOut])
def get_rule_run(app: Services, scope: Scope, run_id: UUID) -> object:
    """One run, with how far it is."""
    return app.rules.get_run(scope, run_id)


@routes.get("/rules/runs/{run_id}/changes", "books:read", Listed[RunChangeOut], shape=_changes)
def list_rule_changes(app: Services, scope: Scope, run_id: UUID, query: ChangesQuery) -> object:
    """What a run changed and left, and what its undoing restored and kept."""
    return app.rules.run_changes(
        scope, run_id, kind=query.kind, cursor=query.cursor, limit=query.limit
    )


@routes.post("/rules/runs/{run_id}/undo", "books:write", Single[RunAskedOut], status=202,
             shape=_asked)  # fmt: skip
def undo_rule_run(app: Services, scope: Scope, run_id: UUID) -> object:
    """Give every field back what it said before, except where a person has changed it since."""
    return app.rules.ask_undo(scope, run_id)
