"""Cash flow to come, with how wrong it was before."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from finora_core.insights.forecast.model import Due, Forecast
from finora_core.insights.model import NoForecast, Reason
from finora_core.kernel.scope import Scope
from finora_web.contract import In, Listed, MoneyOut, Out, Routes, whole
from finora_web.services import Services

routes = Routes("forecast")


class DueOut(Out):
    on_date: date
    amount: MoneyOut
    merchant_key: str
    recurring_id: UUID


class OutlookOut(Out):
    net: MoneyOut = Field(description="What comes in less what goes out.")
    recurring: MoneyOut
    rest: MoneyOut = Field(description="All other money, as in the median week.")
    low: MoneyOut
    high: MoneyOut
    ends_at: MoneyOut = Field(description="What own accounts are expected to hold at the end.")
    mean_error: MoneyOut = Field(description="How far earlier forecasts were off, on average.")
    coverage: int | None = Field(
        description="How often the interval held, tried on earlier days, in basis points."
    )
    origins: int = Field(description="From how many earlier days it was tried.")
    due: list[DueOut]


class ForecastOut(Out):
    asset: str
    since: date
    until: date
    held: MoneyOut
    outlook: OutlookOut | None
    reason: Reason | None = Field(description="Why there is none.")


class ForecastQuery(In):
    days: Annotated[int, Field(ge=1, le=366)] = 30


def _due(due: Due) -> dict[str, Any]:
    of = due.recurring
    return {"on_date": due.on_date, "amount": due.amount, "merchant_key": of.merchant_key,
            "recurring_id": of.id}  # fmt: skip


def _forecast(found: Forecast) -> dict[str, Any]:
    shown: dict[str, Any] = {"asset": found.asset.id, "since": found.since, "until": found.until,
                             "held": found.held, "outlook": None, "reason": None}  # fmt: skip
    known = found.outlook
    if isinstance(known, NoForecast):
        return shown | {"reason": known.reason}
    expected, test = known.expected, known.test
    outlook = {
        "net": expected.net,
        "recurring": expected.recurring,
        "rest": expected.rest,
        "low": known.low,
        "high": known.high,
        "ends_at": found.ends_at,
        "mean_error": test.mean_error,
        "coverage": test.coverage,
        "origins": test.origins,
        "due": [_due(each) for each in expected.due],
    }
    return shown | {"outlook": outlook}


@routes.get("/forecast", "books:read", Listed[ForecastOut], cache_s=600,
            shape=lambda found: whole(_forecast(each) for each in found))  # fmt: skip
def forecast_cashflow(app: Services, scope: Scope, query: ForecastQuery) -> object:
    """What comes in less what goes out in the next days, for each asset."""
    return app.forecasts.forecast(scope, query.days)
