"""The portfolio: institutions, accounts there, activities, holdings with what they are worth."""

from datetime import date, datetime
from decimal import Decimal as Number
from fractions import Fraction
from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator, Field

from finora_core.kernel.scope import Scope
from finora_core.market.prices.model import Factor, NoPrice
from finora_core.portfolio.allocation import Allocation, Spread
from finora_core.portfolio.history import DayValue
from finora_core.portfolio.model import (
    AccountType,
    ActivityFilter,
    ActivityKind,
    InstitutionType,
    Observation,
    ObservationSource,
)
from finora_core.portfolio.service import NewActivity
from finora_core.portfolio.valuation import Coverage, HoldingValue, Valuation
from finora_web.api.auth import Done, done
from finora_web.api.wallet import Known, known
from finora_web.contract import (
    Code,
    Day,
    Decimal,
    Id,
    In,
    Instant,
    Listed,
    MoneyIn,
    MoneyOut,
    Name,
    Out,
    Paged,
    Routes,
    Single,
    Text,
    listed,
    whole,
)
from finora_web.money import asset_of, money
from finora_web.services import Services

routes = Routes("portfolio")

Total = Annotated[Known, BeforeValidator(known)]
Price = Annotated[
    str,
    Field(pattern=r"^(0|[1-9][0-9]{0,39})(\.[0-9]{1,40})?$", max_length=60, examples=["98.25"]),
]


Ratio = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,11}:[1-9][0-9]{0,11}$", examples=["4:1"])]


class InstitutionOut(Out):
    id: str
    name: str
    type: InstitutionType


class PortfolioAccountOut(Out):
    id: UUID = Field(description="Of the ledger's account too.")
    institution: InstitutionOut
    name: str
    type: AccountType
    owner: UUID
    hidden: bool = Field(description="Its holdings are in no total.")
    created_at: datetime | None


class NewPortfolioAccount(In):
    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]+$")]
    institution: Code = "manual"
    type: AccountType = AccountType.BROKERAGE


class PortfolioAccountChange(In):
    hidden: bool


class ActivityOut(Out):
    id: UUID
    account_id: UUID
    kind: ActivityKind
    quantity: MoneyOut
    at: datetime
    price: Annotated[str | None, BeforeValidator(lambda v: None if v is None else format(v, "f"))]
    quote: Annotated[str | None, BeforeValidator(lambda v: getattr(v, "id", v))]
    counter: MoneyOut | None
    fee: MoneyOut | None
    tax: MoneyOut | None
    settled: bool
    source: str
    external_id: str | None
    note: str
    entry_id: UUID | None
    recorded_at: datetime | None
    ended_at: datetime | None = Field(description="When it was corrected or deleted.")
    replaced_by: UUID | None


class ActivityIn(In):
    account_id: Id
    kind: ActivityKind
    asset: Code
    quantity: Decimal = Field("0", description="Signed as the holding sees it: a sale is negative.")
    at: Instant
    price: Price | None = Field(None, description="Of one whole.")
    quote: Code | None = Field(None, description="What the price is in.")
    counter: MoneyIn | None = Field(
        None, description="The other leg, signed; of a trade with a price it follows."
    )
    fee: MoneyIn | None = None
    tax: MoneyIn | None = None
    settled: bool = Field(False, description="Whether its money is the account's own.")
    note: Annotated[Text, Field(max_length=1_000)] = ""
    external_id: Name | None = None
    ratio: Ratio | None = Field(
        None, description="Of a split, instead of its quantity: new ones for old ones."
    )


class ActivityQuery(Paged):
    account_id: Id | None = None
    asset: Code | None = None
    kind: ActivityKind | None = None
    since: Instant | None = None
    until: Instant | None = None
    ended: bool = Field(False, description="Also those that were corrected or deleted.")


class ValueQuery(In):
    at: Instant | None = Field(None, description="Now, if not given.")
    to: Code | None = Field(None, description="The tenant's base, if not given.")
    account_id: Id | None = None


