"""What somebody has, earned and spent."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from finora_core.insights.wallet.model import Period
from finora_core.kernel.amount import Amount
from finora_core.kernel.outcome import Ok, Partial
from finora_core.kernel.scope import Scope
from finora_web.contract import Day, In, Listed, Money, MoneyOut, Out, Routes, Single, whole
from finora_web.services import Services

routes = Routes("wallet")


class Known(Out):
    """A sum that may lack something; `gap` says what, or is null."""

    value: Money
    gap: str | None


def known(value: Ok[Amount] | Partial[Amount]) -> object:
    gap = value.gap if isinstance(value, Partial) else None
    return {"value": {"amount": value.value.text, "asset": value.value.asset.id}, "gap": gap}


class FlowsOut(Out):
    income: MoneyOut
    expense: MoneyOut = Field(description="Negative or zero.")
    net: MoneyOut


class CategoryFlowsOut(Out):
    category: str
    spent: MoneyOut


class MonthOut(Out):
    month: date = Field(description="Its first day.")
    flows: list[FlowsOut]


class DayOut(Out):
    day: date
    flows: list[FlowsOut]


class SummaryOut(Out):
    period: Period
    since: date
    until: date
    total: Annotated[Known, BeforeValidator(known)]
    balances: list[MoneyOut]
    flows: list[FlowsOut]
    top_categories: list[CategoryFlowsOut]
    trend: list[MonthOut]
    generated_at: datetime


class WorthOut(Out):
    day: date
    amounts: list[MoneyOut]


class SummaryQuery(In):
    period: Period = Period.MONTH


class FlowQuery(In):
    since: Day
    until: Day
    by: Literal["day", "month"] = "month"


class WorthQuery(In):
    months: Annotated[int, Field(ge=1, le=600)] = 12


class FlowOut(Out):
    """`day` or `month`, as was asked."""

    day: date | None = None
    month: date | None = None
    flows: list[FlowsOut]


@routes.get("/wallet/summary", "books:read", Single[SummaryOut], cache_s=60)
def wallet_summary(app: Services, scope: Scope, query: SummaryQuery) -> object:
    """The present week, month or year so far, and the last six months."""
    return app.wallet.summary(scope, query.period)


@routes.get("/wallet/cashflow", "books:read", Listed[FlowOut], shape=whole, cache_s=60)
def wallet_cashflow(app: Services, scope: Scope, query: FlowQuery) -> object:
    """Income and expense by day or by month, both ends included."""
    if query.by == "day":
        return app.wallet.cashflow(scope, query.since, query.until)
    return app.wallet.cashflow_by_month(scope, query.since, query.until)


@routes.get("/wallet/networth", "books:read", Listed[WorthOut], shape=whole, cache_s=600)
def wallet_networth(app: Services, scope: Scope, query: WorthQuery) -> object:
    """Net worth at the end of each of the last months."""
    return app.wallet.networth(scope, query.months)
