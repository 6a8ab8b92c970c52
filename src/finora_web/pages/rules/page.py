"""The pages of rules: their list and order, one with the preview of its effect, runs."""

from itertools import groupby
from typing import Any
from uuid import UUID

import attrs
from flask import Response, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as Answer

from finora_core.categories.rules.actions import plain_action
from finora_core.categories.rules.model import (
    FieldChange,
    Rule,
    RulePreview,
    RuleRun,
    RunFilter,
    RunState,
)
from finora_core.jobs.model import Job, JobNotFound
from finora_core.kernel.amount import Amount
from finora_core.kernel.errors import Invalid, Refusal
from finora_core.kernel.scope import Scope
from finora_web.contract import Paged
from finora_web.gate import Gate
from finora_web.pages.account.frame import framed
from finora_web.pages.caller import caller
from finora_web.pages.forms import a_day, an_id, query, sent
from finora_web.pages.own import own_accounts
from finora_web.pages.rules.written import ACTIONS, FIELDS, MODES, OPS, Written

_SAID = {
    "made": "The rule is kept. It runs on what comes in from now on; over the past when asked.",
    "changed": "Saved.",
    "moved": "The order is changed.",
    "on": "The rule is on.",
    "off": "The rule rests.",
    "deleted": "The rule is deleted. What it did stays.",
}
_SHOWN = 20
_ALL = 1_000


class Watched(Paged):
    job: UUID | None = None


