"""The cash flow to come, and how wrong such forecasts were before."""

from typing import Annotated, Any

import attrs
from flask import Response
from pydantic import Field

from finora_core.insights.forecast.model import MAX_DAYS, Forecast
from finora_core.insights.model import NoForecast
from finora_web.contract import In
from finora_web.gate import Gate
from finora_web.pages.account.frame import framed
from finora_web.pages.caller import caller
from finora_web.pages.forms import query
from finora_web.pages.plan.goals import REASONS

SPANS = {14: "2 weeks", 30: "30 days", 90: "3 months", 180: "6 months"}


class Asked(In):
    days: Annotated[int, Field(ge=1, le=MAX_DAYS)] = 30


@attrs.frozen
class ForecastPage:
    gate: Gate

    def page(self) -> Response:
        scope = caller(self.gate, "books:read")
        days = query(Asked).days
        app = self.gate.services
        return framed(
            app,
            scope,
            "plan/forecast.html",
            said={},
            forecasts=[_shown(each) for each in app.forecasts.forecast(scope, days)],
            days=days,
            spans=SPANS,
        )


def _shown(found: Forecast) -> dict[str, Any]:
    outlook = found.outlook
    if isinstance(outlook, NoForecast):
        return {"of": found, "outlook": None, "reason": REASONS[outlook.reason]}
    coverage = outlook.test.coverage
    return {
        "of": found,
        "outlook": outlook,
        "ends_at": found.ends_at,
        "coverage": None if coverage is None else coverage // 100,
    }
