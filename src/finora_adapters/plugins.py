"""Finding plugins, loading them, and setting aside the ones that do not work, each alone.

A plugin is found by its entry point in the group `finora`; its manifest is read and judged without
importing it, and what it then registers must be what the manifest says. One that the operator does
not trust is never imported here: what it registers is told by a confined child.
"""

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points

import attrs

from finora_adapters.registering import (
    GROUP,
    REGISTERED,
    PluginRefused,
    Provided,
    reason_of,
    registered,
)
from finora_core.manifest import HOOKS, BadManifest, Manifest, find_manifest, read_manifest
from finora_core.plugins import (
    DECLARED,
    REACHING,
    ActivityFormat,
    Chain,
    EmbeddingsProvider,
    LanguageModelProvider,
    Provider,
    Provides,
    StatementFormat,
    StorageProvider,
)

OWN = ("finora_core.", "finora_adapters.")


@attrs.frozen(kw_only=True)
class PluginInfo:
    """What `finora plugins` shows. `reason` says why a plugin was set aside, else None."""

    name: str
    package: str
    version: str
    provides: tuple[str, ...]
    sources: tuple[Provides, ...] = ()
    """What it says of the sources that it reaches."""
    reason: str | None
    own: bool = False
    """Whether it came with Finora."""
    confined: bool = False
    """Whether its code runs in confined children only."""

    @property
    def works(self) -> bool:
        return self.reason is None


@attrs.frozen(kw_only=True)
class Source:
    """A provider that reaches outside, and what its manifest says of it."""

    provides: Provides
    provider: Provider


@attrs.frozen(kw_only=True)
class Storage:
    """A kind of store of files, and what its manifest says of it."""

    provides: Provides
    provider: StorageProvider


@attrs.frozen(kw_only=True)
class Plugins:
    """What the installed plugins provide, and how each of them fared."""

    statement_formats: Mapping[str, StatementFormat]
    activity_formats: Mapping[str, ActivityFormat]
    language_models: Mapping[str, LanguageModelProvider]
    embeddings: Mapping[str, EmbeddingsProvider]
    sources: Mapping[str, Mapping[str, Source]]
    """By kind, as in REACHING, then by name."""
    storages: Mapping[str, Storage]
    chains: Mapping[str, Chain]
    """By id."""
    found: tuple[PluginInfo, ...]


Confine = Callable[[EntryPoint, Manifest], Provided]
"""What a plugin registers that is not imported here. Raises PluginRefused."""


def installed(points: Iterable[EntryPoint] | None = None) -> list[EntryPoint]:
    """Finora's own first, so that nobody can take the name of what it has."""
    return sorted(
        entry_points(group=GROUP) if points is None else points,
        key=lambda point: (not point.value.startswith(OWN), point.name),
    )


def manifest_of(point: EntryPoint) -> Manifest:
    """Read without importing the plugin. Raises BadManifest."""
    return read_manifest(find_manifest(point.module).read_text())


def package_of(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value.split(".")[0]


def load_plugins(
    points: Iterable[EntryPoint] | None = None,
    trusted: Callable[[str], bool] = lambda package: True,
    confine: Confine | None = None,
) -> Plugins:
    """Load every plugin that is installed, by `confine` what is of a package that is not trusted;
    never raises for one that is broken."""
    every: Provided = {kind: {} for kind in HOOKS}
    declared: dict[str, Provides] = {}
    found = []
    for point in installed(points):
        own, package = point.value.startswith(OWN), package_of(point)
        confined = not own and not trusted(package)
        mine: Provided = {kind: {} for kind in HOOKS}
        reason: str | None = None
        sources: tuple[Provides, ...] = ()
        try:
            manifest = manifest_of(point)
            sources = manifest.provides
            if not confined:
                mine = registered(point.name, point.load)
            elif confine is not None:
                mine = confine(point, manifest)
            else:
                raise PluginRefused("it is not trusted")
            _check_honest(manifest, mine)
            _take(mine, every)
            declared |= {each.name: each for each in sources}
        # Whatever a stranger's code raises, at import or in a hook, is its own affair; an exit too.
        except (Exception, SystemExit) as error:
            reason = str(error)[:500] if isinstance(error, BadManifest) else reason_of(error)
        provides = tuple(
            f"{kind.called} {name}" for kind in REGISTERED for name in sorted(mine[kind.name])
        )
        found.append(
            PluginInfo(
                name=point.name,
                package=package,
                version=point.dist.version if point.dist else "",
                provides=() if reason else provides,
                sources=sources,
                reason=reason,
                own=own,
                confined=confined,
            )
        )
    return Plugins(
        statement_formats=every["statement_formats"],
        activity_formats=every["activity_formats"],
        language_models=every["language_models"],
        embeddings=every["embeddings"],
        sources={
            kind: {
                name: Source(provides=declared[name], provider=provider)
                for name, provider in every[kind].items()
            }
            for kind in REACHING
        },
        storages={
            name: Storage(provides=declared[name], provider=provider)
            for name, provider in every["storages"].items()
        },
        chains={chain.id: chain for chain in every["chains"].values()},
        found=tuple(found),
    )


def _check_honest(manifest: Manifest, mine: Provided) -> None:
    """What is registered is what was declared, no more and no less: the operator read that."""
    kinds = {kind for kind in HOOKS if mine[kind]}
    for kind in sorted(kinds ^ set(manifest.kinds)):
        said = "registers" if kind in kinds else "does not register"
        raise PluginRefused(f"its manifest is wrong: it {said} {kind}")
    registered = {(kind, name) for kind in DECLARED for name in mine[kind]}
    for kind, name in sorted(registered ^ manifest.sources):
        said = "registers" if name in mine[kind] else "does not register"
        raise PluginRefused(f"its manifest is wrong: it {said} {name} of {kind}")


def _take(mine: Provided, every: Provided) -> None:
    for kind in REGISTERED:
        # A source's name is its namespace, of limits and settings too: one for all its kinds.
        taken = [each for each in DECLARED if kind.name in DECLARED] or [kind.name]
        for name in mine[kind.name]:
            if any(name in every[each] for each in taken):
                raise PluginRefused(f"another plugin has the {kind.called} {name}")
    ids = [chain.id for chain in (*every["chains"].values(), *mine["chains"].values())]
    for chain in mine["chains"].values():
        if ids.count(chain.id) > 1:
            raise PluginRefused(f"there is a chain {chain.id} already")
    for kind_name, provided in mine.items():
        every[kind_name].update(provided)
