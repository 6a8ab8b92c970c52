"""Accounts, their balances and their statements."""

from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import Field

from finora_core.kernel.scope import Scope
from finora_core.ledger.model import AccountKind
from finora_web.contract import (
    Code,
    Day,
    In,
    Listed,
    MoneyOut,
    Name,
    Out,
    Paged,
    Routes,
    Single,
    UnitsOut,
    listed,
    whole,
)
from finora_web.services import Services

routes = Routes("accounts")


class AccountOut(Out):
    id: UUID
    name: str
    kind: AccountKind
    asset: str | None
    floor: UnitsOut | None = Field(
        None, description="Lowest available balance, in units of any asset it holds."
    )


class NewAccount(In):
    name: Name
    kind: AccountKind = AccountKind.ASSET
    asset: Code | None = None
    floor: Annotated[str, Field(pattern=r"^(0|-[1-9][0-9]{0,76})$")] | None = Field(
        None, description="Units, zero or below; without one the account may go below any."
    )


class BalanceOut(Out):
    account: AccountOut
    amount: MoneyOut
    held: MoneyOut
    available: MoneyOut


class StatementLineOut(Out):
    entry_id: UUID
    on_date: date
    amount: MoneyOut
    balance: MoneyOut
    cause: str
    reference: str | None


class StatementQuery(Paged):
    since: Day | None = None
    until: Day | None = None


@routes.get("/accounts", "books:read", Listed[AccountOut], shape=whole)
def list_accounts(app: Services, scope: Scope) -> object:
    """Every account of the tenant."""
    return app.ledger.accounts(scope)


@routes.post("/accounts", "books:write", Single[AccountOut], status=201)
def open_account(app: Services, scope: Scope, body: NewAccount) -> object:
    """Open an account."""
    floor = None if body.floor is None else int(body.floor)
    return app.ledger.open_account(scope, body.name, body.kind, floor=floor, asset=body.asset)


@routes.get("/accounts/{account_id}", "books:read", Single[AccountOut])
def get_account(app: Services, scope: Scope, account_id: UUID) -> object:
    """One account."""
    return app.ledger.account(scope, account_id)


@routes.get("/accounts/{account_id}/balances", "books:read", Listed[BalanceOut],
            shape=whole)  # fmt: skip
def list_balances(app: Services, scope: Scope, account_id: UUID) -> object:
    """What an account has of each asset now."""
    return app.ledger.balances(scope, account_id)


@routes.get("/accounts/{account_id}/statement", "books:read", Listed[StatementLineOut],
            shape=listed)  # fmt: skip
def account_statement(
    app: Services, scope: Scope, account_id: UUID, query: StatementQuery
) -> object:
    """An account's postings, oldest first, each with the balance after it."""
    return app.ledger.statement(
        scope,
        account_id,
        since=query.since,
        until=query.until,
        cursor=query.cursor,
        limit=query.limit,
    )
