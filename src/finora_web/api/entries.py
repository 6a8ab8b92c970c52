"""Entries: money moved between accounts, and the balances that come of it."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import BeforeValidator, Field

from finora_core.kernel.scope import Scope
from finora_core.ledger.model import AccountKind, BalanceSheet, Flow, Posting
from finora_web.contract import (
    Day,
    Id,
    In,
    Instant,
    MoneyIn,
    MoneyOut,
    Name,
    Out,
    Routes,
    Single,
)
from finora_web.money import money
from finora_web.services import Services

routes = Routes("entries")


class PostingIn(In):
    account_id: Id
    amount: MoneyIn


class NewEntry(In):
    postings: Annotated[list[PostingIn], Field(min_length=2, max_length=1_000)]
    on_date: Day | None = Field(None, description="Business date; today, if not given.")
    reference: Name | None = None


class PostingOut(Out):
    account_id: UUID
    amount: MoneyOut


class EntryOut(Out):
    id: UUID
    on_date: date
    postings: list[PostingOut]
    cause: str
    flow: Flow
    reference: str | None
    reverses: UUID | None
    rate: Annotated[str, BeforeValidator(str)] | None
    rate_source: str | None
    recorded_at: datetime | None


class LineAccount(Out):
    id: UUID
    name: str
    kind: AccountKind


class LineOut(Out):
    account: LineAccount
    amount: MoneyOut = Field(description="Debit is positive, credit negative.")


class TrialOut(Out):
    lines: list[LineOut]
    sums: dict[str, MoneyOut] = Field(description="Per asset; each is zero.")


class SheetOut(Out):
    assets: list[LineOut]
    liabilities: list[LineOut]
    equity: list[LineOut]


class When(In):
    on: Day | None = Field(None, description="At the end of this business date.")
    known_at: Instant | None = Field(None, description="As recorded by this instant.")


@routes.post("/entries", "books:write", Single[EntryOut], status=201, body_kb=512)
def post_entry(app: Services, scope: Scope, body: NewEntry) -> object:
    """Post one entry. Its postings sum to zero in every asset; debit is positive."""
    postings = [Posting(each.account_id, money(app, scope, each.amount)) for each in body.postings]
    return app.ledger.post(scope, postings, on_date=body.on_date, reference=body.reference)


@routes.get("/entries/{entry_id}", "books:read", Single[EntryOut])
def get_entry(app: Services, scope: Scope, entry_id: UUID) -> object:
    """One entry."""
    return app.ledger.entry(scope, entry_id)


@routes.post("/entries/{entry_id}/reversal", "books:write", Single[EntryOut], status=201)
def reverse_entry(app: Services, scope: Scope, entry_id: UUID) -> object:
    """Undo an entry by its mirror image; once only."""
    return app.ledger.reverse(scope, entry_id)


@routes.get("/trial-balance", "books:read", Single[TrialOut])
def trial_balance(app: Services, scope: Scope, query: When) -> object:
    """Every balance that is not zero."""
    return app.ledger.trial_balance(scope, on=query.on, known_at=query.known_at)


@routes.get("/balance-sheet", "books:read", Single[SheetOut])
def balance_sheet(app: Services, scope: Scope, query: When) -> object:
    """What is owned and owed, and the equity that makes the two equal."""
    trial = app.ledger.trial_balance(scope, on=query.on, known_at=query.known_at)
    return BalanceSheet.of(trial)
