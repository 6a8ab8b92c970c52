"""Finding plugins, loading them, and setting aside the ones that do not work, each alone.

A plugin is found by its entry point in the group `finora`; its manifest is read and judged without
importing it, and what it then registers must be what the manifest says.
"""

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import attrs
import pluggy

from finora_core import plugins as contract
from finora_core.manifest import HOOKS, BadManifest, Manifest, find_manifest, read_manifest
from finora_core.plugins import (
    KINDS,
    ActivityFormat,
    EmbeddingsProvider,
    LanguageModelProvider,
    Provider,
    Provides,
    StatementFormat,
)

GROUP = "finora"
OWN = ("finora_core.", "finora_adapters.")


class PluginRefused(Exception):
    """The plugin cannot be used; the message says why. It never leaves this module."""


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

    @property
    def works(self) -> bool:
        return self.reason is None


@attrs.frozen(kw_only=True)
class Source:
    """A provider that reaches outside, and what its manifest says of it."""

    provides: Provides
    provider: Provider


@attrs.frozen(kw_only=True)
class Plugins:
    """What the installed plugins provide, and how each of them fared."""

    statement_formats: Mapping[str, StatementFormat]
    activity_formats: Mapping[str, ActivityFormat]
    language_models: Mapping[str, LanguageModelProvider]
    embeddings: Mapping[str, EmbeddingsProvider]
    sources: Mapping[str, Mapping[str, Source]]
    """By kind, as in KINDS, then by name."""
    found: tuple[PluginInfo, ...]


@attrs.frozen
class _Kind:
    """One hook, and what is registered through it."""

    name: str
    called: str
    methods: tuple[str, ...] = ("__call__",)
    """That each of them has. Classes, mostly: what they are called with is theirs to say."""


_KINDS = (
    _Kind("statement_formats", "statement format", ("recognises", "layout", "read")),
    _Kind("activity_formats", "activity format", ("recognises", "read")),
    _Kind("language_models", "language model"),
    _Kind("embeddings", "embedding"),
    _Kind("prices", "price provider"),
    _Kind("rates", "rate provider"),
    _Kind("assets", "asset directory"),
    _Kind("balances", "balance source"),
    _Kind("transactions", "transaction source"),
    _Kind("pictures", "reader of pictures"),
)
_Provided = dict[str, dict[str, Any]]
"""By kind, then by name."""


def installed(points: Iterable[EntryPoint] | None = None) -> list[EntryPoint]:
    """Finora's own first, so that nobody can take the name of what it has."""
    return sorted(
        entry_points(group=GROUP) if points is None else points,
        key=lambda point: (not point.value.startswith(OWN), point.name),
    )


def manifest_of(point: EntryPoint) -> Manifest:
    """Read without importing the plugin. Raises BadManifest."""
    return read_manifest(find_manifest(point.module).read_text())


def load_plugins(points: Iterable[EntryPoint] | None = None) -> Plugins:
    """Load every plugin that is installed; never raises for one that is broken."""
    every: _Provided = {kind: {} for kind in HOOKS}
    declared: dict[str, Provides] = {}
    found = []
    for point in installed(points):
        mine: _Provided = {kind: {} for kind in HOOKS}
        reason: str | None = None
        sources: tuple[Provides, ...] = ()
        try:
            manifest = manifest_of(point)
            sources = manifest.provides
            _load(point, mine)
            _check_honest(manifest, mine)
            _take(mine, every)
            declared |= {each.name: each for each in sources}
        # Whatever a stranger's code raises, at import or in a hook, is its own affair; an exit too.
        except (Exception, SystemExit) as error:
            reason = _said(error)
        provides = tuple(
            f"{kind.called} {name}" for kind in _KINDS for name in sorted(mine[kind.name])
        )
        found.append(
            PluginInfo(
                name=point.name,
                package=point.dist.name if point.dist else point.value.split(".")[0],
                version=point.dist.version if point.dist else "",
                provides=() if reason else provides,
                sources=sources,
                reason=reason,
                own=point.value.startswith(OWN),
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
            for kind in KINDS
        },
        found=tuple(found),
    )


def _load(point: EntryPoint, mine: _Provided) -> None:
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(contract)
    plugin = point.load()
    manager.register(plugin, point.name)
    # A hook that is spelt wrong would otherwise be silently never called.
    manager.check_pending()
    _check_hooks(plugin)
    for kind in _KINDS:
        getattr(manager.hook, f"register_{kind.name}")(register=_collect(kind, mine[kind.name]))


def _check_hooks(plugin: object) -> None:
    marked = [name for name in dir(plugin) if hasattr(getattr(plugin, name), "finora_impl")]
    if not marked:
        raise PluginRefused("it implements no hook of the contract")


def _check_honest(manifest: Manifest, mine: _Provided) -> None:
    """What is registered is what was declared, no more and no less: the operator read that."""
    kinds = {kind for kind in HOOKS if mine[kind]}
    for kind in sorted(kinds ^ set(manifest.kinds)):
        said = "registers" if kind in kinds else "does not register"
        raise PluginRefused(f"its manifest is wrong: it {said} {kind}")
    registered = {(kind, name) for kind in KINDS for name in mine[kind]}
    for kind, name in sorted(registered ^ manifest.sources):
        said = "registers" if name in mine[kind] else "does not register"
        raise PluginRefused(f"its manifest is wrong: it {said} {name} of {kind}")


def _collect(kind: _Kind, mine: dict[str, Any]) -> Callable[[Any], None]:
    def register(provided: Any) -> None:
        name: Any = getattr(provided, "name", None)
        if not isinstance(name, str) or not name.isidentifier() or name != name.lower():
            raise PluginRefused(f"a {kind.called}'s name is lower-case text, not {name!r}")
        missing = [
            method for method in kind.methods if not callable(getattr(provided, method, None))
        ]
        if missing:
            raise PluginRefused(f"{kind.called} {name} has no {', '.join(missing)}")
        if name in mine:
            raise PluginRefused(f"it registers {kind.called} {name} twice")
        mine[name] = provided

    return register


def _take(mine: _Provided, every: _Provided) -> None:
    for kind in _KINDS:
        # A source's name is its namespace, of limits and settings too: one for all its kinds.
        taken = [each for each in KINDS if kind.name in KINDS] or [kind.name]
        for name in mine[kind.name]:
            if any(name in every[each] for each in taken):
                raise PluginRefused(f"another plugin has the {kind.called} {name}")
    for kind_name, provided in mine.items():
        every[kind_name].update(provided)


def _said(error: BaseException) -> str:
    known = isinstance(error, PluginRefused | BadManifest)
    return f"{'' if known else type(error).__name__ + ': '}{error}"[:500]
