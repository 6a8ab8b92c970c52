"""The first page, and its parts that are renewed when the books change."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import attrs
from flask import render_template, request

from finora_core.insights.model import last_day, months_before
from finora_core.insights.wallet.model import MonthFlows, Period, Summary
from finora_core.kernel.outcome import Partial
from finora_core.kernel.scope import Scope
from finora_core.ledger.model import Account, Balance
from finora_web.errors import BadRequest
from finora_web.gate import Gate
from finora_web.pages.account.frame import frame
from finora_web.pages.caller import caller
from finora_web.pages.imports import Jobs
from finora_web.pages.own import own_accounts
from finora_web.pages.records import Records
from finora_web.pages.show import courses, line, share
from finora_web.pages.spending import LONG_AGO, spending
from finora_web.services import Services

SPANS = {"12": "12 months", "36": "3 years", "all": "All"}


@attrs.frozen
class Overview:
    gate: Gate
    jobs: Jobs
    records: Records

    def page(self) -> str:
        scope = caller(self.gate, "books:read")
        app = self.gate.services
        return render_template(
            "overview.html",
            frame=frame(app, scope),
            **_summary(app, scope),
            **_cashflow(app, scope),
            **self.jobs.open(scope),
            **spending(app, scope),
            **self.records.latest(scope),
            formats=sorted(app.imports.formats),
        )

    def summary(self) -> str:
        scope = caller(self.gate, "books:read")
        return render_template("_summary.html", **_summary(self.gate.services, scope))

    def cashflow(self) -> str:
        scope = caller(self.gate, "books:read")
        return render_template("_cashflow.html", **_cashflow(self.gate.services, scope))


def _summary(app: Services, scope: Scope) -> dict[str, Any]:
    period = _choice("period", [each.value for each in Period], Period.MONTH.value)
    found = app.wallet.summary(scope, Period(period))
    return {
        "summary": found,
        "periods": list(Period),
        "worth": line(app.wallet.networth(scope), found.total.value.asset),
        "gap": found.total.gap if isinstance(found.total, Partial) else None,
        "top": _top(found),
        "trend": courses(found.trend),
        "accounts": _accounts(own_accounts(app, scope), app.ledger.balances(scope)),
        "empty": not app.records.list(scope, limit=1).items,
    }


def _top(summary: Summary) -> list[dict[str, Any]]:
    """Each category with a bar, as long as its part of the largest in its asset."""
    largest: dict[str, int] = {}
    for each in summary.top_categories:
        asset = each.spent.asset.id
        largest[asset] = max(largest.get(asset, 0), abs(each.spent.units))
    return [
        {
            "category": each.category,
            "spent": each.spent,
            "bar": share(each.spent, largest[each.spent.asset.id], 100),
        }
        for each in summary.top_categories
    ]


def _accounts(
    accounts: Sequence[Account], balances: Sequence[Balance]
) -> list[tuple[Account, list[Balance]]]:
    """Each account with what it has of each asset."""
    held: dict[UUID, list[Balance]] = {}
    for balance in balances:
        held.setdefault(balance.account.id, []).append(balance)
    return [(account, held.get(account.id, [])) for account in accounts]


def _cashflow(app: Services, scope: Scope) -> dict[str, Any]:
    """The latest months in which anything moved, though that may be long ago."""
    span = _choice("span", list(SPANS), "12")
    today = datetime.now(UTC).date()
    end = last_day(today)
    months = [*app.wallet.cashflow_by_month(scope, LONG_AGO, end)]
    moved = [each.month for each in months if each.flows]
    shown: list[MonthFlows] = []
    if moved:
        last = today.replace(day=1)
        if span != "all" and moved[-1] < months_before(today, int(span) - 1):
            last = moved[-1]
        first = moved[0] if span == "all" else months_before(last, int(span) - 1)
        shown = [each for each in months if first <= each.month <= last]
    found = courses(shown)
    wanted = request.args.get("asset", "")
    return {
        "courses": found,
        "course": next((each for each in found if each.asset.id == wanted), None)
        or next(iter(found), None),
        "span": span,
        "spans": SPANS,
        "latest": moved[-1] if moved else None,
        "late": bool(shown) and shown[-1].month < today.replace(day=1),
    }


def _choice(name: str, known: list[str], usual: str) -> str:
    given = request.args.get(name, usual)
    if given not in known:
        raise BadRequest(f"{name} is one of {', '.join(known)}", details=((name, "is unknown"),))
    return given
