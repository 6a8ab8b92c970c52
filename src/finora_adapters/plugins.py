"""Finding plugins, loading them, and setting aside the ones that do not work, each alone.

A plugin is found by its entry point in the group `finora`; its manifest, `finora-plugin.toml`
beside the top package's `__init__.py`, is read without importing it.
"""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs
import pluggy

from finora_core import plugins as contract
from finora_core.plugins import (
    CONTRACT_VERSION,
    ActivityFormat,
    EmbeddingsProvider,
    LanguageModelProvider,
    StatementFormat,
)

GROUP = "finora"
MANIFEST = "finora-plugin.toml"
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
    reason: str | None

    @property
    def works(self) -> bool:
        return self.reason is None


@attrs.frozen(kw_only=True)
class Plugins:
    """What the installed plugins provide, and how each of them fared."""

    statement_formats: Mapping[str, StatementFormat]
    activity_formats: Mapping[str, ActivityFormat]
    language_models: Mapping[str, LanguageModelProvider]
    embeddings: Mapping[str, EmbeddingsProvider]
    found: tuple[PluginInfo, ...]


@attrs.frozen
class _Kind:
    """One hook, and what is registered through it."""

    hook: str
    called: str
    methods: tuple[str, ...]
    """That each of them has."""


_KINDS = (
    _Kind("register_statement_formats", "statement format", ("recognises", "layout", "read")),
    _Kind("register_activity_formats", "activity format", ("recognises", "read")),
    # Classes, mostly: what they are called with is theirs to say.
    _Kind("register_language_models", "language model", ("__call__",)),
    _Kind("register_embeddings", "embedding", ("__call__",)),
    _Kind("register_prices", "price provider", ("__call__",)),
    _Kind("register_rates", "rate provider", ("__call__",)),
    _Kind("register_assets", "asset directory", ("__call__",)),
    _Kind("register_balances", "balance source", ("__call__",)),
    _Kind("register_transactions", "transaction source", ("__call__",)),
)
_Provided = dict[str, dict[str, Any]]
"""By hook, then by name."""


def load_plugins(points: Iterable[EntryPoint] | None = None) -> Plugins:
    """Load every plugin that is installed; never raises for one that is broken."""
    every: _Provided = {kind.hook: {} for kind in _KINDS}
    found = []
    # Finora's own first, so that nobody can take the name of a format it has.
    chosen = sorted(
        entry_points(group=GROUP) if points is None else points,
        key=lambda point: (not point.value.startswith(OWN), point.name),
    )
    for point in chosen:
        mine: _Provided = {kind.hook: {} for kind in _KINDS}
        reason = None
        try:
            _load(point, mine)
            _take(mine, every)
        # Whatever a stranger's code raises, at import or in a hook, is its own affair; an exit too.
        except (Exception, SystemExit) as error:
            reason = _said(error)
        provides = tuple(
            f"{kind.called} {name}" for kind in _KINDS for name in sorted(mine[kind.hook])
        )
        found.append(
            PluginInfo(
                name=point.name,
                package=point.dist.name if point.dist else point.value.split(".")[0],
                version=point.dist.version if point.dist else "",
                provides=() if reason else provides,
                reason=reason,
            )
        )
    return Plugins(
        statement_formats=every["register_statement_formats"],
        activity_formats=every["register_activity_formats"],
        language_models=every["register_language_models"],
        embeddings=every["register_embeddings"],
        found=tuple(found),
    )


def _load(point: EntryPoint, mine: _Provided) -> None:
    _check_manifest(point)
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(contract)
    plugin = point.load()
    manager.register(plugin, point.name)
    # A hook that is spelt wrong would otherwise be silently never called.
    manager.check_pending()
    _check_hooks(plugin)
    for kind in _KINDS:
        getattr(manager.hook, kind.hook)(register=_collect(kind, mine[kind.hook]))


def _check_hooks(plugin: object) -> None:
    marked = [name for name in dir(plugin) if hasattr(getattr(plugin, name), "finora_impl")]
    if not marked:
        raise PluginRefused("it implements no hook of the contract")


def _check_manifest(point: EntryPoint) -> None:
    path = _manifest(point)
    if path is None:
        raise PluginRefused(f"it has no {MANIFEST} beside its package's __init__.py")
    try:
        manifest = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise PluginRefused(f"its {MANIFEST} is not TOML: {error}") from error
    wanted = manifest.get("contract")
    if wanted != CONTRACT_VERSION:
        raise PluginRefused(f"it is written for contract {wanted}, this is {CONTRACT_VERSION}")


def _manifest(point: EntryPoint) -> Path | None:
    # The top package's spec: finding it imports nothing.
    spec = find_spec(point.module.split(".")[0])
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / MANIFEST
        if path.is_file():
            return path
    return None


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
        for name in mine[kind.hook]:
            if name in every[kind.hook]:
                raise PluginRefused(f"another plugin has the {kind.called} {name}")
    for hook, provided in mine.items():
        every[hook].update(provided)


def _said(error: BaseException) -> str:
    kind = "" if isinstance(error, PluginRefused) else f"{type(error).__name__}: "
    return f"{kind}{error}"[:500]
