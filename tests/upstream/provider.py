"""A data provider on a socket, and what asks it."""

from collections.abc import Callable

import attrs
from pydantic import SecretStr

from finora import Finora, Scope, Settings
from finora_adapters.plugins import load_plugins
from finora_adapters.upstream.sources import Sources, sources_of
from finora_core.kernel.clock import SystemClock


@attrs.frozen
class Provider:
    url: str
    finora: Finora
    scope: Scope
    flush: Callable[[], None] = lambda: None
    """Write down what was asked."""

    def key(self, *may: str) -> str:
        given = frozenset(may or ("data:ask",))
        return self.finora.tokens.create(self.scope, "an installation", permissions=given).text

    def asked_with(self, key: str) -> Sources:
        """As an installation that has only the address and the key."""
        ours = Settings(data_url=self.url, data_key=SecretStr(key), env="test")
        return sources_of(ours, load_plugins(), SystemClock())
