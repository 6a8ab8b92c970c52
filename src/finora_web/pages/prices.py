"""Prices: who an asset is, what each source says it is worth, and what is missing or was mended."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import attrs
from flask import Response

from finora_core.kernel.asset import UnknownAsset
from finora_core.kernel.scope import Scope
from finora_core.market.assets.model import Identity, NoIdentity
from finora_core.market.prices.model import Course, Factor, Price
from finora_web.contract import Code, In, Name
from finora_web.gate import Gate
from finora_web.pages.account.frame import framed
from finora_web.pages.caller import caller
from finora_web.pages.forms import query
from finora_web.pages.show import Point, thinned
from finora_web.pages.show import course as picture

SPANS = {"30": "1 month", "365": "1 year", "1826": "5 years"}
FOUND = 50
KINDS = {"intraday": "during the day", "daily": "at the day's end", "exact": "of a transaction"}


class Asked(In):
    words: Name | None = None
    asset: Code | None = None
    quote: Code | None = None
    span: Literal["30", "365", "1826"] = "365"


@attrs.frozen
class PricesPage:
    gate: Gate

    def page(self) -> Response:
        scope = caller(self.gate, "books:read")
        asked = query(Asked)
        shown: dict[str, Any] = {"asked": asked, "spans": SPANS, "KINDS": KINDS}
        if asked.asset is not None:
            shown |= self._asset(scope, asked.asset, asked)
        elif asked.words is not None:
            shown |= {"found": self._found(scope, asked.words)}
        else:
            shown |= {"held": self._held(scope)}
        return framed(self.gate.services, scope, "prices.html", said={}, **shown)

    def _found(self, scope: Scope, words: str) -> list[dict[str, Any]]:
        """Assets of that name; one that nobody described is found by its whole id."""
        app = self.gate.services
        found = app.assets.search(scope, words, limit=FOUND).items
        rows: list[dict[str, Any]] = [{"id": each.asset, "identity": each} for each in found]
        if words not in {each.asset for each in found}:
            with suppress(UnknownAsset):
                rows.append({"id": app.ledger.asset(scope, words).id, "identity": None})
        return rows

    def _held(self, scope: Scope) -> list[dict[str, Any]]:
        """What somebody has, with what one of it is worth."""
        app = self.gate.services
        found = app.portfolio.valuation(scope)
        names = app.portfolio.own_assets(scope)
        held = {each.quantity.asset.id: each for each in found.holdings if each.quantity}
        return [
            {
                "id": asset,
                "name": names.get(asset) or asset.partition(":")[2] or asset,
                "own": asset in names,
                "base": found.base.id,
                "price": digits(each.factor.value) if isinstance(each.factor, Factor) else None,
                "at": each.factor.effective_at if isinstance(each.factor, Factor) else None,
                "stale": each.stale,
            }
            for asset, each in sorted(held.items())
            if asset != found.base.id
        ]

    def _asset(self, scope: Scope, asset: str, asked: Asked) -> Mapping[str, Any]:
        app = self.gate.services
        now = datetime.now(UTC)
        since = now.date() - timedelta(days=int(asked.span))
        course = app.prices.course(scope, asset, since, now.date(), quote=asked.quote)
        identity = self._identity(scope, asset)
        days = thinned(_days(course))
        return {
            "course": course,
            "identity": identity,
            "verdict": verdict(identity),
            "quotes": list(dict.fromkeys(each.quote for each in course.said)),
            "days": days,
            "chart": picture(_points(days, course.quote)),
            "now": now,
        }

    def _identity(self, scope: Scope, asset: str) -> Identity | None:
        try:
            return self.gate.services.assets.get(scope, asset)
        except NoIdentity:
            return None


def verdict(identity: Identity | None) -> tuple[str, str]:
    """How it is marked, and why."""
    if identity is None:
        return "not described", "Nobody said who this is. It counts in totals."
    chance = "" if identity.scam is None else f"{Decimal(identity.scam).scaleb(-2):f} %"
    if identity.lookalike is not None:
        return (
            "set aside",
            f"Its symbol looks like that of {identity.lookalike}, and it is not that.",
        )
    if not identity.counts:
        return "left out", f"It is likely a scam ({chance}), and in no total."
    told = f" A scam with a probability of {chance}." if chance else ""
    return "counts", f"It counts in totals.{told}"


def digits(value: Any) -> str:
    """For reading: six significant digits, and none that say nothing."""
    shown = Decimal(value.numerator) / Decimal(value.denominator)
    return f"{Decimal(format(shown, '.6g')):f}"


Day = tuple[date, Price | None]
"""None on a day without a price."""


def _days(course: Course) -> list[Day]:
    found: list[Day] = [(each.at.astimezone(UTC).date(), each) for each in course.days]
    for gap in course.gaps:
        count = (gap.until - gap.since).days + 1
        found += [(gap.since + timedelta(days=number), None) for number in range(count)]
    return sorted(found, key=lambda each: each[0])


def _points(days: Sequence[Day], quote: str | None) -> list[Point]:
    return [
        Point(on, None, "no price", "unknown") if price is None
        else Point(on, f"{price.value:f}", f"{price.value:f} {quote}, {price.source}")
        for on, price in days
    ]  # fmt: skip
