"""The portfolio: value over time and how much of it is known, where it is, every holding."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import attrs
from flask import Response

from finora_core.kernel.amount import Amount
from finora_core.kernel.outcome import Partial
from finora_core.portfolio.allocation import Allocation, Spread
from finora_core.portfolio.history import DayValue, HoldingDay
from finora_core.portfolio.valuation import Coverage, HoldingValue, Valuation
from finora_web.contract import Code, Id, In
from finora_web.gate import Gate
from finora_web.pages.account.frame import framed
from finora_web.pages.caller import caller
from finora_web.pages.forms import query
from finora_web.pages.show import Point, course, money, share, thinned

SPANS = {"30": "1 month", "365": "1 year", "1826": "5 years", "all": "All"}
KNOWN = {
    Coverage.FULL: "all is priced",
    Coverage.PARTIAL: "some prices are old",
    Coverage.ESTIMATED: "some has no price",
    Coverage.UNKNOWN: "most has no price",
}


SPREADS = {
    Spread.ASSET: "Asset",
    Spread.TYPE: "Type",
    Spread.ACCOUNT: "Account",
    Spread.INSTITUTION: "Place",
}
TYPES = {"currency": "Money", "crypto": "Coins", "security": "Securities", "other": "Other things"}


class Asked(In):
    span: Literal["30", "365", "1826", "all"] = "365"
    by: Spread = Spread.INSTITUTION
    account: Id | None = None
    asset: Code | None = None
    """Of which holding the course is shown."""


@attrs.frozen
class PortfolioPage:
    gate: Gate

    def page(self) -> Response:
        scope = caller(self.gate, "books:read")
        asked = query(Asked)
        span = asked.span
        app = self.gate.services
        today = datetime.now(UTC).date()
        since = None if span == "all" else today - timedelta(days=int(span))
        days = thinned(app.portfolio_history.read(scope, since=since))
        found = app.portfolio.valuation(scope)
        names = app.portfolio.own_assets(scope)
        one = None
        if asked.account is not None and asked.asset is not None:
            one = _one(app.portfolio_history.of_holding(
                scope, asked.account, asked.asset, since=since
            ), asked)  # fmt: skip
        return framed(
            app,
            scope,
            "portfolio.html",
            said={},
            found=found,
            totals=_totals(found),
            holdings=[_row(each, names) for each in _shown(found)],
            parts=_parts(app.portfolio.spread(scope, found, asked.by)),
            by=asked.by,
            spreads=SPREADS,
            one=one,
            known=KNOWN[found.coverage],
            days=days,
            chart=course(_points(days), from_zero=True),
            span=span,
            spans=SPANS,
            accounts=app.portfolio.accounts(scope),
            KNOWN=KNOWN,
        )


def _totals(found: Valuation) -> list[dict[str, Any]]:
    told = (
        ("Value", found.total),
        ("Paid for it", found.invested),
        ("Gain before fees", found.gain),
        ("Fees", found.fees),
        ("Income", found.income),
    )
    return [
        {
            "name": name,
            "amount": each.value,
            "gap": each.gap if isinstance(each, Partial) else None,
            "toned": name.startswith("Gain"),
        }
        for name, each in told
    ]


def _shown(found: Valuation) -> list[HoldingValue]:
    """Largest first; what has no price after them."""
    held = [each for each in found.holdings if each.quantity]
    return sorted(held, key=lambda each: (each.value is None, -(each.value or _zero(found)).units))


def _zero(found: Valuation) -> Amount:
    return Amount(0, found.base)


def _row(each: HoldingValue, names: Any) -> dict[str, Any]:
    asset = each.quantity.asset.id
    return {
        "of": each,
        "name": names.get(asset) or asset.partition(":")[2] or asset,
        "percent": None if each.gain_bp is None else _percent(each.gain_bp),
    }


def _percent(basis_points: int) -> str:
    whole, rest = divmod(abs(basis_points), 100)
    sign = "\N{MINUS SIGN}" if basis_points < 0 else "+"
    return f"{sign}{whole}.{rest:02} %"


def _parts(found: Allocation) -> list[dict[str, Any]]:
    """Largest first; what has no price is named, and is in no share."""
    largest = max((abs(each.value.units) for each in found.parts if each.value), default=0)
    return [
        {
            "name": TYPES.get(each.name, each.name) if found.by is Spread.TYPE else each.name,
            "amount": each.value,
            "bar": None if each.value is None else share(each.value, largest, 100),
            "percent": None if each.share_bp is None else _percent(each.share_bp).lstrip("+"),
            "unpriced": len(each.unpriced),
        }
        for each in found.parts
    ]


def _one(days: Sequence[HoldingDay], asked: Asked) -> dict[str, Any]:
    """The course of one holding, for the line under it."""
    shown = thinned(days)
    points = [
        Point(each.figures.day, each.figures.value.text if each.figures.priced else None,
              f"{money(each.figures.value)}, {KNOWN[each.figures.coverage]}"
              if each.figures.priced else "no price",
              each.figures.coverage.value)
        for each in shown
    ]  # fmt: skip
    return {
        "account": asked.account,
        "asset": asked.asset,
        "days": shown,
        "chart": course(points, from_zero=True),
    }


def _points(days: Sequence[DayValue]) -> list[Point]:
    return [
        Point(each.day, each.value.text, f"{money(each.value)}, {KNOWN[each.coverage]}",
              each.coverage.value)
        for each in days
    ]  # fmt: skip
