"""Budgets: what may be spent, what was, and what another limit would mean."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator, Field

from finora_core.insights.budgets.model import BudgetPeriod, BudgetStatus, Figures, Rollover
from finora_core.kernel.page import Page
from finora_core.kernel.scope import Scope
from finora_web.api.auth import Done, done
from finora_web.api.wallet import Known, known
from finora_web.contract import (
    Day,
    Id,
    In,
    Listed,
    MoneyIn,
    MoneyOut,
    Name,
    Out,
    Paged,
    Routes,
    Single,
    listed,
    whole,
)
from finora_web.money import money
from finora_web.services import Services

routes = Routes("budgets")

KnownOut = Annotated[Known, BeforeValidator(known)]
Progress = Annotated[
    int | None,
    Field(description="Spent of available in basis points: 10000 is 100 %. Null where nothing is "
          "available."),
]  # fmt: skip


class FiguresOut(Out):
    since: date
    until: date
    limit: MoneyOut
    carried: MoneyOut = Field(description="From the periods before.")
    available: MoneyOut = Field(description="Limit and what was carried over.")
    spent: KnownOut = Field(description="Less what came back; transfers are no spending.")
    remaining: MoneyOut
    progress: Progress
    gap: str | None = Field(
        description="What the figures leave out, of this period or of those carried over; null: "
        "nothing."
    )


class BudgetOut(FiguresOut):
    """A budget with its present period."""

    id: UUID
    name: str
    category: str
    period: BudgetPeriod
    rollover: Rollover
    starts_on: date
    created_at: datetime | None


class NewBudget(In):
    name: Name
    category: Name = Field(description="A path with `:`; what is below it counts too.")
    limit: MoneyIn
    period: BudgetPeriod = BudgetPeriod.MONTHLY
    rollover: Rollover = Rollover.NONE
    starts_on: Day | None = Field(None, description="A day of its first period; else of this one.")


class BudgetChange(In):
    name: Name | None = None
    category: Name | None = None
    limit: MoneyIn | None = Field(None, description="From the present period on.")
    rollover: Rollover | None = None


class SimulationIn(In):
    budget_id: Id = Field(alias="budgetId")
    adjustment_percent: Annotated[int, Field(ge=-100, le=1000)] = Field(alias="adjustmentPercent")


class SimulationOut(Out):
    original_budget: MoneyOut = Field(serialization_alias="originalBudget")
    adjusted_budget: MoneyOut = Field(serialization_alias="adjustedBudget")
    projected_spending: KnownOut = Field(serialization_alias="projectedSpending")
    surplus: MoneyOut


class PeriodsQuery(In):
    periods: Annotated[int, Field(ge=1, le=120)] = 12


def _status(status: BudgetStatus) -> dict[str, Any]:
    of = status.budget
    names = ("id", "name", "category", "period", "rollover", "starts_on", "created_at")
    return {name: getattr(of, name) for name in names} | _figures(status.figures)


def _figures(figures: Figures) -> dict[str, Any]:
    return {name: getattr(figures, name) for name in FiguresOut.model_fields}


def _one(status: BudgetStatus) -> object:
    return {"data": _status(status)}


def _page(page: Page[BudgetStatus]) -> object:
    return listed(Page(tuple(_status(each) for each in page.items), page.next))


@routes.get("/budgets", "books:read", Listed[BudgetOut], shape=_page, cache_s=60)
def list_budgets(app: Services, scope: Scope, query: Paged) -> object:
    """Budgets by name, each with what is spent of its present period."""
    return app.budgets.list(scope, cursor=query.cursor, limit=query.limit)


@routes.post("/budgets", "books:write", Single[BudgetOut], status=201, shape=_one)
def create_budget(app: Services, scope: Scope, body: NewBudget) -> object:
    """Say what may be spent on a category in each period."""
    return app.budgets.create(
        scope,
        body.name,
        body.category,
        money(app, scope, body.limit),
        body.period,
        rollover=body.rollover,
        starts_on=body.starts_on,
    )


@routes.post("/budgets/simulate", "books:read", Single[SimulationOut])
def simulate_budget(app: Services, scope: Scope, body: SimulationIn) -> object:
    """What a limit of so many per cent more, or less, would leave at the end of the present period;
    changes nothing."""
    return app.budgets.simulate(scope, body.budget_id, body.adjustment_percent)


@routes.get("/budgets/{budget_id}", "books:read", Single[BudgetOut], shape=_one, cache_s=60)
def get_budget(app: Services, scope: Scope, budget_id: UUID) -> object:
    """One budget with its present period."""
    return app.budgets.get(scope, budget_id)


@routes.get("/budgets/{budget_id}/periods", "books:read", Listed[FiguresOut], shape=whole,
            cache_s=60)  # fmt: skip
def list_budget_periods(
    app: Services, scope: Scope, budget_id: UUID, query: PeriodsQuery
) -> object:
    """Its last periods, the present one first, each with the limit that it had."""
    return app.budgets.history(scope, budget_id, query.periods)


@routes.patch("/budgets/{budget_id}", "books:write", Single[BudgetOut], shape=_one)
def change_budget(app: Services, scope: Scope, budget_id: UUID, body: BudgetChange) -> object:
    """Change parts of it; past periods keep their limit."""
    limit = None if body.limit is None else money(app, scope, body.limit)
    return app.budgets.change(
        scope,
        budget_id,
        name=body.name,
        category=body.category,
        limit=limit,
        rollover=body.rollover,
    )


@routes.delete("/budgets/{budget_id}", "books:write", Single[Done], shape=done)
def delete_budget(app: Services, scope: Scope, budget_id: UUID) -> None:
    """Delete a budget with all that is kept of it."""
    app.budgets.delete(scope, budget_id)
