"""What a plugin says of itself, read and judged before a line of its code runs."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol

import attrs

from finora_core.plugins import CONTRACT_VERSION, DECLARED, REACHING, Credential, Limit, Provides

MANIFEST = "finora-plugin.toml"
HOOKS = (
    "statement_formats",
    "activity_formats",
    "language_models",
    "embeddings",
    "chains",
    *DECLARED,
)
"""What a plugin can be of: each is a hook, `register_<kind>`."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_HOST = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}")
_CHOICES = {
    "kinds": DECLARED,
    "capabilities": ("latest", "history"),
    "assets": ("currency", "crypto", "security", "other"),
}


class BadManifest(Exception):
    """The manifest cannot be used; the message says why. It never leaves the loader."""


@attrs.frozen(kw_only=True)
class Manifest:
    name: str
    kinds: tuple[str, ...]
    """Every hook that the plugin implements."""
    provides: tuple[Provides, ...]
    """Every source that it reaches."""

    @property
    def sources(self) -> frozenset[tuple[str, str]]:
        """Kind and name of everything that is declared one by one."""
        return frozenset((kind, each.name) for each in self.provides for kind in each.kinds)


@attrs.frozen(kw_only=True)
class SourceState:
    """One source as it fares."""

    declared: Provides
    unset: tuple[str, ...]
    """Fields of credentials that are not set."""
    aside: str | None
    """Why it is not asked any more, of late."""
    resting: str | None = None
    """Why it is not asked for the moment: it failed several times, or asked for a pause."""
    tier: str | None = None
    """What the conformance kit makes of it; None where that is unknown."""

    @property
    def needed(self) -> tuple[str, ...]:
        """Settings without which it answers nothing, and which are not set."""
        return tuple(
            f"FINORA_PLUGIN_{self.declared.name}_{each.field}".upper()
            for each in self.declared.credentials
            if each.required and each.field in self.unset
        )

    @property
    def said(self) -> str:
        """How it fares, in a few words; `ok` where nothing is the matter."""
        if self.aside is not None:
            return f"set aside: {self.aside}"
        if self.needed:
            return f"needs {', '.join(self.needed)}"
        return "ok" if self.resting is None else f"rests: {self.resting}"


@attrs.frozen(kw_only=True)
class PluginState:
    """One installed plugin as it fares."""

    name: str
    package: str
    version: str
    trust: Literal["built_in", "in_process", "confined"]
    """Whether it came with Finora; what did not runs in its process all the same, or, where the
    operator does not trust it, in confined children."""
    provides: tuple[str, ...]
    """What it registered, in words."""
    sources: tuple[SourceState, ...]
    reason: str | None
    """Why it was set aside when it was loaded."""

    @property
    def works(self) -> bool:
        return self.reason is None


class InstalledPlugins(Protocol):
    def list(self) -> Sequence[PluginState]:
        """All of them, those that were set aside too."""


def find_manifest(module: str) -> Path:
    """Where the manifest of a module's plugin lies: beside the module, or in the nearest package
    above it. Nothing is imported. Raises BadManifest."""
    top, *inner = module.split(".")
    # The top package's spec: finding it imports nothing.
    spec = find_spec(top)
    for folder in (spec and spec.submodule_search_locations) or ():
        for depth in range(len(inner), -1, -1):
            path = Path(folder, *inner[:depth], MANIFEST)
            if path.is_file():
                return path
    raise BadManifest(f"it has no {MANIFEST} beside its package's __init__.py")


def read_manifest(text: str) -> Manifest:
    """Raises BadManifest that names the first thing that is wrong."""
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadManifest(f"its {MANIFEST} is not TOML: {error}") from error
    # First of all: what follows may be written in another contract's words.
    if said.get("contract") != CONTRACT_VERSION:
        wanted = said.get("contract")
        raise BadManifest(f"it is written for contract {wanted}, this is {CONTRACT_VERSION}")
    _known(said, ("name", "contract", "kinds", "provides"), "the manifest")
    name = _name(said.get("name"), "its name")
    kinds = _chosen(said.get("kinds"), HOOKS, "kinds")
    provides = tuple(_source(each) for each in _tables(said.get("provides", []), "provides"))
    twice = [name for name, count in Counter(each.name for each in provides).items() if count > 1]
    if twice:
        raise BadManifest(f"it declares {twice[0]} twice")
    reached = {kind for each in provides for kind in each.kinds}
    if reached != set(kinds) & set(DECLARED):
        odd = sorted(reached ^ (set(kinds) & set(DECLARED)))
        raise BadManifest(f"kinds and [[provides]] differ in {', '.join(odd)}")
    return Manifest(name=name, kinds=kinds, provides=provides)