class HoldingOut(Out):
    """What has no price has no value here, and no gain; what came without a price no cost."""

    account_id: UUID
    account: str
    institution: str
    asset: str
    name: str
    quantity: str
    included: bool
    price: str | None = Field(description="Of one whole, in the base, to 12 digits.")
    price_at: datetime | None = Field(description="Of the oldest fact that it rests on.")
    stale: bool
    value: MoneyOut | None
    average_cost: str | None
    invested: MoneyOut | None
    gain: MoneyOut | None = Field(description="Before fees: realised and not.")
    gain_bp: int | None = Field(description="Of what it cost, in basis points: 10000 is 100 %.")
    realised: MoneyOut | None
    fees: MoneyOut
    taxes: MoneyOut
    income: MoneyOut
    gap: str | None = Field(
        description="What its figures lack: a price, a cost, the rate of a fee. Null: nothing."
    )


class ValuationOut(Out):
    at: datetime
    base: str
    total: Total
    invested: Total
    gain: Total
    fees: Total
    taxes: Total
    income: Total
    coverage: Coverage
    asked: int = Field(description="Holdings that count in the total.")
    priced: int
    stale: int
    holdings: list[HoldingOut]


class AllocationQuery(In):
    by: Spread = Spread.ASSET
    at: Instant | None = Field(None, description="Now, if not given.")
    to: Code | None = Field(None, description="The tenant's base, if not given.")


class AllocationPartOut(Out):
    key: str = Field(description="The asset, its type, or the id of the account or institution.")
    name: str
    value: MoneyOut | None = Field(description="Of what has a price; null where nothing has.")
    share_bp: int | None = Field(
        description="Of the value that is known, in basis points; below zero for what is owed. "
        "Null where it is not known, or where more is owed than there is."
    )
    holdings: int
    unpriced: int = Field(description="Holdings without a price: they are in no share.")
    gap: str | None = Field(description="What of it has no price, or an old one. Null: nothing.")


class AllocationOut(Out):
    at: datetime
    base: str
    by: Spread
    total: Total
    coverage: Coverage
    asked: int
    priced: int
    stale: int
    parts: list[AllocationPartOut]


class HoldingHistoryQuery(In):
    account_id: Id
    asset: Code
    to: Code | None = Field(None, description="The tenant's base, if not given.")
    since: Day | None = None
    until: Day | None = None


class HistoryQuery(In):
    account_id: Id | None = Field(None, description="Of one account.")
    institution: Code | None = Field(None, description="Of one institution.")
    since: Day | None = None
    until: Day | None = None


class DayOut(Out):
    """What has no price is in no value; `coverage` says how much of it that is."""

    day: date
    value: MoneyOut
    cost: MoneyOut
    realised: MoneyOut
    unrealised: MoneyOut | None = Field(description="Null where not all has a price and a cost.")
    coverage: Coverage
    holdings: int
    priced: int
    stale: int
    gap: str | None = Field(
        description="Of how many holdings its figures lack something; null: of none."
    )


class HoldingDayOut(DayOut):
    """The same of one holding, as if there were no other."""

    quantity: MoneyOut


class InclusionIn(In):
    account_id: Id
    asset: Code
    included: bool


class ObservationIn(In):
    account_id: Id
    quantity: MoneyIn
    at: Instant
    source: ObservationSource = ObservationSource.USER_ENTERED


class ObservationOut(Out):
    account_id: UUID
    quantity: MoneyOut
    at: datetime
    source: ObservationSource


class ObservedOut(Out):
    opening: ActivityOut | None = Field(description="Booked so that the books agree; null: do.")


class HoldingQuery(In):
    account_id: Id
    asset: Code


class BalanceQuery(HoldingQuery):
    at: Instant


class BalanceAtOut(Out):
    quantity: MoneyOut | None = Field(description="Null where nothing is known.")


class OwnAssetIn(In):
    name: Name
    quote: Code = "EUR"


