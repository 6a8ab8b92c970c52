"""Goals: what is being saved for, of which accounts, and when it will be there."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import attrs
from flask import Response, redirect, request
from werkzeug.wrappers import Response as Answer

from finora_core.insights.goals.model import GoalStatus, Share
from finora_core.insights.model import NoForecast, Reason
from finora_core.kernel.errors import Refusal
from finora_core.kernel.outcome import Partial
from finora_core.kernel.page import DEFAULT_LIMIT
from finora_core.kernel.scope import Scope
from finora_web.contract import Paged
from finora_web.errors import BadRequest
from finora_web.gate import Gate
from finora_web.pages.account.frame import framed
from finora_web.pages.caller import caller
from finora_web.pages.forms import a_day, an_amount, query, sent
from finora_web.pages.own import assets_of, own_accounts

REASONS: Mapping[Reason, str] = {
    Reason.TOO_LITTLE_HISTORY: "There is too little history to tell when: four weeks at least.",
    Reason.NOT_GROWING: "Nothing came in lately, so nobody can tell when.",
    Reason.TOO_FAR: "At the present pace it takes more than a hundred years.",
    Reason.NO_RATE: "A rate is missing to tell when.",
    Reason.NO_ACCOUNTS: "No account is meant for it yet.",
}
_SAID = {
    "made": "The goal is set.",
    "changed": "Saved.",
    "deleted": "The goal was deleted. No money moved.",
}
_SHARE = "share:"


@attrs.frozen
class Goals:
    gate: Gate

    def page(self) -> Response:
        return self._page(caller(self.gate, "books:read"))

    def one(self, goal_id: UUID) -> Response:
        return self._one(caller(self.gate, "books:read"), goal_id)

    def create(self) -> Answer:
        scope = caller(self.gate, "books:write")
        app = self.gate.services
        try:
            made = app.goals.create(
                scope,
                sent("name"),
                an_amount(app, scope, "target"),
                by=a_day("by"),
                shares=_shares(),
            )
        except Refusal as refusal:
            return self._page(scope, refusal)
        return redirect(f"/goals/{made.goal.id}?said=made", 303)

    def change(self, goal_id: UUID) -> Answer:
        scope = caller(self.gate, "books:write")
        app = self.gate.services
        try:
            app.goals.change(
                scope,
                goal_id,
                name=sent("name"),
                target=an_amount(app, scope, "target"),
                by=a_day("by"),
                shares=_shares(),
            )
        except Refusal as refusal:
            return self._one(scope, goal_id, refusal)
        return redirect(f"/goals/{goal_id}?said=changed", 303)

    def delete(self, goal_id: UUID) -> Answer:
        scope = caller(self.gate, "books:write")
        self.gate.services.goals.delete(scope, goal_id)
        return redirect("/goals?said=deleted", 303)

    def _page(self, scope: Scope, refusal: Refusal | None = None) -> Response:
        app = self.gate.services
        found = app.goals.list(scope, cursor=query(Paged).cursor, limit=DEFAULT_LIMIT)
        return framed(
            app,
            scope,
            "plan/goals.html",
            refusal,
            said=_SAID,
            goals=[_shown(each) for each in found.items],
            next=found.next,
            assets=assets_of(app, scope),
            own=own_accounts(app, scope),
            given=request.form,
        )

    def _one(self, scope: Scope, goal_id: UUID, refusal: Refusal | None = None) -> Response:
        app = self.gate.services
        status = app.goals.get(scope, goal_id)
        own = own_accounts(app, scope)
        asset = status.goal.target.asset
        held = {
            each.account.id: each.amount
            for each in app.ledger.balances(scope)
            if each.amount.asset == asset
        }
        return framed(
            app,
            scope,
            "plan/goal.html",
            refusal,
            said=_SAID,
            one=_shown(status),
            names={each.id: each.name for each in own},
            own=own,
            held=held,
            percents={each.account_id: each.percent for each in status.goal.shares},
            given=request.form,
        )


def _shown(status: GoalStatus) -> dict[str, Any]:
    forecast, current = status.forecast, status.current
    return {
        "status": status,
        "goal": status.goal,
        "current": current.value,
        "gap": current.gap if isinstance(current, Partial) else None,
        "percent": status.progress // 100,
        "bar": max(0, min(status.progress // 100, 100)),
        "day": None if isinstance(forecast, NoForecast) else forecast.value,
        "reason": REASONS[forecast.reason] if isinstance(forecast, NoForecast) else None,
    }


def _shares() -> tuple[Share, ...]:
    """Of each account so many per cent; empty or 0 is none. Raises BadRequest, BadGoal."""
    found = []
    for name, text in request.form.items():
        if not name.startswith(_SHARE) or text.strip() in ("", "0"):
            continue
        try:
            account, percent = UUID(name.removeprefix(_SHARE)), int(text)
        except ValueError as error:
            raise BadRequest("A share is a whole number of per cent, 1 to 100.") from error
        found.append(Share(account, percent))
    return tuple(found)
