"""What a plugin registers: it is imported, here, and its hooks are called."""

from collections.abc import Callable
from typing import Any

import attrs
import pluggy

from finora_core import plugins as contract

GROUP = "finora"


class PluginRefused(Exception):
    """The plugin cannot be used; the message says why. It never leaves the loader."""


@attrs.frozen
class Kind:
    """One hook, and what is registered through it."""

    name: str
    called: str
    methods: tuple[str, ...] = ("__call__",)
    """That each of them has. Classes, mostly: what they are called with is theirs to say."""
    is_a: type = object
    """What each of them is."""


REGISTERED = (
    Kind("statement_formats", "statement format", ("recognises", "layout", "read")),
    Kind("activity_formats", "activity format", ("recognises", "read")),
    Kind("language_models", "language model"),
    Kind("embeddings", "embedding"),
    Kind("prices", "price provider"),
    Kind("rates", "rate provider"),
    Kind("assets", "asset directory"),
    Kind("balances", "balance source"),
    Kind("transactions", "transaction source"),
    Kind("pictures", "reader of pictures"),
    Kind("mailers", "mailer"),
    Kind("notifiers", "notifier"),
    Kind("storages", "storage"),
    Kind("chains", "chain", ("address",), contract.Chain),
)
Provided = dict[str, dict[str, Any]]
"""By kind, then by name."""


def registered(name: str, load: Callable[[], object]) -> Provided:
    """Import the plugin, here, and call its hooks. Raises what they raise, and PluginRefused."""
    mine: Provided = {kind.name: {} for kind in REGISTERED}
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(contract)
    plugin = load()
    manager.register(plugin, name)
    # A hook that is spelt wrong would otherwise be silently never called.
    manager.check_pending()
    _check_hooks(plugin)
    for kind in REGISTERED:
        getattr(manager.hook, f"register_{kind.name}")(register=_collect(kind, mine[kind.name]))
    return mine


def _check_hooks(plugin: object) -> None:
    marked = [name for name in dir(plugin) if hasattr(getattr(plugin, name), "finora_impl")]
    if not marked:
        raise PluginRefused("it implements no hook of the contract")


def _collect(kind: Kind, mine: dict[str, Any]) -> Callable[[Any], None]:
    def register(provided: Any) -> None:
        name: Any = getattr(provided, "name", None)
        if not isinstance(name, str) or not name.isidentifier() or name != name.lower():
            raise PluginRefused(f"a {kind.called}'s name is lower-case text, not {name!r}")
        missing = [
            method for method in kind.methods if not callable(getattr(provided, method, None))
        ]
        if missing:
            raise PluginRefused(f"{kind.called} {name} has no {', '.join(missing)}")
        if not isinstance(provided, kind.is_a):
            raise PluginRefused(f"{kind.called} {name} is no {kind.is_a.__name__}")
        if name in mine:
            raise PluginRefused(f"it registers {kind.called} {name} twice")
        mine[name] = provided

    return register


def reason_of(error: BaseException) -> str:
    """In one line that a terminal may show."""
    kind = "" if isinstance(error, PluginRefused) else f"{type(error).__name__}: "
    return one_line(f"{kind}{error}")


def one_line(text: str, longest: int = 500) -> str:
    """Without what moves a cursor or begins another line of a log."""
    found = " ".join(text.split())[:longest]
    return "".join(each if each.isprintable() else "?" for each in found)
