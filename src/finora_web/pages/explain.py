"""Why a figure is what it is: the sum of which it is, level by level, down to entries."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

import attrs
from flask import render_template, request
from pydantic import Field

from finora_core.insights.explain.model import By, Direction, Explanation, Figure
from finora_core.kernel.amount import Amount
from finora_core.kernel.outcome import Partial
from finora_core.kernel.scope import Scope
from finora_web.contract import Code, Day, Paged
from finora_web.gate import Gate
from finora_web.pages.account.frame import frame
from finora_web.pages.caller import caller
from finora_web.pages.forms import query as read_query
from finora_web.pages.reasons import SOURCES, reason
from finora_web.pages.show import day
from finora_web.services import Services

EVER = date.max
"""What is held counts whatever is booked, also what is dated ahead."""
NET = "net"
PATH = "/explain"
_KINDS: Mapping[str | None, str] = {
    None: "All that moved",
    "in": "Income",
    "out": "Spending",
    NET: "Income less spending",
    "transfer": "Transfers",
    "opening": "Opening balances",
    "exchange": "Exchanges",
}
_PARTS: Mapping[By, tuple[str, str]] = {
    By.ACCOUNT: ("account", "accounts"),
    By.CATEGORY: ("category", "categories"),
    By.MONTH: ("month", "months"),
    By.POSTING: ("posting", "postings"),
}


class Why(Paged):
    """A figure as its address says it. `net` is what came in less what went out."""

    asset: Code
    since: Day | None = None
    until: Day = EVER
    account_id: UUID | None = None
    direction: Direction | Literal["net"] | None = None
    category: Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")] | None = None
    exactly: bool = False

    def of(self, direction: Direction | None) -> Figure:
        named = self.model_dump(exclude={"cursor", "limit", "direction"})
        return Figure(**named, direction=direction)


class Converted(Why):
    """A figure over all currencies; `asset` is what they are converted into."""

    direction: Direction | None = None
    on: Day | None = None

    @property
    def asks(self) -> dict[str, Any]:
        return self.model_dump(exclude={"cursor", "limit"})

    @property
    def figure(self) -> Figure:
        return Figure(**self.model_dump(exclude={"cursor", "limit", "on"}))


def explained(
    asset: str,
    *,
    since: date | None = None,
    until: date | None = None,
    account_id: UUID | None = None,
    direction: str | None = None,
    category: str | None = None,
    exactly: bool = False,
    cursor: str | None = None,
    on: date | None = None,
    path: str = PATH,
) -> str:
    """Where a figure is explained."""
    said = {
        "asset": asset,
        "since": since,
        "until": None if until == EVER else until,
        "account_id": account_id,
        "direction": direction,
        "category": category,
        "exactly": "1" if exactly else None,
        "on": on,
        "cursor": cursor,
    }
    return f"{path}?{urlencode({name: value for name, value in said.items() if value is not None})}"


def why(amount: Amount, **asks: Any) -> str:
    """Where this amount is explained, of the postings that `asks` names."""
    return explained(amount.asset.id, **asks)


def of(figure: Figure) -> str:
    return explained(**attrs.asdict(figure))


def converted(asset: str, **asks: Any) -> str:
    """Where a figure over all currencies is explained."""
    return explained(asset, path=f"{PATH}/converted", **asks)


def why_converted(amount: Amount, **asks: Any) -> str:
    return converted(amount.asset.id, **asks)


FILTERS = {"why": why, "why_converted": why_converted}


@attrs.frozen
class Explain:
    gate: Gate

    def page(self) -> str:
        scope = caller(self.gate, "books:read")
        app = self.gate.services
        query = read_query(Why, empty=("category",))
        shown = (
            _both(app, scope, query)
            if query.direction == NET
            else _one(app, scope, query, Direction(query.direction) if query.direction else None)
        )
        if "HX-Request" in request.headers and query.cursor is not None:
            return render_template("_parts.html", **shown)
        return render_template(
            "explain.html",
            frame=frame(app, scope),
            said=_said(app, scope, query),
            up=_up(query),
            **shown,
        )

    def converted(self) -> str:
        """A figure over all currencies, with the rate of each of its parts."""
        scope = caller(self.gate, "books:read")
        app = self.gate.services
        query = read_query(Converted, empty=("category",))
        found = app.explain.converted(
            scope, query.figure, on=query.on, cursor=query.cursor, limit=query.limit
        )
        outcome = found.outcome
        more = found.next and converted(**query.asks | {"cursor": found.next})
        return render_template(
            "explain_converted.html",
            frame=frame(app, scope),
            said=_said(app, scope, query),
            found=found,
            gap=outcome.gap if isinstance(outcome, Partial) else None,
            parts=[(part, of(part.figure)) for part in found.parts],
            more=more,
        )

    def entry(self, entry_id: UUID) -> str:
        """An entry, the line that it came of, and all that was said of it since."""
        scope = caller(self.gate, "books:read")
        app = self.gate.services
        origin = app.explain.origin(scope, entry_id)
        names = {each.id: each.name for each in app.ledger.accounts(scope)}
        return render_template(
            "explain_entry.html",
            frame=frame(app, scope),
            origin=origin,
            names=names,
            sources=SOURCES,
            reason=reason,
            raw=_raw(origin.received.raw if origin.received else None),
        )


def _one(app: Services, scope: Scope, query: Why, direction: Direction | None) -> dict[str, Any]:
    found = app.explain.explain(scope, query.of(direction), cursor=query.cursor, limit=query.limit)
    one, many = _PARTS[found.by]
    return {
        "amount": found.amount,
        "postings": found.postings,
        "kind": one,
        "kinds": many,
        "parts": [
            {
                "label": _label(found, each.label),
                "on_date": each.on_date,
                "amount": each.amount,
                "postings": each.postings,
                "href": of(each.figure) if each.figure else f"{PATH}/entries/{each.entry_id}",
            }
            for each in found.parts
        ],
        "more": found.next and of_query(query, cursor=found.next),
    }


def _both(app: Services, scope: Scope, query: Why) -> dict[str, Any]:
    """What came in and what went out, as the two parts of what was left."""
    figures = [query.of(direction) for direction in (Direction.IN, Direction.OUT)]
    income, spending = (app.explain.explain(scope, figure, limit=1) for figure in figures)
    return {
        "amount": income.amount + spending.amount,
        "postings": income.postings + spending.postings,
        "kind": "direction",
        "kinds": "directions",
        "parts": [
            {
                "label": _KINDS[found.figure.direction],
                "on_date": None,
                "amount": found.amount,
                "postings": found.postings,
                "href": of(found.figure),
            }
            for found in (income, spending)
        ],
        "more": None,
    }


def of_query(query: Why, **other: Any) -> str:
    asks = query.model_dump(exclude={"limit"})
    return explained(**asks | other)


def _label(found: Explanation, label: str) -> str:
    match found.by:
        case By.CATEGORY if not label:
            return "Without category"
        case By.CATEGORY if label == found.figure.category:
            return f"{label} itself"
        case By.POSTING if not label:
            return "Without text"
    return label


def _said(app: Services, scope: Scope, query: Why) -> str:
    """The figure in words."""
    words = [_KINDS[query.direction]]
    if query.category is not None:
        words.append(f"on {query.category}" if query.category else "without a category")
        if query.category and not query.exactly:
            words.append("and all below it")
    if query.account_id is not None:
        names = [each.name for each in app.ledger.accounts(scope) if each.id == query.account_id]
        words += [f"in {name}" for name in names]
    else:
        words.append("in all own accounts")
    words.append(f"in {query.asset}")
    if query.since is not None and query.until != EVER:
        words.append(f"from {day(query.since)} to {day(query.until)}")
    elif query.since is not None:
        words.append(f"since {day(query.since)}")
    elif query.until != EVER:
        words.append(f"until {day(query.until)}")
    return f"{' '.join(words)}."


def _up(query: Why) -> Sequence[tuple[str, str]]:
    """The categories above, the uppermost first."""
    if not query.category:
        return ()
    names = query.category.split(":")
    levels = len(names) if query.exactly else len(names) - 1
    paths = [":".join(names[: depth + 1]) for depth in range(levels)]
    whole = of_query(query, category=None, exactly=False, cursor=None)
    return (
        (_KINDS[query.direction], whole),
        *((path, of_query(query, category=path, exactly=False, cursor=None)) for path in paths),
    )


def _raw(raw: object) -> Sequence[tuple[str, str]]:
    """A received line as names and values."""
    if isinstance(raw, Mapping):
        return [(str(name), _plain(value)) for name, value in raw.items()]
    return [] if raw is None else [("line", _plain(raw))]


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_plain(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(map(_plain, value))
    return "" if value is None else str(value)
