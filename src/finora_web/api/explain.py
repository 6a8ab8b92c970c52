"""Any figure as the sum that it is, level by level, down to the lines that were received."""

from datetime import date, datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from pydantic import BeforeValidator, Field

from finora_core.insights.explain.model import (
    By,
    ConvertedFigure,
    Direction,
    Explanation,
    Figure,
    Part,
)
from finora_core.kernel.outcome import Partial
from finora_core.kernel.scope import Scope
from finora_web.api.entries import EntryOut
from finora_web.api.rates import RateOut
from finora_web.api.records import SplitPartOut
from finora_web.contract import Code, Day, Id, MoneyOut, Out, Paged, Routes, Single
from finora_web.services import Services

routes = Routes("explain")
PREFIX = "/api/v1/explain"


class FigureQuery(Paged):
    """The postings of own accounts that a figure sums; what is not said is not asked."""

    asset: Code
    until: Day
    since: Day | None = Field(None, description="From the beginning, if not given.")
    account_id: Id | None = None
    direction: Direction | None = Field(
        None, description="`in` is income, `out` spending; all that moves a balance, if not given."
    )
    category: Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")] | None = Field(
        None, description="With all that is below it; empty for what has none."
    )
    exactly: bool = Field(False, description="Without what is below the category.")

    @property
    def figure(self) -> Figure:
        return Figure(**self.model_dump(exclude={"cursor", "limit"}))


class PartOut(Out):
    label: str
    amount: MoneyOut
    postings: int
    category: str | None = Field(description="Of a posting: what it counts under.")
    path: str = Field(description="Explains the part in turn.")


class ExplanationOut(Out):
    amount: MoneyOut = Field(description="The sum of all parts, on whatever page they are.")
    postings: int = Field(description="How many it is the sum of; a reversal takes one away.")
    by: By = Field(description="What the parts are.")
    parts: list[PartOut]
    next: str | None = Field(description="The cursor of the next parts.")


class SaidOut(Out):
    category: str
    flow: str
    source: str
    set_by: UUID
    at: datetime
    rule_id: UUID | None
    parts: Annotated[list[SplitPartOut], BeforeValidator(list)] = Field(
        description="Of a label that splits its entry."
    )


class ReceivedOut(Out):
    record_id: UUID
    source: str
    file: str | None
    place: int | None = Field(description="Of the line in its file.")
    raw: Any
    decisions: list[dict[str, Any]]


class OriginOut(Out):
    entry: EntryOut
    reversed_by: UUID | None
    labels: Annotated[list[SaidOut], BeforeValidator(list)] = Field(
        description="In the order they were given; the last one holds."
    )
    received: ReceivedOut | None


def path_of(figure: Figure) -> str:
    """Where a figure is explained."""
    asked = {
        "asset": figure.asset,
        "since": figure.since,
        "until": figure.until,
        "account_id": figure.account_id,
        "direction": figure.direction,
        "category": figure.category,
        "exactly": "true" if figure.exactly else None,
    }
    said = {name: str(value) for name, value in asked.items() if value is not None}
    return f"{PREFIX}/figure?{urlencode(said)}"


def _part(part: Part) -> dict[str, object]:
    below = f"{PREFIX}/entries/{part.entry_id}"
    if part.figure is not None:
        below = path_of(part.figure)
    return {
        "label": part.label,
        "amount": part.amount,
        "postings": part.postings,
        "category": part.category,
        "path": below,
    }


def _shown(found: Explanation) -> dict[str, object]:
    return {
        "amount": found.amount,
        "postings": found.postings,
        "by": found.by,
        "parts": [_part(part) for part in found.parts],
        "next": found.next,
    }


@routes.get("/explain/figure", "books:read", Single[ExplanationOut])
def explain_figure(app: Services, scope: Scope, query: FigureQuery) -> object:
    """What the figure is the sum of: accounts, else categories, else months, else postings."""
    figure = query.figure
    return _shown(app.explain.explain(scope, figure, cursor=query.cursor, limit=query.limit))


class ConvertedQuery(FigureQuery):
    """`asset` is what all are converted into."""

    on: Day | None = Field(
        None, description="The day of the rates, where it is not `until`: of what is held now."
    )

    @property
    def figure(self) -> Figure:
        return Figure(**self.model_dump(exclude={"cursor", "limit", "on"}))


class ConversionPartOut(Out):
    amount: MoneyOut = Field(description="In its own asset.")
    category: str | None
    since: date | None
    until: date
    on: date = Field(description="The day whose rate holds.")
    rates: list[RateOut] = Field(
        description="The facts: multiply by the value of a rate whose base is what one has, divide "
        "by one whose quote it is; rounded once, half to even."
    )
    converted: MoneyOut | None = Field(description="Null where a rate is missing: never 0.")
    gap: str | None
    path: str = Field(description="Explains `amount` in turn.")


class ConvertedOut(Out):
    amount: MoneyOut = Field(description="The sum of all parts that could be converted.")
    gap: str | None = Field(description="What it leaves out.")
    parts: list[ConversionPartOut]
    next: str | None


def _converted(found: ConvertedFigure) -> dict[str, object]:
    outcome = found.outcome
    return {
        "amount": found.amount,
        "gap": outcome.gap if isinstance(outcome, Partial) else None,
        "parts": [
            {
                "amount": part.amount,
                "category": part.figure.category,
                "since": part.figure.since,
                "until": part.figure.until,
                "on": part.on,
                "rates": part.rates,
                "converted": part.converted,
                "gap": None if part.missing is None else str(part.missing),
                "path": path_of(part.figure),
            }
            for part in found.parts
        ],
        "next": found.next,
    }


@routes.get("/explain/converted", "books:read", Single[ConvertedOut])
def explain_converted(app: Services, scope: Scope, query: ConvertedQuery) -> object:
    """A figure over all assets as one: each amount with the dated rate that converts it."""
    found = app.explain.converted(
        scope, query.figure, on=query.on, cursor=query.cursor, limit=query.limit
    )
    return _converted(found)


@routes.get("/explain/entries/{entry_id}", "books:read", Single[OriginOut])
def explain_entry(app: Services, scope: Scope, entry_id: UUID) -> object:
    """An entry, the line it came of, and every label it was given."""
    return app.explain.origin(scope, entry_id)
