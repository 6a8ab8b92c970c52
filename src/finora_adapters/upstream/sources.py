"""Every source of the installed plugins, ready to be asked."""

from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

import attrs

from finora_adapters.plugins import Plugins
from finora_adapters.settings import Settings
from finora_adapters.upstream.cost import HourlyCost
from finora_adapters.upstream.guard import Guarded
from finora_adapters.upstream.http import Exchange, UpstreamHttp, credentials_of
from finora_adapters.upstream.limiter import Limiter, LocalLimiter
from finora_adapters.upstream.remote import DataProvider, RemoteSource
from finora_core.kernel.clock import Clock
from finora_core.market.provision.ports import DataSource
from finora_core.plugins import KINDS

if TYPE_CHECKING:
    from finora_adapters.redis.asking import Asker


@attrs.frozen
class Sources:
    by_kind: Mapping[str, Mapping[str, DataSource]]
    """By kind, as in KINDS, then by name. What is of two kinds is one object."""

    def __iter__(self) -> Iterator[DataSource]:
        """Each once, by name."""
        every = {name: each for kind in self.by_kind.values() for name, each in kind.items()}
        return (every[name] for name in sorted(every))


def sources_of(
    settings: Settings,
    plugins: Plugins,
    clock: Clock,
    asker: "Asker | None" = None,
    record: Callable[[Exchange], None] | None = None,
) -> Sources:
    """Those of the data provider, where the settings name one. Else asked from here: with Redis,
    processes share limits and cost; without it each keeps its own. Empty where the HTTP library is
    not installed."""
    if find_spec("httpx2") is None:
        return Sources({kind: {} for kind in KINDS})
    if settings.data_url is not None:
        key = settings.data_key.get_secret_value() if settings.data_key else ""
        there = DataProvider(settings.data_url, key, clock)
        return Sources(
            {
                kind: {
                    name: RemoteSource(source.provides, there)
                    for name, source in plugins.sources[kind].items()
                }
                for kind in KINDS
            }
        )
    limiter: Limiter = LocalLimiter()
    if asker is not None:
        # The library does without Redis, and may not have its client.
        from finora_adapters.redis.rolling import SharedLimiter

        limiter = SharedLimiter(asker)
    most_micros = int(settings.upstream_hourly_cost * 10**6)
    cost = HourlyCost(most_micros, clock.now, asker)
    made: dict[str, Guarded] = {}
    for kind in KINDS:
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
            )
            made.setdefault(name, Guarded({}, provides, http, clock)).providers[kind] = (
                source.provider
            )
    return Sources({kind: {name: made[name] for name in plugins.sources[kind]} for kind in KINDS})
