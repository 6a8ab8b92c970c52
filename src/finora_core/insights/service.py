"""Watching: what has come of budgets and goals, looked at whenever the books changed."""

from collections.abc import Mapping
from datetime import date

import attrs

from finora_core.insights.budgets.figures import raise_alerts
from finora_core.insights.goals.figures import reach_goals
from finora_core.insights.ports import WatchWork
from finora_core.kernel.scope import Scope
from finora_core.kernel.work import Begin, retried


@attrs.frozen
class WatchService:
    begin: Begin[WatchWork]

    @retried
    def watch(self, scope: Scope, *, today: date | None = None) -> Mapping[str, int]:
        """Tell of budgets that came to a level and of goals that are reached: each once, however
        many look at the same moment."""
        with self.begin(scope) as work:
            now = today or work.now.date()
            found = {"alerts": raise_alerts(work, now), "goals": reach_goals(work, now)}
            return work.done(found)
