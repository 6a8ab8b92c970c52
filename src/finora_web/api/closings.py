"""Closed periods."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from finora_core.kernel.scope import Scope
from finora_core.ledger.closing.model import MAX_REASON
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
    whole,
)
from finora_web.services import Services

routes = Routes("closings")


class ClosingOut(Out):
    number: int
    through: date | None = Field(description="The last closed day; null: nothing is closed.")
    reason: str = Field(description="Why it was opened again.")
    acted_by: UUID
    recorded_at: datetime
    seal: int | None = Field(description="Its place in the sealed log; null until it has one.")


class LateLineOut(Out):
    entry_id: UUID
    record_id: UUID
    bank_date: date
    booked_on: date
    account: str
    description: str
    counterparty: str | None
    amount: MoneyOut


class NewClosing(In):
    through: Day = Field(description="The last day to close; it must be over.")


class Reopening(In):
    through: Day | None = Field(
        None, description="The last day that stays closed; null opens everything."
    )
    reason: Annotated[str, Field(min_length=1, max_length=MAX_REASON)]


@routes.get("/closings", "books:read", Listed[ClosingOut], shape=whole)
def list_closings(app: Services, scope: Scope) -> object:
    """Every closing and reopening, latest first; the first one holds."""
    return app.closings.list(scope)


@routes.get("/closings/late", "books:read", Listed[LateLineOut], shape=listed)
def list_late_lines(app: Services, scope: Scope, query: Paged) -> object:
    """Lines that came when their day was closed, and were booked on the first open day."""
    return app.closings.late(scope, cursor=query.cursor, limit=query.limit)


@routes.post("/closings", "books:close", Single[ClosingOut], status=201)
def close_period(app: Services, scope: Scope, body: NewClosing) -> object:
    """Close the books through a day: what is booked and labelled until then stays as it is."""
    return app.closings.close(scope, body.through)


@routes.post("/closings/reopenings", "books:reopen", Single[ClosingOut], status=201)
def reopen_period(app: Services, scope: Scope, body: Reopening) -> object:
    """Open a closed period again, saying why."""
    return app.closings.reopen(scope, body.through, body.reason)
