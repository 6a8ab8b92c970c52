"""Sources: this installation's, asked for another one. What the data provider serves."""

from base64 import b64decode
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from finora_core.kernel.scope import Scope
from finora_core.market.provision.service import Answered
from finora_core.plugins import AssetRef, Picture, PictureUnreadable
from finora_web.contract import (
    Code,
    In,
    Listed,
    Name,
    Out,
    Paged,
    Routes,
    Single,
    Text,
    listed,
    single,
    whole,
)
from finora_web.contract import Day as DayIn
from finora_web.errors import allowed
from finora_web.services import Services

routes = Routes("sources")

Named = Annotated[str, Field(pattern=r"^[a-z][a-z0-9._-]{0,63}$", examples=["coingecko"])]
Kind = Literal["currency", "crypto", "security", "other"]
Said = Literal["ok", "partial", "missing", "unsupported", "auth_expired", "ambiguous", "down"]
Number = Annotated[str, Field(description="A decimal number.", examples=["1.2345"])]


class DataSourceOut(Out):
    name: str
    kinds: list[str]
    capabilities: list[str]
    assets: list[str] = Field(description="Kinds of assets that it knows; empty for all.")
    missing: list[str] = Field(description="Credentials that this installation has not.")
    aside: str | None = Field(description="Why it was set aside.")


class RefIn(In):
    id: Code
    kind: Kind
    symbol: Name
    names: Annotated[dict[str, Name], Field(max_length=50)] = Field(default_factory=dict)

    @property
    def ref(self) -> AssetRef:
        return AssetRef(id=self.id, kind=self.kind, symbol=self.symbol, names=self.names)


class LatestIn(In):
    source: Named
    assets: Annotated[list[RefIn], Field(min_length=1, max_length=500)]
    quote: Code


class HistoryIn(In):
    source: Named
    asset: RefIn
    quote: Code
    since: DayIn
    until: DayIn


class DailyRatesIn(In):
    source: Named
    base: Code
    quotes: Annotated[list[Code], Field(min_length=1, max_length=200)]
    since: DayIn
    until: DayIn


class FindIn(In):
    source: Named
    text: Name


class BalancesIn(In):
    source: Named
    account: Name


class TransactionsIn(In):
    source: Named
    account: Name
    cursor: Annotated[Text, Field(max_length=1_000)] | None = None


class PictureIn(In):
    source: Named
    picture: Annotated[
        str,
        Field(
            min_length=4,
            max_length=7_000_000,
            pattern=r"^[A-Za-z0-9+/]+={0,2}$",
            description="A PNG, JPEG or WebP of at most 5 MB, as base64.",
        ),
    ]

    @property
    def content(self) -> bytes:
        try:
            return b64decode(self.picture, validate=True)
        except ValueError as error:
            raise PictureUnreadable("it is not base64") from error


class QuotedOut(Out):
    asset: str
    quote: str
    price: Number
    at: str


class SourceDayOut(Out):
    on_date: date
    price: Number


class IdentifiedOut(Out):
    name: str
    symbol: str
    title: str
    kind: Kind
    quote: str | None
    names: dict[str, str]


class HeldOut(Out):
    name: str
    symbol: str
    quantity: Number
    scale: int


class MovementOut(Out):
    id: str
    at: str
    name: str
    symbol: str
    quantity: Number
    scale: int
    kind: Literal["transfer", "fee"]
    counterparty: str | None


class BatchOut(Out):
    movements: list[MovementOut]
    next: str | None


class SeenOut(Out):
    kind: Literal["holding", "transaction"]
    text: str
    quantity: Number | None
    amount: Number | None
    currency: str | None
    on_date: date | None


class OutcomeOut(Out):
    outcome: Said
    gap: str | None = Field(description="What is missing of a partial answer.")
    reason: str | None = Field(description="Why it is down.")


class LatestOut(OutcomeOut):
    value: list[QuotedOut] | None


class HistoryOut(OutcomeOut):
    value: list[SourceDayOut] | None


class DailyRatesOut(OutcomeOut):
    value: dict[str, list[SourceDayOut]] | None


