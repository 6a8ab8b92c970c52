"""Recurring payments."""

from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import Field

from finora_core.insights.recurring.model import Rhythm, State, Verdict
from finora_core.kernel.scope import Scope
from finora_web.contract import (
    Day,
    In,
    Listed,
    MoneyOut,
    Out,
    Paged,
    Routes,
    Single,
    listed,
)
from finora_web.services import Services

routes = Routes("recurring")


class RecurringOut(Out):
    id: UUID
    merchant_key: str
    direction: Literal["in", "out"]
    rhythm: Rhythm
    state: State
    amount: MoneyOut = Field(description="The last payment; positive is money in.")
    usual: MoneyOut = Field(description="What those before it were.")
    changed: bool = Field(description="The last payment differs from all that was usual.")
    since: date
    last_on: date
    next_on: date | None
    missed: int = Field(description="Payments that did not come since the last one.")
    seen: int
    records: list[UUID] = Field(description="Why it is believed; at most 60, the latest last.")
    largest_shift: int = Field(description="Days that a payment was early or late at most.")
    verdict: Verdict | None


class RecurringQuery(Paged):
    due_until: Day | None = Field(None, description="Only where a payment is expected by then.")
    ignored: bool = Field(False, description="Also those that somebody said are none.")


class VerdictIn(In):
    verdict: Verdict | None = Field(description="Null takes back what was said.")


@routes.get("/recurring", "books:read", Listed[RecurringOut], shape=listed, cache_s=600)
def list_recurring(app: Services, scope: Scope, query: RecurringQuery) -> object:
    """Payments that come again and again, found in the records, by merchant."""
    return app.recurring.list(
        scope,
        due_until=query.due_until,
        ignored=query.ignored,
        cursor=query.cursor,
        limit=query.limit,
    )


@routes.post("/recurring/{recurring_id}/verdict", "books:write", Single[RecurringOut])
def judge_recurring(app: Services, scope: Scope, recurring_id: UUID, body: VerdictIn) -> object:
    """Confirm it, or say that it is none."""
    return app.recurring.judge(scope, recurring_id, body.verdict)
