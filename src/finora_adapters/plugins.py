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
from finora_core.plugins import CONTRACT_VERSION, StatementFormat

GROUP = "finora"
MANIFEST = "finora-plugin.toml"


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
    found: tuple[PluginInfo, ...]


def load_plugins(points: Iterable[EntryPoint] | None = None) -> Plugins:
    """Load every plugin that is installed; never raises for one that is broken."""
    formats: dict[str, StatementFormat] = {}
    found = []
    # Finora's own first, so that nobody can take the name of a format it has.
    chosen = sorted(
        entry_points(group=GROUP) if points is None else points,
        key=lambda point: (not point.value.startswith("finora_core."), point.name),
    )
    for point in chosen:
        mine: dict[str, StatementFormat] = {}
        reason = None
        try:
            _load(point, mine)
            _take(mine, formats)
        # Whatever a stranger's code raises, at import or in a hook, is its own affair; an exit too.
        except (Exception, SystemExit) as error:
            reason = _said(error)
        provides = () if reason else tuple(f"statement format {name}" for name in sorted(mine))
        found.append(
            PluginInfo(
                name=point.name,
                package=point.dist.name if point.dist else point.value.split(".")[0],
                version=point.dist.version if point.dist else "",
                provides=provides,
                reason=reason,
            )
        )
    return Plugins(statement_formats=formats, found=tuple(found))


def _load(point: EntryPoint, formats: dict[str, StatementFormat]) -> None:
    _check_manifest(point)
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(contract)
    plugin = point.load()
    manager.register(plugin, point.name)
    # A hook that is spelt wrong would otherwise be silently never called.
    manager.check_pending()
    _check_hooks(plugin)
    manager.hook.register_statement_formats(register=_collect(formats))


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


def _collect(formats: dict[str, StatementFormat]) -> Callable[[StatementFormat], None]:
    def register(provided: StatementFormat) -> None:
        name: Any = getattr(provided, "name", None)
        if not isinstance(name, str) or not name.isidentifier() or name != name.lower():
            raise PluginRefused(f"a statement format's name is lower-case text, not {name!r}")
        missing = [
            method
            for method in ("recognises", "layout", "read")
            if not callable(getattr(provided, method, None))
        ]
        if missing:
            raise PluginRefused(f"statement format {name} has no {', '.join(missing)}")
        if name in formats:
            raise PluginRefused(f"it registers statement format {name} twice")
        formats[name] = provided

    return register


def _take(mine: Mapping[str, StatementFormat], formats: dict[str, StatementFormat]) -> None:
    for name in mine:
        if name in formats:
            raise PluginRefused(f"another plugin has the statement format {name}")
    formats.update(mine)


def _said(error: BaseException) -> str:
    kind = "" if isinstance(error, PluginRefused) else f"{type(error).__name__}: "
    return f"{kind}{error}"[:500]
