"""FX rates: dated facts, and what an amount is worth by them."""

from datetime import date
from typing import Annotated, BinaryIO

from pydantic import BeforeValidator, Field

from finora_core.kernel.amount import Amount
from finora_core.kernel.scope import Scope
from finora_core.market.rates.model import Sum
from finora_web.contract import (
    Code,
    Day,
    Decimal,
    In,
    Listed,
    MoneyOut,
    Out,
    Paged,
    Routes,
    Single,
    listed,
)
from finora_web.services import Services

routes = Routes("rates")


class RateOut(Out):
    base: str
    quote: str
    on_date: date
    value: Annotated[str, BeforeValidator(lambda it: format(it, "f"))] = Field(
        description="What one whole `base` was worth in whole `quote`.", examples=["1.105"]
    )
    source: str
    revision: int = Field(description="A correction is a further one; the highest holds.")


class NoRateOut(Out):
    asset: str
    to: str
    on_date: date
    nearest: date | None = Field(description="The last day with a rate, where it is too old.")


class ConversionOut(Out):
    result: MoneyOut | None = Field(description="Null where a rate is missing: never 0.")
    rates: list[RateOut] = Field(description="The facts it was made of.")
    missing: list[NoRateOut]


class ImportedRatesOut(Out):
    source: str
    added: int
    corrected: int
    existing: int
    unknown: list[str]


class RateQuery(Paged):
    base: Code | None = None
    quote: Code | None = None
    since: Day | None = None
    until: Day | None = None


class ConversionQuery(In):
    amount: Decimal
    asset: Code
    to: Code
    on: Day


class RatesQuery(In):
    pass


@routes.get("/rates", "books:read", Listed[RateOut], shape=listed)
def list_rates(app: Services, scope: Scope, query: RateQuery) -> object:
    """Rates as facts, latest day first, corrections beside what they correct."""
    return app.rates.list(
        scope,
        base=query.base,
        quote=query.quote,
        since=query.since,
        until=query.until,
        cursor=query.cursor,
        limit=query.limit,
    )


def _conversion(found: Sum) -> object:
    result = None if found.missing else found.total
    return {"data": {"result": result, "rates": found.rates, "missing": found.missing}}


@routes.get("/rates/conversion", "books:read", Single[ConversionOut], shape=_conversion)
def convert_amount(app: Services, scope: Scope, query: ConversionQuery) -> object:
    """An amount in another asset, at the rate of a day or of at most seven days before."""
    amount = Amount.parse(query.amount, app.ledger.asset(scope, query.asset))
    return app.rates.convert(scope, amount, query.to, query.on)


@routes.post("/rates", "platform:write", Single[ImportedRatesOut], uploads="statement")
def import_rates(app: Services, scope: Scope, query: RatesQuery, file: BinaryIO) -> object:
    """Take in the European Central Bank's file of reference rates: all of it or nothing."""
    return app.rates.import_ecb(scope, file)
