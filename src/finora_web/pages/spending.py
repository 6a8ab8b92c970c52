"""What was spent in a month, as a picture that goes down: categories, those below them, records."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

import attrs
from flask import render_template
from pydantic import Field

from finora_core.insights.explain.model import By, Direction, Figure, Part
from finora_core.insights.model import last_day
from finora_core.kernel.amount import Amount
from finora_core.kernel.page import MAX_LIMIT
from finora_core.kernel.scope import Scope
from finora_core.records.model import RecordFilter
from finora_web.contract import Code, In
from finora_web.gate import Gate
from finora_web.pages.caller import caller
from finora_web.pages.explain import of
from finora_web.pages.forms import query
from finora_web.pages.show import share
from finora_web.services import Services

LONG_AGO = date(1900, 1, 1)
_ROUND = 10_000
"""How long the ring of the picture is."""
_COLOURS = 8
_RECORDS = 20


class Spent(In):
    month: Annotated[str, Field(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")] | None = None
    asset: Code | None = None
    category: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]*$")] | None = None


@attrs.frozen(kw_only=True)
class Slice:
    """A category of the picture: its part of the ring, and of what was spent."""

    label: str
    amount: Amount
    percent: int
    length: int
    start: int
    colour: int
    href: str
    """Of the picture one level down, or of its records."""
    below: bool
    """Whether that is a picture."""
    why: str


@attrs.frozen
class Spending:
    gate: Gate

    def part(self) -> str:
        scope = caller(self.gate, "books:read")
        return render_template("_spending.html", **spending(self.gate.services, scope))


def spending(app: Services, scope: Scope) -> dict[str, Any]:
    asked = query(Spent, empty=("category",))
    today = datetime.now(UTC).date()
    moved = [
        each
        for each in app.wallet.cashflow_by_month(scope, LONG_AGO, last_day(today))
        if any(flows.expense for flows in each.flows)
    ]
    if not moved:
        return {"spent": None}
    months = [each.month for each in reversed(moved)]
    first = _month(asked.month) or months[0]
    # Whatever is spent in that month; one that was chosen stays, though nothing was.
    assets = sorted(
        {flows.income.asset.id for each in moved if each.month == first for flows in each.flows
         if flows.expense}
        | ({asked.asset} if asked.asset else set())
    ) or [flows.income.asset.id for flows in moved[-1].flows]  # fmt: skip
    asset = asked.asset or _most(moved, first, assets)
    figure = Figure(
        asset=asset,
        since=first,
        until=last_day(first),
        direction=Direction.OUT,
        category=asked.category,
    )
    total, parts, by = _whole(app, scope, figure)
    listed = _records(app, scope, figure, total) if by is not By.CATEGORY and total else ()
    address = Address(first, asset)
    return {
        "spent": total,
        "why_spent": of(figure),
        "slices": _slices(address, parts, asked.category) if by is By.CATEGORY else (),
        "spent_records": listed,
        "all_spent": _records_of(figure),
        "months": months if first in months else sorted({*months, first}, reverse=True),
        "month": first,
        "assets": assets,
        "asset": asset,
        "at": address,
        "trail": _trail(asked.category),
        "spent_on": asked.category,
    }


@attrs.frozen
class Address:
    """Of the picture: of the page that shows it, and of the part alone."""

    month: date
    asset: str

    def words(self, **other: str) -> str:
        return urlencode({"month": f"{self.month:%Y-%m}", "asset": self.asset} | other)

    def page(self, **other: str) -> str:
        return f"/?{self.words(**other)}#spending"

    def part(self, **other: str) -> str:
        return f"/parts/spending?{self.words(**other)}"


def _month(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(f"{text}-01")


def _most(moved: Sequence[Any], first: date, assets: Sequence[str]) -> str:
    """Of the assets of the month, the one in which something was spent in most months."""
    counts = dict.fromkeys(assets, 0)
    for each in moved:
        for flows in each.flows:
            if flows.expense and flows.income.asset.id in counts:
                counts[flows.income.asset.id] += 1
    return max(sorted(counts), key=lambda asset: counts[asset])


def _whole(app: Services, scope: Scope, figure: Figure) -> tuple[Amount, list[Part], By]:
    """Every part of it, however many pages they are."""
    found = app.explain.explain(scope, figure, limit=MAX_LIMIT)
    parts = list(found.parts)
    while found.by is By.CATEGORY and found.next is not None:
        found = app.explain.explain(scope, figure, cursor=found.next, limit=MAX_LIMIT)
        parts += found.parts
    return found.amount, parts, found.by


def _slices(address: Address, parts: Sequence[Part], category: str | None) -> list[Slice]:
    """Largest first. What came back where nothing was spent has no part of the ring."""
    ranked = sorted(parts, key=lambda part: (part.amount.units, part.label))
    whole = -sum(part.amount.units for part in ranked if part.amount.units < 0)
    slices, start = [], 0
    for place, part in enumerate(ranked):
        figure = part.figure
        assert figure is not None
        length = share(part.amount, whole, _ROUND) if part.amount.units < 0 else 0
        below = bool(part.label) and not figure.exactly
        slices.append(
            Slice(
                label=f"{part.label} itself" if part.label == category else part.label,
                amount=part.amount,
                percent=length * 100 // _ROUND,
                length=length,
                start=start,
                colour=min(place + 1, _COLOURS),
                href=address.page(category=part.label) if below else _records_of(figure),
                below=below,
                why=of(figure),
            )
        )
        start += length
    return slices


def _records(app: Services, scope: Scope, figure: Figure, total: Amount) -> Sequence[Any]:
    """What went out; what came in is no part of the figure."""
    wanted = RecordFilter(
        since=figure.since,
        until=figure.until,
        category=figure.category,
        most=Amount(-1, total.asset),
    )
    return app.records.list(scope, wanted, limit=_RECORDS).items


def _records_of(figure: Figure) -> str:
    named = {"category": figure.category} if figure.category else {"uncategorised": "1"}
    said = named | {"since": str(figure.since), "until": str(figure.until)}
    return f"/records?{urlencode(said)}"


def _trail(category: str | None) -> list[tuple[str, str]]:
    """Name and path of each level that was gone down."""
    names = category.split(":") if category else []
    return [(name, ":".join(names[: depth + 1])) for depth, name in enumerate(names)]