def _source(said: Mapping[str, Any]) -> Provides:
    name = _name(said.get("name"), "a source's name")
    _known(said, (each.name for each in attrs.fields(Provides)), name)
    hosts = _texts(said.get("hosts"), f"{name}: hosts")
    for host in hosts:
        # A name and not an address, so that what is dialled can be judged by what it resolves to.
        if not _HOST.fullmatch(host):
            raise BadManifest(f"{name}: {host!r} is no host name")
    kinds = _chosen(said.get("kinds"), DECLARED, f"{name}: kinds")
    if not kinds:
        raise BadManifest(f"{name}: it is of no kind")
    if not hosts and set(kinds) & set(REACHING):
        raise BadManifest(f"{name}: it names no hosts")
    capabilities = _chosen(said.get("capabilities", []), _CHOICES["capabilities"], name)
    if ("prices" in kinds) != bool(capabilities):
        raise BadManifest(f"{name}: prices have capabilities, of latest and history, others none")
    since = said.get("since")
    if since is not None and (type(since) is not date or "history" not in capabilities):
        raise BadManifest(f"{name}: since is a date, of history")
    granularity = said.get("granularity", "daily")
    if granularity not in ("daily", "intraday"):
        raise BadManifest(f"{name}: granularity is daily or intraday")
    if type(said.get("safe_posts", False)) is not bool:
        raise BadManifest(f"{name}: safe_posts is true or false")
    return Provides(
        name=name,
        kinds=kinds,
        hosts=hosts,
        capabilities=capabilities,
        assets=_chosen(said.get("assets", []), _CHOICES["assets"], f"{name}: assets"),
        since=since,
        granularity=granularity,
        credentials=tuple(
            _credential(each, name)
            for each in _tables(said.get("credentials", []), f"{name}: credentials")
        ),
        limits=tuple(
            _limit(each, name) for each in _tables(said.get("limits", []), f"{name}: limits")
        ),
        cost_micros=_whole(said.get("cost_micros", 0), 0, f"{name}: cost_micros"),
        safe_posts=said.get("safe_posts", False),
        answers_s=_seconds(said.get("answers_s", 10), name),
    )


def _seconds(said: object, owner: str) -> int:
    if type(said) is not int or not 1 <= said <= 50:
        raise BadManifest(f"{owner}: answers_s is 1 to 50")
    return said


def _credential(said: Mapping[str, Any], owner: str) -> Credential:
    _known(said, (each.name for each in attrs.fields(Credential)), f"{owner}: a credential")
    field = _name(said.get("field"), f"{owner}: a credential's field")
    if field == "url":
        raise BadManifest(f"{owner}: url is the operator's own field, and no credential")
    if any(type(said.get(flag, True)) is not bool for flag in ("secret", "required")):
        raise BadManifest(f"{owner}: {field} is secret and required, or not: true or false")
    if not isinstance(said.get("about", ""), str):
        raise BadManifest(f"{owner}: about {field} is text")
    return Credential(**{**said, "field": field})


def _limit(said: Mapping[str, Any], owner: str) -> Limit:
    _known(said, ("requests", "seconds"), f"{owner}: a limit")
    requests, seconds = said.get("requests"), said.get("seconds")
    what = f"{owner}: a limit's requests and seconds"
    return Limit(_whole(requests, 1, what), _whole(seconds, 1, what))


def _known(said: Mapping[str, Any], names: Iterable[str], where: str) -> None:
    # A misspelt limit would otherwise be none.
    strange = sorted(set(said) - set(names))
    if strange:
        raise BadManifest(f"{where} has no field {strange[0]}")


def _name(said: Any, what: str) -> str:
    if not isinstance(said, str) or not _NAME.fullmatch(said):
        raise BadManifest(f"{what} is lower-case text, not {said!r}")
    return said


def _texts(said: Any, what: str) -> tuple[str, ...]:
    if not isinstance(said, list) or not all(isinstance(each, str) for each in said):
        raise BadManifest(f"{what} are a list of texts")
    return tuple(said)


def _chosen(said: Any, choices: Sequence[str], what: str) -> tuple[str, ...]:
    found = _texts(said, what)
    strange = [each for each in found if each not in choices]
    if strange or len(set(found)) != len(found):
        raise BadManifest(f"{what}: each once, and of {', '.join(choices)}")
    return found


def _tables(said: Any, what: str) -> Sequence[Mapping[str, Any]]:
    if not isinstance(said, list) or not all(isinstance(each, dict) for each in said):
        raise BadManifest(f"{what} are a list of tables")
    return said


def _whole(said: Any, least: int, what: str) -> int:
    if type(said) is not int or not least <= said < 10**9:
        raise BadManifest(f"{what} is a whole number from {least} on")
    return said
