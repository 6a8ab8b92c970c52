"""The portfolio: value over time and how much of it is known, where it is, every holding."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import attrs
from flask import Response

from finora_core.kernel.amount import Amount
from finora_core.kernel.outcome import Partial
from finora_core.portfolio.history import DayValue
from finora_core.portfolio.valuation import Coverage, HoldingValue, Valuation
from finora_web.contract import In
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


class Asked(In):
    span: Literal["30", "365", "1826", "all"] = "365"


@attrs.frozen
class PortfolioPage:
    gate: Gate

    def page(self) -> Response:
        scope = caller(self.gate, "books:read")
        span = query(Asked).span
        app = self.gate.services
        today = datetime.now(UTC).date()
        since = None if span == "all" else today - timedelta(days=int(span))
        days = thinned(app.portfolio_history.read(scope, since=since))
        found = app.portfolio.valuation(scope)
        names = app.portfolio.own_assets(scope)
        return framed(
            app,
            scope,
            "portfolio.html",
            said={},
            found=found,
            totals=_totals(found),
            holdings=[_row(each, names) for each in _shown(found)],
            parts=_parts(found),
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


def _parts(found: Valuation) -> list[dict[str, Any]]:
    """What each institution has of the total, largest first."""
    sums: dict[str, int] = defaultdict(int)
    for each in found.counted:
        if each.value is not None:
            sums[each.account.institution.name] += each.value.units
    largest = max(map(abs, sums.values()), default=0)
    whole = sum(sums.values())
    return [
        {
            "name": name,
            "amount": Amount(units, found.base),
            "bar": share(Amount(units, found.base), largest, 100),
            "percent": units * 100 // whole if whole > 0 else None,
        }
        for name, units in sorted(sums.items(), key=lambda item: -item[1])
    ]


def _points(days: Sequence[DayValue]) -> list[Point]:
    return [
        Point(each.day, each.value.text, f"{money(each.value)}, {KNOWN[each.coverage]}",
              each.coverage.value)
        for each in days
    ]  # fmt: skip