class OwnAssetOut(Out):
    id: UUID
    asset: str = Field(description="`own:` and its id.")
    name: str
    quote: str


class OwnNameOut(Out):
    id: UUID
    asset: str
    name: str


class OwnPriceIn(In):
    value: Price
    at: Instant | None = Field(None, description="Now, if not given.")
    quote: Code | None = None
    reason: Annotated[Text, Field(max_length=500)] = ""


class OwnPriceOut(Out):
    asset: str
    quote: str
    at: datetime
    value: Annotated[str, BeforeValidator(lambda v: format(v, "f"))]
    previous: Annotated[
        str | None, BeforeValidator(lambda v: None if v is None else format(v, "f"))
    ]
    revision: int
    reason: str
    set_by: UUID
    recorded_at: datetime


def _holding(each: HoldingValue, names: dict[str, str]) -> dict[str, Any]:
    factor = each.factor
    units, scale = each.quantity.units, each.quantity.asset.scale
    cost = each.position.cost * 10**scale / units if each.invested and units > 0 else None
    return {
        "account_id": each.account.id,
        "account": each.account.name,
        "institution": each.account.institution.id,
        "asset": each.quantity.asset.id,
        "name": names.get(each.quantity.asset.id, each.quantity.asset.id.partition(":")[2])
        or each.quantity.asset.id,
        "quantity": each.quantity.text,
        "included": each.included,
        "price": _digits(factor.value) if isinstance(factor, Factor) else None,
        "price_at": None if isinstance(factor, NoPrice) else factor.effective_at,
        "average_cost": None if cost is None else _digits(cost),
    } | {
        name: getattr(each, name)
        for name in ("stale", "value", "invested", "gain", "gain_bp", "realised", "fees", "taxes",
                     "income", "gap")
    }  # fmt: skip


def _digits(exact: Any) -> str:
    """For reading: twelve significant digits, and none that say nothing."""
    shown = Number(exact.numerator) / Number(exact.denominator)
    return format(Number(format(shown, ".12g")), "f")


def _valuation(found: tuple[Valuation, dict[str, str]]) -> object:
    value, names = found
    figures = ("at", "total", "invested", "gain", "fees", "taxes", "income", "coverage", "asked",
               "priced", "stale")  # fmt: skip
    told = {name: getattr(value, name) for name in figures}
    shown = [each for each in value.holdings if each.quantity or each.position.realised]
    holdings = [_holding(each, names) for each in shown]
    return {"data": told | {"base": value.base.id, "holdings": holdings}}


@routes.get("/institutions", "books:read", Listed[InstitutionOut], shape=whole)
def list_institutions(app: Services, scope: Scope) -> object:
    """The institutions that accounts can be at; one of your own is `manual`."""
    return app.portfolio.institutions(scope)


@routes.get("/portfolio/accounts", "books:read", Listed[PortfolioAccountOut], shape=whole)
def list_portfolio_accounts(app: Services, scope: Scope) -> object:
    """Accounts at institutions, by institution and name."""
    return app.portfolio.accounts(scope)


@routes.post("/portfolio/accounts", "books:write", Single[PortfolioAccountOut], status=201)
def open_portfolio_account(app: Services, scope: Scope, body: NewPortfolioAccount) -> object:
    """Open an account at an institution; it is one of the ledger too."""
    return app.portfolio.open_account(scope, body.name, body.institution, body.type)


@routes.patch(
    "/portfolio/accounts/{portfolio_account_id}", "books:write", Single[PortfolioAccountOut]
)
def change_portfolio_account(
    app: Services, scope: Scope, portfolio_account_id: UUID, body: PortfolioAccountChange
) -> object:
    """Leave its holdings out of every total, or count them again."""
    return app.portfolio.hide_account(scope, portfolio_account_id, body.hidden)


