"""Prices: dated facts, what an amount is worth by them, and what is missing."""

from datetime import date, datetime
from fractions import Fraction
from typing import Annotated, BinaryIO
from uuid import UUID

from pydantic import BeforeValidator, Field

from finora_core.kernel.amount import Amount
from finora_core.kernel.scope import Scope
from finora_core.market.prices.model import Converted, Factor, Granularity, NoPrice
from finora_core.market.prices.repair import Fault, Mended, decimal_of
from finora_core.market.prices.service import TakenIn
from finora_web.contract import (
    Code,
    Day,
    Decimal,
    In,
    Instant,
    Listed,
    MoneyIn,
    MoneyOut,
    Out,
    Paged,
    Routes,
    Single,
    listed,
)
from finora_web.services import Services

routes = Routes("prices")

Plain = Annotated[str, BeforeValidator(lambda it: format(it, "f"))]
Source = Annotated[str, Field(pattern=r"^[a-z][a-z0-9._-]{0,63}$", examples=["yahoo"])]


class PriceOut(Out):
    asset: str
    quote: str
    at: datetime = Field(description="A daily price is filed at its day's midnight, UTC.")
    value: Plain = Field(
        description="What one whole `asset` was worth in whole `quote`.", examples=["101.25"]
    )
    granularity: Granularity
    source: str
    revision: int = Field(description="A correction is a further one; the highest holds.")


class NoPriceOut(Out):
    asset: str
    to: str
    at: datetime
    nearest: datetime | None = Field(description="The first time from which it has a price.")


class PriceConversionOut(Out):
    amount: MoneyOut
    at: datetime
    result: MoneyOut | None = Field(description="Null where no price leads there: never 0.")
    rate: str | None = Field(
        description="What one whole of it is worth, to 28 digits; the result is of the exact one."
    )
    path: list[str] = Field(description="The assets it goes along, both ends in it.")
    effective_at: datetime | None = Field(description="Of the oldest price on the path.")
    stale: bool = Field(description="One of the prices is too old to be relied on.")
    prices: list[PriceOut] = Field(description="The facts it was made of.")
    missing: NoPriceOut | None


class CoverageOut(Out):
    asset: str
    to: str
    days: int
    priced: int = Field(description="Days with a price, too old ones among them.")
    stale: int
    missing: int
    first: datetime | None = Field(description="Of the oldest price that was used.")
    last: datetime | None


class GapOut(Out):
    since: date
    until: date


class FixOut(Out):
    at: datetime
    fault: Fault
    before: str
    after: str


class MendedOut(Out):
    fixes: list[FixOut]
    unclear: list[str] = Field(description="What looks like a fault, and was left as it is.")


class TakenInOut(Out):
    source: str
    added: int
    corrected: int
    existing: int
    unknown: list[str]
    set_aside: int = Field(description="Lines without a price: a zero is none.")
    mended: MendedOut | None


class PriceQuery(Paged):
    asset: Code
    quote: Code | None = None
    since: Day | None = None
    until: Day | None = None


class PriceConversionQuery(In):
    amount: Decimal
    asset: Code
    to: Code
    at: Instant
    display: Code | None = Field(None, description="One more asset to go through.")


class PriceConversionIn(In):
    money: MoneyIn
    at: Instant


class PriceConversionsIn(In):
    amounts: Annotated[list[PriceConversionIn], Field(min_length=1, max_length=1_000)]
    to: Code
    display: Code | None = None


class CoverageQuery(In):
    asset: Code
    to: Code
    since: Day
    until: Day


class GapQuery(In):
    asset: Code
    since: Day
    until: Day


class PriceFileQuery(In):
    source: Source
    asset: Code | None = Field(None, description="Of a file that does not name it.")
    quote: Code | None = None
    repair: bool = Field(False, description="Mend a history's faults by further facts.")


class RepairIn(In):
    asset: Code
    quote: Code
    source: Source
    right: Decimal | None = Field(
        None, description="A price that the history is known to be near, where half of it is off."
    )
    dry_run: bool = False


@routes.get("/prices", "books:read", Listed[PriceOut], shape=listed)
def list_prices(app: Services, scope: Scope, query: PriceQuery) -> object:
    """Prices of an asset as facts, latest first, corrections beside what they correct."""
    return app.prices.list(
        scope,
        query.asset,
        quote=query.quote,
        since=query.since,
        until=query.until,
        cursor=query.cursor,
        limit=query.limit,
    )


