"""Every source of the installed plugins, ready to be asked."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

import attrs

from finora_adapters.confined.plugin import ConfinedFormat
from finora_adapters.plugins import PluginInfo, Plugins
from finora_adapters.settings import Settings
from finora_adapters.upstream.cost import HourlyCost
from finora_adapters.upstream.dialer import Dialer
from finora_adapters.upstream.guard import Guarded
from finora_adapters.upstream.http import Exchange, UpstreamHttp, credentials_of
from finora_adapters.upstream.limiter import Limiter, LocalLimiter
from finora_adapters.upstream.remote import DataProvider, RemoteSource
from finora_adapters.upstream.wire import Wire
from finora_core.kernel.clock import Clock
from finora_core.manifest import PluginState, SourceState
from finora_core.market.provision.ports import DataSource
from finora_core.plugins import KINDS, REACHING, SENDING, Provides

if TYPE_CHECKING:
    from finora_adapters.redis.asking import Asker


class Told(Protocol):
    """What processes tell each other of sources that were set aside, or rest."""

    def tell(self, name: str, reason: str) -> None: ...

    def told(self, names: Sequence[str]) -> Mapping[str, str]:
        """By name, for some time after it was told."""

    def rest(self, name: str, reason: str, seconds: int) -> None: ...

    def resting(self, names: Sequence[str]) -> Mapping[str, str]:
        """By name, for so long."""


@attrs.frozen
class Sources:
    by_kind: Mapping[str, Mapping[str, DataSource]]
    """By kind, as in KINDS, then by name. What is of two kinds is one object."""
    told: Told | None = None
    sending: Mapping[str, Mapping[str, Guarded]] = attrs.field(factory=dict)
    """By kind, as in SENDING, then by name. They bring no data, and are asked by this installation
    always."""
    fields: Mapping[str, Sequence[str]] = attrs.field(factory=dict)
    """By the name of a store of files, what is set of its credentials. It is asked elsewhere."""

    @property
    def mailers(self) -> Mapping[str, Guarded]:
        return self.sending.get("mailers", {})

    @property
    def notifiers(self) -> Mapping[str, Guarded]:
        return self.sending.get("notifiers", {})

    @property
    def senders(self) -> Sequence[Guarded]:
        """Of every kind. What is of two is one object, and there twice."""
        return [each for kind in self.sending.values() for each in kind.values()]

    def __iter__(self) -> Iterator[DataSource]:
        """Each once, by name."""
        every = {name: each for kind in self.by_kind.values() for name, each in kind.items()}
        return (every[name] for name in sorted(every))

    def aside(self) -> Mapping[str, str]:
        """Why a source is not asked any more: here, or in another process of late."""
        every = [*self, *self.senders]
        here = {each.provides.name: each.aside for each in every if each.aside is not None}
        names = [each.provides.name for each in every]
        there = self.told.told(names) if self.told is not None and names else {}
        return {**there, **here}

    def resting(self) -> Mapping[str, str]:
        """Why a source is not asked for the moment: by this process, or by another."""
        names = [each.provides.name for each in self]
        there = self.told.resting(names) if self.told is not None and names else {}
        made = {each.provides.name: each for each in self}
        here = {
            name: each.resting
            for name, each in made.items()
            if isinstance(each, Guarded) and each.resting is not None
        }
        return {**there, **here}


@attrs.frozen
class PluginList:
    """The installed plugins and their sources, for whoever wants to look."""

    plugins: Plugins
    sources: Sources
    tiers: bool = False
    """Whether to run the conformance kit on what packages ship."""

    def list(self) -> Sequence[PluginState]:
        aside, resting = self.sources.aside(), self.sources.resting()
        return [self._state(each, aside, resting) for each in self.plugins.found]

    def _state(
        self, plugin: PluginInfo, aside: Mapping[str, str], resting: Mapping[str, str]
    ) -> PluginState:
        return PluginState(
            name=plugin.name,
            package=plugin.package,
            version=plugin.version,
            trust="built_in" if plugin.own else "confined" if plugin.confined else "in_process",
            provides=plugin.provides,
            sources=tuple(self._source(plugin, each, aside, resting) for each in plugin.sources),
            reason=plugin.reason or self._formats_aside(plugin),
        )

    def _formats_aside(self, plugin: PluginInfo) -> str | None:
        """Why the files of a confined plugin are not given to it any more."""
        every = (self.plugins.statement_formats, self.plugins.activity_formats)
        formats = (each for some in every for each in some.values())
        mine = [each.plugin for each in formats if isinstance(each, ConfinedFormat)]
        return next((each.aside for each in mine if each.name == plugin.name), None)

    def _source(
        self,
        plugin: PluginInfo,
        declared: Provides,
        aside: Mapping[str, str],
        resting: Mapping[str, str],
    ) -> SourceState:
        every = (*self.sources.senders, *self.sources)
        made = {each.provides.name: each for each in every}.get(declared.name)
        # Of one that the data provider asks, the credentials are there.
        fields = () if isinstance(made, RemoteSource) else declared.credentials
        given: Collection[str] = self.sources.fields.get(declared.name, ())
        if isinstance(made, Guarded):
            given = made.http.credentials
        unset = tuple(each.field for each in fields if each.field not in given)
        # The kit imports what it tries.
        tries = self.tiers and plugin.works and not plugin.confined
        tier = self._tier(declared) if tries else None
        # Of a plugin that was set aside another one may have the name.
        why = aside.get(declared.name) if plugin.works else None
        rests = resting.get(declared.name) if plugin.works else None
        return SourceState(declared=declared, unset=unset, aside=why, resting=rests, tier=tier)

    def _tier(self, declared: Provides) -> str | None:
        """The lowest of its kinds, by the recordings that it ships."""
        from finora_core.testing import RECORDINGS, failures, subject_of, tier_of

        found = []
        for kind in declared.kinds:
            if kind not in REACHING:
                return None
            subject = subject_of(
                kind, self.plugins.sources[kind][declared.name].provider, recordings=()
            )
            path = subject.source.parent / RECORDINGS
            if not path.is_file():
                return None
            found.append(tier_of(failures(subject_of(kind, subject.provider, path))))
        return min(found).name.lower()


def sources_of(
    settings: Settings,
    plugins: Plugins,
    clock: Clock,
    asker: "Asker | None" = None,
    record: Callable[[Exchange], None] | None = None,
) -> Sources:
    """Those of the data provider, where the settings name one; what sends is asked from here.
    With Redis, processes share limits and cost; without it each keeps its own. Empty where the HTTP
    library is not installed."""
    fields = {
        name: tuple(credentials_of(storage.provides, settings.plugin_settings))
        for name, storage in plugins.storages.items()
    }
    if find_spec("httpx2") is None:
        return Sources({kind: {} for kind in KINDS}, fields=fields)
    limiter: Limiter = LocalLimiter()
    told: Told | None = None
    if asker is not None:
        # The library does without Redis, and may not have its client.
        from finora_adapters.redis.rolling import SharedLimiter
        from finora_adapters.redis.standing import SharedStanding

        limiter, told = SharedLimiter(asker), SharedStanding(asker)
    most_micros = int(settings.upstream_hourly_cost * 10**6)
    cost = HourlyCost(most_micros, clock.now, asker)
    made: dict[str, Guarded] = {}
    for kind in REACHING if settings.data_url is None else SENDING:
        for name, source in plugins.sources[kind].items():
            provides = source.provides
            url = settings.plugin_settings.get(f"{name}_url".upper())
            http = UpstreamHttp(
                provides=provides,
                limiter=limiter,
                clock=clock,
                cost=cost,
                credentials=credentials_of(provides, settings.plugin_settings),
                servers={} if url is None else {provides.hosts[0]: url.get_secret_value()},
                record=record,
                wire=Wire(limit_s=provides.answers_s, dialer=Dialer()),
                limit_s=max(30.0, provides.answers_s + 5.0),
            )
            guarded = made.setdefault(name, Guarded({}, provides, http, clock))
            guarded.providers[kind] = source.provider
            if told is not None:
                guarded.told, guarded.rested = told.tell, told.rest
    sending = {kind: {name: made[name] for name in plugins.sources[kind]} for kind in SENDING}
    if settings.data_url is not None:
        key = settings.data_key.get_secret_value() if settings.data_key else ""
        there = DataProvider(settings.data_url, key, clock)
        return Sources(_remote(plugins, there), told, sending, fields)
    by_kind = {kind: {name: made[name] for name in plugins.sources[kind]} for kind in KINDS}
    return Sources(by_kind, told, sending, fields)


def _remote(plugins: Plugins, there: DataProvider) -> Mapping[str, Mapping[str, DataSource]]:
    return {
        kind: {
            name: RemoteSource(source.provides, there)
            for name, source in plugins.sources[kind].items()
        }
        for kind in KINDS
    }
