"""How figures and dates are shown to people. Digits come from whole units, never from a float."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TypeVar

import attrs

from finora_core.insights.model import last_day
from finora_core.insights.wallet.model import Flows, MonthFlows, Worth
from finora_core.kernel.amount import Amount
from finora_core.kernel.asset import Asset

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MINUS = "\N{MINUS SIGN}"
_POINTS = 400
"""What a picture can show."""

Each = TypeVar("Each")


def figure(amount: Amount) -> str:
    """-1234567 cents are `−12,345.67`. Places that hold nothing, past the second, are left out."""
    whole, _, fraction = amount.text.lstrip("-").partition(".")
    if len(fraction) > 2:
        fraction = fraction.rstrip("0").ljust(2, "0")
    sign = _MINUS if amount.units < 0 else ""
    return f"{sign}{int(whole):,}" + (f".{fraction}" if fraction else "")


def money(amount: Amount) -> str:
    return f"{figure(amount)} {amount.asset.id}"


def day(value: date | str) -> str:
    """`3 Mar 2026`; a text is a date as ISO 8601 writes it."""
    read = date.fromisoformat(value) if isinstance(value, str) else value
    return f"{read.day} {month(read)}"


def month(value: date) -> str:
    return f"{_MONTHS[value.month - 1]} {value.year}"


def moment(value: datetime) -> str:
    return f"{day(value)}, {value:%H:%M} UTC"


def plain(value: Decimal) -> str:
    """With every digit that it has, and no exponent."""
    return f"{value:f}"


FILTERS: dict[str, Callable[..., str]] = {
    "figure": figure,
    "plain": plain,
    "money": money,
    "day": day,
    "month": month,
    "moment": moment,
}


def share(part: Amount, whole: int, width: int) -> int:
    """How long a bar of `width` is for `part` of so many units: at least 1 where there is any."""
    length = abs(part.units) * width // max(whole, 1)
    return max(length, 1) if part else 0


@attrs.frozen(kw_only=True)
class Month:
    """One month of one asset."""

    first: date
    flows: Flows
    into: int
    """Length of its bars, in hundredths of the longest."""
    out: int

    @property
    def last(self) -> date:
        return last_day(self.first)


@attrs.frozen(kw_only=True)
class Course:
    """The months of one asset, oldest first."""

    asset: Asset
    months: Sequence[Month]

    @property
    def chart(self) -> str:
        """For the picture: numbers as text, and the same as people read them."""
        flows = [month.flows for month in self.months]
        kinds = ("income", "expense", "net")
        return json.dumps({
            "asset": self.asset.id,
            "labels": [month(each.first) for each in self.months],
            "values": {kind: [getattr(each, kind).text for each in flows] for kind in kinds},
            "shown": {kind: [money(getattr(each, kind)) for each in flows] for kind in kinds},
        })  # fmt: skip

    @property
    def moved(self) -> int:
        """In how many months anything moved."""
        return sum(1 for month in self.months if month.flows.income or month.flows.expense)


def courses(months: Iterable[MonthFlows]) -> list[Course]:
    """By asset, the one that moved in most months first."""
    listed = list(months)
    assets = {flows.income.asset for each in listed for flows in each.flows}
    found = [_course(asset, listed) for asset in sorted(assets, key=lambda asset: asset.id)]
    return sorted(found, key=lambda course: -course.moved)


def _course(asset: Asset, months: list[MonthFlows]) -> Course:
    nothing = Flows(income=Amount(0, asset), expense=Amount(0, asset))
    by_month = [
        (each.month, next((flow for flow in each.flows if flow.income.asset == asset), nothing))
        for each in months
    ]
    longest = max(
        abs(amount.units) for _, flow in by_month for amount in (flow.income, flow.expense)
    )
    return Course(
        asset=asset,
        months=[
            Month(
                first=first,
                flows=flow,
                into=share(flow.income, longest, 100),
                out=share(flow.expense, longest, 100),
            )
            for first, flow in by_month
        ],
    )


@attrs.frozen(kw_only=True)
class Line:
    """The course of net worth in one asset, as points of a line of 40 in height."""

    months: Sequence[tuple[date, Amount]]
    """Latest first."""
    points: str
    width: int
    said: str


def line(worth: Sequence[Worth], asset: Asset) -> Line | None:
    """None where there are no two months to draw a line between."""
    nothing = Amount(0, asset)
    course = [
        (each.day, next((a for a in each.amounts if a.asset == asset), nothing)) for each in worth
    ]
    while course and not course[0][1]:
        course.pop(0)
    if len(course) < 2:
        return None
    units = [amount.units for _, amount in course]
    least, span = min(units), max(units) - min(units) or 1
    points = " ".join(
        f"{place * 10},{38 - (each - least) * 36 // span}" for place, each in enumerate(units)
    )
    said = f"Net worth from {money(course[0][1])} to {money(course[-1][1])}; the table says it all"
    return Line(months=course[::-1], points=points, width=(len(course) - 1) * 10, said=said)


def thinned(days: Sequence[Each]) -> Sequence[Each]:
    """No more of them than a picture can show, and always the last one."""
    step = -(-len(days) // _POINTS) if days else 1
    return [*days[:-1:step], *days[-1:]]


@attrs.frozen
class Point:
    """One day of a line."""

    day: date
    value: str | None
    """None where the line breaks."""
    shown: str
    """As people read it."""
    known: str = "full"
    """Or `partial`, `estimated`, `unknown`: the band below it."""


def course(points: Sequence[Point], *, from_zero: bool = False) -> str:
    """What course.js draws, as JSON; values are text."""
    return json.dumps({
        "days": [_stamp(each.day) for each in points],
        "labels": [day(each.day) for each in points],
        "values": [each.value for each in points],
        "shown": [each.shown for each in points],
        "known": [each.known for each in points],
        "from_zero": from_zero,
    })  # fmt: skip


def _stamp(value: date) -> int:
    return int(datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp())
