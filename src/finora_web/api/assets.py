"""Assets: who they are, and what is thought of them."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from finora_core.kernel.asset import Asset
from finora_core.kernel.scope import Scope
from finora_core.market.assets.model import AssetKind, Identity
from finora_web.contract import Code, In, Listed, Name, Out, Paged, Routes, Single, Text, listed
from finora_web.services import Services

routes = Routes("assets")

Source = Annotated[str, Field(pattern=r"^[a-z][a-z0-9._-]{0,63}$", examples=["coingecko"])]
Scam = Annotated[int, Field(ge=0, le=10_000)]


class AssetIdentityOut(Out):
    asset: str
    symbol: str
    kind: AssetKind
    segment: str = Field(description="The exchange or chain; empty where there is one.")
    title: str
    names: dict[str, str] = Field(description="What each namespace calls it.")
    scam: int | None = Field(description="How likely it is one, in ten thousandths.")
    lookalike: str | None = Field(description="The known asset that it looks like and is not.")
    counts: bool = Field(description="Whether it is in totals.")
    judged_at: datetime | None


class AssetQuery(Paged):
    words: Name


class NameQuery(In):
    namespace: Source
    name: Name


class AssetIdentityIn(In):
    asset: Code
    scale: Annotated[int, Field(ge=0, le=36)]
    symbol: Annotated[str, Field(min_length=1, max_length=64)]
    kind: AssetKind
    segment: Annotated[str, Field(max_length=200)] = ""
    title: Annotated[Text, Field(max_length=200)] = ""
    names: Annotated[dict[str, Name], Field(max_length=50)] = Field(default_factory=dict)
    scam: Scam | None = None
    source: Source


class AssetVerdictIn(In):
    asset: Code
    scam: Scam | None
    source: Source


@routes.get("/assets", "books:read", Listed[AssetIdentityOut], shape=listed)
def search_assets(app: Services, scope: Scope, query: AssetQuery) -> object:
    """Assets by symbol, name in a namespace, id or part of the title; what pretends comes last."""
    return app.assets.search(scope, query.words, cursor=query.cursor, limit=query.limit)


@routes.get("/assets/named", "books:read", Single[AssetIdentityOut])
def get_named_asset(app: Services, scope: Scope, query: NameQuery) -> object:
    """The asset that a namespace calls so."""
    return app.assets.named(scope, query.namespace, query.name)


@routes.post("/assets", "platform:write", Single[AssetIdentityOut])
def identify_asset(app: Services, scope: Scope, body: AssetIdentityIn) -> object:
    """Say who an asset is. Symbol, kind and segment are for good, and so is a namespace's name."""
    said = Identity(
        asset=body.asset,
        symbol=body.symbol,
        kind=body.kind,
        segment=body.segment,
        title=body.title,
        names=body.names,
        scam=body.scam,
    )
    return app.assets.identify(scope, Asset(body.asset, body.scale), said, source=body.source)


@routes.post("/assets/verdicts", "platform:write", Single[AssetIdentityOut])
def judge_asset(app: Services, scope: Scope, body: AssetVerdictIn) -> object:
    """Say how likely an asset is a scam; from 3500 on it is in no total."""
    return app.assets.judge(scope, body.asset, body.scam, source=body.source)