@routes.get("/activities", "books:read", Listed[ActivityOut], shape=listed)
def list_activities(app: Services, scope: Scope, query: ActivityQuery) -> object:
    """Activities, latest first."""
    wanted = ActivityFilter(
        account_id=query.account_id,
        asset=query.asset,
        kind=query.kind,
        since=query.since,
        until=query.until,
        ended=query.ended,
    )
    return app.portfolio.list(scope, wanted, cursor=query.cursor, limit=query.limit)


@routes.post("/activities", "books:write", Single[ActivityOut], status=201)
def add_activity(app: Services, scope: Scope, body: ActivityIn) -> object:
    """Enter what happened to a holding; its entry is posted."""
    return app.portfolio.add(scope, _new(app, scope, body))


@routes.get("/activities/{activity_id}", "books:read", Single[ActivityOut])
def get_activity(app: Services, scope: Scope, activity_id: UUID) -> object:
    """One activity."""
    return app.portfolio.get(scope, activity_id)


@routes.patch("/activities/{activity_id}", "books:write", Single[ActivityOut])
def correct_activity(app: Services, scope: Scope, activity_id: UUID, body: ActivityIn) -> object:
    """End it, which reverses its entry, and enter another in its place."""
    return app.portfolio.correct(scope, activity_id, _new(app, scope, body))


@routes.delete("/activities/{activity_id}", "books:write", Single[Done], shape=done)
def delete_activity(app: Services, scope: Scope, activity_id: UUID) -> None:
    """End it, which reverses its entry; no file brings it back."""
    app.portfolio.delete(scope, activity_id)


@routes.get("/holdings", "books:read", Single[ValuationOut], shape=_valuation)
def list_holdings(app: Services, scope: Scope, query: ValueQuery) -> object:
    """What is held at a time, with price, value, cost and gain, and the totals of what is known."""
    found = app.portfolio.valuation(scope, query.at, to=query.to, account_id=query.account_id)
    return found, dict(app.portfolio.own_assets(scope))


@routes.get("/portfolio/allocation", "books:read", Single[AllocationOut],
            shape=lambda found: {"data": _allocation(found)})  # fmt: skip
def get_allocation(app: Services, scope: Scope, query: AllocationQuery) -> object:
    """How it is spread over assets, types, accounts or institutions: shares of the value that is
    known, with what has no price beside them."""
    return app.portfolio.allocation(scope, query.by, query.at, to=query.to)


def _allocation(found: Allocation) -> dict[str, Any]:
    all_ = found.of
    figures = ("at", "total", "coverage", "asked", "priced", "stale")
    parts = [
        {name: getattr(each, name) for name in ("key", "name", "value", "share_bp", "gap")}
        | {"holdings": len(each.holdings), "unpriced": len(each.unpriced)}
        for each in found.parts
    ]
    told = {name: getattr(all_, name) for name in figures}
    return told | {"base": all_.base.id, "by": found.by, "parts": parts}


@routes.get("/holdings/history", "books:read", Listed[HoldingDayOut],
            shape=lambda days: whole([_day(each.figures) | {"quantity": each.quantity}
                                      for each in days]))  # fmt: skip
def list_holding_days(app: Services, scope: Scope, query: HoldingHistoryQuery) -> object:
    """How much of it there was at the end of each day, what that was worth and what it cost,
    whether it counts in totals or not."""
    return app.portfolio_history.of_holding(
        scope, query.account_id, query.asset, to=query.to, since=query.since, until=query.until
    )


@routes.get("/portfolio/history", "books:read", Listed[DayOut],
            shape=lambda days: whole([_day(each) for each in days]))  # fmt: skip
def list_portfolio_days(app: Services, scope: Scope, query: HistoryQuery) -> object:
    """What it was worth at the end of each day, with how much of it is known."""
    kind = "account" if query.account_id else "institution" if query.institution else "user"
    of = (kind, str(query.account_id or query.institution or ""))
    return app.portfolio_history.read(scope, of=of, since=query.since, until=query.until)


def _day(each: DayValue) -> dict[str, Any]:
    names = ("day", "value", "cost", "realised", "unrealised", "coverage", "holdings", "priced",
             "stale", "gap")  # fmt: skip
    return {name: getattr(each, name) for name in names}


