"""Plugins: what is installed, what it reaches, and what was set aside for which reason."""

from datetime import date
from typing import Literal

from pydantic import Field

from finora_core.kernel.scope import Scope
from finora_core.manifest import PluginState, SourceState
from finora_web.contract import Listed, Out, Routes, whole
from finora_web.services import Services

routes = Routes("plugins")


class SourceLimitOut(Out):
    requests: int
    seconds: int


class SourceCredentialOut(Out):
    field: str
    secret: bool
    required: bool
    about: str
    is_set: bool


class SourceOut(Out):
    name: str
    kinds: list[str]
    capabilities: list[str]
    assets: list[str] = Field(description="Kinds that it knows; empty for all.")
    since: date | None = Field(description="First day of its history.")
    granularity: str
    hosts: list[str]
    limits: list[SourceLimitOut]
    credentials: list[SourceCredentialOut]
    aside: str | None = Field(description="Why it is not asked any more, of late.")
    resting: str | None = Field(description="Why it is not asked for the moment.")


class PluginOut(Out):
    name: str
    package: str
    version: str
    trust: Literal["built_in", "in_process", "confined"] = Field(
        description="Whether it came with Finora; what did not runs in its process all the same, "
        "or, where the operator does not trust it, in confined children."
    )
    provides: list[str]
    sources: list[SourceOut]
    works: bool
    reason: str | None = Field(description="Why it was set aside when it was loaded.")


@routes.get("/plugins", "books:read", Listed[PluginOut], shape=whole)
def list_plugins(app: Services, scope: Scope) -> object:
    """Every plugin that is installed, those that were set aside too."""
    return [_plugin(each) for each in app.plugins.list()]


def _plugin(state: PluginState) -> PluginOut:
    return PluginOut(
        name=state.name,
        package=state.package,
        version=state.version,
        trust=state.trust,
        provides=list(state.provides),
        sources=[_source(each) for each in state.sources],
        works=state.works,
        reason=state.reason,
    )


def _source(state: SourceState) -> SourceOut:
    said = state.declared
    return SourceOut(
        name=said.name,
        kinds=list(said.kinds),
        capabilities=list(said.capabilities),
        assets=list(said.assets),
        since=said.since,
        granularity=said.granularity,
        hosts=list(said.hosts),
        limits=[
            SourceLimitOut(requests=each.requests, seconds=each.seconds) for each in said.limits
        ],
        credentials=[
            SourceCredentialOut(
                field=each.field,
                secret=each.secret,
                required=each.required,
                about=each.about,
                is_set=each.field not in state.unset,
            )
            for each in said.credentials
        ],
        aside=state.aside,
        resting=state.resting,
    )