def _converted(found: Converted) -> dict[str, object]:
    by = found.by
    of = by if isinstance(by, Factor) else None
    return {
        "amount": found.amount,
        "at": found.at,
        "result": found.result,
        "rate": f"{of.rate:f}" if of else None,
        "path": of.path if of else (),
        "effective_at": of.effective_at if of else None,
        "stale": of is not None and of.stale,
        "prices": of.facts if of else (),
        "missing": by if isinstance(by, NoPrice) else None,
    }


def _one(found: Converted) -> object:
    return {"data": _converted(found)}


class ConversionsOut(Out):
    conversions: list[PriceConversionOut]


def _all(found: list[Converted]) -> object:
    return {"data": {"conversions": [_converted(each) for each in found]}}


@routes.get("/prices/convert", "books:read", Single[PriceConversionOut], shape=_one)
def convert_by_prices(app: Services, scope: Scope, query: PriceConversionQuery) -> object:
    """An amount in another asset, along at most three prices, with the path and its age."""
    amount = Amount.parse(query.amount, app.ledger.asset(scope, query.asset))
    return app.prices.convert(scope, amount, query.to, query.at, query.display)


@routes.post("/prices/convert", "books:read", Single[ConversionsOut], shape=_all, kept=False)
def convert_many_by_prices(app: Services, scope: Scope, body: PriceConversionsIn) -> object:
    """Many amounts, each at its time, in their order, by one look at the prices."""
    asked = [
        (Amount.parse(each.money.amount, app.ledger.asset(scope, each.money.asset)), each.at)
        for each in body.amounts
    ]
    return app.prices.convert_all(scope, asked, body.to, body.display)


@routes.get("/prices/coverage", "books:read", Single[CoverageOut])
def price_coverage(app: Services, scope: Scope, query: CoverageQuery) -> object:
    """Of how many days of a span an asset has a price, and of how many a too old one."""
    [found] = app.prices.coverage(scope, [query.asset], query.to, query.since, query.until)
    return found


class GapsOut(Out):
    gaps: list[GapOut]


@routes.get("/prices/gaps", "books:read", Single[GapsOut])
def price_gaps(app: Services, scope: Scope, query: GapQuery) -> object:
    """The days of a span of which nobody said a price, run by run."""
    return {"gaps": app.prices.gaps(scope, query.asset, query.since, query.until)}


def _mended(found: Mended) -> dict[str, object]:
    fixes = [
        {
            "at": fix.at,
            "fault": fix.fault,
            "before": format(decimal_of(fix.before), "f"),
            "after": format(decimal_of(fix.after), "f"),
        }
        for fix in found.fixes
    ]
    return {"fixes": fixes, "unclear": found.unclear}


def _taken(found: TakenIn) -> object:
    prices = found.prices
    return {
        "data": {
            "source": prices.source,
            "added": prices.added,
            "corrected": prices.corrected,
            "existing": prices.existing,
            "unknown": prices.unknown,
            "set_aside": found.set_aside,
            "mended": _mended(found.mended) if found.mended else None,
        }
    }


@routes.post("/prices", "platform:write", Single[TakenInOut], uploads="statement", shape=_taken)
def import_prices(app: Services, scope: Scope, query: PriceFileQuery, file: BinaryIO) -> object:
    """Take in a file of prices: a table of facts, or an asset's history as Yahoo has it."""
    return app.prices.import_file(
        scope,
        file,
        source=query.source,
        asset=query.asset,
        quote=query.quote,
        repair=query.repair,
    )


class PriceRefreshIn(In):
    source: Source | None = Field(None, description="Of this one only, and not of all.")


class RefreshAskedOut(Out):
    job_id: UUID


@routes.post("/prices/refresh", "books:write", Single[RefreshAskedOut], status=202, also=("412",),
             shape=lambda job_id: {"data": {"job_id": job_id}})  # fmt: skip
def refresh_prices(app: Services, scope: Scope, body: PriceRefreshIn) -> object:
    """Let a job price what this tenant holds. 412 where the named source is not ready for it."""
    return app.market().ask(scope, body.source)


@routes.post("/prices/repair", "platform:write", Single[MendedOut],
             shape=lambda found: {"data": _mended(found)})  # fmt: skip
def repair_prices(app: Services, scope: Scope, body: RepairIn) -> object:
    """Mend a stored history by further facts; with `dry_run` say what they would be."""
    return app.prices.repair(
        scope,
        body.asset,
        body.quote,
        source=body.source,
        right=Fraction(body.right) if body.right else None,
        dry_run=body.dry_run,
    )
