"""Goals: what is being saved for."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator, Field

from finora_core.insights.goals.model import GoalStatus, Share
from finora_core.insights.model import NoForecast, Reason
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
)
from finora_web.money import money
from finora_web.services import Services

routes = Routes("goals")


class ShareOut(Out):
    account_id: UUID
    percent: int
    amount: MoneyOut
    promised: int = Field(
        description="Per cent of the account that all goals count on; more than 100 is too much."
    )
    gap: str | None = Field(description="What of it has no rate, and is not in `amount`.")


class ForecastDay(Out):
    """When the goal is reached at the rate of the last 90 days, or why nobody can tell."""

    day: date | None
    reason: Reason | None


def _day(value: object) -> object:
    if isinstance(value, NoForecast):
        return {"day": None, "reason": value.reason}
    return {"day": getattr(value, "value", value), "reason": None}


class GoalOut(Out):
    id: UUID
    name: str
    target: MoneyOut
    by: date | None
    current: Annotated[Known, BeforeValidator(known)]
    missing: MoneyOut
    progress: int = Field(description="In basis points: 10000 is 100 %.")
    shares: list[ShareOut]
    forecast: Annotated[ForecastDay, BeforeValidator(_day)]
    in_time: bool | None
    created_at: datetime | None
    reached_at: datetime | None


class ShareIn(In):
    account_id: Id
    percent: Annotated[int, Field(ge=1, le=100)]


Shares = Annotated[list[ShareIn], Field(max_length=50)]


class NewGoal(In):
    name: Name
    target: MoneyIn
    by: Day | None = None
    shares: Shares = Field(default_factory=list)


class GoalChange(In):
    name: Name | None = None
    target: MoneyIn | None = None
    by: Day | None = Field(None, description="A null takes the day away.")
    shares: Shares | None = None


def _status(status: GoalStatus) -> dict[str, Any]:
    named = {name: getattr(status.goal, name)
             for name in ("id", "name", "target", "by", "created_at", "reached_at")}  # fmt: skip
    names = ("current", "missing", "progress", "shares", "forecast", "in_time")
    return named | {name: getattr(status, name) for name in names}


def _one(status: GoalStatus) -> object:
    return {"data": _status(status)}


def _page(page: Page[GoalStatus]) -> object:
    return listed(Page(tuple(_status(each) for each in page.items), page.next))


def _shares(given: list[ShareIn]) -> tuple[Share, ...]:
    return tuple(Share(each.account_id, each.percent) for each in given)


@routes.get("/goals", "books:read", Listed[GoalOut], shape=_page, cache_s=60)
def list_goals(app: Services, scope: Scope, query: Paged) -> object:
    """Goals by name, each with what there is of it."""
    return app.goals.list(scope, cursor=query.cursor, limit=query.limit)


@routes.post("/goals", "books:write", Single[GoalOut], status=201, shape=_one)
def create_goal(app: Services, scope: Scope, body: NewGoal) -> object:
    """Save for something: a target, and the shares of accounts that are meant for it."""
    target, shares = money(app, scope, body.target), _shares(body.shares)
    return app.goals.create(scope, body.name, target, by=body.by, shares=shares)


@routes.get("/goals/{goal_id}", "books:read", Single[GoalOut], shape=_one, cache_s=60)
def get_goal(app: Services, scope: Scope, goal_id: UUID) -> object:
    """One goal."""
    return app.goals.get(scope, goal_id)


@routes.patch("/goals/{goal_id}", "books:write", Single[GoalOut], shape=_one)
def change_goal(app: Services, scope: Scope, goal_id: UUID, body: GoalChange) -> object:
    """Change parts of it; shares are given whole."""
    given: dict[str, Any] = {}
    if body.name is not None:
        given["name"] = body.name
    if body.target is not None:
        given["target"] = money(app, scope, body.target)
    if "by" in body.model_fields_set:
        given["by"] = body.by
    if body.shares is not None:
        given["shares"] = _shares(body.shares)
    return app.goals.change(scope, goal_id, **given)


@routes.delete("/goals/{goal_id}", "books:write", Single[Done], shape=done)
def delete_goal(app: Services, scope: Scope, goal_id: UUID) -> None:
    """Delete a goal; no money moves."""
    app.goals.delete(scope, goal_id)
