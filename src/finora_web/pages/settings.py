"""What runs, with which settings, and whether it is well."""

import platform
import re
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import attrs
from flask import current_app, render_template
from pydantic import SecretStr

from finora_adapters.settings import Settings, variable
from finora_core.manifest import PluginState
from finora_web.gate import Gate
from finora_web.pages.account.frame import frame
from finora_web.pages.caller import caller

_PARTS = ("flask", "gunicorn", "sqlalchemy", "psycopg", "redis", "saq", "pydantic")
_VENDORED = {"htmx": "4.0.1", "uPlot": "1.6.32"}
_PASSWORD = re.compile(r"(//)[^/@\s]*@")
HIDDEN = "set, and not shown"
_STUCK_S = 10


@attrs.frozen
class SettingsPage:
    gate: Gate

    def page(self) -> str:
        scope = caller(self.gate, "jobs:read")
        shell = current_app.config["SHELL"]
        settings: Settings | None = shell.settings
        deep, _ = shell.health.deep()
        return render_template(
            "settings.html",
            frame=frame(self.gate.services, scope),
            version=shell.version,
            parts=versions(),
            health=deep,
            queues=[(each, _state(each)) for each in self.gate.services.queue.status()],
            formats=sorted(self.gate.services.imports.formats),
            plugins=[(each, brings(each)) for each in self.gate.services.plugins.list()],
            settings=[] if settings is None else effective(settings),
            production=settings is not None and settings.env == "production",
        )


def brings(plugin: PluginState) -> dict[str, list[str]]:
    """What it brings, by what that is called; of sources their rows say it."""
    sources = {each.declared.name for each in plugin.sources} if plugin.works else set()
    found: dict[str, list[str]] = {}
    for provided in plugin.provides:
        called, _, name = provided.rpartition(" ")
        if name not in sources:
            found.setdefault(f"{called}s", []).append(name)
    return found | ({"sources": sorted(sources)} if sources else {})


def versions() -> dict[str, str]:
    """Of Python, and of what stands between Finora and a browser."""
    found = {"Python": platform.python_version()}
    for name in _PARTS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found | _VENDORED


def effective(settings: Settings) -> list[dict[str, Any]]:
    """Each setting with its value, and whether it was set. In production, where others than the
    operator may look at the page, no value is shown at all."""
    open_to_all = settings.env == "production"
    return [
        {
            "name": variable(name),
            "value": _shown(name, getattr(settings, name), hidden=open_to_all),
            "given": name in settings.model_fields_set,
            "description": field.description,
        }
        for name, field in type(settings).model_fields.items()
    ]


def _shown(name: str, value: object, *, hidden: bool) -> str:
    if isinstance(value, Mapping):
        # What plugins are given: which of it is a secret, only their manifests say.
        return HIDDEN if hidden else ", ".join(sorted(value)) or "empty"
    if value is None:
        return "unset"
    if hidden or isinstance(value, SecretStr) or name.endswith("_key"):
        return HIDDEN
    return _PASSWORD.sub(r"\1", str(value)) or "empty"


def _state(queue: Any) -> str:
    if queue.paused:
        return "paused"
    if queue.waiting and not queue.running and queue.oldest_s > _STUCK_S:
        return "nobody takes its jobs: does a worker run?"
    return "runs" if queue.running else "idle"
