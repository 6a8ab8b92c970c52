"""Budgets: what may be spent, what was, what is left; and what another limit would mean."""

from typing import Annotated, Any
from uuid import UUID

import attrs
from flask import Response, redirect, render_template, request
from pydantic import Field
from werkzeug.wrappers import Response as Answer

from finora_core.insights.budgets.model import BudgetPeriod, BudgetStatus, Figures, Rollover
from finora_core.kernel.errors import Refusal
from finora_core.kernel.outcome import Partial
from finora_core.kernel.page import DEFAULT_LIMIT
from finora_core.kernel.scope import Scope
from finora_web.contract import In, Paged
from finora_web.gate import Gate
from finora_web.pages.account.frame import framed
from finora_web.pages.caller import caller
from finora_web.pages.forms import a_choice, a_day, an_amount, query, sent
from finora_web.pages.own import assets_of

PERIODS = {BudgetPeriod.WEEKLY: "week", BudgetPeriod.MONTHLY: "month", BudgetPeriod.YEARLY: "year"}
ROLLOVERS = {
    Rollover.NONE: "nothing: each period begins anew",
    Rollover.SURPLUS: "what was not spent",
    Rollover.ALL: "what was not spent, and what was spent too much",
}
_SAID = {
    "made": "The budget is set.",
    "changed": "Saved. Past periods keep their limit.",
    "deleted": "The budget was deleted.",
}
_HISTORY = 12


class Change(In):
    percent: Annotated[int, Field(ge=-100, le=1_000)] = 10


@attrs.frozen
class Shown:
    """One period of a budget as a line of the page."""

    figures: Figures

    @property
    def spent(self) -> Any:
        return self.figures.spent.value

    @property
    def gap(self) -> str | None:
        spent = self.figures.spent
        return spent.gap if isinstance(spent, Partial) else None

    @property
    def percent(self) -> int | None:
        progress = self.figures.progress
        return None if progress is None else progress // 100

    @property
    def bar(self) -> int:
        """In hundredths; where nothing is available, all of it is used up by anything spent."""
        percent = self.percent
        if percent is None:
            return 100 if self.spent.units > 0 else 0
        return max(0, min(percent, 100))

    @property
    def state(self) -> str:
        if self.figures.remaining.units < 0:
            return "over"
        return "near" if 80 in self.figures.reached else "well"


@attrs.frozen
class Budgets:
    gate: Gate

    def page(self) -> Response:
        return self._page(caller(self.gate, "books:read"))

    def one(self, budget_id: UUID) -> Response:
        return self._one(caller(self.gate, "books:read"), budget_id)

    def simulation(self, budget_id: UUID) -> str:
        scope = caller(self.gate, "books:read")
        return render_template("plan/_simulation.html", **self._simulated(scope, budget_id))

    def create(self) -> Answer:
        scope = caller(self.gate, "books:write")
        app = self.gate.services
        try:
            app.budgets.create(
                scope,
                sent("name") or sent("category"),
                sent("category"),
                an_amount(app, scope, "limit"),
                a_choice("period", BudgetPeriod),
                rollover=a_choice("rollover", Rollover),
                starts_on=a_day("starts_on"),
            )
        except Refusal as refusal:
            return self._page(scope, refusal)
        return redirect("/budgets?said=made", 303)

    def change(self, budget_id: UUID) -> Answer:
        scope = caller(self.gate, "books:write")
        app = self.gate.services
        try:
            app.budgets.change(
                scope,
                budget_id,
                name=sent("name") or None,
                category=sent("category") or None,
                limit=an_amount(app, scope, "limit") if sent("limit") else None,
                rollover=a_choice("rollover", Rollover),
            )
        except Refusal as refusal:
            return self._one(scope, budget_id, refusal)
        return redirect(f"/budgets/{budget_id}?said=changed", 303)

    def delete(self, budget_id: UUID) -> Answer:
        scope = caller(self.gate, "books:write")
        self.gate.services.budgets.delete(scope, budget_id)
        return redirect("/budgets?said=deleted", 303)

    def _page(self, scope: Scope, refusal: Refusal | None = None) -> Response:
        app = self.gate.services
        asked = query(Paged)
        found = app.budgets.list(scope, cursor=asked.cursor, limit=DEFAULT_LIMIT)
        return framed(
            app,
            scope,
            "plan/budgets.html",
            refusal,
            said=_SAID,
            budgets=[(each, Shown(each.figures)) for each in found.items],
            next=found.next,
            assets=assets_of(app, scope),
            periods=PERIODS,
            rollovers=ROLLOVERS,
            given=request.form,
        )

    def _one(self, scope: Scope, budget_id: UUID, refusal: Refusal | None = None) -> Response:
        app = self.gate.services
        status: BudgetStatus = app.budgets.get(scope, budget_id)
        return framed(
            app,
            scope,
            "plan/budget.html",
            refusal,
            said=_SAID,
            status=status,
            now=Shown(status.figures),
            history=[Shown(each) for each in app.budgets.history(scope, budget_id, _HISTORY)],
            periods=PERIODS,
            rollovers=ROLLOVERS,
            given=request.form,
            **self._simulated(scope, budget_id),
        )

    def _simulated(self, scope: Scope, budget_id: UUID) -> dict[str, Any]:
        percent = query(Change).percent
        found = self.gate.services.budgets.simulate(scope, budget_id, percent)
        projected = found.projected_spending
        return {
            "budget_id": budget_id,
            "simulation": found,
            "percent": percent,
            "simulation_gap": projected.gap if isinstance(projected, Partial) else None,
        }