@attrs.frozen
class Rules:
    gate: Gate

    def page(self) -> Response:
        return self._page(caller(self.gate, "books:read"))

    def new(self) -> Response:
        return self._form(caller(self.gate, "books:read"), Written())

    def one(self, rule_id: UUID) -> Response:
        scope = caller(self.gate, "books:read")
        rule = self.gate.services.rules.get(scope, rule_id)
        return self._form(scope, Written.of(rule), rule=rule)

    def preview(self) -> Response:
        """What the rule in the form would change, as far as it can be read yet."""
        scope = caller(self.gate, "books:read")
        return make_response(render_template("rules/_preview.html", **self._seen(scope)))

    def write(self, rule_id: UUID | None = None) -> Answer:
        """Keep what stands in the form; or show it again with one row more or less."""
        scope = caller(self.gate, "books:write")
        app = self.gate.services
        rule = None if rule_id is None else app.rules.get(scope, rule_id)
        written = Written.sent()
        try:
            if pressed := sent("do"):
                return self._form(scope, written.after(pressed), rule=rule)
            new = written.rule()
            if rule_id is None:
                last = max((each.priority for each in self._rules(scope)), default=0)
                app.rules.create(scope, attrs.evolve(new, priority=last + 10))
                return redirect("/rules?said=made", 303)
            names = ("name", "condition", "actions", "continues", "active")
            app.rules.change(scope, rule_id, **{name: getattr(new, name) for name in names})
        except Refusal as refusal:
            return self._form(scope, written, refusal, rule=rule)
        return redirect("/rules?said=changed", 303)

    def activate(self, rule_id: UUID) -> Answer:
        scope = caller(self.gate, "books:write")
        active = sent("active") == "1"
        self.gate.services.rules.change(scope, rule_id, active=active)
        return redirect(f"/rules?said={'on' if active else 'off'}#rule-{rule_id}", 303)

    def move(self, rule_id: UUID) -> Answer:
        """One place up or down among those of its group."""
        scope = caller(self.gate, "books:write")
        rules = self._rules(scope)
        rule = self.gate.services.rules.get(scope, rule_id)
        order = [each.id for each in rules if each.group_id == rule.group_id]
        at = order.index(rule_id)
        to = at - 1 if sent("way") == "up" else at + 1
        if 0 <= to < len(order):
            order[at], order[to] = order[to], order[at]
            self.gate.services.rules.reorder(scope, order)
        return redirect(f"/rules?said=moved#rule-{rule_id}", 303)

    def delete(self, rule_id: UUID) -> Answer:
        scope = caller(self.gate, "books:write")
        self.gate.services.rules.remove(scope, rule_id)
        return redirect("/rules?said=deleted", 303)

    # --- over the past ---

    def run(self) -> Answer:
        """Over the records that are there: by the rules named, or by all that are active."""
        scope = caller(self.gate, "books:write")
        try:
            wanted = RunFilter(
                since=a_day("since"),
                until=a_day("until"),
                account_id=an_id("account_id") if sent("account_id") else None,
            )
            chosen = [an_id("rule_id")] if sent("rule_id") else None
            run, job = self.gate.services.rules.apply(scope, wanted, rule_ids=chosen)
        except Refusal as refusal:
            return self._page(scope, refusal)
        return redirect(f"/rules/runs/{run.id}?job={job}", 303)

    def undo(self, run_id: UUID) -> Answer:
        scope = caller(self.gate, "books:write")
        _, job = self.gate.services.rules.ask_undo(scope, run_id)
        return redirect(f"/rules/runs/{run_id}?job={job}", 303)

    def run_page(self, run_id: UUID) -> Response:
        scope = caller(self.gate, "books:read")
        return framed(
            self.gate.services, scope, "rules/run.html", said=_SAID, **self._run(scope, run_id)
        )

    def run_part(self, run_id: UUID) -> str:
        scope = caller(self.gate, "books:read")
        shown = self._run(scope, run_id)
        return render_template("rules/_run.html", may=scope.permissions, **shown)

    # --- parts ---

    def _page(self, scope: Scope, refusal: Refusal | None = None) -> Response:
        app = self.gate.services
        return framed(
            app,
            scope,
            "rules/rules.html",
            refusal,
            said=_SAID,
            rules=[(rule, Written.of(rule), _does(rule)) for rule in self._rules(scope)],
            groups={group.id: group for group in app.rules.groups(scope)},
            runs=app.rules.runs(scope, limit=_SHOWN).items,
            own=own_accounts(app, scope),
            given=request.form,
            FIELDS=FIELDS,
            ops={name: said for ops in OPS.values() for name, said in ops.items()},
        )

    def _form(
        self,
        scope: Scope,
        written: Written,
        refusal: Refusal | None = None,
        *,
        rule: Rule | None = None,
    ) -> Response:
        return framed(
            self.gate.services,
            scope,
            "rules/rule.html",
            refusal,
            said=_SAID,
            written=written,
            rule=rule,
            MODES=MODES,
            FIELDS=FIELDS,
            OPS=OPS,
            ACTIONS=ACTIONS,
            **self._tried(scope, written),
        )

    def _seen(self, scope: Scope) -> dict[str, Any]:
        return self._tried(scope, Written.sent())

    def _tried(self, scope: Scope, written: Written) -> dict[str, Any]:
        try:
            draft = written.rule()
        except Invalid as refusal:
            return {"preview": None, "unread": refusal}
        found: RulePreview = self.gate.services.rules.preview(scope, draft=draft, limit=_SHOWN)
        shown = [(each, [_change(c, each.amount) for c in each.changes]) for each in found.items]
        return {"preview": found, "shown": shown, "unread": None}

    def _rules(self, scope: Scope) -> list[Rule]:
        """All of them, in the order in which they are asked."""
        found: list[Rule] = []
        cursor = None
        while True:
            page = self.gate.services.rules.list(scope, cursor=cursor, limit=_ALL)
            found += page.items
            cursor = page.next
            if cursor is None:
                return found

    def _run(self, scope: Scope, run_id: UUID) -> dict[str, Any]:
        app = self.gate.services
        asked = query(Watched)
        run: RuleRun = app.rules.get_run(scope, run_id)
        changes = app.rules.run_changes(scope, run_id, cursor=asked.cursor, limit=asked.limit)
        names = {rule.id: rule.name for rule in self._rules(scope)}
        lines = []
        for record_id, of_record in groupby(changes.items, lambda item: item[1].record_id):
            record = app.records.get(scope, record_id)
            shown = [
                (kind, _change(change, record.amount), names.get(change.rule_id, "a deleted rule"))
                for kind, change in of_record
            ]
            lines.append((record, shown))
        return {
            "run": run,
            "busy": run.state in (RunState.WAITING, RunState.UNDOING),
            "job": self._job(scope, asked.job),
            "lines": lines,
            "next": changes.next,
        }

    def _job(self, scope: Scope, job_id: UUID | None) -> Job | None:
        if job_id is None:
            return None
        try:
            return self.gate.services.jobs.get(scope, job_id)
        except JobNotFound:
            return None


def _change(change: FieldChange, amount: Amount) -> dict[str, Any]:
    """In words; the parts of a split are in the asset of the record."""

    def said(value: object) -> str:
        if isinstance(value, list) and value and isinstance(value[0], list):
            parts = ((name, Amount(int(units), amount.asset)) for name, units in value)
            return "; ".join(f"{name or 'no category'} {part.text}" for name, part in parts)
        return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

    return {
        "field": change.field,
        "before": said(change.before),
        "after": said(change.after),
        "locked": change.locked,
    }


def _does(rule: Rule) -> list[str]:
    """Its actions in words."""
    said = []
    for action in rule.actions:
        plain = plain_action(action)
        what = f"{plain['op']} {plain['field']}" if "field" in plain else str(plain["op"])
        value = plain.get("value", "")
        if plain["op"] == "split":
            names = [str(part["category"]) for part in value] if isinstance(value, list) else []
            said.append(f"split among {', '.join(names)}")
            continue
        words = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        said.append(f"{ACTIONS.get(what, what).partition(' (')[0]} {words}".strip())
    return said