class FindOut(OutcomeOut):
    value: list[IdentifiedOut] | None


class BalancesOut(OutcomeOut):
    value: list[HeldOut] | None


class TransactionsOut(OutcomeOut):
    value: BatchOut | None


class PictureOut(OutcomeOut):
    value: list[SeenOut] | None


class UsageQuery(Paged):
    since: DayIn | None = Field(None, description="Unset: 31 days ago.")
    until: DayIn | None = None


class UsageOut(Out):
    key_id: UUID = Field(description="The token; of who asked in person, the person.")
    on_date: date = Field(description="UTC.")
    source: str
    requests: int
    cost_micros: int = Field(description="Of what it cost upstream, millionths of a US dollar.")


def _told(answered: Answered) -> object:
    return single(answered.told)


def _left(answered: Answered) -> Mapping[str, str]:
    return allowed(answered.left)


# Nothing is kept of what others answered; a source may lack credentials, and a key be blocked.
_ASKED: Mapping[str, Any] = {
    "kept": False, "also": ("402", "412"), "shape": _told, "headers": _left, "limit": "data",
}  # fmt: skip


@routes.get("/sources", "data:ask", Listed[DataSourceOut], shape=whole)
def list_sources(app: Services, scope: Scope) -> object:
    """Every source, what it is asked for, and what it lacks."""
    return app.data.list(scope)


@routes.get("/sources/usage", "data:ask", Listed[UsageOut], shape=listed)
def list_data_usage(app: Services, scope: Scope, query: UsageQuery) -> object:
    """What was asked by day, key and source, the latest day first, and what it cost. A key sees
    its own; with `tokens:read`, those of the tenant."""
    return app.data.usage(
        scope, since=query.since, until=query.until, cursor=query.cursor, limit=query.limit
    )


@routes.post("/sources/latest", "data:ask", Single[LatestOut], **_ASKED)
def ask_latest(app: Services, scope: Scope, body: LatestIn) -> object:
    """Present prices. 402 where the key is blocked, 412 where the source needs credentials that
    are not set, 429 where the key's quota is used up or the source is asked too often; `RateLimit`
    says what is left."""
    refs = [each.ref for each in body.assets]
    return app.data.ask(scope, body.source, "latest", refs, body.quote)


@routes.post("/sources/history", "data:ask", Single[HistoryOut], **_ASKED)
def ask_history(app: Services, scope: Scope, body: HistoryIn) -> object:
    """Closing prices of days."""
    given = body.asset.ref, body.quote, body.since, body.until
    return app.data.ask(scope, body.source, "history", *given)


@routes.post("/sources/rates", "data:ask", Single[DailyRatesOut], **_ASKED)
def ask_rates(app: Services, scope: Scope, body: DailyRatesIn) -> object:
    """Reference rates of days."""
    given = body.base, body.quotes, body.since, body.until
    return app.data.ask(scope, body.source, "rates", *given)


@routes.post("/sources/find", "data:ask", Single[FindOut], **_ASKED)
def ask_identity(app: Services, scope: Scope, body: FindIn) -> object:
    """What a text may mean."""
    return app.data.ask(scope, body.source, "find", body.text)


@routes.post("/sources/balances", "data:ask", Single[BalancesOut], **_ASKED)
def ask_balances(app: Services, scope: Scope, body: BalancesIn) -> object:
    """What a public address holds."""
    return app.data.ask(scope, body.source, "balances", body.account)


@routes.post("/sources/transactions", "data:ask", Single[TransactionsOut], **_ASKED)
def ask_transactions(app: Services, scope: Scope, body: TransactionsIn) -> object:
    """What moved on a public address."""
    return app.data.ask(scope, body.source, "transactions", body.account, body.cursor)


@routes.post("/sources/picture", "data:ask", Single[PictureOut], body_kb=7_000, **_ASKED)
def ask_picture(app: Services, scope: Scope, body: PictureIn) -> object:
    """What is written in a picture of holdings or of a statement. Nothing is done with it: a person
    looks at it first."""
    return app.data.ask(scope, body.source, "picture", Picture(body.content))