@routes.post("/holdings/inclusion", "books:write", Single[Done], shape=done)
def include_holding(app: Services, scope: Scope, body: InclusionIn) -> None:
    """Count a holding in totals, or leave it out."""
    app.portfolio.include(scope, body.account_id, body.asset, body.included)


@routes.get("/holdings/balance", "books:read", Single[BalanceAtOut],
            shape=lambda found: {"data": {"quantity": found}})  # fmt: skip
def get_balance_at(app: Services, scope: Scope, query: BalanceQuery) -> object:
    """How much of an asset an account had at a time, as far as anybody knows."""
    return app.portfolio.balance_at(scope, query.account_id, query.asset, query.at)


@routes.get("/observations", "books:read", Listed[ObservationOut], shape=whole)
def list_observations(app: Services, scope: Scope, query: HoldingQuery) -> object:
    """What was seen in a holding, oldest first."""
    return app.portfolio.observations(scope, query.account_id, query.asset)


@routes.post("/observations", "books:write", Single[ObservedOut], status=201,
             shape=lambda opening: {"data": {"opening": opening}})  # fmt: skip
def add_observation(app: Services, scope: Scope, body: ObservationIn) -> object:
    """Keep what was seen; an opening balance makes the books agree with it."""
    seen = Observation(
        account_id=body.account_id,
        quantity=money(app, scope, body.quantity),
        at=body.at,
        source=body.source,
    )
    return app.portfolio.observe(scope, seen)


@routes.get("/own-assets", "books:read", Listed[OwnNameOut],
            shape=lambda names: whole([{"id": asset[4:], "asset": asset, "name": name}
                                       for asset, name in names.items()]))  # fmt: skip
def list_own_assets(app: Services, scope: Scope) -> object:
    """Things of your own, by name."""
    return app.portfolio.own_assets(scope)


@routes.post("/own-assets", "books:write", Single[OwnAssetOut], status=201,
             shape=lambda own: {"data": {"id": own.asset.id[4:], "asset": own.asset.id,
                                         "name": own.name, "quote": own.quote}})  # fmt: skip
def add_own_asset(app: Services, scope: Scope, body: OwnAssetIn) -> object:
    """Make a thing of your own known: a flat, a share of a firm. The same name is the same one."""
    return app.portfolio.add_own(scope, body.name, body.quote)


@routes.get("/own-assets/{own_id}/prices", "books:read", Listed[OwnPriceOut], shape=whole)
def list_own_prices(app: Services, scope: Scope, own_id: UUID) -> object:
    """Every price that was said, and every change of one, latest first."""
    return app.portfolio.own_prices(scope, f"own:{own_id}")


@routes.post("/own-assets/{own_id}/prices", "books:write", Single[OwnPriceOut], status=201)
def set_own_price(app: Services, scope: Scope, own_id: UUID, body: OwnPriceIn) -> object:
    """Say what it is worth. What was said before stays in its history."""
    return app.portfolio.set_price(
        scope,
        f"own:{own_id}",
        Number(body.value),
        at=body.at,
        quote=body.quote,
        reason=body.reason,
    )


def _new(app: Services, scope: Scope, body: ActivityIn) -> NewActivity:
    asset = asset_of(app, scope, body.asset)
    legs = {
        name: None if (given := getattr(body, name)) is None else money(app, scope, given)
        for name in ("counter", "fee", "tax")
    }
    return NewActivity(
        account_id=body.account_id,
        kind=body.kind,
        asset=asset.id,
        quantity=money(app, scope, MoneyIn(amount=body.quantity, asset=asset.id)),
        at=body.at,
        price=None if body.price is None else Number(body.price),
        quote=None if body.quote is None else asset_of(app, scope, body.quote),
        settled=body.settled,
        note=body.note,
        external_id=body.external_id,
        ratio=None if body.ratio is None else Fraction(body.ratio.replace(":", "/")),
        **legs,
    )
