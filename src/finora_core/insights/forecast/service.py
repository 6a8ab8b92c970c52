"""Cash flow to come."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta

import attrs

from finora_core.insights.forecast.model import (
    BACK,
    MAX_DAYS,
    MIN_DAYS,
    BadForecast,
    Course,
    Forecast,
    outlook_of,
)
from finora_core.insights.forecast.ports import ForecastWork
from finora_core.insights.recurring.model import HISTORY, Verdict
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin


@attrs.frozen
class ForecastService:
    begin: Begin[ForecastWork]

    def forecast(
        self, scope: Scope, days: int = 30, *, today: date | None = None
    ) -> Sequence[Forecast]:
        """What comes in less what goes out in the next days, for each asset that own accounts hold
        or that moved lately, by its id. Raises BadForecast."""
        if not MIN_DAYS <= days <= MAX_DAYS:
            raise BadForecast(f"a forecast is for {MIN_DAYS} to {MAX_DAYS} days, not {days}")
        with self.begin(scope) as work:
            now = today or work.now.date()
            base, amounts = work.totals.held()
            began = work.totals.began()
            since = now - timedelta(days=days) - BACK
            moved = work.totals.daily(since, now)
            lines = work.recurring.lines(since - HISTORY, now)
            verdicts = work.recurring.verdicts()
        ignored = frozenset(key for key, said in verdicts.items() if said is Verdict.IGNORED)
        daily: dict[Asset, dict[date, int]] = defaultdict(lambda: defaultdict(int))
        for each in moved:
            daily[each.amount.asset][each.day] += each.amount.units
        held = {amount.asset: amount for amount in amounts}
        found = []
        for asset in sorted({base, *held, *daily}, key=lambda each: each.id):
            course = Course(
                asset=asset,
                began=began or now,
                daily=daily[asset],
                lines=[line for line in lines if line.asset == asset],
                ignored=ignored,
            )
            forecast = Forecast(
                asset=asset,
                since=now + timedelta(days=1),
                until=now + timedelta(days=days),
                held=held.get(asset, Amount(0, asset)),
                outlook=outlook_of(course, now, days),
            )
            found.append(forecast)
        return found
